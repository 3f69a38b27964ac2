import * as fc from 'fast-check';
import type { LocationId, Sku } from '../../../src/domain/ids.ts';
import type { LineCounters } from '../../../src/domain/order.ts';
import { publisherLease } from '../../../src/ledger/write-commands.ts';
import {
  back,
  count,
  line,
  listing,
  main,
  order,
  type OrderBench,
  receive,
  routing,
  shop,
} from '../../support/order-bench.ts';

export type Step = (bench: OrderBench, token: number) => Promise<unknown>;

const places = fc.constantFrom<LocationId>(main, back);
const skus = fc.constantFrom('s', 't') as fc.Arbitrary<Sku>;
const units = fc.integer({ min: 0, max: 4 });
const few = fc.integer({ min: 1, max: 4 });
const ids = fc.integer({ min: 0, max: 3 });
const holdIds = fc.integer({ min: 0, max: 7 });
const counters: fc.Arbitrary<LineCounters> = fc.record({
  ordered: units,
  cancelled: units,
  writtenOff: units,
  shipped: units,
  restocked: units,
  takenOut: units,
  givenBack: units,
});
/** `back` is a warehouse with a system of its own. */
const mixed = {
  ...routing,
  locations: [
    { location: main, wmsOwned: false },
    { location: back, wmsOwned: true },
  ],
};

let nonce = 0;

const seeOrder: fc.Arbitrary<Step> = fc
  .record({
    id: ids,
    sku: skus,
    counters,
    isFetch: fc.boolean(),
    beganAtMs: fc.integer({ min: 1, max: 50 }),
    changedAtMs: fc.integer({ min: 1, max: 50 }),
    at: fc.option(places, { nil: undefined }),
    isKnown: fc.boolean(),
    hasListing: fc.constantFrom(true, true, false),
    adopt: fc.constantFrom(undefined, undefined, 'on-hand' as const, 'available' as const),
  })
  .map(
    ({ id, sku, counters: wanted, isFetch, beganAtMs, changedAtMs, at, isKnown, hasListing, adopt }) =>
      (bench) => {
        const committedAt = at === undefined ? undefined : [{ location: at, units: wanted.ordered }];
        const one = line(sku, sku, wanted, {
          listingId: hasListing ? listing(sku) : undefined,
          takenIsKnown: isKnown,
          committedAt,
        });
        // Half of the fetches are newer than all before them: only those may lower what is known.
        const began = beganAtMs > 25 ? 1_000 + ++nonce : beganAtMs;
        const source = isFetch ? 'fetch' : 'push';
        const times = { placedAtMs: 1, beganAtMs: began, changedAtMs, source } as const;
        return bench.orders.applyOrder(order(`o${id}`, [one], times), { ...mixed, adopt });
      },
  );

const reserve: fc.Arbitrary<Step> = fc
  .record({
    id: holdIds,
    lines: fc.array(fc.record({ sku: skus, units: few, at: places }), { minLength: 1, maxLength: 3 }),
    ttlMs: fc.constantFrom(1, 60_000, 60_000, 60_000),
    pool: fc.constantFrom(undefined, 'p;q'),
    agent: fc.constantFrom(undefined, 'a'),
    settlesOn: fc.constantFrom('external' as const, shop),
  })
  .map(
    ({ id, lines, ...terms }) =>
      (bench) =>
        bench.holds.reserve({
          holdId: `h${id}`,
          lines: lines.map(({ sku, units: wanted, at }) => ({ sku, units: wanted, locations: [at] })),
          actor: 'test',
          ...terms,
        }),
  );

/** One hold in the place of another, which may be unknown, ended, or itself. */
const changeHold: fc.Arbitrary<Step> = fc
  .record({
    id: holdIds,
    lines: fc.array(fc.record({ sku: skus, units: few, at: places }), { minLength: 1, maxLength: 3 }),
    newId: holdIds,
    agent: fc.constantFrom(undefined, 'a'),
  })
  .map(
    ({ id, newId, lines, agent }) =>
      (bench) =>
        bench.holds.change(`h${id}`, {
          holdId: `h${newId}`,
          lines: lines.map(({ sku, units: wanted, at }) => ({ sku, units: wanted, locations: [at] })),
          ttlMs: 60_000,
          actor: 'test',
          agent,
        }),
  );

const endHold: fc.Arbitrary<Step> = fc
  .record({ id: holdIds, orderId: ids, isCommit: fc.boolean(), part: fc.option(skus, { nil: undefined }) })
  .map(
    ({ id, orderId, isCommit, part }) =>
      (bench) =>
        isCommit
          ? bench.holds.commit({
              holdId: `h${id}`,
              actor: 'test',
              order: { channel: shop, orderId: `o${orderId}` },
              part: part === undefined ? undefined : [{ sku: part, units: 1 }],
            })
          : bench.holds.release({ holdId: `h${id}`, actor: 'test' }),
  );

