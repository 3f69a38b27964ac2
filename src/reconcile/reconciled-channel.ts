import type { Connector } from '../connectors/connector.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { DriftPolicy } from '../domain/verdict.ts';
import type { ChannelMode } from '../mesh/channel.ts';
import type { ChannelPublishing } from '../mesh/channel-publishing.ts';
import type { LevelCopy } from '../mesh/level-copy.ts';
import type { MappedListing, SkuMap } from '../mesh/sku-map.ts';

/** One selling channel as reconciliation sees it: its own reads, and what it may ask the mesh for. */
export interface ReconciledChannel {
  readonly id: ChannelId;
  readonly mode: ChannelMode;
  readonly connector: Pick<Connector, 'capabilities' | 'readListings' | 'readStock'>;
  readonly map: SkuMap;
  readonly publishing: Pick<
    ChannelPublishing,
    | 'isPublishing'
    | 'views'
    | 'states'
    | 'viewsBy'
    | 'targetOf'
    | 'listingsChanged'
    | 'readAgain'
    | 'forget'
    | 'pull'
    | 'pullSince'
    | 'allow'
  >;
  /** Whether the ledger was ever given a figure for the listing's SKU. */
  hasFigure(listing: MappedListing): boolean;
  /** Nothing is published to it now, for a reason that is known elsewhere (access, Redis). */
  mayPublish(): boolean;
  /** How far the ledger is behind the notices that have arrived: they are heard, and not booked yet. */
  readonly inboxLagMs?: (() => number) | undefined;
  /** A row that agrees by it is done with; every other one is judged by the ledger. Absent: all of them are. */
  readonly copy?: LevelCopy | undefined;
  /** The listing map is out of date. */
  rediscover(): void;
  readonly settings: ChannelReconcileSettings;
}

export interface ChannelReconcileSettings {
  /** `observe`: findings only; `repair`: what the policy says. */
  readonly mode: 'off' | 'observe' | 'repair';
  /** Part of the channel's read budget that the rolling sweep may spend; 0: no sweep. */
  readonly sweepShare: number;
  /** A cycle of the sweep takes at least this; what just sold is read meanwhile all the same. */
  readonly minCycleMs: number;
  readonly policy: DriftPolicy;
  /** Corrections of one listing, within the time they are remembered, before a person must decide. */
  readonly maxCorrections: number;
  readonly correctionsKeptMs: number;
  /** How long an order may be on its way before it counts as not heard of. */
  readonly pushGraceMs: number;
  /** Least time between two reads that count as two; never less than the platform's lag. */
  readonly spacingMs: number;
  /** How far back orders are looked for when nothing else explains a difference. */
  readonly lookBackMs: number;
  /** As for the publisher (`PublishTimes.skewMs`). */
  readonly skewMs: number;
}

/** Time between two read requests of a channel when all of its read budget is spent. */
export const readGapMs = 200;
