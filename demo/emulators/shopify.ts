import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import {
  type EmulatedPlatform,
  type EmulationOptions,
  type SellingChannel,
  ShownNumbers,
  cartOf,
} from '../selling-channel.ts';

export interface EmulatedShopify extends EmulatedPlatform {
  readonly sandbox: ShopifySandbox;
  readonly shops: readonly SandboxShop[];
}

/** Shops of one merchant that sell the same goods from the same stock room; each is a channel under its name. */
export async function emulateShopify(
  names: readonly string[],
  { stock, seed, rateLimits, isRough }: EmulationOptions,
): Promise<EmulatedShopify> {
  const sandbox = await startShopifySandbox({ seed });
  const shops = names.map((name) => {
    const shop = sandbox.addShop({
      domain: `${name}.myshopify.com`,
      plan: 'plus',
      rateLimit: rateLimits === 'published',
      locationName: 'Stock room',
    });
    for (const [sku, quantities] of stock) shop.addItem({ sku, quantities, policy: 'DENY' });
    // Shopify's order search is behind the orders it finds.
    shop.settings.searchLagMs = { min: 0, max: 1_000 };
    if (isRough) {
      shop.setWebhookBehaviour({
        delayMs: { min: 0, max: 400 },
        duplicateProbability: 0.1,
        lossProbability: 0.05,
      });
    }
    return shop;
  });
  return {
    sandbox,
    shops,
    channels: shops.map((shop) => channelOf(sandbox, shop, new Set(stock.keys()))),
    config: shops.map((shop) => ({
      id: shop.name,
      platform: 'shopify',
      mode: 'live',
      shop: shop.domain,
      baseUrl: shop.baseUrl,
      credentials: {
        kind: 'client-credentials',
        clientId: shop.tokens.app.clientId,
        clientSecret: `file:${shop.name}.secret`,
      },
      webhookSecrets: [`file:${shop.name}.secret`],
      poll: { intervalMs: 5_000, overlapMs: 60_000, indexLagMs: 2_000 },
    })),
    secrets: Object.fromEntries(
      shops.map((shop) => [`${shop.name}.secret`, shop.tokens.app.clientSecret] as const),
    ),
    violations: () => sandbox.violations().map(({ shop: where, kind, detail }) => ({ where, kind, detail })),
    stop: () => sandbox.stop(),
  };
}

function channelOf(sandbox: ShopifySandbox, shop: SandboxShop, skus: ReadonlySet<string>): SellingChannel {
  return {
    id: shop.name,
    platform: 'shopify',
    skus,
    shown: (sku) => shop.available(sku),
    buy(lines) {
      const cart = cartOf(lines, (sku) => shop.available(sku));
      if (cart.sales.length === 0) return cart;
      const placed = shop.placeOrder({
        lines: cart.sales.map(({ sku, units }) => ({ sku, quantity: units })),
      });
      return placed.kind === 'refused' ? { sales: [], refusedLines: lines.length } : cart;
    },
    giveBack(sku, units) {
      for (const order of shop.orders().toReversed()) {
        const line = order.lines.find(
          (candidate) =>
            candidate.sku === sku && candidate.quantity - candidate.removed - candidate.returned >= units,
        );
        if (line === undefined) continue;
        shop.refund(order.id, { lines: [{ lineId: line.id, quantity: units, restockType: 'CANCEL' }] });
        return true;
      }
      return false;
    },
    onWrite(listener) {
      const shown = new ShownNumbers();
      for (const sku of skus) shown.set(sku, shop.available(sku));
      sandbox.onLevelChange(({ shop: domain, sku, available, cause }) => {
        if (domain !== shop.domain || sku === null) return;
        const change = shown.change(sku, available);
        if (cause === 'api') listener(sku, change);
      });
    },
  };
}
