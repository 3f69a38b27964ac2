import { expect, test } from 'vitest';
import { ShelfClock } from '../../demo/shelf-clock.ts';

const shelves = ['A', 'B'].map((id) => ({ id, skus: new Set(['a']) }));

test("a shop's own sale is not taken for news from the other shop", () => {
  const clock = new ShelfClock(shelves);
  clock.sold('A', 'a', 2, 0);
  clock.sold('B', 'a', 5, 1);
  expect(clock.waiting()).toBe(2);
  clock.written('B', 'a', -1, 10);
  expect(clock.waiting()).toBe(2);
  clock.written('B', 'a', -1, 30);
  expect(clock.waiting()).toBe(1);
  expect(clock.percentiles().p99).toBe(30);
  clock.written('A', 'a', -5, 41);
  expect(clock.waiting()).toBe(0);
  expect(clock.percentiles()).toEqual({ p50: 30, p95: 40, p99: 40 });
});

test('one coalesced write settles every sale it carries', () => {
  const clock = new ShelfClock(shelves);
  clock.sold('A', 'a', 1, 0);
  clock.sold('A', 'a', 1, 10);
  clock.written('B', 'a', -2, 20);
  expect(clock.waiting()).toBe(0);
  expect(clock.percentiles()).toEqual({ p50: 10, p95: 20, p99: 20 });
});

test('a give-back on its way lowers what the other shop still has to show', () => {
  const clock = new ShelfClock(shelves);
  clock.sold('A', 'a', 5, 0);
  clock.gaveBack('A', 'a', 3);
  clock.written('B', 'a', -2, 15);
  expect(clock.waiting()).toBe(0);
});

test('a channel that does not list the SKU is not waited for; each channel has its own figures', () => {
  const clock = new ShelfClock([
    ...shelves,
    { id: 'C', skus: new Set(['b']) },
    { id: 'D', skus: new Set(['a']) },
  ]);
  clock.sold('A', 'a', 1, 0);
  expect(clock.waiting()).toBe(2);
  clock.written('B', 'a', -1, 5);
  clock.written('D', 'a', -1, 50);
  expect(clock.waiting(['B', 'D'])).toBe(0);
  expect(clock.percentiles(['B']).p99).toBe(5);
  expect(clock.percentiles().p99).toBe(50);
});

test('a SKU whose numbers change for other reasons too is not timed', () => {
  const clock = new ShelfClock(shelves, new Set(['a']));
  clock.sold('A', 'a', 1, 0);
  expect(clock.waiting()).toBe(0);
  clock.written('B', 'a', -1, 5);
  expect(clock.percentiles()).toEqual({ p50: 0, p95: 0, p99: 0 });
});
