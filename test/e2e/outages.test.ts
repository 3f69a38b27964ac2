import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { breaches } from '../../sandbox/posting/breaches.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { freePort } from '../support/free-port.ts';
import { startPrivateRedis } from '../support/redis.ts';
import { webhookTopics } from '../../src/connectors/shopify/subscriptions.ts';
import { DaemonUnderTest } from './daemon.ts';

const opening = 1_000;
let sandbox: ShopifySandbox;
let shops: SandboxShop[];
let daemons: DaemonUnderTest[];
let sold = 0;

beforeEach(async () => {
  sold = 0;
  daemons = [];
  sandbox = await startShopifySandbox({ seed: 11 });
  shops = ['shop-a', 'shop-b'].map((name) => {
    const shop = sandbox.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' });
    shop.addItem({ sku: 'X', quantities: opening });
    shop.setWebhookBehaviour({ retryTimeScale: 0.001 });
    return shop;
  });
});

afterEach(async () => {
  for (const daemon of daemons) await daemon.remove();
  await sandbox.stop();
});

async function start(
  more: Partial<Parameters<typeof DaemonUnderTest.make>[0]> = {},
): Promise<DaemonUnderTest> {
  const daemon = await DaemonUnderTest.make({ shops, ...more });
  daemons.push(daemon);
  daemon.start();
  await daemon.ready();
  return daemon;
}

function sell(index: number): void {
  const placed = shops[index % shops.length]!.placeOrder({ lines: [{ sku: 'X', quantity: 1 }] });
  if (placed.kind === 'refused') throw new Error('refused');
  sold++;
}

async function agreed(daemon: DaemonUnderTest, withinMs = 20_000): Promise<void> {
  const right = opening - sold;
  await daemon.until(
    async () =>
      (await daemon.available('X')) === right && shops.every((shop) => shop.available('X') === right),
    `agreed on ${right}`,
    withinMs,
  );
  expect(await daemon.findings()).toEqual([]);
}

async function redisPid(daemon: DaemonUnderTest): Promise<number> {
  return Number(await readFile(join(daemon.dir, 'state/redis/redis.pid'), 'utf8'));
}

test('redis-server killed under load: the daemon lives on, every sale is applied once', async () => {
  const daemon = await start();
  await daemon.connected(1);
  for (let round = 0; round < 3; round++) {
    for (let sale = 0; sale < 10; sale++) {
      sell(sale);
      if (sale === 5) process.kill(await redisPid(daemon), 'SIGKILL');
      await delay(10);
    }
    await daemon.ready();
  }
  await agreed(daemon);
  // A delivery that could not be stored is refused, which is no breach of contract: it comes again.
  expect(breaches(sandbox.violations())).toEqual([]);
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
});

test('redis-server stopped for three seconds: deliveries are refused in time, nothing is lost', async () => {
  const daemon = await start();
  await daemon.connected(1);
  const pid = await redisPid(daemon);
  process.kill(pid, 'SIGSTOP');
  for (let sale = 0; sale < 10; sale++) sell(sale);
  await delay(3_000);
  expect((await fetch(`${daemon.privateUrl}/readyz`)).status).toBe(503);
  process.kill(pid, 'SIGCONT');
  await daemon.ready();
  await agreed(daemon);
});

test('a daemon stopped for a while finds its lease gone and everything still agrees', async () => {
  const daemon = await start();
  await daemon.connected(1);
  sell(0);
  process.kill(daemon.pid, 'SIGSTOP');
  for (let sale = 0; sale < 10; sale++) sell(sale);
  await delay(4_000);
  process.kill(daemon.pid, 'SIGCONT');
  await agreed(daemon);
});

test('a Redis that was emptied publishes nothing; after a confirm everything is counted again', async () => {
  const daemon = await start();
  await daemon.connected(1);
  for (let sale = 0; sale < 5; sale++) sell(sale);
  await agreed(daemon);
  const client = new Redis(join(daemon.dir, 'state/redis/redis.sock'));
  await client.flushall();
  await daemon.until(async () => (await fetch(`${daemon.privateUrl}/readyz`)).status === 503, 'halted');
  for (let sale = 0; sale < 4; sale++) sell(sale);
  await delay(500);
  const state = await daemon.get<{ halted: string | null; lost: unknown[] }>('/ledger');
  expect(state.halted).toEqual(expect.any(String));
  expect(state.lost.length).toBeGreaterThan(5);
  // Each shop has only its own sales taken off: nothing was written, least of all a zero.
  expect(shops.map((shop) => shop.available('X'))).toEqual([993, 993]);
  const confirmed = await fetch(`${daemon.privateUrl}/ledger/confirm-loss`, {
    method: 'POST',
    body: JSON.stringify({ actor: 'test' }),
    headers: { 'content-type': 'application/json' },
  });
  expect(confirmed.status).toBe(200);
  await daemon.ready();
  await agreed(daemon, 40_000);
  await client.quit();
});

test('two daemons on one Redis: one publishes, the other takes over when it is killed', async () => {
  const port = await freePort();
  const redis = await startPrivateRedis({ extraArgs: ['--port', String(port), '--bind', '127.0.0.1'] });
  try {
    const config = {
      redis: { url: `redis://127.0.0.1:${port}` },
      masterKey: 'env:SM_E2E_MASTER_KEY',
    };
    process.env['SM_E2E_MASTER_KEY'] = randomBytes(32).toString('base64');
    const first = await start({ config, channel: { timeouts: { requestMs: 1_000 } } });
    await first.connected(1);
    const second = await start({ config, channel: { timeouts: { requestMs: 1_000 } } });
    for (let sale = 0; sale < 5; sale++) sell(sale);
    await agreed(first);
    await agreed(second);
    const holders = [first, second].map(
      async (daemon) => (await daemon.channels()).filter(({ isPublishing }) => isPublishing === true).length,
    );
    expect(await Promise.all(holders)).toEqual([2, 0]);
    await first.kill('SIGKILL');
    // The deliveries were addressed to the dead one: the polls of the other bring them.
    for (let sale = 0; sale < 5; sale++) sell(sale);
    await agreed(second, 30_000);
    expect(breaches(sandbox.violations())).toEqual([]);
  } finally {
    delete process.env['SM_E2E_MASTER_KEY'];
    for (const daemon of daemons.splice(0)) await daemon.remove();
    await redis.stop();
  }
});

test('subscriptions that were lost are made again, and what nobody was told of meanwhile is pulled at once', async () => {
  const daemon = await start({
    config: { schedules: { subscriptionCheckMs: 1_000 } },
    // The regular poll would come minutes after the end of this test.
    channel: { poll: { intervalMs: 300_000, fallbackMs: 300_000, overlapMs: 60_000, indexLagMs: 500 } },
  });
  await daemon.connected(1);
  // No order is told of before it is: both shops have their subscriptions, and one loses them.
  await daemon.until(
    async () => shops.every((shop) => shop.subscriptions.all().length === webhookTopics.length),
    'subscribed',
  );
  sell(0);
  await agreed(daemon);
  const [lossy] = shops;
  const before = lossy!.subscriptions.all().length;
  lossy!.subscriptions.clear();
  sell(0);
  await agreed(daemon, 45_000);
  expect(lossy!.subscriptions.all().length).toBe(before);
}, 120_000);
