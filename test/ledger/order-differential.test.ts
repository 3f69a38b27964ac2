import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { absorbTaken } from '../../src/domain/absorb.ts';
import type { Sku } from '../../src/domain/ids.ts';
import { type ListingState, untouchedListing } from '../../src/domain/listing.ts';
import { type AppliedLine, mergeLine, nothingApplied } from '../../src/domain/merge.ts';
import { counterNames, type LineCounters } from '../../src/domain/order.ts';
import { US } from '../../src/ledger/keys.ts';
import { publisherLease } from '../../src/ledger/write-commands.ts';
import {
  back,
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
let run = 0;
beforeEach(() => {
  bench = orderBench();
});
afterEach(async () => {
  await bench.close();
});

const units = fc.integer({ min: 0, max: 4 });
const counters: fc.Arbitrary<LineCounters> = fc.record({
  ordered: units,
  cancelled: units,
  writtenOff: units,
  shipped: units,
  restocked: units,
  takenOut: units,
  givenBack: units,
});
const mergeSkewMs = 2;
const places = fc.option(
  fc.array(fc.record({ location: fc.constantFrom(main, back), units }), { maxLength: 2 }),
  { nil: undefined },
);
const snapshot = fc.record({
  lineId: fc.constantFrom('a', 'b'),
  counters,
  source: fc.constantFrom('push' as const, 'fetch' as const),
  beganAtMs: fc.integer({ min: 1, max: 9 }),
  changedAtMs: fc.integer({ min: 1, max: 9 }),
  committedAt: places,
  shippedFrom: places,
  wmsOwned: fc.boolean(),
});

test('counters merge exactly as domain/merge.ts says, and every sum stays whole', async () => {
  await receive(bench, 's', 9);
  await receive(bench, 's', 3, back);
  await fc.assert(
    fc.asyncProperty(fc.array(snapshot, { minLength: 1, maxLength: 8 }), async (snapshots) => {
      const orderId = `o${++run}`;
      const model = new Map<string, AppliedLine>();
      for (const seen of snapshots) {
        const { lineId, counters: wanted, source, beganAtMs, changedAtMs, committedAt, shippedFrom } = seen;
        const meta = await bench.redis.hget(bench.keys.order(shop, orderId), 'm');
        const merged = mergeLine(model.get(lineId) ?? nothingApplied, {
          counters: wanted,
          source,
          beganAtMs,
          isOlder: meta !== null && changedAtMs + mergeSkewMs < Number(meta.split(US)[2]),
        });
        model.set(lineId, merged.line);
        const lines = [line(lineId, 's', wanted, { committedAt, shippedFrom })];
        const result = await bench.orders.applyOrder(
          order(orderId, lines, { source, beganAtMs, changedAtMs }),
          {
            ...routing,
            skewMs: mergeSkewMs,
            locations: [
              { location: main, wmsOwned: seen.wmsOwned },
              { location: back, wmsOwned: false },
            ],
          },
        );
        expect(result.refusedFalls).toBe(merged.refusedFalls);
        if (merged.differences.length > 0) expect(result.movements).toBeGreaterThan(0);
      }
      for (const [lineId, applied] of model) {
        expect(await storedLine(orderId, lineId)).toEqual(applied);
      }
    }),
    { numRuns: 120 },
  );
  await bench.audit();
});

async function storedLine(orderId: string, lineId: string): Promise<AppliedLine> {
  const record = await bench.redis.hget(bench.keys.order(shop, orderId), `l:${lineId}`);
  if (record === null) return nothingApplied;
  const [, , packedCounters = '', packedSetAt = ''] = record.split(US);
  const setAt = packedSetAt.split(',').map(Number);
  const named = (values: readonly number[]): LineCounters => {
    const pairs = counterNames.map((name, index) => [name, values[index] ?? values[0] ?? 0] as const);
    return Object.fromEntries(pairs) as unknown as LineCounters;
  };
  return { counters: named(packedCounters.split(',').map(Number)), setAtMs: named(setAt) };
}

const sale = fc.record({
  takenOut: fc.integer({ min: 0, max: 5 }),
  givenBack: fc.integer({ min: 0, max: 5 }),
  placedAtMs: fc.integer({ min: 90, max: 112 }),
  laterMs: fc.integer({ min: 0, max: 12 }),
  orderId: fc.constantFrom('x', 'y', 'z'),
});
const base = fc.record({
  value: fc.integer({ min: -3, max: 20 }),
  takenAt: fc.integer({ min: 0, max: 5 }),
  asOfMs: fc.integer({ min: 95, max: 105 }),
  settled: fc.boolean(),
});

test('a listing absorbs own orders exactly as domain/absorb.ts says', async () => {
  const lease = await bench.publisher.takeLease(publisherLease(shop), 'test', 60_000);
  const token = lease.kind === 'taken' ? lease.token : 0;
  await fc.assert(
    fc.asyncProperty(
      fc.option(base, { nil: undefined }),
      fc.integer({ min: 0, max: 6 }),
      fc.constantFrom('delta' as const, 'absolute' as const),
      fc.integer({ min: 0, max: 6 }),
      fc.array(sale, { minLength: 1, maxLength: 6 }),
      async (start, provisional, listingKind, skewMs, sales) => {
        const id = `l${++run}`;
        await bench.publisher.settle(shop, token, {
          changes: [
            {
              listingId: listing(id),
              expectedVersion: 0,
              next: { ...untouchedListing, base: start },
              provision: { units: provisional, sku: 's' as Sku, location: back, cause: 'drop' },
            },
          ],
          closeWrites: [],
        });
        let model: ListingState = await stateOf(id);
        expect(model).toMatchObject({ base: start, provisional });
        const seen = new Map<string, { takenOut: number; givenBack: number; changedAtMs: number }>();
        for (const { takenOut, givenBack, placedAtMs, laterMs, orderId } of sales) {
          const known = seen.get(orderId);
          const changedAtMs = placedAtMs + laterMs;
          const after = {
            takenOut: Math.max(known?.takenOut ?? 0, takenOut),
            givenBack: Math.max(known?.givenBack ?? 0, givenBack),
            changedAtMs: known?.changedAtMs ?? changedAtMs,
          };
          if (known === undefined || after.takenOut > known.takenOut || after.givenBack > known.givenBack)
            after.changedAtMs = Math.max(after.changedAtMs, changedAtMs);
          const before = model;
          for (const change of [
            after.takenOut - (known?.takenOut ?? 0),
            (known?.givenBack ?? 0) - after.givenBack,
          ]) {
            const absorbed = absorbTaken(model, {
              units: change,
              atMs: changedAtMs,
              earliestAtMs: Math.min(known?.changedAtMs ?? placedAtMs, changedAtMs),
              kind: listingKind,
              skewMs,
              seenAtMs: 1,
            });
            model = absorbed.state;
          }
          const isReplaced =
            before.base !== model.base ||
            before.provisional !== model.provisional ||
            before.suspectAtMs !== model.suspectAtMs;
          const lines = [line('a', 's', { ordered: 9, takenOut, givenBack }, { listingId: listing(id) })];
          await bench.orders.applyOrder(order(`${orderId}${id}`, lines, { placedAtMs, changedAtMs }), {
            ...routing,
            listingKind,
            skewMs,
          });
          seen.set(orderId, after);
          const stored = await stateOf(id);
          expect({ ...stored, version: 0, suspectAtMs: stored.suspectAtMs !== undefined }).toEqual({
            ...model,
            version: 0,
            suspectAtMs: model.suspectAtMs !== undefined,
          });
          if (isReplaced) expect(stored.version).toBeGreaterThan(before.version);
          model = { ...model, version: stored.version, suspectAtMs: stored.suspectAtMs };
        }
      },
    ),
    { numRuns: 120 },
  );
  await bench.audit();
});

async function stateOf(id: string): Promise<ListingState> {
  const view = await bench.publisher.readListings(shop, [{ listingId: listing(id), sku: 's' as Sku }]);
  const state = view.rows[0]?.state;
  if (state === undefined) throw new Error('no row');
  return state;
}

test('rises are bounded as in domain/absorb.ts: the oldest by platform time is forgotten', async () => {
  let model: ListingState = untouchedListing;
  for (let i = 0; i < 80; i++) {
    const atMs = 1_000 + ((i * 37) % 91);
    model = absorbTaken(model, { units: 1, atMs, kind: 'delta', skewMs: 0, seenAtMs: 1 }).state;
    const lines = [line('a', 's', { ordered: 1, takenOut: 1 }, { listingId: listing('l') })];
    await bench.orders.applyOrder(order(`o${i}`, lines, { placedAtMs: atMs, changedAtMs: atMs }), routing);
  }
  expect((await stateOf('l')).rises).toEqual(model.rises);
});
