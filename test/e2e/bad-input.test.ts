import { createHmac, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { DaemonUnderTest } from './daemon.ts';

let sandbox: ShopifySandbox;
let shop: SandboxShop;
let daemon: DaemonUnderTest;

beforeAll(async () => {
  sandbox = await startShopifySandbox();
  shop = sandbox.addShop({ domain: 'shop-a.myshopify.com', plan: 'plus' });
  shop.addItem({ sku: 'X', quantities: 10 });
  shop.addItem({ sku: 'Y', quantities: 10 });
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  daemon.start();
  await daemon.ready();
  await daemon.connected(2);
});

afterAll(async () => {
  await daemon.remove();
  await sandbox.stop();
});

interface Sent {
  readonly body: string | Buffer;
  readonly secret?: string;
  readonly id?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function send({ body, secret, id, headers }: Sent): Promise<number> {
  const response = await fetch(`${daemon.publicUrl}/webhooks/shopify/shop-a`, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'x-shopify-topic': 'orders/create',
      'x-shopify-shop-domain': shop.domain,
      'x-shopify-webhook-id': id ?? randomUUID(),
      'x-shopify-event-id': randomUUID(),
      'x-shopify-api-version': '2026-10',
      'x-shopify-triggered-at': new Date().toISOString(),
      'x-shopify-hmac-sha256': createHmac('sha256', secret ?? shop.tokens.app.clientSecret)
        .update(body)
        .digest('base64'),
      ...headers,
    },
  });
  await response.arrayBuffer();
  return response.status;
}

function order(
  id: number,
  lines: readonly Record<string, unknown>[],
  more: Record<string, unknown> = {},
): string {
  const at = new Date().toISOString();
  return JSON.stringify({
    id,
    admin_graphql_api_id: `gid://shopify/Order/${id}`,
    created_at: at,
    updated_at: at,
    source_name: 'web',
    line_items: lines.map((line, index) => ({
      id: id * 10 + index,
      admin_graphql_api_id: `gid://shopify/LineItem/${id * 10 + index}`,
      variant_id: null,
      fulfillable_quantity: 0,
      fulfillment_status: null,
      requires_shipping: true,
      ...line,
    })),
    refunds: [],
    fulfillments: [],
    ...more,
  });
}

function variantOf(sku: string): number {
  return Number(/\d+$/.exec(shop.item(sku).variant.id)?.[0]);
}

async function parkedReasons(): Promise<readonly string[]> {
  return (await daemon.parked()).map(({ reason }) => reason);
}

test('forged, foreign, cut, unreadable, too deep and too large deliveries have no effect', async () => {
  const body = order(900, [{ sku: 'X', variant_id: variantOf('X'), quantity: 5 }]);
  expect(await send({ body, secret: 'wrong' })).toBe(401);
  expect(await send({ body, headers: { 'x-shopify-hmac-sha256': '' } })).toBe(401);
  const cut = createHmac('sha256', shop.tokens.app.clientSecret).update(body).digest('base64');
  expect(await send({ body: body.slice(0, -20), headers: { 'x-shopify-hmac-sha256': cut } })).toBe(401);
  expect(await send({ body: Buffer.from([0x7b, 0xff, 0x7d]) })).toBe(400);
  expect(await send({ body: `${'['.repeat(500)}${']'.repeat(500)}` })).toBe(400);
  expect(await send({ body: '{"id":' })).toBe(400);
  expect(await send({ body: 'x'.repeat(1_100_000) })).toBe(413);
  expect(await send({ body, headers: { 'content-type': 'text/plain' } })).toBe(415);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await daemon.available('X')).toBe(10);
  expect(await daemon.parked()).toEqual([]);
});

test('a replay, with the same id and with another one, counts once', async () => {
  const body = order(901, [{ sku: 'X', variant_id: variantOf('X'), quantity: 1 }]);
  expect(await send({ body, id: 'same' })).toBe(200);
  await daemon.until(async () => (await daemon.available('X')) === 9, 'applied');
  expect(await send({ body, id: 'same' })).toBe(200);
  expect(await send({ body })).toBe(200);
  await daemon.until(async () => (await daemon.metric('stockmesh_inbox_jobs')) === 0, 'quiet');
  expect(await daemon.available('X')).toBe(9);
});

test.each([
  ['negative', -1, /quantity -1 is below 0/],
  ['fractional', 1.5, /quantity is not a safe whole number: 1\.5/],
  ['huge', 1e15, /quantity 1000000000000000 is above/],
  ['not exact', 2 ** 53, /quantity is not a safe whole number: 9007199254740992/],
  ['text', 'many', /quantity is not a number: "many"/],
  ['null', null, /quantity is not a number/],
  ['missing', undefined, /quantity is not a number: missing/],
])(
  'a %s quantity is parked with its reason; the other line of the order flows',
  async (name, quantity, reason) => {
    const before = (await daemon.available('Y')) ?? Number.NaN;
    const id = 1_000 + name.length * 31 + name.charCodeAt(0);
    const body = order(id, [
      { sku: 'X', variant_id: variantOf('X'), quantity },
      { sku: 'Y', variant_id: variantOf('Y'), quantity: 1 },
    ]);
    expect(await send({ body })).toBe(200);
    await daemon.until(async () => (await daemon.available('Y')) === before - 1, 'the good line applied');
    const rows = async () => (await daemon.parked()).filter(({ id: row }) => row.includes(String(id)));
    await daemon.until(async () => (await rows()).length > 0, 'the other line parked');
    expect((await rows()).map((row) => row.reason)).toEqual([expect.stringMatching(reason)]);
    expect(await daemon.available('X')).toBe(9);
    await daemon.until(async () => daemon.output.includes('parked, see GET /parked'), 'it is in the log');
  },
);

test('an unknown SKU and a foreign source are parked with their reasons', async () => {
  expect(await send({ body: order(2_001, [{ sku: 'NOPE', variant_id: 1, quantity: 1 }]) })).toBe(200);
  expect(
    await send({
      body: order(2_002, [{ sku: 'X', variant_id: variantOf('X'), quantity: 1 }], {
        source_name: 'amazon-importer',
      }),
    }),
  ).toBe(200);
  await daemon.until(async () => (await parkedReasons()).some((reason) => reason.includes('NOPE')), 'parked');
  await daemon.until(
    async () => (await parkedReasons()).some((reason) => reason.includes('sourceRules')),
    'parked',
  );
  expect(await daemon.available('X')).toBe(9);
});

test('a parked line is applied by itself when its SKU becomes known', async () => {
  const item = shop.addItem({ sku: '', quantities: 3 });
  const placed = shop.placeOrder({ lines: [{ sku: item.id, quantity: 1 }] });
  if (placed.kind === 'refused') throw new Error('refused');
  await daemon.until(
    async () => (await parkedReasons()).some((reason) => reason.includes('sku is missing')),
    'parked',
  );
  item.sku = 'NEW';
  // Tells the app that the item was edited.
  shop.setTracked(item.id, true);
  await daemon.until(async () => (await daemon.available('NEW')) === 2, 'applied and opened', 40_000);
  await daemon.until(
    async () => !(await parkedReasons()).some((reason) => reason.includes('sku is missing')),
    'no longer parked',
  );
});
