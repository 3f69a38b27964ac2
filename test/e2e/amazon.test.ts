import { afterAll, beforeAll, expect, test } from 'vitest';
import { breaches } from '../../sandbox/posting/breaches.ts';
import { type AmazonSandbox, startAmazonSandbox } from '../../sandbox/amazon/server.ts';
import type { SandboxSeller } from '../../sandbox/amazon/seller.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { DaemonUnderTest } from './daemon.ts';

const secrets = {
  AMAZON_SECRET: 'amzn1.oa2-cs.v1.sandbox',
  AMAZON_REFRESH: 'Atzr|A1E2E',
  AWS_SECRET: 'aws-canary',
};
let shopify: ShopifySandbox;
let amazon: AmazonSandbox;
let shop: SandboxShop;
let seller: SandboxSeller;
let daemon: DaemonUnderTest;

beforeAll(async () => {
  shopify = await startShopifySandbox();
  shop = shopify.addShop({ domain: 'shop-a.myshopify.com', plan: 'plus' });
  amazon = await startAmazonSandbox({
    sellers: [
      {
        sellerId: 'A1E2E',
        settings: {
          rateLimit: false,
          // Times of minutes on the real platform are parts of a second here.
          orderHoleMs: 0,
          applyDelayMs: { min: 20, max: 150 },
          notificationDelayMs: { min: 0, max: 100 },
          notificationDuplicateRate: 0.3,
          notifyOnPending: true,
        },
      },
    ],
    queues: ['stockmesh'],
  });
  seller = amazon.seller('A1E2E');
  for (const sku of ['X', 'Y']) {
    shop.addItem({ sku, quantities: 10 });
    seller.addListing({ sku, quantity: 10 });
  }
  seller.addListing({ sku: 'FBA', channelCode: 'AMAZON_NA', quantity: 70 });
  const queue = amazon.sqs.queues.get('stockmesh');
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  await daemon.changeConfig((config) => {
    (config['channels'] as object[]).push({
      id: 'amazon',
      platform: 'amazon',
      mode: 'live',
      sellerId: seller.sellerId,
      marketplaceIds: seller.marketplaceIds,
      region: 'na',
      baseUrl: amazon.url,
      credentials: {
        clientId: seller.tokens.credentials.clientId,
        clientSecret: 'env:AMAZON_SECRET',
        refreshToken: 'env:AMAZON_REFRESH',
      },
      queue: {
        url: queue?.url,
        arn: queue?.arn,
        endpoint: amazon.url,
        access: { accessKeyId: 'AKIASANDBOX', secretAccessKey: 'env:AWS_SECRET' },
      },
      poll: { intervalMs: 1_000, overlapMs: 60_000, indexLagMs: 0 },
      timing: { readLagMs: 50, applyGraceMs: 300, longestApplyMs: 3_000 },
    });
  });
  daemon.start(secrets);
  await daemon.ready();
  await daemon.connected(2, 40_000);
});

afterAll(async () => {
  await daemon.remove();
  await Promise.all([shopify.stop(), amazon.stop()]);
});

const shown = (sku: string) => [shop.available(sku), seller.listings.quantity(sku)];

test('a sale on Shopify lowers Amazon', async () => {
  shop.placeOrder({ lines: [{ sku: 'X', quantity: 3 }] });
  await expect.poll(() => shown('X'), { timeout: 20_000 }).toEqual([7, 7]);
});

test('a sale on Amazon comes through the queue and lowers Shopify; pending is enough', async () => {
  seller.orders.place({ lines: [{ sku: 'Y', quantity: 4 }] });
  await expect.poll(() => shown('Y'), { timeout: 20_000 }).toEqual([6, 6]);
});

test('a sale that no notification tells is found by the poll', async () => {
  seller.settings.notificationDropRate = 1;
  seller.orders.place({ lines: [{ sku: 'Y', quantity: 1 }] });
  await expect.poll(() => shown('Y'), { timeout: 20_000 }).toEqual([5, 5]);
  seller.settings.notificationDropRate = 0;
});

test('a cancellation comes back on both', async () => {
  const placed = seller.orders.place({ lines: [{ sku: 'X', quantity: 2 }] });
  if (placed.kind !== 'accepted') throw new Error(placed.kind);
  await expect.poll(() => shown('X'), { timeout: 20_000 }).toEqual([5, 5]);
  seller.orders.cancel(placed.order.orderId, 'BUYER');
  await expect.poll(() => shown('X'), { timeout: 40_000 }).toEqual([7, 7]);
}, 70_000);

test('what Amazon fulfils is nobody else’s stock', async () => {
  // Amazon's own stock is shown as Amazon's, in nobody's sum.
  await daemon.until(async () => {
    const { skus } = await daemon.get<{ skus: { available: number; foreign: object[] }[] }>('/stock?sku=FBA');
    return skus[0]?.available === 0 && skus[0].foreign.length === 1;
  }, 'shown as foreign stock');
  expect(await daemon.get('/stock?sku=FBA')).toMatchObject({
    skus: [{ locations: [], foreign: [{ channel: 'amazon', place: 'AMAZON_NA', units: 70 }] }],
  });
  seller.orders.place({ lines: [{ sku: 'FBA', quantity: 1 }], fulfilledBy: 'AMAZON' });
  const stock = await fetch(`${daemon.privateUrl}/metrics`);
  expect(stock.ok).toBe(true);
  expect(await daemon.parked()).toEqual([]);
  expect(breaches(amazon.violations())).toEqual([]);
  expect(breaches(shopify.violations())).toEqual([]);
  for (const secret of Object.values(secrets)) expect(daemon.output).not.toContain(secret);
});
