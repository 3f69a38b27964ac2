import { expect, test } from 'vitest';
import type { Order } from '../../sandbox/shopify/model.ts';
import type { PlaceResult } from '../../sandbox/shopify/order-requests.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { setUp } from './shopify-client.ts';

const accepted = (result: PlaceResult): Order => {
  if (result.kind !== 'accepted') throw new Error(JSON.stringify(result));
  return result.order;
};

const quantities = (shop: SandboxShop, sku: string, location?: string) => ({
  available: shop.available(sku, location),
  committed: shop.level(sku, location)?.quantities.committed,
  onHand: shop.onHand(sku, location),
});

test('a storefront order for more than there is takes nothing', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 3 });
  setup.shop.addItem({ sku: 'b', quantities: 9 });
  const lines = [
    { sku: 'b', quantity: 1 },
    { sku: 'a', quantity: 2 },
    { sku: 'a', quantity: 2 },
  ];
  expect(setup.shop.placeOrder({ lines })).toEqual({
    kind: 'refused',
    shortages: [{ sku: 'a', wanted: 4, available: 3 }],
  });
  expect(setup.shop.orders()).toEqual([]);
  expect(setup.shop.available('b')).toBe(9);
});

test.each([
  ['a forced order', { force: true }, 'DENY'],
  ['a point of sale order', { location: 'Shop location' }, 'DENY'],
  ['an item that may be oversold', {}, 'CONTINUE'],
] as const)('%s goes below zero', async (_name, request, policy) => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 1, policy });
  accepted(setup.shop.placeOrder({ ...request, lines: [{ sku: 'a', quantity: 3 }] }));
  expect(quantities(setup.shop, 'a')).toEqual({ available: -2, committed: 3, onHand: 1 });
});

test('an order commits, a fulfilment ships, a return restocks', async () => {
  await using setup = await setUp();
  const { shop } = setup;
  shop.addItem({ sku: 'a', quantities: 10 });
  const order = accepted(shop.placeOrder({ lines: [{ sku: 'a', quantity: 4 }] }));
  expect(quantities(shop, 'a')).toEqual({ available: 6, committed: 4, onHand: 10 });
  shop.fulfil(order.id, { lines: [{ lineId: order.lines[0]?.id ?? '', quantity: 3 }] });
  expect(quantities(shop, 'a')).toEqual({ available: 6, committed: 1, onHand: 7 });
  shop.refund(order.id, {
    lines: [{ lineId: order.lines[0]?.id ?? '', quantity: 2, restockType: 'RETURN' }],
  });
  expect(quantities(shop, 'a')).toEqual({ available: 8, committed: 1, onHand: 9 });
});

test('a cancellation with restock gives back, one without writes off', async () => {
  await using setup = await setUp();
  const { shop } = setup;
  shop.addItem({ sku: 'a', quantities: 10 });
  const first = accepted(shop.placeOrder({ lines: [{ sku: 'a', quantity: 4 }] }));
  shop.cancelOrder(first.id, { restock: true });
  expect(quantities(shop, 'a')).toEqual({ available: 10, committed: 0, onHand: 10 });
  expect(first.refunds[0]?.lines).toMatchObject([{ quantity: 4, restockType: 'CANCEL' }]);
  const second = accepted(shop.placeOrder({ lines: [{ sku: 'a', quantity: 4 }] }));
  shop.cancelOrder(second.id, { restock: false });
  expect(quantities(shop, 'a')).toEqual({ available: 6, committed: 0, onHand: 6 });
  expect(() => shop.cancelOrder(second.id)).toThrow('already cancelled');
});

test('a refund without restock of an unfulfilled line takes the units off the shelf for good', async () => {
  await using setup = await setUp();
  const { shop, client } = setup;
  shop.addItem({ sku: 'a', quantities: 10 });
  const order = accepted(shop.placeOrder({ lines: [{ sku: 'a', quantity: 4 }] }));
  const lineId = order.lines[0]?.id ?? '';
  shop.refund(order.id, { lines: [{ lineId, quantity: 1, restockType: 'NO_RESTOCK' }] });
  expect(quantities(shop, 'a')).toEqual({ available: 6, committed: 3, onHand: 9 });
  const { data } = await client.run('OrderById', { id: order.id });
  expect(data['order']?.['lineItems']?.['nodes']).toMatchObject([
    { quantity: 4, currentQuantity: 3, unfulfilledQuantity: 3 },
  ]);
  expect(data['order']?.['refunds']).toMatchObject([
    {
      refundLineItems: {
        nodes: [{ quantity: 1, restockType: 'NO_RESTOCK', restocked: false, location: null }],
      },
    },
  ]);
});

