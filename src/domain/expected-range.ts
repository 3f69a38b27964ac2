import { possibleRangeOf } from './belief.ts';
import { type ListingState, type PublishTimes, type TakenRise, maxRises } from './listing.ts';

/** Whole units, both ends included. */
export interface UnitRange {
  readonly lowest: number;
  readonly highest: number;
}

/**
 * What a listing may show in a read that is true for some moment of [readAt - lag, readAt + lag], by everything that is
 * known when it is asked: writes of ours that could have landed or not, and own orders of the platform dated around the
 * read, those absorbed only afterwards (`late`) included. Undefined: it cannot be said.
 *
 * `before` and `after` are looks at the listing on either side of the read. Whatever was claimed or confirmed between
 * them is in one of the two; what both miss shows as a difference that does not come again.
 */
export function expectedRange(
  before: ListingState,
  after: ListingState,
  late: ListingState,
  readAtMs: number,
  times: Pick<PublishTimes, 'readLagMs' | 'skewMs'>,
): UnitRange | undefined {
  const first = expectedFrom(before, late, readAtMs, times);
  // A new base has been read meanwhile: it says what was shown then, not what ought to be.
  if (first === undefined || before.base?.asOfMs !== after.base?.asOfMs) return first;
  const second = expectedFrom(after, late, readAtMs, times);
  return second === undefined ? first : hull(first, second);
}

function expectedFrom(
  state: ListingState,
  late: ListingState,
  readAtMs: number,
  { readLagMs, skewMs }: Pick<PublishTimes, 'readLagMs' | 'skewMs'>,
): UnitRange | undefined {
  const possible = possibleRangeOf(state, skewMs);
  if (possible === undefined || state.base === undefined) return undefined;
  const unknown = ordersSince(state, late);
  if (unknown === undefined) return undefined;
  let { lowest, highest } = possible;
  const around = readLagMs + skewMs;
  // Orders the look contains, but the read need not.
  for (const { atMs, units } of state.rises) {
    if (atMs - around > readAtMs) {
      lowest += units;
      highest += units;
    } else if (atMs + around > readAtMs) {
      if (units > 0) highest += units;
      else lowest += units;
    }
  }
  // Orders the look does not contain, but the read may; unless the base was read after them.
  const baseAtMs = state.base.asOfMs;
  for (const { atMs, units } of unknown) {
    if (atMs + skewMs <= baseAtMs || atMs - around > readAtMs) continue;
    const isSurelyIn = atMs - skewMs > baseAtMs && atMs + around <= readAtMs;
    if (isSurelyIn || units > 0) lowest -= units;
    if (isSurelyIn || units < 0) highest -= units;
  }
  // On which side of the base these were can only be guessed; the belief is the higher one.
  for (const { atMs, units } of state.rises)
    if (atMs - skewMs <= baseAtMs && atMs + skewMs > baseAtMs) lowest -= Math.abs(units);
  return { lowest, highest };
}

/** Orders of `late` that `state` does not know; undefined when some of them are no longer listed. */
function ordersSince(state: ListingState, late: ListingState): readonly TakenRise[] | undefined {
  const known = new Map<string, number>();
  for (const rise of state.rises) known.set(keyOf(rise), (known.get(keyOf(rise)) ?? 0) + 1);
  const unknown: TakenRise[] = [];
  let units = 0;
  for (const rise of late.rises) {
    const times = known.get(keyOf(rise)) ?? 0;
    if (times > 0) known.set(keyOf(rise), times - 1);
    else {
      unknown.push(rise);
      units += rise.units;
    }
  }
  const isWhole = units === late.taken - state.taken;
  return isWhole || late.rises.length < maxRises ? unknown : undefined;
}

function keyOf({ atMs, units }: TakenRise): string {
  return `${atMs}:${units}`;
}

function hull(a: UnitRange, b: UnitRange): UnitRange {
  return { lowest: Math.min(a.lowest, b.lowest), highest: Math.max(a.highest, b.highest) };
}

/**
 * Shown minus expected: what somebody other than the orders and we may have done. A platform without negative numbers
 * shows zero where less is expected.
 */
export function differenceOf(shown: number, expected: UnitRange, isFlooredAtZero: boolean): UnitRange {
  const floor = isFlooredAtZero ? 0 : Number.NEGATIVE_INFINITY;
  return {
    lowest: shown - Math.max(floor, expected.highest),
    highest: shown - Math.max(floor, expected.lowest),
  };
}

export function holds(range: UnitRange, units: number): boolean {
  return range.lowest <= units && units <= range.highest;
}

/** What both allow; undefined when nothing. */
export function common(a: UnitRange, b: UnitRange): UnitRange | undefined {
  const both = { lowest: Math.max(a.lowest, b.lowest), highest: Math.min(a.highest, b.highest) };
  return both.lowest <= both.highest ? both : undefined;
}

/** The one of a range's numbers that claims least. */
export function leastOf(range: UnitRange): number {
  if (holds(range, 0)) return 0;
  return range.lowest > 0 ? range.lowest : range.highest;
}
