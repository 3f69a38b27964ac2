import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import type { Caller } from '../api/caller.ts';
import { type Route, route } from '../api/route.ts';
import type { PrivateRoutes } from '../private-route.ts';
import { availabilityQuery } from '../reservations/requests.ts';
import type { ReservationService } from '../reservations/service.ts';
import {
  acpAvailability,
  acpCancel,
  acpCart,
  acpCartAnswer,
  acpCartOf,
  acpComplete,
  acpError,
  acpFailure,
  type AcpHeaders,
  acpHeaders,
  acpSessionAnswer,
  acpSessionCreate,
  acpSessionUpdate,
} from './acp.ts';
import { told, wrongHeaders } from './acp-told.ts';
import type { AnswerStore } from './answered-once.ts';
import type { AskedLine, CheckoutDesk } from './checkout-desk.ts';
import {
  availabilityTold,
  orderNamed,
  protocolRoutes,
  sessionParams as params,
  tellOnce,
  type Told,
} from './protocol-routes.ts';
import type { SessionForm } from './session.ts';
import { acpFeedAvailability } from './words.ts';

const tag = 'acp';
const errors = { 400: acpError, 401: acpError, 403: acpError, 429: acpError, 503: acpError };
const postErrors = { ...errors, 409: acpError, 422: acpError };

