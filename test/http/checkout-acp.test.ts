import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { receive, storedLevel } from '../support/stock.ts';
import { acpSchemas } from './support/commerce-schemas.ts';
import { type Answer, ReservationRig, rigSettings } from './support/reservation-rig.ts';

failOnLeakedConnections();

const schemaErrors = acpSchemas();
let rig: ReservationRig;
beforeEach(async () => {
  rig = await ReservationRig.start();
});
afterEach(() => rig.close());

const version = { 'api-version': '2026-04-17' };

function post(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Answer> {
  return rig.call('POST', `/acp${path}`, body, { ...version, 'idempotency-key': randomUUID(), ...headers });
}
function get(path: string): Promise<Answer> {
  return rig.call('GET', `/acp${path}`, undefined, version);
}

let count = 0;
/** A SKU of its own, which the copy knows. */
async function stocked(units: number): Promise<string> {
  const sku = `ACP-${++count}`;
  await receive(rig.parts, sku, units);
  await expect
    .poll(async () => (await rig.call('GET', `/inventory/v1/availability?sku=${sku}`)).body, {
      timeout: 20_000,
    })
    .toMatchObject({ items: [{ available: units }] });
  return sku;
}
async function reserved(sku: string): Promise<number> {
  return (await storedLevel(rig.parts, sku)).reserved;
}
const lines = (...items: readonly [string, number][]) => ({
  currency: 'usd',
  capabilities: {},
  line_items: items.map(([id, quantity]) => ({ id, quantity })),
});

function sessionIsGood(answer: Answer): void {
  const def = answer.body['order'] === undefined ? 'CheckoutSession' : 'CheckoutSessionWithOrder';
  expect(schemaErrors(`agentic_checkout#${def}`, answer.body)).toEqual([]);
}

describe('refuses, and holds nothing', () => {
  test.each([
    ['no lines', { line_items: [] }, '$.line_items'],
    ['a quantity of zero', lines(['S', 0]), '$.line_items[0].quantity'],
    ['half a unit', lines(['S', 0.5]), '$.line_items[0].quantity'],
    ['a line without an id', { line_items: [{ quantity: 1 }] }, '$.line_items[0].id'],
    ['no body', undefined, undefined],
    ['broken JSON', '{"line_items":', undefined],
  ])('%s: Error of ACP', async (_what, body, param) => {
    const answer = await post('/checkout_sessions', body);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(answer.body).toMatchObject({ type: 'invalid_request', code: 'invalid' });
    if (param !== undefined) expect(answer.body['param']).toBe(param);
    expect(schemaErrors('agentic_checkout#Error', answer.body)).toEqual([]);
  });

  test('a missing or unsupported version, a missing Idempotency-Key, in the words of the specification', async () => {
    const sku = await stocked(1);
    const key = { 'idempotency-key': randomUUID() };
    const none = await rig.call('POST', '/acp/checkout_sessions', lines([sku, 1]), key);
    expect([none.status, none.body]).toMatchObject([
      400,
      { code: 'missing_api_version', supported_versions: ['2026-04-17'] },
    ]);
    const old = await post('/checkout_sessions', lines([sku, 1]), { 'api-version': '2025-09-29' });
    expect([old.status, old.body['code']]).toEqual([400, 'unsupported_api_version']);
    const unkeyed = await rig.call('POST', '/acp/checkout_sessions', lines([sku, 1]), version);
    expect([unkeyed.status, unkeyed.body]).toEqual([
      400,
      {
        type: 'invalid_request',
        code: 'idempotency_key_required',
        message: 'Idempotency-Key header is required on all POST requests',
      },
    ]);
    for (const { body } of [none, old, unkeyed])
      expect(schemaErrors('agentic_checkout#Error', body)).toEqual([]);
    expect(await reserved(sku)).toBe(0);
  });

  test('an item nobody knows', async () => {
    const answer = await post('/checkout_sessions', lines(['NO-SUCH-ITEM', 1]));
    expect([answer.status, answer.body]).toEqual([
      400,
      {
        type: 'invalid_request',
        code: 'invalid_item_id',
        message: "The item ID 'NO-SUCH-ITEM' does not exist.",
        param: '$.line_items[0].id',
      },
    ]);
  });

  test('a key without credentials of the right scope', async () => {
    const answer = await post('/checkout_sessions', lines(['S', 1]), { authorization: 'Bearer nonsense' });
    expect([answer.status, answer.body['code']]).toEqual([401, 'unauthorized']);
    expect(schemaErrors('agentic_checkout#Error', answer.body)).toEqual([]);
  });

  test('sessions that are not there, of another door, of another key', async () => {
    const sku = await stocked(2);
    const cart = await post('/carts', lines([sku, 1]));
    for (const path of ['/checkout_sessions/nobody.x', `/checkout_sessions/${String(cart.body['id'])}`])
      expect([(await get(path)).status, (await get(path)).body['code']]).toEqual([404, 'not_found']);
    expect((await post('/checkout_sessions/nobody.x/complete')).status).toBe(404);
    expect((await post('/checkout_sessions/nobody.x/cancel')).status).toBe(404);
    expect((await post('/carts/nobody.x/cancel')).status).toBe(404);
  });

  test('one line of two that cannot be had: nothing is held, and the session says which', async () => {
    const [few, many] = [await stocked(1), await stocked(9)];
    const answer = await post('/checkout_sessions', lines([many, 2], [few, 3]));
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      status: 'not_ready_for_payment',
      messages: [{ type: 'error', code: 'quantity_exceeded', param: '$.line_items[1].quantity' }],
      line_items: [{ availability_status: 'in_stock' }, { available_quantity: 1 }],
    });
    sessionIsGood(answer);
    expect([await reserved(few), await reserved(many)]).toEqual([0, 0]);
    const id = String(answer.body['id']);
    const early = await post(`/checkout_sessions/${id}/complete`);
    expect([early.status, early.body['status']]).toEqual([200, 'not_ready_for_payment']);
    expect(await reserved(many)).toBe(0);
    // Fewer can be had.
    const changed = await post(`/checkout_sessions/${id}`, lines([many, 2], [few, 1]));
    expect([changed.status, changed.body['status'], await reserved(few)]).toEqual([
      200,
      'ready_for_payment',
      1,
    ]);
  });

  test('a sold-out checkout session exists, a sold-out cart does not', async () => {
    const sku = await stocked(1);
    await rig.reserve({ sku, quantity: 1 });
    const session = await post('/checkout_sessions', lines([sku, 1]));
    expect([session.status, session.body]).toMatchObject([
      201,
      {
        status: 'not_ready_for_payment',
        messages: [{ type: 'error', code: 'out_of_stock', param: '$.line_items[0].item.id' }],
        line_items: [{ availability_status: 'out_of_stock' }],
      },
    ]);
    sessionIsGood(session);
    const cart = await post('/carts', lines([sku, 1]));
    expect([cart.status, cart.body]).toEqual([
      422,
      {
        type: 'invalid_request',
        code: 'out_of_stock',
        message: 'All requested items are currently unavailable.',
      },
    ]);
  });
});

