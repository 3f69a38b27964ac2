import type { Logger } from 'pino';
import type { Connector } from '../connectors/connector.ts';
import type { ListingId, LocationId, Sku } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import type { BlastLimits } from '../domain/blast-radius.ts';
import type { PolicyBook } from '../domain/policy-book.ts';
import type { Staleness } from '../domain/staleness.ts';
import type { Catalogue } from '../domain/catalogue.ts';
import type { MeshState, PublisherLedger } from '../ledger/contract.ts';
import type { BaseBuilderSettings } from './base-builder.ts';
import type { BreakerSettings } from './breaker.ts';
import type { ChannelSettings } from './channel.ts';
import type { ExposureMetrics } from './exposure-meter.ts';
import type { FanOut } from './fan-out.ts';
import type { ForeignStock } from './foreign-stock.ts';
import type { CompletedWalk, OrderPollSettings } from './order-poll.ts';
import type { OrderSink } from './order-sink.ts';
import type { PublishMetrics } from './publish-metrics.ts';
import type { PublishTimesSettings } from './publish-rules.ts';
import type { PublisherSettings } from './publisher-options.ts';
import type { MappedListing, SkuMap } from './sku-map.ts';
import type { SyncJournal } from './sync-journal.ts';

export interface ChannelPublishingOptions {
  readonly settings: ChannelSettings;
  readonly policies: Pick<PolicyBook, 'of'>;
  readonly catalogue: Pick<Catalogue, 'componentsOf' | 'bundlesWith'>;
  readonly connector: Connector;
  readonly map: SkuMap;
  readonly ledger: PublisherLedger;
  readonly mesh: MeshState;
  readonly sink: OrderSink;
  readonly fanOut: FanOut;
  readonly metrics: PublishMetrics;
  readonly log: Logger;
  /** Ledger clock. */
  readonly nowMs: () => number;
  /**
   * Names this process. A name that survives a restart (and is guarded by a lock of its own, as the data directory is)
   * takes the lease back at once instead of waiting until it ends.
   */
  readonly holder: string;
  /** Units of a SKU sold per hour lately, on all channels; absent: what this listing alone sold. */
  readonly unitsPerHour?: ((sku: Sku, nowMs: number) => number) | undefined;
  /** What to do with a number that somebody changed on the channel; a function is told of each, and decides. */
  readonly onEdited:
    | 'report'
    | 'repair'
    | ((listing: MappedListing, shows: number, target: number) => 'report' | 'repair');
  /** A person stopped all writes of the listing; absent: never. */
  readonly isFrozen?: ((listingId: ListingId) => boolean) | undefined;
  /** Asked before every look: a channel that needs attention, or is still being read, publishes nothing. */
  readonly mayPublish: () => boolean;
  /** The platform ended or refused our access. */
  readonly onAccessLost: (reason: string) => void;
  /** Whether the level was ever given a figure: one that was not has no zero to publish. */
  readonly hasFigure: (sku: Sku, location: LocationId) => boolean;
  /** Before the base of a listing counts as settled: the moment for an opening figure. May throw; it comes again. */
  readonly settling: (listing: MappedListing, next: ListingState) => Promise<void>;
  /** Whether what the stock is made from is old; absent: never. */
  readonly staleness?: (() => Staleness) | undefined;
  /** Absent: what absolute writes leave exposed is not measured. */
  readonly exposure?: ExposureMetrics | undefined;
  readonly foreign?: ForeignStock | undefined;
  /** Told of every write and of the first reading after it. */
  readonly journal?: SyncJournal | undefined;
  /** Limits of runs that are no sales; absent: none. */
  readonly guard?:
    | { readonly limits: BlastLimits; readonly soldLately: () => Promise<ReadonlySet<string>> }
    | undefined;
  readonly onWalk?: ((walk: CompletedWalk) => void) | undefined;
  /** How far back open orders are looked for when the channel is polled for the first time. */
  readonly lookBackMs?: number | undefined;
  readonly tuning?: ChannelTuning | undefined;
}

export interface ChannelTuning {
  readonly leaseTtlMs?: number;
  readonly times?: Partial<PublishTimesSettings>;
  readonly publisher?: Partial<PublisherSettings>;
  readonly baseBuilder?: Partial<BaseBuilderSettings>;
  readonly poll?: Partial<OrderPollSettings>;
  readonly breaker?: Partial<BreakerSettings>;
}
