import { baseFrom, beliefOf, ordersAround, settledBeliefOf } from './belief.ts';
import {
  type ListingState,
  type OpenWrite,
  type PublishTimes,
  type Residue,
  maxOpenWrites,
} from './listing.ts';
import type { PublishDecision, Settled, StockReading, WriteOutcome } from './publish.ts';

/**
 * Platforms with relative writes, idempotency keys and compare-and-set (Shopify). Lowerings are plain deltas, which
 * commute with sales we have not seen; a raise is a delta on condition that the platform shows what we believe, so it
 * can never put back a sale we have not seen. A level read moves the base only where there is none to trust.
 */

const readsForVerdict = 3;

export function decideDelta(state: ListingState, target: number): PublishDecision {
  const wanted = Math.max(0, target);
  const belief = beliefOf(state);
  if (state.base === undefined || belief === undefined) {
    const isReadable = state.openWrites.length === 0;
    return isReadable ? { kind: 'read-first', notBeforeMs: 0 } : { kind: 'wait', reason: 'write-open' };
  }
  // A repair replaces the base, so nothing may be reckoned from the base until its outcome is known.
  if (state.openWrites.some((write) => write.kind !== 'delta')) return { kind: 'wait', reason: 'write-open' };

  if (wanted < belief) {
    if (state.openWrites.length >= maxOpenWrites) return { kind: 'wait', reason: 'too-many-open-writes' };
    return { kind: 'lower', from: belief, to: wanted };
  }
  // A negative shelf sells nothing: bringing it to zero would be a needless write.
  const isRaise = wanted > Math.max(0, belief);
  const isQuiet = state.openWrites.length === 0;
  if (state.suspect) {
    return isQuiet ? { kind: 'read-first', notBeforeMs: 0 } : { kind: 'wait', reason: 'write-open' };
  }
  if (state.residue !== undefined) {
    if (!isQuiet) return { kind: 'wait', reason: 'write-open' };
    if (!state.residue.pulled || !state.base.settled) return { kind: 'wait', reason: 'orders-not-pulled' };
    if (state.residue.reads < readsForVerdict) return { kind: 'read-first', notBeforeMs: 0 };
    return { kind: 'edited', from: belief + state.residue.units, to: wanted };
  }
  if (!isRaise) return { kind: 'none' };
  if (!isQuiet) return { kind: 'wait', reason: 'write-open' };
  if (!state.base.settled) return { kind: 'wait', reason: 'orders-not-pulled' };
  return { kind: 'raise', from: belief, to: wanted };
}

/** Past the platform's key window a repeat would be a new write. */
export function mayRepeat(sentAtMs: number, nowMs: number, times: PublishTimes): boolean {
  return nowMs + times.skewMs < sentAtMs + times.idempotencyWindowMs;
}

/** `key-spent` is also what a caller says of a record that may not be repeated any more. */
export function settleDelta(
  state: ListingState,
  writeId: string,
  outcome: WriteOutcome,
  times: PublishTimes,
  nowMs: number,
): Settled {
  const write = state.openWrites.find((open) => open.writeId === writeId);
  if (write === undefined) return { next: state, record: 'close', step: 'decide-again' };
  const openWrites = state.openWrites.filter((open) => open !== write);
  const without: ListingState = { ...state, openWrites };

  switch (outcome.kind) {
    case 'confirmed':
      return { next: confirmed(without, write, outcome, times), record: 'close', step: 'decide-again' };
    case 'stale':
      // The platform's number contains something we have not seen. It says nothing about what: the base stays.
      return {
        next: {
          ...without,
          residue: { units: 0, reads: 0, readAtMs: nowMs, pulled: false, takenThen: without.taken },
        },
        record: 'close',
        step: 'pull-orders',
      };
    case 'rejected':
      return { next: without, record: 'close', step: outcome.isPermanent === true ? 'park' : 'decide-again' };
    case 'not-applied':
      return { next: without, record: 'close', step: 'decide-again' };
    case 'accepted':
    case 'unknown':
      return {
        next: { ...state, openWrites: [...openWrites, { ...write, outcome: 'unknown' }] },
        record: 'keep',
        step: 'repeat-same-key',
      };
    case 'key-spent':
      break;
  }
  // Nobody will ever tell what became of it, so nothing can be reckoned from here: a new base is read.
  return { next: { ...without, base: undefined, residue: undefined }, record: 'close', step: 'read' };
}

function confirmed(
  without: ListingState,
  write: OpenWrite,
  outcome: WriteOutcome,
  times: PublishTimes,
): ListingState {
  if (without.base === undefined) return without;
  if (write.kind === 'delta') {
    const base = { ...without.base, value: without.base.value + write.to - write.from };
    return { ...without, base };
  }
  // The compare-and-set proves that nothing happened between the read and the write. Orders seen since the claim are
  // dated: those placed before it were in the value that was replaced. Orders have the platform's time, so the write must too.
  return {
    ...without,
    base: baseFrom(without, write.to, outcome.appliedAtMs ?? write.sentAtMs, times.skewMs, true),
    residue: undefined,
  };
}

