import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Sku } from '../../src/domain/ids.ts';
import { OrderCommands } from '../../src/ledger/order-commands.ts';
import { ledgerParts } from '../support/ledger-parts.ts';
import {
  back,
  levelOf,
  line,
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
beforeEach(() => {
  bench = orderBench();
});
afterEach(async () => {
  await bench.close();
});

const none = { onHand: 0, committed: 0, reserved: 0 };

describe('refuses', () => {
  test.each([
    ['no location', order('1', [line('a', 's', {})]), { ...routing, locations: [] }],
    ['half a unit', order('1', [line('a', 's', { ordered: 1.5 })]), routing],
    ['a negative counter', order('1', [line('a', 's', { shipped: -1 })]), routing],
    ['units beyond 2^53 - 1', order('1', [line('a', 's', { ordered: 2 ** 53 })]), routing],
    ['a separator in a line id', order('1', [line('a\u001fb', 's', {})]), routing],
    ['a separator in a sku', order('1', [line('a', 's\u001e', {})]), routing],
    ['an order without id', order('', [line('a', 's', {})]), routing],
    ['a time that is no number', order('1', [line('a', 's', {})], { changedAtMs: Number.NaN }), routing],
  ])('%s', async (_, snapshot, by) => {
    await expect(bench.orders.applyOrder(snapshot, by)).rejects.toMatchObject({
      code: 'LEDGER_REQUEST_INVALID',
    });
  });

  test('a total beyond 2^53 - 1, and writes nothing of the whole call', async () => {
    await bench.orders.applyOrder(
      order('1', [line('a', 's', { ordered: Number.MAX_SAFE_INTEGER })]),
      routing,
    );
    const before = await bench.movements();
    const snapshot = order('2', [line('a', 'other', { ordered: 1 }), line('b', 's', { ordered: 1 })]);
    await expect(bench.orders.applyOrder(snapshot, routing)).rejects.toMatchObject({
      code: 'LEDGER_QUANTITY_OVERFLOW',
    });
    expect(await bench.movements()).toEqual(before);
    expect(await bench.redis.exists(bench.keys.order(shop, '2'))).toBe(0);
    await bench.audit();
  });
});

describe('applies the difference', () => {
  test('of a snapshot once, whoever repeats it', async () => {
    await receive(bench, 's', 10);
    const snapshot = order('1', [line('a', 's', { ordered: 3 })]);
    expect(await bench.orders.applyOrder(snapshot, routing)).toMatchObject({ movements: 1, refusedFalls: 0 });
    const stored = await bench.redis.hgetall(bench.keys.order(shop, '1'));
    expect(await bench.orders.applyOrder(snapshot, routing)).toMatchObject({ movements: 0 });
    expect(await bench.redis.hgetall(bench.keys.order(shop, '1'))).toEqual(stored);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 10, committed: 3, reserved: 0 });
  });

  test('of a whole life: ordered, partly cancelled, shipped, returned', async () => {
    await receive(bench, 's', 10);
    const steps = [
      [{ ordered: 4 }, { onHand: 10, committed: 4 }],
      [
        { ordered: 4, cancelled: 1 },
        { onHand: 10, committed: 3 },
      ],
      [
        { ordered: 4, cancelled: 1, shipped: 2 },
        { onHand: 8, committed: 1 },
      ],
      [
        { ordered: 4, cancelled: 1, shipped: 3 },
        { onHand: 7, committed: 0 },
      ],
      [
        { ordered: 4, cancelled: 1, shipped: 3, restocked: 2 },
        { onHand: 9, committed: 0 },
      ],
    ] as const;
    for (const [counters, level] of steps) {
      await bench.orders.applyOrder(order('1', [line('a', 's', counters)]), routing);
      expect(await levelOf(bench, 's')).toEqual({ ...level, reserved: 0 });
    }
    await bench.audit();
  });

  test('of a shipment that is seen before its order', async () => {
    await receive(bench, 's', 10);
    await bench.orders.applyOrder(order('1', [line('a', 's', { shipped: 2 })]), routing);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 8, committed: 0, reserved: 0 });
    const late = await bench.orders.applyOrder(
      order('1', [line('a', 's', { ordered: 2, shipped: 2 })]),
      routing,
    );
    expect(late.movements).toBe(1);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 8, committed: 0, reserved: 0 });
    await bench.audit();
  });

  test('a refund without restock takes the goods out of on-hand too', async () => {
    await receive(bench, 's', 10);
    await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 3, writtenOff: 1 })]), routing);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 9, committed: 2, reserved: 0 });
    await bench.audit();
  });

  test('a cancellation that is told by two deliveries, in either order, counts once', async () => {
    await receive(bench, 's', 10);
    const placed = order('1', [line('a', 's', { ordered: 3 })]);
    const cancelled = order('1', [line('a', 's', { ordered: 3, cancelled: 3 })]);
    for (const snapshot of [cancelled, placed, cancelled]) await bench.orders.applyOrder(snapshot, routing);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 10, committed: 0, reserved: 0 });
  });

  test('a lower counter is an old delivery, unless a later fetch says it', async () => {
    const at = (ordered: number, source: 'push' | 'fetch', beganAtMs: number) =>
      bench.orders.applyOrder(order('1', [line('a', 's', { ordered })], { source, beganAtMs }), routing);
    await at(5, 'push', 2_000);
    expect(await at(3, 'push', 3_000)).toMatchObject({ movements: 0, refusedFalls: 1 });
    expect(await at(3, 'fetch', 1_999)).toMatchObject({ movements: 0, refusedFalls: 1 });
    expect(await at(3, 'fetch', 2_001)).toMatchObject({ movements: 1, refusedFalls: 0 });
    expect(await levelOf(bench, 's')).toMatchObject({ committed: 3 });
    await bench.audit();
  });

  test('corrections of every counter by a later fetch lead back', async () => {
    await receive(bench, 's', 10);
    const all = { ordered: 9, cancelled: 2, writtenOff: 1, shipped: 4, restocked: 3 };
    await bench.orders.applyOrder(order('1', [line('a', 's', all)]), routing);
    await bench.audit();
    const fetched = { source: 'fetch', beganAtMs: 2_000 } as const;
    await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 1 })], fetched), routing);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 10, committed: 1, reserved: 0 });
    await bench.audit();
  });

  test('a line that is missing in a later fetch is not a cancellation', async () => {
    const both = order('1', [line('a', 's', { ordered: 1 }), line('b', 's', { ordered: 2 })]);
    await bench.orders.applyOrder(both, routing);
    const cut = order('1', [line('a', 's', { ordered: 1 })], { source: 'fetch', beganAtMs: 9_000 });
    expect(await bench.orders.applyOrder(cut, routing)).toMatchObject({ movements: 0 });
    expect(await levelOf(bench, 's')).toMatchObject({ committed: 3 });
  });

  test('the same SKU on two lines is two lines', async () => {
    const snapshot = order('1', [line('a', 's', { ordered: 1 }), line('b', 's', { ordered: 1 })]);
    expect(await bench.orders.applyOrder(snapshot, routing)).toMatchObject({ movements: 2 });
    expect(await levelOf(bench, 's')).toMatchObject({ committed: 2 });
  });

  test('a line that is mapped to another SKU later still moves the one it committed', async () => {
    await bench.orders.applyOrder(order('1', [line('a', 'old', { ordered: 2 })]), routing);
    await bench.orders.applyOrder(order('1', [line('a', 'new', { ordered: 2, cancelled: 2 })]), routing);
    expect(await levelOf(bench, 'old')).toEqual(none);
    expect(await levelOf(bench, 'new')).toEqual(none);
    await bench.audit();
  });
});

