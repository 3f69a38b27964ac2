import { expect, test } from 'vitest';
import { ManualClock } from '../../sandbox/shopify/clock.ts';
import { fieldOfNodes, setUp } from './shopify-client.ts';
import type { GraphqlResult, ShopClient } from './shopify-client.ts';

const VARIANTS = `query V($query: String, $first: Int = 50, $after: String) {
  productVariants(first: $first, after: $after, query: $query) { nodes { sku } pageInfo { hasNextPage endCursor } }
}`;

const skusOf = (result: GraphqlResult): unknown[] => fieldOfNodes(result.data['productVariants'], 'sku');

async function find(client: ShopClient, query: string): Promise<unknown[]> {
  return skusOf(await client.query(VARIANTS, { query }));
}

test('an unknown field matches everything, warns in the extensions and is a violation', async () => {
  await using setup = await setUp();
  for (const sku of ['a', 'b']) setup.shop.addItem({ sku, quantities: 1 });
  const result = await setup.client.query(VARIANTS, { query: 'location_ids:5' });
  expect(skusOf(result)).toEqual(['a', 'b']);
  expect(result.extensions['search']).toEqual([
    {
      path: ['productVariants'],
      query: 'location_ids:5',
      parsed: { field: 'location_ids', match_all: '5' },
      warnings: [
        { field: 'location_ids', message: 'Invalid search field for this query.', code: 'invalid_field' },
      ],
    },
  ]);
  expect(setup.sandbox.violations().map((violation) => violation.kind)).toEqual(['unknown-search-field']);
});

test('a timestamp that is none is an error', async () => {
  await using setup = await setUp();
  const { raw } = await setup.client.query(
    `{ orders(first: 1, query: "updated_at:>=yesterday") { nodes { id } } }`,
  );
  expect(raw).toMatchObject({
    data: null,
    errors: [
      { message: 'Invalid timestamp for query filter `updated_at`.', extensions: { code: 'BAD_REQUEST' } },
    ],
  });
});

test.each([
  ['{ orders { nodes { id } } }', 'you must provide one of first or last'],
  ['{ orders(first: 1, last: 1) { nodes { id } } }', 'providing both first and last is not supported'],
  ['{ orders(first: 1, after: "zzz") { nodes { id } } }', 'Invalid cursor for current pagination sort.'],
])('%s is refused', async (query, message) => {
  await using setup = await setUp();
  const { errors } = await setup.client.query(query);
  expect(errors?.[0]).toMatchObject({ message, extensions: { code: 'BAD_REQUEST' } });
});

test('a SKU search is full text: the client has to compare exactly', async () => {
  await using setup = await setUp();
  for (const sku of ['ABC-1', 'abc-1', 'ABC-1-XL', 'ABC-10', 'X "q" Y', 'a:b', '__proto__'])
    setup.shop.addItem({ sku, quantities: 1 });
  expect(await find(setup.client, 'sku:"ABC-1"')).toEqual(['ABC-1', 'abc-1', 'ABC-1-XL']);
  expect(await find(setup.client, 'sku:"X \\"q\\" Y"')).toEqual(['X "q" Y']);
  expect(await find(setup.client, 'sku:ABC-10 OR sku:"a:b"')).toEqual(['ABC-10', 'a:b']);
  expect(await find(setup.client, 'sku:"__proto__"')).toEqual(['__proto__']);
  expect(await find(setup.client, 'sku:ABC* AND NOT (sku:ABC-10 OR sku:XL)')).toEqual(['ABC-1', 'abc-1']);
});

test('pages follow one another without gap or repeat', async () => {
  await using setup = await setUp();
  const skus = Array.from({ length: 23 }, (_, index) => `s${index}`);
  for (const sku of skus) setup.shop.addItem({ sku, quantities: 1 });
  const seen: unknown[] = [];
  let after: unknown = null;
  for (let page = 0; page < 5; page += 1) {
    const result = await setup.client.query(VARIANTS, { first: 5, after });
    seen.push(...skusOf(result));
    after = result.data['productVariants']?.['pageInfo']?.['endCursor'];
  }
  expect(seen).toEqual(skus);
});

const ORDERS = `query O($query: String, $after: String) {
  orders(first: 1, after: $after, query: $query, sortKey: UPDATED_AT) { nodes { name } pageInfo { endCursor } }
}`;
const ordersOf = (result: GraphqlResult): unknown[] => fieldOfNodes(result.data['orders'], 'name');

test('an order that changes between two pages is seen again at the end', async () => {
  const clock = new ManualClock();
  await using setup = await setUp({}, { clock });
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  for (let order = 0; order < 2; order += 1) {
    setup.shop.placeOrder({ lines: [{ sku: 'a', quantity: 1 }] });
    clock.advance(2_000);
  }
  const first = await setup.client.query(ORDERS);
  expect(ordersOf(first)).toEqual(['#1001']);
  setup.shop.fulfil('#1001');
  let after = first.data['orders']?.['pageInfo']?.['endCursor'];
  const second = await setup.client.query(ORDERS, { after });
  after = second.data['orders']?.['pageInfo']?.['endCursor'];
  const third = await setup.client.query(ORDERS, { after });
  expect([ordersOf(second), ordersOf(third)]).toEqual([['#1002'], ['#1001']]);
});

test('the order index lags: a search misses what a read by id shows', async () => {
  const clock = new ManualClock(Date.UTC(2026, 10, 21));
  await using setup = await setUp({}, { clock });
  setup.shop.settings.searchLagMs = { min: 3_000, max: 3_000 };
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  const placed = setup.shop.placeOrder({ lines: [{ sku: 'a', quantity: 1 }] });
  if (placed.kind !== 'accepted') throw new Error('refused');
  const query = "updated_at:>='2026-11-21T00:00:00Z'";
  expect(ordersOf(await setup.client.query(ORDERS, { query }))).toEqual([]);
  const byId = await setup.client.run('OrderById', { id: placed.order.id });
  expect(byId.data['order']?.['name']).toBe('#1001');
  clock.advance(3_000);
  expect(ordersOf(await setup.client.query(ORDERS, { query }))).toEqual(['#1001']);
});

test('nothing beyond 25,000 objects is paged through', async () => {
  await using setup = await setUp();
  for (let index = 0; index < 25_001; index += 1) setup.shop.addItem({ sku: `s${index}`, quantities: 0 });
  const last = setup.shop.item('s24999');
  const after = Buffer.from(
    JSON.stringify({ last_id: last.variant.number, last_value: last.variant.number }),
  ).toString('base64');
  const { errors } = await setup.client.query(VARIANTS, { after });
  expect(errors?.[0]?.extensions['code']).toBe('BAD_REQUEST');
  const count = await setup.client.query('{ productVariantsCount(limit: 100000) { count precision } }');
  expect(count.data['productVariantsCount']).toEqual({ count: 25_001, precision: 'EXACT' });
});
