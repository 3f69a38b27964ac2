// Long on purpose: the whole contract between mesh and platforms, read in one go by whoever writes a connector.

import type { LineCounters } from '../domain/order.ts';
import type { CountPage, CountWant, PlatformCount, PlatformMovement } from './counts.ts';
import type { ParkedRow } from './parked-row.ts';

export type { ParkedRow } from './parked-row.ts';

/**
 * The one contract every platform implements. A connector knows its platform and nothing else: no Redis, no ledger, no
 * other channel, no SKU mapping. What it cannot read it returns as parked rows with a reason; it throws only when the
 * platform as a whole could not be asked (see `ConnectorError` in errors.ts), never for one bad row.
 *
 * Times named `...AtMs` are the platform's clock unless said otherwise.
 */
export interface Connector {
  readonly platform: string;
  readonly capabilities: ConnectorCapabilities;

  /** Over the raw bytes, constant time, before anything is parsed. */
  /** Before the first delivery: what proving one needs and only the token store has. Harmless to repeat. */
  prepare?(): Promise<void>;
  verifyWebhook(raw: Uint8Array, headers: WebhookHeaders): WebhookVerdict;
  /** Only for bytes that were found genuine. Never throws: what cannot be read is in `parked`. */
  parseWebhook(raw: Uint8Array, headers: WebhookHeaders): ParsedDelivery;

  /**
   * Walks orders changed since the cursor (null: since `sinceMs`), oldest change first. Each page says the cursor that
   * may be stored once the page is applied; the last page carries `walk`, the upper bound of the completed walk. A walk
   * that has no budget left ends early, without `walk`: the next one goes on from the cursor.
   */
  pollOrders(request: PollRequest): AsyncIterable<OrderPage>;
  /** Orders by id, for hints and for stale rows. An order the platform does not know is simply absent. */
  fetchOrders(orderIds: readonly string[], signal: AbortSignal): Promise<OrderFetch>;

  /** Every listing of the account, page by page. */
  readListings(cursor: string | null, signal: AbortSignal): AsyncIterable<ListingPage>;
  /** The platform's present numbers, each with its own time. A listing the platform does not know is in `missing`. */
  readStock(listings: readonly ListingRef[], signal: AbortSignal): Promise<StockRead>;
  /**
   * How long one reading of so many listings (of a warehouse: counts) takes at least under the limits that the platform
   * publishes, ms: computed, not measured. Undefined: it publishes none.
   */
  fullReadMs?(rows: number): number | undefined;
  /**
   * One platform request per call (at most `capabilities.lowerBatchSize` / `raiseBatchSize` rows). Never retries by
   * itself. A throw means that nothing was applied; whatever may have been applied is answered as `unknown`.
   */
  write(batch: WriteBatch, signal: AbortSignal): Promise<WriteResult>;
  /** Listings with different answers never share a request (TikTok: one product each). Absent: any may. */
  batchGroup?(ref: ListingRef): string;

  /** Creates what is missing, repairs what differs. Idempotent. */
  subscribe(target: SubscriptionTarget, signal: AbortSignal): Promise<SubscriptionReport>;
  checkSubscriptions(target: SubscriptionTarget, signal: AbortSignal): Promise<SubscriptionReport>;
  checkAccess(signal: AbortSignal): Promise<AccessReport>;

  /** Only where the platform owns the on-hand figure (a WMS): what it has, from the cursor on (null: all of it). */
  pollCounts?(cursor: string | null, signal: AbortSignal, want?: CountWant): AsyncIterable<CountPage>;
  /**
   * Everything, for comparing and never for applying: pages as they are read, without cursor or guards. A row may come
   * twice, the later one counts. A held page at the end: nothing of the reading counts. Absent: `pollCounts` from null.
   */
  compareCounts?(signal: AbortSignal): AsyncIterable<CountPage>;
  /** Fresh counts of these items at every place; an item the platform does not know is simply absent. */
  fetchCounts?(itemIds: readonly string[], signal: AbortSignal): Promise<CountPage>;
  /** Whether everything costs less of the platform's limits than `fetchCounts` of so many items. */
  isAllCheaper?(items: number): boolean;
  /** JSON that the platform insists on as the body of a 2xx; any body will do where this is absent. */
  readonly acknowledgement?: string | undefined;
}

