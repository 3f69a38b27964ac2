import { baseFrom, ordersAround, settledBeliefOf, soldSince } from './belief.ts';
import {
  type ListingBase,
  type ListingState,
  type OpenWrite,
  type PublishTimes,
  maxOpenWrites,
} from './listing.ts';
import type { PublishDecision, Settled, StockReading, WriteOutcome } from './publish.ts';

/**
 * Platforms that take plain numbers, accept them now and apply them later (Amazon, TikTok). A write erases what the
 * platform sold since our last read and may land after a newer one, so:
 *
 *   lower: at once, below every write that may still land; anything but zero only on a fresh read
 *   raise: a fresh read that equals the belief, no write that may still land
 *   open:  a write stays open until its value was seen after the apply grace, or the longest apply has passed
 *
 * A higher number is believed only after two reads further apart than the read lag, be it a rise of our own; so no later
 * read can show the time before it, and a lower number is always a real drop.
 */
export function decideAbsolute(
  state: ListingState,
  target: number,
  times: PublishTimes,
  nowMs: number,
): PublishDecision {
  const wanted = Math.max(0, target);
  const belief = state.base === undefined ? undefined : settledBeliefOf(state.base, state.taken);
  if (state.openWrites.length > 0) return decideBesideOpenWrites(state, wanted, belief, times, nowMs);
  if (state.base === undefined || belief === undefined)
    return wanted === 0 ? { kind: 'lower', from: 0, to: 0 } : { kind: 'read-first', notBeforeMs: 0 };

  const shown = Math.max(0, belief);
  const readAgain: PublishDecision = { kind: 'read-first', notBeforeMs: nextReadMs(state, times) };
  if (wanted < shown) {
    if (wanted === 0 || isFresh(state, times, nowMs)) return { kind: 'lower', from: shown, to: wanted };
    return { kind: 'read-first', notBeforeMs: 0 };
  }
  if (state.suspect || state.residue !== undefined) return readAgain;
  if (wanted === shown) return { kind: 'none' };
  if (!state.base.settled) return { kind: 'wait', reason: 'orders-not-pulled' };
  return isFresh(state, times, nowMs) ? { kind: 'raise', from: shown, to: wanted } : readAgain;
}

function decideBesideOpenWrites(
  state: ListingState,
  wanted: number,
  belief: number | undefined,
  times: PublishTimes,
  nowMs: number,
): PublishDecision {
  const lowest = Math.min(...state.openWrites.map((write) => write.to));
  const shown = Math.max(0, belief ?? lowest);
  if (wanted < lowest) {
    // A raise that a settling read did not show may have been sold out since: what is sent against its late arrival
    // must not itself put those sales back.
    const isUnseen =
      state.base !== undefined && state.base.asOfMs >= newestSentMs(state) + times.applyGraceMs;
    return { kind: 'lower', from: shown, to: isUnseen ? Math.min(wanted, shown) : wanted };
  }
  // Nothing tells that the lowest write arrived, or a read told that it does not show.
  const isLost = state.openWrites.every((write) => write.to > lowest || write.outcome === 'unknown');
  if (isLost && lowest < shown) return { kind: 'lower', from: shown, to: lowest };

  const lastReadMs = state.base === undefined ? 0 : state.base.asOfMs;
  let readMs = Math.max(newestSentMs(state), lastReadMs) + times.applyGraceMs + times.readLagMs;
  if (state.residue !== undefined)
    readMs = Math.max(nextReadMs(state, times), newestSentMs(state) + times.applyGraceMs + times.readLagMs);
  return nowMs >= readMs
    ? { kind: 'read-first', notBeforeMs: readMs }
    : { kind: 'wait', reason: 'write-open', untilMs: readMs };
}

export function settleAbsolute(
  state: ListingState,
  writeId: string,
  outcome: WriteOutcome,
  nowMs: number,
): Settled {
  const write = state.openWrites.find((open) => open.writeId === writeId);
  if (write === undefined) return { next: state, record: 'close', step: 'decide-again' };
  const others = state.openWrites.filter((open) => open !== write);
  switch (outcome.kind) {
    case 'confirmed':
    case 'accepted': {
      const accepted: OpenWrite = { ...write, outcome: 'accepted', acceptedAtMs: nowMs };
      return {
        next: { ...state, openWrites: bounded([...others, accepted]) },
        record: 'close',
        step: 'decide-again',
      };
    }
    case 'unknown':
    case 'key-spent': {
      // Sent again and again without an answer, a value is remembered once.
      const rest = others.filter((open) => open.to !== write.to || open.outcome !== 'unknown');
      return {
        next: { ...state, openWrites: bounded([...rest, { ...write, outcome: 'unknown' }]) },
        record: 'close',
        step: 'decide-again',
      };
    }
    case 'rejected':
    case 'stale':
    case 'not-applied':
      break;
  }
  return {
    next: { ...state, openWrites: others },
    record: 'close',
    step: outcome.isPermanent === true ? 'park' : 'decide-again',
  };
}