describe('chooses the place', () => {
  test('first location that can take all of it, else a split, the remainder at the first', async () => {
    await receive(bench, 's', 2);
    await receive(bench, 's', 5, back);
    await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 4 })]), routing);
    expect(await levelOf(bench, 's', back)).toMatchObject({ committed: 4 });
    await bench.orders.applyOrder(order('2', [line('a', 's', { ordered: 5 })]), routing);
    // 2 and 1 were left: what nobody has shows as oversold at the first location.
    expect(await levelOf(bench, 's', main)).toMatchObject({ onHand: 2, committed: 4 });
    expect(await levelOf(bench, 's', back)).toMatchObject({ onHand: 5, committed: 5 });
    await bench.orders.applyOrder(order('2', [line('a', 's', { ordered: 5, cancelled: 5 })]), routing);
    expect(await levelOf(bench, 's', main)).toMatchObject({ committed: 0 });
    expect(await levelOf(bench, 's', back)).toMatchObject({ committed: 4 });
    await bench.audit();
  });

  test('that the platform names, also when it names it later', async () => {
    await receive(bench, 's', 5);
    await receive(bench, 's', 5, back);
    await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 3 })]), routing);
    expect(await levelOf(bench, 's', main)).toMatchObject({ committed: 3 });
    const named = line('a', 's', { ordered: 3 }, { committedAt: [{ location: back, units: 3 }] });
    expect(await bench.orders.applyOrder(order('1', [named]), routing)).toMatchObject({ movements: 2 });
    expect(await levelOf(bench, 's', main)).toMatchObject({ committed: 0 });
    expect(await levelOf(bench, 's', back)).toMatchObject({ committed: 3 });
    expect(await bench.orders.applyOrder(order('1', [named]), routing)).toMatchObject({ movements: 0 });
    await bench.audit();
  });

  test('an older snapshot does not move the units back', async () => {
    const at = (location: typeof main, changedAtMs: number, ordered: number) =>
      bench.orders.applyOrder(
        order('1', [line('a', 's', { ordered }, { committedAt: [{ location, units: ordered }] })], {
          changedAtMs,
        }),
        routing,
      );
    await at(main, 1_000, 1);
    await at(back, 3_000, 1);
    await at(main, 2_000, 1);
    expect(await levelOf(bench, 's', back)).toMatchObject({ committed: 1 });
    // A rise in an old snapshot still counts.
    await at(main, 2_500, 2);
    const sum = (await levelOf(bench, 's', back)).committed + (await levelOf(bench, 's', main)).committed;
    expect(sum).toBe(2);
    await bench.audit();
  });

  test('goods leave the place they were shipped from, wherever they were promised', async () => {
    await receive(bench, 's', 5);
    await receive(bench, 's', 5, back);
    await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 3 })]), routing);
    const shipped = line(
      'a',
      's',
      { ordered: 3, shipped: 2 },
      { shippedFrom: [{ location: back, units: 2 }] },
    );
    await bench.orders.applyOrder(order('1', [shipped]), routing);
    expect(await levelOf(bench, 's', main)).toEqual({ onHand: 5, committed: 1, reserved: 0 });
    expect(await levelOf(bench, 's', back)).toEqual({ onHand: 3, committed: 0, reserved: 0 });
    await bench.audit();
  });
});

