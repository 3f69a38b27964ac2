import { expect, test } from 'vitest';
import { ClockOffset } from '../../src/mesh/clock-offset.ts';

test('the largest of late estimates counts, for a minute at most', () => {
  let ours = 1_000_000;
  let late = 0;
  const offset = new ClockOffset(
    () => ours + 50 - late,
    () => ours,
  );
  expect(offset.ms()).toBe(50);
  late = 700;
  expect(offset.ms()).toBe(50);
  ours += 31_000;
  expect(offset.ms()).toBe(50);
  ours += 31_000;
  expect(offset.ms()).toBe(-650);
  late = 10;
  expect(offset.ms()).toBe(40);
});

test('a clock that was set is believed after a pause', () => {
  let ours = 1_000_000;
  let ahead = 3_600_000;
  const offset = new ClockOffset(
    () => ours + ahead,
    () => ours,
  );
  expect(offset.ms()).toBe(3_600_000);
  ahead = 0;
  ours += 90_000;
  expect(offset.ms()).toBe(0);
});
