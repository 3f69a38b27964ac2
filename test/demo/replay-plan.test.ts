import { describe, expect, test } from 'vitest';
import { planReplay } from '../../demo/replay-plan.ts';

const csvPath = new URL('../../demo/orders/online-retail-sample.csv', import.meta.url);
const adjustmentsPath = new URL('../../demo/orders/online-retail-adjustments.csv.gz', import.meta.url);
const channel = { weight: 1, maxLines: 2_000, hearsWithinMs: 4_000 };
const options = {
  csvPath,
  adjustmentsPath,
  channels: [
    { ...channel, id: 'shop' },
    { ...channel, id: 'market', maxLines: 20 },
  ],
  durationMs: 60_000,
  maxAdjustments: 100,
};
const plan = planReplay(options);

describe('the plan of the replay', () => {
  test('has every line of the sample, on an order or as a cancellation', () => {
    const lines = plan.orders.reduce((sum, order) => sum + order.lines.length, 0);
    expect(lines + plan.cancellations.length).toBe(5_000);
  });

  test('is the same in every run and uses both channels, the second for small orders only', () => {
    expect(planReplay(options)).toEqual(plan);
    const market = plan.orders.filter((order) => order.channel === 'market');
    expect(market.length).toBeGreaterThan(plan.orders.length / 6);
    expect(market.length).toBeLessThan(plan.orders.length / 2);
    expect(Math.max(...market.map(({ lines }) => lines.length))).toBeLessThanOrEqual(20);
    expect(plan.soldOn.get('market')?.size).toBeLessThan(plan.openingUnits.size / 2);
  });

  test('has real adjustments of SKUs that are sold, and stock for what is written off', () => {
    expect(plan.adjustments).toHaveLength(100);
    for (const { sku } of plan.adjustments) expect(plan.openingUnits.has(sku)).toBe(true);
    expect(plan.adjustments.some(({ units }) => units < 0)).toBe(true);
    expect(plan.adjustments.some(({ units }) => units > 0)).toBe(true);
    for (const { sku, units } of plan.adjustments)
      if (units < 0) expect(plan.scarceSkus.has(sku)).toBe(false);
  });

  test('keeps the order of time and stays within its length', () => {
    const moments = plan.orders.map((order) => order.atMs);
    expect(moments).toEqual(moments.toSorted((a, b) => a - b));
    expect(moments.at(-1)).toBeLessThanOrEqual(60_000);
  });

  test('gives scarce SKUs less than is asked for, and the others enough', () => {
    const demand = new Map<string, number>();
    for (const { lines } of plan.orders)
      for (const { sku, units } of lines) demand.set(sku, (demand.get(sku) ?? 0) + units);
    expect(plan.scarceSkus.size).toBeGreaterThan(50);
    for (const [sku, units] of demand) {
      const opening = plan.openingUnits.get(sku) ?? 0;
      if (plan.scarceSkus.has(sku)) expect(opening).toBeLessThanOrEqual(units);
      else expect(opening).toBeGreaterThanOrEqual(units);
    }
  });
});
