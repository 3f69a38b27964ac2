import { StockmeshError } from '../../domain/errors.ts';
import type { Clock, ConnectorLog, RateLimiter, TokenStore } from '../ports.ts';
import { idOf } from './ids.ts';

export const apiVersion = '2026-10';
export const platform = 'shopify';

export type ShopifyCredentials =
  /** An app of the merchant's own organisation: a token of 24 hours, asked for again. */
  | { readonly kind: 'client-credentials'; readonly clientId: string; readonly clientSecret: string }
  /** A public app: a token of one hour and a refresh token that changes with each use. */
  | {
      readonly kind: 'offline';
      readonly clientId: string;
      readonly clientSecret: string;
      /** As the authorisation gave them; later ones are in the token store. */
      readonly refreshToken: string;
      readonly accessToken?: string | undefined;
      readonly expiresAtMs?: number | undefined;
    }
  /** A legacy custom app: a token without an end. */
  | { readonly kind: 'static'; readonly accessToken: string };

export interface ShopifyConnectorOptions {
  /** `<name>.myshopify.com`. */
  readonly shop: string;
  /** Where requests go instead of the shop's own address (an emulator, a proxy), with any path prefix. */
  readonly baseUrl?: string | undefined;
  readonly credentials: ShopifyCredentials;
  /** Current first; a rotated secret stays listed until Shopify signs with the new one (up to an hour). */
  readonly webhookSecrets: readonly string[];
  /** Location ids (digits or gids) whose stock is ours. Undefined: every location of the shop. */
  readonly locations?: readonly string[] | undefined;
  readonly limiter: RateLimiter;
  readonly tokens: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
  readonly requestTimeoutMs?: number | undefined;
  /** Longest wait for the rate limit: of a read, and of a write. */
  readonly maxReadWaitMs?: number | undefined;
  readonly maxWriteWaitMs?: number | undefined;
  /** How late Shopify's order search may show a change, and how old a level may be when it is read. Neither is documented. */
  readonly orderIndexLagMs?: number | undefined;
  readonly readLagMs?: number | undefined;
  readonly raiseBatchSize?: number | undefined;
  /** From this many variants on, the catalogue is read by a bulk operation. */
  readonly bulkFromVariants?: number | undefined;
  readonly bulkPollMs?: number | undefined;
  readonly bulkMaxMs?: number | undefined;
  /** Source names of apps that create orders without claiming inventory: what such an order took is not known. */
  readonly bypassSources?: readonly string[] | undefined;
  /** Ask where open units are committed (one more request per page). Default: when the shop has several locations. */
  readonly readCommitLocations?: boolean | undefined;
}

export interface ShopifySettings {
  readonly shop: string;
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly isBaseUrlOverridden: boolean;
  readonly locations: ReadonlySet<string> | undefined;
  readonly requestTimeoutMs: number;
  readonly maxReadWaitMs: number;
  readonly maxWriteWaitMs: number;
  readonly orderIndexLagMs: number;
  readonly readLagMs: number;
  readonly raiseBatchSize: number;
  readonly bulkFromVariants: number;
  readonly bulkPollMs: number;
  readonly bulkMaxMs: number;
  readonly bypassSources: ReadonlySet<string>;
  readonly readCommitLocations: boolean | undefined;
}

export const maxInputRows = 250;

export function settingsOf(options: ShopifyConnectorOptions): ShopifySettings {
  const problems: string[] = [];
  const shop = options.shop.toLowerCase();
  if (!/^[a-z0-9][a-z0-9-]*\.myshopify\.com$/.test(shop)) problems.push('shop must be <name>.myshopify.com');
  const baseUrl = (options.baseUrl ?? `https://${shop}`).replace(/\/+$/, '');
  const parsed = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol))
    problems.push('baseUrl must be an http(s) address');
  else if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '')
    problems.push('baseUrl must hold no user, password or query');
  const locations = options.locations?.map((location) => idOf(location));
  if (locations?.includes(undefined)) problems.push('locations must be Shopify location ids');
  const raiseBatchSize = options.raiseBatchSize ?? 10;
  if (!Number.isSafeInteger(raiseBatchSize) || raiseBatchSize < 1 || raiseBatchSize > maxInputRows)
    problems.push(`raiseBatchSize must be 1 to ${maxInputRows}`);
  if (problems.length > 0) throw new StockmeshError('CONFIG_INVALID', { problems });
  return {
    shop,
    baseUrl,
    isBaseUrlOverridden: options.baseUrl !== undefined,
    locations:
      locations === undefined ? undefined : new Set(locations.filter((id): id is string => id !== undefined)),
    requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    maxReadWaitMs: options.maxReadWaitMs ?? 30_000,
    maxWriteWaitMs: options.maxWriteWaitMs ?? 2_000,
    orderIndexLagMs: options.orderIndexLagMs ?? 10_000,
    readLagMs: options.readLagMs ?? 1_000,
    raiseBatchSize,
    bulkFromVariants: options.bulkFromVariants ?? 5_000,
    bulkPollMs: options.bulkPollMs ?? 2_000,
    bulkMaxMs: options.bulkMaxMs ?? 1_800_000,
    bypassSources: new Set(options.bypassSources),
    readCommitLocations: options.readCommitLocations,
  };
}
