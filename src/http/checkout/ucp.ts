import { z } from 'zod';
import { channel, quantity, reference, sku } from '../reservations/fields.ts';
import { maxReserveLines } from '../reservations/requests.ts';
import type { SessionView } from './checkout-desk.ts';
import type { Failure } from './failure.ts';
import type { Remark, SessionKind } from './session.ts';
import { ucpStatuses } from './words.ts';

/** The release of the Universal Commerce Protocol whose words are spoken. */
export const ucpVersion = '2026-04-08';

const capabilities = {
  checkout: 'dev.ucp.shopping.checkout',
  cart: 'dev.ucp.shopping.cart',
} as const satisfies Record<SessionKind, string>;

// Requests are the platform's own, which the merchant's server passes on: what is none of our business is not looked at.
const lineItem = z.looseObject({ item: z.looseObject({ id: sku }), quantity });
export const ucpSession = z.looseObject({ line_items: z.array(lineItem).min(1).max(maxReserveLines) });
export const ucpComplete = z.looseObject({
  order: z
    .looseObject({
      id: reference,
      channel: channel.optional().describe('Where the order will be seen; absent: direct'),
      permalink_url: z.url().max(2_000).optional(),
    })
    .optional()
    .describe(
      'Added by the merchant: the order it became. Absent: the session id. Send no payment data here',
    ),
});
export const ucpCancel = z.union([z.undefined(), z.null(), z.looseObject({})]);

export const ucpHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('A repeat is answered with the first answer'),
});

const envelope = z.object({
  version: z.string(),
  status: z.enum(['success', 'error']),
  capabilities: z.record(z.string(), z.array(z.object({ version: z.string() }))),
});
const messageError = z.object({
  type: z.literal('error'),
  code: z.string(),
  path: z.string().optional(),
  content: z.string(),
  severity: z.enum(['recoverable', 'requires_buyer_input', 'requires_buyer_review', 'unrecoverable']),
});
const messageWarning = z.object({
  type: z.literal('warning'),
  code: z.string(),
  path: z.string().optional(),
  content: z.string(),
});
const message = z.union([messageError, messageWarning]);
type UcpMessage = z.output<typeof message>;

export const ucpErrorResponse = z
  .object({ ucp: envelope, messages: z.array(message).min(1) })
  .describe('error_response of UCP: there is no resource');

const stockPart = {
  ucp: envelope,
  id: z.string(),
  line_items: z.array(
    z.object({ id: z.string(), item: z.object({ id: z.string() }), quantity: z.int().min(1) }),
  ),
  messages: z.array(message),
  expires_at: z.string().optional(),
  stockmesh: z
    .object({ hold_id: z.string(), sequence: z.string() })
    .optional()
    .describe('The hold behind it, for the calls under /inventory/v1'),
};
export const ucpSessionStatuses = ['incomplete', 'ready_for_complete', 'completed', 'canceled'] as const;
export const ucpCheckoutAnswer = z
  .object({
    ...stockPart,
    status: z.enum(ucpSessionStatuses),
    order: z.object({ id: z.string(), permalink_url: z.string().optional() }).optional(),
  })
  .describe('The stock part of a UCP Checkout: put into the one you answer with');
export const ucpCartAnswer = z
  .object(stockPart)
  .describe('The stock part of a UCP Cart: put into the one you answer with');

export const ucpError = z.object({ code: z.string(), content: z.string() }).describe('Protocol error of UCP');
export type UcpError = z.output<typeof ucpError>;

export const ucpAvailabilityAnswer = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      availability: z.object({ available: z.boolean(), status: z.enum(ucpStatuses) }),
    }),
  ),
});

