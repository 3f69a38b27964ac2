import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { JsonText } from '../api/json-text.ts';
import { type Route, route } from '../api/route.ts';
import {
  availability,
  committed,
  denied,
  explanation,
  held,
  holdView,
  problem,
  refused,
  released,
} from './answers.ts';
import {
  availabilityQuery,
  changeBody,
  commitBody,
  decisionQuery,
  extendBody,
  holdParams,
  idempotencyHeaders,
  nothing,
  pendingBody,
  reserveBody,
} from './requests.ts';
import type { CallOptions, Outcome, ReservationService } from './service.ts';

const tag = 'reservations';
const problems = { 400: problem, 401: problem, 403: problem, 429: problem, 503: problem };
/** Of the addresses that take an Idempotency-Key. */
const conflict = <Answer extends z.ZodType>(answer: Answer) => ({
  409: z.union([answer, problem]),
  422: z.union([answer, problem]),
});

/** `/inventory/v1`, over the service that every other door uses too. */
export function reservationRoutes(service: ReservationService): readonly Route[] {
  return [
    route({
      method: 'POST',
      url: '/inventory/v1/reservations',
      scope: 'reserve',
      tag,
      summary: 'Reserve or deny, in one round trip',
      schemas: {
        headers: idempotencyHeaders,
        body: reserveBody,
        answers: { 201: held, ...conflict(denied), ...problems },
      },
      handler: ({ caller, body, headers, reply }) => {
        const signal = body.wait_seconds === undefined ? undefined : whenGone(reply);
        const idempotencyKey = headers['idempotency-key'];
        return service
          .reserve(caller, body, { idempotencyKey, signal })
          .then((outcome) => send(reply, outcome));
      },
    }),
    route({
      method: 'GET',
      url: '/inventory/v1/reservations/:hold_id',
      scope: 'availability',
      tag,
      summary: 'A hold as it is now',
      schemas: { params: holdParams, answers: { 200: holdView, 404: refused, ...problems } },
      handler: async ({ caller, params, reply }) => send(reply, await service.get(caller, params.hold_id)),
    }),
    route({
      method: 'POST',
      url: '/inventory/v1/reservations/:hold_id/change',
      scope: 'reserve',
      tag,
      summary: 'Other lines in its place, all or nothing: a new hold id, or the hold as it was',
      schemas: {
        params: holdParams,
        headers: idempotencyHeaders,
        body: changeBody,
        answers: {
          201: held,
          404: refused,
          ...conflict(z.union([denied, refused])),
          410: refused,
          ...problems,
        },
      },
      handler: async ({ caller, params, body, headers, reply }) =>
        send(reply, await service.change(caller, params.hold_id, body, options(headers))),
    }),
    route({
      method: 'POST',
      url: '/inventory/v1/reservations/:hold_id/extend',
      scope: 'reserve',
      tag,
      summary: 'A later deadline, never an earlier one, and never after it has passed',
      schemas: {
        params: holdParams,
        headers: idempotencyHeaders,
        body: z.union([extendBody, nothing]),
        answers: { 200: held, 404: refused, ...conflict(refused), 410: refused, ...problems },
      },
      handler: async ({ caller, params, body, headers, reply }) =>
        send(reply, await service.extend(caller, params.hold_id, body ?? {}, options(headers))),
    }),
    route({
      method: 'POST',
      url: '/inventory/v1/reservations/:hold_id/payment-pending',
      scope: 'reserve',
      tag,
      summary: 'The payment takes longer: keep the units until it is resolved',
      schemas: {
        params: holdParams,
        headers: idempotencyHeaders,
        body: z.union([pendingBody, nothing]),
        answers: { 200: held, 404: refused, ...conflict(refused), 410: refused, ...problems },
      },
      handler: async ({ caller, params, body, headers, reply }) =>
        send(reply, await service.paymentPending(caller, params.hold_id, body ?? {}, options(headers))),
    }),
    route({
      method: 'POST',
      url: '/inventory/v1/reservations/:hold_id/commit',
      scope: 'reserve',
      tag,
      summary: 'The hold, or a part of it, became an order',
      schemas: {
        params: holdParams,
        headers: idempotencyHeaders,
        body: z.union([commitBody, nothing]),
        answers: { 200: committed, 404: refused, ...conflict(refused), 410: refused, ...problems },
      },
      handler: async ({ caller, params, body, headers, reply }) =>
        send(reply, await service.commit(caller, params.hold_id, body ?? {}, options(headers))),
    }),
    route({
      method: 'POST',
      url: '/inventory/v1/reservations/:hold_id/release',
      scope: 'reserve',
      tag,
      summary: 'Give the units back',
      schemas: {
        params: holdParams,
        headers: idempotencyHeaders,
        body: nothing,
        answers: { 200: released, 404: refused, ...conflict(refused), 410: refused, ...problems },
      },
      handler: async ({ caller, params, headers, reply }) =>
        send(reply, await service.release(caller, params.hold_id, options(headers))),
    }),
    route({
      method: 'GET',
      url: '/inventory/v1/availability',
      scope: 'availability',
      tag,
      summary: 'What this caller could have, of one SKU or many',
      schemas: { query: availabilityQuery, answers: { 200: availability, ...problems } },
      // Most answers are ready at once: no promise is made for those.
      handler: ({ caller, query, reply }) => {
        const outcome = service.availability(caller, query);
        return outcome instanceof Promise
          ? outcome.then((answer) => send(reply, answer))
          : send(reply, outcome);
      },
    }),
    route({
      method: 'GET',
      url: '/inventory/v1/decisions',
      scope: 'availability',
      tag,
      summary: 'What was known, shown and decided about a hold or an order',
      schemas: { query: decisionQuery, answers: { 200: explanation, ...problems } },
      handler: async ({ caller, query, reply }) => send(reply, await service.explainDecision(caller, query)),
    }),
  ];
}

function options(headers: z.output<typeof idempotencyHeaders>): CallOptions {
  const idempotencyKey = headers['idempotency-key'];
  return idempotencyKey === undefined ? {} : { idempotencyKey };
}

/** Aborted when the caller hangs up. (Fastify's own signal is aborted as soon as the body has been read.) */
function whenGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}

function send<Body>(reply: FastifyReply, outcome: Outcome<Body>): Body | JsonText {
  const { status, text } = outcome;
  if (status !== 200) reply.code(status);
  // Whoever is denied or refused is told when to come back; nobody else.
  const wait = status < 400 ? undefined : retryOf(outcome.body);
  if (wait !== undefined) reply.header('retry-after', String(Math.ceil(wait)));
  if (outcome.isReplayed) reply.header('idempotent-replayed', 'true');
  return text === undefined ? outcome.body : new JsonText(text);
}

/** Seconds after which a denied or refused request may be worth a repeat. */
function retryOf(body: unknown): number | undefined {
  if (typeof body !== 'object' || body === null || !('retry' in body)) return undefined;
  const { retry } = body as { readonly retry: { readonly after_seconds: number | null } };
  return retry.after_seconds ?? undefined;
}
