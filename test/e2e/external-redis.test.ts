import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { freePort } from '../support/free-port.ts';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.ts';
import { connectTestRedis } from '../support/redis-connections.ts';
import { readProjectFile } from '../style/source-tree.ts';
import { DaemonUnderTest } from './daemon.ts';

const tls = join(import.meta.dirname, '../fixtures/tls');
const password = randomBytes(12).toString('hex');
let redis: PrivateRedis;
let sandbox: ShopifySandbox;
let shops: readonly SandboxShop[];
let daemon: DaemonUnderTest;

/** The rights that docs/operations.md tells an operator to give, as they stand there. */
function documentedRights(merchant: string): readonly string[] {
  const [, line = ''] = /^ACL SETUSER stockmesh (.+)$/m.exec(readProjectFile('docs/operations.md')) ?? [];
  return line.replace('>PASSWORD', `>${password}`).replace('{MERCHANT}', `{${merchant}}`).split(' ');
}

async function allow(rights: readonly string[]): Promise<void> {
  const admin = connectTestRedis(redis.path);
  await admin.call('ACL', 'SETUSER', 'stockmesh', ...rights);
  await admin.quit();
}

beforeAll(async () => {
  const port = await freePort();
  const files = ['--tls-cert-file', join(tls, 'cert.pem'), '--tls-key-file', join(tls, 'key.pem')];
  redis = await startPrivateRedis({
    appendfsync: 'always',
    extraArgs: ['--tls-port', String(port), ...files, '--tls-auth-clients', 'no'],
  });
  await allow(documentedRights('e2e'));
  sandbox = await startShopifySandbox({ seed: 3 });
  shops = ['shop-a', 'shop-b'].map((name) => {
    const shop = sandbox.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' });
    shop.addItem({ sku: 'X', quantities: 10 });
    return shop;
  });
  daemon = await DaemonUnderTest.make({
    shops,
    config: {
      redis: {
        url: `rediss://127.0.0.1:${port}`,
        username: 'stockmesh',
        password: 'file:redis-password',
        tls: { caFile: join(tls, 'cert.pem'), serverName: 'redis.test' },
      },
    },
  });
  await writeFile(join(daemon.dir, 'redis-password'), password, { mode: 0o600 });
});

afterAll(async () => {
  await daemon.remove();
  await sandbox.stop();
  await redis.stop();
});

test('over TLS, as a user with no more rights than the documents say, sales cross and nothing is refused', async () => {
  daemon.start();
  await daemon.ready();
  await daemon.connected(1);
  shops[0]?.placeOrder({ lines: [{ sku: 'X', quantity: 3 }] });
  shops[1]?.placeOrder({ lines: [{ sku: 'X', quantity: 1 }] });
  await daemon.until(
    async () => (await daemon.available('X')) === 6 && shops.every((shop) => shop.available('X') === 6),
    'agreed on 6',
  );
  expect(await daemon.findings()).toEqual([]);
  expect(daemon.output).not.toMatch(/NOPERM|WRONGPASS/);
  expect(daemon.output).not.toContain(password);
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
});

test('with a right taken away it says so and does not start', async () => {
  await allow(['-time']);
  daemon.start();
  expect(await daemon.exited()).toEqual({ code: 77, signal: null });
  expect(daemon.output).toMatch(/REDIS_ACCESS_DENIED.*(?:the user lacks rights|NOPERM)/);
  await allow(['+time']);
});

test('with a password that is wrong it says so and does not start', async () => {
  await writeFile(join(daemon.dir, 'redis-password'), 'wrong', { mode: 0o600 });
  daemon.start();
  expect(await daemon.exited()).toEqual({ code: 77, signal: null });
  expect(daemon.output).toMatch(/REDIS_ACCESS_DENIED.*WRONGPASS/);
});
