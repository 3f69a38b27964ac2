import { afterEach, beforeEach, expect, test } from 'vitest';
import type { OrderSnapshot } from '../../src/domain/order.ts';
import type { ApplyOrderResult, OrderRouting } from '../../src/ledger/contract.ts';
import { RememberedOrders } from '../../src/ledger/remembered-orders.ts';
import { levelOf, line, main, type OrderBench, orderBench, order, routing } from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

let bench: OrderBench;
let orders: RememberedOrders;
let calls = 0;
let epoch = 1;
let nowMs = 0;

afterEach(() => bench.close());

beforeEach(async () => {
  bench = orderBench();
  await bench.caller.open();
  calls = 0;
  epoch = 1;
  nowMs = 0;
  // What goes through is applied for real; only the number of calls is of interest.
  const counted = {
    applyOrder: (snapshot: OrderSnapshot, to: OrderRouting): Promise<ApplyOrderResult> => {
      calls++;
      return bench.orders.applyOrder(snapshot, to);
    },
  };
  orders = new RememberedOrders(
    counted,
    () => epoch,
    { rememberMs: 1_000, maxOrders: 3 },
    () => nowMs,
  );
});

const ordered = (units: number) => [line('a', 's', { ordered: units })];

test('what a push could not lower is asked for again by the fetch, and lowered', async () => {
  await orders.applyOrder(order('fall', ordered(5), { source: 'push', beganAtMs: 1_000 }), routing);
  const lower = order('fall', ordered(3), { source: 'push', beganAtMs: 2_000 });
  expect(await orders.applyOrder(lower, routing)).toMatchObject({ movements: 0, refusedFalls: 1 });
  const fetched = { ...lower, source: 'fetch', beganAtMs: 3_000 } as const;
  expect(await orders.applyOrder(fetched, routing)).toMatchObject({ movements: 1, refusedFalls: 0 });
  expect(calls).toBe(3);
  expect(await levelOf(bench, 's')).toMatchObject({ committed: 3 });
});

test('an older snapshot in between is told, and the newer one again after it', async () => {
  const newer = order('back', ordered(4), { source: 'fetch', beganAtMs: 2_000 });
  await orders.applyOrder(newer, routing);
  await orders.applyOrder(order('back', ordered(2), { source: 'fetch', beganAtMs: 3_000 }), routing);
  expect(await orders.applyOrder({ ...newer, beganAtMs: 4_000 }, routing)).toMatchObject({ movements: 1 });
  expect(calls).toBe(3);
});

test('two calls for one order at once leave nothing remembered', async () => {
  const snapshot = order('both', ordered(1));
  await Promise.all([orders.applyOrder(snapshot, routing), orders.applyOrder(snapshot, routing)]);
  await orders.applyOrder(snapshot, routing);
  expect(calls).toBe(3);
  await orders.applyOrder(snapshot, routing);
  expect(calls).toBe(3);
});

test('a new epoch, another routing and the end of its time bring an order up again', async () => {
  const snapshot = order('again', ordered(1));
  await orders.applyOrder(snapshot, routing);
  epoch = 2;
  await orders.applyOrder(snapshot, routing);
  expect(calls).toBe(2);
  const back = { ...routing, locations: [{ location: main, wmsOwned: true }] };
  await orders.applyOrder(snapshot, back);
  expect(calls).toBe(3);
  nowMs = 1_001;
  await orders.applyOrder(snapshot, back);
  expect(calls).toBe(4);
});

test('no more orders are kept than were asked for', async () => {
  for (const id of ['k1', 'k2', 'k3', 'k4']) await orders.applyOrder(order(id, ordered(1)), routing);
  await orders.applyOrder(order('k1', ordered(1)), routing);
  expect(calls).toBe(5);
});

test('an unchanged order costs the ledger nothing, whoever tells it and whenever it was asked for', async () => {
  const first = order('same', ordered(2), { source: 'push', beganAtMs: 1_000 });
  const applied = await orders.applyOrder(first, routing);
  expect(applied).toMatchObject({ movements: 1 });
  for (const beganAtMs of [2_000, 3_000])
    expect(await orders.applyOrder({ ...first, source: 'fetch', beganAtMs }, routing)).toEqual({
      ...applied,
      movements: 0,
    });
  expect(calls).toBe(1);
  await bench.audit();
});