describe('adopts an order older than the baseline', () => {
  const snapshot = order('1', [
    line('open', 's', { ordered: 3, shipped: 1, takenOut: 3 }),
    line('done', 's', { ordered: 2, shipped: 2, takenOut: 2 }),
  ]);

  test('on-hand still contained the open units', async () => {
    await receive(bench, 's', 10);
    await bench.orders.applyOrder(snapshot, { ...routing, adopt: 'on-hand' });
    expect(await levelOf(bench, 's')).toEqual({ onHand: 10, committed: 2, reserved: 0 });
    await bench.audit();
  });

  test('available did not', async () => {
    await receive(bench, 's', 10);
    await bench.orders.applyOrder(snapshot, { ...routing, adopt: 'available' });
    expect(await levelOf(bench, 's')).toEqual({ onHand: 12, committed: 2, reserved: 0 });
    await bench.audit();
  });

  test('only once: what happens to it later is a movement', async () => {
    await receive(bench, 's', 10);
    const adopting = { ...routing, adopt: 'on-hand' as const };
    await bench.orders.applyOrder(snapshot, adopting);
    expect(await bench.orders.applyOrder(snapshot, adopting)).toMatchObject({ movements: 0 });
    const shipped = order('1', [line('open', 's', { ordered: 3, shipped: 3, takenOut: 3 })]);
    await bench.orders.applyOrder(shipped, adopting);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 8, committed: 0, reserved: 0 });
    await bench.audit();
  });
});

