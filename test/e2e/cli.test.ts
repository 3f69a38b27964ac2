import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import { DaemonUnderTest } from './daemon.ts';

const cli = new URL('../../src/cli.ts', import.meta.url).pathname;
let sandbox: ShopifySandbox;
let daemon: DaemonUnderTest;

beforeAll(async () => {
  sandbox = await startShopifySandbox();
  const shop = sandbox.addShop({ domain: 'shop-a.myshopify.com', plan: 'plus' });
  shop.addItem({ sku: 'a b', quantities: 10 });
  shop.addItem({ sku: '', quantities: 10 });
  daemon = await DaemonUnderTest.make({ shops: [shop] });
}, 120_000);

afterAll(async () => {
  await daemon.remove();
  await sandbox.stop();
});

function run(...args: readonly string[]): Promise<{ code: number; out: string; error: string }> {
  const config = join(daemon.dir, 'stockmesh.yaml');
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args, '--config', config], (failure, out, error) => {
      resolve({ code: failure === null ? 0 : Number(failure.code), out, error });
    });
  });
}

test('what is no command is refused with the list of commands', async () => {
  for (const args of [
    ['sell'],
    ['parked', 'eat'],
    ['parked', 'retry'],
    ['--nonsense'],
    ['stock', '--check'],
  ]) {
    const refused = await run(...args);
    expect(refused.code).toBe(2);
    expect(refused.error).toContain('parked retry ID');
  }
}, 120_000);

test('without a daemon it says so and ends with 1', async () => {
  const refused = await run('channels');
  expect(refused.code).toBe(1);
  expect(refused.error).toContain('does not answer');
});

test('asks the running daemon', async () => {
  expect(await run('check')).toMatchObject({ code: 0 });
  daemon.start();
  await daemon.ready();
  await daemon.connected(1);
  expect((await run('channels')).out).toContain('status=ok');
  expect((await run('circuit', 'shop-a', 'open')).out).toContain('circuit=held-open');
  expect((await run('channels')).out).toContain('heldOpenBy=operator:');
  expect((await run('circuit', 'shop-a', 'close')).out).toContain('circuit=closed');
  expect(await run('circuit', 'nowhere')).toMatchObject({ code: 1 });
  const stock = JSON.parse((await run('stock', 'a b', '--json')).out) as unknown;
  expect(stock).toMatchObject([{ sku: 'a b', available: 10 }]);
  expect(JSON.parse((await run('position', '--json')).out)).toMatchObject({ seq: expect.any(Number) });
  expect((await run('explain', 'a b')).out).toContain('a b  available 10  newest entry');
  expect(await run('explain', 'a b', '--at', 'yesterday')).toMatchObject({ code: 1 });
  expect((await run('export', 'history')).out).toMatch(/^sequence,at,sku,[^]*,a b,main,/);
  expect(await run('export', 'sync', '--sku', 'X')).toMatchObject({ code: 2 });
  const made = JSON.parse((await run('report', 'make', '--json')).out) as { id: string };
  expect((await run('report')).out).toContain(`id=${made.id}`);
  expect((await run('report', 'show', made.id, '--format', 'html')).out).toContain('Stock report: e2e');
  expect((await run('report', 'show', 'nothing')).code).toBe(1);
  expect((await run('ledger')).out).toContain('halted=null');
  const verified = await run('ledger', 'verify', '--json');
  expect(verified.code).toBe(0);
  expect(JSON.parse(verified.out)).toMatchObject({ findings: [] });
  const [open] = JSON.parse((await run('mapping', '--json')).out) as { item: string }[];
  expect(open).toMatchObject({ channel: 'shop-a', sku: '', by: 'unmapped', reason: 'sku is missing' });
  const file = join(daemon.dir, 'mapping.csv');
  await writeFile(file, (await run('mapping', 'export')).out.replace(/,,unmapped,/, ',NIB,,'));
  const refused = await run('mapping', 'import', file);
  expect(refused).toMatchObject({
    code: 1,
    error: expect.stringMatching(/line \d: the SKU "NIB" is not known/),
  });
  const told = await run('mapping', 'import', file, '--new-skus', '--dry-run');
  expect(told.out).toContain('outcome=would-change  changed=1  unchanged=1');
  expect((await run('mapping', 'import', file, '--new-skus')).out).toContain('outcome=changed  changed=1');
  // The listing is the SKU from now on: its number becomes the opening figure, and nothing waits any more.
  await daemon.until(async () => (await daemon.available('NIB')) === 10, 'mapped');
  expect((await run('mapping')).out).toBe('nothing\n');
  expect((await run('parked')).out).toBe('nothing\n');
  await writeFile(file, `channel,item,sku\nshop-a,${open!.item},\n`);
  expect((await run('mapping', 'import', file)).out).toContain('changed=1');
  await daemon.until(async () => (await run('parked')).out !== 'nothing\n', 'parked again');
  const [parked] = JSON.parse((await run('parked', '--json')).out) as { id: string; what: string }[];
  expect(parked).toMatchObject({ what: 'listing' });
  expect(await run('parked', 'retry', 'nothing:like:this')).toMatchObject({ code: 1 });
  expect(await run('parked', 'discard', parked!.id)).toMatchObject({ code: 0 });
  expect((await run('parked')).out).toBe('nothing\n');
}, 300_000);

test('a Redis that lost everything is rebuilt from the directory, and the shops are asked again', async () => {
  expect(await run('rebuild')).toMatchObject({ code: 73 });
  await daemon.kill('SIGTERM');
  expect((await run('rebuild')).out).toContain('kind=not-empty');
  const checked = await run('rebuild', '--check', '--json');
  expect(checked.code).toBe(0);
  expect(JSON.parse(checked.out)).toMatchObject({ kind: 'checked', findings: [] });
  expect((await run('rebuild', '--into', 'copy')).out).toContain('kind=rebuilt');
  await rm(join(daemon.dir, 'state/redis'), { recursive: true });
  const rebuiltAtMs = Date.now();
  const rebuilt = await run('rebuild', '--json');
  expect(rebuilt.code).toBe(0);
  expect(JSON.parse(rebuilt.out)).toMatchObject({ kind: 'rebuilt', findings: [] });
  sandbox.shop('shop-a.myshopify.com').placeOrder({ lines: [{ sku: 'a b', quantity: 1 }] });
  daemon.start();
  await daemon.ready();
  await daemon.until(async () => (await daemon.available('a b')) === 9, 'counted');
  expect(await daemon.findings()).toEqual([]);
  // Restored data is proven anew: every listing is read, without anybody asking for it.
  await daemon.until(async () => {
    const { runs } = await daemon.get<{ runs: { cause: string; state: string; startedAtMs: number }[] }>(
      '/reconcile/runs?channel=shop-a',
    );
    return runs.some(
      (one) => one.cause === 'epoch' && one.state === 'completed' && one.startedAtMs > rebuiltAtMs,
    );
  }, 'read after the rebuild');
}, 300_000);
