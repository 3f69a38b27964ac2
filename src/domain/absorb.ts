import { type ListingState, type TakenRise, maxRises } from './listing.ts';

/** A change of what the platform itself took from a listing, by one counter of one line of one of its own orders. */
export interface TakenChange {
  /** Units taken (a rise of `takenOut`) or, negative, given back (a rise of `givenBack`). Absorbed one by one. */
  readonly units: number;
  /** Platform clock, ms: latest moment at which the platform can have changed its number. */
  readonly atMs: number;
  /** Earliest such moment when it is not exactly known (placed, then changed again); default `atMs`. */
  readonly earliestAtMs?: number | undefined;
  readonly kind: 'delta' | 'absolute';
  /** `PublishTimes.skewMs`. */
  readonly skewMs: number;
  /** Ledger clock, ms. */
  readonly seenAtMs: number;
}

export interface Absorbed {
  readonly state: ListingState;
  /** Provisional units that this order explains: released in the same change, so that availability does not move. */
  readonly consumedProvisional: number;
}

/**
 * What an own order does to a listing; the script apply-order is a port of this function.
 *
 * A change that the base already contains raises `taken` and `takenAt` together: the belief stays. Any other moves the
 * belief. Where the order of change and read cannot be told, the base is said to contain a sale and not to contain a
 * give-back: both make the belief the higher one, so that a later lowering goes further (under-sell when unsure).
 */
export function absorbTaken(state: ListingState, change: TakenChange): Absorbed {
  const { units, skewMs } = change;
  const taken = state.taken + units;
  const rises = withRise(state.rises, { atMs: change.atMs, units });
  const base = state.base;
  if (units === 0) return { state, consumedProvisional: 0 };
  if (base === undefined) return { state: { ...state, taken, rises }, consumedProvisional: 0 };

  const earliest = change.earliestAtMs ?? change.atMs;
  const isSurelyBefore = change.atMs + skewMs <= base.asOfMs;
  const isSurelyAfter = earliest - skewMs > base.asOfMs;
  const isInBase = isSurelyBefore || (!isSurelyAfter && units > 0);

  const consumed = isInBase && units > 0 ? Math.min(units, state.provisional) : 0;
  const isExplained = consumed === units;
  const isUndecidable = !isSurelyBefore && !isSurelyAfter;
  // A blind write may have erased a sale that the read should contain, so on an absolute platform "the base contains
  // it" is only a guess until another read says the same.
  const becomesSuspect = isUndecidable || (change.kind === 'absolute' && isInBase && !isExplained);

  return {
    state: {
      ...state,
      taken,
      rises,
      base: isInBase ? { ...base, takenAt: base.takenAt + units } : base,
      provisional: state.provisional - consumed,
      suspect: state.suspect || becomesSuspect,
      suspectAtMs: becomesSuspect ? change.seenAtMs : state.suspectAtMs,
    },
    consumedProvisional: consumed,
  };
}

/** Unordered and bounded: the oldest by platform time is dropped, reads date only the newest. */
function withRise(rises: readonly TakenRise[], rise: TakenRise): readonly TakenRise[] {
  const all = [...rises, rise];
  if (all.length <= maxRises) return all;
  let oldest = 0;
  for (let index = 1; index < all.length; index++) {
    if ((all[index]?.atMs ?? 0) < (all[oldest]?.atMs ?? 0)) oldest = index;
  }
  all.splice(oldest, 1);
  return all;
}
