import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { type AppliedLine, type SeenCounters, mergeLine, nothingApplied } from '../../src/domain/merge.ts';
import { type LineCounters, counterNames, noUnits } from '../../src/domain/order.ts';

const units = fc.integer({ min: 0, max: 5 });
const increments: fc.Arbitrary<LineCounters> = fc.record({
  ordered: units,
  cancelled: units,
  writtenOff: units,
  shipped: units,
  restocked: units,
  takenOut: units,
  givenBack: units,
});

/** A platform whose counters only grow, seen at moments by fetches and by deliveries that arrive late. */
const growingHistory = fc
  .array(fc.record({ step: increments, isFetch: fc.boolean(), lateMs: fc.integer({ min: 0, max: 50 }) }), {
    minLength: 1,
    maxLength: 8,
  })
  .map((moments) => {
    let counters: LineCounters = noUnits;
    return moments.map(({ step, isFetch, lateMs }, index): SeenCounters => {
      counters = add(counters, step);
      const atMs = (index + 1) * 10;
      // A fetch may have begun before its content was read, never after it.
      return isFetch
        ? { counters, source: 'fetch', beganAtMs: atMs }
        : { counters, source: 'push', beganAtMs: atMs + lateMs };
    });
  });

describe('merging order lines', () => {
  it('comes to the same counters whatever the order, the repetition and the delay of the snapshots', () => {
    fc.assert(
      fc.property(
        growingHistory.chain((history) =>
          fc.tuple(
            fc.constant(history),
            fc.shuffledSubarray([...history, ...history], {
              minLength: history.length * 2,
              maxLength: history.length * 2,
            }),
          ),
        ),
        ([history, arrivals]) => {
          expect(applyAll(arrivals).counters).toEqual(history.at(-1)?.counters);
        },
      ),
    );
  });

  it('never lowers a counter for a delivery', () => {
    fc.assert(
      fc.property(increments, increments, fc.integer({ min: 0, max: 100 }), (first, second, beganAtMs) => {
        const before = applyAll([{ counters: first, source: 'fetch', beganAtMs: 50 }]);
        const { line } = mergeLine(before, { counters: second, source: 'push', beganAtMs });
        for (const name of counterNames)
          expect(line.counters[name]).toBe(Math.max(first[name], second[name]));
      }),
    );
  });

  it('accounts for every change by its differences', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            counters: increments,
            source: fc.constantFrom('fetch' as const, 'push' as const),
            beganAtMs: units,
          }),
        ),
        (arrivals) => {
          const sums: Record<string, number> = { ...noUnits };
          let line: AppliedLine = nothingApplied;
          for (const seen of arrivals) {
            const merged = mergeLine(line, seen);
            for (const { counter, units: change } of merged.differences)
              sums[counter] = (sums[counter] ?? 0) + change;
            line = merged.line;
          }
          expect(sums).toEqual(line.counters);
        },
      ),
    );
  });

  it('lowers a counter only for a fetch that began after the value was set', () => {
    const two = applyAll([{ counters: ordered(2), source: 'push', beganAtMs: 100 }]);
    const early = mergeLine(two, { counters: ordered(1), source: 'fetch', beganAtMs: 100 });
    expect(early).toMatchObject({ line: { counters: { ordered: 2 } }, differences: [], refusedFalls: 1 });
    const later = mergeLine(two, { counters: ordered(1), source: 'fetch', beganAtMs: 101 });
    expect(later.differences).toEqual([{ counter: 'ordered', units: -1 }]);
  });

  it('does not believe a late fetch that was answered with an early state of the order', () => {
    const cancelled = applyAll([
      { counters: { ...ordered(2), cancelled: 2, givenBack: 2 }, source: 'push', beganAtMs: 100 },
    ]);
    const behind = mergeLine(cancelled, {
      counters: ordered(2),
      source: 'fetch',
      beganAtMs: 500,
      isOlder: true,
    });
    expect(behind).toMatchObject({ differences: [], refusedFalls: 2 });
  });

  it('does not let a slow fetch undo what a later one has confirmed', () => {
    const confirmed = applyAll([
      { counters: ordered(2), source: 'push', beganAtMs: 100 },
      { counters: ordered(2), source: 'fetch', beganAtMs: 300 },
    ]);
    expect(
      mergeLine(confirmed, { counters: ordered(1), source: 'fetch', beganAtMs: 200 }).differences,
    ).toEqual([]);
  });
});

function applyAll(arrivals: readonly SeenCounters[]): AppliedLine {
  return arrivals.reduce((line, seen) => mergeLine(line, seen).line, nothingApplied);
}

function ordered(count: number): LineCounters {
  return { ...noUnits, ordered: count };
}

function add(left: LineCounters, right: LineCounters): LineCounters {
  const sum: Record<string, number> = {};
  for (const name of counterNames) sum[name] = left[name] + right[name];
  return { ...noUnits, ...sum };
}
