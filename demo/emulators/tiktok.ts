import { ExposureCount } from '../../sandbox/exposure-count.ts';
import { type TiktokSandbox, startTiktokSandbox } from '../../sandbox/tiktok/server.ts';
import type { SandboxTiktokShop } from '../../sandbox/tiktok/shop.ts';
import {
  type EmulatedPlatform,
  type EmulationOptions,
  type SellingChannel,
  ShownNumbers,
  cartOf,
} from '../selling-channel.ts';

export interface EmulatedTiktok extends EmulatedPlatform {
  readonly sandbox: TiktokSandbox;
  readonly shop: SandboxTiktokShop;
  /** What its writes left exposed. */
  readonly exposure: ExposureCount;
}

/** TikTok's writes go to products, not to SKUs. */
const skusPerProduct = 10;

/** One TikTok shop that lists the SKUs it has stock of, as variants of products. */
export async function emulateTiktok({
  stock,
  seed,
  rateLimits,
  isRough,
}: EmulationOptions): Promise<EmulatedTiktok> {
  const sandbox = await startTiktokSandbox({ seed });
  const shop = sandbox.addShop({
    settings: {
      requestsPerS: rateLimits === 'published' ? 50 : null,
      applyDelayMs: { min: 0, max: 100 },
      searchLagMs: { min: 0, max: 1_000 },
    },
  });
  const skus = [...stock].map(([sku, quantities]) => ({ sku, quantities }));
  for (let from = 0; from < skus.length; from += skusPerProduct)
    shop.inventory.addProduct({ skus: skus.slice(from, from + skusPerProduct) });
  if (isRough) {
    shop.setWebhookBehaviour({
      delayMs: { min: 0, max: 400 },
      duplicateProbability: 0.1,
      lossProbability: 0.05,
    });
  }
  return {
    sandbox,
    shop,
    channels: [channelOf(sandbox, shop, new Set(stock.keys()))],
    config: [
      {
        id: 'tiktok',
        platform: 'tiktok',
        mode: 'live',
        shop: shop.id,
        baseUrl: sandbox.url,
        credentials: {
          kind: 'refresh-token',
          appKey: shop.appKey,
          appSecret: 'file:tiktok.secret',
          refreshToken: 'file:tiktok.refresh',
        },
        ...(rateLimits === 'none' ? { pace: { writesPerS: 1_000, readsPerS: 1_000 } } : {}),
        timing: { readLagMs: 200, applyGraceMs: 300, longestApplyMs: 5_000 },
        poll: { intervalMs: 5_000, overlapMs: 60_000, indexLagMs: 2_000 },
      },
    ],
    secrets: { 'tiktok.secret': shop.appSecret, 'tiktok.refresh': shop.tokens.issue().refreshToken },
    exposure: exposureOf(sandbox, shop, stock.keys()),
    violations: () => sandbox.violations().map(({ kind, detail }) => ({ where: 'tiktok', kind, detail })),
    stop: () => sandbox.stop(),
  };
}

function exposureOf(sandbox: TiktokSandbox, shop: SandboxTiktokShop, skus: Iterable<string>): ExposureCount {
  const count = new ExposureCount();
  const numbers = new ShownNumbers();
  for (const sku of skus) numbers.set(sku, shop.available(sku));
  shop.inventory.onRead = ({ sellerSku }) => count.read(sellerSku, Date.now());
  sandbox.onLevelChange(({ at, sku, available, cause }) => {
    const change = numbers.change(sku, available);
    if (cause === 'inventory-update') count.applied(sku, at, available);
    else count.taken(sku, at, -change);
  });
  return count;
}

function channelOf(
  sandbox: TiktokSandbox,
  shop: SandboxTiktokShop,
  skus: ReadonlySet<string>,
): SellingChannel {
  const shown = (sku: string): number => shop.available(sku);
  return {
    id: 'tiktok',
    platform: 'tiktok',
    skus,
    shown,
    buy(lines) {
      const cart = cartOf(lines, shown);
      if (cart.sales.length === 0) return cart;
      const placed = shop.orders.place({
        lines: cart.sales.map(({ sku, units }) => ({ sku, quantity: units })),
      });
      if (placed.kind === 'refused') return { sales: [], refusedLines: lines.length };
      shop.orders.pay(placed.order);
      return cart;
    },
    giveBack(sku, units) {
      for (const order of [...shop.orders.orders.values()].toReversed()) {
        // One line is one unit.
        const lines = order.lines.filter(
          (line) => line.sku.sellerSku === sku && line.status === 'AWAITING_SHIPMENT',
        );
        if (lines.length < units) continue;
        shop.orders.cancel(
          order,
          lines.slice(0, units).map(({ id }) => id),
        );
        return true;
      }
      return false;
    },
    onWrite(listener) {
      const numbers = new ShownNumbers();
      for (const sku of skus) numbers.set(sku, shown(sku));
      sandbox.onLevelChange(({ skuId, available, cause }) => {
        const sku = shop.inventory.sku(skuId).sellerSku;
        const change = numbers.change(sku, available);
        if (cause === 'inventory-update') listener(sku, change);
      });
    },
  };
}
