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
  /** Units that were left where its newest change happened; absent: not known. */
  readonly units?: number | undefined;
  /** A sale among them counts over everything else; absent: forgotten, or never known. */
  readonly cause?: Cause | undefined;
}

/** So many of a lane, the oldest, are compared by risk when not all of them can go. */
const ranked = 256;

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

  get hasSoldOut(): boolean {
    return this.#lane('sold-out').size > 0;
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

  /**
   * The most urgent lanes first, without those that cannot go now: in a lane of more than may be taken, those of the
   * greatest risk among the oldest, otherwise the oldest.
   */
  take(
    limit: number,
    place: (listingId: ListingId) => 'take' | 'skip' | 'stop',
    {
      riskOf,
      isSoldOutOnly = false,
    }: {
      readonly riskOf?: ((listing: PendingListing) => number) | undefined;
      readonly isSoldOutOnly?: boolean | undefined;
    } = {},
  ): readonly PendingListing[] {
    const taken: PendingListing[] = [];
    looking: for (const lane of isSoldOutOnly ? (['sold-out'] as const) : lanes) {
      const all = this.#lane(lane);
      const isCut = riskOf !== undefined && all.size > limit - taken.length;
      for (const listing of isCut ? byRisk(all.values(), riskOf) : all.values()) {
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

function* byRisk(
  lane: Iterable<PendingListing>,
  riskOf: (listing: PendingListing) => number,
): Iterable<PendingListing> {
  const left = lane[Symbol.iterator]();
  const first: { readonly listing: PendingListing; readonly risk: number }[] = [];
  let next = left.next();
  for (; next.done !== true && first.length < ranked; next = left.next())
    first.push({ listing: next.value, risk: riskOf(next.value) });
  for (const { listing } of first.toSorted((a, b) => b.risk - a.risk)) yield listing;
  for (; next.done !== true; next = left.next()) yield next.value;
}

function merge(known: PendingListing, added: PendingListing): PendingListing {
  const newer = added.seq >= known.seq ? added : known;
  const lane = lanes.indexOf(added.lane) < lanes.indexOf(known.lane) ? added.lane : known.lane;
  return {
    listingId: known.listingId,
    seq: newer.seq,
    causedAtMs: newer.causedAtMs ?? known.causedAtMs ?? added.causedAtMs,
    lane,
    units: newer.units ?? known.units ?? added.units,
    cause: [known.cause, added.cause].includes('sale') ? 'sale' : (known.cause ?? added.cause),
  };
}