/** Bought through a hold: the order is told by its platform before, after, or never. */
const buy: fc.Arbitrary<Step> = fc
  .record({ orderId: ids, sku: skus, units: few, at: places })
  .map(({ orderId, sku, units: wanted, at }) => async (bench) => {
    const holdId = `bought-${++nonce}`;
    const lines = [{ sku, units: wanted, locations: [at] }];
    await bench.holds.reserve({ holdId, lines, ttlMs: 60_000, actor: 'test' });
    const bought = { channel: shop, orderId: `o${orderId}` };
    return bench.holds.commit({ holdId, actor: 'test', order: bought });
  });

const warehouse: fc.Arbitrary<Step> = fc
  .record({
    sku: skus,
    at: places,
    onHand: fc.integer({ min: 0, max: 90 }),
    agoMs: fc.integer({ min: 0, max: 40 }),
  })
  .map(
    ({ sku, at, onHand, agoMs }) =>
      (bench) =>
        bench.counts.applyCount(
          count(bench, sku, onHand, { location: at, asOfMs: bench.clock.nowMs() - agoMs }),
        ),
  );

const adjust: fc.Arbitrary<Step> = fc
  .record({
    sku: skus,
    at: places,
    units: few,
    movement: fc.constantFrom('received', 'adjusted', 'shipped', 'returned'),
  })
  .map(
    ({ sku, at, units: by, movement }) =>
      (bench) =>
        bench.counts.adjust({
          operationId: `adjust-${++nonce}`,
          movement,
          sku,
          location: at,
          units: movement === 'shipped' || movement === 'adjusted' ? -by : by,
          effectiveAtMs: bench.clock.nowMs() - (by % 3) * 20,
          reference: 'd',
          reason: '',
          actor: 'test',
        }),
  );

const provision: fc.Arbitrary<Step> = fc
  .record({
    sku: skus,
    at: places,
    units: fc.integer({ min: -4, max: 4 }),
    asOfMs: fc.integer({ min: 1, max: 50 }),
  })
  .map(({ sku, at, units: by, asOfMs }) => async (bench, token) => {
    const { rows } = await bench.publisher.readListings(shop, [{ listingId: listing(sku), sku }]);
    const state = rows[0]?.state;
    if (state === undefined) throw new Error('no row');
    const base = { value: 5, takenAt: state.taken, asOfMs, settled: true };
    const change = {
      listingId: listing(sku),
      expectedVersion: state.version,
      next: { ...state, base },
      provision: { units: by, sku, location: at, cause: 'drop' },
    };
    return bench.publisher.settle(shop, token, { changes: [change], closeWrites: [] });
  });

const resolve: fc.Arbitrary<Step> = fc.record({ id: ids, sku: skus }).map(
  ({ id, sku }) =>
    (bench) =>
      bench.credits.resolveCredit({
        operationId: `resolve-${++nonce}`,
        channel: shop,
        orderId: `o${id}`,
        sku,
        actor: 'test',
      }),
);

const later: fc.Arbitrary<Step> = fc.constantFrom(5, 4_000).map((ms) => (bench) => bench.stepClock(ms));

const extend: fc.Arbitrary<Step> = fc.record({ id: holdIds, ttlMs: fc.constantFrom(2_000, 90_000) }).map(
  ({ id, ttlMs }) =>
    (bench) =>
      bench.holds.extend({ holdId: `h${id}`, ttlMs, operationId: `extend-${++nonce}`, maxExtensions: 3 }),
);

const transfer: fc.Arbitrary<Step> = fc.record({ sku: skus, units: few, isBack: fc.boolean() }).map(
  ({ sku, units: moved, isBack }) =>
    (bench) =>
      bench.counts.transfer({
        operationId: `transfer-${++nonce}`,
        sku,
        from: isBack ? back : main,
        to: isBack ? main : back,
        units: moved,
        reference: 'd',
        actor: 'test',
      }),
);

/** One command of any kind; what it names repeats often, so that commands meet. */
export const anyCommand = fc.oneof(
  { weight: 6, arbitrary: seeOrder },
  { weight: 6, arbitrary: reserve },
  { weight: 2, arbitrary: changeHold },
  { weight: 5, arbitrary: endHold },
  { weight: 3, arbitrary: buy },
  { weight: 2, arbitrary: warehouse },
  { weight: 2, arbitrary: adjust },
  { weight: 2, arbitrary: provision },
  { weight: 1, arbitrary: resolve },
  { weight: 2, arbitrary: extend },
  { weight: 1, arbitrary: transfer },
  { weight: 1, arbitrary: later },
);

/** Carries out the commands on a ledger that has something to sell, under the publisher's lease. */
export async function runCommands(bench: OrderBench, steps: readonly Step[]): Promise<void> {
  await receive(bench, 's', 60);
  await receive(bench, 's', 5, back);
  await receive(bench, 't', 30, back);
  const lease = await bench.publisher.takeLease(publisherLease(shop), 'test', 3_600_000);
  for (const one of steps) await one(bench, lease.kind === 'taken' ? lease.token : 0);
}
