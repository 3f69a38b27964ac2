import type { Range } from '../shopify/random.ts';

/** What a merchant's account looks like from outside. */
export interface SellerOptions {
  readonly sellerId: string;
  readonly marketplaceIds?: readonly string[];
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly refreshToken?: string;
  readonly settings?: Partial<SellerSettings>;
}

/**
 * Every behaviour of the platform that is not documented, or differs from day to day, is a switch here. The defaults are the
 * published limits and what is known of the real platform.
 */
export interface SellerSettings {
  /** Published rate limits; false: none. */
  rateLimit: boolean;
  tokenTtlMs: number;
  /** From ACCEPTED to applied; one draw per write. */
  applyDelayMs: Range;
  /** Share of accepted writes that are never applied. */
  applyLossRate: number;
  /** False: an older write that lands late does not overwrite a newer one. */
  reorderApplies: boolean;
  /** How old the numbers of listings reads are. */
  readLagMs: number;
  /** Searches for orders show nothing younger. */
  orderHoleMs: number;
  /** Leave `lastUpdatedBefore` and `createdBefore` out of answers. */
  hideOrderBound: boolean;
  ordersPerPage: number;
  /** When an order leaves Pending by itself; null: when told to. */
  pendingMs: Range | null;
  /** Whether a cancellation puts units back on the listing. */
  restoreOnCancel: 'always' | 'never' | 'byReason';
  /** `quantityOrdered` becomes 0 when an order is cancelled. */
  zeroQuantityOnCancel: boolean;
  /** ORDER_CHANGE fires for new orders too. */
  notifyOnPending: boolean;
  /** SKUs that can be paged through. */
  maxPagedSkus: number;
  fbaTokenTtlMs: number;
  feedQueueMs: Range;
  feedRunMs: Range;
  feedFate: 'done' | 'fatal' | 'cancelled' | 'stuck';
  reportMs: Range;
  reportCharset: 'utf-8' | 'iso-8859-1';
  documentTtlMs: number;
  /** Compress reports and processing reports. */
  gzip: boolean;
  /** Of notifications on their way to a queue or endpoint. */
  notificationDelayMs: Range;
  notificationDropRate: number;
  notificationDuplicateRate: number;
}

export const DEFAULT_SETTINGS: SellerSettings = {
  rateLimit: true,
  tokenTtlMs: 3_600_000,
  applyDelayMs: { min: 2_000, max: 120_000 },
  applyLossRate: 0,
  reorderApplies: false,
  readLagMs: 0,
  orderHoleMs: 120_000,
  hideOrderBound: false,
  ordersPerPage: 100,
  pendingMs: null,
  restoreOnCancel: 'byReason',
  zeroQuantityOnCancel: false,
  notifyOnPending: false,
  maxPagedSkus: 1_000,
  fbaTokenTtlMs: 30_000,
  feedQueueMs: { min: 1_000, max: 60_000 },
  feedRunMs: { min: 1_000, max: 600_000 },
  feedFate: 'done',
  reportMs: { min: 5_000, max: 120_000 },
  reportCharset: 'utf-8',
  documentTtlMs: 300_000,
  gzip: true,
  notificationDelayMs: { min: 0, max: 2_000 },
  notificationDropRate: 0,
  notificationDuplicateRate: 0,
};
