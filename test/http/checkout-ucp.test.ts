import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noCatalogue } from '../../src/domain/catalogue.ts';
import {
  acpFeedAvailability,
  acpLineStatus,
  type ToldStatus,
  ucpAvailability,
} from '../../src/http/checkout/words.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { receive, sku as skuOf, storedLevel } from '../support/stock.ts';
import { ucpSchemas } from './support/commerce-schemas.ts';
import { type Answer, ReservationRig } from './support/reservation-rig.ts';

failOnLeakedConnections();

const schemaErrors = ucpSchemas();
const checkoutFile = 'shopping/checkout.json';
const cartFile = 'shopping/cart.json';
const errorFile = 'common/types/error_response.json';

let rig: ReservationRig;
beforeEach(async () => {
  rig = await ReservationRig.start({
    catalogue: {
      ...noCatalogue,
      default: { agents: { keepPercent: 10, agentCapUnits: 2 } },
      bundles: new Map([[skuOf('SET'), [{ sku: skuOf('PART'), units: 2 }]]]),
    },
  });
});
afterEach(() => rig.close());

function send(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return rig.call(method, `/ucp${path}`, body, {
    'ucp-agent': 'profile="https://platform.example/profile"',
    ...headers,
  });
}
const lines = (...items: readonly [string, number][]) => ({
  line_items: items.map(([id, quantity]) => ({ item: { id }, quantity })),
});
async function stocked(sku: string, units: number): Promise<void> {
  await receive(rig.parts, sku, units);
  await expect
    .poll(async () => (await rig.call('GET', `/inventory/v1/availability?sku=${sku}`)).body, {
      timeout: 20_000,
    })
    .toMatchObject({ items: [{ available: units }] });
}
async function level(sku: string) {
  const { reserved, committed } = await storedLevel(rig.parts, sku);
  return { reserved, committed };
}
const notFound = (what: string) => ({
  ucp: { status: 'error' },
  messages: [
    {
      type: 'error',
      code: 'not_found',
      content: `${what} not found or has expired`,
      severity: 'unrecoverable',
    },
  ],
});