export type DeltaReading =
  /** Taken while a write of ours was under way: it cannot be told which side of it the number is. */
  | { readonly kind: 'discarded' }
  | { readonly kind: 'new-base'; readonly next: ListingState }
  | { readonly kind: 'agrees' | 'differs' | 'inconclusive'; readonly next: ListingState };

/**
 * A level read (doorbell, reconciliation, or asked for by `read-first`). `state` is the listing as it is now; the caller
 * makes sure that no write was claimed or settled since the read was sent (the version has not moved).
 */
export function readDelta(state: ListingState, reading: StockReading, times: PublishTimes): DeltaReading {
  if (state.openWrites.length > 0) return { kind: 'discarded' };
  const asOfMs = reading.startedAtMs - times.readLagMs;
  if (state.base === undefined || state.suspect) {
    const base = baseFrom(state, reading.value, asOfMs, times.skewMs, false);
    const { undecidedSold, undecidedGivenBack } = ordersAround(state, asOfMs, times.skewMs);
    // Good enough to lower from, but an order next to the read may be on the wrong side of it: read once more.
    const suspect = undecidedSold + undecidedGivenBack > 0;
    const suspectAtMs = suspect ? reading.startedAtMs : undefined;
    return { kind: 'new-base', next: { ...state, base, suspect, suspectAtMs, residue: undefined } };
  }
  const around = ordersAround(state, asOfMs, times.skewMs);
  const expected = settledBeliefOf(state.base, state.taken) + around.after;
  if (reading.value === expected) return { kind: 'agrees', next: { ...state, residue: undefined } };
  const isExplicable =
    reading.value <= expected + around.undecidedSold && reading.value >= expected - around.undecidedGivenBack;
  if (isExplicable) return { kind: 'inconclusive', next: state };

  const units = reading.value - expected;
  const known = state.residue;
  const isSame = known !== undefined && known.reads > 0 && known.units === units;
  // Two reads with no pull between them are one piece of evidence.
  if (isSame && !known.pulled) return { kind: 'differs', next: state };
  const reads = isSame ? known.reads + 1 : 1;
  const takenThen = state.taken - around.after;
  const residue = { units, reads, readAtMs: reading.startedAtMs, pulled: false, takenThen };
  return { kind: 'differs', next: { ...state, residue } };
}

/**
 * A pull of orders has been completed *and applied*. It speaks for a read only when it began later than the read by more
 * than the time an order may be missing from the platform's index; for a refused precondition any later pull will do,
 * because a read follows.
 *
 * Reads are dated by the platform's clock, so that they compare with its orders; a refusal is dated by ours. `offsetMs`
 * is the platform's clock minus ours: a pull of ours that only seems to be later than a read proves nothing.
 */
export function pulledDelta(
  state: ListingState,
  pullBeganAtMs: number,
  times: PublishTimes,
  offsetMs = 0,
): ListingState {
  let next = state;
  const beyondIndexMs = pullBeganAtMs + offsetMs - times.orderIndexLagMs - times.skewMs;
  if (next.base !== undefined && !next.base.settled && beyondIndexMs > next.base.asOfMs + times.readLagMs)
    next = { ...next, base: { ...next.base, settled: true } };
  const residue = next.residue;
  if (residue !== undefined && !residue.pulled) {
    const speaksFor = residue.reads === 0 ? pullBeganAtMs : beyondIndexMs;
    if (speaksFor > residue.readAtMs) next = { ...next, residue: unexplained(next, residue, times) };
  }
  return next;
}

/**
 * The moment after which a pull must begin to settle what the listing waits for; undefined when it waits for none.
 * The counterpart of `pulledDelta`, so that a caller pulls once, late enough, instead of again and again. By our clock.
 */
export function pullAwaitedDelta(state: ListingState, times: PublishTimes, offsetMs = 0): number | undefined {
  const { base, residue } = state;
  const indexMs = times.orderIndexLagMs + times.skewMs - offsetMs;
  let afterMs: number | undefined;
  if (base !== undefined && !base.settled) afterMs = base.asOfMs + times.readLagMs + indexMs;
  if (residue !== undefined && !residue.pulled) {
    const residueMs = residue.reads === 0 ? residue.readAtMs : residue.readAtMs + indexMs;
    afterMs = Math.max(afterMs ?? residueMs, residueMs);
  }
  return afterMs;
}

/**
 * What is left of a residue now that the orders around its read are known. A listing that sells all the time shows a
 * residue in every read, each time for another order: only what no order explains may be counted together.
 */
function unexplained(state: ListingState, residue: Residue, times: PublishTimes): Residue | undefined {
  if (residue.reads === 0) return { ...residue, pulled: true };
  const around = ordersAround(state, residue.readAtMs - times.readLagMs, times.skewMs);
  const explained = state.taken - around.after - residue.takenThen;
  if (explained === 0) return { ...residue, pulled: true };
  const units = residue.units + explained;
  if (units === 0) return undefined;
  return { ...residue, units, reads: 1, pulled: true, takenThen: residue.takenThen + explained };
}
