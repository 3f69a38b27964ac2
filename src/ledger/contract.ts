// Long on purpose: the whole contract of the ledger is read in one place.
import type { ChannelId, ListingId, LocationId, Sku } from '../domain/ids.ts';
import type { Level } from '../domain/movement.ts';
import type { ListingState } from '../domain/listing.ts';
import type { OrderSnapshot } from '../domain/order.ts';

/**
 * The ledger's commands. Every one may be repeated with the same arguments: a lost reply is answered by the first
 * result. Expected refusals are results; what throws is listed in docs/errors.md (LEDGER_*).
 */
export interface Ledger {
  reserve(request: ReserveRequest): Promise<ReserveResult>;
  /** Puts one hold in the place of another, all or nothing: what the first holds counts as there for the second. */
  change(replacedId: string, request: ReserveRequest): Promise<ChangeResult>;
  extend(request: {
    holdId: string;
    ttlMs: number;
    operationId: string;
    maxExtensions: number;
  }): Promise<ExtendResult>;
  commit(request: CommitRequest): Promise<CommitResult>;
  release(request: { holdId: string; actor: string }): Promise<ReleaseResult>;
  hold(holdId: string): Promise<HoldView | undefined>;

  applyOrder(order: OrderSnapshot, routing: OrderRouting): Promise<ApplyOrderResult>;
  applyCount(count: CountRequest): Promise<ApplyCountResult>;
  adjust(request: AdjustRequest): Promise<AdjustResult>;
  transfer(request: TransferRequest): Promise<AdjustResult>;

  /** Levels with due holds subtracted, and the sequence they are true for. */
  peek(skus: readonly Sku[]): Promise<PeekResult>;
  sweep(limit: number): Promise<{ expired: number; nextDueInMs: number | undefined }>;
  /** The ledger server's wall clock, estimated; the clock of `OrderSnapshot.beganAtMs`. */
  nowMs(): number;
}

export type Position = { readonly epoch: number; readonly seq: number };

export interface AllowedLocation {
  readonly location: LocationId;
  /** The on-hand authority of this location is a WMS: shipments seen by a channel only mark units as shipping. */
  readonly wmsOwned: boolean;
}

export interface ReserveLine {
  readonly sku: Sku;
  readonly units: number;
  /** In order of preference: the first that can take all of it, else split. */
  readonly locations: readonly LocationId[];
  /** Units that must stay available after this line (policy compiled to a number); default 0. */
  readonly keepUnits?: number | undefined;
  readonly poolCapUnits?: number | undefined;
  readonly agentCapUnits?: number | undefined;
}

export interface ReserveRequest {
  /** Made by the caller and kept before sending: it is the idempotency key. */
  readonly holdId: string;
  readonly lines: readonly ReserveLine[];
  readonly ttlMs: number;
  readonly actor: string;
  readonly pool?: string | undefined;
  readonly agent?: string | undefined;
  /** `external`, or the channel on which the held units will be bought (its own number does not hide them). */
  readonly settlesOn?: ChannelId | 'external' | undefined;
}

export type DenialReason = 'out-of-stock' | 'pool-cap' | 'agent-cap';

export type ReserveResult =
  | {
      readonly kind: 'held';
      readonly holdId: string;
      readonly seq: number;
      readonly expiresAtMs: number;
      readonly repeated: boolean;
      readonly lines: readonly HeldLine[];
    }
  | {
      readonly kind: 'denied';
      readonly reason: DenialReason;
      readonly sku: Sku;
      readonly available: number;
      readonly seq: number;
    }
  | { readonly kind: 'fingerprint-mismatch' }
  /** The hold id was used before and its hold has ended. */
  | { readonly kind: 'ended'; readonly state: HoldState };

export type ChangeResult =
  | ReserveResult
  | { readonly kind: 'replaced-unknown' }
  /** `released` also when another change of it was first. */
  | { readonly kind: 'replaced-ended'; readonly state: HoldState };

