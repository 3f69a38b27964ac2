import { expect, test } from 'vitest';
import { PlatformClock } from '../../src/connectors/platform-clock.ts';

const start = Date.UTC(2026, 10, 21);
const http = (ms: number) => new Date(ms).toUTCString();

function clock() {
  return new PlatformClock({ nowMs: () => start });
}

test('is unknown until an answer carries a usable date', () => {
  const platform = clock();
  for (const header of [undefined, null, '', 'yesterday', 'Thu, 01 Jan 1970 00:00:00 GMT'])
    platform.learn(header, start, start + 10);
  expect(platform.isKnown).toBe(false);
  expect(platform.nowMs()).toBe(start);
});

test('takes no difference while none fits the headers, for a header drops its fraction', () => {
  const platform = clock();
  // The answer was written at .700 and says .000.
  platform.learn(http(start + 700), start + 680, start + 720);
  expect(platform.isKnown).toBe(true);
  expect(platform.at(start + 5_000)).toBe(start + 5_000);
});

test.each([
  ['ahead', 90_000],
  ['behind', -90_000],
])('a platform %s of us is dated by the earliest moment that fits', (_name, differenceMs) => {
  const platform = clock();
  for (let step = 0; step < 40; step++) {
    const sentAtMs = start + step * 137;
    platform.learn(http(sentAtMs + 20 + differenceMs), sentAtMs, sentAtMs + 40);
  }
  const estimate = platform.at(start) - start;
  expect(estimate).toBeLessThanOrEqual(differenceMs);
  expect(estimate).toBeGreaterThan(differenceMs - 1_000);
});

test('forgets what it knew when one of the clocks is set', () => {
  const platform = clock();
  platform.learn(http(start), start, start + 10);
  platform.learn(http(start + 3_600_000), start + 1_000, start + 1_010);
  expect(platform.at(start) - start).toBeGreaterThan(3_590_000);
});
