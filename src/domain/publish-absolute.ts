import { settledBeliefOf } from './belief.ts';
import { type ListingState, type OpenWrite, type PublishTimes, maxOpenWrites } from './listing.ts';
import { newestSentMs, sentMs, writesShownFromMs } from './open-writes.ts';
import type { PublishDecision, Settled, WriteOutcome } from './publish.ts';

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
    return { kind: 'read-first', notBeforeMs: 0, isLowering: true };
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
  const isRead = isReadSinceWrites(state, times);
  // What is wanted was read since: an older write that may still land is watched, and answered when a read shows it
  // (ADR 0019). Zero is sent all the same: of what is sold out every unit that shows is one too many.
  const isShownAlready = isRead && wanted === shown && wanted > 0 && state.residue === undefined;
  if (wanted < lowest && !isShownAlready) {
    // A raise that a settling read did not show may have been sold out since: what is sent against its late arrival
    // must not itself put those sales back.
    return { kind: 'lower', from: shown, to: isRead ? Math.min(wanted, shown) : wanted };
  }
  // Nothing tells that the lowest write arrived, or a read told that it does not show.
  const isLost = state.openWrites.every((write) => write.to > lowest || write.outcome === 'unknown');
  if (isLost && lowest < shown) return { kind: 'lower', from: shown, to: lowest };

  const readMs = readBackMs(state, times);
  return nowMs >= readMs
    ? { kind: 'read-first', notBeforeMs: readMs }
    : { kind: 'wait', reason: 'write-open', untilMs: readMs };
}

/**
 * With a write open: when the listing is read next, unless something else about it changes first. Reads that show nothing
 * of it come ever more rarely, at the latest when it can no longer land: the longer it has not, the less likely it will.
 * Not where its landing would show more than twice of what is there: that could be sold before the next read.
 */
export function readBackMs(state: ListingState, times: PublishTimes): number {
  const writeMs = writesShownFromMs(state, times);
  if (state.residue !== undefined) return Math.max(nextReadMs(state, times), writeMs);
  const lastReadMs = state.base === undefined ? 0 : state.base.asOfMs;
  const soonMs = Math.max(writeMs, lastReadMs + times.applyGraceMs + times.readLagMs);
  if (state.base === undefined || state.suspect || !isReadSinceWrites(state, times)) return soonMs;
  const highest = Math.max(...state.openWrites.map((write) => write.to));
  if (highest > 2 * settledBeliefOf(state.base, state.taken)) return soonMs;
  const endMs = Math.min(...state.openWrites.map(sentMs)) + times.longestApplyMs + times.readLagMs;
  const laterMs = lastReadMs + (lastReadMs - newestSentMs(state));
  return Math.max(soonMs, Math.min(laterMs, endMs));
}

/** The open writes had their time before the last read: it shows what they and the sales since have left. */
function isReadSinceWrites(state: ListingState, times: PublishTimes): boolean {
  return state.base !== undefined && state.base.asOfMs >= newestSentMs(state) + times.applyGraceMs;
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

/**
 * What to send for a row that only travels along, because the platform takes all places of an item in one call: never
 * more than it showed a moment ago, nor more than we believe.
 */
export function echoOf(state: ListingState, freshValue: number): number {
  if (state.base === undefined) return freshValue;
  return Math.max(0, Math.min(freshValue, settledBeliefOf(state.base, state.taken)));
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
