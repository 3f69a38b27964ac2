import { execFile } from 'node:child_process';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { freePort } from '../support/free-port.ts';
import { startPrivateRedis } from '../support/redis.ts';
import { DaemonUnderTest } from './daemon.ts';

const main = new URL('../../src/main.ts', import.meta.url).pathname;
let sandbox: ShopifySandbox;
let shop: SandboxShop;
let daemon: DaemonUnderTest | undefined;

beforeEach(async () => {
  sandbox = await startShopifySandbox();
  shop = sandbox.addShop({ domain: 'shop-a.myshopify.com', plan: 'plus' });
  shop.addItem({ sku: 'X', quantities: 10 });
});

afterEach(async () => {
  await daemon?.remove();
  daemon = undefined;
  await sandbox.stop();
});

interface Run {
  readonly code: number;
  readonly output: string;
}

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, ...args],
      { env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
      },
    );
  });
}

test.each([
  [[], 'missing'],
  [['--nonsense'], 'unknown'],
])('the command line %j is refused with its use', async (args) => {
  const { code, output } = await run(args);
  expect(code).toBe(2);
  expect(output).toContain('--config FILE');
});

test('a wrong configuration names its key, shows no value, and ends with 78 before anything starts', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop], config: { nonsense: 'hunter2' } });
  const wrong = await run(['--config', join(daemon.dir, 'stockmesh.yaml')]);
  expect(wrong).toMatchObject({ code: 78 });
  expect(wrong.output).toContain('nonsense');
  expect(wrong.output).not.toContain('hunter2');
  expect((await run(['--config', join(daemon.dir, 'nowhere.yaml')])).code).toBe(78);
});

test('--check and --print-config start nothing and show no credential', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  const config = join(daemon.dir, 'stockmesh.yaml');
  expect(await run(['--config', config, '--check'])).toMatchObject({ code: 0 });
  const printed = await run(['--config', config, '--print-config']);
  expect(printed.output).toContain('shop-a.myshopify.com');
  expect(printed.output).not.toContain(shop.tokens.app.clientSecret);
});

test.each([
  [{ STOCKMESH_FAILPOINT: 'inbox-added@1=kill', NODE_ENV: 'production' }, 'FAILPOINT_REFUSED'],
  [{ STOCKMESH_FAILPOINT: 'nowhere@1=kill' }, 'FAILPOINT_REFUSED'],
])('a failpoint where it must not be ends the start: %j', async (env, code) => {
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  const refused = await run(['--config', join(daemon.dir, 'stockmesh.yaml')], env);
  expect(refused.code).toBe(78);
  expect(refused.output).toContain(code);
});

test('a data directory has one daemon; the second ends with 73 and the first goes on', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  daemon.start();
  await daemon.ready();
  const second = await run(['--config', join(daemon.dir, 'stockmesh.yaml')]);
  expect(second).toMatchObject({ code: 73 });
  expect(second.output).toContain('DATA_DIR_LOCKED');
  await daemon.ready();
});

test('a master key that others can read is refused', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  daemon.start();
  await daemon.ready();
  await daemon.kill('SIGTERM');
  const key = join(daemon.dir, 'state/master.key');
  expect((await readFile(key, 'utf8')).length).toBeGreaterThan(40);
  await chmod(key, 0o644);
  const refused = await run(['--config', join(daemon.dir, 'stockmesh.yaml')]);
  expect(refused.code).toBe(78);
  expect(refused.output).toContain('MASTER_KEY_UNUSABLE');
});

test('a Redis of your own that evicts is refused; one that is right is used, and left running', async () => {
  const port = await freePort();
  const redis = await startPrivateRedis({ extraArgs: ['--port', String(port), '--bind', '127.0.0.1'] });
  try {
    const client = new Redis(redis.path);
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    daemon = await DaemonUnderTest.make({
      shops: [shop],
      config: { redis: { url: `redis://127.0.0.1:${port}` } },
    });
    const refused = await run(['--config', join(daemon.dir, 'stockmesh.yaml')]);
    expect(refused.code).toBe(78);
    expect(refused.output).toContain('REDIS_SETTING_WRONG');
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    daemon.start();
    await daemon.ready();
    expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(await client.ping()).toBe('PONG');
    await client.quit();
  } finally {
    await redis.stop();
  }
});

