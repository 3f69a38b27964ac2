import type { Range } from '../shopify/random.ts';

export interface ShopOptions {
  /** The shop's id; made from the seed when absent. */
  readonly id?: string;
  readonly name?: string;
  readonly region?: string;
  readonly appKey?: string;
  readonly appSecret?: string;
  readonly cipher?: string;
  readonly warehouseName?: string;
  readonly seed?: number;
  readonly isLoopbackWebhookAllowed?: boolean;
  readonly settings?: Partial<ShopSettings>;
}

/** Everything that is not certain about the real platform is a switch; each may be changed while the shop runs. */
export interface ShopSettings {
  /** False: quantity 0 is refused per SKU (12052055), as the range [1, 99 999] of the newer page says. */
  zeroAllowed: boolean;
  /** When a buyer's units leave `available`. */
  takesStockAt: 'order' | 'payment';
  /** False: a cancelled line's unit does not come back to `available` by itself. */
  cancelGivesBack: boolean;
  /** Which listing a bundle is taken from. */
  bundleTakesFrom: 'bundle' | 'components';
  /** New orders wait in ON_HOLD after payment. */
  hasRemorsePeriod: boolean;
  /** How long after its answer an inventory update lands. */
  applyDelayMs: Range;
  /** inventory/search shows the figures of this long ago. */
  readLagMs: number;
  /** How long an order or its change stays invisible to orders/search. */
  searchLagMs: Range;
  /** Ids of webhooks as JSON numbers. */
  numericIds: boolean;
  /** How webhooks spell it; the API says CANCELLED. */
  cancelWord: 'CANCEL' | 'CANCELLED';
  /** Per endpoint; null: none. */
  requestsPerS: number | null;
  sendsRetryAfter: boolean;
  /** A refusal by the limit is HTTP 429 (with its code), or HTTP 200 with the code alone. */
  throttleStatus: 429 | 200;
  maxSearchResults: number;
  accessTokenTtlMs: number;
}

export const DEFAULT_SETTINGS: ShopSettings = {
  zeroAllowed: true,
  takesStockAt: 'order',
  cancelGivesBack: true,
  bundleTakesFrom: 'bundle',
  hasRemorsePeriod: false,
  applyDelayMs: { min: 0, max: 0 },
  readLagMs: 0,
  searchLagMs: { min: 0, max: 0 },
  numericIds: false,
  cancelWord: 'CANCEL',
  requestsPerS: 50,
  sendsRetryAfter: false,
  throttleStatus: 429,
  maxSearchResults: 10_000,
  accessTokenTtlMs: 7 * 86_400_000,
};