describe('Idempotency-Key', () => {
  test('the same answer, its header, one hold; another body 422; another address is another key', async () => {
    const sku = await stocked(5);
    const headers = { 'idempotency-key': 'K-1', 'request-id': 'R-1' };
    const first = await post('/checkout_sessions', lines([sku, 2]), headers);
    // The order of members says nothing.
    const reordered = { line_items: [{ quantity: 2, id: sku }], capabilities: {}, currency: 'usd' };
    const again = await post('/checkout_sessions', reordered, headers);
    expect([again.status, again.body]).toEqual([201, first.body]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect([first.headers.get('idempotency-key'), first.headers.get('request-id')]).toEqual(['K-1', 'R-1']);
    expect(await reserved(sku)).toBe(2);
    const other = await post('/checkout_sessions', lines([sku, 3]), headers);
    expect([other.status, other.body['code']]).toEqual([422, 'idempotency_conflict']);
    const isNull = await post('/checkout_sessions', { ...lines([sku, 2]), buyer: null }, headers);
    expect(isNull.status).toBe(422);
    const cancelled = await post(`/checkout_sessions/${String(first.body['id'])}/cancel`, {}, headers);
    expect([cancelled.status, await reserved(sku)]).toEqual([200, 0]);
  });

  test('many at once under one key: one hold, the others are told to wait or get its answer', async () => {
    const sku = await stocked(5);
    const headers = { 'idempotency-key': 'K-2' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post('/checkout_sessions', lines([sku, 1]), headers)),
    );
    for (const { status, body, headers: told } of answers) {
      if (status === 201) continue;
      expect([status, body['code'], told.get('retry-after')]).toEqual([409, 'idempotency_in_flight', '1']);
    }
    expect(new Set(answers.filter(({ status }) => status === 201).map(({ body }) => body['id'])).size).toBe(
      1,
    );
    expect(await reserved(sku)).toBe(1);
  });
});

