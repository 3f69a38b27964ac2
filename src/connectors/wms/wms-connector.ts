import { StockmeshError } from '../../domain/errors.ts';
import type { AccessReport, Connector, ConnectorCapabilities, ParsedDelivery } from '../connector.ts';
import { createHttpClient } from '../http.ts';
import { WmsApi } from './api.ts';
import { WmsAuthorization } from './authorization.ts';
import { Budget } from './budget.ts';
import { createCsvReader } from './csv/csv-reader.ts';
import { fullReadMs } from './full-read.ts';
import { type CsvConnection, type HttpConnection, type WmsConnectorOptions, platform } from './options.ts';
import { checkCsvSource, checkHttpSource } from './settings.ts';
import { shipBobSource } from './shipbob.ts';
import { shipHeroSource } from './shiphero.ts';
import { StockReader } from './stock-reader.ts';
import {
  type Subscriptions,
  noSubscriptions,
  shipBobSubscriptions,
  shipHeroSubscriptions,
} from './subscriptions.ts';
import { Throttling } from './throttling.ts';
import { WmsWebhooks } from './webhook.ts';

const defaultTimeoutMs = 20_000;
const maxAnswerBytes = 64 * 1024 ** 2;
/** A reading can wait for its share of the limit; nothing is published by it. */
const maxReadWaitMs = 120_000;
/** Anybody can send what looks forged. */
const secretsRestMs = 10_000;

/**
 * A warehouse: the on-hand authority of its locations. It is read, never written. Throws CONFIG_INVALID for a declaration
 * that cannot work.
 */
export function createWmsConnector(options: WmsConnectorOptions): Connector {
  const { connection, baseUrl, authUrl } = options;
  switch (connection.kind) {
    case 'csv':
      return csvConnector(connection, options);
    case 'http':
      return httpConnector({ ...connection, baseUrl: baseUrl ?? connection.baseUrl }, options);
    case 'shiphero':
      return httpConnector(shipHeroSource(connection, baseUrl, authUrl), options);
    case 'shipbob':
      return httpConnector(shipBobSource(connection, baseUrl), options);
  }
}

function httpConnector(source: HttpConnection, options: WmsConnectorOptions): Connector {
  checkHttpSource(source);
  const { clock, limiter, tokens, webhookSecrets, requestTimeoutMs = defaultTimeoutMs } = options;
  const http = createHttpClient({ platform, timeoutMs: requestTimeoutMs, maxBodyBytes: maxAnswerBytes });
  const { baseUrl, auth } = source;
  const authorization = new WmsAuthorization({ auth, baseUrl, http, tokens, clock });
  const api = new WmsApi({
    http,
    authorization,
    budget: new Budget(source.limits ?? { kind: 'none' }, limiter, maxReadWaitMs),
    throttling: new Throttling(source.throttling),
    clock,
    failurePath: source.failurePath,
    expiredStatuses: source.expiredStatuses ?? [401],
  });
  const reader = new StockReader(source, api, clock);
  const webhooks =
    source.webhook === undefined ? undefined : new WmsWebhooks(source.webhook, webhookSecrets, clock);
  const subscriptions = subscriptionsOf(options, webhooks, api, baseUrl);
  let loadedAtMs = Number.NEGATIVE_INFINITY;
  const loadSecrets = (): void => {
    if (performance.now() - loadedAtMs < secretsRestMs) return;
    loadedAtMs = performance.now();
    subscriptions.load().catch((error: unknown) => {
      options.log.warn({ err: error }, 'the secrets of webhooks could not be loaded');
    });
  };
  return {
    ...withoutOrders,
    capabilities: capabilitiesOf({
      pushes: webhooks !== undefined,
      itemsPerRequest: source.lookup?.batchSize,
      requestTimeoutMs,
    }),
    acknowledgement: source.webhook?.acknowledgement,
    prepare: () => subscriptions.load(),
    verifyWebhook(raw, headers) {
      const verdict = webhooks?.verify(raw, headers);
      if (verdict === undefined) return { kind: 'forged', reason: 'the source sends no webhooks' };
      // Another daemon may have made the subscription meanwhile; the source sends it once more.
      if (verdict.kind === 'forged') loadSecrets();
      return verdict;
    },
    parseWebhook: (raw, headers) => webhooks?.parse(raw, headers) ?? nothing,
    pollCounts: (cursor, signal, want) => reader.poll(cursor, signal, want),
    compareCounts: (signal) => reader.compare(signal),
    fullReadMs: (rows) => fullReadMs(source, rows),
    isAllCheaper: (items) => reader.isAllCheaper(items),
    ...(source.lookup === undefined
      ? {}
      : { fetchCounts: (itemIds: readonly string[], signal: AbortSignal) => reader.fetch(itemIds, signal) }),
    subscribe: (target, signal) => subscriptions.run(target, true, signal),
    checkSubscriptions: (target, signal) => subscriptions.run(target, false, signal),
    checkAccess: (signal) => accessBy(() => reader.probe(signal), new URL(baseUrl).host),
  };
}

