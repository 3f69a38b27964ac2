import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { baseFrom, beliefOf, ordersAround, possibleRangeOf } from '../../src/domain/belief.ts';
import { type ListingState, type OpenWrite, untouchedListing } from '../../src/domain/listing.ts';

const listing: ListingState = {
  ...untouchedListing,
  taken: 5,
  base: { value: 20, takenAt: 2, asOfMs: 1_000, settled: true },
};

describe('belief', () => {
  it('is unknown without a base', () => {
    expect(beliefOf(untouchedListing)).toBeUndefined();
    expect(possibleRangeOf(untouchedListing, 0)).toBeUndefined();
  });

  it('counts every delta that was recorded, answered or not', () => {
    const openWrites = [delta(17, 15, 'sent'), delta(15, 18, 'unknown')];
    expect(beliefOf({ ...listing, openWrites })).toBe(18);
  });

  it('lies in the range of what can be, and so does the listing whichever deltas arrived', () => {
    const write = fc.record({
      from: fc.integer({ min: -5, max: 30 }),
      to: fc.integer({ min: 0, max: 30 }),
      hasArrived: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 6 }), (writes) => {
        const openWrites = writes.map(({ from, to }) => delta(from, to, 'unknown'));
        const state = { ...listing, openWrites };
        const range = possibleRangeOf(state, 0) ?? { lowest: Number.NaN, highest: Number.NaN };
        const shown = writes.reduce(
          (value, { from, to, hasArrived }) => value + (hasArrived ? to - from : 0),
          17,
        );
        for (const value of [shown, beliefOf(state) ?? Number.NaN]) {
          expect(value).toBeGreaterThanOrEqual(range.lowest);
          expect(value).toBeLessThanOrEqual(range.highest);
        }
      }),
    );
  });

  it('allows for own sales after a plain number was sent', () => {
    const put: OpenWrite = { ...delta(17, 9, 'accepted'), kind: 'absolute', sentAtMs: 2_000 };
    const rises = [
      { atMs: 1_900, units: 4 },
      { atMs: 2_100, units: 3 },
    ];
    expect(possibleRangeOf({ ...listing, rises, openWrites: [put] }, 0)).toEqual({ lowest: 6, highest: 17 });
  });

  it('dates orders around a read, and takes the higher belief where it cannot', () => {
    const state: ListingState = {
      ...listing,
      rises: [
        { atMs: 1_000, units: 1 },
        { atMs: 1_995, units: 2 },
        { atMs: 2_005, units: -1 },
        { atMs: 2_500, units: 3 },
      ],
    };
    expect(ordersAround(state, 2_000, 10)).toEqual({ after: 3, undecidedSold: 2, undecidedGivenBack: 1 });
    const base = baseFrom(state, 12, 2_000, 10, false);
    expect(base).toEqual({ value: 12, takenAt: 3, asOfMs: 2_000, settled: false });
    // 12 less the three units sold later, and the unit given back counted as still to come.
    expect(beliefOf({ ...state, base })).toBe(10);
  });
});

function delta(from: number, to: number, outcome: OpenWrite['outcome']): OpenWrite {
  return { writeId: `${from}-${to}`, kind: 'delta', from, to, takenAt: 0, sentAtMs: 0, outcome, token: 1 };
}
