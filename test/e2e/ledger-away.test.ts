import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
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
  for (const sku of ['ASK-1', 'DENY-1']) shop.addItem({ sku, quantities: 11 });
  daemon = await DaemonUnderTest.make({
    shops: [shop],
    config: {
      catalogue: {
        categories: [
          { name: 'asked', skus: ['ASK-*'], consistency: 'relaxed' },
          { name: 'denied', skus: ['DENY-*'], consistency: 'strict' },
        ],
      },
      reservations: {
        availability: { ledgerAway: { strict: 'deny', relaxed: 'source' }, sourceTimeoutMs: 20_000 },
      },
    },
  });
  daemon.start();
  await daemon.ready();
  await daemon.connected(2);
}, 120_000);
afterAll(async () => {
  await daemon.remove();
  await sandbox.stop();
});

interface Item {
  readonly sku: string;
  readonly available: number | null;
  readonly status: string;
  readonly source: string;
  readonly policy: string | null;
}

async function told(sku: string): Promise<Item | undefined> {
  const response = await fetch(`${daemon.privateUrl}/inventory/v1/availability?sku=${sku}`);
  return ((await response.json()) as { items: Item[] }).items[0];
}

test('the ledger away: reservations are denied, availability follows the category, down to the shop itself', async () => {
  await daemon.until(async () => (await told('ASK-1'))?.available === 11, 'opened');
  const pid = Number(await readFile(join(daemon.dir, 'state/redis/redis.pid'), 'utf8'));
  process.kill(pid, 'SIGSTOP');
  try {
    await daemon.until(async () => (await told('DENY-1'))?.policy === 'deny', 'the copy counts as old');
    expect(await told('DENY-1')).toMatchObject({ available: null, status: 'unknown', source: 'none' });
    // Somebody buys in the shop, which the daemon cannot book: the shop's own number says it.
    shop.placeOrder({ lines: [{ sku: 'ASK-1', quantity: 4 }] });
    await daemon.until(async () => (await told('ASK-1'))?.available === 7, 'the shop was asked');
    expect(await told('ASK-1')).toMatchObject({ available: 7, source: 'channel', policy: 'source' });
    const reserve = await fetch(`${daemon.privateUrl}/inventory/v1/reservations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sku: 'ASK-1', quantity: 1 }),
    });
    expect([reserve.status, reserve.headers.get('retry-after')]).toEqual([503, expect.any(String)]);
    expect(((await reserve.json()) as { code: string }).code).toMatch(/^(?:LEDGER|REDIS)_/);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await daemon.until(async () => (await told('ASK-1'))?.source === 'copy', 'the ledger is back', 90_000);
  await daemon.until(async () => (await told('ASK-1'))?.available === 7, 'the order was booked', 90_000);
  expect(await daemon.findings()).toEqual([]);
}, 240_000);
