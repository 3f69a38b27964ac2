import type { ListingProblem } from '../connectors/connector.ts';
import type { ChannelId, ListingId, Sku } from '../domain/ids.ts';
import type { MappedListing } from './sku-map.ts';

/** Units that a platform keeps in a warehouse of its own (FBA): seen, never written, in nobody's sum. */
export interface ForeignUnits {
  readonly channel: ChannelId;
  /** The platform's name of the place. */
  readonly place: string;
  readonly units: number;
  /** Platform clock, start of the reading. */
  readonly readAtMs: number;
}

const maxListings = 1_000_000;

/**
 * What the channels keep in warehouses of their own, by SKU, as it was last read: by every reading of the listings and
 * whenever the platform rings. A copy of what the platform tells again, so it is kept in memory only.
 */
export class ForeignStock {
  readonly #bySku = new Map<Sku, Map<string, ForeignUnits>>();
  #size = 0;

  /** Takes only listings that show no stock of ours; an older reading never replaces a newer one. */
  note(
    channel: ChannelId,
    listing: Pick<MappedListing, 'listingId' | 'sku' | 'ref' | 'locations' | 'problems'>,
    units: number,
    readAtMs: number,
  ): void {
    if (!isForeign(listing)) return;
    const key = keyOf(channel, listing.listingId);
    const rows = this.#bySku.get(listing.sku) ?? new Map<string, ForeignUnits>();
    const known = rows.get(key);
    if (known !== undefined && known.readAtMs > readAtMs) return;
    if (known === undefined && this.#size++ >= maxListings) return;
    rows.set(key, { channel, place: listing.ref.locationId, units, readAtMs });
    this.#bySku.set(listing.sku, rows);
  }

  of(sku: Sku): readonly ForeignUnits[] {
    return [...(this.#bySku.get(sku)?.values() ?? [])];
  }
}

export function isForeign({ locations, problems }: Pick<MappedListing, 'locations' | 'problems'>): boolean {
  return locations.length === 0 && problems.includes('foreign-stock');
}

/** Of another's stock, or barred by it: nothing that is read there could be put right by a write. */
export function isBarred(problems: readonly ListingProblem[]): boolean {
  return problems.includes('foreign-stock') || problems.includes('beside-foreign-stock');
}

function keyOf(channel: ChannelId, listingId: ListingId): string {
  return `${channel}\u001f${listingId}`;
}
