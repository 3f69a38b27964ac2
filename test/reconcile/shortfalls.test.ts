import { expect, test } from 'vitest';
import type { ChannelId, ListingId, Sku } from '../../src/domain/ids.ts';
import type { Movement } from '../../src/domain/movement.ts';
import type { SyncRecord } from '../../src/mesh/sync-journal.ts';
import { type PostMortem, type PostMortemRules, postMortem } from '../../src/reconcile/post-mortem.ts';
import { shortfallsOf } from '../../src/reconcile/shortfalls.ts';
import { inPages, movementsOf, orderOf } from './support/movements.ts';

const rules: PostMortemRules = { refundOrder: 'newest-first', tiers: [], valueOf: () => 12.5 };

async function told(
  entries: readonly Movement[],
  writes: readonly SyncRecord[] = [],
  given: PostMortemRules = rules,
): Promise<readonly PostMortem[]> {
  const found = await shortfallsOf(inPages(entries), 0, 100);
  return found.map((one) => postMortem(one, writes, given));
}

function written(channel: string, from: number, to: number, atMs: number, outcome = 'confirmed'): SyncRecord {
  return {
    channel: channel as ChannelId,
    listingId: 'listing' as ListingId,
    sku: 'X' as Sku,
    kind: 'lower',
    from,
    to,
    outcome,
    reason: outcome === 'confirmed' ? '' : 'asked to wait 30 s',
    rule: '',
    sequence: '7-2',
    atMs,
  };
}

const received: Partial<Movement> = { kind: 'received', deltaOnHand: 1, atMs: 0 };

test('stock that is only promised up to what is there is no shortfall', async () => {
  const entries = movementsOf(received, orderOf('a', '#1', 1, 10_000, 10_050));
  expect(await told(entries)).toEqual([]);
});

test('two buyers in the same moment: nobody could have known', async () => {
  const entries = movementsOf(
    received,
    orderOf('a', '#1', 1, 10_000, 10_050),
    orderOf('b', '#2', 1, 10_200, 10_260),
  );
  const [one] = await told(entries);
  expect(one).toMatchObject({
    cause: 'sold-at-once',
    units: 1,
    value: 12.5,
    channel: 'b',
    stillOpenUnits: 1,
  });
  expect(one?.refunds).toEqual([{ channel: 'b', orderId: '#2', units: 1, placedAtMs: 10_200 }]);
});

test('a webhook that was late: the ledger heard of the first sale too late', async () => {
  const entries = movementsOf(
    received,
    orderOf('b', '#2', 1, 40_000, 40_100),
    // The sale of `a` was made long before and heard of after.
    orderOf('a', '#1', 1, 10_000, 70_000),
  );
  const [one] = await told(entries);
  expect(one).toMatchObject({ cause: 'heard-late', channel: 'a', gapMs: 60_000 });
  const other = movementsOf(
    received,
    orderOf('a', '#1', 1, 10_000, 70_000),
    orderOf('b', '#2', 1, 40_000, 70_100),
  );
  const [late] = await told(other);
  expect(late).toMatchObject({ cause: 'heard-late', channel: 'b', gapMs: 60_000 });
  expect(late?.reason).toContain('60.0 s later');
});

test('a rate limit: the ledger knew, the other channel was told too late', async () => {
  const entries = movementsOf(
    received,
    orderOf('a', '#1', 1, 10_000, 10_050),
    orderOf('b', '#2', 1, 25_000, 25_050),
  );
  const writes = [written('b', 1, 0, 12_000, 'not-applied'), written('b', 1, 0, 40_000)];
  const [one] = await told(entries, writes);
  expect(one).toMatchObject({ cause: 'written-late', gapMs: 30_000 });
  expect(one?.reason).toContain('asked to wait 30 s');
  const [untold] = await told(entries, []);
  expect(untold).toMatchObject({ cause: 'never-written' });
});

test('goods that are gone are a physical loss, and the newest order is refunded first', async () => {
  const entries = movementsOf(
    { ...received, deltaOnHand: 3 },
    orderOf('a', '#1', 2, 1_000, 1_050),
    orderOf('b', '#2', 1, 2_000, 2_050),
    { kind: 'counted', reference: 'count-9', deltaOnHand: -2, atMs: 9_000 },
    { kind: 'received', deltaOnHand: 2, atMs: 20_000 },
  );
  const [one] = await told(entries);
  expect(one).toMatchObject({
    cause: 'physical',
    units: 2,
    bufferUnits: null,
    closedAtMs: 20_000,
    stillOpenUnits: 0,
  });
  expect(one?.refunds.map(({ orderId, units }) => [orderId, units])).toEqual([
    ['#2', 1],
    ['#1', 1],
  ]);
  expect(one?.backorders.map(({ orderId }) => orderId)).toEqual(['#1', '#2']);
  const tiers = { ...rules, refundOrder: 'tier', tiers: ['b' as ChannelId, 'a' as ChannelId] } as const;
  const [byTier] = await told(entries, [], tiers);
  expect(byTier?.refunds.map(({ orderId, units }) => [orderId, units])).toEqual([['#1', 2]]);
});

test('the buffer covers what sells in the time nobody knew', async () => {
  const sales = Array.from({ length: 60 }, (_, n) => orderOf('a', `#${n}`, 1, n * 10_000, n * 10_000 + 20));
  const entries = movementsOf(
    { ...received, deltaOnHand: 60 },
    ...sales,
    orderOf('b', '#b', 1, 605_000, 605_010),
  );
  // 61 units in ten minutes; the channel was told two minutes late: 12 units and a bit.
  const [one] = await told(entries, [written('b', 1, 0, 710_000)]);
  expect(one).toMatchObject({ cause: 'written-late', gapMs: 120_000 });
  expect(one?.bufferUnits).toBe(Math.max(1, Math.ceil((61 * 120_000) / 3_600_000)));
});

test('what ended before the window is left out, what lasts is told', async () => {
  const entries = movementsOf(
    received,
    orderOf('a', '#1', 2, 1_000, 1_010),
    { kind: 'received', deltaOnHand: 1, atMs: 2_000 },
    orderOf('a', '#2', 4, 3_000, 3_010),
  );
  const found = await shortfallsOf(inPages(entries), 5_000, 100);
  expect(found.map(({ openedAtMs, openUnits }) => [openedAtMs, openUnits])).toEqual([[3_010, 4]]);
});
