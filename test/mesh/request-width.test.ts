import { expect, test } from 'vitest';
import { defaultMaxSockets } from '../../src/connectors/http.ts';
import { defaultPublisherSettings } from '../../src/mesh/publisher-options.ts';
import { RequestWidth } from '../../src/mesh/request-width.ts';

const settings = { min: 4, max: 16, quickMs: 250, slowMs: 1_000 };

test('stays narrow while answers are slow, as behind a limit of five a second', () => {
  const width = new RequestWidth(settings);
  for (let i = 0; i < 100; i++) width.answered(800, width.slots);
  expect(width.slots).toBe(4);
});

test('does not grow by quick answers while slots are free: there is nothing to send', () => {
  const width = new RequestWidth(settings);
  for (let i = 0; i < 100; i++) width.answered(10, 1);
  expect(width.slots).toBe(4);
});

test('grows to its bound by quick answers with all slots taken, and no further', () => {
  const width = new RequestWidth(settings);
  for (let i = 0; i < 100; i++) width.answered(10, width.slots);
  expect(width.slots).toBe(16);
});

test('grows by an eighth, at least by one', () => {
  const width = new RequestWidth({ ...settings, max: 1_000 });
  const slots = Array.from({ length: 20 }, () => {
    width.answered(10, width.slots);
    return width.slots;
  });
  expect(slots.slice(0, 6)).toEqual([5, 6, 7, 8, 9, 11]);
  expect(slots.at(-1)).toBeGreaterThan(50);
});

test('a slow answer halves it once, however many of the same crowd are slow', () => {
  const width = new RequestWidth(settings);
  for (let i = 0; i < 100; i++) width.answered(10, width.slots);
  for (let i = 0; i < 16; i++) width.answered(3_000, 16);
  expect(width.slots).toBe(8);
  for (let i = 0; i < 100; i++) width.answered(3_000, width.slots);
  expect(width.slots).toBe(4);
});

test('wide, it waits for a quarter of its slots; narrow or idle, for one', () => {
  const width = new RequestWidth(settings);
  expect(width.hasRoom(4)).toBe(false);
  expect(width.hasRoom(3)).toBe(true);
  for (let i = 0; i < 100; i++) width.answered(10, width.slots);
  expect(width.hasRoom(13)).toBe(false);
  expect(width.hasRoom(12)).toBe(true);
  expect(width.hasRoom(0)).toBe(true);
});

test('at its widest every request has a connection, and so have reads and what has sold out', () => {
  const { maxSmallRequestsInFlight, soldOutRequests } = defaultPublisherSettings;
  expect(maxSmallRequestsInFlight + soldOutRequests).toBeLessThan(defaultMaxSockets);
});
