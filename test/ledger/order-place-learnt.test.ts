import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ListingId, LocationId, Sku } from '../../src/domain/ids.ts';
import type { LineCounters, OrderSnapshot } from '../../src/domain/order.ts';
import { readLog } from '../../src/ledger/log-range.ts';
import { LedgerReplay } from '../../src/ledger/replay/ledger-replay.ts';
import { comparableState, replayedState } from '../../src/ledger/replay/replayed-state.ts';
import { dumpState } from '../../src/ledger/state-dump.ts';
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
beforeEach(async () => {
  bench = orderBench();
  await receive(bench, 's', 10, main);
  await receive(bench, 's', 10, back);
});
afterEach(async () => {
  await bench.close();
});

const [atMain, atBack] = ['i@main', 'i@back'] as unknown as [ListingId, ListingId];

/** A delivery that does not say where, so that the listing is a guess. */
function pushed(counters: Partial<LineCounters>, more: Partial<OrderSnapshot> = {}): OrderSnapshot {
  return order('1', [line('a', 's', counters, { listingId: atMain, takenIsKnown: false })], more);
}

function fetched(
  counters: Partial<LineCounters>,
  at: LocationId,
  beganAtMs: number,
  more: Partial<OrderSnapshot> = {},
): OrderSnapshot {
  const committedAt = [{ location: at, units: 9 }];
  const listingId = at === back ? atBack : atMain;
  const lines = [line('a', 's', counters, { listingId, takenIsKnown: true, committedAt })];
  return order('1', lines, { source: 'fetch', beganAtMs, ...more });
}

async function taken(): Promise<readonly (number | undefined)[]> {
  const asked = [atMain, atBack].map((listingId) => ({ listingId, sku: 's' as Sku }));
  const { rows } = await bench.publisher.readListings(shop, asked);
  return rows.map((row) => row.state.taken);
}

async function audit(): Promise<void> {
  await bench.audit();
  const replay = new LedgerReplay({ holdsMs: 86_400_000, operationsMs: 86_400_000 });
  for await (const page of readLog(bench.redis, bench.keys)) for (const entry of page) replay.add(entry);
  expect(replay.fold.findings).toEqual([]);
  const live = comparableState(await dumpState(bench.redis, bench.keys));
  expect(comparableState(replayedState(replay))).toEqual(live);
}

const sold = { ordered: 3, takenOut: 3 };

test('units counted at a guessed listing move to the one that sold them, once', async () => {
  await bench.orders.applyOrder(pushed(sold), routing);
  expect(await taken()).toEqual([3, 0]);
  await bench.orders.applyOrder(fetched(sold, back, 2_000), routing);
  expect(await taken()).toEqual([0, 3]);
  expect(await bench.orders.applyOrder(fetched(sold, back, 3_000), routing)).toMatchObject({ movements: 0 });
  expect(await taken()).toEqual([0, 3]);
  await audit();
});

test('with what was given back meanwhile', async () => {
  await bench.orders.applyOrder(pushed({ ...sold, cancelled: 1, givenBack: 1 }), routing);
  await bench.orders.applyOrder(fetched({ ...sold, cancelled: 2, givenBack: 2 }, back, 2_000), routing);
  expect(await taken()).toEqual([0, 1]);
  await audit();
});

test('a later delivery that does not say where moves nothing back', async () => {
  await bench.orders.applyOrder(pushed(sold), routing);
  await bench.orders.applyOrder(fetched(sold, back, 2_000), routing);
  await bench.orders.applyOrder(pushed({ ...sold, shipped: 1 }, { changedAtMs: 2_000 }), routing);
  expect(await taken()).toEqual([0, 3]);
  await audit();
});

test('units that the platform moves to another place follow, an older answer does not move them back', async () => {
  await bench.orders.applyOrder(fetched(sold, main, 2_000), routing);
  await bench.orders.applyOrder(fetched(sold, back, 3_000, { changedAtMs: 9_000 }), routing);
  expect(await taken()).toEqual([0, 3]);
  await bench.orders.applyOrder(fetched(sold, main, 4_000), routing);
  expect(await taken()).toEqual([0, 3]);
  await audit();
});

test('an adopted line was in the first reading: nothing is taken anywhere', async () => {
  const adopting = { ...routing, adopt: 'available' as const };
  await bench.orders.applyOrder(pushed(sold), adopting);
  await bench.orders.applyOrder(fetched(sold, back, 2_000), adopting);
  expect(await taken()).toEqual([0, 0]);
  await audit();
});

test('units lost at another place than the guessed one are missing there, in whatever pieces they are seen', async () => {
  const lost = (writtenOff: number, at: readonly [LocationId, number][], more: Partial<OrderSnapshot>) => {
    const lostFrom = at.map(([location, units]) => ({ location, units }));
    return order('1', [line('a', 's', { ordered: 4, writtenOff }, { lostFrom })], {
      source: 'fetch',
      ...more,
    });
  };
  await bench.orders.applyOrder(lost(2, [[back, 2]], { beganAtMs: 2_000 }), routing);
  expect(await onHands()).toEqual([10, 8]);
  await bench.orders.applyOrder(lost(2, [[back, 2]], { beganAtMs: 2_500 }), routing);
  await bench.orders.applyOrder(
    lost(
      4,
      [
        [main, 1],
        [back, 3],
      ],
      { beganAtMs: 3_000 },
    ),
    routing,
  );
  expect(await onHands()).toEqual([9, 7]);
  await audit();
});

async function onHands(): Promise<readonly number[]> {
  return [(await levelOf(bench, 's', main)).onHand, (await levelOf(bench, 's', back)).onHand];
}
