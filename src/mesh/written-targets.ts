import type { ListingId } from '../domain/ids.ts';

interface WrittenTarget {
  readonly to: number;
  readonly seq: number;
}

/** The oldest are forgotten beyond this: their listings are looked at once more, which is all that is lost. */
const maxTargets = 50_000;

/**
 * Writes that were accepted and carried the whole of what their listing ought to show as of a sequence. When a read
 * proves such a number, and the listing was not looked at in between, its mark up to that sequence is done, as if the
 * write itself had been confirmed.
 */
export class WrittenTargets {
  readonly #targets = new Map<ListingId, WrittenTarget>();

  accepted(listingId: ListingId, to: number, seq: number): void {
    this.#targets.delete(listingId);
    this.#targets.set(listingId, { to, seq });
    const oldest = this.#targets.keys().next();
    if (this.#targets.size > maxTargets && oldest.done !== true) this.#targets.delete(oldest.value);
  }

  forget(listingId: ListingId): void {
    this.#targets.delete(listingId);
  }

  /** The sequence up to which a listing that is known to show `units` needs nothing; undefined: it must be looked at. */
  provenBy(listingId: ListingId, units: number): number | undefined {
    const target = this.#targets.get(listingId);
    return target?.to === units ? target.seq : undefined;
  }
}
