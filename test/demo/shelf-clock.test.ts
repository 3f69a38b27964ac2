import { expect, test } from 'vitest';
import { ShelfClock } from '../../demo/shelf-clock.ts';

test("a shop's own sale is not taken for news from the other shop", () => {
  const clock = new ShelfClock(2);
  clock.sold(0, 'a', 2, 0);
  clock.sold(1, 'a', 5, 1);
  expect(clock.waiting).toBe(2);
  clock.written(1, 'a', -1, 10);
  expect(clock.waiting).toBe(2);
  clock.written(1, 'a', -1, 30);
  expect(clock.waiting).toBe(1);
  expect(clock.percentiles().p99).toBe(30);
  clock.written(0, 'a', -5, 41);
  expect(clock.waiting).toBe(0);
  expect(clock.percentiles()).toEqual({ p50: 30, p95: 40, p99: 40 });
});

test('one coalesced write settles every sale it carries', () => {
  const clock = new ShelfClock(2);
  clock.sold(0, 'a', 1, 0);
  clock.sold(0, 'a', 1, 10);
  clock.written(1, 'a', -2, 20);
  expect(clock.waiting).toBe(0);
  expect(clock.percentiles()).toEqual({ p50: 10, p95: 20, p99: 20 });
});

test('a give-back on its way lowers what the other shop still has to show', () => {
  const clock = new ShelfClock(2);
  clock.sold(0, 'a', 5, 0);
  clock.gaveBack(0, 'a', 3);
  clock.written(1, 'a', -2, 15);
  expect(clock.waiting).toBe(0);
});
