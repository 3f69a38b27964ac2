import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ListingId } from '../../src/domain/ids.ts';
import { type PendingListing, PendingLanes, lanes } from '../../src/mesh/pending-lanes.ts';

const pending = fc.record({
  lane: fc.constantFrom(...lanes),
  units: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined }),
});
const risk = ({ units }: PendingListing): number => 100 / Math.max(1, units ?? 1);

function filled(
  listings: readonly { lane: PendingListing['lane']; units: number | undefined }[],
): PendingLanes {
  const all = new PendingLanes(10_000);
  for (const [index, { lane, units }] of listings.entries())
    all.add({ listingId: `L${index}` as ListingId, seq: index, causedAtMs: undefined, lane, units });
  return all;
}

test('nothing that stays behind is more urgent than what was taken: by lane, then by risk', () => {
  fc.assert(
    fc.property(fc.array(pending, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (listings, limit) => {
      const all = filled(listings);
      const taken = all.take(limit, () => 'take' as const, { riskOf: risk });
      const left = all.take(10_000, () => 'take' as const);
      expect(taken.length).toBe(Math.min(limit, listings.length));
      expect(all.size).toBe(0);
      for (const one of taken)
        for (const other of left) {
          const lane = lanes.indexOf(one.lane) - lanes.indexOf(other.lane);
          expect(lane < 0 || (lane === 0 && risk(one) >= risk(other))).toBe(true);
        }
    }),
  );
});

test('those that cannot go now are passed over and keep their place', () => {
  fc.assert(
    fc.property(fc.array(pending, { minLength: 1, maxLength: 40 }), (listings) => {
      const all = filled(listings);
      const isOdd = (listingId: ListingId): boolean => Number(listingId.slice(1)) % 2 === 1;
      const place = (listingId: ListingId) => (isOdd(listingId) ? ('skip' as const) : ('take' as const));
      const taken = all.take(5, place, { riskOf: risk });
      expect(taken.some(({ listingId }) => isOdd(listingId))).toBe(false);
      expect(all.size).toBe(listings.length - taken.length);
    }),
  );
});

test('asked for what is sold out, nothing else is taken', () => {
  const all = filled(lanes.map((lane) => ({ lane, units: 1 })));
  expect(all.hasSoldOut).toBe(true);
  expect(all.take(10, () => 'take' as const, { isSoldOutOnly: true }).map(({ lane }) => lane)).toEqual([
    'sold-out',
  ]);
  expect(all.hasSoldOut).toBe(false);
  expect(all.size).toBe(lanes.length - 1);
});