export interface HeldLine {
  readonly sku: Sku;
  readonly location: LocationId;
  readonly units: number;
}

export type HoldState = 'held' | 'committed' | 'released' | 'expired';

export interface HoldView {
  readonly holdId: string;
  readonly state: HoldState;
  readonly deadlineInMs: number;
  readonly lines: readonly HeldLine[];
  readonly agent: string;
  readonly pool: string;
  readonly settlesOn: string;
  readonly channel: string;
  readonly orderId: string;
}

export type ExtendResult =
  | { readonly kind: 'extended'; readonly expiresAtMs: number; readonly repeated: boolean }
  | { readonly kind: 'too-many-extensions' }
  | { readonly kind: 'unknown-hold' }
  | { readonly kind: 'ended'; readonly state: HoldState };

export interface CommitRequest {
  readonly holdId: string;
  readonly actor: string;
  /** The order it became; default channel `direct`, order = hold id. */
  readonly order?: { readonly channel: ChannelId; readonly orderId: string } | undefined;
  /** Units to keep per SKU; the rest is released. Absent: all of it. */
  readonly part?: readonly { readonly sku: Sku; readonly units: number }[] | undefined;
}

export type CommitResult =
  | { readonly kind: 'committed'; readonly seq: number; readonly repeated: boolean }
  | { readonly kind: 'expired' }
  | { readonly kind: 'ended'; readonly state: HoldState }
  | { readonly kind: 'unknown-hold' }
  | { readonly kind: 'part-exceeds-hold'; readonly sku: Sku }
  | { readonly kind: 'fingerprint-mismatch' };

export type ReleaseResult =
  | { readonly kind: 'released'; readonly seq: number; readonly repeated: boolean }
  | { readonly kind: 'ended'; readonly state: HoldState }
  | { readonly kind: 'unknown-hold' };

export interface OrderRouting {
  readonly locations: readonly AllowedLocation[];
  /** How the channel's platform writes: decides what an own order does to a listing's base (domain/listing.ts). */
  readonly listingKind: 'delta' | 'absolute';
  /**
   * The order is older than the channel's baseline: lines not seen before are adopted, with movements only for what is
   * still open. `on-hand`: the opening figure still contained the open units; `available`: it did not.
   */
  readonly adopt?: 'on-hand' | 'available' | undefined;
  /** `PublishTimes.skewMs` of the channel: within it an order and a read of its listing cannot be put in order; default 2,000. */
  readonly skewMs?: number | undefined;
  readonly actor: string;
}

export interface ApplyOrderResult {
  readonly kind: 'applied';
  readonly seq: number;
  /** Entries written; 0: a duplicate. */
  readonly movements: number;
  readonly refusedFalls: number;
}

export interface CountRequest {
  readonly operationId: string;
  readonly sku: Sku;
  readonly location: LocationId;
  readonly onHand: number;
  /** Moment the count is true for, ms, ledger clock. */
  readonly asOfMs: number;
  /** Shipping marks at or before `asOfMs - pickLagMs` are closed by this count. */
  readonly pickLagMs: number;
  /** Movements closer to `asOfMs` than this make the order undecidable: ask again. */
  readonly skewMs: number;
  readonly source: string;
  readonly actor: string;
}

export type ApplyCountResult =
  | {
      readonly kind: 'counted';
      readonly seq: number;
      readonly onHand: number;
      readonly delta: number;
      readonly closedShipping: number;
      readonly repeated: boolean;
    }
  | { readonly kind: 'stale'; readonly appliedAsOfMs: number }
  | { readonly kind: 'ask-again'; readonly reason: 'older-than-ring' | 'within-skew' }
  | { readonly kind: 'fingerprint-mismatch' };

