import type { HttpConnection, ShipBobConnection } from './options.ts';

/** https://developer.shipbob.com, API 2026-01. No webhook tells of stock: polls do, and shipments and returns are hints. */
const usualBaseUrl = 'https://api.shipbob.com/2026-01';

/** The published pages have up to 250 rows; whether more are given is not documented. */
const defaultPageSize = 250;
const lookupBatchSize = 50;

export const shipBobTopics = [
  'order.shipped',
  'order.shipment.exception',
  'order.shipment.cancelled',
  'return.completed',
] as const;

export function shipBobSource(connection: ShipBobConnection, baseUrl: string = usualBaseUrl): HttpConnection {
  const { pageSize = defaultPageSize } = connection;
  const reading = {
    rows: 'items[*]',
    each: 'locations[*]',
    map: {
      sku: 'sku',
      itemId: 'inventory_id',
      location: '@.location_id',
      onHand: '@.on_hand_quantity',
      units: { negative: 'clamp' },
    },
  } as const;
  const path = '/inventory-level/locations';
  const hint = {
    kind: 'hint',
    itemIds: [
      'shipments[*].products[*].inventory_items[*].id',
      'products[*].inventory_items[*].id',
      'inventory[*].id',
    ],
  } as const;
  return {
    kind: 'http',
    baseUrl,
    auth: { kind: 'bearer', token: connection.accessToken },
    limits: { kind: 'sliding-window', requests: 150, windowMs: 60_000 },
    throttling: [{ status: 429, waitHeader: 'x-retry-after', waitUnit: 's' }],
    snapshot: {
      request: { method: 'GET', path, query: { PageSize: '{{size}}', IsActive: 'true' } },
      paging: { kind: 'next-url', size: pageSize, path: 'next' },
      ...reading,
    },
    lookup: {
      request: { method: 'GET', path, query: { InventoryIds: '{{items}}', PageSize: '{{size}}' } },
      paging: { kind: 'next-url', size: lookupBatchSize, path: 'next' },
      ...reading,
      batchSize: lookupBatchSize,
    },
    webhook: {
      signature: { kind: 'standard-webhooks' },
      topic: { header: 'x-webhook-topic' },
      deliveryId: { header: 'webhook-id' },
      topics: {
        ...Object.fromEntries(shipBobTopics.map((topic) => [topic, hint])),
        // In the guide, not in the API's list of topics.
        'wro.completed': hint,
      },
    },
    guards: connection.guards,
  };
}