export interface ConnectorCapabilities {
  /** `delta`: relative writes with an idempotency key and compare-and-set (Shopify). `absolute`: plain numbers. */
  readonly writes: 'delta' | 'absolute' | 'none';
  readonly idempotencyKey: boolean;
  readonly idempotencyWindowMs: number;
  readonly lowerBatchSize: number;
  readonly raiseBatchSize: number;
  readonly fetchOrdersBatchSize: number;
  readonly readStockBatchSize: number;
  readonly zeroAllowed: boolean;
  readonly perLocation: boolean;
  readonly pushes: boolean;
  /** Its pushes come by another way than a call to our public address (a queue): subscribing needs no address. */
  readonly subscribesWithoutUrl?: boolean | undefined;
  /** How long an accepted write may take to show, and the longest it has ever taken. */
  readonly applyGraceMs: number;
  readonly longestApplyMs: number;
  /** How much older than its answer a read may be. */
  readonly readLagMs: number;
  /** How late a new order may appear in `pollOrders`. */
  readonly orderIndexLagMs: number;
  /** Every platform request ends within this; a publisher lease must outlive it. */
  readonly requestTimeoutMs: number;
}

export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export type WebhookVerdict =
  | {
      readonly kind: 'genuine';
      readonly deliveryId: string;
      readonly topic: string;
      /** It only says what to look at: losing it costs time, never a movement, so it need not be stored first. */
      readonly isDoorbell?: boolean | undefined;
      /** The body was read whole for the verdict: nobody needs to try whether it is JSON. */
      readonly isJson?: boolean | undefined;
      /** The platform takes a 200 with a body for a failure and sends the delivery again (TikTok). */
      readonly wantsEmptyAnswer?: boolean | undefined;
      readonly triggeredAtMs?: number | undefined;
    }
  | { readonly kind: 'forged'; readonly reason: string }
  | { readonly kind: 'malformed'; readonly reason: string };

/** A listing under the platform's own ids. `key` is stable and unique in the channel; the rest is what requests need. */
export interface ListingRef {
  readonly key: string;
  readonly itemId: string;
  readonly locationId: string;
}

export interface PlatformLine {
  readonly lineId: string;
  /** As the platform spells it; may be empty or unknown. */
  readonly sku: string;
  /**
   * The item the platform decremented, to find the listing: equal to a listing's `ref.itemId` or to one of its
   * `itemAliases` (a Shopify webhook names the variant, never the inventory item). Null where the item was deleted, is
   * not tracked or never was an item of the catalogue.
   */
  readonly itemId: string | null;
  readonly counters: LineCounters;
  /** `false`: the platform may or may not have taken from the listing. */
  readonly takenIsKnown: boolean;
  /** Platform location ids, where the platform says them. */
  readonly committedAt?: readonly PlatformUnits[] | undefined;
  readonly shippedFrom?: readonly PlatformUnits[] | undefined;
  /** Where units refunded without restock were promised from: they are missing there. */
  readonly lostFrom?: readonly PlatformUnits[] | undefined;
  /** Where cancelled or returned units were put back. */
  readonly restockedAt?: readonly PlatformUnits[] | undefined;
}

export interface PlatformUnits {
  readonly locationId: string;
  readonly units: number;
}

export interface PlatformOrder {
  readonly orderId: string;
  readonly placedAtMs: number;
  readonly changedAtMs: number;
  /** Where the order came from, for imported-order rules (`web`, `pos`, an app's name). */
  readonly sourceName: string;
  readonly lines: readonly PlatformLine[];
  /** The line list was cut short by the platform: fetch the whole order before believing it is complete. */
  readonly isPartial: boolean;
  /** `false`: even a fetch shows less than what is known to have happened, so it may not lower a counter. */
  readonly mayLower?: boolean | undefined;
}

export interface ToldLevel {
  /** `ref.key` of the listing. */
  readonly listingKey: string;
  /** What it had when the delivery was made up: at the change it tells of, or later. */
  readonly value: number;
  /** Platform clock: the change it tells of. */
  readonly changedAtMs: number;
}

export interface ParsedDelivery {
  readonly orders: readonly PlatformOrder[];
  /** Orders that changed, to be fetched. */
  readonly orderHints: readonly string[];
  /** Items whose level changed: a doorbell. Read, do not believe. */
  readonly levelHints: readonly string[];
  /** What the doorbell said the levels are, on a platform that rings for every change. Not to be believed: see `ToldLevels`. */
  readonly toldLevels?: readonly ToldLevel[] | undefined;
  /** The listing map changed (connected, disconnected, deleted, sku or tracking edited). */
  readonly listingHints: readonly string[];
  /** Bulk writes whose report can be read now: a hint, whoever waits for one polls it all the same. */
  readonly bulkWritesFinished?: readonly string[] | undefined;
  /** The platform ended our access (uninstalled, scopes reduced). */
  readonly accessLost?: string | undefined;
  /** Of an on-hand authority only. */
  readonly counts?: readonly PlatformCount[] | undefined;
  readonly movements?: readonly PlatformMovement[] | undefined;
  readonly parked: readonly ParkedRow[];
}

export interface PollRequest {
  readonly cursor: string | null;
  /** Without a cursor: orders changed at or after this moment. */
  readonly sinceMs: number;
  readonly overlapMs: number;
  readonly signal: AbortSignal;
}

