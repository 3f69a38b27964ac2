import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, type ErrorFields, StockmeshError } from '../domain/errors.ts';

/** HTTP status of an error; absent: a defect, 500. */
export const statusOf: Partial<Record<ErrorCode, number>> = {
  WEBHOOK_FORGED: 401,
  WEBHOOK_MALFORMED: 400,
  HTTP_REQUEST_INVALID: 400,
  LEDGER_REQUEST_INVALID: 400,
  HTTP_UNAUTHENTICATED: 401,
  HTTP_FORBIDDEN: 403,
  HTTP_NOT_FOUND: 404,
  IDEMPOTENCY_IN_FLIGHT: 409,
  MOVEMENTS_GONE: 410,
  HTTP_BODY_TOO_LARGE: 413,
  HTTP_MEDIA_TYPE_UNSUPPORTED: 415,
  IDEMPOTENCY_KEY_REUSED: 422,
  HTTP_RATE_LIMITED: 429,
  INBOX_FULL: 503,
  INBOX_UNAVAILABLE: 503,
  HTTP_OVERLOADED: 503,
  REDIS_UNAVAILABLE: 503,
  LEDGER_UNREACHABLE: 503,
  LEDGER_UNAVAILABLE: 503,
  LEDGER_OVERLOADED: 503,
  LEDGER_FULL: 503,
  LEDGER_HALTED: 503,
};

/** An answer of RFC 9457 with our code, whether a repeat may help, and the request id under which the log has more. */
export async function sendProblem<Code extends ErrorCode>(
  request: FastifyRequest,
  reply: FastifyReply,
  code: Code,
  fields: ErrorFields<Code>,
  retryAfterS?: number,
): Promise<void> {
  const error = new StockmeshError(code, fields);
  const status = statusOf[code] ?? 500;
  const afterS = retryAfterS ?? fields['retryAfterS'];
  if (status === 503 || afterS !== undefined) reply.header('retry-after', String(afterS ?? 1));
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  await reply
    .code(status)
    .type('application/problem+json')
    .send(JSON.stringify(problemOf(error, status, request.id)));
}

/** Whatever was thrown while answering. Only errors of ours are shown; the rest is a defect and stays in the log. */
export async function sendThrown(
  request: FastifyRequest,
  reply: FastifyReply,
  thrown: unknown,
): Promise<'ours' | 'defect'> {
  if (thrown instanceof StockmeshError) {
    const code: ErrorCode = thrown.code;
    if (statusOf[code] !== undefined) {
      await sendProblem(request, reply, code, thrown.fields as ErrorFields<ErrorCode>);
      return 'ours';
    }
  }
  const status = isHttpError(thrown) ? thrown.statusCode : 500;
  if (status === 413) {
    // What is left of the body is not worth reading.
    reply.header('connection', 'close');
    await sendProblem(request, reply, 'HTTP_BODY_TOO_LARGE', {
      maxBytes: request.routeOptions.bodyLimit ?? 0,
    });
    return 'ours';
  }
  if (status === 415) {
    await sendProblem(request, reply, 'HTTP_MEDIA_TYPE_UNSUPPORTED', {
      reason: 'see the documentation of this address',
    });
    return 'ours';
  }
  if (status >= 400 && status < 500) {
    await sendProblem(request, reply, 'HTTP_REQUEST_INVALID', {
      reason: validationReason(thrown) ?? (isHttpError(thrown) ? thrown.code : 'unknown'),
    });
    return 'ours';
  }
  await sendProblem(request, reply, 'INTERNAL_ERROR', {});
  return 'defect';
}

const maxReasons = 5;

/** What the schema of a route found, named by path. */
function validationReason(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('validation' in thrown) || !Array.isArray(thrown.validation))
    return undefined;
  const issues = thrown.validation as readonly {
    readonly instancePath?: string;
    readonly message?: string;
  }[];
  return issues
    .slice(0, maxReasons)
    .map(({ instancePath = '', message = '' }) =>
      `${instancePath.slice(1).replaceAll('/', '.')}: ${message}`.slice(0, 300),
    )
    .join('; ');
}

function problemOf(error: StockmeshError, status: number, requestId: string): Record<string, unknown> {
  return {
    type: `urn:stockmesh:error:${error.code}`,
    title: error.message,
    status,
    code: error.code,
    retryable: error.retryable,
    requestId,
  };
}

export function isHttpError(
  thrown: unknown,
): thrown is { readonly statusCode: number; readonly code: string } {
  return (
    thrown instanceof Error &&
    'statusCode' in thrown &&
    typeof thrown.statusCode === 'number' &&
    'code' in thrown &&
    typeof thrown.code === 'string'
  );
}
