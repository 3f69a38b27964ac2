import type { BulkWriter } from '../bulk-write.ts';
import type { Connector, ConnectorCapabilities } from '../connector.ts';
import { createHttpClient } from '../http.ts';
import { PlatformClock } from '../platform-clock.ts';
import { checkAccess } from './access.ts';
import { Catalogue } from './catalogue.ts';
import { FbaInventory } from './fba-inventory.ts';
import { fullReadMs } from './full-read.ts';
import { ListingMemory } from './listing-memory.ts';
import { ListingSearch, maxIdentifiers } from './listing-search.ts';
import { ListingsFeed } from './listings-feed.ts';
import { ListingsReport } from './listings-report.ts';
import { LwaTokens, notificationsScope } from './lwa-token.ts';
import { type AmazonConnectorOptions, type AmazonSettings, platform, settingsOf } from './options.ts';
import { fetchOrders, fetchOrdersBatchSize } from './order-fetch.ts';
import { OrderWalk } from './order-poll.ts';
import { SpApi } from './sp-api.ts';
import { StockReader } from './stock.ts';
import { Subscriptions } from './subscriptions.ts';
import { DocumentTransfer } from './transfer.ts';
import { AmazonWebhooks } from './webhook.ts';
import { StockWriter } from './write.ts';

const maxAnswerBytes = 32 * 1024 ** 2;

export interface AmazonConnector extends Connector {
  /** Feeds, for a full resync only. */
  readonly bulk: BulkWriter;
}

/** Amazon Selling Partner API, one seller in one region. Throws CONFIG_INVALID when the options cannot work. */
export function createAmazonConnector(options: AmazonConnectorOptions): AmazonConnector {
  const settings = settingsOf(options);
  const { clock, log, limiter, credentials } = options;
  const http = createHttpClient({
    platform,
    timeoutMs: settings.requestTimeoutMs,
    maxBodyBytes: maxAnswerBytes,
  });
  const shared = { credentials, url: settings.tokenUrl, http, store: options.tokens, clock, log };
  const tokens = {
    seller: new LwaTokens({ ...shared, grant: { kind: 'seller', sellerId: settings.sellerId } }),
    notifications: new LwaTokens({ ...shared, grant: { kind: 'grantless', scope: notificationsScope } }),
  };
  const platformClock = new PlatformClock(clock);
  const api = new SpApi({ settings, http, tokens, limiter, clock, platformClock });
  const memory = new ListingMemory();
  const search = new ListingSearch(api, settings, platformClock, memory);
  const transfer = new DocumentTransfer(http, settings.baseUrl);
  const report = new ListingsReport(api, settings, transfer, clock);
  const fba = new FbaInventory(api, settings, platformClock);
  const catalogue = new Catalogue({ search, report, fba, readFba: settings.readFba, log });
  const stock = new StockReader(search, fba);
  const writer = new StockWriter(api, settings, memory, search);
  const walk = new OrderWalk({ api, settings, clock, platformClock, log });
  const subscriptions = new Subscriptions(api, settings);
  const webhooks = new AmazonWebhooks(settings, options.webhookSecrets);
  return {
    platform,
    capabilities: capabilitiesOf(settings),
    bulk: new ListingsFeed({ api, settings, transfer, memory, search }),
    verifyWebhook: (raw, headers) => webhooks.verify(raw, headers),
    parseWebhook: (raw) => webhooks.parse(raw),
    pollOrders: (request) => walk.pages(request),
    fetchOrders: (orderIds, signal) => fetchOrders(api, settings.restoreOnCancel, orderIds, signal),
    readListings: (cursor, signal) => catalogue.pages(cursor, signal),
    readStock: (listings, signal) => stock.read(listings, signal),
    fullReadMs,
    write: (batch, signal) => writer.write(batch, signal),
    // Where deliveries go is part of the channel's options: Amazon calls no address of ours directly.
    subscribe: (_target, signal) => subscriptions.subscribe(signal),
    checkSubscriptions: (_target, signal) => subscriptions.check(signal),
    checkAccess: (signal) => checkAccess(api, settings, signal),
  };
}

function capabilitiesOf(settings: AmazonSettings): ConnectorCapabilities {
  return {
    writes: 'absolute',
    idempotencyKey: false,
    idempotencyWindowMs: 0,
    lowerBatchSize: 1,
    raiseBatchSize: 1,
    fetchOrdersBatchSize,
    readStockBatchSize: maxIdentifiers,
    zeroAllowed: true,
    perLocation: false,
    pushes: settings.queueArn !== undefined || settings.eventBridge !== undefined,
    subscribesWithoutUrl: true,
    applyGraceMs: settings.applyGraceMs,
    longestApplyMs: settings.longestApplyMs,
    readLagMs: settings.readLagMs,
    orderIndexLagMs: settings.orderIndexLagMs,
    requestTimeoutMs: settings.requestTimeoutMs,
  };
}
