import { expect, test } from 'vitest';
import type { ListingId } from '../../src/domain/ids.ts';
import { ToldLevels } from '../../src/mesh/told-levels.ts';

const x = 'x@l' as ListingId;
const level = (value: number, changedAtMs: number) => ({ listingKey: x, value, changedAtMs });

function after(...rings: readonly (readonly [value: number, changedAtMs: number] | undefined)[]) {
  const told = new ToldLevels();
  for (const [index, ring] of rings.entries())
    told.note(x, ring === undefined ? undefined : level(...ring), index > 0);
  return told.take(x)?.value;
}

test.each([
  ['nothing was said', [], undefined],
  ['a doorbell that says no number', [undefined], undefined],
  ['a number, then a doorbell without one', [[5, 1], undefined], undefined],
  ['a doorbell without a number, then one with', [undefined, [5, 1]], undefined],
  [
    'two numbers of one moment',
    [
      [5, 1],
      [6, 1],
    ],
    undefined,
  ],
  [
    'two numbers of one moment, and a later one',
    [
      [5, 1],
      [6, 1],
      [7, 2],
    ],
    undefined,
  ],
] as const)('%s: it is read', (_what, rings, expected) => {
  expect(after(...rings)).toBe(expected);
});

test.each([
  ['the only one', [[5, 1]], 5],
  [
    'the one of the newest change',
    [
      [5, 1],
      [6, 3],
      [7, 2],
    ],
    6,
  ],
  [
    'the same twice',
    [
      [5, 1],
      [5, 1],
    ],
    5,
  ],
  ['a number below zero', [[-2, 1]], -2],
] as const)('%s counts', (_what, rings, expected) => {
  expect(after(...rings)).toBe(expected);
});

test('a read that waits already was asked for by somebody else', () => {
  const told = new ToldLevels();
  told.note(x, level(5, 1), true);
  expect(told.take(x)).toBeUndefined();
});

test('what is to be read whatever was told is', () => {
  const told = new ToldLevels();
  told.note(x, level(5, 1), false);
  told.forget(x);
  expect(told.take(x)).toBeUndefined();
});

test('what is told while it is being read is for the next read', () => {
  const told = new ToldLevels();
  told.note(x, level(5, 1), false);
  expect(told.take(x)?.value).toBe(5);
  told.note(x, level(6, 2), false);
  expect(told.take(x)?.value).toBe(6);
  expect(told.take(x)).toBeUndefined();
});
