import { expect, test } from 'vitest';
import { ManualClock } from '../../sandbox/shopify/clock.ts';
import { codesOf, documentText, receiveWebhooks, setUp, subscribe, textOf } from './shopify-client.ts';
import type { Json, Setup, ShopClient } from './shopify-client.ts';

const INNER = documentText('BulkSnapshotInner');

async function start(client: ShopClient, query = INNER): Promise<Json> {
  const { data } = await client.run('BulkSnapshotRun', { query });
  return data['bulkOperationRunQuery'] ?? {};
}

async function finished(setup: Setup, id: unknown): Promise<Json> {
  for (;;) {
    const { data } = await setup.client.run('BulkStatus', { id });
    const operation = data['bulkOperation'] ?? {};
    if (!/CREATED|RUNNING|CANCELING/.test(textOf(operation['status']))) return operation;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function rowsAt(url: unknown): Promise<Record<string, unknown>[]> {
  const text = await (await fetch(String(url))).text();
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test.each([
  ['{ shop { id } }', 'Bulk queries must contain at least one connection.'],
  ['', 'Invalid bulk query: syntax error, unexpected end of file'],
  [
    'mutation { bulkOperationCancel(id: "gid://shopify/BulkOperation/1") { userErrors { message } } }',
    'Invalid operation type. Only `query` operations are supported.',
  ],
  [
    '{ products { nodes { id } } }',
    "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: 'products { edges { node {'. Selecting via 'nodes' is not supported. Invalid connection fields: 'products'.",
  ],
  [
    '{ inventoryItems { edges { node { sku inventoryLevels { edges { node { id } } } } } } }',
    "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be of 'ID' return type. Connection fields without 'id': inventoryItems.",
  ],
  [
    '{ orders { edges { node { id refunds { refundLineItems { edges { node { id } } } } } } } }',
    'Queries that contain a connection field within a list field are not currently supported.',
  ],
])('the bulk query %s is refused as recorded', async (query, message) => {
  await using setup = await setUp();
  expect((await start(setup.client, query))['userErrors']).toEqual([
    { code: 'INVALID', field: ['query'], message },
  ]);
});

test('the sixth running operation is refused and names the other five', async () => {
  await using setup = await setUp();
  setup.shop.bulk.settings.sliceDelayMs = 60_000;
  const ids: unknown[] = [];
  for (let run = 0; run < 5; run += 1) ids.push((await start(setup.client))['bulkOperation']?.['id']);
  const sixth = await start(setup.client);
  expect(codesOf(sixth)).toEqual(['OPERATION_IN_PROGRESS']);
  expect(JSON.stringify(sixth)).toContain(ids.join(', '));
});

test('the result has every item and level, children pointing at their parent', async () => {
  await using setup = await setUp();
  await using receiver = await receiveWebhooks();
  await subscribe(setup.client, 'BULK_OPERATIONS_FINISH', receiver.url);
  setup.shop.bulk.settings.sliceDelayMs = 1;
  setup.shop.bulk.settings.rowsPerSlice = 10;
  for (let index = 0; index < 35; index += 1) setup.shop.addItem({ sku: `s${index}`, quantities: index });
  const started = await start(setup.client);
  expect(started['bulkOperation']).toMatchObject({ status: 'CREATED', type: 'QUERY' });
  const operation = await finished(setup, started['bulkOperation']?.['id']);
  expect(operation).toMatchObject({ status: 'COMPLETED', objectCount: '70', rootObjectCount: '35' });
  const rows = await rowsAt(operation['url']);
  const items = rows.filter((row) => row['__typename'] === 'InventoryItem');
  const levels = rows.filter((row) => row['__typename'] === 'InventoryLevel');
  expect([items.length, levels.length]).toEqual([35, 35]);
  const ids = new Set(items.map((row) => row['id']));
  expect(levels.every((row) => ids.has(row['__parentId']))).toBe(true);
  await setup.sandbox.webhooksIdle();
  expect(receiver.received[0]?.body).toMatchObject({
    admin_graphql_api_id: started['bulkOperation']?.['id'],
    status: 'completed',
    error_code: null,
  });
});

test('quantities move while the result is read: its rows are of different moments', async () => {
  const clock = new ManualClock();
  await using setup = await setUp({}, { clock });
  setup.shop.bulk.settings.sliceDelayMs = 30;
  setup.shop.bulk.settings.rowsPerSlice = 1;
  for (const sku of ['first', 'last']) setup.shop.addItem({ sku, quantities: 10 });
  const { bulkOperation } = await start(setup.client);
  clock.advance(30);
  expect(setup.shop.bulk.get(textOf(bulkOperation?.['id']))?.rootObjectCount).toBe(1);
  for (const sku of ['first', 'last']) setup.shop.editStock(sku, 3);
  // The third slice is empty: it ends the result.
  clock.advance(60);
  const operation = await finished(setup, bulkOperation?.['id']);
  const rows = await rowsAt(operation['url']);
  const available = rows
    .filter((row) => row['__typename'] === 'InventoryLevel')
    .map((row) => (row['quantities'] as { quantity: number }[])[0]?.quantity);
  expect(available).toEqual([10, 3]);
});

test('a failed operation has its error, a partial result and no url', async () => {
  await using setup = await setUp();
  Object.assign(setup.shop.bulk.settings, {
    sliceDelayMs: 1,
    rowsPerSlice: 1,
    failNext: { afterSlices: 1, errorCode: 'TIMEOUT' },
  });
  for (const sku of ['a', 'b', 'c']) setup.shop.addItem({ sku, quantities: 1 });
  const { bulkOperation } = await start(setup.client);
  const operation = await finished(setup, bulkOperation?.['id']);
  expect(operation).toMatchObject({ status: 'FAILED', errorCode: 'TIMEOUT', url: null });
  expect(await rowsAt(operation['partialDataUrl'])).toHaveLength(2);
});

test('an empty result has no url and a cancelled operation ends cancelled', async () => {
  const clock = new ManualClock();
  await using setup = await setUp({}, { clock });
  setup.shop.bulk.settings.sliceDelayMs = 20;
  const empty = await start(setup.client, '{ orders { edges { node { id } } } }');
  clock.advance(20);
  expect(await finished(setup, empty['bulkOperation']?.['id'])).toMatchObject({
    status: 'COMPLETED',
    url: null,
  });
  const cancelled = await start(setup.client);
  const id = cancelled['bulkOperation']?.['id'];
  const { data } = await setup.client.run('BulkCancel', { id });
  expect(data['bulkOperationCancel']?.['bulkOperation']).toMatchObject({ status: 'CANCELING' });
  clock.advance(20);
  expect(await finished(setup, id)).toMatchObject({ status: 'CANCELED', url: null });
});
