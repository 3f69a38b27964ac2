import { afterEach, expect, test } from 'vitest';
import { breaches } from '../../sandbox/posting/breaches.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import type { ExplanationAnswer as Explanation } from '../../src/daemon/verbs/explanation-text.ts';
import { DaemonUnderTest } from './daemon.ts';

let sandbox: ShopifySandbox;
let daemon: DaemonUnderTest;

afterEach(async () => {
  await daemon.remove();
  await sandbox.stop();
});

function addShop(name: string, stock: Readonly<Record<string, number>>): SandboxShop {
  const shop = sandbox.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' });
  for (const [sku, units] of Object.entries(stock)) shop.addItem({ sku, quantities: units });
  return shop;
}

test('a sale in one shop shows in the other; a cancellation gives it back', async () => {
  sandbox = await startShopifySandbox();
  const [a, b] = [addShop('shop-a', { X: 10, Y: 5 }), addShop('shop-b', { X: 10, Y: 5 })];
  daemon = await DaemonUnderTest.make({ shops: [a, b] });
  daemon.start();
  await daemon.ready();
  await daemon.connected(2);
  expect(await daemon.available('X')).toBe(10);
  const sale = a.placeOrder({ lines: [{ sku: 'X', quantity: 3 }] });
  if (sale.kind === 'refused') throw new Error('refused');
  await daemon.until(async () => b.available('X') === 7, 'shown by the other shop');
  expect(await daemon.available('X')).toBe(7);
  b.placeOrder({ lines: [{ sku: 'X', quantity: 2 }] });
  await daemon.until(async () => a.available('X') === 5, 'shown by the first shop');
  a.cancelOrder(sale.order.id, { restock: true });
  await daemon.until(async () => a.available('X') === 8 && b.available('X') === 8, 'given back');
  expect(await daemon.available('X')).toBe(8);
  expect(await daemon.parked()).toEqual([]);

  // Why it is 8, told by the daemon. A write is settled, and its record kept, a moment after the shop shows it.
  const lowered = (of: Explanation) =>
    (of.channels[1]?.lastWrites ?? []).filter(({ kind }) => kind === 'lower');
  let told = await daemon.get<Explanation>('/explain?sku=X');
  await daemon.until(async () => {
    told = await daemon.get<Explanation>('/explain?sku=X');
    const rows = told.channels.flatMap(({ listings }) => listings);
    const isSettled = rows.every(
      (row) => row.belief === 8 && row.openWrites.length + row.hindrances.length === 0,
    );
    return lowered(told).length > 0 && isSettled;
  }, 'writes settled and recorded');
  expect(told).toMatchObject({ available: 8, orders: [{ channel: 'shop-b', units: 2 }], holds: [] });
  expect(told.channels.map(({ channel }) => channel)).toEqual(['shop-a', 'shop-b']);
  for (const { listings } of told.channels)
    expect(listings).toMatchObject([{ belief: 8, target: 8, hindrances: [], openWrites: [] }]);
  expect(lowered(told)).toMatchObject([{ from: 10, to: 7, outcome: 'confirmed' }]);
  const ordered = told.movements.find(({ kind }) => kind === 'ordered');
  const then = await daemon.get<Explanation>(`/explain?sku=X&at=${ordered?.sequence}`);
  expect(then).toMatchObject({ isPast: true, available: 5, orders: [{ units: 3 }, { units: 2 }] });
  for (const what of ['history', 'sync']) {
    // Records of writes are kept a moment after the write.
    await daemon.until(async () => {
      const csv = await (await fetch(`${daemon.privateUrl}/exports/${what}`)).text();
      return csv.split('\r\n').length > 4;
    }, `${what} exported`);
  }
  expect(breaches(sandbox.violations())).toEqual([]);
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
});

