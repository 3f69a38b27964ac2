import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { codesOf, receiveWebhooks, setUp, subscribe } from './shopify-client.ts';
import type { ShopClient } from './shopify-client.ts';

async function create(client: ShopClient, topic: string, sub: Record<string, unknown>) {
  const { data } = await client.run('WebhookCreate', { topic, sub });
  const payload = data['webhookSubscriptionCreate'];
  return payload?.['userErrors'] as unknown;
}

test.each([
  ['http://example.com/hook', 'Address protocol http:// is not supported'],
  ['https://alpha.myshopify.com/hook', 'Address cannot be a Shopify or an internal domain'],
  ['', "Address can't be blank"],
])('the address %s is refused', async (uri, message) => {
  await using setup = await setUp();
  expect(await create(setup.client, 'ORDERS_CREATE', { uri })).toEqual([
    { field: ['webhookSubscription', 'callbackUrl'], message },
  ]);
});

test('loopback is refused like any internal address when it is not allowed', async () => {
  await using setup = await setUp({ isLoopbackWebhookAllowed: false });
  expect(await create(setup.client, 'ORDERS_CREATE', { uri: 'https://127.0.0.1/hook' })).toEqual([
    {
      field: ['webhookSubscription', 'callbackUrl'],
      message: 'Address cannot be a Shopify or an internal domain',
    },
  ]);
});

test('a second subscription of a topic to the same address is refused', async () => {
  await using setup = await setUp();
  const sub = { uri: 'https://example.com/hook' };
  expect(await create(setup.client, 'ORDERS_CREATE', sub)).toEqual([]);
  expect(await create(setup.client, 'ORDERS_CREATE', sub)).toEqual([
    {
      field: ['webhookSubscription', 'callbackUrl'],
      message: 'Address for this topic has already been taken',
    },
  ]);
  expect(await create(setup.client, 'ORDERS_UPDATED', sub)).toEqual([]);
});

test('the deprecated address input works and is reported', async () => {
  await using setup = await setUp();
  expect(await create(setup.client, 'ORDERS_CREATE', { callbackUrl: 'https://example.com/hook' })).toEqual(
    [],
  );
  expect(setup.sandbox.violations().map((violation) => violation.kind)).toEqual(['deprecated-callback-url']);
});

test('a topic the app has no scope for is refused', async () => {
  await using setup = await setUp({ scopes: ['write_inventory'] });
  const { data } = await setup.client.run('WebhookCreate', {
    topic: 'ORDERS_CREATE',
    sub: { uri: 'https://example.com' },
  });
  expect(codesOf(data['webhookSubscriptionCreate'])).toHaveLength(1);
});

test('a delivery is signed over its raw bytes and carries the headers of Shopify', async () => {
  await using setup = await setUp({ clientSecret: 'hush', utcOffsetMinutes: 180 });
  await using receiver = await receiveWebhooks();
  await subscribe(setup.client, 'ORDERS_CREATE', receiver.url);
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  setup.shop.placeOrder({ lines: [{ sku: 'a', quantity: 2 }] });
  await setup.sandbox.webhooksIdle();
  const [webhook] = receiver.received;
  const signature = createHmac('sha256', 'hush')
    .update(webhook?.raw ?? '')
    .digest('base64');
  expect(webhook?.headers).toMatchObject({
    'x-shopify-topic': 'orders/create',
    'x-shopify-hmac-sha256': signature,
    'x-shopify-shop-domain': 'alpha.myshopify.com',
    'x-shopify-api-version': '2026-10',
    'content-type': 'application/json',
  });
  for (const name of ['x-shopify-webhook-id', 'x-shopify-event-id', 'x-shopify-triggered-at'])
    expect(webhook?.headers[name]).toBeTruthy();
  expect(String(webhook?.body['created_at'])).toMatch(/\+03:00$/);
});

