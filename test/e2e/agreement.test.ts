import { afterEach, expect, test } from 'vitest';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
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
  expect(sandbox.violations()).toEqual([]);
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
});
