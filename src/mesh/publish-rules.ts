import type { ConnectorCapabilities } from '../connectors/connector.ts';
import type { ListingState, PublishTimes } from '../domain/listing.ts';
import { decideAbsolute, readBackMs, settleAbsolute } from '../domain/publish-absolute.ts';
import { writesShownFromMs } from '../domain/open-writes.ts';
import {
  decideDelta,
  mayRepeat,
  pullAwaitedDelta,
  pulledDelta,
  readDelta,
  settleDelta,
} from '../domain/publish-delta.ts';
import { readAbsolute, walkedAbsolute } from '../domain/read-absolute.ts';
import type { PublishDecision, Settled, StockReading, WriteOutcome } from '../domain/publish.ts';
import type { WriteRecord } from '../ledger/contract.ts';
import type { CompletedWalk } from './order-poll.ts';

export type ListingReading =
  /** It says nothing; `readAgainMs` is the earliest moment at which another one could. */
  | { readonly kind: 'discarded'; readonly readAgainMs: number | undefined }
  | { readonly kind: 'taken'; readonly next: ListingState; readonly provisionUnits: number };

/** The domain's rules for one kind of platform behind one face; the mesh has none of its own. */
export interface PublishRules {
  readonly kind: 'delta' | 'absolute';
  decide(state: ListingState, target: number, nowMs: number): PublishDecision;
  settle(state: ListingState, writeId: string, outcome: WriteOutcome, nowMs: number): Settled;
  read(state: ListingState, reading: StockReading, nowMs: number): ListingReading;
  /** A read that begins sooner (our clock) would be discarded for a write of ours; 0: none stands in its way. */
  readableFromMs(state: ListingState): number;
  /** Writes wait to be seen: when the listing is to be read for it; undefined: it is not read for that. */
  readBackMs(state: ListingState): number | undefined;
  /** A walk of orders was completed and applied. `editedUnits`: provisional units that no order explained. */
  pulled(state: ListingState, walk: CompletedWalk): { next: ListingState; editedUnits: number };
  /** A walk that begins after this moment (our clock) tells what the listing waits for; undefined: it waits for none. */
  pullAwaitedMs(state: ListingState): number | undefined;
  mayRepeat(sentAtMs: number, nowMs: number): boolean;
  recordKind(decision: 'lower' | 'raise' | 'edited'): WriteRecord['kind'];
}

export interface PublishTimesSettings {
  readonly skewMs: number;
  readonly freshReadMs: number;
}

export const defaultPublishTimes: PublishTimesSettings = { skewMs: 2_000, freshReadMs: 30_000 };

export function publishRules(
  capabilities: ConnectorCapabilities,
  settings: PublishTimesSettings = defaultPublishTimes,
): PublishRules {
  const times: PublishTimes = {
    readLagMs: capabilities.readLagMs,
    applyGraceMs: capabilities.applyGraceMs,
    longestApplyMs: capabilities.longestApplyMs,
    orderIndexLagMs: capabilities.orderIndexLagMs,
    idempotencyWindowMs: capabilities.idempotencyKey ? capabilities.idempotencyWindowMs : 0,
    ...settings,
  };
  return capabilities.writes === 'absolute' ? absoluteRules(times) : deltaRules(times);
}

/** Walks whose clock difference is remembered: one that claimed less than it asked for makes the platform look late. */
const rememberedWalks = 8;

function deltaRules(times: PublishTimes): PublishRules {
  const offsets: number[] = [];
  let newestWalk: CompletedWalk | undefined;
  return {
    kind: 'delta',
    decide: decideDelta,
    settle: (state, writeId, outcome, nowMs) => settleDelta(state, writeId, outcome, times, nowMs),
    read(state, reading) {
      const read = readDelta(state, reading, times);
      return read.kind === 'discarded'
        ? { kind: 'discarded', readAgainMs: undefined }
        : { kind: 'taken', next: read.next, provisionUnits: 0 };
    },
    readableFromMs: () => 0,
    readBackMs: () => undefined,
    pulled(state, walk) {
      const offsetMs = (walk.askedAtMs ?? walk.beganAtMs) - walk.beganAtMs;
      // Asked once per listing that the walk answers.
      if (walk !== newestWalk) offsets.push(offsetMs);
      newestWalk = walk;
      if (offsets.length > rememberedWalks) offsets.shift();
      return { next: pulledDelta(state, walk.beganAtMs, times, offsetMs), editedUnits: 0 };
    },
    pullAwaitedMs(state) {
      // Before the first walk nothing is known of the platform's clock: that walk will say what is still missing.
      const awaitedMs = pullAwaitedDelta(state, times, offsets.length === 0 ? 0 : Math.max(...offsets));
      return awaitedMs === undefined || offsets.length > 0 ? awaitedMs : 0;
    },
    mayRepeat: (sentAtMs, nowMs) => mayRepeat(sentAtMs, nowMs, times),
    recordKind: (decision) => (decision === 'edited' ? 'repair' : decision),
  };
}

function absoluteRules(times: PublishTimes): PublishRules {
  return {
    kind: 'absolute',
    decide: (state, target, nowMs) => decideAbsolute(state, target, times, nowMs),
    settle: settleAbsolute,
    read(state, reading, nowMs) {
      const read = readAbsolute(state, reading, times, nowMs);
      return read.kind === 'discarded'
        ? { kind: 'discarded', readAgainMs: read.readAgainMs }
        : { kind: 'taken', next: read.next, provisionUnits: read.provisionUnits };
    },
    readableFromMs: (state) => writesShownFromMs(state, times),
    readBackMs: (state) => (state.openWrites.length === 0 ? undefined : readBackMs(state, times)),
    pulled: (state, walk) => walkedAbsolute(state, walk.upperBoundMs),
    // A walk is bound to end at a moment that lies its index lag before its start: one that begins earlier proves nothing
    // here, and would be asked for again at once.
    pullAwaitedMs: (state) =>
      state.walkAwaitedMs === undefined ? undefined : state.walkAwaitedMs + times.orderIndexLagMs,
    // A plain number is never repeated blindly: what the platform shows decides what is sent next.
    mayRepeat: () => false,
    recordKind: () => 'put',
  };
}
