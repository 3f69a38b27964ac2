import nock from 'nock';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAmazonConnector } from '../../../src/connectors/amazon/amazon-connector.ts';
import type { AmazonConnectorOptions } from '../../../src/connectors/amazon/options.ts';
import { MemoryLog, MemoryTokens, never, rejection } from '../shopify/parts.ts';
import { MemoryBuckets, marketplaceId, orderIdsOf, refFor, sellerId, walkOf } from './parts.ts';

/** Answers that Amazon's models allow and our emulator never gives. */
const api = 'https://sellingpartnerapi-na.amazon.com';
const auth = 'https://api.amazon.com';

let issued = 0;
beforeEach(() => {
  issued = 0;
  nock.disableNetConnect();
  nock(auth)
    .persist()
    .post('/auth/o2/token')
    .reply(() => [200, { access_token: `Atza|${++issued}`, token_type: 'bearer', expires_in: 3_600 }]);
});
afterEach(() => {
  nock.cleanAll();
  nock.enableNetConnect();
});

function connector(more: Partial<AmazonConnectorOptions> = {}) {
  return createAmazonConnector({
    sellerId,
    marketplaceIds: [marketplaceId],
    region: 'na',
    credentials: { clientId: 'c', clientSecret: 's', refreshToken: 'Atzr|r' },
    webhookSecrets: [],
    limiter: new MemoryBuckets(),
    tokens: new MemoryTokens(),
    clock: { nowMs: () => Date.now() },
    log: new MemoryLog(),
    ...more,
  });
}

test('a refusal that leaves out its details may be an old token: a new one tells', async () => {
  const refused = { errors: [{ code: 'Unauthorized', message: 'Access to requested resource is denied.' }] };
  const used: (string | null)[] = [];
  nock(api)
    .persist()
    .get(/^\/listings\//)
    .reply((request: Request) => {
      const token = request.headers.get('x-amz-access-token');
      used.push(token);
      const item = {
        sku: 'MUG-1',
        fulfillmentAvailability: [{ fulfillmentChannelCode: 'DEFAULT', quantity: 5 }],
      };
      return token === 'Atza|1' ? [403, refused] : [200, { numberOfResults: 1, items: [item] }];
    });
  const read = await connector().readStock([refFor('MUG-1')], never);
  expect(read.rows).toMatchObject([{ value: 5, isActive: true }]);
  expect(used).toEqual(['Atza|1', 'Atza|2']);
});

test("a search for the seller's orders finds one that does not repeat who fulfils it", async () => {
  const createdTime = new Date(Date.now() - 600_000).toISOString();
  const order = {
    orderId: '902-1-1',
    createdTime,
    lastUpdatedTime: createdTime,
    salesChannel: { channelName: 'AMAZON' },
    fulfillment: { fulfillmentStatus: 'PENDING' },
    orderItems: [{ orderItemId: '1', quantityOrdered: 2, product: { sellerSku: 'MUG-1' } }],
  };
  const asked: URLSearchParams[] = [];
  nock(api)
    .persist()
    .get(/^\/orders\//)
    .reply((request: Request) => {
      asked.push(new URL(request.url).searchParams);
      return [200, { orders: [order] }];
    });
  const pages = await walkOf(connector());
  expect(pages.flatMap(({ parked }) => parked)).toEqual([]);
  expect(orderIdsOf(pages)).toEqual(['902-1-1']);
  expect(pages[0]?.orders[0]?.lines[0]?.counters).toMatchObject({ ordered: 2, takenOut: 2 });
  expect(asked.every((query) => query.get('fulfilledBy') === 'MERCHANT')).toBe(true);
});

test('the first search of a new channel begins before the two minutes that Amazon keeps back', async () => {
  const asked: URLSearchParams[] = [];
  nock(api)
    .persist()
    .get(/^\/orders\//)
    .reply((request: Request) => {
      asked.push(new URL(request.url).searchParams);
      return [200, { orders: [] }];
    });
  await walkOf(connector(), null, { sinceMs: Date.now() });
  const starts = asked.map((query) => query.get('lastUpdatedAfter') ?? query.get('createdAfter') ?? '');
  expect(starts).toHaveLength(2);
  for (const start of starts) expect(Date.parse(start)).toBeLessThanOrEqual(Date.now() - 120_000);
});

function listingsAnswer(answer: (skus: readonly string[]) => [number, object]): { count: number } {
  const asked = { count: 0 };
  nock(api)
    .persist()
    .get(/^\/listings\//)
    .reply((request: Request) => {
      asked.count++;
      return answer((new URL(request.url).searchParams.get('identifiers') ?? '').split(','));
    });
  return asked;
}
const refs = Array.from({ length: 20 }, (_ref, index) => refFor(`MUG-${index + 1}`));
const invalid: [number, object] = [
  400,
  { errors: [{ code: 'InvalidInput', message: 'no such identifier' }] },
];

test('one SKU that a search refuses is parked, the others of its request are read', async () => {
  listingsAnswer((skus) => {
    if (skus.includes('MUG-7')) return invalid;
    const items = skus.map((sku) => ({
      sku,
      fulfillmentAvailability: [{ fulfillmentChannelCode: 'DEFAULT', quantity: 5 }],
    }));
    // An empty token leads nowhere.
    return [200, { numberOfResults: items.length, pagination: { nextToken: '' }, items }];
  });
  const read = await connector().readStock(refs, never);
  expect(read.rows).toHaveLength(19);
  expect(read.missing).toEqual([]);
  expect(read.parked).toMatchObject([{ what: 'stock', reference: 'MUG-7@DEFAULT' }]);
});

test('a search that refuses every SKU is no answer', async () => {
  const asked = listingsAnswer(() => invalid);
  expect((await rejection(connector().readStock(refs, never))).code).toBe('CONNECTOR_REQUEST_REFUSED');
  expect(asked.count).toBeLessThan(40);
});

test('finished feeds are subscribed to by the payload version that Amazon takes', async () => {
  const queueArn = 'arn:aws:sqs:us-east-1:123456789012:q';
  const destination = { destinationId: 'd1', name: 'q', resource: { sqs: { arn: queueArn } } };
  const taken: string[] = [];
  nock(api)
    .persist()
    .get('/notifications/v1/destinations')
    .reply(200, { payload: [destination] });
  nock(api)
    .persist()
    .get(/^\/notifications\/v1\/subscriptions\//)
    .reply(404, { errors: [{ code: 'NotFound', message: 'none' }] });
  nock(api)
    .persist()
    .post(/^\/notifications\/v1\/subscriptions\//)
    .reply(async (request: Request) => {
      const type = request.url.split('/').at(-1) ?? '';
      const { payloadVersion } = (await request.json()) as { payloadVersion: string };
      if (type === 'FEED_PROCESSING_FINISHED' && payloadVersion === '1.0') return invalid;
      taken.push(`${type} ${payloadVersion}`);
      return [200, { payload: { subscriptionId: 's', destinationId: 'd1', payloadVersion } }];
    });
  const report = await connector({ queueArn, readFba: false }).subscribe({ callbackUrl: '' }, never);
  expect(report.missing).toEqual([]);
  expect(taken).toEqual(['ORDER_CHANGE 1.0', 'FEED_PROCESSING_FINISHED 2020-09-04']);
});
