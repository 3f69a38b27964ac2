import { connect } from 'node:net';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noCatalogue } from '../../src/domain/catalogue.ts';
import {
  denied,
  held,
  holdView,
  availability,
  committed,
  refused,
  released,
} from '../../src/http/reservations/answers.ts';
import { localOperator } from '../../src/http/api/caller.ts';
import { makeHoldId } from '../../src/http/reservations/hold-id.ts';
import { once } from '../../src/http/reservations/idempotent.ts';
import { IdempotencyCommands } from '../../src/ledger/idempotency-commands.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { location, receive, sku, storedLevel } from '../support/stock.ts';
import { type Answer, ReservationRig } from './support/reservation-rig.ts';

failOnLeakedConnections();

let rig: ReservationRig;
beforeEach(async () => {
  rig = await ReservationRig.start();
});
afterEach(() => rig.close());

/** The copy has heard of what was received. */
async function stocked(of: string, units: number, at: ReservationRig = rig): Promise<void> {
  await receive(at.parts, of, units);
  await expect
    .poll(async () => (await at.call('GET', `/inventory/v1/availability?sku=${of}`)).body, {
      timeout: 20_000,
    })
    .toMatchObject({ items: [{ available: units, source: 'copy' }] });
}

async function reserved(of: string): Promise<number> {
  return (await storedLevel(rig.parts, of)).reserved;
}

describe('refuses, and changes nothing', () => {
  test.each([
    ['no body', undefined],
    ['text', '"x"'],
    ['broken JSON', '{"sku":'],
    ['an array', []],
    ['an unknown field', { sku: 'S', quantity: 1, price: 2 }],
    ['both forms', { sku: 'S', quantity: 1, lines: [{ sku: 'S', quantity: 1 }] }],
    ['no lines', { lines: [] }],
    ['201 lines', { lines: Array.from({ length: 201 }, () => ({ sku: 'S', quantity: 1 })) }],
    ['a quantity of zero', { sku: 'S', quantity: 0 }],
    ['a negative quantity', { sku: 'S', quantity: -1 }],
    ['half a unit', { sku: 'S', quantity: 0.5 }],
    ['text as quantity', { sku: 'S', quantity: '1' }],
    ['an absurd quantity', { sku: 'S', quantity: 1e15 }],
    ['an absurd time to live', { sku: 'S', quantity: 1, ttl_seconds: 1e9 }],
    ['a time to live beyond its stage', { sku: 'S', quantity: 1, agent_id: 'a', ttl_seconds: 301 }],
    ['no time to live', { sku: 'S', quantity: 1, ttl_seconds: 0 }],
    ['an unknown stage', { sku: 'S', quantity: 1, stage: 'payment_pending' }],
    ['an unknown channel', { sku: 'S', quantity: 1, settles_on: 'nowhere' }],
    ['an empty SKU', { sku: '', quantity: 1 }],
    ['a separator in a SKU', { sku: 'a\u001fb', quantity: 1 }],
    ['a prototype', '{"sku":"S","quantity":1,"__proto__":{"x":1}}'],
    ['an agent id with spaces', { sku: 'S', quantity: 1, agent_id: 'a b' }],
  ])('%s: 400 with a stable code', async (_what, body) => {
    await receive(rig.parts, 'S', 5);
    const answer = await rig.reserve(body);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.body).toMatchObject({ code: 'HTTP_REQUEST_INVALID', retryable: false });
    expect(await reserved('S')).toBe(0);
  });

  test('a body beyond the limit, another content type, a bad Idempotency-Key', async () => {
    const large = { sku: 'S', quantity: 1, agent_id: 'a'.repeat(30_000) };
    expect((await rig.reserve(large)).status).toBe(413);
    const text = await rig.call('POST', '/inventory/v1/reservations', 'a=1', {
      'content-type': 'text/plain',
    });
    expect([text.status, text.body['code']]).toEqual([415, 'HTTP_MEDIA_TYPE_UNSUPPORTED']);
    const key = { 'idempotency-key': 'k'.repeat(256) };
    expect((await rig.reserve({ sku: 'S', quantity: 1 }, key)).status).toBe(400);
  });

  test('a sender of one byte per second', async () => {
    const requestLimits = { requestTimeoutMs: 1_500, headersTimeoutMs: 1_000 };
    await using hasty = await ReservationRig.start({ parts: rig.parts, requestLimits });
    const { port, hostname } = new URL(hasty.url);
    const socket = connect(Number(port), hostname);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    socket.write(`POST /inventory/v1/reservations HTTP/1.1\r\nHost: ${hostname}:${port}\r\n`);
    socket.write('content-type: application/json\r\ncontent-length: 100\r\n\r\n{');
    const drip = setInterval(() => socket.write(' '), 200);
    await closed;
    clearInterval(drip);
    expect((await rig.call('GET', '/healthz')).status).toBe(200);
  });

  test('holds of another key, tokens of nobody, and what no agent may do', async () => {
    await stocked('S', 5);
    const one = await rig.key({ class: 'checkout' });
    const other = await rig.key({ class: 'checkout' });
    const { body } = await rig.reserve({ sku: 'S', quantity: 1 }, one);
    for (const action of ['extend', 'commit', 'release', 'payment-pending']) {
      const answer = await rig.on(body['hold_id'], action, {}, other);
      expect([answer.status, answer.body['code']], action).toEqual([404, 'HOLD_UNKNOWN']);
    }
    const path = `/inventory/v1/reservations/${String(body['hold_id'])}`;
    expect((await rig.call('GET', path, undefined, other)).status).toBe(404);
    expect((await rig.call('GET', path, undefined, one)).status).toBe(200);
    expect((await rig.on('nobody.c123', 'commit', {}, one)).status).toBe(404);
    const agent = await rig.key({ class: 'agent', agentId: 'a1' });
    expect((await rig.call('POST', '/keys', { name: 'x', class: 'agent' }, agent)).status).toBe(403);
    expect((await rig.call('GET', '/stock', undefined, agent)).status).toBe(403);
    const foreign = await rig.reserve({ sku: 'S', quantity: 1, agent_id: 'a2' }, agent);
    expect([foreign.status, foreign.body['code']]).toEqual([403, 'HTTP_FORBIDDEN']);
    expect(await reserved('S')).toBe(1);
  });
});

