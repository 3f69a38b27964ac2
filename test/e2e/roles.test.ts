import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { freePort } from '../support/free-port.ts';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.ts';
import { DaemonUnderTest } from './daemon.ts';

let redis: PrivateRedis;
let sandbox: ShopifySandbox;
let shops: readonly SandboxShop[];
let ingest: DaemonUnderTest;
let publish: DaemonUnderTest;

beforeAll(async () => {
  const port = await freePort();
  redis = await startPrivateRedis({ extraArgs: ['--port', String(port), '--bind', '127.0.0.1'] });
  sandbox = await startShopifySandbox();
  shops = ['shop-a', 'shop-b'].map((name) =>
    sandbox.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' }),
  );
  for (const shop of shops) shop.addItem({ sku: 'X', quantities: 10 });
  const make = (roles: readonly string[]): Promise<DaemonUnderTest> =>
    DaemonUnderTest.make({
      shops,
      config: { roles, redis: { url: `redis://127.0.0.1:${port}` }, masterKey: 'env:SM_ROLES_KEY' },
    });
  ingest = await make(['ingest']);
  publish = await make(['publish', 'reconcile', 'api']);
  // Webhooks go to the one that takes them, whoever subscribes.
  await publish.changeConfig((config) => {
    (config['http'] as Record<string, unknown>)['publicUrl'] = ingest.publicUrl;
  });
}, 120_000);

afterAll(async () => {
  await ingest.remove();
  await publish.remove();
  await sandbox.stop();
  await redis.stop();
});

const env = { SM_ROLES_KEY: 'k'.repeat(32) };
const status = (url: string): Promise<number> =>
  fetch(url).then(
    ({ status: code }) => code,
    () => 0,
  );

test('each process does what its roles say, and nothing else; together they do all of it', async () => {
  publish.start(env);
  await publish.ready();
  await publish.connected(1);
  await publish.until(async () => (await publish.available('X')) === 10, 'opened');
  // It takes no webhooks at all. Its port is not asked: another process may have taken it by now.
  await publish.until(async () => publish.output.includes('no webhooks here'), 'said so');
  expect(await status(`${publish.privateUrl}/inventory/v1/availability?sku=X`)).toBe(200);

  ingest.start(env);
  await ingest.ready();
  await ingest.connected(1);
  expect(await status(`${ingest.privateUrl}/inventory/v1/availability?sku=X`)).toBe(404);
  const published = async (daemon: DaemonUnderTest): Promise<readonly boolean[]> => {
    const answer = await fetch(`${daemon.privateUrl}/channels`);
    const body = (await answer.json()) as { channels: readonly { isPublishing: boolean }[] };
    return body.channels.map(({ isPublishing }) => isPublishing);
  };
  expect(await published(publish)).toEqual([true, true]);
  expect(await published(ingest)).toEqual([false, false]);

  // The sale comes in by one process and goes out by the other.
  shops[0]!.placeOrder({ lines: [{ sku: 'X', quantity: 3 }] });
  await publish.until(async () => shops[1]!.available('X') === 7, 'published');
  expect(publish.output).not.toContain('delivery applied');

  // Nobody publishes: it is counted, and waits.
  await publish.kill('SIGTERM');
  shops[0]!.placeOrder({ lines: [{ sku: 'X', quantity: 2 }] });
  await ingest.until(async () => (await ingest.available('X')) === 5, 'counted');
  expect(await published(ingest)).toEqual([false, false]);
  expect(shops[1]!.available('X')).toBe(7);

  // Nobody takes webhooks in: what was sold is found by the poll of the one that publishes.
  await ingest.kill('SIGTERM');
  publish.start(env);
  await publish.ready();
  shops[1]!.placeOrder({ lines: [{ sku: 'X', quantity: 1 }] });
  await publish.until(async () => shops[0]!.available('X') === 4 && shops[1]!.available('X') === 4, 'agreed');
}, 300_000);
