import { soldSince } from './belief.ts';
import type { ListingState, OpenWrite, PublishTimes } from './listing.ts';
import type { StockReading } from './publish.ts';

/** What a number read from an absolute platform can say of writes that were accepted and may not have landed yet. */

export function sentMs(write: OpenWrite): number {
  return write.acceptedAtMs ?? write.sentAtMs;
}

export function newestSentMs(state: ListingState): number {
  return Math.max(...state.openWrites.map(sentMs));
}

/**
 * A read that begins sooner may show the time before the newest open write; 0: none is open. By our clock, as writes are
 * dated: what a base is dated by is the platform's, and says nothing of when to ask again.
 */
export function writesShownFromMs(state: ListingState, times: PublishTimes): number {
  return state.openWrites.length === 0 ? 0 : newestSentMs(state) + times.applyGraceMs + times.readLagMs;
}

/** The number is what this write leaves, less own orders that are known to have come after it. */
export function isShown(
  state: ListingState,
  write: OpenWrite,
  reading: StockReading,
  times: PublishTimes,
): boolean {
  const untilMs = reading.startedAtMs - times.readLagMs + times.skewMs;
  return (
    reading.value >= Math.max(0, write.to - soldSince(state, write, untilMs, 0)) &&
    reading.value <= write.to + givenBackSince(state, write)
  );
}

/** What each open write leaves at least; `skewMs`: as for `soldSince`. */
export function lowestShownBy(state: ListingState, untilMs: number, skewMs: number): number {
  return Math.min(...state.openWrites.map((write) => write.to - soldSince(state, write, untilMs, skewMs)));
}

export function givenBackSince(state: ListingState, write: OpenWrite): number {
  let units = 0;
  for (const change of state.rises)
    if (change.units < 0 && change.atMs > write.sentAtMs) units -= change.units;
  return units;
}
