import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Caller } from '../api/caller.ts';
import { type ErrorHandler, tableRoutes } from '../api/register-routes.ts';
import type { Route } from '../api/route.ts';
import type { PrivateRoutes } from '../private-route.ts';
import type { AvailabilityQuery } from '../reservations/requests.ts';
import type { ReservationService } from '../reservations/service.ts';
import { answeredOnce, type AnswerStore } from './answered-once.ts';
import { type Failure, failureOf } from './failure.ts';
import type { ToldStatus } from './words.ts';

/** What the doors of both protocols do alike: each has words, statuses and needs of its own. */

/** An outcome in the words of a protocol. */
export type Told = { readonly status: number; readonly body: object };

export const sessionParams = z.strictObject({ id: z.string().regex(/^[A-Za-z0-9._-]{1,120}$/) });

/** Sends what `act` tells, or what the first request with the same Idempotency-Key at the address was told. */
export async function tellOnce(
  store: AnswerStore,
  input: { readonly caller: Caller; readonly body?: unknown; readonly reply: FastifyReply },
  address: string,
  key: string | undefined,
  act: (key: string | undefined) => Promise<Told>,
): Promise<object> {
  const { caller, body, reply } = input;
  const outcome = await answeredOnce(store, caller, address, key, body, act);
  reply.code(outcome.status);
  if (outcome.isReplayed) reply.header('idempotent-replayed', 'true');
  return outcome.body;
}

/** The order a completion names; what it does not say follows from the session. */
export function orderNamed(
  order:
    | {
        readonly id?: string | undefined;
        readonly channel?: string | undefined;
        readonly permalink_url?: string | undefined;
      }
    | undefined,
  sessionId: string,
): { readonly channel: string; readonly id: string; readonly permalinkUrl: string | undefined } {
  return {
    channel: order?.channel ?? 'direct',
    id: order?.id ?? sessionId,
    permalinkUrl: order?.permalink_url,
  };
}

/** What can be had of each SKU, in the words of a protocol. */
export async function availabilityTold<Words>(
  service: Pick<ReservationService, 'availability'>,
  caller: Caller,
  query: AvailabilityQuery,
  wordsOf: (status: ToldStatus) => Words,
): Promise<{ readonly items: readonly { readonly id: string; readonly availability: Words }[] }> {
  const { body } = await service.availability(caller, query);
  return { items: body.items.map(({ sku, status }) => ({ id: sku, availability: wordsOf(status) })) };
}

/** A table of routes that tells failures as its protocol does. */
export function protocolRoutes(
  table: readonly Route[],
  log: Logger,
  toldOf: (failure: Failure) => Told,
): PrivateRoutes {
  const onError: ErrorHandler = (error, request, reply) => {
    const failure = failureOf(error);
    if (failure.isDefect) log.error({ err: error, requestId: request.id }, 'request failed');
    if (failure.retryAfterS !== undefined) reply.header('retry-after', String(failure.retryAfterS));
    if (failure.status === 401) reply.header('www-authenticate', 'Bearer');
    if (failure.status === 413) reply.header('connection', 'close');
    const { status, body } = toldOf(failure);
    return reply.code(status).type('application/json').send(JSON.stringify(body));
  };
  return tableRoutes(table, onError);
}
