import type { ListingId } from '../domain/ids.ts';

/**
 * Listings of one channel that may need a write, in memory. Which lane a listing waits in is only an order of looking at
 * it (a sold-out SKU must not wait behind ten thousand raises); the exact urgency is computed once its numbers are read.
 * The durable marks are the truth: what does not fit here is found there again.
 */
export const lanes = ['sold-out', 'lowered', 'other'] as const;
export type Lane = (typeof lanes)[number];

/** `sale`: an order, a hold or a shipment; `run`: counts, files, adoption, mapping, policy, a resync. */
export type Cause = 'sale' | 'run';

export interface PendingListing {
  readonly listingId: ListingId;
  /** Sequence of the newest change. */
  readonly seq: number;
  /** Redis server's clock at the newest change; undefined where it is not known (after a restart). */
  readonly causedAtMs: number | undefined;
  readonly lane: Lane;
  /** A sale among them counts over everything else; absent: forgotten, or never known. */
  readonly cause?: Cause | undefined;
}

export class PendingLanes {
  readonly #byLane: ReadonlyMap<Lane, Map<ListingId, PendingListing>> = new Map(
    lanes.map((lane) => [lane, new Map()]),
  );
  readonly #limit: number;
  #size = 0;
  #hasOverflowed = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** True once a listing did not fit; cleared by `refill`. */
  get hasOverflowed(): boolean {
    return this.#hasOverflowed;
  }

  refill(): void {
    this.#hasOverflowed = false;
  }

  laneOf(listingId: ListingId): Lane | undefined {
    return this.#find(listingId)?.lane;
  }

  clear(): void {
    for (const lane of this.#byLane.values()) lane.clear();
    this.#size = 0;
    this.#hasOverflowed = false;
  }

  add(added: PendingListing): void {
    const known = this.#find(added.listingId);
    if (known === undefined && this.#size >= this.#limit) {
      this.#hasOverflowed = true;
      return;
    }
    const merged = known === undefined ? added : merge(known, added);
    if (known !== undefined && known.lane !== merged.lane) this.#remove(known);
    const lane = this.#lane(merged.lane);
    if (!lane.has(merged.listingId)) this.#size++;
    lane.set(merged.listingId, merged);
  }

  /** The oldest of the most urgent lanes, without those that cannot go now. */
  take(limit: number, place: (listingId: ListingId) => 'take' | 'skip' | 'stop'): readonly PendingListing[] {
    const taken: PendingListing[] = [];
    looking: for (const lane of lanes) {
      for (const listing of this.#lane(lane).values()) {
        if (taken.length >= limit) break looking;
        const placed = place(listing.listingId);
        if (placed === 'stop') break looking;
        if (placed === 'take') taken.push(listing);
      }
    }
    for (const listing of taken) this.#remove(listing);
    return taken;
  }

  /** Takes this one, wherever it waits. */
  pull(listingId: ListingId): PendingListing | undefined {
    const found = this.#find(listingId);
    if (found !== undefined) this.#remove(found);
    return found;
  }

  #find(listingId: ListingId): PendingListing | undefined {
    for (const lane of lanes) {
      const found = this.#lane(lane).get(listingId);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #remove(listing: PendingListing): void {
    if (this.#lane(listing.lane).delete(listing.listingId)) this.#size--;
  }

  #lane(lane: Lane): Map<ListingId, PendingListing> {
    const found = this.#byLane.get(lane);
    if (found === undefined) throw new TypeError(`lane ${lane}`);
    return found;
  }
}

function merge(known: PendingListing, added: PendingListing): PendingListing {
  const newer = added.seq >= known.seq ? added : known;
  const lane = lanes.indexOf(added.lane) < lanes.indexOf(known.lane) ? added.lane : known.lane;
  return {
    listingId: known.listingId,
    seq: newer.seq,
    causedAtMs: newer.causedAtMs ?? known.causedAtMs ?? added.causedAtMs,
    lane,
    cause: [known.cause, added.cause].includes('sale') ? 'sale' : (known.cause ?? added.cause),
  };
}
