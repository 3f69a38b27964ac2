import { setTimeout as delay } from 'node:timers/promises';
import type { PlannedCancellation, PlannedOrder, ReplayPlan } from './replay-plan.ts';
import type { ShelfClock } from './shelf-clock.ts';
import { buy, type DemoShops, giveBack } from './shops.ts';

export interface Tally {
  phase: string;
  readonly startedMs: number;
  orders: number;
  refusedLines: number;
  cancellations: number;
  /** Net units sold over all shops, per SKU. */
  readonly sold: Map<string, number>;
}

type PlannedEvent =
  | { readonly kind: 'order'; readonly atMs: number; readonly order: PlannedOrder }
  | { readonly kind: 'cancellation'; readonly atMs: number; readonly cancellation: PlannedCancellation };

function eventsOf(plan: ReplayPlan): readonly PlannedEvent[] {
  const orders = plan.orders.map((order): PlannedEvent => ({ kind: 'order', atMs: order.atMs, order }));
  const cancellations = plan.cancellations.map((cancellation): PlannedEvent => ({
    kind: 'cancellation',
    atMs: cancellation.atMs,
    cancellation,
  }));
  return [...orders, ...cancellations].toSorted((a, b) => a.atMs - b.atMs);
}

/** Feeds the clock with what writes of ours (and nobody else's changes) do to each shop's numbers. */
export function watchShelves({ sandbox, shops }: DemoShops, shelf: ShelfClock): void {
  const shown = new Map<string, number>();
  const indexOf = new Map(shops.map((shop, index) => [shop.domain, index]));
  for (const [index, shop] of shops.entries()) {
    for (const { sku } of shop.inventory.items.values())
      if (sku !== null) shown.set(`${index} ${sku}`, shop.available(sku));
  }
  sandbox.onLevelChange((change) => {
    const shop = indexOf.get(change.shop);
    if (shop === undefined || change.sku === null) return;
    const key = `${shop} ${change.sku}`;
    const delta = change.available - (shown.get(key) ?? change.available);
    shown.set(key, change.available);
    if (change.cause === 'api') shelf.written(shop, change.sku, delta, performance.now());
  });
}

/** Plays the plan in real time; `halfway` is called once, in the middle. */
export async function replay(
  { shops }: DemoShops,
  plan: ReplayPlan,
  durationMs: number,
  tally: Tally,
  shelf: ShelfClock,
  halfway: () => void,
): Promise<void> {
  const startedMs = performance.now();
  let isHalfway = false;
  for (const event of eventsOf(plan)) {
    const waitMs = startedMs + event.atMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    if (!isHalfway && event.atMs > durationMs / 2) {
      isHalfway = true;
      halfway();
    }
    const change = (sku: string, units: number): void => {
      tally.sold.set(sku, (tally.sold.get(sku) ?? 0) + units);
    };
    if (event.kind === 'cancellation') {
      const { sku, units } = event.cancellation;
      const shop = giveBack(shops, event.cancellation);
      if (shop === undefined) continue;
      tally.cancellations += 1;
      change(sku, -units);
      shelf.gaveBack(shop, sku, units);
      continue;
    }
    const { shopIndex } = event.order;
    const shop = shops[shopIndex];
    if (shop === undefined) continue;
    const soldAtMs = performance.now();
    const { sales, refusedLines } = buy(shop, event.order);
    tally.refusedLines += refusedLines;
    if (sales.length > 0) tally.orders += 1;
    for (const { sku, units } of sales) {
      change(sku, units);
      shelf.sold(shopIndex, sku, units, soldAtMs);
    }
  }
}
