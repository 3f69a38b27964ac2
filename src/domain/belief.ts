import type { ListingBase, ListingState, OpenWrite } from './listing.ts';

/** What the base says of now: the value, less what the platform took from it since. */
export function settledBeliefOf(base: ListingBase, taken: number): number {
  return base.value - (taken - base.takenAt);
}

/**
 * What we think the listing shows; undefined without a base. Deltas count as applied from the moment they are recorded:
 * they are repeated until the platform says so, and a lowering must not be sent twice, nor wait for a raise.
 */
export function beliefOf(state: ListingState): number | undefined {
  if (state.base === undefined) return undefined;
  let belief = settledBeliefOf(state.base, state.taken);
  for (const write of state.openWrites) if (write.kind === 'delta') belief += write.to - write.from;
  return belief;
}

/** A lowering goes out whatever else is open about a listing; what is open is not forgotten over it. */
export function isKnownForSure(state: ListingState): boolean {
  return state.base?.settled === true && !state.suspect && state.residue === undefined;
}

/**
 * Between which numbers the listing can be, whatever happened to the open writes; undefined without a base. `skewMs`: as
 * for `soldSince`.
 */
export function possibleRangeOf(
  state: ListingState,
  skewMs: number,
): { readonly lowest: number; readonly highest: number } | undefined {
  if (state.base === undefined) return undefined;
  const settled = settledBeliefOf(state.base, state.taken);
  let lowest = settled;
  let highest = settled;
  for (const write of state.openWrites) {
    const change = write.to - write.from;
    if (write.kind === 'delta') {
      lowest += Math.min(0, change);
      highest += Math.max(0, change);
    } else {
      highest = Math.max(highest, write.to);
      lowest = Math.min(lowest, write.to - soldSince(state, write, Number.POSITIVE_INFINITY, skewMs));
    }
  }
  return { lowest, highest };
}

/**
 * Units of own orders placed after a write was sent and not after a moment (platform clock). With 0 as `skewMs` those
 * that surely were; with the platform's, those that may have been: a platform that dates orders in whole seconds dates
 * most of what it sells just after a write to before it.
 */
export function soldSince(state: ListingState, write: OpenWrite, untilMs: number, skewMs: number): number {
  let units = 0;
  for (const rise of state.rises)
    if (rise.units > 0 && rise.atMs + skewMs > write.sentAtMs && rise.atMs <= untilMs) units += rise.units;
  return units;
}

export interface OrdersAround {
  /** Net units surely taken after the moment. */
  readonly after: number;
  /** Units whose order with the moment cannot be told. */
  readonly undecidedSold: number;
  readonly undecidedGivenBack: number;
}

/** Dates the known orders against the moment a read is true for. */
export function ordersAround(state: ListingState, asOfMs: number, skewMs: number): OrdersAround {
  let after = 0;
  let undecidedSold = 0;
  let undecidedGivenBack = 0;
  for (const { atMs, units } of state.rises) {
    if (atMs - skewMs > asOfMs) after += units;
    else if (atMs + skewMs > asOfMs) {
      if (units > 0) undecidedSold += units;
      else undecidedGivenBack -= units;
    }
  }
  return { after, undecidedSold, undecidedGivenBack };
}

/**
 * A base from a value. What cannot be dated is taken so that the belief is the higher one: a sale as contained, a
 * give-back as still to come.
 */
export function baseFrom(
  state: ListingState,
  value: number,
  asOfMs: number,
  skewMs: number,
  settled: boolean,
): ListingBase {
  const around = ordersAround(state, asOfMs, skewMs);
  return { value, takenAt: state.taken - around.after + around.undecidedGivenBack, asOfMs, settled };
}
