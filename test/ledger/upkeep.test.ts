import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noUnits } from '../../src/domain/order.ts';
import { GroupCommit } from '../../src/ledger/group-commit.ts';
import { LevelCommands } from '../../src/ledger/level-commands.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { Sweeper } from '../../src/ledger/sweeper.ts';
import { frozenLedgerParts } from '../support/frozen-ledger.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { channel, location, receive, sku, storedLevel } from '../support/stock.ts';

failOnLeakedConnections();

let parts: LedgerParts;
let ledger: RedisLedger;
beforeEach(() => {
  parts = ledgerParts();
  ledger = new RedisLedger(parts.caller, parts.clock);
});
afterEach(() => parts.close());

const lines = [{ sku: sku('a'), units: 1, locations: [location('main')] }];

test('the sweeper ends holds at their deadline, more of them than one sweep takes', async () => {
  await receive(parts, 'a', 500);
  await Promise.all(
    Array.from({ length: 250 }, (_, i) => ledger.reserve({ holdId: `h${i}`, lines, ttlMs: 150, actor: 't' })),
  );
  const sweeper = new Sweeper({ ledger, everyMs: 20 });
  sweeper.start();
  await expect.poll(async () => (await storedLevel(parts, 'a')).reserved).toBe(0);
  await sweeper.stop();
  const ends = (await parts.redis.xrange(parts.keys.log, '-', '+')).filter(([, fields]) =>
    fields[3]?.startsWith('y'),
  );
  expect(ends).toHaveLength(250);
});

test('the sweeper goes on after a failure', async () => {
  const errors: unknown[] = [];
  let calls = 0;
  const sweeper = new Sweeper({
    ledger: {
      sweep: async () => {
        if (++calls === 1) throw new Error('away');
        return { expired: 0, nextDueInMs: undefined };
      },
    },
    everyMs: 5,
    onError: (error) => errors.push(error),
  });
  sweeper.start();
  await expect.poll(() => calls).toBeGreaterThan(2);
  await sweeper.stop();
  expect(errors).toHaveLength(1);
});

test('ended holds are purged after their retention, and their ids may be used again', async () => {
  const frozen = frozenLedgerParts();
  const still = new RedisLedger(frozen.caller, frozen.clock);
  const brief = new LevelCommands(frozen.caller, { holdsMs: 1_000, operationsMs: 1_000 });
  await receive(frozen, 'a', 5);
  await still.reserve({ holdId: 'h', lines, ttlMs: 60_000, actor: 't' });
  await still.reserve({ holdId: 'live', lines, ttlMs: 60_000, actor: 't' });
  await still.release({ holdId: 'h', actor: 't' });
  await frozen.stepClock(999);
  await brief.sweep(100);
  expect(await still.hold('h')).toMatchObject({ state: 'released' });
  expect(await frozen.redis.hlen(frozen.keys.operations)).toBe(1);
  await frozen.stepClock(1);
  await brief.sweep(100);
  expect(await still.hold('h')).toBeUndefined();
  expect(await still.hold('live')).toMatchObject({ state: 'held' });
  expect(await frozen.redis.hlen(frozen.keys.operations)).toBe(0);
  expect(await frozen.redis.zcard(frozen.keys.operationAge)).toBe(0);
  await still.reserve({ holdId: 'h', lines, ttlMs: 60_000, actor: 't' });
  expect(await still.hold('h')).toMatchObject({ state: 'held' });
  await frozen.close();
});

test('an unpaid order stays committed however long it takes to be paid', async () => {
  await receive(parts, 'a', 5);
  const order = {
    channel: channel('shop'),
    orderId: '1',
    placedAtMs: 1,
    changedAtMs: 1,
    source: 'push',
    beganAtMs: parts.clock.nowMs(),
    lines: [{ lineId: '1', sku: sku('a'), counters: { ...noUnits, ordered: 2 }, takenIsKnown: true }],
  } as const;
  const locations = [{ location: location('main'), wmsOwned: false }];
  await ledger.applyOrder(order, { locations, listingKind: 'absolute', actor: 't' });
  for (let hour = 0; hour < 30; hour++) {
    await parts.stepClock(3_600_000);
    await ledger.sweep(100);
  }
  expect(await storedLevel(parts, 'a')).toEqual({ onHand: 5, committed: 2, reserved: 0 });
});

test('trim never drops the newest entry, nor moves the first one back', async () => {
  // Stream nodes hold a hundred entries, and whole nodes are what is dropped.
  for (let i = 0; i < 450; i++) await receive(parts, 'a', 1);
  const { epoch, seq } = parts.seen.get();
  const trim = async (to: number) => (await parts.caller.call('trim', [epoch, to])).fields;
  const [dropped, first] = await trim(300);
  expect(Number(dropped)).toBeGreaterThan(0);
  expect(Number(first)).toBeLessThanOrEqual(300);
  expect(await trim(1)).toEqual([0, first]);
  await trim(seq + 1_000);
  const newest = await parts.redis.xrevrange(parts.keys.log, '+', '-', 'COUNT', 1);
  expect(newest[0]?.[0]).toBe(`${epoch}-${seq}`);
  await receive(parts, 'a', 1);
});

test('one caller waits for nobody; concurrent callers share calls, in order and within the limit', async () => {
  const batches: number[][] = [];
  const group = new GroupCommit<number, number>(
    'test',
    { maxBatch: 3, maxInFlight: 1, maxWaiting: 5 },
    () => 1,
    async (requests) => {
      batches.push([...requests]);
      await delay(5);
      if (requests.includes(13)) throw new Error('unlucky');
      return requests.map((request) => request * 2);
    },
  );
  expect(await group.add(1)).toBe(2);
  expect(await group.add(2)).toBe(4);
  const answers = await Promise.all([3, 4, 5, 6, 7].map((request) => group.add(request)));
  expect(answers).toEqual([6, 8, 10, 12, 14]);
  expect(batches).toEqual([[1], [2], [3], [4, 5, 6], [7]]);
  const last = await Promise.allSettled([8, 9, 13, 10, 11, 12, 14].map((request) => group.add(request)));
  expect(last.map((result) => result.status)).toEqual([
    'fulfilled',
    'rejected',
    'rejected',
    'rejected',
    'fulfilled',
    'fulfilled',
    'rejected',
  ]);
  expect(last[6]).toMatchObject({ reason: { code: 'LEDGER_OVERLOADED' } });
});
