import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LineSnapshot } from '../../src/domain/order.ts';
import type { OrderRouting } from '../../src/ledger/contract.ts';
import { OrderCommands } from '../../src/ledger/order-commands.ts';
import type { ScriptCaller } from '../../src/ledger/script-caller.ts';
import {
  levelOf,
  line,
  listing,
  order,
  type OrderBench,
  orderBench,
  readRealLines,
  type RealLine,
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

/** A negative quantity of the data set is a return. */
function snapshotOf({ line: lineId, sku, quantity }: RealLine): LineSnapshot {
  const counters =
    quantity >= 0
      ? { ordered: quantity, takenOut: quantity }
      : { restocked: -quantity, givenBack: -quantity };
  return line(lineId, sku, counters, { listingId: listing(sku) });
}

function byOrder(lines: readonly RealLine[]): ReadonlyMap<string, readonly LineSnapshot[]> {
  const orders = new Map<string, LineSnapshot[]>();
  for (const row of lines) {
    const known = orders.get(row.order);
    if (known === undefined) orders.set(row.order, [snapshotOf(row)]);
    else known.push(snapshotOf(row));
  }
  return orders;
}

/** Movements written. Several calls are under way at any time, as from several workers. */
async function applyAll(
  orders: readonly (readonly [string, readonly LineSnapshot[]])[],
  by: OrderRouting,
): Promise<number> {
  let movements = 0;
  for (let at = 0; at < orders.length; at += 100) {
    const some = orders.slice(at, at + 100);
    const results = await Promise.all(some.map(([id, rows]) => bench.orders.applyOrder(order(id, rows), by)));
    movements += results.reduce((sum, result) => sum + result.movements, 0);
  }
  return movements;
}

test('9,609 repeated (order, SKU) pairs: every line counts once, and a repeat of all of them not at all', async () => {
  const lines = readRealLines('repeated-pairs');
  expect(new Set(lines.map((row) => `${row.order} ${row.sku}`)).size).toBe(9_609);
  const expected = new Map<string, { committed: number; onHand: number; taken: number }>();
  for (const { sku, quantity } of lines) {
    const sum = expected.get(sku) ?? { committed: 0, onHand: 0, taken: 0 };
    expected.set(sku, {
      committed: sum.committed + Math.max(0, quantity),
      onHand: sum.onHand + Math.max(0, -quantity),
      taken: sum.taken + quantity,
    });
  }
  const main = { ...routing, locations: routing.locations.slice(0, 1) };
  const orders = [...byOrder(lines)];
  expect(await applyAll(orders, main)).toBe(lines.length);
  expect(await applyAll(orders.toReversed(), main)).toBe(0);
  for (const [sku, sum] of expected) {
    const { onHand, committed } = await levelOf(bench, sku);
    const taken = Number(await bench.redis.hget(bench.keys.listing(shop, sku), 't'));
    expect({ sku, onHand, committed, taken }).toEqual({ sku, ...sum });
  }
  await bench.audit();
}, 60_000);

test('an order of 1,112 lines: whole, also when the daemon dies between two calls', async () => {
  const lines = readRealLines('order-573585').map(snapshotOf);
  expect(lines).toHaveLength(1_112);
  let calls = 0;
  const dying = {
    call: (command: string, args: readonly (string | number)[]) => {
      if (++calls > 3) return Promise.reject(new Error('killed'));
      return bench.caller.call(command, args);
    },
  } as unknown as ScriptCaller;
  await expect(new OrderCommands(dying).applyOrder(order('573585', lines), routing)).rejects.toThrow(
    'killed',
  );
  expect(await bench.redis.hlen(bench.keys.order(shop, '573585'))).toBe(601);

  const rest = await bench.orders.applyOrder(order('573585', lines), routing);
  expect(rest.movements).toBe(512);
  expect(await bench.orders.applyOrder(order('573585', lines), routing)).toMatchObject({ movements: 0 });
  const units = lines.reduce((sum, row) => sum + row.counters.ordered, 0);
  const skus = new Set(lines.map((row) => row.sku));
  let committed = 0;
  for (const sku of skus) committed += (await levelOf(bench, sku)).committed;
  expect(committed).toBe(units);
  await bench.audit();
});