describe('refuses, and holds nothing', () => {
  test('what is no request: a protocol error of code and content', async () => {
    for (const body of [{}, lines(), lines(['S', 0]), { line_items: [{ id: 'S', quantity: 1 }] }, '{"x":']) {
      const answer = await send('POST', '/checkout-sessions', body);
      expect(answer.status).toBe(400);
      expect(Object.keys(answer.body).toSorted()).toEqual(['code', 'content']);
      expect(answer.body['code']).toBe('invalid_request');
    }
    const stranger = await send('GET', '/carts/x.v1', undefined, { authorization: 'Bearer nonsense' });
    expect([stranger.status, stranger.body['code']]).toEqual([401, 'unauthorized']);
  });

  test('what is not there is a business outcome: 200 and not_found', async () => {
    for (const [method, path, body] of [
      ['GET', '/checkout-sessions/local.uNOBODY', undefined],
      ['PUT', '/checkout-sessions/local.uNOBODY', lines(['S', 1])],
      ['POST', '/checkout-sessions/local.uNOBODY/complete', {}],
      ['POST', '/checkout-sessions/local.uNOBODY/cancel', undefined],
    ] as const) {
      const answer = await send(method, path, body);
      expect([answer.status, answer.body]).toMatchObject([200, notFound('Checkout')]);
      expect(schemaErrors(errorFile, answer.body)).toEqual([]);
    }
    const cart = await send('GET', '/carts/local.vNOBODY');
    expect(cart.body).toMatchObject(notFound('Cart'));
  });

  test('nothing can be had: error_response, and no checkout; an item nobody knows: item_unavailable', async () => {
    await stocked('S', 1);
    await rig.reserve({ sku: 'S', quantity: 1 });
    const answer = await send('POST', '/checkout-sessions', lines(['S', 1]));
    expect([answer.status, answer.body]).toMatchObject([
      200,
      {
        ucp: { status: 'error' },
        messages: [{ code: 'out_of_stock', severity: 'unrecoverable', path: '$.line_items[0]' }],
      },
    ]);
    expect(schemaErrors(errorFile, answer.body)).toEqual([]);
    const unknown = await send('POST', '/carts', lines(['NOWHERE', 1]));
    expect(unknown.body).toMatchObject({
      ucp: { status: 'error' },
      messages: [{ code: 'item_unavailable' }],
    });
    expect(schemaErrors(errorFile, unknown.body)).toEqual([]);
  });

  test('some of it can be had: the checkout is incomplete, and holds nothing of it', async () => {
    await stocked('S', 2);
    await stocked('T', 2);
    const answer = await send('POST', '/checkout-sessions', lines(['T', 1], ['S', 3]));
    expect([answer.status, answer.body]).toMatchObject([
      201,
      {
        ucp: { status: 'success' },
        status: 'incomplete',
        messages: [{ code: 'out_of_stock', path: '$.line_items[1].quantity', severity: 'recoverable' }],
      },
    ]);
    expect(schemaErrors(checkoutFile, answer.body)).toEqual([]);
    expect([await level('S'), await level('T')]).toEqual([
      { reserved: 0, committed: 0 },
      { reserved: 0, committed: 0 },
    ]);
  });

  test('one agent takes no more through this door than through any other', async () => {
    await stocked('S', 100);
    const agent = await rig.key({ class: 'agent', agentId: 'a-1' });
    const made = await send('POST', '/checkout-sessions', lines(['S', 3]), agent);
    expect(made.body).toMatchObject({
      status: 'incomplete',
      messages: [{ code: 'quantity_limit_exceeded' }],
    });
    const two = await send('POST', '/checkout-sessions', lines(['S', 2]), agent);
    expect(two.body).toMatchObject({ status: 'ready_for_complete' });
    const another = await send('POST', '/carts', lines(['S', 1]), agent);
    expect(another.body).toMatchObject({ messages: [{ code: 'quantity_limit_exceeded' }] });
    expect(await level('S')).toEqual({ reserved: 2, committed: 0 });
    // To another key the session does not exist.
    const other = await rig.key({ class: 'checkout' });
    const foreign = await send('GET', `/checkout-sessions/${String(two.body['id'])}`, undefined, other);
    expect(foreign.body).toMatchObject(notFound('Checkout'));
  });

  test('the same Idempotency-Key with another body: 409', async () => {
    await stocked('S', 5);
    const headers = { 'idempotency-key': randomUUID() };
    const first = await send('POST', '/checkout-sessions', lines(['S', 1]), headers);
    const again = await send('POST', '/checkout-sessions', lines(['S', 1]), headers);
    expect([again.status, again.body, again.headers.get('idempotent-replayed')]).toEqual([
      201,
      first.body,
      'true',
    ]);
    const other = await send('POST', '/checkout-sessions', lines(['S', 2]), headers);
    expect([other.status, other.body['code']]).toEqual([409, 'idempotency_conflict']);
    expect(await level('S')).toEqual({ reserved: 1, committed: 0 });
  });
});