test.each(['observe', 'dry-run'])(
  'in mode %s orders count, writes are computed, and nothing is written',
  async (mode) => {
    sandbox = await startShopifySandbox();
    const [a, b] = [addShop('shop-a', { X: 10 }), addShop('shop-b', { X: 10 })];
    daemon = await DaemonUnderTest.make({ shops: [a, b], channel: { mode } });
    daemon.start();
    await daemon.ready();
    await daemon.connected(1);
    a.placeOrder({ lines: [{ sku: 'X', quantity: 3 }] });
    await daemon.until(async () => (await daemon.available('X')) === 7, 'counted');
    await daemon.until(
      async () => (await daemon.channels()).some((channel) => Number(channel['planned']) > 0),
      'planned',
    );
    expect(b.available('X')).toBe(10);

    const plan = await (await fetch(`${daemon.privateUrl}/channels/shop-b/plan`)).json();
    expect(plan).toMatchObject({
      mode,
      lowered: 1,
      unitsAtRisk: 3,
      writes: [{ sku: 'X', from: 10, to: 7, unitsAtRisk: 3 }],
    });
    const live = await fetch(`${daemon.privateUrl}/channels/shop-b/mode`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ mode: 'live', actor: 'test' }),
    });
    expect(await live.json()).toMatchObject({ mode: 'live', configured: mode, changedBy: 'test' });
    await daemon.until(async () => b.available('X') === 7, 'written once it is live');
    expect(a.available('X')).toBe(7);
    expect(breaches(sandbox.violations())).toEqual([]);
  },
);

test('a channel that is off takes nothing, and others do not miss it', async () => {
  sandbox = await startShopifySandbox();
  const [a, b] = [addShop('shop-a', { X: 10 }), addShop('shop-b', { X: 10 })];
  daemon = await DaemonUnderTest.make({ shops: [a, b] });
  await daemon.changeConfig((config) => {
    (config['channels'] as Record<string, unknown>[])[0]!['mode'] = 'off';
  });
  daemon.start();
  await daemon.ready();
  await daemon.until(async () => (await daemon.available('X')) === 10, 'opened by the other shop');
  const refused = await fetch(`${daemon.publicUrl}/webhooks/shopify/shop-a`, { method: 'POST', body: '{}' });
  expect(refused.status).toBe(404);
  expect((await daemon.channels()).map(({ status }) => status)).toEqual(['off', 'ok']);
});

test('shops that disagree at the start end at the first one, and more than there is is never shown', async () => {
  sandbox = await startShopifySandbox();
  const [a, b] = [addShop('shop-a', { X: 4, Y: 9 }), addShop('shop-b', { X: 10, Y: 2 })];
  daemon = await DaemonUnderTest.make({ shops: [a, b] });
  daemon.start();
  await daemon.ready();
  await daemon.connected(2);
  await daemon.until(async () => b.available('X') === 4 && b.available('Y') === 9, 'agreed');
  expect([a.available('X'), a.available('Y')]).toEqual([4, 9]);
  expect(breaches(sandbox.violations())).toEqual([]);
});

test('sales while the daemon still reads the shop are counted once', async () => {
  sandbox = await startShopifySandbox();
  const [a, b] = [addShop('shop-a', { X: 50 }), addShop('shop-b', { X: 50 })];
  daemon = await DaemonUnderTest.make({ shops: [a, b] });
  daemon.start();
  // The shops sell on while they are connected; what each sold meanwhile is subtracted exactly once.
  let sold = 0;
  const selling = setInterval(() => {
    if (sold >= 20) return;
    (sold % 2 === 0 ? a : b).placeOrder({ lines: [{ sku: 'X', quantity: 1 }] });
    sold++;
  }, 100);
  await daemon.ready();
  await daemon.connected(1);
  await daemon.until(async () => sold === 20, 'sold');
  clearInterval(selling);
  // Each has sold ten: before anything is written they show the same number by chance, so the ledger has to as well.
  let available: number | undefined;
  const agreed = async (): Promise<boolean> => {
    available = await daemon.available('X');
    return a.available('X') === available && b.available('X') === available;
  };
  await daemon.until(agreed, 'agreed', 30_000);
  // Sales of the second shop before it was connected are no business of the ledger's: at most those are missing.
  expect(available).toBeGreaterThanOrEqual(30);
  expect(available).toBeLessThanOrEqual(40);
});

test('the log can lose its reader', async () => {
  sandbox = await startShopifySandbox();
  const a = addShop('shop-a', { X: 10 });
  daemon = await DaemonUnderTest.make({ shops: [a] });
  daemon.start();
  await daemon.ready();
  await daemon.connected(1);
  daemon.closeOutput();
  a.placeOrder({ lines: [{ sku: 'X', quantity: 1 }] });
  await daemon.until(async () => (await daemon.available('X')) === 9, 'counted');
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
});
