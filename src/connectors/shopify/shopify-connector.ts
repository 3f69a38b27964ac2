import type { Connector, ConnectorCapabilities } from '../connector.ts';
import { createHttpClient } from '../http.ts';
import { PlatformClock } from '../platform-clock.ts';
import { checkAccess } from './access.ts';
import { AccessTokens } from './access-token.ts';
import { BulkCatalogue } from './bulk-catalogue.ts';
import { Catalogue } from './catalogue.ts';
import { CommitLocations } from './commit-locations.ts';
import { fullReadMs } from './full-read.ts';
import { ShopifyGraphql } from './graphql.ts';
import { InactiveLevels } from './levels.ts';
import { LibraryClient } from './library-client.ts';
import { ShopLocations } from './locations.ts';
import {
  type ShopifyConnectorOptions,
  type ShopifySettings,
  maxInputRows,
  platform,
  settingsOf,
} from './options.ts';
import { OrderWalk } from './order-poll.ts';
import { OrderQuery } from './order-query.ts';
import { OrderReader, fetchOrdersBatchSize } from './order-reader.ts';
import { StockReader } from './stock.ts';
import { Subscriptions } from './subscriptions.ts';
import { ShopifyWebhooks } from './webhook.ts';
import { StockWriter } from './write.ts';

const maxAnswerBytes = 32 * 1024 ** 2;
const maxTokenAnswerBytes = 64 * 1024;
/** Shopify documents no window; 24 hours is what others measured. An hour is kept as distance. */
const idempotencyWindowMs = 23 * 3_600_000;

/** Shopify Admin GraphQL API 2026-10, one shop. Throws CONFIG_INVALID when the options cannot work. */
export function createShopifyConnector(options: ShopifyConnectorOptions): Connector {
  const settings = settingsOf(options);
  const { clock, log, limiter } = options;
  const timeoutMs = settings.requestTimeoutMs;
  const http = createHttpClient({ platform, timeoutMs, maxBodyBytes: maxTokenAnswerBytes });
  const graphqlHttp = createHttpClient({ platform, timeoutMs, maxBodyBytes: maxAnswerBytes });
  // Everything below is of this one shop: two shops in a process share nothing but code.
  const nowMs = () => clock.nowMs();
  const client = new LibraryClient({
    shop: settings.shop,
    baseUrl: settings.baseUrl,
    http: graphqlHttp,
    nowMs,
  });
  const tokens = new AccessTokens({
    ...settings,
    credentials: options.credentials,
    http,
    store: options.tokens,
    clock,
    log,
  });
  const platformClock = new PlatformClock(clock);
  const graphql = new ShopifyGraphql({ settings, client, tokens, limiter, platformClock });
  const inactive = new InactiveLevels();
  const locations = new ShopLocations(graphql, clock);
  const isWanted = settings.readCommitLocations;
  const commitLocations = new CommitLocations({ graphql, locations, clock, log, isWanted });
  const query = new OrderQuery(graphql, clock, log);
  const platformNowMs = () => platformClock.nowMs();
  const reader = new OrderReader(graphql, query, commitLocations, settings.bypassSources, platformNowMs);
  const walk = new OrderWalk({ query, reader, platformClock, indexLagMs: settings.orderIndexLagMs, log });
  const bulk = new BulkCatalogue(graphql, http, settings, clock);
  const catalogue = new Catalogue({ graphql, settings, locations, platformClock, inactive, bulk });
  const stock = new StockReader(graphql, platformClock, inactive);
  const writer = new StockWriter(graphql, settings, inactive);
  const subscriptions = new Subscriptions(graphql);
  const webhooks = new ShopifyWebhooks(settings, options.webhookSecrets);
  return {
    platform,
    capabilities: capabilitiesOf(settings),
    verifyWebhook: (raw, headers) => webhooks.verify(raw, headers),
    parseWebhook: (raw, headers) => webhooks.parse(raw, headers),
    pollOrders: (request) => walk.pages(request),
    fetchOrders: (orderIds, signal) => reader.fetch(orderIds, signal),
    readListings: (cursor, signal) => catalogue.pages(cursor, signal),
    readStock: (listings, signal) => stock.read(listings, signal),
    fullReadMs,
    write: (batch, signal) => writer.write(batch, signal),
    subscribe: (target, signal) => subscriptions.subscribe(target, signal),
    checkSubscriptions: (target, signal) => subscriptions.check(target, signal),
    checkAccess: (signal) => checkAccess(graphql, settings, signal),
  };
}

function capabilitiesOf(settings: ShopifySettings): ConnectorCapabilities {
  return {
    writes: 'delta',
    idempotencyKey: true,
    idempotencyWindowMs,
    lowerBatchSize: maxInputRows,
    raiseBatchSize: settings.raiseBatchSize,
    fetchOrdersBatchSize,
    readStockBatchSize: maxInputRows,
    zeroAllowed: true,
    perLocation: true,
    pushes: true,
    // A mutation's answer is the applied state; reads may come from a replica a moment behind.
    applyGraceMs: 1_000,
    longestApplyMs: 10_000,
    readLagMs: settings.readLagMs,
    orderIndexLagMs: settings.orderIndexLagMs,
    requestTimeoutMs: settings.requestTimeoutMs,
  };
}
