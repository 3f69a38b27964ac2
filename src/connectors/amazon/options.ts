import { StockmeshError } from '../../domain/errors.ts';
import type { Clock, ConnectorLog, RateLimiter, TokenStore } from '../ports.ts';

export const platform = 'amazon';

export type AmazonRegion = 'na' | 'eu' | 'fe';

/** Hosts of the three regions; a seller account lives in one of them. */
const regionHosts: Readonly<Record<AmazonRegion, string>> = {
  na: 'https://sellingpartnerapi-na.amazon.com',
  eu: 'https://sellingpartnerapi-eu.amazon.com',
  fe: 'https://sellingpartnerapi-fe.amazon.com',
};
const usualAuthUrl = 'https://api.amazon.com';
const tokenPath = '/auth/o2/token';

/**
 * Does Amazon put units of a cancelled order back on the listing? It does for some reasons and not for others, and says
 * nowhere which. `byReason`: yes when the buyer or Amazon cancelled, no when the seller did; the listing is read in any case.
 */
export type RestorePolicy = 'always' | 'never' | 'byReason';

export interface AmazonCredentials {
  readonly clientId: string;
  readonly clientSecret: string;
  /** Of the seller's authorisation of the app. */
  readonly refreshToken: string;
}

export interface EventBridgeTarget {
  readonly region: string;
  readonly accountId: string;
}

export interface AmazonConnectorOptions {
  readonly sellerId: string;
  /** Marketplaces of one region. The first is the one listings are read and written in: stock is the region's. */
  readonly marketplaceIds: readonly string[];
  readonly region: AmazonRegion;
  /** Where requests go instead of the region's host (an emulator, a proxy), with any path prefix. */
  readonly baseUrl?: string | undefined;
  /** Where tokens are asked for; the token path is added when it is missing. */
  readonly authUrl?: string | undefined;
  readonly credentials: AmazonCredentials;
  /** Shared secrets of the EventBridge connection that calls our endpoint: the current one and the one before. */
  readonly webhookSecrets: readonly string[];
  /** Header that carries the secret, lower case. */
  readonly webhookHeader?: string | undefined;
  /** SQS queue that notifications are sent to. */
  readonly queueArn?: string | undefined;
  readonly eventBridge?: EventBridgeTarget | undefined;
  readonly restoreOnCancel?: RestorePolicy | undefined;
  /** Show FBA stock as foreign listings. Needs the Amazon Fulfillment role. */
  readonly readFba?: boolean | undefined;
  readonly limiter: RateLimiter;
  readonly tokens: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
  readonly requestTimeoutMs?: number | undefined;
  /** Longest wait for the rate limit: of a read, of one whose limit is minutes long, of a poll, and of a write. */
  readonly maxReadWaitMs?: number | undefined;
  readonly maxSlowWaitMs?: number | undefined;
  readonly maxPollWaitMs?: number | undefined;
  readonly maxWriteWaitMs?: number | undefined;
  readonly applyGraceMs?: number | undefined;
  readonly longestApplyMs?: number | undefined;
  readonly readLagMs?: number | undefined;
  /** How late an order may appear in searches, the two minutes that Amazon keeps back included. */
  readonly orderIndexLagMs?: number | undefined;
  /** Pause between two looks at a report or feed, and the longest wait for a report. */
  readonly reportPollMs?: number | undefined;
  readonly reportMaxMs?: number | undefined;
}

export interface AmazonSettings {
  readonly sellerId: string;
  readonly marketplaceIds: readonly string[];
  readonly marketplaceId: string;
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly tokenUrl: string;
  readonly webhookHeader: string;
  readonly queueArn: string | undefined;
  readonly eventBridge: EventBridgeTarget | undefined;
  readonly restoreOnCancel: RestorePolicy;
  readonly readFba: boolean;
  readonly requestTimeoutMs: number;
  readonly maxReadWaitMs: number;
  readonly maxSlowWaitMs: number;
  readonly maxPollWaitMs: number;
  readonly maxWriteWaitMs: number;
  readonly applyGraceMs: number;
  readonly longestApplyMs: number;
  readonly readLagMs: number;
  readonly orderIndexLagMs: number;
  readonly reportPollMs: number;
  readonly reportMaxMs: number;
}