function csvConnector(connection: CsvConnection, options: WmsConnectorOptions): Connector {
  checkCsvSource(connection);
  const reader = createCsvReader(connection, options);
  return {
    ...withoutOrders,
    capabilities: capabilitiesOf({ pushes: false, requestTimeoutMs: options.requestTimeoutMs }),
    verifyWebhook: () => ({ kind: 'forged', reason: 'files are not pushed' }),
    parseWebhook: () => nothing,
    pollCounts: (cursor, signal) => reader.poll(cursor, signal),
    subscribe: (target, signal) => noSubscriptions.run(target, true, signal),
    checkSubscriptions: (target, signal) => noSubscriptions.run(target, false, signal),
    checkAccess: (signal) => accessBy(() => reader.probe(signal), reader.account),
  };
}

function subscriptionsOf(
  { connection, tokens, webhookSecrets }: WmsConnectorOptions,
  webhooks: WmsWebhooks | undefined,
  api: WmsApi,
  baseUrl: string,
): Subscriptions {
  if (webhooks === undefined) return noSubscriptions;
  const parts = { api, baseUrl, webhooks, tokens, secrets: webhookSecrets };
  if (connection.kind === 'shiphero') return shipHeroSubscriptions(parts);
  return connection.kind === 'shipbob' ? shipBobSubscriptions(parts) : noSubscriptions;
}

async function accessBy(probe: () => Promise<void>, account: string): Promise<AccessReport> {
  // A refusal is what this question is about; only a source that cannot be asked is an error.
  try {
    await probe();
    return { kind: 'ok', account, scopes: [] };
  } catch (error) {
    if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_ACCESS_DENIED') throw error;
    const { reason, remedy } = error.fields;
    return { kind: 'needs-attention', reason: String(reason), remedy: String(remedy) };
  }
}

const nothing: ParsedDelivery = { orders: [], orderHints: [], levelHints: [], listingHints: [], parked: [] };

/** A warehouse sells nothing and shows nothing: no orders, no listings, no writes. */
const withoutOrders = {
  platform,
  /** A walk that is complete as soon as it begins. */
  async *pollOrders({ cursor, sinceMs }) {
    const reached = cursor ?? '';
    yield { orders: [], parked: [], cursor, walk: { upperBoundMs: sinceMs, cursor: reached } };
  },
  fetchOrders: async () => ({ orders: [], parked: [] }),
  async *readListings() {
    // A count needs no listing: it names its SKU.
  },
  readStock: async () => ({ rows: [], missing: [], parked: [] }),
  write: async () => {
    throw new Error('a warehouse is not written to');
  },
} satisfies Partial<Connector>;

function capabilitiesOf({
  pushes,
  itemsPerRequest = 1,
  requestTimeoutMs = defaultTimeoutMs,
}: {
  readonly pushes: boolean;
  readonly itemsPerRequest?: number | undefined;
  readonly requestTimeoutMs?: number | undefined;
}): ConnectorCapabilities {
  return {
    writes: 'none',
    idempotencyKey: false,
    idempotencyWindowMs: 0,
    lowerBatchSize: 1,
    raiseBatchSize: 1,
    fetchOrdersBatchSize: 1,
    readStockBatchSize: itemsPerRequest,
    zeroAllowed: true,
    perLocation: true,
    pushes,
    applyGraceMs: 0,
    longestApplyMs: 0,
    readLagMs: 0,
    orderIndexLagMs: 0,
    requestTimeoutMs,
  };
}