test('a Redis that begins to evict makes the daemon unready until it is right again', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop], config: { schedules: { redisCheckMs: 100 } } });
  daemon.start();
  await daemon.ready();
  const client = new Redis(join(daemon.dir, 'state/redis/redis.sock'));
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await daemon.until(async () => (await fetch(`${daemon!.privateUrl}/readyz`)).status === 503, 'unready');
  await client.config('SET', 'maxmemory-policy', 'noeviction');
  await daemon.ready();
  await client.quit();
});

test('a port in use ends the start with a plain line, and leaves no Redis behind', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  const taken = { host: '127.0.0.1', port: Number(new URL(sandbox.url).port) };
  const config = join(daemon.dir, 'stockmesh.yaml');
  const parsed = JSON.parse(await readFile(config, 'utf8')) as { http: Record<string, unknown> };
  await writeFile(config, JSON.stringify({ ...parsed, http: { ...parsed.http, public: taken } }));
  const refused = await run(['--config', config]);
  expect(refused.code).toBe(1);
  expect(refused.output).toContain('LISTEN_FAILED');
  await expect(readFile(join(daemon.dir, 'state/redis/redis.pid'), 'utf8')).rejects.toThrow();
});

test('from the first answer of the private listener on, deliveries are taken', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  daemon.start();
  const statusOf = (url: string, method = 'GET'): Promise<number> =>
    fetch(url, { method }).then(
      ({ status }) => status,
      () => 0,
    );
  await daemon.until(async () => (await statusOf(`${daemon!.privateUrl}/healthz`)) !== 0, 'an answer');
  // Unsigned: refused, and by us.
  const delivered = await statusOf(`${daemon.publicUrl}/webhooks/shopify/${shop.name}`, 'POST');
  expect(delivered).toBe(415);
});

test('SIGTERM under load: answered deliveries are kept, the rest is refused; a second signal is harmless', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  daemon.start();
  await daemon.ready();
  await daemon.connected(1);
  for (let sale = 0; sale < 5; sale++) shop.placeOrder({ lines: [{ sku: 'X', quantity: 1 }] });
  const startedMs = performance.now();
  process.kill(daemon.pid, 'SIGINT');
  process.kill(daemon.pid, 'SIGTERM');
  expect(await daemon.exited()).toEqual({ code: 0, signal: null });
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  daemon.start();
  await daemon.ready();
  await daemon.until(async () => (await daemon!.available('X')) === 5, 'everything applied');
});

test('no credential is in the log, in an answer or in Redis', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop], config: { logLevel: 'trace' } });
  daemon.start();
  await daemon.ready();
  await daemon.connected(1);
  shop.placeOrder({ lines: [{ sku: 'X', quantity: 1 }] });
  await daemon.until(async () => (await daemon!.available('X')) === 9, 'applied');
  const answers = JSON.stringify([await daemon.channels(), await daemon.parked()]);
  await daemon.kill('SIGTERM');
  const aof = join(daemon.dir, 'state/redis/appendonlydir');
  let stored = '';
  for (const file of await readdir(aof)) stored += await readFile(join(aof, file), 'latin1');
  const issued = [...daemon.output.matchAll(/shp[a-z]{2}_[A-Za-z0-9]{8,}/g)];
  expect(issued).toEqual([]);
  for (const text of [daemon.output, answers, stored]) {
    expect(text).not.toContain(shop.tokens.app.clientSecret);
    expect(text).not.toMatch(/shpat_[A-Za-z0-9]{8,}/);
  }
  expect(stored).toContain('token:shop-a');
});

test('a daemon whose starter was killed stops by itself', async () => {
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  const config = join(daemon.dir, 'stockmesh.yaml');
  // The starter dies when it is killed, and not before what it started is there: how long that takes is the machine's affair.
  const script = `const c = require('node:child_process').spawn(process.execPath, [${JSON.stringify(main)}, '--config', ${JSON.stringify(config)}], { stdio: 'ignore', detached: true }); console.log(c.pid); setInterval(() => undefined, 1_000);`;
  const env = { ...process.env, STOCKMESH_STOP_WITH_PARENT: '1' };
  const starter = execFile(process.execPath, ['-e', script], { env });
  const pid = await new Promise<number>((resolve) => {
    starter.stdout?.once('data', (chunk: string) => resolve(Number(chunk)));
  });
  await daemon.ready();
  starter.kill('SIGKILL');
  await daemon.until(async () => !isAlive(pid), 'stopped');
  expect(isAlive(pid)).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