/** Throws CONFIG_INVALID with every problem found. */
export function settingsOf(options: AmazonConnectorOptions): AmazonSettings {
  const problems: string[] = [];
  if (!/^[A-Z0-9]{2,40}$/i.test(options.sellerId)) problems.push('sellerId must be letters and digits');
  const [marketplaceId] = options.marketplaceIds;
  if (marketplaceId === undefined) problems.push('marketplaceIds must name a marketplace');
  if (!options.marketplaceIds.every((id) => /^[A-Z0-9]{2,40}$/i.test(id)))
    problems.push('marketplaceIds must be letters and digits');
  // searchOrders takes 50 of them; a region has fewer.
  if (options.marketplaceIds.length > 50) problems.push('marketplaceIds are more than 50');
  const baseUrl = addressOf(options.baseUrl ?? regionHosts[options.region], 'baseUrl', problems);
  const authUrl = addressOf(options.authUrl ?? usualAuthUrl, 'authUrl', problems);
  const { queueArn } = options;
  if (queueArn !== undefined && !/^arn:aws:sqs:\S+:\S+:\S+$/.test(queueArn))
    problems.push('queueArn must be arn:aws:sqs:REGION:ACCOUNT:NAME');
  else if (queueArn?.endsWith('.fifo') === true)
    problems.push('queueArn must be a standard queue: Amazon sends nothing to FIFO queues');
  const webhookHeader = (options.webhookHeader ?? 'authorization').toLowerCase();
  // Headers beginning with x- are kept beside the delivery for its parser, which would put the secret into Redis.
  if (!/^[a-z][a-z0-9-]*$/.test(webhookHeader) || /^(?:x-|webhook-|content-type$)/.test(webhookHeader))
    problems.push('webhookHeader must be a header name that begins neither with x- nor with webhook-');
  if (problems.length > 0) throw new StockmeshError('CONFIG_INVALID', { problems });
  return {
    sellerId: options.sellerId,
    marketplaceIds: options.marketplaceIds,
    marketplaceId: marketplaceId ?? '',
    baseUrl,
    tokenUrl: authUrl.endsWith(tokenPath) ? authUrl : `${authUrl}${tokenPath}`,
    webhookHeader,
    queueArn,
    eventBridge: options.eventBridge,
    restoreOnCancel: options.restoreOnCancel ?? 'byReason',
    readFba: options.readFba ?? true,
    requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    maxReadWaitMs: options.maxReadWaitMs ?? 30_000,
    maxSlowWaitMs: options.maxSlowWaitMs ?? 120_000,
    // A call that waits for minutes would look like a slow platform to the channel's circuit breaker.
    maxPollWaitMs: options.maxPollWaitMs ?? 5_000,
    maxWriteWaitMs: options.maxWriteWaitMs ?? 2_000,
    applyGraceMs: options.applyGraceMs ?? 15 * 60_000,
    longestApplyMs: options.longestApplyMs ?? 4 * 3_600_000,
    readLagMs: options.readLagMs ?? 30_000,
    orderIndexLagMs: options.orderIndexLagMs ?? 150_000,
    reportPollMs: options.reportPollMs ?? 15_000,
    reportMaxMs: options.reportMaxMs ?? 1_800_000,
  };
}

function addressOf(text: string, name: string, problems: string[]): string {
  const address = text.replace(/\/+$/, '');
  const parsed = URL.canParse(address) ? new URL(address) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol))
    problems.push(`${name} must be an http(s) address`);
  else if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '')
    problems.push(`${name} must hold no user, password or query`);
  return address;
}
