import { setTimeout as delay } from 'node:timers/promises';
import type { FourPlatforms } from './emulators/four-platforms.ts';
import type { PlannedAdjustment, PlannedCancellation, PlannedOrder, ReplayPlan } from './replay-plan.ts';
import type { ShelfClock } from './shelf-clock.ts';

export interface Tally {
  phase: string;
  readonly startedMs: number;
  orders: number;
  refusedLines: number;
  cancellations: number;
  adjustments: number;
  /** Orders per channel. */
  readonly ordersOf: Map<string, number>;
  /** Net units sold over all channels, per SKU. */
  readonly sold: Map<string, number>;
}

type PlannedEvent = { readonly atMs: number } & (
  | { readonly kind: 'order'; readonly order: PlannedOrder }
  | { readonly kind: 'cancellation'; readonly cancellation: PlannedCancellation }
  | { readonly kind: 'adjustment'; readonly adjustment: PlannedAdjustment }
);

function eventsOf(plan: ReplayPlan): readonly PlannedEvent[] {
  const orders = plan.orders.map((order): PlannedEvent => ({ kind: 'order', atMs: order.atMs, order }));
  const cancellations = plan.cancellations.map((cancellation): PlannedEvent => ({
    kind: 'cancellation',
    atMs: cancellation.atMs,
    cancellation,
  }));
  const adjustments = plan.adjustments.map((adjustment): PlannedEvent => ({
    kind: 'adjustment',
    atMs: adjustment.atMs,
    adjustment,
  }));
  return [...orders, ...cancellations, ...adjustments].toSorted((a, b) => a.atMs - b.atMs);
}

/** Feeds the clock with what writes of ours (and nobody else's changes) do to each channel's numbers. */
export function watchShelves({ selling }: Pick<FourPlatforms, 'selling'>, shelf: ShelfClock): void {
  for (const channel of selling)
    channel.onWrite((sku, change) => shelf.written(channel.id, sku, change, performance.now()));
}

/** Plays the plan in real time; `halfway` is called once, in the middle. */
export async function replay(
  platforms: Pick<FourPlatforms, 'selling' | 'wms'>,
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
    switch (event.kind) {
      case 'order':
        buy(platforms, event.order, tally, shelf);
        break;
      case 'cancellation':
        giveBack(platforms, event.cancellation, tally, shelf);
        break;
      case 'adjustment': {
        const { sku, units, note } = event.adjustment;
        platforms.wms.warehouse.adjust(sku, units, note === '' ? {} : { reason: note });
        tally.adjustments += 1;
      }
    }
  }
}

function buy(
  { selling }: Pick<FourPlatforms, 'selling'>,
  order: PlannedOrder,
  tally: Tally,
  shelf: ShelfClock,
): void {
  const channel = selling.find(({ id }) => id === order.channel);
  if (channel === undefined) throw new Error(`no channel ${order.channel}`);
  const soldAtMs = performance.now();
  const { sales, refusedLines } = channel.buy(order.lines);
  tally.refusedLines += refusedLines;
  if (sales.length === 0) return;
  tally.orders += 1;
  tally.ordersOf.set(channel.id, (tally.ordersOf.get(channel.id) ?? 0) + 1);
  for (const { sku, units } of sales) {
    tally.sold.set(sku, (tally.sold.get(sku) ?? 0) + units);
    shelf.sold(channel.id, sku, units, soldAtMs);
  }
}

function giveBack(
  { selling }: Pick<FourPlatforms, 'selling'>,
  { sku, units }: PlannedCancellation,
  tally: Tally,
  shelf: ShelfClock,
): void {
  const channel = selling.find((candidate) => candidate.skus.has(sku) && candidate.giveBack(sku, units));
  if (channel === undefined) return;
  tally.cancellations += 1;
  tally.sold.set(sku, (tally.sold.get(sku) ?? 0) - units);
  shelf.gaveBack(channel.id, sku, units);
}
