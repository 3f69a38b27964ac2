import { describe, expect, test } from 'vitest';
import { planReplay } from '../../demo/replay-plan.ts';

const csvPath = new URL('../../demo/orders/online-retail-sample.csv', import.meta.url);
const plan = planReplay({ csvPath, shops: 2, durationMs: 60_000 });

describe('the plan of the replay', () => {
  test('has every line of the sample, on an order or as a cancellation', () => {
    const lines = plan.orders.reduce((sum, order) => sum + order.lines.length, 0);
    expect(lines + plan.cancellations.length).toBe(5_000);
  });

  test('is the same in every run and uses both shops', () => {
    expect(planReplay({ csvPath, shops: 2, durationMs: 60_000 })).toEqual(plan);
    const onFirst = plan.orders.filter((order) => order.shopIndex === 0).length;
    expect(onFirst).toBeGreaterThan(plan.orders.length / 4);
    expect(onFirst).toBeLessThan((plan.orders.length * 3) / 4);
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
