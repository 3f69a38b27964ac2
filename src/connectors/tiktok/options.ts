import { StockmeshError } from '../../domain/errors.ts';
import type { Clock, ConnectorLog, RateLimiter, TokenStore } from '../ports.ts';
import { idOf } from './ids.ts';

export const platform = 'tiktok';
const usualBaseUrl = 'https://open-api.tiktokglobalshop.com';
const usualAuthUrl = 'https://auth.tiktok-shops.com';

/** Limits of the API. */
export const maxQuantity = 99_999;
export const maxSkusPerProduct = 100;
export const maxSkusPerRead = 600;
export const maxOrdersPerFetch = 50;

export interface TiktokCredentials {
  readonly appKey: string;
  readonly appSecret: string;
  /** As the authorisation gave them; later ones are in the token store. */
  readonly refreshToken?: string | undefined;
  readonly accessToken?: string | undefined;
  /** Of the authorisation's callback: used once, within 30 minutes. */
  readonly authCode?: string | undefined;
}

export interface TiktokConnectorOptions {
  /** The shop's id: one authorisation may cover several shops. */
  readonly shop: string;
  readonly baseUrl?: string | undefined;
  /** Where tokens are asked for; `baseUrl` when only that is given. */
  readonly authUrl?: string | undefined;
  readonly credentials: TiktokCredentials;
  /** The app secret signs webhooks; a list of its own only while the secret is being replaced. */
  readonly webhookSecrets?: readonly string[] | undefined;
  /** Warehouse ids whose stock is ours. Undefined: every warehouse of the shop. */
  readonly warehouses?: readonly string[] | undefined;
  /** SKUs that also lie in a warehouse which is not ours: `refuse` leaves them alone, `echo` repeats what was just read there. */
  readonly otherWarehouses?: 'refuse' | 'echo' | undefined;
  /** Whether TikTok takes quantity 0 is not certain (docs/connectors/tiktok.md). */
  readonly soldOut?: 'zero' | 'deactivate' | undefined;
  /** Whether an unpaid order takes from the available quantity already; `unknown` (default): its listing is read. */
  readonly unpaidTakesStock?: boolean | 'unknown' | undefined;
  readonly limiter: RateLimiter;
  readonly tokens: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
  readonly requestTimeoutMs?: number | undefined;
  readonly maxReadWaitMs?: number | undefined;
  readonly maxWriteWaitMs?: number | undefined;
  /** None of the four is documented. */
  readonly readLagMs?: number | undefined;
  readonly applyGraceMs?: number | undefined;
  readonly longestApplyMs?: number | undefined;
  readonly orderIndexLagMs?: number | undefined;
  /** Requests per second to begin with; throttling and success move them. */
  readonly writesPerS?: number | undefined;
  readonly readsPerS?: number | undefined;
}

export interface TiktokSettings {
  readonly shop: string;
  readonly baseUrl: string;
  readonly authUrl: string;
  readonly appKey: string;
  readonly appSecret: string;
  readonly warehouses: ReadonlySet<string> | undefined;
  readonly otherWarehouses: 'refuse' | 'echo';
  readonly soldOut: 'zero' | 'deactivate';
  readonly unpaidTakesStock: boolean | 'unknown';
  readonly requestTimeoutMs: number;
  readonly maxReadWaitMs: number;
  readonly maxWriteWaitMs: number;
  readonly readLagMs: number;
  readonly applyGraceMs: number;
  readonly longestApplyMs: number;
  readonly orderIndexLagMs: number;
  readonly writesPerS: number;
  readonly readsPerS: number;
}

export function settingsOf(options: TiktokConnectorOptions): TiktokSettings {
  const problems: string[] = [];
  const { credentials } = options;
  const shop = idOf(options.shop);
  if (shop === undefined) problems.push('shop must be the id of a TikTok shop');
  if (credentials.appKey === '' || credentials.appSecret === '')
    problems.push('appKey and appSecret are needed');
  if (!credentials.refreshToken && !credentials.authCode && !credentials.accessToken)
    problems.push('one of refreshToken, authCode or accessToken is needed');
  const baseUrl = address('baseUrl', options.baseUrl ?? usualBaseUrl, problems);
  const authUrl = address('authUrl', options.authUrl ?? options.baseUrl ?? usualAuthUrl, problems);
  if (options.warehouses?.some((id) => idOf(id) === undefined) === true)
    problems.push('warehouses must be TikTok warehouse ids');
  if (problems.length > 0) throw new StockmeshError('CONFIG_INVALID', { problems });
  return {
    shop: shop ?? '',
    baseUrl,
    authUrl,
    appKey: credentials.appKey,
    appSecret: credentials.appSecret,
    warehouses: options.warehouses === undefined ? undefined : new Set(options.warehouses),
    otherWarehouses: options.otherWarehouses ?? 'refuse',
    soldOut: options.soldOut ?? 'zero',
    unpaidTakesStock: options.unpaidTakesStock ?? 'unknown',
    requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    maxReadWaitMs: options.maxReadWaitMs ?? 30_000,
    maxWriteWaitMs: options.maxWriteWaitMs ?? 2_000,
    readLagMs: options.readLagMs ?? 2_000,
    applyGraceMs: options.applyGraceMs ?? 3_000,
    longestApplyMs: options.longestApplyMs ?? 120_000,
    orderIndexLagMs: options.orderIndexLagMs ?? 5_000,
    writesPerS: options.writesPerS ?? 2,
    readsPerS: options.readsPerS ?? 5,
  };
}

function address(name: string, text: string, problems: string[]): string {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol))
    problems.push(`${name} must be an http(s) address`);
  else if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '')
    problems.push(`${name} must hold no user, password or query`);
  return text.replace(/\/+$/, '');
}
