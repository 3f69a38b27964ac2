import { readdirSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { documentText, setUp, subscribe } from './shopify-client.ts';
import type { Setup } from './shopify-client.ts';

const NAMES = readdirSync(new URL('../fixtures/shopify/documents/', import.meta.url))
  .map((file) => file.replace('.graphql', ''))
  .filter((name) => name !== 'BulkSnapshotInner');

async function seeded(): Promise<Setup & { variables: Record<string, Record<string, unknown>> }> {
  const context = await setUp({}, {});
  const { shop, client } = context;
  const second = shop.addLocation({ name: 'Warehouse' });
  const item = shop.addItem({ sku: 'ABC-1', quantities: 20 });
  const placed = shop.placeOrder({
    lines: [
      { sku: 'ABC-1', quantity: 2 },
      { sku: null, quantity: 1 },
    ],
  });
  if (placed.kind !== 'accepted') throw new Error('the seed order was refused');
  const line = placed.order.lines[0]?.id ?? '';
  shop.refund(placed.order.id, { lines: [{ lineId: line, quantity: 1, restockType: 'CANCEL' }] });
  // Slow enough to be still running when BulkCancel comes.
  shop.bulk.settings.sliceDelayMs = 60_000;
  const bulk = await client.run('BulkSnapshotRun', { query: documentText('BulkSnapshotInner') });
  const bulkId = bulk.data['bulkOperationRunQuery']?.['bulkOperation']?.['id'];
  const hookId = await subscribe(client, 'ORDERS_CREATE', 'https://example.com/a');
  const oldHookId = await subscribe(client, 'ORDERS_UPDATED', 'https://example.com/a');
  const locationId = [...shop.inventory.locations.keys()][0];
  const place = { inventoryItemId: item.id, locationId, changeFromQuantity: null };
  const side = { locationId, changeFromQuantity: null };
  const header = { reason: 'correction', referenceDocumentUri: 'gid://stockmesh/LedgerEntry/1' };
  const since = "updated_at:>='2020-01-01T00:00:00Z'";
  const variables: Record<string, Record<string, unknown>> = {
    VariantsBySku: { query: 'sku:"ABC-1" OR sku:"ABC-2"' },
    InventoryItemsUpdatedSince: { query: since },
    LocationLevels: { locationId, query: since },
    ItemLevel: { itemId: item.id, locationId },
    ItemLevelsBatch: { ids: [item.id] },
    SetAvailable: {
      idempotencyKey: 'a',
      input: { ...header, name: 'available', quantities: [{ ...place, quantity: 9 }] },
    },
    AdjustAvailable: {
      idempotencyKey: 'b',
      input: { ...header, name: 'available', changes: [{ ...place, delta: -1 }] },
    },
    MoveQuantities: {
      idempotencyKey: 'c',
      input: {
        ...header,
        changes: [
          {
            inventoryItemId: item.id,
            quantity: 1,
            from: { ...side, name: 'available' },
            to: { ...side, name: 'safety_stock', ledgerDocumentUri: 'gid://stockmesh/Hold/1' },
          },
        ],
      },
    },
    ActivateLevel: { itemId: item.id, locationId: second.id, available: 3, idempotencyKey: 'd' },
    TrackItem: { id: item.id, input: { tracked: true } },
    OrdersUpdatedSince: { query: since },
    OrderById: { id: placed.order.id },
    OrderFulfillmentLocations: { id: placed.order.id },
    BulkSnapshotRun: { query: documentText('BulkSnapshotInner') },
    BulkStatus: { id: bulkId },
    BulkCancel: { id: bulkId },
    WebhookCreate: {
      topic: 'INVENTORY_LEVELS_UPDATE',
      sub: { uri: 'https://example.com/b', format: 'JSON' },
    },
    WebhookUpdate: { id: hookId, sub: { uri: 'https://example.com/c' } },
    WebhookDelete: { id: oldHookId },
  };
  return { ...context, variables };
}

let context: Awaited<ReturnType<typeof seeded>>;

beforeAll(async () => {
  context = await seeded();
  return () => context.sandbox.stop();
});

test.each(NAMES)('%s runs without an error, a violation or too high a cost', async (name) => {
  const result = await context.client.run(name, context.variables[name] ?? {});
  expect(result.errors).toBeUndefined();
  expect(result.status).toBe(200);
  for (const payload of Object.values(result.data))
    if (payload?.['userErrors']) expect(payload['userErrors']).toEqual([]);
  expect(context.sandbox.violations()).toEqual([]);
  expect(result.extensions['cost']?.['actualQueryCost']).toBeLessThanOrEqual(
    Number(result.extensions['cost']?.['requestedQueryCost']),
  );
});

test('a field outside the emulated part of the schema is an error, not a null', async () => {
  const { errors } = await context.client.query('{ shop { id billingAddress { city } } }');
  expect(errors?.[0]?.extensions['code']).toBe('NOT_EMULATED');
});
