import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LocationId, Sku } from '../../src/domain/ids.ts';
import type { LineCounters } from '../../src/domain/order.ts';
import { CreditCommands } from '../../src/ledger/credit-commands.ts';
import {
  back,
  levelOf,
  line,
  listing,
  main,
  order,
  type OrderBench,
  orderBench,
  receive,
  routing,
  shop,
} from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

let bench: OrderBench;
beforeEach(async () => {
  bench = orderBench();
  await receive(bench, 's', 10);
  await receive(bench, 's', 10, back);
});
afterEach(async () => {
  await bench.close();
});

const sku = 's' as Sku;

async function hold(holdId: string, units: number, at: LocationId = main): Promise<void> {
  const held = await bench.holds.reserve({
    holdId,
    lines: [{ sku, units, locations: [at] }],
    ttlMs: 60_000,
    actor: 'test',
  });
  expect(held.kind).toBe('held');
}

const commit = (holdId: string, orderId = '7') =>
  bench.holds.commit({ holdId, actor: 'test', order: { channel: shop, orderId } });

const see = (counters: Partial<LineCounters>, more = {}) =>
  bench.orders.applyOrder(order('7', [line('a', 's', counters, more)]), routing);

describe('a hold that became an order is committed once', () => {
  test('commit first', async () => {
    await hold('h', 2, back);
    await commit('h');
    expect(await levelOf(bench, 's', back)).toMatchObject({ committed: 2, reserved: 0 });
    expect(await see({ ordered: 2 })).toMatchObject({ movements: 1 });
    expect(await levelOf(bench, 's', main)).toMatchObject({ committed: 0 });
    expect(await levelOf(bench, 's', back)).toMatchObject({ committed: 2 });
    await bench.audit();
    await see({ ordered: 2, cancelled: 2 });
    expect(await levelOf(bench, 's', back)).toMatchObject({ onHand: 10, committed: 0, reserved: 0 });
    await bench.audit();
  });

  test('order first', async () => {
    await hold('h', 2);
    await see({ ordered: 2 });
    expect(await levelOf(bench, 's')).toMatchObject({ committed: 2, reserved: 2 });
    await commit('h');
    expect(await levelOf(bench, 's')).toMatchObject({ committed: 2, reserved: 0 });
    await bench.audit();
  });

  test('order first, cancelled before the commit is heard of', async () => {
    await hold('h', 2);
    await see({ ordered: 2, cancelled: 2 });
    await commit('h');
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 10, committed: 0, reserved: 0 });
    expect(await bench.credits.openCredits(-1_000)).toEqual([]);
    await bench.audit();
  });

  test('order shipped before the commit is heard of', async () => {
    await hold('h', 2);
    await see({ ordered: 2, shipped: 2 });
    await commit('h');
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8, committed: 0, reserved: 0 });
    await bench.audit();
  });

  test('shipment seen before the order, with the commit before both', async () => {
    await hold('h', 2);
    await commit('h');
    await see({ shipped: 2 });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8, committed: 2 });
    await see({ ordered: 2, shipped: 2 });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8, committed: 0 });
    await bench.audit();
  });

  test('two holds for two lines of one order', async () => {
    await hold('h1', 2);
    await hold('h2', 3);
    await commit('h1');
    const lines = [line('a', 's', { ordered: 2 }), line('b', 's', { ordered: 3 })];
    await bench.orders.applyOrder(order('7', lines), routing);
    expect(await levelOf(bench, 's')).toMatchObject({ committed: 5, reserved: 3 });
    await commit('h2');
    expect(await levelOf(bench, 's')).toMatchObject({ committed: 5, reserved: 0 });
    await bench.audit();
  });

  test('at another place than the platform names', async () => {
    await hold('h', 2, main);
    await commit('h');
    await see({ ordered: 2 }, { committedAt: [{ location: back, units: 2 }] });
    expect(await levelOf(bench, 's', main)).toMatchObject({ committed: 0 });
    expect(await levelOf(bench, 's', back)).toMatchObject({ committed: 2 });
    await bench.audit();
  });

  test('whatever the order of every event', async () => {
    const events = [
      (id: string) => commit(`h${id}`, id),
      (id: string) => bench.orders.applyOrder(order(id, [line('a', 's', { ordered: 2 })]), routing),
      (id: string) =>
        bench.orders.applyOrder(order(id, [line('a', 's', { ordered: 3, cancelled: 1 })]), routing),
    ];
    const sequences = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ];
    for (const [index, sequence] of sequences.entries()) {
      await receive(bench, 's', 10);
      await hold(`ho${index}`, 2);
      for (const at of sequence) await events[at]?.(`o${index}`);
    }
    const sum = (await levelOf(bench, 's', main)).committed + (await levelOf(bench, 's', back)).committed;
    expect(sum).toBe(6 * 2);
    expect(await levelOf(bench, 's')).toMatchObject({ reserved: 0 });
    await bench.audit();
  });
});

