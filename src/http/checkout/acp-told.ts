import { acpCartOf, type AcpError, type AcpHeaders, acpSession, acpVersion, isGone } from './acp.ts';
import type { DeskAnswer } from './checkout-desk.ts';
import type { Told } from './protocol-routes.ts';
import type { SessionKind } from './session.ts';

/** What every request must say, before anything is looked at. */
export function wrongHeaders(headers: AcpHeaders, needsKey: boolean): AcpError | undefined {
  const type = 'invalid_request' as const;
  const version = headers['api-version'];
  if (version !== acpVersion) {
    return {
      type,
      code: version === undefined ? 'missing_api_version' : 'unsupported_api_version',
      message: `API-Version must be ${acpVersion}`,
      supported_versions: [acpVersion],
    };
  }
  if (needsKey && headers['idempotency-key'] === undefined)
    return {
      type,
      code: 'idempotency_key_required',
      message: 'Idempotency-Key header is required on all POST requests',
    };
  return undefined;
}

export function told(kind: SessionKind, answer: DeskAnswer, status = 200): Told {
  const type = 'invalid_request' as const;
  switch (answer.kind) {
    case 'shown':
      if (isGone(kind, answer.view)) return notFound(kind);
      return { status, body: kind === 'cart' ? acpCartOf(answer.view) : acpSession(answer.view) };
    case 'unknown':
      return notFound(kind);
    case 'unknown-item':
      return {
        status: 400,
        body: {
          type,
          code: 'invalid_item_id',
          message: `The item ID '${answer.sku}' does not exist.`,
          param: `$.line_items[${answer.line}].id`,
        } satisfies AcpError,
      };
    case 'nothing-there':
      return {
        status: 422,
        body: { type, code: 'out_of_stock', message: 'All requested items are currently unavailable.' },
      };
    case 'not-open':
      if (isGone(kind, answer.view)) return notFound(kind);
      return {
        status: 405,
        body: {
          type,
          code: answer.view.phase === 'expired' ? 'expired' : 'conflict',
          message: `The ${kind === 'cart' ? 'cart' : 'checkout session'} is ${answer.view.phase}.`,
        },
      };
  }
}

function notFound(kind: SessionKind): Told {
  const what = kind === 'cart' ? 'Cart' : 'Checkout session';
  return {
    status: 404,
    body: { type: 'invalid_request', code: 'not_found', message: `${what} not found or has expired.` },
  };
}