describe('the life of a session', () => {
  test('held, changed, completed: the order gets the units, and a repeat of it changes nothing', async () => {
    const [sku, other] = [await stocked(3), await stocked(3)];
    const made = await post('/checkout_sessions', lines([sku, 2]));
    expect([made.status, made.body]).toMatchObject([
      201,
      {
        status: 'ready_for_payment',
        messages: [{ type: 'warning', code: 'low_stock', param: '$.line_items[0]' }],
        line_items: [{ id: 'li_1', available_quantity: 3, availability_status: 'low_stock' }],
      },
    ]);
    sessionIsGood(made);
    const id = String(made.body['id']);
    // All three: two of them are held by the session itself.
    const changed = await post(`/checkout_sessions/${id}`, lines([other, 1], [sku, 3]));
    expect(changed.body).toMatchObject({
      id,
      status: 'ready_for_payment',
      line_items: [
        { id: 'li_2', item: { id: other }, quantity: 1 },
        { id: 'li_1', item: { id: sku }, quantity: 3 },
      ],
    });
    expect([await reserved(sku), await reserved(other)]).toEqual([3, 1]);
    // Too many: the session holds what it held, but is not paid for by mistake.
    const tooMany = await post(`/checkout_sessions/${id}`, lines([sku, 9]));
    expect(tooMany.body).toMatchObject({
      status: 'not_ready_for_payment',
      messages: [{ code: 'quantity_exceeded', param: '$.line_items[0].quantity' }],
    });
    expect([await reserved(sku), await reserved(other)]).toEqual([3, 1]);
    const early = await post(`/checkout_sessions/${id}/complete`, { order: { id: 'O-1' } });
    expect(early.body['status']).toBe('not_ready_for_payment');
    // Without lines the session stays as it is, and its deadline moves.
    const kept = await post(`/checkout_sessions/${id}`, { buyer: { email: 'a@example.com' } });
    expect(kept.body['status']).toBe('ready_for_payment');
    const order = { id: 'O-1', channel: 'shop-a', permalink_url: 'https://shop.example/o/1' };
    const done = await post(`/checkout_sessions/${id}/complete`, { payment_data: { x: 1 }, order });
    expect(done.body).toMatchObject({
      status: 'completed',
      order: { id: 'O-1', checkout_session_id: id, permalink_url: order.permalink_url },
    });
    sessionIsGood(done);
    expect(await storedLevel(rig.parts, sku)).toMatchObject({ reserved: 0, committed: 3 });
    const repeated = await post(`/checkout_sessions/${id}/complete`, { order });
    expect(repeated.body['status']).toBe('completed');
    const otherOrder = await post(`/checkout_sessions/${id}/complete`, { order: { id: 'O-2' } });
    expect([otherOrder.status, otherOrder.body['code']]).toEqual([405, 'conflict']);
    expect((await post(`/checkout_sessions/${id}/cancel`)).status).toBe(405);
    expect((await post(`/checkout_sessions/${id}`, lines([sku, 1]))).status).toBe(405);
    expect(await storedLevel(rig.parts, sku)).toMatchObject({ reserved: 0, committed: 3 });
    sessionIsGood(await get(`/checkout_sessions/${id}`));
    const held = (done.body['metadata'] as unknown as Record<string, string>)['stockmesh_hold_id'];
    const hold = await rig.call('GET', `/inventory/v1/reservations/${String(held)}`);
    expect(hold.body).toMatchObject({ state: 'committed', order: { channel: 'shop-a', order_id: 'O-1' } });
  });

  test('cancelled: the units can be had at once, and it cannot be cancelled or completed again', async () => {
    const sku = await stocked(1);
    const { body } = await post('/checkout_sessions', lines([sku, 1]));
    const id = String(body['id']);
    const cancelled = await post(`/checkout_sessions/${id}/cancel`, undefined);
    expect([cancelled.status, cancelled.body['status'], await reserved(sku)]).toEqual([200, 'canceled', 0]);
    sessionIsGood(cancelled);
    expect((await rig.reserve({ sku, quantity: 1 })).status).toBe(201);
    for (const action of ['cancel', 'complete'])
      expect((await post(`/checkout_sessions/${id}/${action}`)).status).toBe(405);
    expect(await storedLevel(rig.parts, sku)).toMatchObject({ reserved: 1, committed: 0 });
  });

  test('run out: not renewed; completed while the units are there, refused when they are not', async () => {
    const brief = { defaultTtlMs: 4_000, maxTtlMs: 4_000 };
    await using short = await ReservationRig.start({
      parts: rig.parts,
      settings: { stages: { intent: brief, checkout: brief, cart: brief, paymentPending: brief } },
    });
    // The ledger follows no longer step of its server's clock at once.
    const pass = (): Promise<void> => rig.parts.stepClock(5_000);
    const sku = await stocked(1);
    const ask = (path: string, body: unknown = {}) =>
      short.call('POST', `/acp${path}`, body, { ...version, 'idempotency-key': randomUUID() });
    const [one, cart] = [
      await ask('/checkout_sessions', lines([sku, 1])),
      await ask('/carts', lines([await stocked(1), 1])),
    ];
    const id = String(one.body['id']);
    await pass();
    const over = await get(`/checkout_sessions/${id}`);
    expect(over.body['status']).toBe('expired');
    sessionIsGood(over);
    expect((await get(`/carts/${String(cart.body['id'])}`)).status).toBe(404);
    const renewed = await ask(`/checkout_sessions/${id}`, lines([sku, 1]));
    expect([renewed.status, renewed.body['code']]).toEqual([405, 'expired']);
    const done = await ask(`/checkout_sessions/${id}/complete`, { order: { id: 'late' } });
    expect(done.body).toMatchObject({ status: 'completed', order: { id: 'late' } });
    const two = await stocked(1);
    const second = String((await ask('/checkout_sessions', lines([two, 1]))).body['id']);
    await pass();
    expect((await rig.reserve({ sku: two, quantity: 1 })).status).toBe(201);
    const tooLate = await ask(`/checkout_sessions/${second}/complete`, { order: { id: 'too-late' } });
    expect(tooLate.body).toMatchObject({
      status: 'expired',
      messages: [{ type: 'error', code: 'out_of_stock', param: '$.line_items[0].item.id' }],
    });
    sessionIsGood(tooLate);
    expect(await storedLevel(rig.parts, two)).toMatchObject({ reserved: 1, committed: 0 });
  });

  test('a cart: made, replaced, cancelled; after its end it is not there any more', async () => {
    const sku = await stocked(4);
    const made = await post('/carts', lines([sku, 1]));
    expect(made.status).toBe(201);
    expect(schemaErrors('cart#Cart', made.body)).toEqual([]);
    const id = String(made.body['id']);
    const put = await rig.call('PUT', `/acp/carts/${id}`, lines([sku, 4]), version);
    expect([put.status, await reserved(sku)]).toEqual([200, 4]);
    const over = await rig.call('PUT', `/acp/carts/${id}`, lines([sku, 5]), version);
    expect([over.status, over.body]).toMatchObject([200, { messages: [{ code: 'quantity_exceeded' }] }]);
    expect(await reserved(sku)).toBe(4);
    const last = await post(`/carts/${id}/cancel`);
    expect([last.status, last.body['id'], await reserved(sku)]).toEqual([200, id, 0]);
    expect(schemaErrors('cart#Cart', last.body)).toEqual([]);
    expect((await get(`/carts/${id}`)).status).toBe(404);
    expect((await rig.call('PUT', `/acp/carts/${id}`, lines([sku, 1]), version)).status).toBe(404);
    expect(await reserved(sku)).toBe(0);
  });
});

