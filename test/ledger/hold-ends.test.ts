import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noUnits } from '../../src/domain/order.ts';
import type { CommitRequest, ReserveRequest } from '../../src/ledger/contract.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { frozenLedgerParts } from '../support/frozen-ledger.ts';
import type { LedgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { channel, location, receive, sku, storedLevel } from '../support/stock.ts';

failOnLeakedConnections();

let parts: LedgerParts;
let ledger: RedisLedger;
beforeEach(async () => {
  parts = frozenLedgerParts();
  ledger = new RedisLedger(parts.caller, parts.clock);
  await receive(parts, 'a', 10);
});
afterEach(() => parts.close());

function hold(holdId: string, units: number, more: Partial<ReserveRequest> = {}): Promise<unknown> {
  const lines = [{ sku: sku('a'), units, locations: [location('main')] }];
  return ledger.reserve({ holdId, lines, ttlMs: 60_000, actor: 'test', ...more });
}

function commit(holdId: string, more: Partial<CommitRequest> = {}): ReturnType<RedisLedger['commit']> {
  return ledger.commit({ holdId, actor: 'test', ...more });
}

const order7 = { channel: channel('shop'), orderId: '7' };
let fetchedAt = 0;

/** The order as the channel shows it, fetched later than every fetch before. */
function orderSeen(units: number, more: { cancelled?: number; shipped?: number } = {}): Promise<unknown> {
  fetchedAt = Math.max(fetchedAt + 1, parts.clock.nowMs());
  const counters = { ...noUnits, ordered: units, cancelled: more.cancelled ?? 0, shipped: more.shipped ?? 0 };
  return ledger.applyOrder(
    {
      channel: order7.channel,
      orderId: order7.orderId,
      placedAtMs: 1,
      changedAtMs: fetchedAt,
      source: 'fetch',
      beganAtMs: fetchedAt,
      lines: [{ lineId: '1', sku: sku('a'), counters, takenIsKnown: true }],
    },
    { locations: [{ location: location('main'), wmsOwned: false }], listingKind: 'delta', actor: 'test' },
  );
}

describe('refuses', () => {
  test('every command on a hold nobody made', async () => {
    expect(await commit('h')).toEqual({ kind: 'unknown-hold' });
    expect(await ledger.release({ holdId: 'h', actor: 't' })).toEqual({ kind: 'unknown-hold' });
    const extend = { holdId: 'h', ttlMs: 1, operationId: 'o', maxExtensions: 1 };
    expect(await ledger.extend(extend)).toEqual({ kind: 'unknown-hold' });
  });

  test('a part that was not held, or is nothing', async () => {
    await hold('h', 2);
    const more = [{ sku: sku('a'), units: 3 }];
    expect(await commit('h', { part: more })).toEqual({ kind: 'part-exceeds-hold', sku: 'a' });
    const other = [{ sku: sku('b'), units: 1 }];
    expect(await commit('h', { part: other })).toEqual({ kind: 'part-exceeds-hold', sku: 'b' });
    const nothing = [{ sku: sku('a'), units: 0 }];
    await expect(commit('h', { part: nothing })).rejects.toMatchObject({ code: 'LEDGER_REQUEST_INVALID' });
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 10, committed: 0, reserved: 2 });
  });

  test('a commit after the deadline, also when no sweep has come by', async () => {
    for (let i = 0; i < 9; i++) await hold(`first${i}`, 1, { ttlMs: 10 });
    await hold('late', 1, { ttlMs: 20 });
    await parts.stepClock(1_000);
    expect(await commit('late')).toEqual({ kind: 'expired' });
    expect(await commit('late')).toEqual({ kind: 'expired' });
    expect(await ledger.release({ holdId: 'late', actor: 't' })).toEqual({ kind: 'ended', state: 'expired' });
  });

  test('a second end of another kind', async () => {
    await hold('c', 1);
    await hold('r', 1);
    await commit('c');
    await ledger.release({ holdId: 'r', actor: 't' });
    expect(await ledger.release({ holdId: 'c', actor: 't' })).toEqual({ kind: 'ended', state: 'committed' });
    expect(await commit('r')).toEqual({ kind: 'ended', state: 'released' });
    expect(await hold('r', 1)).toEqual({ kind: 'ended', state: 'released' });
    expect(await commit('c', { order: order7 })).toEqual({ kind: 'fingerprint-mismatch' });
  });

  test('more extensions than allowed, and an earlier deadline', async () => {
    await hold('h', 1, { ttlMs: 100_000 });
    const extend = (operationId: string, ttlMs: number) =>
      ledger.extend({ holdId: 'h', ttlMs, operationId, maxExtensions: 2 });
    expect(await extend('1', 1_000)).toMatchObject({ kind: 'extended' });
    expect((await ledger.hold('h'))?.deadlineInMs).toBe(100_000);
    const second = await extend('2', 200_000);
    expect(await extend('3', 300_000)).toEqual({ kind: 'too-many-extensions' });
    expect(await extend('2', 200_000)).toEqual({ ...second, repeated: true });
  });
});

