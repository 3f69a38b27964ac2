import type { Connector } from '../connectors/connector.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import { besideBelief } from '../domain/publish-absolute.ts';
import type { PublisherLedger } from '../ledger/contract.ts';
import type { MappedListing } from './sku-map.ts';
import type { BesideRow, NewRequest } from './write-request.ts';

export interface BesideSource {
  readonly channel: ChannelId;
  readonly connector: Pick<Connector, 'writesWholeItems'>;
  readonly listingsOfItem: (itemId: string) => readonly MappedListing[];
  readonly ledger: Pick<PublisherLedger, 'readListings'>;
}

/**
 * Listings that travel along with these rows, because a request names whole items, and what each may show at most. Read
 * right before the request is recorded: what becomes known later can only make it less.
 */
export async function besideRows(
  { channel, connector, listingsOfItem, ledger }: BesideSource,
  rows: NewRequest['rows'],
): Promise<readonly BesideRow[]> {
  if (connector.writesWholeItems !== true) return [];
  const others = new Map<ListingId, MappedListing>();
  for (const { ref } of rows)
    for (const other of listingsOfItem(ref.itemId)) others.set(other.listingId, other);
  for (const { listingId } of rows) others.delete(listingId);
  if (others.size === 0) return [];
  const { rows: views } = await ledger.readListings(channel, [...others.values()]);
  return views.flatMap(({ listingId, state }): BesideRow[] => {
    const believed = besideBelief(state);
    const mapped = others.get(listingId);
    return believed === undefined || mapped === undefined
      ? []
      : [{ listingId, key: mapped.ref.key, believed }];
  });
}