describe('a hold', () => {
  test('as printed: reserved, extended, committed to an order; every answer has its described shape', async () => {
    await stocked('S', 5);
    const made = await rig.reserve({ sku: 'S', quantity: 2, agent_id: 'shopper', ttl_seconds: 300 });
    expect(made.status).toBe(201);
    const hold = held.parse(made.body);
    expect(hold).toMatchObject({ lines: [{ sku: 'S', quantity: 2 }], agent_id: 'shopper', state: 'held' });
    expect(hold.expires_in_ms).toBeGreaterThan(250_000);
    const extended = await rig.on(hold.hold_id, 'extend', { ttl_seconds: 300 });
    expect(held.parse(extended.body).expires_at >= hold.expires_at).toBe(true);
    const order = { channel: 'shop-a', order_id: '#7' };
    const done = committed.parse((await rig.on(hold.hold_id, 'commit', { order })).body);
    expect(done).toMatchObject({ order, was_repeated: false, took_again: false });
    const again = committed.parse((await rig.on(hold.hold_id, 'commit', { order })).body);
    expect(again.was_repeated).toBe(true);
    const differs = await rig.on(hold.hold_id, 'commit', { order: { channel: 'shop-a', order_id: '#8' } });
    expect([differs.status, refused.parse(differs.body).code]).toEqual([409, 'COMMIT_DIFFERS']);
    const shown = await rig.call('GET', `/inventory/v1/reservations/${hold.hold_id}`);
    expect(holdView.parse(shown.body)).toMatchObject({ state: 'committed', order });
    expect(await storedLevel(rig.parts, 'S')).toEqual({ onHand: 5, committed: 2, reserved: 0 });
  });

  test('a part is kept and the rest given back; more than was held is refused', async () => {
    await stocked('S', 5);
    const { body } = await rig.reserve({ lines: [{ sku: 'S', quantity: 3 }], stage: 'cart' });
    const tooMuch = await rig.on(body['hold_id'], 'commit', { lines: [{ sku: 'S', quantity: 4 }] });
    expect([tooMuch.status, tooMuch.body['code']]).toEqual([422, 'PART_EXCEEDS_HOLD']);
    expect((await rig.on(body['hold_id'], 'commit', { lines: [{ sku: 'S', quantity: 1 }] })).status).toBe(
      200,
    );
    expect(await storedLevel(rig.parts, 'S')).toEqual({ onHand: 5, committed: 1, reserved: 0 });
  });

  test('released units can be had at once; a hold ends once', async () => {
    await stocked('S', 1);
    const { body } = await rig.reserve({ sku: 'S', quantity: 1 });
    expect((await rig.reserve({ sku: 'S', quantity: 1 })).status).toBe(409);
    expect(released.parse((await rig.on(body['hold_id'], 'release')).body).was_repeated).toBe(false);
    expect((await rig.reserve({ sku: 'S', quantity: 1 })).status).toBe(201);
    expect((await rig.on(body['hold_id'], 'release')).body).toMatchObject({ was_repeated: true });
    const late = await rig.on(body['hold_id'], 'commit');
    expect([late.status, late.body['code']]).toEqual([409, 'HOLD_ENDED']);
  });

  test('run out: neither extended nor committed, unless its units are still there and that was asked for', async () => {
    await stocked('S', 1);
    const { body } = await rig.reserve({ sku: 'S', quantity: 1, ttl_seconds: 1 });
    await rig.parts.stepClock(5_000);
    expect((await rig.on(body['hold_id'], 'extend')).status).toBe(410);
    const late = await rig.on(body['hold_id'], 'commit');
    expect([late.status, refused.parse(late.body).code]).toEqual([410, 'HOLD_EXPIRED']);
    expect(await storedLevel(rig.parts, 'S')).toMatchObject({ committed: 0 });
    const again = await rig.on(body['hold_id'], 'commit', { if_expired: 'reserve_again' });
    expect(committed.parse(again.body)).toMatchObject({ took_again: true });
    const next = await rig.reserve({ sku: 'S', quantity: 1, ttl_seconds: 1 });
    expect(next.status).toBe(409);
  });

  test('run out and sold meanwhile: the second try says why there is nothing', async () => {
    await stocked('S', 1);
    const first = await rig.reserve({ sku: 'S', quantity: 1, ttl_seconds: 1 });
    await rig.parts.stepClock(5_000);
    expect((await rig.reserve({ sku: 'S', quantity: 1 })).status).toBe(201);
    const late = await rig.on(first.body['hold_id'], 'commit', { if_expired: 'reserve_again' });
    expect(late.status).toBe(410);
    expect(refused.parse(late.body).denial).toMatchObject({ code: 'OUT_OF_STOCK', sku: 'S' });
  });

  test('is extended only so often', async () => {
    await stocked('S', 1);
    const { body } = await rig.reserve({ sku: 'S', quantity: 1 });
    for (let i = 0; i < 2; i++) expect((await rig.on(body['hold_id'], 'extend')).status).toBe(200);
    const more = await rig.on(body['hold_id'], 'extend');
    expect([more.status, more.body['code']]).toEqual([409, 'EXTENSIONS_USED_UP']);
  });

  test('waits for a payment, is listed, and a person resolves it', async () => {
    await stocked('S', 2);
    const paid = await rig.reserve({ sku: 'S', quantity: 1 });
    const unpaid = await rig.reserve({ sku: 'S', quantity: 1 });
    for (const { body } of [paid, unpaid]) {
      const waiting = await rig.on(body['hold_id'], 'payment-pending', { reference: 'pay-1' });
      expect(held.parse(waiting.body).state).toBe('payment_pending');
      expect(held.parse(waiting.body).expires_in_ms).toBeGreaterThan(3_000_000);
    }
    const list = await rig.call('GET', '/inventory/v1/payments-pending');
    expect(list.body['payments']).toHaveLength(2);
    const resolve = (holdId: unknown, outcome: string) =>
      rig.call('POST', '/inventory/v1/payments-pending/resolve', { hold_id: holdId, outcome });
    expect((await resolve(paid.body['hold_id'], 'paid')).status).toBe(200);
    expect((await resolve(unpaid.body['hold_id'], 'unpaid')).status).toBe(200);
    expect(await storedLevel(rig.parts, 'S')).toEqual({ onHand: 2, committed: 1, reserved: 0 });
    expect((await rig.call('GET', '/inventory/v1/payments-pending')).body['payments']).toHaveLength(0);
  });
});

