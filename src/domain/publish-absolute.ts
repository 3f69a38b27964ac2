import { settledBeliefOf } from './belief.ts';
import { type ListingState, type OpenWrite, type PublishTimes, maxOpenWrites } from './listing.ts';
import { isInBulk, newestSentMs, sentMs } from './open-writes.ts';
import type { PublishDecision, Settled, WriteOutcome } from './publish.ts';

/**
 * Platforms that take plain numbers, accept them now and apply them later (Amazon, TikTok). A write erases what the
 * platform sold since our last read and may land after a newer one, so:
 *
 *   lower: at once, below every write that may still land; anything but zero only on a fresh read
 *   raise: a fresh read that equals the belief, no write that may still land
 *   open:  a write stays open until its value was seen after the apply grace, or the longest apply has passed
 *   bulk:  a row of a bulk document is open until the report is read, whatever is seen before: lowerings below what the
 *          listing shows overtake it, raises wait for it, and what it may have put back is sent again after it
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
  const alone = state.openWrites.filter((write) => !isInBulk(write));
  if (alone.length === state.openWrites.length) return decideAlone(state, target, times, nowMs);
  // Its own number may land at any time and above this one: that is what the report is waited for.
  const decision = decideAlone({ ...state, openWrites: alone }, target, times, nowMs);
  return decision.kind === 'raise' ? { kind: 'wait', reason: 'write-open' } : decision;
}

function decideAlone(
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
  const highest = Math.max(shown, ...bulkUnread(state, times));
  if (isLost && lowest < highest) return { kind: 'lower', from: highest, to: lowest };

  const lastReadMs = state.base === undefined ? 0 : state.base.asOfMs;
  let readMs = Math.max(newestSentMs(state), lastReadMs) + times.applyGraceMs + times.readLagMs;
  if (state.residue !== undefined)
    readMs = Math.max(nextReadMs(state, times), newestSentMs(state) + times.applyGraceMs + times.readLagMs);
  return nowMs >= readMs
    ? { kind: 'read-first', notBeforeMs: readMs }
    : { kind: 'wait', reason: 'write-open', untilMs: readMs };
}

/** What bulk documents were reported to have written, until a read can tell what came of it. */
function bulkUnread(state: ListingState, times: PublishTimes): readonly number[] {
  const readMs = state.base?.asOfMs ?? 0;
  return state.openWrites
    .filter((write) => write.kind === 'bulk' && readMs < sentMs(write) + times.applyGraceMs)
    .map((write) => write.to);
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
      // Lower numbers that overtook a document are overwritten by it: nothing tells that they still show.
      const rest = others.map((open) =>
        isOvertaken(open, write) ? { ...open, outcome: 'unknown' as const } : open,
      );
      return {
        next: { ...state, openWrites: bounded([...rest, accepted]) },
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
 * What a row may show at most that only travels along, because the platform takes all places of an item in one call: no
 * more than we believe, nor more than any write of ours that may still land. What was read a moment ago may be less.
 */
export function besideBelief(state: ListingState): number | undefined {
  const sent = state.openWrites.map((write) => write.to);
  const known = state.base === undefined ? sent : [settledBeliefOf(state.base, state.taken), ...sent];
  return known.length === 0 ? undefined : Math.max(0, Math.min(...known));
}

/** A row that travelled along was written too: what it shows is to be read once that may have landed. */
export function besideWritten(state: ListingState, nowMs: number, applyGraceMs: number): ListingState {
  return { ...state, suspect: true, suspectAtMs: Math.max(state.suspectAtMs ?? 0, nowMs + applyGraceMs) };
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

function isOvertaken(open: OpenWrite, by: OpenWrite): boolean {
  return by.kind === 'bulk' && open.to < by.to && !isInBulk(open);
}

/** Room is kept for the next write; the oldest is the likeliest to have landed or to be lost. */
function bounded(writes: readonly OpenWrite[]): readonly OpenWrite[] {
  const inBulk = writes.filter(isInBulk);
  const alone = writes.filter((write) => !isInBulk(write));
  return [...inBulk, ...alone.slice(-(maxOpenWrites - 1 - inBulk.length))];
}
