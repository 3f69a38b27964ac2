import { expect, test } from 'vitest';
import type { ListingId, Sku } from '../../src/domain/ids.ts';
import type { Movement } from '../../src/domain/movement.ts';
import { slopeOf } from '../../src/mesh/freshness-metrics.ts';
import { ReadBackClock } from '../../src/mesh/read-back-clock.ts';
import { SkuVelocity } from '../../src/mesh/sku-velocity.ts';

const [x, y] = ['x', 'y'] as ListingId[] as [ListingId, ListingId];
const hourMs = 3_600_000;

function clock(): { clock: ReadBackClock; seen: number[]; at: (ms: number) => void } {
  let nowMs = 0;
  const seen: number[] = [];
  const made = new ReadBackClock(
    (ms) => seen.push(ms),
    () => nowMs,
  );
  return { clock: made, seen, at: (ms) => (nowMs = ms) };
}

test('a write is read back when a reading shows it or less; an older number shows nothing', () => {
  const { clock: reads, seen, at } = clock();
  reads.written(x, 4, 100);
  at(300);
  reads.shown(x, 5);
  reads.shown(y, 0);
  expect(seen).toEqual([]);
  at(500);
  reads.shown(x, 3);
  reads.shown(x, 3);
  expect(seen).toEqual([400]);
});

test('what was never shown keeps its sale; what no sale caused is not measured', () => {
  const { clock: reads, seen, at } = clock();
  reads.written(x, 9, undefined);
  reads.shown(x, 9);
  reads.written(x, 4, 100);
  reads.written(x, 2, 700);
  at(1_000);
  reads.shown(x, 4);
  expect(seen).toEqual([]);
  reads.shown(x, 2);
  expect(seen).toEqual([900]);
});

test('the backlog of a publisher that keeps up has no slope, of one that does not a positive one', () => {
  const at = (backlogs: readonly number[]) =>
    slopeOf(backlogs.map((backlog, index) => ({ atMs: index * 5_000, backlog })));
  expect(at([7, 9])).toBe(0);
  expect(at([3, 3, 3, 3])).toBe(0);
  expect(at([0, 10, 20, 30])).toBeCloseTo(2);
  expect(at([30, 20, 10, 0])).toBeCloseTo(-2);
});

function entry(kind: Movement['kind'], sku: string, units: number, atMs: number): Movement {
  return { kind, sku, units, atMs } as Movement;
}

test('velocity counts what sells on any channel, forgets it in time, and is not slowed by what comes back', () => {
  const velocity = new SkuVelocity();
  const of = (sku: string, nowMs: number) => velocity.unitsPerHour(sku as Sku, nowMs);
  expect(of('A', 0)).toBe(0);
  // A unit a minute for three hours, on two channels in turn.
  const sales = Array.from({ length: 180 }, (_, minute) => entry('ordered', 'A', 1, minute * 60_000));
  velocity.onEntries(sales);
  expect(of('A', 3 * hourMs)).toBeGreaterThan(54);
  expect(of('A', 3 * hourMs)).toBeLessThan(66);
  velocity.onEntries([
    entry('cancelled', 'A', 100, 3 * hourMs),
    entry('received', 'B', 1_000, 3 * hourMs),
    entry('held', 'C', 5, 3 * hourMs),
  ]);
  expect(of('A', 3 * hourMs)).toBeGreaterThan(54);
  expect(of('B', 3 * hourMs)).toBe(0);
  expect(of('C', 3 * hourMs)).toBeGreaterThan(0);
  expect(of('A', 6 * hourMs)).toBeLessThan(2);
});
