import type { Catalogue } from '../domain/catalogue.ts';
import type { LocationId, Sku } from '../domain/ids.ts';
import { type PolicyLocation, type Target, bundleTargetOf, targetOf } from '../domain/policy.ts';
import type { PolicyBook } from '../domain/policy-book.ts';
import type { ListingView } from '../ledger/contract.ts';
import type { MappedListing } from './sku-map.ts';

export interface TargetRules {
  readonly policies: Pick<PolicyBook, 'of'>;
  readonly catalogue: Pick<Catalogue, 'componentsOf' | 'bundlesWith'>;
}

const nothing = { onHand: 0, committed: 0, reserved: 0 };

/** What a listing ought to show by policy, from one view of the ledger; of a bundle, by what its components make. */
export function channelTarget(
  { policies, catalogue }: TargetRules,
  listing: MappedListing,
  view: ListingView,
  staleBufferUnits = 0,
): Target {
  const { policy } = policies.of(listing.sku);
  const placesOf = (sku: Sku, settlesHere?: ReadonlyMap<LocationId, number>): PolicyLocation[] =>
    listing.locations.map((location) => ({
      location,
      level: view.levels.get(sku)?.get(location) ?? nothing,
      settlesHere: settlesHere?.get(location) ?? 0,
    }));
  const components = catalogue.componentsOf(listing.sku);
  const reservedOf = (sku: Sku): number =>
    placesOf(sku).reduce((total, { level }) => total + Math.max(0, level.reserved), 0);
  if (components === undefined) {
    // A bundle's listing dropped and its order was not seen yet: the components it took are as good as sold.
    let held = 0;
    for (const bundle of catalogue.bundlesWith(listing.sku)) {
      const own = catalogue.componentsOf(bundle)?.find(({ sku }) => sku === listing.sku);
      held += reservedOf(bundle) * (own?.units ?? 0);
    }
    return targetOf(policy, placesOf(listing.sku, view.settlesHere), staleBufferUnits, held);
  }
  // Units held for a purchase here stay hidden in a bundle: who holds a component need not buy the bundle.
  const parts = components.map(({ sku, units }) => ({ units, locations: placesOf(sku) }));
  return bundleTargetOf(policy, parts, staleBufferUnits, reservedOf(listing.sku));
}
