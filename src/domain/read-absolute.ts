import { baseFrom, ordersAround, settledBeliefOf } from './belief.ts';
import type { ListingBase, ListingState, OpenWrite, PublishTimes } from './listing.ts';
import { givenBackSince, isShown, lowestShownBy, sentMs, writesShownFromMs } from './open-writes.ts';
import type { StockReading } from './publish.ts';

/**
 * Reads of absolute platforms. A read says equal, lower or higher than the orders we know explain:
 *
 *   equal   the belief is confirmed; suspicion goes when the read is true for a later moment than its cause
 *   lower   down to what an open write explains, it is that write; below, the units are provisioned at once, but for
 *           those of own orders that are said to be in the base, or to have come before the write, and need not: a walk
 *           has to settle such a base before a raise
 *   higher  remembered, and believed when a second read, further apart than the read lag, is higher too
 *
 * A first base takes over what it reads, until a completed walk of orders has passed it.
 */

export type AbsoluteReading =
  /** It may be older than a write of ours, or than the base. */
  | { readonly kind: 'discarded'; readonly readAgainMs: number }
  | {
      readonly kind: 'taken';
      readonly next: ListingState;
      /** Units to provision in the same change: the listing dropped for a reason not yet known. */
      readonly provisionUnits: number;
    };

/** `state` is the listing as it is now; no write was claimed since the read was sent (the version has not moved). */
export function readAbsolute(
  state: ListingState,
  reading: StockReading,
  times: PublishTimes,
  nowMs: number,
): AbsoluteReading {
  const asOfMs = reading.startedAtMs - times.readLagMs;
  if (state.base !== undefined && asOfMs < state.base.asOfMs)
    return { kind: 'discarded', readAgainMs: state.base.asOfMs + times.readLagMs };
  const shownFromMs = writesShownFromMs(state, times);
  if (reading.startedAtMs < shownFromMs) return { kind: 'discarded', readAgainMs: shownFromMs };

  const judged = judge(state, reading, asOfMs, times, nowMs);
  const openWrites = stillOpen(judged, reading, times);
  return {
    kind: 'taken',
    next: { ...judged.next, openWrites },
    provisionUnits: judged.provisionUnits,
  };
}

interface Judged {
  readonly next: ListingState;
  readonly provisionUnits: number;
  /** The number is not what the listing would show without our open writes, so it can prove one of them. */
  readonly isTelling: boolean;
}

function judge(
  state: ListingState,
  reading: StockReading,
  asOfMs: number,
  times: PublishTimes,
  nowMs: number,
): Judged {
  const { value } = reading;
  const fresh = baseFrom(state, value, asOfMs, times.skewMs, state.base?.settled ?? false);
  const suspected = { suspect: true, suspectAtMs: nowMs, residue: undefined };
  const awaited = { walkAwaitedMs: awaitedAfter(state, asOfMs, times) };
  if (state.base === undefined)
    return {
      next: { ...state, ...suspected, ...awaited, base: fresh },
      provisionUnits: 0,
      isTelling: false,
    };

  const expected = expectation(state, state.base, asOfMs, times);
  const { exact, lowest, highest, isDated } = expected;
  // A write of ours explains a lower number down to its value less the own orders that came after it.
  const untilMs = asOfMs + times.skewMs;
  const ours = {
    surely: lowestShownBy(state, untilMs, 0),
    perhaps: lowestShownBy(state, untilMs, times.skewMs),
  };
  const floor = Math.max(0, Math.min(lowest, ours.surely));

  if (!state.base.settled && (value < floor || value > highest))
    return {
      next: { ...state, ...suspected, ...awaited, base: fresh },
      provisionUnits: 0,
      isTelling: false,
    };
  if (value > highest) return rise(state, reading, fresh, { ...expected, ours }, times, nowMs);
  if (value < floor) {
    const besideBase = ordersAround(state, state.base.asOfMs, times.skewMs).undecidedSold;
    const least = Math.max(0, Math.min(lowest - besideBase, ours.perhaps));
    const provisionUnits = Math.max(0, least - value);
    const provisional = state.provisional + provisionUnits;
    const base = { ...fresh, settled: fresh.settled && least === floor };
    return {
      next: { ...state, ...suspected, ...awaited, base, provisional },
      provisionUnits,
      isTelling: false,
    };
  }
  const isOurWrite = value < lowest;
  const isExact = value === exact;
  const belief = settledBeliefOf(state.base, state.taken);
  return {
    next: {
      ...state,
      // Oversold, the belief is below zero and the platform is not: there the read knows better.
      base: isOurWrite || belief < 0 ? fresh : { ...fresh, takenAt: state.taken - (value - belief) },
      residue: undefined,
      ...suspicionAfter(state, isExact || (isOurWrite && isDated), asOfMs, nowMs),
    },
    provisionUnits: 0,
    isTelling: isOurWrite,
  };
}

/** The lowest number that open writes leave, less the own orders that surely came after them, and less those that may have. */
interface LeftByWrites {
  readonly surely: number;
  readonly perhaps: number;
}

interface Expectation {
  /** All known orders counted where they are believed to be. */
  readonly exact: number;
  readonly lowest: number;
  readonly highest: number;
  /** No known order lies so close to the read that it could be on either side. */
  readonly isDated: boolean;
}

