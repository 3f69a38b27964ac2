import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { breaches } from '../../sandbox/posting/breaches.ts';
import { SeededRandom } from '../../sandbox/shopify/random.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import type { Order } from '../../sandbox/tiktok/model.ts';
import { type TiktokSandbox, startTiktokSandbox } from '../../sandbox/tiktok/server.ts';
import type { SandboxTiktokShop } from '../../sandbox/tiktok/shop.ts';
import type { ShopSettings } from '../../sandbox/tiktok/shop-options.ts';
import { DaemonUnderTest, type StockRow } from './daemon.ts';

let shopify: ShopifySandbox;
let tiktok: TiktokSandbox;
let daemon: DaemonUnderTest;

afterEach(async () => {
  await daemon.remove();
  await Promise.all([shopify.stop(), tiktok.stop()]);
});

interface Both {
  readonly a: SandboxShop;
  readonly t: SandboxTiktokShop;
}

/** A Shopify shop and a TikTok shop that sell the same stock. */
async function open(
  stock: Readonly<Record<string, number>>,
  settings: Partial<ShopSettings> = {},
  skusPerProduct = 100,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Both> {
  shopify = await startShopifySandbox();
  tiktok = await startTiktokSandbox();
  const a = shopify.addShop({ domain: 'shop-a.myshopify.com', plan: 'plus' });
  const t = tiktok.addShop({ settings: { requestsPerS: 50, ...settings } });
  for (const [sku, units] of Object.entries(stock)) a.addItem({ sku, quantities: units });
  const skus = Object.entries(stock).map(([sku, quantities]) => ({ sku, quantities }));
  for (let start = 0; start < skus.length; start += skusPerProduct)
    t.inventory.addProduct({ skus: skus.slice(start, start + skusPerProduct) });
  daemon = await DaemonUnderTest.make({ shops: [a] });
  const secrets = { secret: t.appSecret, refresh: t.tokens.issue().refreshToken };
  for (const [name, text] of Object.entries(secrets))
    await writeFile(join(daemon.dir, name), text, { mode: 0o600 });
  await daemon.changeConfig((config) => {
    Object.assign(config, more);
    (config['channels'] as unknown[]).push({
      id: 'tiktok',
      platform: 'tiktok',
      mode: 'live',
      shop: t.id,
      baseUrl: tiktok.url,
      credentials: {
        kind: 'refresh-token',
        appKey: t.appKey,
        appSecret: 'file:secret',
        refreshToken: 'file:refresh',
      },
      timing: { readLagMs: 100, applyGraceMs: 100, longestApplyMs: 2_000 },
      poll: { intervalMs: 1_000, overlapMs: 60_000, indexLagMs: 0 },
    });
  });
  daemon.start();
  await daemon.ready();
  await daemon.connected(Object.keys(stock).length, 40_000);
  return { a, t };
}

function buy(t: SandboxTiktokShop, sku: string, quantity = 1): Order {
  const placed = t.orders.place({ lines: [{ sku, quantity }] });
  if (placed.kind === 'refused') throw new Error('refused');
  return placed.order;
}

const agree = (both: Both, sku: string, units: number): Promise<void> =>
  daemon.until(
    async () =>
      both.a.available(sku) === units &&
      both.t.available(sku) === units &&
      (await daemon.available(sku)) === units,
    `${sku} at ${units} everywhere (shopify ${both.a.available(sku)}, tiktok ${both.t.available(sku)})`,
    40_000,
  );

test('sales and cancellations on either side end in one figure', async () => {
  const both = await open({ X: 10, Y: 5 });
  const { a, t } = both;
  const order = buy(t, 'X', 3);
  await agree(both, 'X', 7);
  a.placeOrder({ lines: [{ sku: 'X', quantity: 2 }] });
  await agree(both, 'X', 5);
  t.orders.pay(order);
  t.orders.cancel(order, [order.lines[0]?.id ?? '']);
  await agree(both, 'X', 6);
  t.orders.ship(order);
  await daemon.until(async () => t.committed('X') === 0, 'shipped');
  const onHand = async (): Promise<number | undefined> =>
    (await daemon.get<{ skus: StockRow[] }>('/stock?sku=X')).skus[0]?.locations[0]?.onHand;
  await daemon.until(async () => (await onHand()) === 8, 'shipped in the ledger');
  // Cancelled on its way: no field of the order says that the unit had left, and a new process has not seen it leave.
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  daemon.start();
  await daemon.ready();
  t.orders.cancel(order, [order.lines[1]?.id ?? '']);
  a.placeOrder({ lines: [{ sku: 'Y', quantity: 5 }] });
  await agree(both, 'Y', 0);
  await tiktok.webhooksIdle();
  expect(breaches(tiktok.violations())).toEqual([]);
  expect(await daemon.parked()).toEqual([]);
  expect(await daemon.findings()).toEqual([]);
  await agree(both, 'X', 6);
  expect(await onHand()).toBe(8);
});

test('where only payment takes the units, an unpaid order is held back all the same', async () => {
  const both = await open({ X: 10 }, { takesStockAt: 'payment' });
  const order = buy(both.t, 'X', 3);
  // TikTok itself still shows 10, and says nowhere that it does: its listing is read.
  await agree(both, 'X', 7);
  both.t.orders.pay(order);
  expect(both.t.available('X')).toBe(4);
  await agree(both, 'X', 7);
  const given = buy(both.t, 'X', 2);
  await agree(both, 'X', 5);
  both.t.orders.cancel(given);
  await agree(both, 'X', 7);
  expect(breaches(tiktok.violations())).toEqual([]);
  expect(await daemon.findings()).toEqual([]);
});

test('without a single webhook, with writes that land late and an expiring token, the figures agree all the same', async () => {
  const both = await open({ X: 20 }, { applyDelayMs: { min: 0, max: 80 }, cancelWord: 'CANCELLED' });
  const { a, t } = both;
  t.setWebhookBehaviour({ lossProbability: 1 });
  for (let round = 0; round < 3; round++) {
    buy(t, 'X', 2);
    a.placeOrder({ lines: [{ sku: 'X', quantity: 1 }] });
    if (round === 1) t.tokens.expireAccessTokens();
  }
  await agree(both, 'X', 11);
  expect(breaches(tiktok.violations())).toEqual([]);
});

test('many SKUs of several products, sold on both sides at once, end in the same figures', async () => {
  const skus = Array.from({ length: 12 }, (_, index) => `S${index}`);
  const both = await open(Object.fromEntries(skus.map((sku) => [sku, 50])), {}, 4);
  const { a, t } = both;
  const random = new SeededRandom(7);
  const left = new Map(skus.map((sku) => [sku, 50]));
  for (let sale = 0; sale < 80; sale++) {
    const sku = skus[Math.floor(random.next() * skus.length)] ?? 'S0';
    if (sale % 3 === 0) a.placeOrder({ lines: [{ sku, quantity: 1 }] });
    else buy(t, sku);
    left.set(sku, (left.get(sku) ?? 0) - 1);
    await delay(random.next() * 40);
  }
  for (const [sku, units] of left) await agree(both, sku, units);
  expect(breaches(tiktok.violations())).toEqual([]);
  expect(await daemon.findings()).toEqual([]);
});

test('a bundle shows what its components make on both platforms, and its orders there move them', async () => {
  const both = await open({ A: 10, B: 9, KIT: 1 }, {}, 100, {
    catalogue: { bundles: { KIT: { A: 1, B: 2 } } },
  });
  const { a, t } = both;
  // The ledger has no level of a bundle.
  const kits = (units: number): Promise<void> =>
    daemon.until(
      async () => a.available('KIT') === units && t.available('KIT') === units,
      `${units} bundles on both`,
    );
  await kits(4);
  expect([await daemon.available('A'), await daemon.available('B')]).toEqual([10, 9]);
  expect(a.placeOrder({ lines: [{ sku: 'KIT', quantity: 1 }] }).kind).not.toBe('refused');
  await agree(both, 'A', 9);
  await agree(both, 'B', 7);
  await kits(3);
  const bought = buy(t, 'KIT', 2);
  await agree(both, 'A', 7);
  await agree(both, 'B', 3);
  await kits(1);
  // A component sold by itself leaves less than a bundle needs.
  buy(t, 'B', 2);
  await agree(both, 'B', 1);
  await kits(0);
  t.orders.cancel(bought);
  await agree(both, 'B', 5);
  await agree(both, 'A', 9);
  await kits(2);
  expect(await daemon.findings()).toEqual([]);
}, 180_000);
