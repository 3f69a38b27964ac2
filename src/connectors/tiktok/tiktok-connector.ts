import type { Connector, ConnectorCapabilities } from '../connector.ts';
import { createHttpClient } from '../http.ts';
import { PlatformClock } from '../platform-clock.ts';
import { checkAccess } from './access.ts';
import { AccessTokens } from './access-token.ts';
import { TiktokApi } from './api.ts';
import { AuthorizedShops } from './authorized-shop.ts';
import { Catalogue } from './catalogue.ts';
import { writeOperations } from './endpoints.ts';
import { fullReadMs } from './full-read.ts';
import { idsOf } from './ids.ts';
import { Inventory } from './inventory.ts';
import {
  type TiktokConnectorOptions,
  type TiktokSettings,
  maxOrdersPerFetch,
  maxSkusPerProduct,
  maxSkusPerRead,
  platform,
  settingsOf,
} from './options.ts';
import { OrderFetcher } from './order-fetch.ts';
import { OrderWalk } from './order-poll.ts';
import { Pace } from './pace.ts';
import { ShelfMemory } from './shelf-memory.ts';
import { StockReader } from './stock.ts';
import { Subscriptions } from './subscriptions.ts';
import { requestToken } from './token-endpoint.ts';
import { Warehouses } from './warehouses.ts';
import { TiktokWebhooks } from './webhook.ts';
import { StockWriter } from './write.ts';

/** A hundred orders of two thousand lines would not fit; real pages have about 200 KiB. */
const maxAnswerBytes = 32 * 1024 ** 2;

/** TikTok Shop Open API (202309 and later), one shop. Throws CONFIG_INVALID when the options cannot work. */
export function createTiktokConnector(options: TiktokConnectorOptions): Connector {
  const settings = settingsOf(options);
  const { clock, log, limiter } = options;
  const http = createHttpClient({
    platform,
    timeoutMs: settings.requestTimeoutMs,
    maxBodyBytes: maxAnswerBytes,
  });
  const platformClock = new PlatformClock(clock);
  const nowMs = (): number => clock.nowMs();
  const tokens = new AccessTokens({
    credentials: options.credentials,
    shop: settings.shop,
    request: (grant) => requestToken({ http, settings, platformClock, nowMs }, grant),
    store: options.tokens,
    clock,
    log,
  });
  const { writesPerS, readsPerS } = settings;
  const pace = new Pace(limiter, clock, (name) => (writeOperations.has(name) ? writesPerS : readsPerS));
  let shops: AuthorizedShops | undefined;
  const api = new TiktokApi({ settings, http, tokens, pace, platformClock, clock }, (self) => {
    shops = new AuthorizedShops(self, settings.shop);
    return shops;
  });
  const authorized = shops ?? new AuthorizedShops(api, settings.shop);
  const memory = new ShelfMemory(clock, settings.longestApplyMs);
  const warehouses = new Warehouses(api, clock);
  const inventory = new Inventory(api, platformClock, memory);
  const context = { unpaidTakesStock: settings.unpaidTakesStock, memory };
  const walk = new OrderWalk({ api, platformClock, context, indexLagMs: settings.orderIndexLagMs, log });
  const orders = new OrderFetcher(api, context);
  const catalogue = new Catalogue({ api, settings, warehouses, platformClock, inventory, memory, log });
  const stock = new StockReader(inventory, memory);
  const writer = new StockWriter({ api, inventory, memory, settings });
  const subscriptions = new Subscriptions(api);
  const secrets = options.webhookSecrets ?? [];
  const webhooks = new TiktokWebhooks(settings, secrets.length > 0 ? secrets : [settings.appSecret]);
  return {
    platform,
    capabilities: capabilitiesOf(settings),
    verifyWebhook: (raw, headers) => webhooks.verify(raw, headers),
    parseWebhook: (raw) => webhooks.parse(raw),
    pollOrders: (request) => walk.pages(request),
    fetchOrders: (orderIds, signal) => orders.fetch(orderIds, signal),
    readListings: (cursor, signal) => catalogue.pages(cursor, signal),
    readStock: (listings, signal) => stock.read(listings, signal),
    fullReadMs: (listings) => fullReadMs(listings, settings.readsPerS),
    write: (batch, signal) => writer.write(batch, signal),
    batchGroup: (ref) => idsOf(ref)?.productId ?? '',
    subscribe: (target, signal) => subscriptions.subscribe(target, signal),
    checkSubscriptions: (target, signal) => subscriptions.check(target, signal),
    checkAccess: (signal) => checkAccess(authorized, warehouses, settings, signal),
  };
}

function capabilitiesOf(settings: TiktokSettings): ConnectorCapabilities {
  return {
    writes: 'absolute',
    idempotencyKey: false,
    idempotencyWindowMs: 0,
    lowerBatchSize: maxSkusPerProduct,
    raiseBatchSize: maxSkusPerProduct,
    fetchOrdersBatchSize: maxOrdersPerFetch,
    readStockBatchSize: maxSkusPerRead,
    zeroAllowed: settings.soldOut === 'zero',
    perLocation: true,
    pushes: true,
    applyGraceMs: settings.applyGraceMs,
    longestApplyMs: settings.longestApplyMs,
    readLagMs: settings.readLagMs,
    orderIndexLagMs: settings.orderIndexLagMs,
    requestTimeoutMs: settings.requestTimeoutMs,
  };
}
