import * as fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import type { ListingId } from '../../src/domain/ids.ts';
import { ReadQueue } from '../../src/mesh/read-queue.ts';

let nowMs: number;
let queue: ReadQueue;
beforeEach(() => {
  nowMs = 1_000_000;
  const settings = { readAgainMs: 50, maxReadAgainMs: 10_000, maxSpacingMs: 2_000, maxWaiting: 10_000 };
  queue = new ReadQueue(settings, () => nowMs);
});

const id = (n: number): ListingId => `l${n}` as ListingId;
const taken = (limit: number): string[] => queue.takeDue(limit).map(({ listingId }) => listingId);

test('what a lowering waits for goes before a long queue of others, which keep a quarter of the request', () => {
  for (let n = 0; n < 100; n++) queue.ask(id(n), nowMs);
  for (let n = 200; n < 210; n++) queue.askSpaced(id(n), 0, true);
  expect(taken(8)).toEqual(['l200', 'l201', 'l202', 'l203', 'l204', 'l205', 'l0', 'l1']);
  expect(queue.awaited).toBeGreaterThan(0);
  expect(taken(8)).toEqual(['l206', 'l207', 'l208', 'l209', 'l2', 'l3', 'l4', 'l5']);
  expect(queue.awaited).toBe(0);
});

test('a read that waits already is brought forward when a lowering comes to wait for it', () => {
  for (let n = 0; n < 10; n++) queue.ask(id(n), nowMs);
  queue.askSpaced(id(9), 0, true);
  expect(taken(4)).toEqual(['l9', 'l0', 'l1', 'l2']);
});

test('awaited does not mean before its time: an undecided read is spaced as before, and stays awaited', () => {
  queue.ask(id(1), nowMs, 0, true);
  const [due] = queue.takeDue(4);
  if (due === undefined) throw new Error('nothing due');
  expect(due.isAwaited).toBe(true);
  queue.again(due, 500);
  expect(taken(4)).toEqual([]);
  expect(queue.awaited).toBeGreaterThan(0);
  nowMs += 1_000;
  expect(taken(4)).toEqual(['l1']);
});

test('when the next one is due is known although a thousand others wait for later', () => {
  for (let n = 0; n < 2_000; n++) queue.ask(id(n), nowMs + 60_000);
  queue.ask(id(3_000), nowMs + 20, 0, true);
  expect(queue.nextInMs(1_000)).toBe(20);
});

test('whatever is asked for is taken when it is due, and nobody sleeps past it', () => {
  const step = fc.record({
    asks: fc.array(fc.record({ n: fc.nat(30), inMs: fc.nat(500), isAwaited: fc.boolean() }), {
      maxLength: 6,
    }),
    passesMs: fc.nat(300),
    limit: fc.integer({ min: 1, max: 8 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      queue.clear();
      const dueAtMs = new Map<string, number>();
      for (const { asks, passesMs, limit } of steps) {
        for (const { n, inMs, isAwaited } of asks) {
          queue.ask(id(n), nowMs + inMs, 0, isAwaited);
          dueAtMs.set(id(n), Math.min(dueAtMs.get(id(n)) ?? Number.POSITIVE_INFINITY, nowMs + inMs));
        }
        nowMs += passesMs;
        const got = taken(limit);
        const due = [...dueAtMs].filter(([, atMs]) => atMs <= nowMs);
        expect(got.length).toBe(Math.min(limit, due.length));
        for (const listingId of got) {
          expect(dueAtMs.get(listingId)).toBeLessThanOrEqual(nowMs);
          dueAtMs.delete(listingId);
        }
        const nextMs = Math.min(...dueAtMs.values()) - nowMs;
        expect(queue.nextInMs(1_000)).toBeLessThanOrEqual(Math.min(1_000, Math.max(1, nextMs)));
      }
      expect(queue.size).toBe(dueAtMs.size);
    }),
  );
});
