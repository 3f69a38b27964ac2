import { expect, test } from 'vitest';
import { ManualClock } from '../../sandbox/shopify/clock.ts';
import { setUp } from './shopify-client.ts';

const PAGE = '{ productVariants(first: 250) { nodes { id inventoryItem { id } } } }';
/** 2 + 11 x (1 + 1) */
const PAGE_COST = 24;

test('a query above 1,000 points is refused whatever the plan', async () => {
  await using setup = await setUp({ plan: 'enterprise', rateLimit: true });
  const inner = 'lineItems(first: 250) { nodes { id variant { id inventoryItem { id } } } }';
  const { raw } = await setup.client.query(
    `{ a: orders(first: 250) { nodes { id ${inner} ${inner.replace('lineItems', 'more: lineItems')} fulfillmentOrders(first: 250) { nodes { id lineItems(first: 50) { nodes { id } } } } } } }`,
  );
  expect(raw).toMatchObject({ errors: [{ extensions: { code: 'MAX_COST_EXCEEDED', maxCost: 1000 } }] });
  expect(raw).not.toHaveProperty('data');
  expect(setup.sandbox.violations().map((violation) => violation.kind)).toEqual(['over-limit-cost']);
});

test('an empty bucket answers THROTTLED with status 200 and refills at the restore rate', async () => {
  const clock = new ManualClock();
  await using setup = await setUp({ rateLimit: true }, { clock });
  setup.shop.addItem({ sku: 'a', quantities: 1 });
  setup.shop.bucket.drain();
  const refused = await setup.client.query(PAGE);
  expect(refused).toMatchObject({
    status: 200,
    errors: [{ message: 'Throttled', extensions: { code: 'THROTTLED' } }],
  });
  expect(refused.extensions['cost']).toEqual({
    requestedQueryCost: PAGE_COST,
    actualQueryCost: null,
    throttleStatus: { maximumAvailable: 2000, currentlyAvailable: 0, restoreRate: 100 },
  });
  clock.advance((PAGE_COST / 100) * 1000 - 10);
  expect((await setup.client.query(PAGE)).errors).toBeDefined();
  clock.advance(10);
  expect((await setup.client.query(PAGE)).errors).toBeUndefined();
});

test('the difference between requested and actual cost comes back', async () => {
  const clock = new ManualClock();
  await using setup = await setUp({ rateLimit: true }, { clock });
  setup.shop.addItem({ sku: 'a', quantities: 1 });
  const { extensions } = await setup.client.query(PAGE);
  expect(extensions['cost']).toEqual({
    requestedQueryCost: PAGE_COST,
    actualQueryCost: 4,
    throttleStatus: { maximumAvailable: 2000, currentlyAvailable: 1996, restoreRate: 100 },
  });
});

test.each([
  ['query { orders(first: 10) { nodes { id } } }', {}],
  ['query Q($first: Int) { orders(first: $first) { nodes { id } } }', { first: 10 }],
  ['query Q($first: Int = 10) { orders(first: $first) { nodes { id } } }', {}],
  ['query { orders(first: 10) { edges { node { ...f } } } } fragment f on Order { id }', {}],
])('the page size decides the cost however it is given: %s', async (query, variables) => {
  await using setup = await setUp();
  const { extensions } = await setup.client.query(query, variables);
  expect(extensions['cost']?.['requestedQueryCost']).toBe(6);
});

test('a client that keeps calling while throttled is reported, one that waits is not', async () => {
  const clock = new ManualClock();
  await using setup = await setUp({ rateLimit: true }, { clock });
  setup.shop.bucket.drain();
  for (let call = 0; call < 6; call += 1) {
    await setup.client.query(PAGE);
    setup.shop.bucket.drain();
    clock.advance(PAGE_COST * 10);
  }
  expect(setup.sandbox.violations()).toEqual([]);
  setup.shop.bucket.drain();
  for (let call = 0; call < 7; call += 1) await setup.client.query(PAGE);
  expect(setup.sandbox.violations().map((violation) => violation.kind)).toEqual(['ignored-throttle']);
});

test.each([
  ['advanced', 4_000, 200],
  ['plus', 20_000, 1_000],
] as const)('plan %s has a bucket of %i', async (plan, maximumAvailable, restoreRate) => {
  await using setup = await setUp({ plan, rateLimit: true });
  const { extensions } = await setup.client.query('{ shop { id } }');
  expect(extensions['cost']?.['throttleStatus']).toMatchObject({ maximumAvailable, restoreRate });
});