describe('ends once', () => {
  test('a repeated commit or release answers the first result', async () => {
    await hold('c', 2);
    await hold('r', 3);
    const committed = await commit('c');
    const released = await ledger.release({ holdId: 'r', actor: 't' });
    expect(await commit('c')).toEqual({ ...committed, repeated: true });
    expect(await ledger.release({ holdId: 'r', actor: 't' })).toEqual({ ...released, repeated: true });
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 10, committed: 2, reserved: 0 });
    expect(await parts.redis.zcard(parts.keys.due)).toBe(0);
    expect(await parts.redis.zcard(parts.keys.done)).toBe(2);
  });

  test('commit and release at the same moment', async () => {
    await hold('h', 4);
    const ends = await Promise.all([commit('h'), ledger.release({ holdId: 'h', actor: 't' }), commit('h')]);
    const { committed, reserved } = await storedLevel(parts, 'a');
    expect(reserved).toBe(0);
    expect(committed).toBe(ends[0].kind === 'committed' ? 4 : 0);
  });

  test('a partial commit releases the rest', async () => {
    await hold('h', 5, { pool: 'p', agent: 'x' });
    expect(await commit('h', { part: [{ sku: sku('a'), units: 2 }] })).toMatchObject({ kind: 'committed' });
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 10, committed: 2, reserved: 0 });
    expect(await ledger.hold('h')).toMatchObject({
      state: 'committed',
      channel: 'direct',
      orderId: 'h',
      lines: [{ units: 2 }],
    });
    expect(await parts.redis.hlen(parts.keys.pools)).toBe(0);
    expect(await parts.redis.hvals(parts.keys.agents)).toEqual(['2']);
  });

  test('by expiry, as a movement, when the sweep comes', async () => {
    await hold('h', 5, { ttlMs: 1_000, settlesOn: channel('shop'), pool: 'p', agent: 'x' });
    expect(await ledger.sweep(100)).toMatchObject({ expired: 0 });
    await parts.stepClock(999);
    expect(await ledger.sweep(100)).toMatchObject({ expired: 0, nextDueInMs: 1 });
    await parts.stepClock(1);
    expect(await ledger.sweep(100)).toMatchObject({ expired: 1, nextDueInMs: undefined });
    expect(await ledger.sweep(100)).toMatchObject({ expired: 0 });
    expect(await storedLevel(parts, 'a')).toMatchObject({ reserved: 0 });
    expect(await ledger.hold('h')).toMatchObject({ state: 'expired' });
    expect(await parts.redis.hlen(parts.keys.pools)).toBe(0);
    expect(await parts.redis.hlen(parts.keys.agents)).toBe(0);
  });

  test('what is due is given back before stock is denied, and before it is shown', async () => {
    await receive(parts, 'b', 60);
    for (let i = 0; i < 60; i++) {
      const lines = [{ sku: sku('b'), units: 1, locations: [location('main')] }];
      await ledger.reserve({ holdId: `b${i}`, lines, ttlMs: 1_000, actor: 't' });
    }
    await parts.stepClock(2_000);
    const peeked = await ledger.peek([sku('b')]);
    expect(peeked.levels.get(sku('b'))?.get(location('main'))).toMatchObject({ reserved: 0 });
    expect(await storedLevel(parts, 'b')).toMatchObject({ reserved: 60 });
    const lines = [{ sku: sku('b'), units: 60, locations: [location('main')] }];
    expect(await ledger.reserve({ holdId: 'all', lines, ttlMs: 1_000, actor: 't' })).toMatchObject({
      kind: 'held',
    });
    expect(await storedLevel(parts, 'b')).toMatchObject({ reserved: 60 });
  });
});

