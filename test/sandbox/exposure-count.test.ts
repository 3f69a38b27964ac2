import { expect, test } from 'vitest';
import { ExposureCount } from '../../sandbox/exposure-count.ts';

const write = { sku: 'X', to: 8, readAtMs: 1_000, answeredAtMs: 2_000 };

test('what is taken between the reading and the apply counts, what comes before or after does not', () => {
  const count = new ExposureCount();
  count.taken('X', 900, 5);
  count.read('X', 1_001);
  count.taken('X', 1_500, 2);
  count.taken('X', 1_600, -1);
  count.applied('X', 2_100, 8);
  count.taken('X', 2_101, 4);
  expect(count.count([write])).toEqual({ units: 1, unsure: 0, applied: 1, untold: 0 });
});

test('of two numbers that stem from one reading no unit counts twice', () => {
  const count = new ExposureCount();
  count.read('X', 1_001);
  count.taken('X', 1_500, 2);
  count.applied('X', 2_100, 8);
  count.taken('X', 2_200, 1);
  count.applied('X', 2_300, 6);
  const second = { ...write, to: 6, answeredAtMs: 2_250 };
  expect(count.count([write, second])).toEqual({ units: 3, unsure: 0, applied: 2, untold: 0 });
});

test('a number that nobody told of, or that stems from no reading, is untold', () => {
  const count = new ExposureCount();
  count.applied('X', 2_100, 7);
  count.applied('X', 2_200, 8);
  expect(count.count([write])).toEqual({ units: 0, unsure: 0, applied: 2, untold: 2 });
});

test('what was taken between two readings of one moment is unsure: the number may stem from either', () => {
  const count = new ExposureCount();
  count.read('X', 1_001);
  count.taken('X', 1_020, 2);
  count.read('X', 1_050);
  count.taken('X', 1_500, 1);
  count.read('X', 1_600);
  count.applied('X', 2_100, 8);
  expect(count.count([write])).toEqual({ units: 3, unsure: 2, applied: 1, untold: 0 });
});
