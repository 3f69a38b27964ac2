import { expect, test } from 'vitest';
import { isPeak } from '../../src/mesh/peak-hours.ts';

const at = (hour: number): number => Date.UTC(2026, 6, 21, hour, 30);

test.each([
  ['by day', { from: 8, to: 20, zone: 'UTC' }, [8, 12, 19], [7, 20, 23, 0]],
  ['over midnight', { from: 22, to: 6, zone: 'UTC' }, [22, 23, 0, 5], [6, 12, 21]],
  ['elsewhere', { from: 8, to: 20, zone: 'America/New_York' }, [12, 23], [11, 0, 5]],
  ['to the end of the day', { from: 18, to: 24, zone: 'UTC' }, [18, 23], [0, 17]],
] as const)('peak hours %s', (_, hours, inside, outside) => {
  for (const hour of inside) expect(isPeak(hours, at(hour)), String(hour)).toBe(true);
  for (const hour of outside) expect(isPeak(hours, at(hour)), String(hour)).toBe(false);
});

test('without hours it is always peak', () => {
  expect(isPeak(undefined, at(3))).toBe(true);
});
