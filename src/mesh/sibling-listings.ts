import { type MappedListing, type SkuMap, isWritable } from './sku-map.ts';

/** Listings of a SKU at several places of the platform that are one location (or one set of them) of ours. */
export function siblingsOf(map: SkuMap, listing: MappedListing): readonly MappedListing[] {
  const ofSku = map.ofSku(listing.sku);
  if (ofSku.length <= 1) return ofSku;
  const ours = listing.locations.join();
  const places = map.settings.locations.map((place) => place.platformLocationId);
  const rank = ({ ref }: MappedListing): number => places.indexOf(ref.locationId) >>> 0;
  return ofSku
    .filter((other) => isWritable(other) && other.locations.join() === ours)
    .toSorted((a, b) => rank(a) - rank(b) || (a.listingId < b.listingId ? -1 : 1));
}
