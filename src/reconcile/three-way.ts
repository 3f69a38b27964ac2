import type { LocationId, Sku } from '../domain/ids.ts';
import { type UnitRange, leastOf } from '../domain/expected-range.ts';
import { type OddOne, oddOneOut } from '../domain/verdict.ts';
import type { Level } from '../domain/movement.ts';
import type { ListingView } from '../ledger/contract.ts';
import type { OwnedCount } from '../mesh/count-rows.ts';
import type { MappedListing } from '../mesh/sku-map.ts';

/** One warehouse that can be asked what it counts of a SKU at this moment. */
export interface CountWitness {
  readonly owned: ReadonlySet<LocationId>;
  /** Undefined: it cannot say (never read here, away, asked too often). */
  countsOf(sku: Sku): Promise<readonly OwnedCount[] | undefined>;
}

/** One channel that can be asked by how much it differs from what the ledger expects it to show. */
export interface ShelfWitness {
  /** Shown minus expected of each listing that shows the location; empty: it lists none, or nothing can be said. */
  differencesOf(sku: Sku, location: LocationId): Promise<readonly UnitRange[]>;
}

/** What the ledger and one channel say of a listing. */
export interface DisputedListing {
  readonly listing: MappedListing;
  readonly view: ListingView;
  /** What the channel shows. */
  readonly shown: number;
  /** What the ledger expects it to show. */
  readonly expected: UnitRange;
  readonly targetOf: (view: ListingView) => number;
}

/**
 * Ledger, channels and warehouse each have a word about the same goods: a finding says which of them stands alone. Asked
 * only when a difference is proven, so a healthy catalogue costs no further reads.
 */
export class ThreeWay {
  readonly #counts: () => readonly CountWitness[];
  readonly #shelves: () => readonly ShelfWitness[];

  constructor(counts: () => readonly CountWitness[], shelves: () => readonly ShelfWitness[]) {
    this.#counts = counts;
    this.#shelves = shelves;
  }

  async ofListing(dispute: DisputedListing): Promise<OddOne> {
    const { listing, view, shown, expected, targetOf } = dispute;
    const places = view.levels.get(listing.sku);
    const counted = places === undefined ? undefined : await this.#counted(listing, places);
    if (places === undefined || counted === undefined) return 'unclear';
    // By the policy of the channel: a share or a cap makes less of a difference on the shelf than it is in the house.
    const shift =
      targetOf({ ...view, levels: new Map(view.levels).set(listing.sku, counted) }) - targetOf(view);
    return oddOneOut(expected, shown, {
      lowest: expected.lowest + shift,
      highest: expected.highest + shift,
    });
  }

  async ofCount({ sku, location, onHand }: OwnedCount, expected: UnitRange): Promise<OddOne> {
    const words = new Set<number>();
    for (const shelf of this.#shelves())
      for (const range of await shelf.differencesOf(sku, location)) words.add(leastOf(range));
    const [word] = words;
    // Channels that contradict each other are no second voice.
    if (word === undefined || words.size > 1) return 'unclear';
    const channel = expected.highest + word;
    return oddOneOut(expected, channel, { lowest: onHand, highest: onHand });
  }

  /** The levels as the warehouses count them; undefined where none of them has a word. */
  async #counted(
    listing: MappedListing,
    places: ReadonlyMap<LocationId, Level>,
  ): Promise<ReadonlyMap<LocationId, Level> | undefined> {
    const counted = new Map(places);
    let hasWord = false;
    for (const witness of this.#counts()) {
      if (!listing.locations.some((location) => witness.owned.has(location))) continue;
      for (const count of (await witness.countsOf(listing.sku)) ?? []) {
        const level = places.get(count.location);
        if (level === undefined || !listing.locations.includes(count.location)) continue;
        hasWord = true;
        // Goods promised to orders may have left the shelf before the warehouse says that they were shipped.
        const promised = Math.max(0, level.committed);
        const units = leastOf({
          lowest: count.onHand - level.onHand,
          highest: count.onHand + promised - level.onHand,
        });
        counted.set(count.location, { ...level, onHand: level.onHand + units });
      }
    }
    return hasWord ? counted : undefined;
  }
}
