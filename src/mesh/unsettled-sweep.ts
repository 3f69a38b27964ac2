import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isKnownForSure } from '../domain/belief.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { PublisherLedger } from '../ledger/contract.ts';
import type { MappedListing } from './sku-map.ts';

export interface UnsettledSweep {
  readonly channel: ChannelId;
  readonly ledger: Pick<PublisherLedger, 'readListings'>;
  readonly listings: () => Iterable<MappedListing>;
  readonly ports: { ready(listingId: ListingId, seq: number): void };
  readonly log: Logger;
  /** Rest between two pages. */
  readonly gapMs: number;
}

const pageSize = 250;

/**
 * Brings up every listing without a settled base, once. A mark can be lost between the moment a listing enters the map
 * and the moment it is marked, and then nothing but a sale would ever bring it up again.
 */
export async function sweepUnsettled(sweep: UnsettledSweep, signal: AbortSignal): Promise<void> {
  const { channel, ledger, listings, ports, log, gapMs } = sweep;
  let page: { listingId: ListingId; sku: MappedListing['sku'] }[] = [];
  const look = async (): Promise<void> => {
    const { rows } = await ledger.readListings(channel, page, 'state');
    for (const { listingId, state } of rows) {
      if (!isKnownForSure(state)) ports.ready(listingId, 0);
    }
    page = [];
    await delay(gapMs, undefined, { signal });
  };
  try {
    for (const { listingId, sku } of listings()) {
      page.push({ listingId, sku });
      if (page.length >= pageSize) await look();
      if (signal.aborted) return;
    }
    if (page.length > 0) await look();
  } catch (error) {
    if (!signal.aborted) log.warn({ channel, err: error }, 'the sweep of listings broke off');
  }
}