export interface AdjustRequest {
  readonly operationId: string;
  readonly movement: 'received' | 'adjusted' | 'shipped' | 'returned';
  readonly sku: Sku;
  readonly location: LocationId;
  /** Signed change of on-hand. `shipped` by the authority also closes that many shipping marks. */
  readonly units: number;
  /** When it happened by its source's word, ms; absent: now. */
  readonly effectiveAtMs?: number | undefined;
  readonly reference: string;
  readonly reason: string;
  readonly actor: string;
}

export interface TransferRequest {
  readonly operationId: string;
  readonly sku: Sku;
  readonly from: LocationId;
  readonly to: LocationId;
  readonly units: number;
  readonly reference: string;
  readonly actor: string;
}

export type AdjustResult =
  | { readonly kind: 'adjusted'; readonly seq: number; readonly repeated: boolean }
  | { readonly kind: 'fingerprint-mismatch' };

export interface PeekResult {
  readonly position: Position;
  readonly levels: ReadonlyMap<Sku, ReadonlyMap<LocationId, Level>>;
}

/** Units promised by commits of holds to orders that were not seen yet, and what happens to old order state. */
export interface CreditLedger {
  /** Open for longer than that, oldest first, at most 1,000: they are alerted, a person resolves them. */
  openCredits(olderThanMs: number, limit?: number): Promise<readonly OpenCredit[]>;
  /** Gives the units back to availability. Should the order come after all, it commits anew. */
  resolveCredit(request: {
    readonly operationId: string;
    readonly channel: ChannelId;
    readonly orderId: string;
    readonly sku: Sku;
    readonly actor: string;
  }): Promise<ResolveCreditResult>;
  /** Retention: drops and compacts old orders, at most `limit` of each. */
  sweepOrders(limit: number): Promise<{ dropped: number; compacted: number }>;
}

export interface OpenCredit {
  readonly channel: ChannelId;
  readonly orderId: string;
  readonly sku: Sku;
  readonly openSinceMs: number;
}

export type ResolveCreditResult =
  | { readonly kind: 'resolved'; readonly seq: number; readonly units: number; readonly repeated: boolean }
  | { readonly kind: 'fingerprint-mismatch' };

/** Commands of the publisher, under its lease: the one named `publisherLease(channel)` (publisher-commands.ts). */
export interface PublisherLedger {
  /** A holder names one process: the same holder taking again renews and keeps its token. `untilMs`: ledger clock. */
  takeLease(name: string, holder: string, ttlMs: number): Promise<LeaseResult>;
  giveUpLease(name: string, token: number): Promise<void>;

  /** Marks listings pending with the sequence of their change and moves the channel's log cursor, in one call. */
  markPending(
    channel: ChannelId,
    marks: readonly { listingId: ListingId; seq: number }[],
    cursor: Position,
  ): Promise<void>;
  pending(channel: ChannelId, limit: number): Promise<readonly { listingId: ListingId; seq: number }[]>;

  /** Level, taken, base and open writes of the listings as of one moment. `state`: without the levels, which cost most. */
  readListings(
    channel: ChannelId,
    rows: readonly { listingId: ListingId; sku: Sku; components?: readonly Sku[] }[],
    part?: 'all' | 'state',
  ): Promise<ListingsView>;

  /** All rows or none; `conflict` names listings whose version moved. A conflict or a lost lease stores nothing. */
  claimWrite(
    channel: ChannelId,
    token: number,
    record: WriteRecord,
    versions: readonly { listingId: ListingId; version: number }[],
  ): Promise<ClaimResult>;
  /** Records that have no final outcome, oldest first. */
  openWrites(channel: ChannelId): Promise<readonly WriteRecord[]>;
  /**
   * Applies computed changes, each under the listing's version. With an old token the listings are only marked
   * suspect. Booking or resolving provisional units writes movements in the same call.
   */
  settle(channel: ChannelId, token: number, settlement: Settlement): Promise<SettleResult>;
}

export type LeaseResult =
  | { readonly kind: 'taken'; readonly token: number; readonly untilMs: number }
  | { readonly kind: 'busy'; readonly holder: string; readonly freeInMs: number };