const statuses: Readonly<Record<SessionView['phase'], (typeof ucpSessionStatuses)[number]>> = {
  held: 'ready_for_complete',
  unmet: 'incomplete',
  // "Checkout session is invalid or expired."
  expired: 'canceled',
  completed: 'completed',
  canceled: 'canceled',
};
const codes: Readonly<Record<Remark['reason'], string>> = {
  'sold-out': 'out_of_stock',
  'too-many': 'out_of_stock',
  // Free-form, as UCP permits where it has no word.
  limit: 'quantity_limit_exceeded',
  'low-stock': 'low_stock',
  expired: 'expired',
  'not-open': 'operation_not_allowed',
  refused: 'operation_not_allowed',
};

export function ucpCheckoutOf(view: SessionView): z.output<typeof ucpCheckoutAnswer> {
  const { hold, phase } = view;
  const order = phase === 'completed' ? (hold?.order ?? undefined) : undefined;
  return {
    ...stockPartOf('checkout', view),
    status: statuses[phase],
    ...(order === undefined
      ? {}
      : {
          order: {
            id: order.order_id,
            ...(view.permalinkUrl === undefined ? {} : { permalink_url: view.permalinkUrl }),
          },
        }),
  };
}

export function ucpCartOf(view: SessionView): z.output<typeof ucpCartAnswer> {
  return stockPartOf('cart', view);
}

function stockPartOf(kind: SessionKind, view: SessionView): z.output<typeof ucpCartAnswer> {
  const { id, hold, phase, lines, remarks } = view;
  const isLive = hold !== undefined && (phase === 'held' || phase === 'unmet');
  return {
    ucp: envelopeOf(kind, 'success'),
    id,
    line_items: lines.map((line) => ({ id: line.id, item: { id: line.sku }, quantity: line.quantity })),
    messages: remarks.map((remark) => messageOf(remark)),
    ...(isLive ? { expires_at: hold.expires_at } : {}),
    ...(hold === undefined ? {} : { stockmesh: { hold_id: hold.hold_id, sequence: hold.sequence } }),
  };
}

function envelopeOf(kind: SessionKind, status: 'success' | 'error'): z.output<typeof envelope> {
  return { version: ucpVersion, status, capabilities: { [capabilities[kind]]: [{ version: ucpVersion }] } };
}

export function ucpErrorOf(
  kind: SessionKind,
  messages: readonly UcpMessage[],
): z.output<typeof ucpErrorResponse> {
  return { ucp: envelopeOf(kind, 'error'), messages: [...messages] };
}

export function ucpNotFound(kind: SessionKind): z.output<typeof ucpErrorResponse> {
  const what = kind === 'cart' ? 'Cart' : 'Checkout';
  return ucpErrorOf(kind, [
    {
      type: 'error',
      code: 'not_found',
      content: `${what} not found or has expired`,
      severity: 'unrecoverable',
    },
  ]);
}

export function messageOf(
  { reason, line, text }: Remark,
  severity: 'recoverable' | 'unrecoverable' = 'recoverable',
): UcpMessage {
  const member = reason === 'sold-out' || reason === 'low-stock' ? '' : '.quantity';
  const path = line === undefined ? {} : { path: `$.line_items[${line}]${member}` };
  if (reason === 'low-stock') return { type: 'warning', code: codes[reason], ...path, content: text };
  return { type: 'error', code: codes[reason], ...path, content: text, severity };
}

const failureCodes: Partial<Record<Failure['code'], string>> = {
  IDEMPOTENCY_IN_FLIGHT: 'idempotency_in_flight',
  IDEMPOTENCY_KEY_REUSED: 'idempotency_conflict',
  HTTP_REQUEST_INVALID: 'invalid_request',
  HTTP_UNAUTHENTICATED: 'unauthorized',
  HTTP_FORBIDDEN: 'forbidden',
  HTTP_RATE_LIMITED: 'rate_limited',
};

export function ucpFailure({ code, message: content, path }: Failure): UcpError {
  return {
    code: failureCodes[code] ?? code.toLowerCase(),
    content: path === undefined ? content : `${path}: ${content}`,
  };
}

/** UCP knows one status for a key that was used otherwise: 409. */
export function ucpStatusOf({ status, code }: Failure): number {
  return code === 'IDEMPOTENCY_KEY_REUSED' ? 409 : status;
}