test('an order body has the fields of a recorded one', async () => {
  await using setup = await setUp();
  await using receiver = await receiveWebhooks();
  await subscribe(setup.client, 'ORDERS_CREATE', receiver.url);
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  setup.shop.placeOrder({ lines: [{ sku: 'a', quantity: 2 }] });
  await setup.sandbox.webhooksIdle();
  const sample = JSON.parse(
    readFileSync(new URL('../fixtures/shopify/order-webhook-keys.json', import.meta.url), 'utf8'),
  ) as { order: Record<string, string>; line: Record<string, string> };
  const body = receiver.received[0]?.body ?? {};
  const line = (body['line_items'] as Record<string, unknown>[])[0] ?? {};
  const typesOf = (keys: Record<string, string>, value: Record<string, unknown>) =>
    Object.fromEntries(Object.keys(keys).map((key) => [key, key in value ? typeof value[key] : 'missing']));
  expect(typesOf(sample.order, body)).toEqual(sample.order);
  expect(typesOf(sample.line, line)).toEqual(sample.line);
  expect(line).toMatchObject({ sku: 'a', quantity: 2, current_quantity: 2, fulfillable_quantity: 2 });
});

test('ids beyond 2^53 arrive with all their digits', async () => {
  await using setup = await setUp({ hugeIds: true });
  await using receiver = await receiveWebhooks();
  await subscribe(setup.client, 'INVENTORY_LEVELS_UPDATE', receiver.url);
  const item = setup.shop.addItem({ sku: 'a', quantities: 5 });
  setup.shop.editStock('a', 4);
  await setup.sandbox.webhooksIdle();
  expect(Number.isSafeInteger(Number(item.number))).toBe(false);
  expect(receiver.received[0]?.raw.toString()).toContain(`"inventory_item_id":${item.number},`);
});

test('a level body shows the value of the moment it is sent, an order body that of the event', async () => {
  await using setup = await setUp();
  await using receiver = await receiveWebhooks();
  const { shop, client, sandbox } = setup;
  for (const topic of ['INVENTORY_LEVELS_UPDATE', 'ORDERS_UPDATED'])
    await subscribe(client, topic, receiver.url);
  shop.setWebhookBehaviour({ delayMs: { min: 40, max: 40 } });
  shop.addItem({ sku: 'a', quantities: 5 });
  const placed = shop.placeOrder({ lines: [{ sku: 'a', quantity: 2 }] });
  if (placed.kind !== 'accepted') throw new Error('refused');
  shop.editOrder(placed.order.id, { set: [{ lineId: placed.order.lines[0]?.id ?? '', quantity: 1 }] });
  shop.cancelOrder(placed.order.id);
  await sandbox.webhooksIdle();
  const levels = receiver.received.filter((webhook) => webhook.topic === 'inventory_levels/update');
  expect(levels.map((webhook) => webhook.body['available'])).toEqual([5, 5, 5]);
  const orders = receiver.received.filter((webhook) => webhook.topic === 'orders/updated');
  const current = orders.map(
    (webhook) => (webhook.body['line_items'] as { current_quantity: number }[])[0]?.current_quantity,
  );
  // Two deliveries of the same delay travel on two connections: which is read first is not promised.
  expect(current).toHaveLength(2);
  expect(new Set(current)).toEqual(new Set([1, 0]));
});

test('a cancellation with restock tells of itself three times, under one event id', async () => {
  await using setup = await setUp();
  await using receiver = await receiveWebhooks();
  for (const topic of ['ORDERS_CANCELLED', 'REFUNDS_CREATE', 'INVENTORY_LEVELS_UPDATE'])
    await subscribe(setup.client, topic, receiver.url);
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  const placed = setup.shop.placeOrder({ lines: [{ sku: 'a', quantity: 2 }] });
  if (placed.kind !== 'accepted') throw new Error('refused');
  await setup.sandbox.webhooksIdle();
  receiver.received.length = 0;
  setup.shop.cancelOrder(placed.order.id);
  await setup.sandbox.webhooksIdle();
  expect(receiver.topics().toSorted()).toEqual([
    'inventory_levels/update',
    'orders/cancelled',
    'refunds/create',
  ]);
  expect(new Set(receiver.received.map((webhook) => webhook.headers['x-shopify-event-id'])).size).toBe(1);
  expect(new Set(receiver.received.map((webhook) => webhook.headers['x-shopify-webhook-id'])).size).toBe(3);
  const refund = receiver.received.find((webhook) => webhook.topic === 'refunds/create');
  expect(refund?.body).toMatchObject({
    restock: true,
    refund_line_items: [{ quantity: 2, restock_type: 'cancel' }],
  });
});