test('many sessions for one unit at once: one is ready, however they race', async () => {
  const sku = await stocked(1);
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => post('/checkout_sessions', lines([sku, 1]))),
  );
  const ready = answers.filter(({ body }) => body['status'] === 'ready_for_payment');
  expect(ready).toHaveLength(1);
  const done = await Promise.all(
    answers.map(({ body }) => post(`/checkout_sessions/${String(body['id'])}/complete`)),
  );
  expect(done.filter(({ body }) => body['status'] === 'completed')).toHaveLength(1);
  expect(await storedLevel(rig.parts, sku)).toMatchObject({ reserved: 0, committed: 1 });
});

test.each([
  ['that holds something', 1],
  // One first hold made beside the change of another: a race that one try seldom meets.
  ...Array.from({ length: 60 }, (): [string, number] => ['that holds nothing yet', 99]),
])('changes of one session at once, %s: one of them is what it holds in the end', async (_what, first) => {
  const sku = await stocked(8);
  const { body } = await post('/checkout_sessions', lines([sku, first]));
  const id = String(body['id']);
  await Promise.all(
    Array.from({ length: 8 }, (_, index) => post(`/checkout_sessions/${id}`, lines([sku, index + 1]))),
  );
  const last = await get(`/checkout_sessions/${id}`);
  const [line] = last.body['line_items'] as unknown as readonly { readonly quantity: number }[];
  expect(last.body['status']).toBe('ready_for_payment');
  expect(await reserved(sku)).toBe(line?.quantity);
});

