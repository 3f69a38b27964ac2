import { expect, test } from 'vitest';
import { CountHints } from '../../src/mesh/count-hints.ts';

test('a reading before the moment an item was to be read at is not that reading', () => {
  const hints = new CountHints(10);
  hints.addLater('late', 500);
  hints.addLater('a', 100);
  hints.addLater('a', 200);
  hints.add('a', 10, 0);
  expect(hints.firstDueMs).toBe(10);
  expect([...hints.take(50, 10).keys()]).toEqual(['a']);
  expect(hints.firstDueMs).toBe(100);
  hints.promote(150);
  expect([...hints.take(150, 10).keys()]).toEqual(['a']);
  hints.promote(1_000);
  expect([...hints.take(1_000, 10).keys()].toSorted()).toEqual(['a', 'late']);
  expect(hints.firstDueMs).toBe(Number.POSITIVE_INFINITY);
});

test('a whole reading forgets what was due when it began, and nothing that came or falls due later', () => {
  const hints = new CountHints(10);
  hints.add('due', 10, 0);
  hints.add('again', 10, 0);
  hints.add('later', 300, 1);
  hints.owe(['due', 'later']);
  const forget = hints.mark(100);
  hints.add('again', 150, 1);
  hints.owe(['new']);
  forget();
  expect([...hints.take(1_000, 10).keys()].toSorted()).toEqual(['again', 'later']);
  expect(hints.owesNothing).toBe(false);
  hints.paid('new');
  expect(hints.owesNothing).toBe(true);
});

test('what there is no room for is refused; what is there is moved forward', () => {
  const hints = new CountHints(1);
  expect(hints.add('a', 100, 2)).toBe(true);
  expect(hints.add('b', 100, 0)).toBe(false);
  expect(hints.add('a', 50, 1)).toBe(true);
  expect(hints.hasRoomFor(1)).toBe(false);
  expect([...hints.take(60, 5)]).toEqual([['a', { dueAtMs: 50, asks: 2 }]]);
  hints.addLater('b', 1);
  hints.addLater('c', 2);
  hints.add('a', 100, 0);
  hints.promote(10);
  expect(hints.firstDueMs).toBe(100);
});