test('units come from the location that has enough, not from the first one', async () => {
  await using setup = await setUp();
  const { shop, client } = setup;
  shop.addLocation({ name: 'B' });
  shop.addItem({ sku: 'a', quantities: { 'Shop location': 1, B: 5 } });
  const order = accepted(shop.placeOrder({ lines: [{ sku: 'a', quantity: 2 }] }));
  expect([shop.available('a'), shop.available('a', 'B')]).toEqual([1, 3]);
  const { data } = await client.run('OrderFulfillmentLocations', { id: order.id });
  expect(data['order']?.['fulfillmentOrders']?.['nodes']).toMatchObject([
    { status: 'OPEN', assignedLocation: { name: 'B' }, lineItems: { nodes: [{ remainingQuantity: 2 }] } },
  ]);
});

test('a line that fits nowhere is split and its fulfilment order can be moved', async () => {
  await using setup = await setUp();
  const { shop } = setup;
  shop.addLocation({ name: 'B' });
  shop.addItem({ sku: 'a', quantities: { 'Shop location': 1, B: 5 } });
  const order = accepted(shop.placeOrder({ lines: [{ sku: 'a', quantity: 6 }] }));
  expect([shop.available('a'), shop.available('a', 'B')]).toEqual([0, 0]);
  const atB = order.fulfillmentOrders.find((candidate) => candidate.location.name === 'B');
  shop.moveFulfilmentOrder(atB?.id ?? '', 'Shop location');
  expect(quantities(shop, 'a')).toEqual({ available: -5, committed: 6, onHand: 1 });
  expect(quantities(shop, 'a', 'B')).toEqual({ available: 5, committed: 0, onHand: 5 });
});

test('a bundle is sold as its components', async () => {
  await using setup = await setUp();
  const { shop } = setup;
  shop.addItem({ sku: 'cup', quantities: 10 });
  shop.addItem({ sku: 'set', bundle: [{ sku: 'cup', quantity: 4 }] });
  const order = accepted(shop.placeOrder({ lines: [{ sku: 'set', quantity: 2 }] }));
  expect(order.lines).toMatchObject([{ sku: 'cup', quantity: 8 }]);
  expect(shop.available('cup')).toBe(2);
});

test('untracked items and imported orders move nothing', async () => {
  await using setup = await setUp();
  const { shop } = setup;
  shop.addItem({ sku: 'free', quantities: 5, tracked: false });
  shop.addItem({ sku: 'a', quantities: 5 });
  accepted(shop.placeOrder({ lines: [{ sku: 'free', quantity: 50 }] }));
  const imported = accepted(shop.placeOrder({ lines: [{ sku: 'a', quantity: 2 }], inventory: 'bypass' }));
  shop.cancelOrder(imported.id);
  expect([shop.available('free'), shop.available('a')]).toEqual([5, 5]);
});

test('an edit takes and gives back, and keeps the ordered quantity', async () => {
  await using setup = await setUp();
  const { shop } = setup;
  for (const sku of ['a', 'b']) shop.addItem({ sku, quantities: 10 });
  const order = accepted(shop.placeOrder({ lines: [{ sku: 'a', quantity: 4 }] }));
  const set = [{ lineId: order.lines[0]?.id ?? '', quantity: 1 }];
  shop.editOrder(order.id, { set, add: [{ sku: 'b', quantity: 2 }] });
  expect(order.lines).toMatchObject([
    { sku: 'a', quantity: 4, removed: 3 },
    { sku: 'b', quantity: 2, removed: 0 },
  ]);
  expect([shop.available('a'), shop.available('b'), order.edited]).toEqual([9, 8, true]);
});

test('an order of 1,112 lines with repeated SKUs is one order of 1,112 lines', async () => {
  await using setup = await setUp();
  const { shop } = setup;
  for (const sku of ['a', 'b']) shop.addItem({ sku, quantities: 10_000 });
  const lines = Array.from({ length: 1_112 }, (_, index) => ({
    sku: index % 2 === 0 ? 'a' : 'b',
    quantity: 3,
  }));
  const order = accepted(shop.placeOrder({ lines }));
  expect(order.lines).toHaveLength(1_112);
  expect(new Set(order.lines.map((line) => line.id)).size).toBe(1_112);
  expect(quantities(shop, 'a')).toEqual({ available: 10_000 - 556 * 3, committed: 556 * 3, onHand: 10_000 });
});

test('level changes reach a listener at once, with the shop that caused them', async () => {
  await using setup = await setUp();
  const { sandbox, shop, client } = setup;
  shop.addItem({ sku: 'a', quantities: 5 });
  const seen: unknown[] = [];
  const stop = sandbox.onLevelChange(({ sku, available, cause }) => seen.push([sku, available, cause]));
  shop.placeOrder({ lines: [{ sku: 'a', quantity: 1 }] });
  await client.adjust('a', -2, 'k');
  stop();
  shop.editStock('a', 9);
  expect(seen).toEqual([
    ['a', 4, 'order'],
    ['a', 2, 'api'],
  ]);
});