/** The stock part of ACP's checkout and cart endpoints, under `/acp`. */
export function acpTable(
  desk: CheckoutDesk,
  service: Pick<ReservationService, 'availability'>,
  store: AnswerStore,
): readonly Route[] {
  const checkout: SessionForm = { protocol: 'acp', kind: 'checkout' };
  const cart: SessionForm = { protocol: 'acp', kind: 'cart' };

  /** What every request must say, before anything is looked at. */
  const answer = async (
    input: { caller: Caller; headers: AcpHeaders; body?: unknown; reply: FastifyReply },
    address: string | undefined,
    act: (key: string | undefined) => Promise<Told>,
  ): Promise<object> => {
    const { headers, reply } = input;
    const key = headers['idempotency-key'];
    if (headers['request-id'] !== undefined) reply.header('request-id', headers['request-id']);
    if (key !== undefined) reply.header('idempotency-key', key);
    const wrong = wrongHeaders(headers, address?.startsWith('POST ') === true);
    if (wrong !== undefined) {
      reply.code(400);
      return wrong;
    }
    if (address === undefined) {
      const unkeyed = await act(undefined);
      reply.code(unkeyed.status);
      return unkeyed.body;
    }
    return tellOnce(store, input, `acp ${address}`, key, act);
  };

  return [
    route({
      method: 'POST',
      url: '/acp/checkout_sessions',
      scope: 'reserve',
      tag,
      summary: 'A checkout session begins: its lines are held, or it is not ready for payment',
      schemas: {
        headers: acpHeaders,
        body: acpSessionCreate,
        answers: { 201: acpSessionAnswer, ...postErrors },
      },
      handler: (input) =>
        answer(input, 'POST /checkout_sessions', async (key) =>
          told(
            'checkout',
            await desk.create(input.caller, checkout, linesOf(input.body.line_items), key, false),
            201,
          ),
        ),
    }),
    route({
      method: 'GET',
      url: '/acp/checkout_sessions/:id',
      scope: 'availability',
      tag,
      summary: 'A checkout session as it is now',
      schemas: { params, headers: acpHeaders, answers: { 200: acpSessionAnswer, 404: acpError, ...errors } },
      handler: (input) =>
        answer(input, undefined, async () =>
          told('checkout', await desk.show(input.caller, checkout, input.params.id)),
        ),
    }),
    route({
      method: 'POST',
      url: '/acp/checkout_sessions/:id',
      scope: 'reserve',
      tag,
      summary: 'Other lines, all or nothing; without lines the deadline moves',
      schemas: {
        params,
        headers: acpHeaders,
        body: acpSessionUpdate,
        answers: { 200: acpSessionAnswer, 404: acpError, 405: acpError, ...postErrors },
      },
      handler: (input) =>
        answer(input, `POST /checkout_sessions/${input.params.id}`, async (key) => {
          const { line_items: items } = input.body;
          const lines = items === undefined ? undefined : linesOf(items);
          return told('checkout', await desk.update(input.caller, checkout, input.params.id, lines, key));
        }),
    }),
    route({
      method: 'POST',
      url: '/acp/checkout_sessions/:id/complete',
      scope: 'reserve',
      tag,
      summary: 'The session became an order: what it holds is committed to it',
      schemas: {
        params,
        headers: acpHeaders,
        body: acpComplete,
        answers: { 200: acpSessionAnswer, 404: acpError, 405: acpError, ...postErrors },
      },
      handler: (input) =>
        answer(input, `POST /checkout_sessions/${input.params.id}/complete`, async (key) => {
          const { id } = input.params;
          const order = orderNamed(input.body.order, id);
          return told('checkout', await desk.complete(input.caller, checkout, id, order, key));
        }),
    }),
    route({
      method: 'POST',
      url: '/acp/checkout_sessions/:id/cancel',
      scope: 'reserve',
      tag,
      summary: 'What the session holds is given back',
      schemas: {
        params,
        headers: acpHeaders,
        body: acpCancel,
        answers: { 200: acpSessionAnswer, 404: acpError, 405: acpError, ...postErrors },
      },
      handler: (input) =>
        answer(input, `POST /checkout_sessions/${input.params.id}/cancel`, async (key) =>
          told('checkout', await desk.cancel(input.caller, checkout, input.params.id, key)),
        ),
    }),
    route({
      method: 'POST',
      url: '/acp/carts',
      scope: 'reserve',
      tag,
      summary: 'A cart: its lines are held for the time of a cart',
      schemas: { headers: acpHeaders, body: acpCart, answers: { 201: acpCartAnswer, ...postErrors } },
      handler: (input) =>
        answer(input, 'POST /carts', async (key) =>
          told('cart', await desk.create(input.caller, cart, linesOf(input.body.line_items), key, true), 201),
        ),
    }),
    route({
      method: 'GET',
      url: '/acp/carts/:id',
      scope: 'availability',
      tag,
      summary: 'A cart as it is now',
      schemas: { params, headers: acpHeaders, answers: { 200: acpCartAnswer, 404: acpError, ...errors } },
      handler: (input) =>
        answer(input, undefined, async () =>
          told('cart', await desk.show(input.caller, cart, input.params.id)),
        ),
    }),
    route({
      method: 'PUT',
      url: '/acp/carts/:id',
      scope: 'reserve',
      tag,
      summary: 'The whole cart anew, all or nothing',
      schemas: {
        params,
        headers: acpHeaders,
        body: acpCart,
        answers: { 200: acpCartAnswer, 404: acpError, ...postErrors },
      },
      handler: (input) =>
        answer(input, `PUT /carts/${input.params.id}`, async (key) => {
          const lines = linesOf(input.body.line_items);
          return told('cart', await desk.update(input.caller, cart, input.params.id, lines, key));
        }),
    }),
    route({
      method: 'POST',
      url: '/acp/carts/:id/cancel',
      scope: 'reserve',
      tag,
      summary: 'The cart is given up; its last state is the answer',
      schemas: {
        params,
        headers: acpHeaders,
        body: acpCancel,
        answers: { 200: acpCartAnswer, 404: acpError, ...postErrors },
      },
      handler: (input) =>
        answer(input, `POST /carts/${input.params.id}/cancel`, async (key) => {
          const answered = await desk.cancel(input.caller, cart, input.params.id, key);
          // Of this answer alone the cart is still there: "MUST return the cart state before deletion".
          return answered.kind === 'shown'
            ? { status: 200, body: acpCartOf(answered.view) }
            : told('cart', answered);
        }),
    }),
    route({
      method: 'GET',
      url: '/acp/availability',
      scope: 'availability',
      tag,
      summary: 'Availability of SKUs in the words of an ACP product feed',
      schemas: { query: availabilityQuery, answers: { 200: acpAvailability, ...errors } },
      handler: ({ caller, query }) => availabilityTold(service, caller, query, acpFeedAvailability),
    }),
  ];
}

export function acpRoutes(table: readonly Route[], log: Logger): PrivateRoutes {
  return protocolRoutes(table, log, (failure) => ({ status: failure.status, body: acpFailure(failure) }));
}

function linesOf(
  items: readonly { readonly id: string; readonly quantity?: number | undefined }[],
): readonly AskedLine[] {
  return items.map(({ id, quantity }) => ({ sku: id, quantity: quantity ?? 1 }));
}
