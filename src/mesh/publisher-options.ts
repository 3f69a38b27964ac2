import type { Logger } from 'pino';
import type { Connector } from '../connectors/connector.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import type { ListingView, PublisherLedger, WriteRecord } from '../ledger/contract.ts';
import type { BlastGuard } from './blast-guard.ts';
import type { ChannelMode } from './channel.ts';
import type { PublishMetrics } from './publish-metrics.ts';
import type { PublishRules } from './publish-rules.ts';
import type { RequestSender } from './request-sender.ts';
import type { MappedListing } from './sku-map.ts';

export interface PublisherSettings {
  readonly requestsInFlight: number;
  /** Where a request carries one listing or few, so many of them, as long as the platform answers quickly. */
  readonly maxSmallRequestsInFlight: number;
  readonly quickAnswerMs: number;
  readonly slowAnswerMs: number;
  readonly listingsPerLook: number;
  readonly pendingInMemory: number;
  /** A lowering that has no answer for this long no longer keeps the next lowering of its listings waiting. */
  readonly overtakeMs: number;
  /** The same for a listing that has sold out meanwhile. */
  readonly soldOutOvertakeMs: number;
  /** Requests that may be under way beyond the others, for what is sold out. */
  readonly soldOutRequests: number;
  readonly repeatMs: number;
  readonly maxRepeatMs: number;
  readonly reloadEveryMs: number;
  /** However long the platform or the circuit says: after this it is asked again. */
  readonly maxPauseMs: number;
  readonly drainMs: number;
  /** What a request takes from us to the shelf, for the order of urgency, until it was measured. */
  readonly assumedLagMs: number;
}

export const defaultPublisherSettings: PublisherSettings = {
  requestsInFlight: 4,
  maxSmallRequestsInFlight: 192,
  quickAnswerMs: 250,
  slowAnswerMs: 1_000,
  listingsPerLook: 1_000,
  pendingInMemory: 50_000,
  overtakeMs: 1_000,
  soldOutOvertakeMs: 150,
  soldOutRequests: 4,
  repeatMs: 200,
  maxRepeatMs: 30_000,
  reloadEveryMs: 5_000,
  maxPauseMs: 30_000,
  drainMs: 5_000,
  assumedLagMs: 1_000,
};

/** What the publisher needs from its neighbours. None of them waits or throws; `ready` is called afterwards. */
export interface PublisherPorts {
  /** The listing must be read, not before that moment (ledger clock). `isAwaited`: it shows too much until then. */
  needsRead(listingId: ListingId, notBeforeMs: number, isAwaited?: boolean): void;
  /** Orders must be pulled by a walk that begins after that moment (ledger clock). */
  needsPull(listingId: ListingId, afterMs: number): void;
  /** All listings of the channel that stand for the same stock of ours, in the merchant's order, this one included. */
  siblingsOf(listing: MappedListing): readonly MappedListing[];
  /**
   * Whether the ledger has a figure for it at all: a SKU that was never received has no zero to publish. Asked before the
   * figures are read, because a yes that is newer than the figures would publish their zero.
   */
  hasFigure(listing: MappedListing): boolean;
  /** It has none, and this is what is known of the listing: its settled base can become the opening figure. */
  withoutFigure(listing: MappedListing, state: ListingState): void;
  /** Further SKUs whose levels decide what it ought to show: a bundle's components, or bundles that hold units of it. */
  levelsBeside(listing: MappedListing): readonly MappedListing['sku'][];
  /** What they ought to show together. */
  targetOf(listing: MappedListing, view: ListingView): number;
  /** What the stock is made from is old: lowerings go, nothing is raised. Everything is looked at again afterwards. */
  raisesStopped?(): boolean;
  /** Somebody changed the number on the channel: whether policy lets us write over it. */
  edited(listing: MappedListing, shows: number, target: number): 'repair' | 'report';
  /** The platform refuses this listing; a person has to see why. */
  parked(listing: MappedListing, reason: string): void;
  unparked(listingId: ListingId): void;
  /** What was written to it, and the sale behind it (ledger clock), where that is known. */
  written?(listingId: ListingId, to: number, causedAtMs: number | undefined): void;
  /** A change of stock was confirmed on the shelf so long after its movement. */
  tookToShelf?(ms: number): void;
  /** How long that takes on this channel lately; until it was measured, what is assumed. */
  lagMs(): number;
  /** Units of the SKU sold per hour lately, on all channels. */
  readonly unitsPerHour?: ((sku: MappedListing['sku'], nowMs: number) => number) | undefined;
  /** `dry-run` and `observe`: what would have been sent. */
  planned(write: PlannedWrite): void;
  /** A person stopped all writes of the listing. */
  isFrozen(listingId: ListingId): boolean;
}

export interface PlannedWrite {
  readonly listingId: ListingId;
  readonly sku: string;
  readonly kind: WriteRecord['kind'];
  readonly from: number;
  readonly to: number;
}

export interface PublisherOptions {
  readonly channel: ChannelId;
  readonly mode: ChannelMode;
  readonly connector: Connector;
  readonly listing: (listingId: ListingId) => MappedListing | undefined;
  readonly ledger: PublisherLedger;
  readonly sender: RequestSender;
  readonly rules: PublishRules;
  readonly metrics: PublishMetrics;
  readonly log: Logger;
  /** Ledger clock. */
  readonly nowMs: () => number;
  /** Asked before every look; while it says no, marks stay where they are. */
  readonly mayPublish: () => boolean;
  readonly ports: PublisherPorts;
  /** Absent: nothing stops a run. */
  readonly guard?: BlastGuard | undefined;
  readonly settings?: Partial<PublisherSettings> | undefined;
}
