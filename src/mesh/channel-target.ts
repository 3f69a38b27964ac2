import { type ChannelPolicy, type PolicyLocation, type Target, targetOf } from '../domain/policy.ts';
import type { ListingView } from '../ledger/contract.ts';
import type { MappedListing } from './sku-map.ts';

const nothing = { onHand: 0, committed: 0, reserved: 0 };

/** What a listing ought to show by policy, from one view of the ledger. */
export function channelTarget(
  policy: ChannelPolicy,
  listing: MappedListing,
  view: ListingView,
  staleBufferUnits = 0,
): Target {
  const levels = view.levels.get(listing.sku);
  const places = listing.locations.map((location): PolicyLocation => ({
    location,
    level: levels?.get(location) ?? nothing,
    settlesHere: view.settlesHere.get(location) ?? 0,
  }));
  return targetOf(policy, places, staleBufferUnits);
}