test('a checkout: made, replaced, completed for the order it became; then nothing of it moves', async () => {
  await stocked('S', 3);
  const made = await send('POST', '/checkout-sessions', lines(['S', 1]));
  expect([made.status, made.body['status']]).toEqual([201, 'ready_for_complete']);
  expect(schemaErrors(checkoutFile, made.body)).toEqual([]);
  const at = `/checkout-sessions/${String(made.body['id'])}`;
  const put = await send('PUT', at, lines(['S', 3]));
  expect(put.body).toMatchObject({ status: 'ready_for_complete', line_items: [{ id: 'li_1', quantity: 3 }] });
  const over = await send('PUT', at, lines(['S', 4]));
  expect(over.body).toMatchObject({ status: 'incomplete', messages: [{ code: 'out_of_stock' }] });
  expect(await level('S')).toEqual({ reserved: 3, committed: 0 });
  expect((await send('POST', `${at}/complete`, {})).body['status']).toBe('incomplete');
  expect((await send('PUT', at, lines(['S', 2]))).body['status']).toBe('ready_for_complete');
  const order = { id: 'U-1', permalink_url: 'https://shop.example/o/1' };
  const done = await send('POST', `${at}/complete`, { payment: { instruments: [] }, order });
  expect(done.body).toMatchObject({ status: 'completed', order });
  expect(schemaErrors(checkoutFile, done.body)).toEqual([]);
  expect(await level('S')).toEqual({ reserved: 0, committed: 2 });
  for (const answer of [
    await send('POST', `${at}/cancel`),
    await send('PUT', at, lines(['S', 1])),
    await send('POST', `${at}/complete`, { order: { id: 'U-2' } }),
  ]) {
    expect([answer.status, answer.body]).toMatchObject([
      200,
      {
        status: 'completed',
        messages: [{ type: 'error', code: 'operation_not_allowed', severity: 'unrecoverable' }],
      },
    ]);
    expect(schemaErrors(checkoutFile, answer.body)).toEqual([]);
  }
  expect(await level('S')).toEqual({ reserved: 0, committed: 2 });
});

test('a cart and a checkout of a bundle hold its parts; cancelling gives them back', async () => {
  await stocked('PART', 5);
  const cart = await send('POST', '/carts', lines(['SET', 1]));
  expect(cart.status).toBe(201);
  expect(schemaErrors(cartFile, cart.body)).toEqual([]);
  expect(await level('PART')).toEqual({ reserved: 2, committed: 0 });
  const at = `/carts/${String(cart.body['id'])}`;
  // The units of the first bundle count for the second.
  expect((await send('PUT', at, lines(['SET', 2]))).body).toMatchObject({ line_items: [{ quantity: 2 }] });
  expect(await level('PART')).toEqual({ reserved: 4, committed: 0 });
  const over = await send('PUT', at, lines(['SET', 3]));
  expect(over.body).toMatchObject({ messages: [{ type: 'error', code: 'out_of_stock' }] });
  const last = await send('POST', `${at}/cancel`);
  expect(last.body).toMatchObject({ id: cart.body['id'], ucp: { status: 'success' } });
  expect(await level('PART')).toEqual({ reserved: 0, committed: 0 });
  expect((await send('GET', at)).body).toMatchObject(notFound('Cart'));
});

test('every status of ours has its word in both protocols', () => {
  const ours: readonly ToldStatus[] = [
    'in_stock',
    'low_stock',
    'backorder',
    'preorder',
    'out_of_stock',
    'discontinued',
    'unknown',
  ];
  expect(
    ours.map((status) => [ucpAvailability(status), acpFeedAvailability(status), acpLineStatus(status)]),
  ).toEqual([
    [{ available: true, status: 'in_stock' }, { available: true, status: 'in_stock' }, 'in_stock'],
    [{ available: true, status: 'in_stock' }, { available: true, status: 'limited_stock' }, 'low_stock'],
    [{ available: true, status: 'backorder' }, { available: true, status: 'backorder' }, 'backorder'],
    [{ available: true, status: 'preorder' }, { available: true, status: 'preorder' }, 'pre_order'],
    [
      { available: false, status: 'out_of_stock' },
      { available: false, status: 'out_of_stock' },
      'out_of_stock',
    ],
    [
      { available: false, status: 'discontinued' },
      { available: false, status: 'discontinued' },
      'out_of_stock',
    ],
    [
      { available: false, status: 'out_of_stock' },
      { available: false, status: 'out_of_stock' },
      'out_of_stock',
    ],
  ]);
});