export type AbsoluteReading =
  /** It may be older than a write of ours, or than the base. */
  | { readonly kind: 'discarded'; readonly readAgainMs: number }
  | {
      readonly kind: 'taken';
      readonly next: ListingState;
      /** Units to provision in the same change: the listing dropped for a reason not yet known. */
      readonly provisionUnits: number;
    };

/**
 * What to send for a row that only travels along, because the platform takes all places of an item in one call: never
 * more than it showed a moment ago, nor more than we believe.
 */
export function echoOf(state: ListingState, freshValue: number): number {
  if (state.base === undefined) return freshValue;
  return Math.max(0, Math.min(freshValue, settledBeliefOf(state.base, state.taken)));
}

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
  if (state.openWrites.length > 0 && asOfMs < newestSentMs(state) + times.applyGraceMs)
    return {
      kind: 'discarded',
      readAgainMs: newestSentMs(state) + times.applyGraceMs + times.readLagMs,
    };

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
  // A write of ours explains a lower number down to its value less the own orders known to have come after it.
  const ours = lowestShownBy(state, asOfMs + times.skewMs);
  const floor = Math.max(0, Math.min(lowest, ...ours));

  if (!state.base.settled && (value < floor || value > highest))
    return {
      next: { ...state, ...suspected, ...awaited, base: fresh },
      provisionUnits: 0,
      isTelling: false,
    };
  if (value > highest) return rise(state, reading, fresh, expected, times, nowMs);
  if (value < floor) {
    const provisionUnits = floor - value;
    const provisional = state.provisional + provisionUnits;
    return {
      next: { ...state, ...suspected, ...awaited, base: fresh, provisional },
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
  { lowest, isDated }: Expectation,
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
  // Confirmed, the first read counts too: what is missing since then was sold.
  const provisionUnits = Math.max(0, lowest + first.units - value);
  const agrees =
    provisionUnits === 0 &&
    isDated &&
    state.openWrites.some((write) => isShown(state, write, reading, times));
  const next: ListingState = {
    ...state,
    base: fresh,
    provisional: state.provisional + provisionUnits,
    residue: undefined,
    ...suspicionAfter(state, agrees, asOfMs, nowMs),
  };
  return {
    next: provisionUnits === 0 ? next : { ...next, walkAwaitedMs: awaitedAfter(state, asOfMs, times) },
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

function isShown(state: ListingState, write: OpenWrite, reading: StockReading, times: PublishTimes): boolean {
  const untilMs = reading.startedAtMs - times.readLagMs + times.skewMs;
  return (
    reading.value >= Math.max(0, write.to - soldSince(state, write, untilMs)) &&
    reading.value <= write.to + givenBackSince(state, write)
  );
}

function lowestShownBy(state: ListingState, untilMs: number): readonly number[] {
  return state.openWrites.map((write) => write.to - soldSince(state, write, untilMs));
}

function givenBackSince(state: ListingState, write: OpenWrite): number {
  let units = 0;
  for (const change of state.rises)
    if (change.units < 0 && change.atMs > write.sentAtMs) units -= change.units;
  return units;
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

function sentMs(write: OpenWrite): number {
  return write.acceptedAtMs ?? write.sentAtMs;
}

function newestSentMs(state: ListingState): number {
  return Math.max(...state.openWrites.map(sentMs));
}

function isFresh(state: ListingState, times: PublishTimes, nowMs: number): boolean {
  const baseReadMs = state.base === undefined ? 0 : state.base.asOfMs + times.readLagMs;
  return nowMs - Math.max(baseReadMs, state.residue?.readAtMs ?? 0) <= times.freshReadMs;
}

/** When a further read can say more than the last one did. */
function nextReadMs(state: ListingState, times: PublishTimes): number {
  const sinceMs = Math.max(state.residue?.readAtMs ?? 0, state.suspect ? (state.suspectAtMs ?? 0) : 0);
  return sinceMs === 0 ? 0 : sinceMs + times.readLagMs;
}

/** Room is kept for the next write; the oldest is the likeliest to have landed or to be lost. */
function bounded(writes: readonly OpenWrite[]): readonly OpenWrite[] {
  return writes.slice(-(maxOpenWrites - 1));
}
