import { array, assert, integer, property, record } from 'fast-check';
import { expect, test } from 'vitest';
import { absorbTaken } from '../../src/domain/absorb.ts';
import { differenceOf, expectedRange, holds, leastOf } from '../../src/domain/expected-range.ts';
import { type ListingState, type OpenWrite, untouchedListing } from '../../src/domain/listing.ts';

const times = { readLagMs: 50, skewMs: 5 };
const base = { value: 100, takenAt: 0, asOfMs: 1_000, settled: true };
const known: ListingState = { ...untouchedListing, base };

function write(from: number, to: number, kind: OpenWrite['kind'] = 'delta'): OpenWrite {
  return { writeId: 'w', kind, from, to, takenAt: 0, sentAtMs: 1_500, outcome: 'sent', token: 1 };
}

function absorbed(state: ListingState, units: number, atMs: number): ListingState {
  return absorbTaken(state, { units, atMs, kind: 'delta', skewMs: 5, seenAtMs: atMs }).state;
}

test('without a base nothing is expected', () => {
  expect(expectedRange(untouchedListing, untouchedListing, untouchedListing, 2_000, times)).toBeUndefined();
});

test('nothing happened: exactly what is believed', () => {
  expect(expectedRange(known, known, known, 2_000, times)).toEqual({ lowest: 100, highest: 100 });
});

test('an order placed long before the read counts although it was absorbed long after it', () => {
  const late = absorbed(known, 3, 1_500);
  expect(expectedRange(known, known, late, 2_000, times)).toEqual({ lowest: 97, highest: 97 });
});

test('an order placed long after the read does not', () => {
  const late = absorbed(known, 3, 2_500);
  expect(expectedRange(known, known, late, 2_000, times)).toEqual({ lowest: 100, highest: 100 });
  // Nor when both looks contain it already (a lagging read).
  expect(expectedRange(late, late, late, 2_000, times)).toEqual({ lowest: 100, highest: 100 });
});

test('an order within the lag may be in the read or not', () => {
  const late = absorbed(known, 3, 2_020);
  expect(expectedRange(known, known, late, 2_000, times)).toEqual({ lowest: 97, highest: 100 });
});

test('an open write may have landed or not, and one that was confirmed between the looks too', () => {
  const open = { ...known, openWrites: [write(100, 90)] };
  expect(expectedRange(open, open, open, 2_000, times)).toEqual({ lowest: 90, highest: 100 });
  const confirmed = { ...known, base: { ...base, value: 90 } };
  expect(expectedRange(known, confirmed, confirmed, 2_000, times)).toEqual({ lowest: 90, highest: 100 });
});

test('a base read meanwhile is no expectation: it is what somebody may have changed', () => {
  const again = { ...known, base: { ...base, value: 60, asOfMs: 1_990 } };
  expect(expectedRange(known, again, again, 2_000, times)).toEqual({ lowest: 100, highest: 100 });
});

test('orders that are no longer listed make it unsayable', () => {
  let late = known;
  for (let n = 0; n < 80; n++) late = absorbed(late, 1, 1_100 + n);
  expect(expectedRange(known, known, late, 2_000, times)).toBeUndefined();
});

test('a platform without negative numbers shows zero', () => {
  expect(differenceOf(0, { lowest: -4, highest: -2 }, true)).toEqual({ lowest: 0, highest: 0 });
  expect(differenceOf(0, { lowest: -4, highest: -2 }, false)).toEqual({ lowest: 2, highest: 4 });
  expect(leastOf({ lowest: 2, highest: 4 })).toBe(2);
  expect(leastOf({ lowest: -4, highest: -2 })).toBe(-2);
});

test('whatever is sold and cancelled, whenever it is heard of, the true number is in the range', () => {
  const order = record({
    units: integer({ min: -3, max: 5 }),
    atMs: integer({ min: 900, max: 2_400 }),
    heardAfterMs: integer({ min: 0, max: 2_000 }),
  });
  assert(
    property(
      array(order, { maxLength: 12 }),
      integer({ min: 1_100, max: 2_300 }),
      integer({ min: 0, max: 50 }),
      (orders, readAtMs, lagMs) => {
        const trueForMs = readAtMs - lagMs;
        const stateAt = (nowMs: number): ListingState => {
          let state = known;
          const heard = orders
            .filter(({ atMs, heardAfterMs, units }) => units !== 0 && atMs + heardAfterMs <= nowMs)
            .toSorted((a, b) => a.atMs + a.heardAfterMs - b.atMs - b.heardAfterMs);
          for (const { units, atMs } of heard) state = absorbed(state, units, atMs);
          return state;
        };
        // The base holds every order up to its moment, whether heard of or not.
        let shown = base.value;
        for (const { units, atMs } of orders) if (atMs > base.asOfMs && atMs <= trueForMs) shown -= units;
        const range = expectedRange(
          stateAt(readAtMs - 1),
          stateAt(readAtMs + 1),
          stateAt(10_000),
          readAtMs,
          times,
        );
        expect(range).toBeDefined();
        if (range !== undefined) expect(holds(range, shown), JSON.stringify({ range, shown })).toBe(true);
      },
    ),
  );
});