/** What a read would show if nothing had happened but the orders we know; writes of ours left aside. */
function expectation(
  state: ListingState,
  base: ListingBase,
  asOfMs: number,
  times: PublishTimes,
): Expectation {
  const around = ordersAround(state, asOfMs, times.skewMs);
  const exact = settledBeliefOf(base, state.taken) + around.after;
  // A sale beside the read may be missing in it; beside an open raise a higher number may as well be the raise.
  const undecided = state.openWrites.length === 0 ? around.undecidedSold : 0;
  return {
    exact: Math.max(0, exact),
    lowest: Math.max(0, exact - around.undecidedGivenBack),
    highest: Math.max(0, exact + undecided),
    isDated: around.undecidedSold + around.undecidedGivenBack === 0,
  };
}

function rise(
  state: ListingState,
  reading: StockReading,
  fresh: ListingBase,
  { lowest, isDated, ours }: Expectation & { readonly ours: LeftByWrites },
  times: PublishTimes,
  nowMs: number,
): Judged {
  const { startedAtMs, value } = reading;
  const asOfMs = startedAtMs - times.readLagMs;
  const baseReadMs = (state.base?.asOfMs ?? 0) + times.readLagMs;
  const first = state.residue;
  if (first === undefined) {
    // Closer to the base's read than the lag, it may show the time before it.
    if (asOfMs < baseReadMs)
      return { next: { ...state, suspect: true, suspectAtMs: nowMs }, provisionUnits: 0, isTelling: false };
    const residue = {
      units: value - lowest,
      reads: 1,
      readAtMs: startedAtMs,
      pulled: false,
      takenThen: state.taken,
    };
    return { next: { ...state, residue }, provisionUnits: 0, isTelling: false };
  }
  if (startedAtMs < first.readAtMs + times.readLagMs)
    return { next: state, provisionUnits: 0, isTelling: false };
  // Confirmed, the first read counts too: what is missing since then was sold, where no write of ours took it.
  const surely = Math.min(lowest + first.units, ours.surely);
  const least = Math.min(surely, ours.perhaps);
  const provisionUnits = Math.max(0, least - value);
  const isDoubtful = surely > value && surely > least;
  const agrees =
    provisionUnits === 0 &&
    !isDoubtful &&
    isDated &&
    state.openWrites.some((write) => isShown(state, write, reading, times));
  const next: ListingState = {
    ...state,
    base: { ...fresh, settled: fresh.settled && !isDoubtful },
    provisional: state.provisional + provisionUnits,
    residue: undefined,
    ...suspicionAfter(state, agrees, asOfMs, nowMs),
  };
  return {
    next:
      provisionUnits === 0 && !isDoubtful
        ? next
        : { ...next, walkAwaitedMs: awaitedAfter(state, asOfMs, times) },
    provisionUnits,
    isTelling: true,
  };
}

function awaitedAfter(state: ListingState, asOfMs: number, times: PublishTimes): number {
  return Math.max(state.walkAwaitedMs ?? 0, asOfMs + times.skewMs);
}

/** An equal read clears suspicion when it is true for a later moment than what raised it. */
function suspicionAfter(
  state: ListingState,
  agrees: boolean,
  asOfMs: number,
  nowMs: number,
): Pick<ListingState, 'suspect' | 'suspectAtMs'> {
  if (!agrees) return { suspect: true, suspectAtMs: nowMs };
  if (state.suspect && asOfMs < (state.suspectAtMs ?? 0))
    return { suspect: true, suspectAtMs: state.suspectAtMs };
  return { suspect: false, suspectAtMs: undefined };
}

function stillOpen(judged: Judged, reading: StockReading, times: PublishTimes): readonly OpenWrite[] {
  const state = judged.next;
  const lowest = Math.min(...state.openWrites.map((write) => write.to));
  // A number proves one write: an older one that would explain it too, by a later sale, may still be on its way.
  const proven = judged.isTelling
    ? state.openWrites.findLast((write) => isShown(state, write, reading, times))
    : undefined;
  const open: OpenWrite[] = [];
  for (const write of state.openWrites) {
    if (write === proven) continue;
    if (reading.startedAtMs - times.readLagMs >= sentMs(write) + times.longestApplyMs) continue;
    const isMissing = write.to === lowest && reading.value > lowest + givenBackSince(state, write);
    open.push(isMissing ? { ...write, outcome: 'unknown' } : write);
  }
  return open;
}

export interface WalkedAbsolute {
  readonly next: ListingState;
  /** Provisional units that no order explains: released with the verdict "edited", which policy answers. */
  readonly editedUnits: number;
}

/** A walk whose orders are all applied has this upper bound, by the platform's clock. */
export function walkedAbsolute(state: ListingState, upperBoundMs: number): WalkedAbsolute {
  if (state.walkAwaitedMs === undefined || upperBoundMs < state.walkAwaitedMs)
    return { next: state, editedUnits: 0 };
  const base = state.base === undefined ? undefined : { ...state.base, settled: true };
  return {
    next: { ...state, base, provisional: 0, walkAwaitedMs: undefined },
    editedUnits: state.provisional,
  };
}
