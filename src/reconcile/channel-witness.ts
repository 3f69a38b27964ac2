import type { Logger } from 'pino';
import type { UnitRange } from '../domain/expected-range.ts';
import type { LocationId, Sku } from '../domain/ids.ts';
import { isWritable } from '../mesh/sku-map.ts';
import type { ListingLooks } from './listing-looks.ts';
import { observe } from './observe.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import type { ShelfWitness } from './three-way.ts';

export interface ChannelWitnessOptions {
  readonly channel: ReconciledChannel;
  readonly looks: ListingLooks;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

const nothing: UnitRange = { lowest: 0, highest: 0 };

/** One channel's word about goods that a warehouse counts otherwise: read now, by whichever daemon publishes the channel. */
export class ChannelWitness implements ShelfWitness {
  readonly #options: ChannelWitnessOptions;

  constructor(options: ChannelWitnessOptions) {
    this.#options = options;
  }

  async differencesOf(sku: Sku, location: LocationId): Promise<readonly UnitRange[]> {
    const { channel, looks, signal, log } = this.#options;
    const listings = channel.map
      .ofSku(sku)
      .filter((one) => isWritable(one) && one.locations.includes(location));
    if (!channel.publishing.isPublishing || listings.length === 0) return [];
    try {
      const seen = await observe(channel, listings, signal);
      if (seen.kind === 'unusable') return [];
      return seen.rows.flatMap((row) => {
        const look = looks.judge(row, row.after, true);
        if (look.kind === 'differs') return [look.difference];
        return look.kind === 'agrees' || look.kind === 'echo-pending' ? [nothing] : [];
      });
    } catch (error) {
      log.info({ channel: channel.id, sku, err: error }, 'a channel could not be asked about a count');
      return [];
    }
  }
}