test('a refused delivery is retried with the same id and the original bytes', async () => {
  await using setup = await setUp();
  await using receiver = await receiveWebhooks();
  await subscribe(setup.client, 'INVENTORY_LEVELS_UPDATE', receiver.url);
  setup.shop.setWebhookBehaviour({ retryTimeScale: 0.0005 });
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  receiver.answerWith = 503;
  setup.shop.editStock('a', 4);
  await setup.sandbox.webhooksIdle();
  receiver.answerWith = 200;
  setup.shop.editStock('a', 3);
  const first = receiver.received[0];
  const repeats = () =>
    receiver.received.filter(
      (webhook) => webhook.headers['x-shopify-webhook-id'] === first?.headers['x-shopify-webhook-id'],
    );
  await expect.poll(() => repeats().length).toBe(2);
  expect(repeats()[1]?.raw).toEqual(first?.raw);
  expect(repeats()[1]?.body['available']).toBe(4);
  expect(setup.sandbox.violations().map((violation) => violation.kind)).toEqual(['webhook-refused']);
});

test('after eight failed retries the subscription is gone', async () => {
  await using setup = await setUp();
  await using receiver = await receiveWebhooks();
  await subscribe(setup.client, 'INVENTORY_LEVELS_UPDATE', receiver.url);
  setup.shop.setWebhookBehaviour({ retryTimeScale: 0.000_01 });
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  receiver.answerWith = 500;
  setup.shop.editStock('a', 4);
  await expect.poll(() => setup.shop.subscriptions.all()).toEqual([]);
  expect(receiver.received).toHaveLength(9);
  const { data } = await setup.client.run('WebhookList');
  expect(data['webhookSubscriptions']?.['nodes']).toEqual([]);
});

test('an answer that takes too long is a failure and a violation', async () => {
  await using setup = await setUp();
  await using receiver = await receiveWebhooks();
  await subscribe(setup.client, 'INVENTORY_LEVELS_UPDATE', receiver.url);
  setup.shop.setWebhookBehaviour({ timeoutMs: 100 });
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  receiver.answerWith = 'never';
  setup.shop.editStock('a', 4);
  await setup.sandbox.webhooksIdle();
  expect(setup.sandbox.violations().map((violation) => violation.kind)).toEqual(['webhook-timeout']);
});

test('losses, duplicates and reordering come from the seed', async () => {
  const run = async () => {
    await using setup = await setUp({ seed: 7 });
    await using receiver = await receiveWebhooks();
    await subscribe(setup.client, 'INVENTORY_LEVELS_UPDATE', receiver.url);
    setup.shop.setWebhookBehaviour({
      lossProbability: 0.2,
      duplicateProbability: 0.3,
      reorderProbability: 0.5,
      reorderMs: 30,
      concurrency: 1,
    });
    for (let index = 0; index < 40; index += 1) setup.shop.addItem({ sku: `s${index}`, quantities: 5 });
    for (let index = 0; index < 40; index += 1) setup.shop.editStock(`s${index}`, 4);
    await setup.sandbox.webhooksIdle();
    const order = receiver.received.map((webhook) => Number(webhook.body['inventory_item_id']));
    const isSorted = order.every((id, index) => index === 0 || id >= (order[index - 1] ?? 0));
    return { total: order.length, distinct: new Set(order).size, isSorted };
  };
  const first = await run();
  expect(first.distinct).toBeLessThan(40);
  expect(first.total).toBeGreaterThan(first.distinct);
  expect(first.isSorted).toBe(false);
  const second = await run();
  expect([second.total, second.distinct]).toEqual([first.total, first.distinct]);
});

test('includeFields cuts the body down', async () => {
  await using setup = await setUp();
  await using receiver = await receiveWebhooks();
  await create(setup.client, 'ORDERS_CREATE', { uri: receiver.url, includeFields: ['id', 'line_items'] });
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  setup.shop.placeOrder({ lines: [{ sku: 'a', quantity: 2 }] });
  await setup.sandbox.webhooksIdle();
  expect(Object.keys(receiver.received[0]?.body ?? {})).toEqual(['id', 'line_items']);
});