describe('an order bought through a hold is committed once', () => {
  test('the commit first, then its order', async () => {
    await hold('h', 2);
    await commit('h', { order: order7 });
    expect(await parts.redis.zcard(parts.keys.credits)).toBe(1);
    await orderSeen(2);
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 10, committed: 2, reserved: 0 });
    expect(await parts.redis.zcard(parts.keys.credits)).toBe(0);
    await orderSeen(2, { cancelled: 2 });
    expect(await storedLevel(parts, 'a')).toMatchObject({ committed: 0 });
  });

  test('the order first, then the commit', async () => {
    await hold('h', 2);
    await orderSeen(2);
    expect(await storedLevel(parts, 'a')).toMatchObject({ committed: 2, reserved: 2 });
    await commit('h', { order: order7 });
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 10, committed: 2, reserved: 0 });
    expect(await parts.redis.zcard(parts.keys.credits)).toBe(0);
  });

  test('the order already cancelled, then the commit', async () => {
    await hold('h', 2);
    await orderSeen(2, { cancelled: 2 });
    await commit('h', { order: order7 });
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 10, committed: 0, reserved: 0 });
  });

  test('two holds for one order, one line of three units, in between', async () => {
    await hold('h1', 2);
    await hold('h2', 1);
    await commit('h1', { order: order7 });
    await orderSeen(3);
    expect(await storedLevel(parts, 'a')).toMatchObject({ committed: 3, reserved: 1 });
    await commit('h2', { order: order7 });
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 10, committed: 3, reserved: 0 });
    await orderSeen(3, { shipped: 3 });
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 7, committed: 0, reserved: 0 });
  });

  test('each ordered unit is netted once, whichever commit comes', async () => {
    for (const id of ['h1', 'h2', 'h3']) await hold(id, 1);
    await orderSeen(2);
    for (const id of ['h1', 'h2', 'h3']) await commit(id, { order: order7 });
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 10, committed: 3, reserved: 0 });
    await orderSeen(3);
    expect(await storedLevel(parts, 'a')).toMatchObject({ committed: 3 });
  });

  test('a commit of more than was ordered leaves the rest open', async () => {
    await hold('h', 3);
    await orderSeen(2);
    await commit('h', { order: order7 });
    expect(await storedLevel(parts, 'a')).toMatchObject({ committed: 3 });
    expect(await parts.redis.zcard(parts.keys.credits)).toBe(1);
  });
});

describe('the clock', () => {
  test('an hour forward ends no hold early by more than five seconds, and back again stops nothing', async () => {
    await hold('h', 1, { ttlMs: 60_000 });
    await parts.stepClock(3_600_000);
    await ledger.sweep(100);
    expect((await ledger.hold('h'))?.deadlineInMs).toBe(55_000);
    await parts.stepClock(-3_600_000);
    await ledger.sweep(100);
    expect((await ledger.hold('h'))?.deadlineInMs).toBe(55_000);
    await parts.stepClock(2_000);
    await ledger.sweep(100);
    expect((await ledger.hold('h'))?.deadlineInMs).toBe(53_000);
  });

  test('a day without a call lets holds live on', async () => {
    await hold('h', 1, { ttlMs: 60_000 });
    await parts.stepClock(86_400_000);
    expect(await commit('h')).toMatchObject({ kind: 'committed' });
  });
});