test('a request counts once for the pace of its key, whatever it takes inside', async () => {
  const slow = await ReservationRig.start({
    parts: rig.parts,
    settings: { checkouts: { ...rigSettings.checkouts, pace: { perSecond: 0.001, burst: 4 } } },
  });
  try {
    const sku = await stocked(5);
    const key = await slow.key({ class: 'checkout' });
    const ask = (path: string, body: unknown = {}): Promise<Answer> =>
      slow.call('POST', `/acp/checkout_sessions${path}`, body, {
        ...version,
        'idempotency-key': randomUUID(),
        ...key,
      });
    const made = await ask('', lines([sku, 1]));
    const id = String(made.body['id']);
    const updated = await ask(`/${id}`, lines([sku, 3]));
    const again = await ask(`/${id}`, lines([sku, 2]));
    const canceled = await ask(`/${id}/cancel`);
    expect([made, updated, again, canceled].map(({ status }) => status)).toEqual([201, 200, 200, 200]);
    const fifth = await ask('', lines([sku, 1]));
    expect([fifth.status, fifth.body['code']]).toEqual([429, 'rate_limited']);
    expect(await reserved(sku)).toBe(0);
  } finally {
    await slow.close();
  }
});

test('the words of the feed', async () => {
  const [few, many] = [await stocked(3), await stocked(300)];
  const { body } = await get(`/availability?sku=${few}&sku=${many}&sku=NOWHERE`);
  const told = (body['items'] as unknown as readonly { readonly availability: unknown }[]).map(
    ({ availability }) => availability,
  );
  expect(told).toEqual([
    { available: true, status: 'limited_stock' },
    { available: true, status: 'in_stock' },
    { available: false, status: 'out_of_stock' },
  ]);
  for (const availability of told) expect(schemaErrors('feed#Availability', availability)).toEqual([]);
});