describe('keeps its own', () => {
  test('every text a merchant can type is a SKU and an id', async () => {
    const names = [
      'a:b',
      '__proto__',
      ' two  spaces ',
      'line\nbreak',
      'ü😀',
      'x'.repeat(200),
      "';--",
      '%s%d',
      '-0',
    ];
    const lines = names.map((name) =>
      line(name, name, { ordered: 1, takenOut: 1 }, { listingId: name as never }),
    );
    await bench.orders.applyOrder(order('a:b\n', lines), routing);
    const again = await bench.orders.applyOrder(order('a:b\n', lines), routing);
    expect(again.movements).toBe(0);
    for (const name of names) expect(await levelOf(bench, name)).toMatchObject({ committed: 1 });
    await bench.audit();
  });

  test('2^53 - 1 units are exact to the unit', async () => {
    const most = Number.MAX_SAFE_INTEGER;
    await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: most })]), routing);
    await bench.orders.applyOrder(
      order('1', [line('a', 's', { ordered: most, cancelled: most - 1 })]),
      routing,
    );
    expect(await levelOf(bench, 's')).toMatchObject({ committed: 1 });
    await bench.audit();
  });

  test('a lost reply: the same call twice is one movement', async () => {
    const lost = orderBench(ledgerParts({ merchant: bench.merchant }));
    await bench.caller.open();
    const snapshot = order('1', [line('a', 's', { ordered: 2 })]);
    const [one, two] = await Promise.all([
      bench.orders.applyOrder(snapshot, routing),
      lost.orders.applyOrder(snapshot, routing),
    ]);
    expect(one.movements + two.movements).toBe(1);
    await lost.close();
  });

  test('two daemons that apply the same snapshots in different orders end the same', async () => {
    const snapshots = Array.from({ length: 24 }, (_, i) =>
      order(`o${i % 6}`, [
        line('a', 's', { ordered: 4, cancelled: i % 3, shipped: i % 2, takenOut: 4, givenBack: i % 3 }),
        line('b', 't', { ordered: i % 5, restocked: i % 2 }),
      ]),
    );
    await bench.caller.open();
    const other = ledgerParts({ merchant: bench.merchant });
    const second = new OrderCommands(other.caller);
    const forward = async (): Promise<void> => {
      for (const snapshot of snapshots) await bench.orders.applyOrder(snapshot, routing);
    };
    const backward = async (): Promise<void> => {
      for (const snapshot of snapshots.toReversed()) await second.applyOrder(snapshot, routing);
    };
    await Promise.all([forward(), backward()]);
    // Per order: the highest of each counter over its four snapshots.
    const most = (read: (s: (typeof snapshots)[number]) => number) =>
      Array.from({ length: 6 }, (_, i) => i).reduce((sum, i) => {
        const mine = snapshots.filter((s) => s.orderId === `o${i}`).map(read);
        return sum + Math.max(...mine);
      }, 0);
    const cancelled = most((s) => s.lines[0]?.counters.cancelled ?? 0);
    const shipped = most((s) => s.lines[0]?.counters.shipped ?? 0);
    expect(await levelOf(bench, 's')).toEqual({
      onHand: 0 - shipped,
      committed: 24 - cancelled - shipped,
      reserved: 0,
    });
    expect(await levelOf(bench, 't')).toMatchObject({
      committed: most((s) => s.lines[1]?.counters.ordered ?? 0),
      onHand: most((s) => s.lines[1]?.counters.restocked ?? 0),
    });
    await bench.audit();
    await other.close();
  });

  test('an unpaid order has no time to live: only a cancellation ends it', async () => {
    await receive(bench, 's', 1);
    await bench.orders.applyOrder(order('unpaid', [line('a', 's', { ordered: 1 })]), routing);
    const lastUnit = {
      holdId: 'h',
      lines: [{ sku: 's' as Sku, units: 1, locations: [main] }],
      ttlMs: 60_000,
    };
    for (let day = 0; day < 20; day++) {
      await bench.stepClock(86_400_000);
      await bench.caller.call('sweep', [100, 60_000, 60_000]);
      await bench.credits.sweepOrders(100);
    }
    expect(await bench.holds.reserve({ ...lastUnit, actor: 'test' })).toMatchObject({ kind: 'denied' });
    await bench.orders.applyOrder(order('unpaid', [line('a', 's', { ordered: 1, cancelled: 1 })]), routing);
    expect(await bench.holds.reserve({ ...lastUnit, actor: 'test' })).toMatchObject({ kind: 'held' });
    await bench.audit();
  });

  test('an empty order is no order', async () => {
    expect(await bench.orders.applyOrder(order('1', []), routing)).toMatchObject({ movements: 0 });
    expect(await bench.redis.exists(bench.keys.order(shop, '1'))).toBe(0);
    expect(await bench.redis.sismember(bench.keys.skus, 's')).toBe(0);
  });
});
