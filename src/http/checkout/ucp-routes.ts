import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Caller } from '../api/caller.ts';
import { type Route, route } from '../api/route.ts';
import type { PrivateRoutes } from '../private-route.ts';
import { availabilityQuery } from '../reservations/requests.ts';
import type { ReservationService } from '../reservations/service.ts';
import type { AnswerStore } from './answered-once.ts';
import type { AskedLine, CheckoutDesk, DeskAnswer } from './checkout-desk.ts';
import {
  availabilityTold,
  orderNamed,
  protocolRoutes,
  sessionParams as params,
  tellOnce,
  type Told,
} from './protocol-routes.ts';
import type { SessionForm, SessionKind } from './session.ts';
import {
  messageOf,
  ucpAvailabilityAnswer,
  ucpCancel,
  ucpCartAnswer,
  ucpCartOf,
  ucpCheckoutAnswer,
  ucpCheckoutOf,
  ucpComplete,
  ucpError,
  ucpErrorOf,
  ucpErrorResponse,
  ucpFailure,
  ucpHeaders,
  ucpNotFound,
  ucpSession,
  ucpStatusOf,
} from './ucp.ts';
import { ucpAvailability } from './words.ts';

const tag = 'ucp';
const errors = { 400: ucpError, 401: ucpError, 403: ucpError, 409: ucpError, 429: ucpError, 503: ucpError };
const readErrors = { 400: ucpError, 401: ucpError, 403: ucpError, 429: ucpError, 503: ucpError };

/** The stock part of UCP's checkout and cart endpoints, under `/ucp`. Business outcomes are told with 200, as it asks. */
export function ucpTable(
  desk: CheckoutDesk,
  service: Pick<ReservationService, 'availability'>,
  store: AnswerStore,
): readonly Route[] {
  const answer = (
    input: {
      caller: Caller;
      headers: z.output<typeof ucpHeaders>;
      body: unknown;
      reply: FastifyReply;
    },
    address: string,
    act: (key: string | undefined) => Promise<Told>,
  ): Promise<object> => tellOnce(store, input, `ucp ${address}`, input.headers['idempotency-key'], act);

  const resource = (kind: SessionKind, path: string, shown: z.ZodType): readonly Route[] => {
    const form: SessionForm = { protocol: 'ucp', kind };
    const outcome = z.union([shown, ucpErrorResponse]);
    return [
      route({
        method: 'POST',
        url: `/ucp/${path}`,
        scope: 'reserve',
        tag,
        summary: `A ${kind} begins: its lines are held, or it says which cannot be had`,
        schemas: {
          headers: ucpHeaders,
          body: ucpSession,
          answers: { 200: ucpErrorResponse, 201: shown, ...errors },
        },
        handler: (input) =>
          answer(input, `POST /${path}`, async (key) =>
            told(kind, await desk.create(input.caller, form, linesOf(input.body), key, true), 201),
          ),
      }),
      route({
        method: 'GET',
        url: `/ucp/${path}/:id`,
        scope: 'availability',
        tag,
        summary: `A ${kind} as it is now`,
        schemas: { params, answers: { 200: outcome, ...readErrors } },
        handler: async ({ caller, params: { id } }) => told(kind, await desk.show(caller, form, id)).body,
      }),
      route({
        method: 'PUT',
        url: `/ucp/${path}/:id`,
        scope: 'reserve',
        tag,
        summary: `The whole ${kind} anew, all or nothing`,
        schemas: { params, headers: ucpHeaders, body: ucpSession, answers: { 200: outcome, ...errors } },
        handler: (input) =>
          answer(input, `PUT /${path}/${input.params.id}`, async (key) =>
            told(kind, await desk.update(input.caller, form, input.params.id, linesOf(input.body), key)),
          ),
      }),
      route({
        method: 'POST',
        url: `/ucp/${path}/:id/cancel`,
        scope: 'reserve',
        tag,
        summary: `What the ${kind} holds is given back`,
        schemas: { params, headers: ucpHeaders, body: ucpCancel, answers: { 200: outcome, ...errors } },
        handler: (input) =>
          answer(input, `POST /${path}/${input.params.id}/cancel`, async (key) => {
            const answered = await desk.cancel(input.caller, form, input.params.id, key);
            // The answer to its own cancellation shows a cart for the last time.
            return kind === 'cart' && answered.kind === 'shown'
              ? { status: 200, body: ucpCartOf(answered.view) }
              : told(kind, answered);
          }),
      }),
    ];
  };

  return [
    ...resource('checkout', 'checkout-sessions', ucpCheckoutAnswer),
    route({
      method: 'POST',
      url: '/ucp/checkout-sessions/:id/complete',
      scope: 'reserve',
      tag,
      summary: 'The checkout became an order: what it holds is committed to it',
      schemas: {
        params,
        headers: ucpHeaders,
        body: ucpComplete,
        answers: { 200: z.union([ucpCheckoutAnswer, ucpErrorResponse]), ...errors },
      },
      handler: (input) =>
        answer(input, `POST /checkout-sessions/${input.params.id}/complete`, async (key) => {
          const { id } = input.params;
          const order = orderNamed(input.body.order, id);
          const form: SessionForm = { protocol: 'ucp', kind: 'checkout' };
          return told('checkout', await desk.complete(input.caller, form, id, order, key));
        }),
    }),
    ...resource('cart', 'carts', ucpCartAnswer),
    route({
      method: 'GET',
      url: '/ucp/availability',
      scope: 'availability',
      tag,
      summary: 'Availability of SKUs in the words of UCP variants',
      schemas: { query: availabilityQuery, answers: { 200: ucpAvailabilityAnswer, ...readErrors } },
      handler: ({ caller, query }) => availabilityTold(service, caller, query, ucpAvailability),
    }),
  ];
}