describe('Idempotency-Key', () => {
  const key = { 'idempotency-key': 'order-1' };

  test('the same answer again, held or denied; other content 422; also at another daemon', async () => {
    await stocked('S', 1);
    const other = await ReservationRig.start({ parts: rig.parts });
    try {
      const first = await rig.reserve({ sku: 'S', quantity: 1 }, key);
      const again = await other.reserve({ sku: 'S', quantity: 1 }, key);
      expect([again.status, again.body]).toEqual([201, first.body]);
      expect(again.headers.get('idempotent-replayed')).toBe('true');
      const differs = await rig.reserve({ sku: 'S', quantity: 2 }, key);
      expect([differs.status, differs.body['code']]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
      const denial = await rig.reserve({ sku: 'S', quantity: 1 }, { 'idempotency-key': 'order-2' });
      await rig.on(first.body['hold_id'], 'release');
      const still = await rig.reserve({ sku: 'S', quantity: 1 }, { 'idempotency-key': 'order-2' });
      expect([still.status, still.body]).toEqual([409, denial.body]);
      expect(await reserved('S')).toBe(0);
    } finally {
      await other.close();
    }
  });

  test('of many at once one is carried out; the others get its answer or 409', async () => {
    await stocked('S', 50);
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => rig.reserve({ sku: 'S', quantity: 1 }, key)),
    );
    expect(answers.filter(({ status }) => status !== 201 && status !== 409)).toEqual([]);
    for (const answer of answers.filter(({ status }) => status === 409)) {
      expect(answer.body['code']).toBe('IDEMPOTENCY_IN_FLIGHT');
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    expect(await reserved('S')).toBe(1);
  });

  test('keys of different callers are different; a commit is answered again', async () => {
    await stocked('S', 5);
    const callers = [await rig.key({ class: 'checkout' }), await rig.key({ class: 'checkout' })];
    const holds: Answer[] = [];
    for (const caller of callers)
      holds.push(await rig.reserve({ sku: 'S', quantity: 1 }, { ...caller, ...key }));
    expect(holds[0]?.body['hold_id']).not.toBe(holds[1]?.body['hold_id']);
    const commitKey = { ...callers[0], 'idempotency-key': 'commit-1' };
    const done = await rig.on(holds[0]?.body['hold_id'], 'commit', {}, commitKey);
    const again = await rig.on(holds[0]?.body['hold_id'], 'commit', {}, commitKey);
    expect(again.body).toEqual(done.body);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
  });
});

