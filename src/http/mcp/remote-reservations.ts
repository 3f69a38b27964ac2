import { StockmeshError } from '../../domain/errors.ts';
import type { Secret } from '../../domain/secret.ts';
import type { CallOptions, Outcome, ReservationService } from '../reservations/service.ts';

const answerWithinMs = 70_000;

/**
 * The service of a running daemon, through its REST routes. Who calls is decided there, by the key: the `caller` of each
 * method is not looked at. A problem is the body of the outcome, with its status.
 */
export function remoteReservations(origin: string, key: Secret | undefined): ReservationService {
  const call = async (method: 'GET' | 'POST', path: string, body?: object, options: CallOptions = {}) => {
    const { idempotencyKey } = options;
    let response: Response;
    try {
      response = await fetch(`${origin}/inventory/v1${path}`, {
        method,
        signal: AbortSignal.timeout(answerWithinMs),
        headers: {
          ...(key === undefined ? {} : { authorization: `Bearer ${key.reveal()}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      const reason = error instanceof Error ? error.name : 'unknown';
      throw new StockmeshError(
        'LEDGER_UNREACHABLE',
        { command: path, deadlineMs: answerWithinMs, reason },
        { cause: error },
      );
    }
    const isReplayed = response.headers.get('idempotent-replayed') === 'true';
    return {
      status: response.status,
      body: (await response.json()) as never,
      isReplayed,
    } satisfies Outcome<never>;
  };
  const ofHold = (holdId: string, action = ''): string =>
    `/reservations/${encodeURIComponent(holdId)}${action}`;
  return {
    reserve: (_caller, body, options) => call('POST', '/reservations', body, options),
    change: (_caller, holdId, body, options) => call('POST', ofHold(holdId, '/change'), body, options),
    extend: (_caller, holdId, body, options) => call('POST', ofHold(holdId, '/extend'), body, options),
    paymentPending: (_caller, holdId, body, options) =>
      call('POST', ofHold(holdId, '/payment-pending'), body, options),
    commit: (_caller, holdId, body, options) => call('POST', ofHold(holdId, '/commit'), body, options),
    release: (_caller, holdId, options) => call('POST', ofHold(holdId, '/release'), {}, options),
    get: (_caller, holdId) => call('GET', ofHold(holdId)),
    availability: (_caller, query) => call('GET', `/availability${queryOf(query)}`),
    explainDecision: (_caller, query) => call('GET', `/decisions${queryOf(query)}`),
  };
}

function queryOf(query: Readonly<Record<string, string | readonly string[] | undefined>>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => [name, one] as [string, string]),
  );
  return `?${new URLSearchParams(pairs).toString()}`;
}
