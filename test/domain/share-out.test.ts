import { array, assert, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { shareOut } from '../../src/domain/share-out.ts';

test('the first place takes what is more, the next ones follow when the first has nothing left to give', () => {
  expect(shareOut(9, [5, 3])).toEqual([6, 3]);
  expect(shareOut(2, [5, 3])).toEqual([0, 2]);
  expect(shareOut(0, [5, 3])).toEqual([0, 0]);
  expect(shareOut(4, [-2, 3])).toEqual([1, 3]);
});

test('together the places show exactly the units, and never is one raised while another is lowered', () => {
  const shown = array(integer({ min: -50, max: 1_000 }), { minLength: 1, maxLength: 8 });
  assert(
    property(integer({ min: 0, max: 5_000 }), shown, (units, before) => {
      const after = shareOut(units, before);
      expect(after.reduce((sum, value) => sum + value, 0)).toBe(units);
      const changes = after.map((value, index) => value - Math.max(0, before[index] ?? 0));
      expect(changes.some((change) => change > 0) && changes.some((change) => change < 0)).toBe(false);
      expect(Math.min(...after)).toBeGreaterThanOrEqual(0);
    }),
  );
});
