import { expect, test } from 'vitest';
import type { ChannelId } from '../../src/domain/ids.ts';
import { skuStory } from '../../src/reconcile/sku-story.ts';
import { parseStoryEnd } from '../../src/reconcile/story-end.ts';
import { inPages, movementsOf } from './support/movements.ts';

const shop = 'shop' as ChannelId;
const entries = movementsOf(
  { kind: 'received', deltaOnHand: 10 },
  { kind: 'ordered', channel: shop, reference: '#1', deltaCommitted: 2 },
  { kind: 'held', reference: 'hold-a', deltaReserved: 3 },
  { kind: 'held', reference: 'hold-b', deltaReserved: 1 },
  {
    kind: 'hold-committed',
    reference: 'hold-a',
    deltaReserved: -3,
    deltaCommitted: 3,
    extra: 'shop;#2;0',
  },
  { kind: 'provisioned', channel: shop, reference: 'listing', deltaReserved: 1 },
  { kind: 'shipped', channel: shop, reference: '#1', deltaOnHand: -2, deltaCommitted: -2 },
  { kind: 'expired', reference: 'hold-b', deltaReserved: -1 },
);

test('what is open is what the entries add up to, and a committed hold counts for its order', async () => {
  const story = await skuStory(inPages(entries), { kind: 'now' }, 3);
  expect(story.available).toBe(8 - 3 - 1);
  expect(story.orders).toMatchObject([{ channel: 'shop', reference: '#2', units: 3, sinceId: '7-5' }]);
  expect(story.holds).toEqual([]);
  expect(story.provisional).toMatchObject([{ channel: 'shop', reference: 'listing', units: 1 }]);
  expect(story.newest.map(({ id }) => id)).toEqual(['7-6', '7-7', '7-8']);
  expect(story.entries).toBe(8);
});

test.each([
  ['a sequence', { kind: 'sequence', epoch: 7, seq: 4 }],
  ['a sequence without epoch', { kind: 'sequence', epoch: undefined, seq: 4 }],
  ['a moment', { kind: 'time', atMs: 4_500 }],
] as const)('up to %s', async (_, end) => {
  const story = await skuStory(inPages(entries), end, 10);
  expect(story.last?.id).toBe('7-4');
  expect(story.available).toBe(10 - 2 - 4);
  expect(story.orders).toMatchObject([{ reference: '#1', units: 2 }]);
  expect(story.holds.map(({ reference, units }) => [reference, units])).toEqual([
    ['hold-a', 3],
    ['hold-b', 1],
  ]);
});

test('an epoch that has not begun holds nothing', async () => {
  const story = await skuStory(inPages(entries), { kind: 'sequence', epoch: 6, seq: 99 }, 10);
  expect(story).toMatchObject({ entries: 0, last: undefined, available: 0 });
});

test.each(['', 'yesterday', '2026-11-29', '2026-11-29T10:00:00', '12-', '-5', '1e3'])(
  '%j is no sequence and no moment',
  (text) => {
    expect(parseStoryEnd(text).kind).toBe('bad');
  },
);

test('sequences and moments are told apart', () => {
  expect(parseStoryEnd('412')).toMatchObject({ value: { kind: 'sequence', epoch: undefined, seq: 412 } });
  expect(parseStoryEnd('17-412')).toMatchObject({ value: { epoch: 17, seq: 412 } });
  expect(parseStoryEnd('1970-01-01T01:00:01+01:00')).toMatchObject({ value: { kind: 'time', atMs: 1_000 } });
  expect(parseStoryEnd(undefined)).toMatchObject({ value: { kind: 'now' } });
});
