import type { ListingId } from '../domain/ids.ts';
import { PendingLanes, type PendingListing } from './pending-lanes.ts';

/** Listings of other request groups that one look passes over. */
const maxElsewhere = 250;
const manyPutOff = 1_000;
const recallGapMs = 50;

/**
 * Where a listing of the channel stands, in memory.
 *
 *   waiting (in its lane) --taken--> occupied --request ended, or nothing to do--> gone | waiting again
 *   waiting --looked at, must know more--> put off --due, or `ready`--> waiting
 *
 * Occupied is not for ever: from its time on a listing that waits again may be taken although its request has no answer;
 * much sooner when it has sold out meanwhile.
 */
export class PublishQueue {
  readonly #soldOutEarlierMs: number;
  readonly #lanes: PendingLanes;
  /** Monotonic time from which the listing may be taken again. */
  readonly #occupied = new Map<ListingId, number>();
  readonly #putOff = new Map<ListingId, { readonly pending: PendingListing; readonly dueAtMs: number }>();
  #nextDueMs = Number.POSITIVE_INFINITY;
  #recalledAtMs = Number.NEGATIVE_INFINITY;

  /** `soldOutEarlierMs`: so much sooner than others a sold-out listing is taken although it is occupied. */
  constructor(limit: number, soldOutEarlierMs = 0) {
    this.#lanes = new PendingLanes(limit);
    this.#soldOutEarlierMs = soldOutEarlierMs;
  }

  get size(): number {
    return this.#lanes.size + this.#putOff.size;
  }

  /** Marks did not fit, and what fitted is done: the durable marks have more. */
  get isDrainedOverflow(): boolean {
    return this.#lanes.hasOverflowed && this.#lanes.size === 0;
  }

  /** Something sold out waits, be it occupied. */
  get hasSoldOut(): boolean {
    return this.#lanes.hasSoldOut;
  }

  clear(): void {
    this.#lanes.clear();
    this.#occupied.clear();
    this.#putOff.clear();
    this.#nextDueMs = Number.POSITIVE_INFINITY;
  }

  add(listing: PendingListing): void {
    this.#lanes.add(listing);
  }

