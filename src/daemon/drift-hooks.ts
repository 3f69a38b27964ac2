import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { MappedListing } from '../mesh/sku-map.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';

/** What publishers ask reconciliation; they are made first, so it is filled in afterwards. */
export class DriftHooks {
  reconciler: Reconciler | undefined;

  onEdited(channel: ChannelId, listing: MappedListing, shows: number, target: number): 'report' | 'repair' {
    return this.reconciler?.onEdited(channel, listing, shows, target) ?? 'report';
  }

  isFrozen(channel: ChannelId, listingId: ListingId): boolean {
    return this.reconciler?.isFrozen(channel, listingId) ?? false;
  }
}
