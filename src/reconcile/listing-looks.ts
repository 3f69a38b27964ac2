import type { ListingId } from '../domain/ids.ts';
import type { ListingView, PublisherLedger } from '../ledger/contract.ts';
import { type MappedListing, isWritable } from '../mesh/sku-map.ts';
import { type RowContext, type RowLook, judgeRow } from './judge-row.ts';
import type { ObservedRow } from './observe.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';

export interface ListingLooksOptions {
  readonly channel: ReconciledChannel;
  readonly pending: Pick<PublisherLedger, 'pending'>;
  /** A person froze it: nothing is published to it. */
  readonly isFrozen: (listingId: ListingId) => boolean;
}

const maxPending = 100_000;

/** What the ledger says of listings of one channel, now: views, targets, marks, and rows judged by them. */
export class ListingLooks {
  readonly #options: ListingLooksOptions;

  constructor(options: ListingLooksOptions) {
    this.#options = options;
  }

  async view(listing: MappedListing): Promise<ListingView | undefined> {
    return (await this.#options.channel.publishing.views([listing])).rows[0];
  }

  async views(listings: readonly MappedListing[]): Promise<ReadonlyMap<ListingId, ListingView>> {
    const views = await this.#options.channel.publishing.views(listings);
    return new Map(views.rows.map((row) => [row.listingId, row]));
  }

  async pendingNow(): Promise<ReadonlySet<ListingId>> {
    const { pending, channel } = this.#options;
    return new Set((await pending.pending(channel.id, maxPending)).map(({ listingId }) => listingId));
  }

  /** A row that was read before, by what is known of its listing now. */
  judge(row: ObservedRow, view: ListingView, isPending: boolean): RowLook {
    return judgeRow(row, view, this.#context(row.listing, view, isPending));
  }

  /** Undefined: nothing is published for it, or only together with others that stand for the same stock. */
  target(listing: MappedListing, view: ListingView): number | undefined {
    const { channel } = this.#options;
    if (!isWritable(listing) || !channel.hasFigure(listing)) return undefined;
    if (channel.map.countOf(listing.sku) > 1) return undefined;
    return channel.publishing.targetOf(listing, view).units;
  }

  #context(listing: MappedListing, view: ListingView, isPending: boolean): RowContext {
    const { channel, isFrozen } = this.#options;
    const { capabilities } = channel.connector;
    return {
      times: { readLagMs: capabilities.readLagMs, skewMs: channel.settings.skewMs },
      isFlooredAtZero: capabilities.writes === 'absolute',
      target: this.target(listing, view),
      isPending: isPending || channel.mode !== 'live' || !channel.mayPublish() || isFrozen(listing.listingId),
    };
  }
}
