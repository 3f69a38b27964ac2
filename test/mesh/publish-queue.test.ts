import { expect, test } from 'vitest';
import type { ListingId } from '../../src/domain/ids.ts';
import { PublishQueue } from '../../src/mesh/publish-queue.ts';

const alone = (): readonly ListingId[] => [];

function backlog(products: number, each: number): PublishQueue {
  const queue = new PublishQueue(1_000_000);
  for (let n = 0; n < products * each; n++) {
    const listingId = `${Math.floor(n / each)}/${n}` as ListingId;
    queue.add({ listingId, seq: n + 1, causedAtMs: undefined, lane: 'lowered', cause: 'run' });
  }
  return queue;
}

test('as many products as there are requests, whole, and no look at the rest of the backlog', () => {
  const queue = backlog(10_000, 10);
  let asked = 0;
  const groups = {
    max: 2,
    of: (listingId: ListingId): string => {
      asked++;
      return listingId.split('/')[0] ?? '';
    },
  };
  const first = queue.take(500, 60_000, alone, groups);
  expect(first.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
  const second = queue.take(500, 60_000, alone, groups);
  expect(second.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, n) => n + 21));
  expect(asked).toBeLessThan(1_000);
});

test('however many listings are under way, those behind them are found', () => {
  const queue = backlog(1, 5_000);
  const groups = { max: 1, of: () => 'one' };
  const taken = queue.take(4_000, 60_000, alone, groups);
  for (const pending of taken) queue.add({ ...pending, seq: pending.seq + 10_000 });
  expect(queue.take(10, 60_000, alone, groups).map(({ seq }) => seq)).toEqual(
    Array.from({ length: 10 }, (_, n) => n + 4_001),
  );
});