export interface OrderPage {
  readonly orders: readonly PlatformOrder[];
  readonly parked: readonly ParkedRow[];
  /** May be stored when everything on this page is applied; null: not before the walk is complete. */
  readonly cursor: string | null;
  /** Only on the last page: everything changed up to this moment (platform clock) has been seen. */
  readonly walk?:
    | {
        readonly upperBoundMs: number;
        readonly cursor: string;
        /** Platform clock of the walk's first question; absent where its clock is not known, then ours stands for it. */
        readonly askedAtMs?: number | undefined;
      }
    | undefined;
}

export interface OrderFetch {
  readonly orders: readonly PlatformOrder[];
  readonly parked: readonly ParkedRow[];
}

export const listingProblems = [
  'duplicate-sku',
  'missing-sku',
  'untracked',
  'inactive',
  'bundle-parent',
  'foreign-stock',
  /** Ours, but no write could leave the stock of somebody else beside it alone. */
  'beside-foreign-stock',
  'oversells-by-policy',
] as const;
export type ListingProblem = (typeof listingProblems)[number];

export interface PlatformListing {
  readonly ref: ListingRef;
  /** Other ids under which order lines may name this item. */
  readonly itemAliases?: readonly string[] | undefined;
  readonly sku: string;
  readonly barcode: string | null;
  readonly title: string | null;
  /** Present number, when the read had it. */
  readonly value: number | null;
  readonly readAtMs: number;
  readonly problems: readonly ListingProblem[];
}

export interface ListingPage {
  readonly listings: readonly PlatformListing[];
  readonly parked: readonly ParkedRow[];
  readonly cursor: string | null;
}

export interface StockRow {
  readonly key: string;
  readonly value: number;
  /** Moment for which the value is known at the latest: start of the read. */
  readonly readAtMs: number;
  /** Writable and sellable now; a value at an inactive level sells nothing. */
  readonly isActive: boolean;
  /** Why it is not active, when that says more. */
  readonly reason?: string | undefined;
}

export interface StockRead {
  readonly rows: readonly StockRow[];
  readonly missing: readonly string[];
  readonly parked: readonly ParkedRow[];
}

export interface WriteRow {
  readonly ref: ListingRef;
  readonly from: number;
  readonly to: number;
}

export interface WriteBatch {
  /** Idempotency key: UUID of the write record. The same key always carries the same rows in the same order. */
  readonly key: string;
  /**
   * `lower` / `raise`: a delta of `to - from`, a raise on condition that the platform still shows `from`;
   * `repair`: compare-and-set from `from` to `to`; `put`: the plain number `to`.
   */
  readonly kind: 'lower' | 'raise' | 'repair' | 'put';
  /** `<epoch>-<seq>` the batch stems from, shown by platforms that keep a document reference. */
  readonly reference: string;
  readonly rows: readonly WriteRow[];
  /** Where a request names a whole item (TikTok): what its listings that are not in `rows` are believed to show. */
  readonly beside?: readonly { readonly key: string; readonly believed: number }[] | undefined;
}

export type RowOutcome =
  /** The platform says it is applied, and some platforms when, by their own clock. */
  | { readonly kind: 'confirmed'; readonly appliedAtMs?: number | undefined }
  /** The platform took it; only a read can tell when it shows. */
  | { readonly kind: 'accepted' }
  /** The condition did not hold; nothing was changed. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'rejected'; readonly reason: string; readonly isPermanent: boolean }
  /** Not applied because another row of the same batch was refused. */
  | { readonly kind: 'not-applied' }
  /** Sent, no answer: may or may not be applied. */
  | { readonly kind: 'unknown'; readonly reason: string }
  /** The platform will never run this key again (Shopify PREVIOUS_ATTEMPT_FAILED): a new base is needed. */
  | { readonly kind: 'key-spent'; readonly reason: string };

export interface WriteResult {
  /** One outcome per row of the batch, in its order. */
  readonly rows: readonly RowOutcome[];
  /** Not sent or refused as a whole for want of budget; nothing was applied. */
  readonly throttledForMs?: number | undefined;
  /** Platform's own id of the change, for the audit trail. */
  readonly platformReference?: string | undefined;
}

export interface SubscriptionTarget {
  /** Public address deliveries are sent to, without the topic. */
  readonly callbackUrl: string;
}

export interface SubscriptionReport {
  readonly present: readonly string[];
  readonly created: readonly string[];
  readonly missing: readonly string[];
  readonly problems: readonly string[];
}

export type AccessReport =
  | { readonly kind: 'ok'; readonly account: string; readonly scopes: readonly string[] }
  /** What the merchant must do, in one plain line. */
  | { readonly kind: 'needs-attention'; readonly reason: string; readonly remedy: string };
