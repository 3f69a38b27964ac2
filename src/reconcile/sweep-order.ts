import type { ListingId } from '../domain/ids.ts';
import { isBarred } from '../mesh/foreign-stock.ts';
import type { MappedListing, SkuMap } from '../mesh/sku-map.ts';

const maxHot = 20_000;

/**
 * In which order a channel's listings are read: those that something happened to first, then all the others, cycle
 * after cycle. What just sold is most likely to be wrong, and costs most when it is.
 */
export class SweepOrder {
  readonly #map: SkuMap;
  /** Listing -> `performance.now()` from which it may be read. */
  readonly #hot = new Map<ListingId, number>();
  #cycle: ListingId[] = [];
  #at = 0;

  constructor(map: SkuMap) {
    this.#map = map;
  }

  /** Read it soon, but not before: what follows a sale takes a moment. */
  favour(listingId: ListingId, notBeforeMs: number): void {
    if (this.#hot.has(listingId) || this.#hot.size >= maxHot) return;
    this.#hot.set(listingId, notBeforeMs);
  }

  get isCycleOver(): boolean {
    return this.#at >= this.#cycle.length;
  }

  get cycleRows(): number {
    return this.#cycle.length;
  }

  beginCycle(): void {
    this.#cycle = [...this.#map.listings()].filter(isSweepable).map(({ listingId }) => listingId);
    this.#at = 0;
  }

  /** Half of a request at most goes to what is hot, so that a cycle ends however busy the shop is. */
  next(limit: number, nowMs: number): readonly MappedListing[] {
    const chosen = new Map<ListingId, MappedListing>();
    const hotLimit = this.isCycleOver ? limit : Math.ceil(limit / 2);
    for (const [listingId, notBeforeMs] of this.#hot) {
      if (chosen.size >= hotLimit) break;
      if (notBeforeMs > nowMs) continue;
      this.#hot.delete(listingId);
      const listing = this.#map.listing(listingId);
      if (listing !== undefined && isSweepable(listing)) chosen.set(listingId, listing);
    }
    while (chosen.size < limit && this.#at < this.#cycle.length) {
      const listing = this.#map.listing(this.#cycle[this.#at++] as ListingId);
      if (listing !== undefined) chosen.set(listing.listingId, listing);
    }
    return [...chosen.values()];
  }

  get hasHot(): boolean {
    return this.#hot.size > 0;
  }
}

/** Stock of ours that the platform counts. An inactive one is read all the same: it may have come back. */
function isSweepable({ locations, problems }: MappedListing): boolean {
  const isUncounted = problems.includes('untracked') || problems.includes('missing-sku');
  return locations.length > 0 && !isUncounted && !isBarred(problems);
}