describe('pools and limits', () => {
  test('of 1,000 units agents see and get 900, people 1,000', async () => {
    await stocked('S', 1_000);
    const agents = await rig.key({ class: 'agent' });
    const people = await rig.key({ class: 'checkout' });
    const seenBy = async (who: Record<string, string>) =>
      availability.parse((await rig.call('GET', '/inventory/v1/availability?sku=S', undefined, who)).body)
        .items[0]?.available;
    const withId = async () =>
      (await rig.call('GET', '/inventory/v1/availability?sku=S&agent_id=a', undefined, agents)).body;
    expect(availability.parse(await withId()).items[0]?.available).toBe(900);
    expect(await seenBy(people)).toBe(1_000);
    let got = 0;
    for (let agent = 0; got < 1_000; agent++) {
      const { status } = await rig.reserve(
        { sku: 'S', quantity: 5, agent_id: `a${agent}`, ttl_seconds: 300 },
        agents,
      );
      if (status !== 201) break;
      got += 5;
    }
    expect(got).toBe(900);
    expect((await rig.reserve({ sku: 'S', quantity: 100 }, people)).status).toBe(201);
    expect((await rig.reserve({ sku: 'S', quantity: 1 }, people)).status).toBe(409);
  });

  test('hoarding: one agent gets five of a SKU however many requests race, also after buying', async () => {
    await stocked('S', 100);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => rig.reserve({ sku: 'S', quantity: 1, agent_id: 'a' })),
    );
    const got = answers.filter(({ status }) => status === 201);
    expect(got).toHaveLength(5);
    await rig.on(got[0]?.body['hold_id'], 'commit');
    const more = denied.parse((await rig.reserve({ sku: 'S', quantity: 1, agent_id: 'a' })).body);
    expect(more).toMatchObject({ code: 'AGENT_LIMIT', available: 0, retry: { advice: 'do_not_retry' } });
    expect((await rig.reserve({ sku: 'S', quantity: 5, agent_id: 'b' })).status).toBe(201);
  });

  test('three transactions per session, however many are committed at once', async () => {
    for (const of of ['A', 'B', 'C', 'D', 'E']) await stocked(of, 9);
    const holds = await Promise.all(
      ['A', 'B', 'C', 'D', 'E'].map((of) =>
        rig.reserve({ sku: of, quantity: 1, agent_id: 'a', ttl_seconds: 300 }),
      ),
    );
    const commit = ({ body }: Answer, session: string) =>
      rig.on(body['hold_id'], 'commit', { session_id: session });
    const answers = await Promise.all(holds.map((hold) => commit(hold, 's1')));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    const refusedOnes = holds.filter((_, index) => answers[index]?.status !== 200);
    expect(answers.find(({ status }) => status !== 200)?.body['code']).toBe('SESSION_LIMIT');
    expect((await commit(refusedOnes[0] as Answer, 's2')).status).toBe(200);
  });

  test('request rate: 429 with Retry-After, other agents untouched', async () => {
    const slow = await ReservationRig.start({
      parts: rig.parts,
      settings: {
        agents: { maxTransactionsPerSession: 3, sessionMs: 60_000, pace: { perSecond: 1, burst: 2 } },
      },
    });
    try {
      const ask = (agent: string) => slow.reserve({ sku: 'S', quantity: 1, agent_id: agent });
      const answers = await Promise.all([ask('a'), ask('a'), ask('a'), ask('a'), ask('a'), ask('a')]);
      const limited = answers.filter(({ status }) => status === 429);
      expect(limited.length).toBeGreaterThanOrEqual(1);
      expect(limited[0]?.body['code']).toBe('HTTP_RATE_LIMITED');
      expect(Number(limited[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect((await ask('b')).status).toBe(409);
    } finally {
      await slow.close();
    }
  });

  test('an allowance to oversell is explicit: so many and no more, each set aside for review', async () => {
    const generous = await ReservationRig.start({
      parts: rig.parts,
      settings: {
        checkouts: {
          keepPercent: 0,
          keepUnits: 0,
          oversellUnits: 2,
          pace: { perSecond: 1_000, burst: 1_000 },
        },
      },
    });
    try {
      await receive(rig.parts, 'S', 1);
      await expect
        .poll(async () => generous.reader.ageMs() < 60_000 && generous.reader !== rig.reader)
        .toBe(true);
      await expect
        .poll(async () => (await generous.call('GET', '/inventory/v1/availability?sku=S')).body, {
          timeout: 20_000,
        })
        .toMatchObject({ items: [{ available: 3 }] });
      expect((await generous.reserve({ sku: 'S', quantity: 4 })).status).toBe(409);
      const made = await generous.reserve({ sku: 'S', quantity: 3 });
      expect(held.parse(made.body).lines).toMatchObject([{ sku: 'S', quantity: 3 }]);
      expect(await reserved('S')).toBe(3);
      expect(generous.reviewed).toEqual(['2 S']);
      expect((await generous.reserve({ sku: 'S', quantity: 1 })).status).toBe(409);
    } finally {
      await generous.close();
    }
  });
});

describe('a denial', () => {
  test('tells what there is, what may be had instead, terms for later, and whether to try again', async () => {
    const known = await ReservationRig.start({
      parts: rig.parts,
      catalogue: {
        ...noCatalogue,
        default: { backorder: { maxUnits: 50, shipsInDays: 7 } },
        substitutes: new Map([[sku('S'), [sku('T'), sku('U')]]]),
      },
    });
    try {
      await stocked('S', 1, known);
      await stocked('U', 4, known);
      const few = denied.parse((await known.reserve({ sku: 'S', quantity: 3 })).body);
      expect(few).toMatchObject({
        code: 'OUT_OF_STOCK',
        sku: 'S',
        requested: 3,
        available: 1,
        status: 'low_stock',
        alternatives: [{ sku: 'U', available: 4 }],
        backorder: { kind: 'backorder', units: 50, ships_in_days: 7 },
        retry: { advice: 'ask_for_less' },
      });
      await known.reserve({ sku: 'S', quantity: 1 });
      const none = denied.parse((await known.reserve({ sku: 'S', quantity: 1 })).body);
      expect(none).toMatchObject({ available: 0, status: 'backorder' });
      const unknown = denied.parse((await rig.reserve({ sku: 'NEVER', quantity: 1 })).body);
      expect(unknown).toMatchObject({ code: 'UNKNOWN_SKU', retry: { advice: 'do_not_retry' } });
    } finally {
      await known.close();
    }
  });

  test('all lines or none', async () => {
    await stocked('S', 5);
    const lines = [
      { sku: 'S', quantity: 2 },
      { sku: 'NEVER', quantity: 1 },
    ];
    expect(denied.parse((await rig.reserve({ lines })).body).sku).toBe('NEVER');
    expect(await reserved('S')).toBe(0);
  });

  test('a bundle is taken apart: as many as its scarcest component makes', async () => {
    const bundled = await ReservationRig.start({
      parts: rig.parts,
      catalogue: {
        ...noCatalogue,
        bundles: new Map([
          [
            sku('SET'),
            [
              { sku: sku('A'), units: 2 },
              { sku: sku('B'), units: 1 },
            ],
          ],
        ]),
      },
    });
    try {
      await stocked('A', 5, bundled);
      await stocked('B', 9, bundled);
      const seen = (await bundled.call('GET', '/inventory/v1/availability?sku=SET')).body;
      expect(availability.parse(seen).items[0]?.available).toBe(2);
      expect((await bundled.reserve({ sku: 'SET', quantity: 3 })).status).toBe(409);
      expect((await bundled.reserve({ sku: 'SET', quantity: 2 })).status).toBe(201);
      expect([await reserved('A'), await reserved('B')]).toEqual([4, 2]);
    } finally {
      await bundled.close();
    }
  });
});

describe('hot SKUs', () => {
  test('waiters are served in order as units come back; too many and too long are told', async () => {
    await stocked('HOT', 1);
    const first = await rig.reserve({ sku: 'HOT', quantity: 1 });
    const served: string[] = [];
    const wait = async (name: string, seconds: number): Promise<Answer> => {
      const answer = await rig.reserve({ sku: 'HOT', quantity: 1, wait_seconds: seconds });
      if (answer.status === 201) served.push(name);
      return answer;
    };
    const waiting = async (count: number) =>
      expect
        .poll(() => rig.registry.getSingleMetricAsString('stockmesh_hot_queue_waiting'), { timeout: 20_000 })
        .toContain(`stockmesh_hot_queue_waiting ${count}`);
    const one = wait('one', 20);
    await waiting(1);
    const two = wait('two', 20);
    await waiting(2);
    expect(denied.parse((await wait('too long', 0.3)).body).code).toBe('QUEUE_TIMEOUT');
    const three = wait('three', 20);
    await waiting(3);
    const full = denied.parse((await wait('four', 20)).body);
    expect(full.code).toBe('QUEUE_FULL');
    // Nobody overtakes who waits.
    await rig.on(first.body['hold_id'], 'release');
    const held1 = held.parse((await one).body);
    expect(served).toEqual(['one']);
    await rig.on(held1.hold_id, 'release');
    const held2 = held.parse((await two).body);
    expect(served).toEqual(['one', 'two']);
    await rig.on(held2.hold_id, 'release');
    await three;
    expect(served).toEqual(['one', 'two', 'three']);
  });
});

describe('receipts and the audit log', () => {
  test('an answer to an agent certifies what was shown; a commit may present it, a forged one is refused', async () => {
    await stocked('S', 9);
    const seen = (await rig.call('GET', '/inventory/v1/availability?sku=S&agent_id=a')).body;
    const { receipt, ...shown } = availability.parse(seen);
    expect(createHash('sha256').update(JSON.stringify(shown)).digest('hex')).toBe(receipt?.sha256);
    const { body } = await rig.reserve({ sku: 'S', quantity: 1, agent_id: 'a' });
    expect(held.parse(body).receipt?.sequence).toBe(body['sequence']);
    const forged = await rig.on(body['hold_id'], 'commit', {
      receipt: receipt?.token.replace(/^(\d+)-(\d+)/, '$1-999'),
    });
    expect([forged.status, forged.body['code']]).toEqual([422, 'RECEIPT_INVALID']);
    // Others bought meanwhile: the receipt is old, the hold decides.
    await rig.reserve({ sku: 'S', quantity: 1, agent_id: 'b' });
    const done = await rig.on(body['hold_id'], 'commit', { receipt: receipt?.token });
    expect(committed.parse(done.body).receipt_check?.shown_sequence).toBe(receipt?.sequence);
  });

  test('prove: what was known and decided about an order and a hold, with the log beside it', async () => {
    await stocked('S', 9);
    const { body } = await rig.reserve({ sku: 'S', quantity: 2, agent_id: 'a', ttl_seconds: 300 });
    await rig.on(body['hold_id'], 'commit', { order: { channel: 'shop-a', order_id: '#7' } });
    const proof = (await rig.call('GET', '/inventory/v1/decisions?channel=shop-a&order_id=%237')).body;
    expect(proof['decisions']).toMatchObject([
      { kind: 'reserve', outcome: 'held', known: { stock: [{ sku: 'S', available: 9, kept: 1 }] } },
      { kind: 'commit', outcome: 'committed' },
    ]);
    expect(proof['movements']).toMatchObject([
      { kind: 'held', before: { available: 9 }, after: { available: 7 } },
      { kind: 'hold-committed', before: { reserved: 2 }, after: { committed: 2 } },
    ]);
    const agent = await rig.key({ class: 'agent', agentId: 'z' });
    const path = `/inventory/v1/decisions?hold_id=${String(body['hold_id'])}`;
    expect((await rig.call('GET', path, undefined, agent)).body).toEqual({
      decisions: [],
      movements: [],
      summary: [],
    });
  });
});

test('the classic race: many buyers, one unit, all at once, over HTTP: one gets it', async () => {
  await stocked('LAST', 1);
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, buyer) =>
      rig.reserve({ sku: 'LAST', quantity: 1, ...(buyer % 3 === 0 ? {} : { stage: 'cart' }) }),
    ),
  );
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(299);
  expect(await storedLevel(rig.parts, 'LAST')).toEqual({ onHand: 1, committed: 0, reserved: 1 });
});

