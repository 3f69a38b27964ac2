import type { ListingId } from '../domain/ids.ts';

interface Setback {
  readonly passingTimes: number;
  readonly isParked: boolean;
  readonly notBeforeMs: number;
  readonly batchLimit: number;
}

const none: Setback = {
  passingTimes: 0,
  isParked: false,
  notBeforeMs: 0,
  batchLimit: Number.POSITIVE_INFINITY,
};

const firstWaitMs = 100;
const maxWaitMs = 30_000;
const passingRefusals = 8;
const parkedRetryMs = 600_000;

export interface Refusal {
  readonly isPermanent: boolean;
  /** The platform said which row of the batch it was. */
  readonly isNamed: boolean;
  readonly batchRows: number;
}

/**
 * Rows that the platform refused, so that none holds up the others.
 *
 *   clean --refused in a batch, no row named--> smaller batches, halved until it is alone
 *   alone or named --refused for good--> parked; tried again now and then, alone
 *   clean --refused in passing--> waits, longer each time --too often--> parked
 *   any --written, or its map row changed--> clean
 *
 * In memory only: after a restart a refused row is refused once more and lands here again.
 */
export class Setbacks {
  readonly #byListing = new Map<ListingId, Setback>();

  /** How long a write of the listing has to wait. */
  waitMs(listingId: ListingId, nowMs: number): number {
    return Math.max(0, (this.#byListing.get(listingId)?.notBeforeMs ?? 0) - nowMs);
  }

  batchLimit(listingId: ListingId): number {
    return this.#byListing.get(listingId)?.batchLimit ?? Number.POSITIVE_INFINITY;
  }

  refused(listingId: ListingId, refusal: Refusal, nowMs: number): 'again' | 'smaller-batch' | 'parked' {
    const known = this.#byListing.get(listingId) ?? none;
    if (!refusal.isPermanent && known.passingTimes < passingRefusals) {
      const passingTimes = known.passingTimes + 1;
      const waitMs = Math.min(firstWaitMs * 2 ** passingTimes, maxWaitMs);
      this.#byListing.set(listingId, { ...known, passingTimes, notBeforeMs: nowMs + waitMs });
      return 'again';
    }
    if (refusal.isPermanent && !refusal.isNamed && refusal.batchRows > 1) {
      this.#byListing.set(listingId, { ...known, batchLimit: Math.ceil(refusal.batchRows / 2) });
      return 'smaller-batch';
    }
    this.#byListing.set(listingId, {
      passingTimes: 0,
      isParked: true,
      batchLimit: 1,
      notBeforeMs: nowMs + parkedRetryMs,
    });
    return 'parked';
  }

  /** Written, or somebody removed the reason. True when it was parked. */
  clear(listingId: ListingId): boolean {
    const wasParked = this.#byListing.get(listingId)?.isParked ?? false;
    this.#byListing.delete(listingId);
    return wasParked;
  }
}
