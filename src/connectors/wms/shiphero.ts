import type { HttpConnection, Limits, ShipHeroConnection, ShipHeroRates } from './options.ts';

/** https://developer.shiphero.com: GraphQL, paid by credits, webhooks without order or guarantee. */
const usualBaseUrl = 'https://public-api.shiphero.com';

const defaultPageSize = 200;
/** Places one SKU is usually kept at, at most; more take another page. Each costs a credit whether it is there or not. */
const lookupSize = 5;
const overlapMs = 300_000;
/** What every account has; more is agreed with ShipHero per account. */
const published = { creditCapacity: 4_004, creditsPerS: 60, requestsPer5Min: 7_000 } as const;

const node = 'id sku warehouse_id on_hand non_sellable_quantity';
const page = `pageInfo { hasNextPage endCursor } edges { node { ${node} } }`;

const stockQuery = `query Stock($first: Int!, $after: String) {
  warehouse_products { request_id complexity data(first: $first, after: $after) { ${page} } }
}`;
const itemQuery = `query Item($sku: String!, $first: Int!, $after: String) {
  warehouse_products(sku: $sku) { request_id complexity data(first: $first, after: $after) { ${page} } }
}`;
const changesQuery = `query Changes($from: ISODateTime!, $to: ISODateTime!, $first: Int!, $after: String) {
  inventory_changes(date_from: $from, date_to: $to) {
    request_id complexity
    data(first: $first, after: $after) { pageInfo { hasNextPage endCursor } edges { node { id sku } } }
  }
}`;

/** The numbers of webhooks are texts, its ids digits; GraphQL's ids are base64 of `Warehouse:13841`. */
const warehouse = { form: 'relay-id' } as const;

export function shipHeroSource(
  connection: ShipHeroConnection,
  baseUrl: string = usualBaseUrl,
  authUrl: string = baseUrl,
): HttpConnection {
  const { credentials, pageSize = defaultPageSize } = connection;
  const map = {
    sku: 'sku',
    location: { path: 'warehouse_id', ...warehouse },
    // Physical units, less those that stand in locations nothing is sold from.
    onHand: 'on_hand',
    subtract: ['non_sellable_quantity'],
    units: { negative: 'clamp' },
  } as const;
  const request = (query: string, variables: Readonly<Record<string, string>>) =>
    ({ method: 'POST', path: '/graphql', body: { query, variables } }) as const;
  const products = 'data.warehouse_products.data';
  const paged = { first: '{{size}}', after: '{{cursor}}' };
  return {
    kind: 'http',
    baseUrl,
    auth: {
      kind: 'refresh-token',
      tokenUrl: `${authUrl}/auth/refresh`,
      format: 'json',
      ...(credentials.kind === 'refresh-token'
        ? { refreshToken: credentials.refreshToken }
        : { login: { ...credentials, url: `${authUrl}/auth/token` } }),
    },
    limits: limitsOf(connection.rates),
    // Always HTTP 200: running out of credits is error 30, which says how long until there are enough.
    throttling: [
      {
        status: 200,
        path: 'errors[*].code',
        equals: 30,
        waitPath: 'errors[*].time_remaining',
        waitUnit: 's',
      },
    ],
    failurePath: 'errors',
    expiredStatuses: [401, 403],
    snapshot: {
      request: request(stockQuery, paged),
      paging: { kind: 'relay', size: pageSize, pageInfoPath: `${products}.pageInfo` },
      rows: `${products}.edges[*].node`,
      map,
    },
    changes: {
      request: request(changesQuery, { from: '{{since}}', to: '{{until}}', ...paged }),
      paging: { kind: 'relay', size: 100, pageInfoPath: 'data.inventory_changes.data.pageInfo' },
      rows: 'data.inventory_changes.data.edges[*].node',
      increment: { kind: 'since-time', overlapMs, moment: { format: 'iso' } },
      use: { kind: 'hints', itemId: 'sku', seenBy: ['id'] },
    },
    snapshotEveryMs: connection.snapshotEveryMs,
    lookup: {
      request: request(itemQuery, { sku: '{{item}}', ...paged }),
      paging: { kind: 'relay', size: lookupSize, pageInfoPath: `${products}.pageInfo` },
      rows: `${products}.edges[*].node`,
      map,
      batchSize: 1,
    },
    webhook: {
      signature: {
        kind: 'hmac',
        algorithm: 'sha256',
        encoding: 'base64',
        header: 'x-shiphero-hmac-sha256',
        signed: '{body}',
      },
      topic: { path: 'webhook_type', otherwise: 'inventory[0].webhook_type' },
      deliveryId: { header: 'x-shiphero-message-id' },
      topics: {
        'Inventory Update': inventoryUpdate,
        INVENTORY_UPDATE: inventoryUpdate,
        'Inventory Change': { kind: 'hint', itemIds: ['sku'] },
        'Shipment Update': { kind: 'hint', itemIds: ['fulfillment.line_items[*].sku'] },
        'Order Allocated': { kind: 'ignore' },
        'Order Deallocated': { kind: 'ignore' },
        'Order Canceled': { kind: 'ignore' },
      },
      // Anything else counts as a failed delivery, and enough of those switch the webhook off.
      acknowledgement: '{"code":"200","Status":"Success"}',
    },
    guards: connection.guards,
  };
}

function limitsOf(rates: ShipHeroRates = {}): Limits {
  return {
    kind: 'credits',
    capacity: rates.creditCapacity ?? published.creditCapacity,
    refillPerS: rates.creditsPerS ?? published.creditsPerS,
    requests: { requests: rates.requestsPer5Min ?? published.requestsPer5Min, windowMs: 300_000 },
  };
}

/**
 * The top-level numbers are the account's total over all warehouses: only `updated_warehouse` says one place. The present
 * body has no moment, so a late repeat looks like news: such a row is a hint. The older body has one.
 */
const inventoryUpdate = {
  kind: 'counts',
  rows: 'inventory[*]',
  map: {
    sku: 'sku',
    location: { path: 'updated_warehouse.warehouse_id', ...warehouse },
    onHand: 'updated_warehouse.on_hand',
    asOf: { path: 'timestamp', format: 'unix-s' },
    skipWhen: [{ path: 'virtual', equals: true }],
    units: { negative: 'clamp' },
  },
} as const;
