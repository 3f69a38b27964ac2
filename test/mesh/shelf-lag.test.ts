import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareUrgency } from '../../src/domain/urgency.ts';
import { ShelfLag } from '../../src/mesh/shelf-lag.ts';

const anyMs = fc.double({ min: -1e6, max: 1e9, noNaN: false });

test('whatever is measured, it lies within what was measured and between 20 ms and 15 minutes', () => {
  fc.assert(
    fc.property(fc.array(anyMs, { maxLength: 60 }), fc.nat(10_000), (measured, assumedMs) => {
      const lag = new ShelfLag(assumedMs);
      for (const ms of measured) lag.took(ms);
      expect(lag.ms).toBeGreaterThanOrEqual(20);
      expect(lag.ms).toBeLessThanOrEqual(900_000);
      const real = measured
        .filter((ms) => Number.isFinite(ms))
        .map((ms) => Math.min(900_000, Math.max(20, ms)));
      if (real.length < 5) {
        expect(lag.ms).toBe(Math.max(20, assumedMs));
        return;
      }
      expect(lag.ms).toBeGreaterThanOrEqual(Math.min(...real) - 1e-6);
      expect(lag.ms).toBeLessThanOrEqual(Math.max(...real) + 1e-6);
    }),
  );
});

test('it follows the channel: after sixty times another lag it is that lag', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 100_000 }),
      fc.integer({ min: 20, max: 100_000 }),
      (beforeMs, afterMs) => {
        const lag = new ShelfLag(1_000);
        for (let n = 0; n < 40; n++) lag.took(beforeMs);
        expect(lag.ms).toBeCloseTo(beforeMs, 3);
        for (let n = 0; n < 60; n++) lag.took(afterMs);
        expect(Math.abs(lag.ms - afterMs)).toBeLessThanOrEqual(Math.abs(beforeMs - afterMs) * 0.03 + 1e-6);
      },
    ),
  );
});

test('of two listings alike but for the lag, the one on the slower channel is the more urgent', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 400_000 }),
      fc.integer({ min: 1, max: 400_000 }),
      fc.integer({ min: 1, max: 50 }),
      (quickMs, moreMs, target) => {
        const quick = new ShelfLag(quickMs);
        const slow = new ShelfLag(quickMs + moreMs);
        const listing = { target, belief: target + 1, unitsPerHour: 3, seq: 1 };
        const order = compareUrgency({ ...listing, lagMs: slow.ms }, { ...listing, lagMs: quick.ms });
        expect(order).toBeLessThan(0);
      },
    ),
  );
});
