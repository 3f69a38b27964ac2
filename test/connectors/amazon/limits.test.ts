import nock from 'nock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAmazonConnector } from '../../../src/connectors/amazon/amazon-connector.ts';
import { MemoryLog, MemoryTokens, never, rejection } from '../shopify/parts.ts';
import { MemoryBuckets, refFor } from './parts.ts';

const api = 'https://sellingpartnerapi-eu.amazon.com';
let limiter: MemoryBuckets;

beforeEach(() => {
  limiter = new MemoryBuckets();
  nock.disableNetConnect();
  nock('https://api.amazon.com')
    .post('/auth/o2/token')
    .reply(200, { access_token: 'Atza|one', token_type: 'bearer', expires_in: 3_600 });
});
afterEach(() => {
  nock.cleanAll();
  nock.enableNetConnect();
});

function connector() {
  return createAmazonConnector({
    sellerId: 'A1EXAMPLE',
    marketplaceIds: ['A1PA6795UKMFR9'],
    region: 'eu',
    credentials: { clientId: 'c', clientSecret: 'client-secret', refreshToken: 'Atzr|r' },
    webhookSecrets: [],
    limiter,
    tokens: new MemoryTokens(),
    clock: { nowMs: () => Date.now() },
    log: new MemoryLog(),
  });
}

const empty = { numberOfResults: 0, items: [] };

function answerWith(headers: Record<string, string>): void {
  nock(api)
    .get(/^\/listings\/2021-08-01\/items\/A1EXAMPLE\?/)
    .matchHeader('x-amz-access-token', 'Atza|one')
    .reply(200, empty, headers);
}

const read = () => connector().readStock([refFor('MUG')], never);

test('the budget that Amazon publishes goes with every request, one below the burst', async () => {
  answerWith({});
  await read();
  expect(limiter.taken).toEqual([
    { operation: 'searchListingsItems', budget: { capacity: 4, refillPerS: 5 } },
  ]);
});

test('a rate in the header is learnt when it is news', async () => {
  answerWith({ 'x-amzn-RateLimit-Limit': '2.5' });
  await read();
  expect(limiter.learned).toEqual([{ operation: 'searchListingsItems', budget: { refillPerS: 2.5 } }]);
});

test('a rate far above the published one is learnt too', async () => {
  answerWith({ 'x-amzn-RateLimit-Limit': '100000' });
  await read();
  expect(limiter.learned).toEqual([{ operation: 'searchListingsItems', budget: { refillPerS: 100_000 } }]);
});

test.each(['string', '', 'NaN', '0', '-1', 'Infinity', '1e9', '100001', '5.0'])(
  'the header %j changes nothing',
  async (text) => {
    answerWith({ 'x-amzn-RateLimit-Limit': text });
    await read();
    expect(limiter.learned).toEqual([]);
  },
);

test('the region says the host, and neither signature nor body is sent', async () => {
  const asked = nock(api, { badheaders: ['authorization', 'content-length', 'content-type'] })
    .get(/^\/listings/)
    .reply(200, empty);
  await read();
  expect(asked.isDone()).toBe(true);
});

test('a redirect is not followed: it would carry the token away', async () => {
  const elsewhere = nock('https://elsewhere.example').get('/').reply(200, empty);
  nock(api)
    .get(/^\/listings/)
    .times(4)
    .reply(302, '', { location: 'https://elsewhere.example/' });
  expect((await rejection(read())).code).toBe('CONNECTOR_UNREACHABLE');
  expect(elsewhere.isDone()).toBe(false);
});

test('an answer that is no object is no empty answer', async () => {
  nock(api)
    .get(/^\/listings/)
    .reply(200, { numberOfResults: 0 });
  expect((await rejection(read())).code).toBe('CONNECTOR_ANSWER_INVALID');
});

test.each([
  [{ sellerId: 'a/b' }, 'sellerId'],
  [{ marketplaceIds: [] }, 'marketplaceIds'],
  [{ queueArn: 'arn:aws:sqs:us-east-1:1:orders.fifo' }, 'standard queue'],
  [{ queueArn: 'https://sqs' }, 'queueArn'],
  [{ webhookHeader: 'x-secret' }, 'webhookHeader'],
  [{ baseUrl: 'ftp://a' }, 'baseUrl'],
  [{ authUrl: 'https://user:pw@a' }, 'authUrl'],
])('options that cannot work are refused: %j', (wrong, named) => {
  expect(() =>
    createAmazonConnector({
      sellerId: 'A1EXAMPLE',
      marketplaceIds: ['A1PA6795UKMFR9'],
      region: 'eu',
      credentials: { clientId: 'c', clientSecret: 's', refreshToken: 'r' },
      webhookSecrets: [],
      limiter,
      tokens: new MemoryTokens(),
      clock: { nowMs: () => 0 },
      log: new MemoryLog(),
      ...wrong,
    }),
  ).toThrow(named);
});

describe('a walk over the catalogue', () => {
  const asked = (): number =>
    limiter.taken.filter(({ operation }) => operation === 'searchListingsItems').length;

  /** Answers of one search after the other; a number is a status without a body. */
  function answers(...all: readonly (number | 'page' | 'last')[]): void {
    let sku = 0;
    for (const one of all) {
      const search = nock(api).get(/^\/listings\/2021-08-01\/items\/A1EXAMPLE\?/);
      if (typeof one === 'number') search.reply(one, { errors: [{ code: 'QuotaExceeded' }] });
      else {
        const fulfillmentAvailability = [{ fulfillmentChannelCode: 'DEFAULT', quantity: 1 }];
        const items = [{ sku: `S-${++sku}`, summaries: [], fulfillmentAvailability }];
        const pagination = one === 'page' ? { nextToken: `token-${sku}` } : {};
        search.reply(200, { numberOfResults: 3, items, pagination });
      }
    }
  }

  test('asks for the budget of its next search while one is under way: one more than it needs', async () => {
    answers('page', 'page', 'last');
    const pages = connector().readListings(null, never)[Symbol.asyncIterator]();
    await pages.next();
    // The first page may be the only one.
    expect(asked()).toBe(1);
    await pages.next();
    expect(asked()).toBe(3);
    while ((await pages.next()).done !== true);
    expect(asked()).toBe(4);
  });

  test('uses no budget from before a refusal', async () => {
    answers('page', 429, 'page', 'last');
    let listings = 0;
    for await (const page of connector().readListings(null, never)) listings += page.listings.length;
    expect(listings).toBe(3);
    // 1, then 2 and one ahead of it that the refusal spoils, 2 again with one ahead for 3, 3 and one ahead.
    expect(asked()).toBe(6);
  });

  test('waits for its turn, or is told, where none came ahead', async () => {
    answers('page', 'page', 'last');
    const pages = connector().readListings(null, never)[Symbol.asyncIterator]();
    await pages.next();
    await pages.next();
    // Asked for before there was none left.
    limiter.empty.add('searchListingsItems');
    await pages.next();
    expect(nock.pendingMocks()).toEqual([]);
    answers('last');
    const later = connector().readListings(null, never)[Symbol.asyncIterator]();
    await expect(later.next()).rejects.toMatchObject({ code: 'CONNECTOR_LIMIT_WAIT' });
  });
});
