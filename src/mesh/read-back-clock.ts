import type { ListingId } from '../domain/ids.ts';

interface Awaited {
  readonly to: number;
  readonly causedAtMs: number;
}

/** Listings whose newest write waits for a reading to show it; the oldest are forgotten beyond this. */
const maxAwaited = 20_000;

/**
 * From the sale behind a write until a reading of the platform shows what was written: the only proof that buyers see it.
 * A later write of the listing takes the place of the earlier one and keeps the earlier sale: that one's number was never
 * shown, and its wait goes on.
 */
export class ReadBackClock {
  readonly #awaited = new Map<ListingId, Awaited>();
  readonly #observe: (ms: number) => void;
  readonly #nowMs: () => number;

  constructor(observe: (ms: number) => void, nowMs: () => number) {
    this.#observe = observe;
    this.#nowMs = nowMs;
  }

  written(listingId: ListingId, to: number, causedAtMs: number | undefined): void {
    const known = this.#awaited.get(listingId);
    const since = Math.min(
      known?.causedAtMs ?? Number.POSITIVE_INFINITY,
      causedAtMs ?? Number.POSITIVE_INFINITY,
    );
    if (!Number.isFinite(since)) return;
    this.#awaited.delete(listingId);
    this.#awaited.set(listingId, { to, causedAtMs: since });
    const oldest = this.#awaited.keys().next();
    if (this.#awaited.size > maxAwaited && oldest.done !== true) this.#awaited.delete(oldest.value);
  }

  /** Lower is as good: the platform has sold of it since. */
  shown(listingId: ListingId, value: number): void {
    const awaited = this.#awaited.get(listingId);
    if (awaited === undefined || value > awaited.to) return;
    this.#awaited.delete(listingId);
    this.#observe(Math.max(0, this.#nowMs() - awaited.causedAtMs));
  }
}
