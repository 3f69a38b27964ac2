import { afterEach, beforeEach, expect, test } from 'vitest';
import { orderChangePayload } from '../../../sandbox/amazon/order-json.ts';
import { OPERATIONS } from '../../../sandbox/amazon/operations.ts';
import { everything, never } from '../shopify/parts.ts';
import { fixture, newAjv, problemsOf } from './models.ts';
import { type Rig, marketplaceId, putOf, refFor, rigFor, sellerId, walkOf } from './parts.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await rigFor();
});
afterEach(() => rig.close());

test('the judge knows a wrong request from a right one', () => {
  const right = {
    at: 0,
    operation: 'searchListingsItems',
    method: 'GET',
    template: '/listings/2021-08-01/items/{sellerId}',
    path: { sellerId },
    query: { marketplaceIds: marketplaceId, identifiersType: 'SKU', identifiers: 'A,B' },
    requestBody: undefined,
    status: 200,
    responseBody: { numberOfResults: 0, items: [] },
  };
  expect(problemsOf(right)).toEqual([]);
  const identifiers = Array.from({ length: 21 }, (_sku, index) => `S${index}`).join(',');
  expect(problemsOf({ ...right, query: { ...right.query, identifiers } })).not.toEqual([]);
  expect(problemsOf({ ...right, query: { ...right.query, identifiersType: 'sku' } })).not.toEqual([]);
  expect(problemsOf({ ...right, query: { ...right.query, colour: 'red' } })).not.toEqual([]);
  expect(problemsOf({ ...right, query: {} })).not.toEqual([]);
  expect(problemsOf({ ...right, requestBody: {} })).not.toEqual([]);
  expect(problemsOf({ ...right, responseBody: { items: [] } })).not.toEqual([]);
});

test('every request of the connector and every answer of the sandbox is as the official models say', async () => {
  const { connector, seller, sandbox, modelProblems } = rig;
  for (const sku of ['MUG-1', 'a b/c%é', '巨大']) seller.addListing({ sku, quantity: 9, leadTimeDays: 3 });
  seller.addListing({ sku: 'with,comma', quantity: 4 });
  for (let index = 0; index < 60; index++)
    seller.addListing({ sku: `FBA-${index}`, channelCode: 'AMAZON_NA', quantity: index });

  await connector.checkAccess(never);
  await connector.subscribe({ callbackUrl: '' }, never);
  await connector.checkSubscriptions({ callbackUrl: '' }, never);
  seller.notifications.subscriptions.set('ORDER_CHANGE', {
    subscriptionId: 'old',
    type: 'ORDER_CHANGE',
    payloadVersion: '1.0',
    destinationId: 'elsewhere',
  });
  await connector.subscribe({ callbackUrl: '' }, never);

  const listings = (await everything(connector.readListings(null, never))).flatMap((page) => page.listings);
  const refs = listings.map((listing) => listing.ref);
  await connector.readStock([...refs, refFor('nobody-knows')], never);
  for (const sku of ['MUG-1', 'a b/c%é', '巨大']) await connector.write(putOf(sku, 5), never);
  seller.settings.maxPagedSkus = 1_000;
  for (let index = 0; index < 1_001; index++) seller.addListing({ sku: `MANY-${index}`, quantity: 1 });
  for await (const page of connector.readListings(null, never)) if (page.listings.length > 0) break;

  const placed = seller.orders.place({ lines: [{ sku: 'MUG-1', quantity: 2 }] });
  if (placed.kind !== 'accepted') throw new Error('sold out');
  const { orderId } = placed.order;
  seller.orders.place({ lines: [{ sku: 'FBA-1', quantity: 1 }], fulfilledBy: 'AMAZON' });
  seller.orders.confirm(orderId);
  seller.orders.requestCancel(orderId);
  seller.orders.cancel(orderId, 'MERCHANT');
  seller.settings.ordersPerPage = 1;
  await walkOf(connector);
  await connector.fetchOrders([orderId, '902-0000000-0000000'], never);

  const rows = [{ ref: refFor('MUG-1'), to: 3 }];
  const submitted = await connector.bulk.submit(rows, never);
  if (submitted.kind !== 'submitted') throw new Error(JSON.stringify(submitted));
  let progress = await connector.bulk.check(submitted.bulkId, rows, never);
  while (progress.kind === 'running') progress = await connector.bulk.check(submitted.bulkId, rows, never);

  expect(modelProblems).toEqual([]);
  expect(sandbox.violations()).toEqual([]);
  const asked = new Set(sandbox.records.exchanges.all().map((exchange) => exchange.operation));
  expect(OPERATIONS.map(({ name }) => name).filter((name) => !asked.has(name))).toEqual([]);
});

test('the feed is as the official schema says, and so is the sandbox report', async () => {
  const { connector, seller } = rig;
  seller.addListing({ sku: 'GOOD', quantity: 1 });
  seller.addListing({ sku: 'GONE', quantity: 1 });
  await connector.readStock([refFor('GOOD'), refFor('GONE')], never);
  seller.listings.listings.delete('GONE');
  const submitted = await connector.bulk.submit(
    [
      { ref: refFor('GOOD'), to: 7 },
      { ref: refFor('GONE'), to: 8 },
    ],
    never,
  );
  if (submitted.kind !== 'submitted') throw new Error(JSON.stringify(submitted));
  const feed = seller.feeds.feeds.get(submitted.bulkId);
  const sent = JSON.parse(String(seller.documents.get(feed?.inputFeedDocumentId ?? '')?.body)) as unknown;
  const isFeed = newAjv().compile(fixture('schemas/listings-feed-schema-v2') as object);
  expect(isFeed(sent), JSON.stringify(isFeed.errors)).toBe(true);
  await expect.poll(() => feed?.status).toBe('DONE');
  const document = seller.documents.get(feed?.resultFeedDocumentId ?? '');
  const { gunzipSync } = await import('node:zlib');
  const report = JSON.parse(gunzipSync(document?.body ?? Buffer.alloc(0)).toString()) as unknown;
  const isReport = newAjv().compile(fixture('schemas/listings-feed-processing-report-schema-v2') as object);
  expect(isReport(report), JSON.stringify(isReport.errors)).toBe(true);
});

test('the notifications of the sandbox are as the official schemas say', () => {
  const { seller } = rig;
  seller.addListing({ sku: 'MUG-1', quantity: 5 });
  const placed = seller.orders.place({ lines: [{ sku: 'MUG-1', quantity: 2 }] });
  if (placed.kind !== 'accepted') throw new Error('sold out');
  const schema = fixture('schemas/OrderChangeNotification') as {
    properties: { Payload: object };
  };
  const isPayload = newAjv().compile(schema.properties.Payload);
  const payload = orderChangePayload(placed.order, sellerId, marketplaceId, false);
  expect(isPayload(payload), JSON.stringify(isPayload.errors)).toBe(true);
});
