import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import type { ChannelId, ListingId, LocationId, Sku } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import type { Ledger, PublisherLedger } from '../ledger/contract.ts';
import type { OpenedLevels } from './opened-levels.ts';
import { type MappedListing, type SkuMap, isWritable } from './sku-map.ts';

export interface OpeningFiguresOptions {
  readonly ledger: Pick<Ledger, 'adjust'> & Pick<PublisherLedger, 'readListings'>;
  readonly opened: OpenedLevels;
  /** In the order of the configuration: the first that lists a SKU at a place gives its opening figure. */
  readonly maps: readonly SkuMap[];
  /** Locations whose on-hand figure is the ledger's; others are opened by their owner's first count. */
  readonly ownLocations: ReadonlySet<LocationId>;
  /** A bundle has no stock of its own to open. */
  readonly isBundle?: ((sku: Sku) => boolean) | undefined;
  readonly log: Logger;
}

/**
 * Gives a level its first figure from the platform that has been selling from it. The figure is taken when the base of
 * its listings becomes settled: then `value + takenAt` is what the listing would show had none of the orders that the
 * ledger counts been placed, so neither an order seen twice nor one seen late can spoil it.
 */
export class OpeningFigures {
  readonly #options: OpeningFiguresOptions;

  constructor(options: OpeningFiguresOptions) {
    this.#options = options;
  }

  /** Called before `next` is relied upon. Repeating it is harmless. */
  async settling(channel: ChannelId, listing: MappedListing, next: ListingState): Promise<void> {
    const { opened, ledger, log } = this.#options;
    const location = listing.locations[0];
    if (this.#options.isBundle?.(listing.sku) === true) return;
    if (location === undefined || opened.has(listing.sku, location)) return;
    if (!this.#isOwn(listing)) return;
    const siblings = this.#givers(listing, location);
    if (siblings.channel !== channel) return;
    const bases = new Map<ListingId, number>();
    addBase(bases, listing.listingId, next);
    const others = siblings.listings.filter(({ listingId }) => listingId !== listing.listingId);
    if (others.length > 0) {
      const rows = others.map(({ listingId, sku }) => ({ listingId, sku }));
      for (const row of (await ledger.readListings(channel, rows)).rows)
        addBase(bases, row.listingId, row.state);
    }
    // The last of several places that share our location brings the sum of them all.
    if (bases.size < others.length + 1) return;
    const units = [...bases.values()].reduce((sum, value) => sum + value, 0);
    const { sku } = listing;
    const result = await ledger.adjust({
      operationId: `opening:${createHash('sha256').update(`${location}\u001f${sku}`).digest('hex')}`,
      movement: 'received',
      sku,
      location,
      units,
      reference: `opening:${channel}`,
      reason: 'opening figure',
      actor: channel,
    });
    // Another figure under the same operation: an earlier run booked it and died before it could say so.
    if (result.kind === 'fingerprint-mismatch')
      log.info({ channel, sku, location }, 'the level was opened before');
    opened.add(sku, location);
  }

  /** One number for our own stock and a warehouse's: what is ours of it the listing cannot say. */
  #isOwn({ locations }: MappedListing): boolean {
    return locations.every((location) => this.#options.ownLocations.has(location));
  }

  #givers(
    listing: MappedListing,
    location: LocationId,
  ): { readonly channel: ChannelId | undefined; readonly listings: readonly MappedListing[] } {
    for (const map of this.#options.maps) {
      if (map.settings.mode === 'off') continue;
      const listings = map
        .ofSku(listing.sku)
        .filter((found) => found.locations[0] === location && isWritable(found) && this.#isOwn(found));
      if (listings.length > 0) return { channel: map.settings.id, listings };
    }
    return { channel: undefined, listings: [] };
  }
}

function addBase(bases: Map<ListingId, number>, listingId: ListingId, { base }: ListingState): void {
  // The listing in hand is about to be stored as settled; a sibling has to be already.
  if (base !== undefined && base.settled) bases.set(listingId, base.value + base.takenAt);
}
