import { type ShopifySandbox, startShopifySandbox } from '../sandbox/shopify/server.ts';
import type { SandboxShop } from '../sandbox/shopify/shop.ts';
import type { PlannedCancellation, PlannedOrder, ReplayPlan } from './replay-plan.ts';

export interface DemoShops {
  readonly sandbox: ShopifySandbox;
  readonly shops: readonly SandboxShop[];
}

export const shopNames = ['north', 'south'] as const;

/** Two shops of one merchant that sell the same goods from the same stock room. */
export async function openShops(plan: ReplayPlan, isRough: boolean): Promise<DemoShops> {
  const sandbox = await startShopifySandbox({ seed: 20_111_205 });
  const shops = shopNames.map((name) => {
    const shop = sandbox.addShop({
      domain: `${name}-demo.myshopify.com`,
      plan: 'plus',
      locationName: 'Stock room',
    });
    for (const [sku, units] of plan.openingUnits) shop.addItem({ sku, quantities: units, policy: 'DENY' });
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
  return { sandbox, shops };
}

export interface Sale {
  readonly orderId: string;
  readonly sku: string;
  readonly units: number;
}

/**
 * What a storefront's cart does: units that are no longer shown as available are taken out of the cart before
 * paying. Returns what was sold and how many lines were refused as sold out.
 */
export function buy(
  shop: SandboxShop,
  order: PlannedOrder,
): { readonly sales: readonly Sale[]; readonly refusedLines: number } {
  const left = new Map<string, number>();
  const lines = order.lines.filter(({ sku, units }) => {
    const available = left.get(sku) ?? shop.available(sku);
    left.set(sku, available >= units ? available - units : available);
    return available >= units;
  });
  const refusedLines = order.lines.length - lines.length;
  if (lines.length === 0) return { sales: [], refusedLines };
  const placed = shop.placeOrder({ lines: lines.map(({ sku, units }) => ({ sku, quantity: units })) });
  if (placed.kind === 'refused') return { sales: [], refusedLines: order.lines.length };
  return { sales: lines.map(({ sku, units }) => ({ orderId: placed.order.id, sku, units })), refusedLines };
}

/** Gives units back on the newest order that still has that many of the SKU unshipped; the shop it was, if any. */
export function giveBack(
  shops: readonly SandboxShop[],
  cancellation: PlannedCancellation,
): number | undefined {
  for (const [index, shop] of shops.entries()) {
    for (const order of shop.orders().toReversed()) {
      const line = order.lines.find(
        ({ sku, quantity, removed, returned }) =>
          sku === cancellation.sku && quantity - removed - returned >= cancellation.units,
      );
      if (line === undefined) continue;
      shop.refund(order.id, {
        lines: [{ lineId: line.id, quantity: cancellation.units, restockType: 'CANCEL' }],
      });
      return index;
    }
  }
  return undefined;
}
