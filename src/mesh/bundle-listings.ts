import type { Catalogue } from '../domain/catalogue.ts';
import type { ListingId, Sku } from '../domain/ids.ts';
import type { SkuMap } from './sku-map.ts';

type Bundles = Pick<Catalogue, 'componentsOf' | 'bundlesWith'>;

/** SKUs whose levels say, beside its own, what a listing may show: a bundle's components, a component's bundles. */
export function skusBeside(catalogue: Bundles, sku: Sku): readonly Sku[] {
  return catalogue.componentsOf(sku)?.map((component) => component.sku) ?? catalogue.bundlesWith(sku);
}

/**
 * Listings of the channel that a movement of the SKU may change: its own, those of bundles it is in, and, where it is a
 * bundle itself (units of it are held back), those of its components.
 */
export function listingsShowing(
  map: Pick<SkuMap, 'ofSku'>,
  catalogue: Bundles,
  sku: Sku,
): readonly ListingId[] {
  const skus = [sku, ...skusBeside(catalogue, sku)];
  return skus.flatMap((one) => map.ofSku(one).map(({ listingId }) => listingId));
}
