import { expect, test } from 'vitest';
import { LookWidth } from '../../src/mesh/look-width.ts';

const widths = (looks: readonly [isFull: boolean, writes: number][]): readonly number[] => {
  const width = new LookWidth();
  return looks.map(([isFull, writes]) => {
    width.looked(isFull, writes);
    return width.factor;
  });
};
const times = <Item>(count: number, item: Item): readonly Item[] => Array.from({ length: count }, () => item);

test('widens after looks in a row that brought no write, and no further than so far', () => {
  expect(widths(times(8, [true, 0]))).toEqual([1, 1, 1, 2, 2, 2, 2, 4]);
  expect(widths(times(100, [true, 0])).at(-1)).toBe(64);
});

test('one write is enough to look at no more than can be sent', () => {
  expect(widths([...times(8, [true, 0] as [boolean, number]), [true, 1], [true, 0]])).toEqual([
    1, 1, 1, 2, 2, 2, 2, 4, 1, 1,
  ]);
  // One among three keeps it narrow: it has to be several in a row.
  expect(Math.max(...widths(times(20, 0).map((_zero, at) => [true, at % 4 === 3 ? 1 : 0])))).toBe(1);
});

test('looks that found less than they might say nothing', () => {
  expect(widths(times(20, [false, 0])).at(-1)).toBe(1);
});
