import type { ChannelId } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import type { PublisherLedger } from '../ledger/contract.ts';
import type { MappedListing } from './sku-map.ts';

const readAtOnce = 250;
const tries = 10;

/**
 * The ledger went back in time (a confirmed loss): what its listings are said to show, and the requests it believes to be
 * open, belong to a past that the platform does not share. Every base is read anew; `taken` stays, orders rebuild it.
 */
export async function forgetBases(
  ledger: Pick<PublisherLedger, 'openWrites' | 'readListings' | 'settle'>,
  channel: ChannelId,
  token: number,
  listings: readonly MappedListing[],
): Promise<void> {
  for (let start = 0; start < listings.length; start += readAtOnce) {
    await forgetSome(ledger, channel, token, listings.slice(start, start + readAtOnce));
  }
  const open = await ledger.openWrites(channel);
  await ledger.settle(channel, token, { changes: [], closeWrites: open.map(({ writeId }) => writeId) });
}

/** `keepsWrites`: requests under way are ours; the new base is read once they have ended. */
export async function forgetSome(
  ledger: Pick<PublisherLedger, 'readListings' | 'settle'>,
  channel: ChannelId,
  token: number,
  listings: readonly MappedListing[],
  keepsWrites = false,
): Promise<void> {
  for (let attempt = 1; attempt <= tries; attempt++) {
    const view = await ledger.readListings(
      channel,
      listings.map(({ listingId, sku }) => ({ listingId, sku })),
      'state',
    );
    const known = view.rows.filter(({ state }) => state.base !== undefined || state.openWrites.length > 0);
    if (known.length === 0) return;
    const result = await ledger.settle(channel, token, {
      changes: known.map(({ listingId, state }) => ({
        listingId,
        expectedVersion: state.version,
        next: keepsWrites ? { ...forgotten(state), openWrites: state.openWrites } : forgotten(state),
        markPending: true,
      })),
      closeWrites: [],
    });
    if (result.kind !== 'conflict') return;
  }
  throw new Error('the bases of the channel keep changing');
}

function forgotten(state: ListingState): ListingState {
  return {
    ...state,
    base: undefined,
    suspect: false,
    suspectAtMs: undefined,
    walkAwaitedMs: undefined,
    residue: undefined,
    openWrites: [],
  };
}
