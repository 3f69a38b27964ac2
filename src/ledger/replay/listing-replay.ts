import { maxRises } from '../../domain/listing.ts';
import type { Movement } from '../../domain/movement.ts';
import { readOrderExtra } from '../entry-extra.ts';
import { US } from '../keys.ts';
import { isOrderKind } from './order-replay.ts';

export interface ReplayedListing {
  sku: string;
  taken: number;
  provisional: number;
  provisionalAt: string;
  /** Changes of `taken` by platform time, in the order they became known. */
  readonly rises: { readonly atMs: number; readonly units: number }[];
}

/** What the log knows of listings, per `channel US listing id`: own orders and provisional units, not what was read. */
export class ListingReplay {
  readonly listings = new Map<string, ReplayedListing>();

  add(m: Movement): void {
    if (m.kind === 'provisioned' || m.kind === 'provision-resolved') {
      const listing = this.#listing(m, m.reference);
      listing.provisional += m.kind === 'provisioned' ? m.units : -m.units;
      listing.sku = m.sku;
      listing.provisionalAt = m.location;
    } else if (m.line !== '' && isOrderKind(m.kind)) {
      const { listingId, takenOut, givenBack, platformMs } = readOrderExtra(m);
      if (listingId === '' || (takenOut === 0 && givenBack === 0)) return;
      const listing = this.#listing(m, listingId);
      if (listing.sku === '') listing.sku = m.sku;
      listing.taken += takenOut - givenBack;
      addRise(listing, platformMs, takenOut);
      addRise(listing, platformMs, -givenBack);
    }
  }

  #listing(m: Movement, listingId: string): ReplayedListing {
    const key = `${m.channel}${US}${listingId}`;
    let listing = this.listings.get(key);
    if (listing === undefined) {
      listing = { sku: '', taken: 0, provisional: 0, provisionalAt: '', rises: [] };
      this.listings.set(key, listing);
    }
    return listing;
  }
}

/** Beyond the limit the oldest by platform time goes, as in scripts/include/listing.lua. */
function addRise(listing: ReplayedListing, atMs: number, units: number): void {
  if (units === 0) return;
  listing.rises.push({ atMs, units });
  if (listing.rises.length <= maxRises) return;
  let oldest = 0;
  for (const [index, rise] of listing.rises.entries()) {
    if (rise.atMs < (listing.rises[oldest]?.atMs ?? 0)) oldest = index;
  }
  listing.rises.splice(oldest, 1);
}