describe('a credit whose order does not come', () => {
  test('is listed once it is old, and given up once', async () => {
    await hold('h', 2);
    await commit('h', 'a:1');
    expect(await bench.credits.openCredits(60_000)).toEqual([]);
    await bench.stepClock(120_000);
    await bench.holds.hold('h');
    const [open] = await bench.credits.openCredits(60_000);
    expect(open).toMatchObject({ channel: shop, orderId: 'a:1', sku });
    const request = { operationId: 'r', channel: shop, orderId: 'a:1', sku, actor: 'ops' };
    const first = await bench.credits.resolveCredit(request);
    expect(first).toMatchObject({ kind: 'resolved', units: 2, repeated: false });
    expect(await bench.credits.resolveCredit(request)).toEqual({ ...first, repeated: true });
    expect(await bench.credits.resolveCredit({ ...request, orderId: 'b' })).toEqual({
      kind: 'fingerprint-mismatch',
    });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 10, committed: 0, reserved: 0 });
    expect(await bench.credits.openCredits(0)).toEqual([]);
    await bench.audit();
    // It comes after all: sold is sold.
    await bench.orders.applyOrder(order('a:1', [line('x', 's', { ordered: 2 })]), routing);
    expect(await levelOf(bench, 's')).toMatchObject({ committed: 2 });
    await bench.audit();
  });
});

describe('retention', () => {
  test('drops what ended long ago, keeps what is open, and compacts in between', async () => {
    const day = 86_400_000;
    const credits = new CreditCommands(bench.caller, () => bench.clock.nowMs());
    const closed = order('closed', [
      line('a', 's', { ordered: 2, shipped: 2, takenOut: 2 }, { listingId: listing('l') }),
    ]);
    const open = order('open', [line('a', 's', { ordered: 2 })]);
    await bench.orders.applyOrder(closed, routing);
    await bench.orders.applyOrder(open, routing);
    await hold('h', 1);
    await commit('h', 'promised');
    expect(await credits.sweepOrders(100)).toEqual({ dropped: 0, compacted: 0 });
    await bench.stepClock(31 * day);
    expect(await credits.sweepOrders(100)).toEqual({ dropped: 0, compacted: 1 });
    expect(await credits.sweepOrders(100)).toEqual({ dropped: 0, compacted: 0 });
    await bench.audit();

    // A late refund finds everything it needs.
    const refund = line('a', 's', { ordered: 2, shipped: 2, restocked: 1, takenOut: 2, givenBack: 1 });
    const late = await bench.orders.applyOrder(order('closed', [refund]), routing);
    expect(late.movements).toBe(1);
    await bench.audit();
    expect(await bench.redis.hget(bench.keys.listing(shop, 'l'), 't')).toBe('1');

    await bench.stepClock(401 * day);
    expect(await credits.sweepOrders(100)).toMatchObject({ dropped: 1 });
    expect(await bench.redis.exists(bench.keys.order(shop, 'closed'))).toBe(0);
    expect(await bench.redis.exists(bench.keys.order(shop, 'open'))).toBe(1);
    expect(await bench.redis.exists(bench.keys.order(shop, 'promised'))).toBe(1);
    expect(await bench.redis.zcard(bench.keys.orders)).toBe(2);
    expect(await credits.sweepOrders(100)).toMatchObject({ dropped: 0 });
    await bench.orders.applyOrder(order('open', [line('a', 's', { ordered: 2, cancelled: 2 })]), routing);
    await bench.audit();
  });

  test('looks at no more orders than it is told', async () => {
    const lines = [line('a', 's', { ordered: 1, shipped: 1 })];
    for (let i = 0; i < 5; i++) await bench.orders.applyOrder(order(`o${i}`, lines), routing);
    await bench.stepClock(401 * 86_400_000);
    expect((await bench.credits.sweepOrders(2)).dropped).toBe(2);
    expect((await bench.credits.sweepOrders(100)).dropped).toBe(3);
  });
});