test.each([`/inventory/v1/reservations/${'x'.repeat(5_000)}`, '/inventory/v1/reservations/%E0%A4%A'])(
  'an address the router itself refuses is a problem like any other (%#)',
  async (path) => {
    const answer = await rig.call('GET', path);
    expect([answer.status, answer.body['code']]).toEqual([400, 'HTTP_REQUEST_INVALID']);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
  },
);

describe('an attempt whose daemon died', () => {
  test('is refused while it may be under way, then taken over: the hold it made is the answer, and no second one is made', async () => {
    const crashing = await ReservationRig.start({ parts: rig.parts, inFlightMs: 5_000 });
    try {
      await stocked('S', 5);
      const body = { sku: 'S', quantity: 2 };
      const headers = { 'idempotency-key': 'K-crash' };
      // What the first attempt had done when its daemon died: begun, and held, with the answer never kept.
      const store = new IdempotencyCommands(rig.parts.caller, { inFlightMs: 5_000, keepMs: 60_000 });
      const never = new Promise<never>(() => undefined);
      let holdId = '';
      void once(store, localOperator, 'K-crash', ['reserve', body], async () => {
        holdId = makeHoldId(localOperator, 'checkout', 'K-crash');
        await rig.ledger.reserve({
          holdId,
          lines: [{ sku: sku('S'), units: 2, locations: [location('main')] }],
          ttlMs: 30_000,
          actor: 'local',
        });
        return never;
      });
      await expect.poll(() => reserved('S'), { timeout: 20_000 }).toBe(2);
      const early = await crashing.reserve(body, headers);
      expect([early.status, early.body['code'], early.headers.get('retry-after')]).toEqual([
        409,
        'IDEMPOTENCY_IN_FLIGHT',
        '1',
      ]);
      await expect
        .poll(async () => (await crashing.reserve(body, headers)).status, { timeout: 20_000 })
        .toBe(201);
      const again = await crashing.reserve(body, headers);
      expect([again.status, again.body['hold_id'], again.headers.get('idempotent-replayed')]).toEqual([
        201,
        holdId,
        'true',
      ]);
      expect(await reserved('S')).toBe(2);
      expect((await crashing.reserve({ ...body, quantity: 1 }, headers)).status).toBe(422);
    } finally {
      await crashing.close();
    }
  });
});