export function ucpRoutes(table: readonly Route[], log: Logger): PrivateRoutes {
  return protocolRoutes(table, log, (failure) => ({
    status: ucpStatusOf(failure),
    body: ucpFailure(failure),
  }));
}

function linesOf({ line_items }: z.output<typeof ucpSession>): readonly AskedLine[] {
  return line_items.map(({ item, quantity }) => ({ sku: item.id, quantity }));
}

function told(kind: SessionKind, answer: DeskAnswer, status = 200): Told {
  switch (answer.kind) {
    case 'shown': {
      const { view } = answer;
      const isGone = kind === 'cart' && (view.phase === 'expired' || view.phase === 'canceled');
      if (isGone) return { status: 200, body: ucpNotFound(kind) };
      return { status, body: kind === 'cart' ? ucpCartOf(view) : ucpCheckoutOf(view) };
    }
    case 'unknown':
      return { status: 200, body: ucpNotFound(kind) };
    case 'unknown-item':
      return {
        status: 200,
        body: ucpErrorOf(kind, [
          {
            type: 'error',
            code: 'item_unavailable',
            path: `$.line_items[${answer.line}].item.id`,
            content: `nothing is known of ${answer.sku}`,
            severity: 'unrecoverable',
          },
        ]),
      };
    case 'nothing-there':
      return {
        status: 200,
        body: ucpErrorOf(
          kind,
          answer.remarks.map((remark) => messageOf(remark, 'unrecoverable')),
        ),
      };
    case 'not-open': {
      if (kind === 'cart') return { status: 200, body: ucpNotFound(kind) };
      const shown = ucpCheckoutOf(answer.view);
      const text = `the checkout is ${answer.view.phase}; nothing was changed`;
      const refusal = messageOf({ kind: 'error', reason: 'not-open', text }, 'unrecoverable');
      return { status: 200, body: { ...shown, messages: [...shown.messages, refusal] } };
    }
  }
}