export interface ListingsView {
  readonly position: Position;
  readonly rows: readonly ListingView[];
}

export interface ListingView {
  readonly listingId: ListingId;
  readonly sku: Sku;
  readonly state: ListingState;
  /** Levels of the SKU per location (for bundles: of each component), same moment. */
  readonly levels: ReadonlyMap<Sku, ReadonlyMap<LocationId, Level>>;
  /** Units of `reserved` that settle on this channel, per location. */
  readonly settlesHere: ReadonlyMap<LocationId, number>;
}

export interface WriteRecord {
  /** UUID; the platform's idempotency key. */
  readonly writeId: string;
  readonly kind: 'lower' | 'raise' | 'repair' | 'put';
  readonly rows: readonly {
    readonly listingId: ListingId;
    readonly from: number;
    readonly to: number;
    readonly takenAt: number;
  }[];
  /** Hash of the request's variables: a repeat must send the same. */
  readonly variablesHash: string;
  /** `<epoch>-<seq>` as it was sent: part of the variables, so a repeat after a restart needs it unchanged. */
  readonly reference: string;
  readonly seq: number;
  readonly token: number;
  readonly sentAtMs: number;
  readonly attempts: number;
}

export type ClaimResult =
  | { readonly kind: 'claimed' }
  | { readonly kind: 'conflict'; readonly listings: readonly ListingId[] }
  | { readonly kind: 'lease-lost' };

export interface ListingChange {
  readonly listingId: ListingId;
  readonly expectedVersion: number;
  /** Also refuse when `taken` moved meanwhile (changes computed from it). */
  readonly expectedTaken?: number | undefined;
  /**
   * The listing after the change. Ignored in it: `taken` and `rises` (only orders move them), `version`, and
   * `provisional` (moved by `provision` below, by orders, and by nothing else). */
  readonly next: ListingState;
  /**
   * Units to book (negative: to resolve, at most what is booked) as a movement. SKU and location are those of a new
   * booking; while units are booked, more are booked and resolved where they are. */
  readonly provision?:
    | { readonly units: number; readonly sku: Sku; readonly location: LocationId; readonly cause: string }
    | undefined;
  /** Pending mark to drop when it is not newer than this sequence. */
  readonly settledSeq?: number | undefined;
  /** Pending mark to set (must be looked at again). */
  readonly markPending?: boolean | undefined;
}

export interface Settlement {
  readonly changes: readonly ListingChange[];
  /** Write records to close, or to keep with a new outcome. */
  readonly closeWrites: readonly string[];
  readonly keepWrites?: readonly WriteRecord[] | undefined;
  /** Tells this settlement from an equal one before it, whose result it would otherwise be answered with. */
  readonly settlementId?: string | undefined;
}

export type SettleResult =
  | { readonly kind: 'settled'; readonly seq: number }
  | { readonly kind: 'conflict'; readonly listings: readonly ListingId[] }
  | { readonly kind: 'suspected' };

/** Cursors, parked rows, periods: small durable state of the mesh, in the ledger's Redis so that it rolls back with it. */
export interface MeshState {
  moveCursor(
    name: string,
    to: string,
    order: 'position' | 'number' | 'opaque',
    expected?: string | null,
  ): Promise<'moved' | 'kept'>;
  cursor(name: string): Promise<string | null>;
  /** Once per cluster. Periods of a task must grow: by length, then by bytes (ISO times, counters). */
  takePeriod(task: string, period: string): Promise<boolean>;
  park(row: ParkedEntry): Promise<void>;
  unpark(id: string): Promise<void>;
  parked(limit: number, after?: string): Promise<readonly ParkedEntry[]>;
  parkedCount(): Promise<number>;
}

export interface ParkedEntry {
  readonly id: string;
  readonly channel: ChannelId | '';
  readonly what: string;
  readonly reference: string;
  readonly reason: string;
  readonly content: string;
  readonly parkedAtMs: number;
  readonly times: number;
}
