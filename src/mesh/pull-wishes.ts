import type { ListingId } from '../domain/ids.ts';
import type { CompletedWalk, OrderPoll } from './order-poll.ts';

/** Listings that wait for a walk of orders which begins late enough. One pull at a time is asked for, for the earliest. */
export class PullWishes {
  readonly #poll: Pick<OrderPoll, 'pull'>;
  readonly #limit: number;
  /** Ledger clock: the walk must begin after it. */
  readonly #afterMs = new Map<ListingId, number>();
  #askingFor: number | undefined;

  constructor(poll: Pick<OrderPoll, 'pull'>, limit: number) {
    this.#poll = poll;
    this.#limit = limit;
  }

  get size(): number {
    return this.#afterMs.size;
  }

  clear(): void {
    this.#afterMs.clear();
  }

  add(listingId: ListingId, afterMs: number): void {
    const known = this.#afterMs.get(listingId);
    if (known === undefined ? this.#afterMs.size >= this.#limit : known >= afterMs) return;
    this.#afterMs.set(listingId, afterMs);
    this.#ask();
  }

  /** Those the walk speaks for; the others ask for a later one. */
  takeAnswered(walk: CompletedWalk): readonly ListingId[] {
    const answered: ListingId[] = [];
    for (const [listingId, afterMs] of this.#afterMs) {
      if (afterMs >= walk.beganAtMs) continue;
      this.#afterMs.delete(listingId);
      answered.push(listingId);
    }
    this.#ask();
    return answered;
  }

  #ask(): void {
    if (this.#afterMs.size === 0) return;
    let afterMs = Number.POSITIVE_INFINITY;
    let looked = 0;
    for (const wishedMs of this.#afterMs.values()) {
      afterMs = Math.min(afterMs, wishedMs);
      if (++looked >= 1_000) break;
    }
    if (this.#askingFor !== undefined && this.#askingFor <= afterMs) return;
    this.#askingFor = afterMs;
    // The walk itself is told to all listeners; a poll that gave up is asked again by the next wish.
    void this.#poll.pull(afterMs).finally(() => {
      if (this.#askingFor === afterMs) this.#askingFor = undefined;
    });
  }
}
