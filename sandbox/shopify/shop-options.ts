import type { PlanName } from './cost-bucket.ts';
import type { Range } from './random.ts';

/** What a fully authorised own-store app holds. */
export const ALL_SCOPES = [
  'read_inventory',
  'write_inventory',
  'read_products',
  'read_locations',
  'read_orders',
  'read_merchant_managed_fulfillment_orders',
  'read_returns',
] as const;

export interface ShopOptions {
  /** e.g. `alpha.myshopify.com` */
  readonly domain: string;
  readonly name?: string;
  readonly plan?: PlanName;
  /** False: costs are reported and nothing is throttled. */
  readonly rateLimit?: boolean;
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly scopes?: readonly string[];
  readonly seed?: number;
  /** Offset of the shop's zone in webhook bodies. */
  readonly utcOffsetMinutes?: number;
  readonly webhookApiVersion?: string;
  readonly isLoopbackWebhookAllowed?: boolean;
  /** Ids beyond 2^53, as Shopify's own documents use. */
  readonly hugeIds?: boolean;
  /** The first location; a shop always has one. */
  readonly locationName?: string;
}

export interface ShopSettings {
  /** How long a change stays invisible to searches. */
  searchLagMs: Range;
  idempotencyWindowMs: number;
  /** What a key answers after an attempt that ended in userErrors: not established for the real platform. */
  afterUserErrors: 'replay' | 'reexecute' | 'previous-attempt-failed';
}