  /** Durable marks, read anew. */
  refill(marks: readonly { readonly listingId: ListingId; readonly seq: number }[]): void {
    this.#lanes.refill();
    for (const { listingId, seq } of marks) {
      if (this.#putOff.has(listingId)) continue;
      this.#lanes.add({ listingId, seq, causedAtMs: undefined, lane: 'lowered' });
    }
  }

  /** Back from where it was put off; otherwise as a listing nobody marked. */
  ready(listingId: ListingId, seq: number): void {
    if (!this.recall(listingId)) this.#lanes.add({ ...unknownCause(listingId), seq });
  }

  /** False when it was not put off. */
  recall(listingId: ListingId): boolean {
    const waiting = this.#putOff.get(listingId);
    if (waiting === undefined) return false;
    this.#putOff.delete(listingId);
    this.#lanes.add(waiting.pending);
    return true;
  }

  /** Put off, and for nothing newer than `seq`: it is over. False when there is more to look at. */
  drop(listingId: ListingId, seq: number): boolean {
    const waiting = this.#putOff.get(listingId);
    if (waiting === undefined) return !this.isInLane(listingId);
    return waiting.pending.seq <= seq && this.#putOff.delete(listingId);
  }

  /** It waits for a look. */
  isInLane(listingId: ListingId): boolean {
    return this.#lanes.laneOf(listingId) !== undefined;
  }

  /** It waits for a look, or for an answer. */
  isWaiting(listingId: ListingId): boolean {
    return this.#putOff.has(listingId) || this.isInLane(listingId);
  }

  putOff(pending: PendingListing, forMs: number): void {
    this.#occupied.delete(pending.listingId);
    const dueAtMs = performance.now() + forMs;
    this.#putOff.set(pending.listingId, { pending, dueAtMs });
    this.#nextDueMs = Math.min(this.#nextDueMs, dueAtMs);
  }

  recallDue(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#nextDueMs = Number.POSITIVE_INFINITY;
    this.#recalledAtMs = nowMs;
    for (const [listingId, { dueAtMs }] of this.#putOff) {
      if (dueAtMs > nowMs) this.#nextDueMs = Math.min(this.#nextDueMs, dueAtMs);
      else this.recall(listingId);
    }
  }

  /**
   * The most urgent listings that are not occupied, each with its siblings: what one of them ought to show depends on
   * what the others show, so they are decided from one view. All of them are occupied for `occupyMs`. Listings of further
   * request groups than there are requests left are not even looked at: they could only be put back.
   */
  take(
    limit: number,
    occupyMs: number,
    siblingsOf: (listingId: ListingId) => readonly ListingId[],
    groups?: { readonly max: number; readonly of: (listingId: ListingId) => string },
    order?: Parameters<PendingLanes['take']>[2],
  ): readonly PendingListing[] {
    const nowMs = performance.now();
    const isOccupied = (listingId: ListingId): boolean => nowMs < this.#freeAtMs(listingId);
    const taken = new Set<string>();
    let elsewhere = 0;
    const place = (listingId: ListingId): 'take' | 'skip' | 'stop' => {
      if (isOccupied(listingId)) return 'skip';
      if (groups === undefined) return 'take';
      const group = groups.of(listingId);
      if (taken.has(group)) return 'take';
      // Every group has one listing by now: more of them are worth a look, not one at a whole backlog for each request.
      if (taken.size >= groups.max) return ++elsewhere >= maxElsewhere ? 'stop' : 'skip';
      taken.add(group);
      return 'take';
    };
    const urgent = this.#lanes.take(limit, place, order);
    const all = new Map(urgent.map((one) => [one.listingId, one]));
    for (const one of urgent) {
      for (const listingId of siblingsOf(one.listingId)) {
        if (all.has(listingId) || isOccupied(listingId)) continue;
        all.set(listingId, this.#lanes.pull(listingId) ?? { ...one, listingId, causedAtMs: undefined });
      }
    }
    for (const listingId of all.keys()) {
      this.#occupied.set(listingId, nowMs + occupyMs);
      // This look decides anew what it was put off for.
      this.#putOff.delete(listingId);
    }
    return [...all.values()];
  }

  /** Thousands that were put off are walked through now and then, not for each that is due. */
  get #dueMs(): number {
    const isLarge = this.#putOff.size > manyPutOff;
    return isLarge ? Math.max(this.#nextDueMs, this.#recalledAtMs + recallGapMs) : this.#nextDueMs;
  }

  free(listingId: ListingId): void {
    this.#occupied.delete(listingId);
  }

  /** Not done: it waits again. */
  release(pending: PendingListing): void {
    this.#occupied.delete(pending.listingId);
    this.#lanes.add(pending);
  }

  /** A lowering of it is under way, or is likely to come next. */
  isLowering(listingId: ListingId): boolean {
    const lane = this.#lanes.laneOf(listingId);
    return this.#occupied.has(listingId) || lane === 'sold-out' || lane === 'lowered';
  }

  /** When something of it may be taken that cannot be taken now. */
  nextMs(nowMs: number, canTake: boolean): number {
    let untilMs = this.#dueMs;
    if (!canTake || this.#lanes.size === 0) return untilMs;
    for (const listingId of this.#occupied.keys()) {
      const freeAtMs = this.#freeAtMs(listingId);
      if (freeAtMs > nowMs) untilMs = Math.min(untilMs, freeAtMs);
    }
    return untilMs;
  }

  #freeAtMs(listingId: ListingId): number {
    const untilMs = this.#occupied.get(listingId) ?? 0;
    return this.#lanes.laneOf(listingId) === 'sold-out' ? untilMs - this.#soldOutEarlierMs : untilMs;
  }
}

export function unknownCause(listingId: ListingId): PendingListing {
  return { listingId, seq: 0, causedAtMs: undefined, lane: 'other' };
}
