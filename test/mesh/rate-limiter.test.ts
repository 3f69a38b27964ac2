import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ChannelId } from '../../src/domain/ids.ts';
import { SharedRateLimiter } from '../../src/mesh/rate-limiter.ts';
import { readScripts } from '../../src/ledger/script-loader.ts';
import { frozenClock } from '../support/ledger-clock.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

let parts: LedgerParts;
let limiters: SharedRateLimiter[];
const failures: unknown[] = [];

beforeEach(() => {
  parts = ledgerParts();
  limiters = [];
});
afterEach(async () => {
  for (const made of limiters) made.close();
  await parts.close();
  expect(failures.splice(0)).toEqual([]);
});

function limiter(channel = 'shop-a'): SharedRateLimiter {
  const made = new SharedRateLimiter(parts.caller, channel as ChannelId, (error) => failures.push(error));
  limiters.push(made);
  return made;
}

function options(maxWaitMs: number): { maxWaitMs: number; signal: AbortSignal } {
  return { maxWaitMs, signal: new AbortController().signal };
}

async function learned(
  of: SharedRateLimiter,
  budget: Parameters<SharedRateLimiter['learn']>[1],
): Promise<void> {
  const before = await parts.redis.hgetall(`${parts.keys.prefix}limit:shop-a:read`);
  of.learn('read', budget);
  await eventually(async () =>
    expect(await parts.redis.hgetall(`${parts.keys.prefix}limit:shop-a:read`)).not.toEqual(before),
  );
}

test('refuses a wait longer than allowed, and takes nothing for it', async () => {
  const one = limiter();
  await learned(one, { capacity: 10, available: 0, refillPerS: 1 });
  await expect(one.acquire('read', 5, options(1_000))).rejects.toMatchObject({
    code: 'CONNECTOR_LIMIT_WAIT',
    retryable: true,
  });
  await parts.stepClock(2_000);
  await one.acquire('read', 2, options(100));
});

test('a pause that the platform asked for holds every daemon, and only this operation of this channel', async () => {
  const one = limiter();
  const other = limiter();
  await learned(one, { pauseMs: 60_000 });
  await expect(other.acquire('read', 1, options(1_000))).rejects.toMatchObject({
    code: 'CONNECTOR_LIMIT_WAIT',
  });
  await other.acquire('write', 1, options(0));
  await limiter('shop-b').acquire('read', 1, options(0));
});

test('an aborted caller does not wait', async () => {
  const one = limiter();
  await learned(one, { capacity: 10, available: 0, refillPerS: 1 });
  const abort = new AbortController();
  const waiting = one.acquire('read', 5, { maxWaitMs: 60_000, signal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  await expect(waiting).rejects.toThrow();
});

test('before the platform has described its limit everything is granted', async () => {
  await limiter().acquire('read', 1_000_000, options(0));
});

test('two daemons share one bucket', async () => {
  const one = limiter();
  const two = limiter();
  await learned(one, { capacity: 10, available: 10, refillPerS: 0.001 });
  const takes = Array.from({ length: 14 }, (_, take) =>
    (take % 2 === 0 ? one : two).acquire('read', 1, options(0)).then(
      () => 1,
      () => 0,
    ),
  );
  const granted = (await Promise.all(takes)).reduce<number>((sum, taken) => sum + taken, 0);
  expect(granted).toBe(10);
});

test('a request dearer than the whole bucket goes when the bucket is full', async () => {
  const one = limiter();
  await learned(one, { capacity: 10, available: 10, refillPerS: 1 });
  await one.acquire('read', 50, options(0));
  await expect(one.acquire('read', 1, options(1_000))).rejects.toMatchObject({
    code: 'CONNECTOR_LIMIT_WAIT',
  });
});

test('a lower figure of the platform is believed at once, a higher one by halves', async () => {
  const one = limiter();
  await learned(one, { capacity: 100, available: 100, refillPerS: 0.001 });
  await learned(one, { available: 4 });
  await expect(one.acquire('read', 5, options(0))).rejects.toThrow();
  await learned(one, { available: 10 });
  await one.acquire('read', 7, options(0));
});

test('a published budget describes a bucket that nobody has described, which begins full and outlives the daemon', async () => {
  const budget = { capacity: 2, refillPerS: 0.0056 };
  const slow = { ...options(200_000), budget };
  const short = { ...options(1_000), budget };
  await limiter().acquire('search', 1, short);
  await limiter().acquire('search', 1, short);
  // A daemon that starts anew finds the bucket as it is: a restart must not win the burst back.
  await expect(limiter().acquire('search', 1, short)).rejects.toMatchObject({ code: 'CONNECTOR_LIMIT_WAIT' });
  await parts.stepClock(179_000);
  await limiter().acquire('search', 1, { ...slow, maxWaitMs: 1_000 });
  expect(Number(await parts.redis.hget(`${parts.keys.prefix}limit:shop-a:search`, 'refill'))).toBe(0.0056);
});

test('what the platform said stands before what it publishes', async () => {
  const one = limiter();
  await learned(one, { capacity: 10, available: 0, refillPerS: 1 });
  const given = { ...options(100), budget: { capacity: 1_000, refillPerS: 1_000 } };
  await expect(one.acquire('read', 5, given)).rejects.toMatchObject({ code: 'CONNECTOR_LIMIT_WAIT' });
});

test('requests of one moment share a call, and never more of them than half a bucket', async () => {
  const one = limiter();
  // Nothing flows in, however long the calls take.
  const budget = { capacity: 8, refillPerS: 0.001 };
  await parts.caller.open();
  // Of this connection: the server's own count has the calls of other test files too.
  const calls = vi.spyOn(parts.redis, 'evalsha');
  await Promise.all(Array.from({ length: 8 }, () => one.acquire('read', 1, { ...options(10_000), budget })));
  expect(calls).toHaveBeenCalledTimes(2);
  calls.mockRestore();
  // All eight are taken: the ninth would have to wait for its token.
  await expect(one.acquire('read', 1, { ...options(1), budget })).rejects.toMatchObject({
    code: 'CONNECTOR_LIMIT_WAIT',
  });
});

/** Notes the name of each request when its turn has come. */
function queue(of: SharedRateLimiter, went: string[]): (name: string, isUrgent?: boolean) => Promise<void> {
  return async (name, isUrgent = false) => {
    await of.acquire('read', 5, { ...options(60_000), isUrgent: () => isUrgent });
    went.push(name);
  };
}

/** By then the budget of a request is taken that waits for the moment it is there. */
async function isInDebt(): Promise<void> {
  const key = `${parts.keys.prefix}limit:shop-a:read`;
  await eventually(async () => expect(Number(await parts.redis.hget(key, 'tokens'))).toBeLessThan(0));
}

test('what waits for its budget gives way to what is urgent, also when the budget was taken for it', async () => {
  const one = limiter();
  await learned(one, { capacity: 10, available: 0, refillPerS: 10 });
  const went: string[] = [];
  const enter = queue(one, went);
  const others = ['a', 'b', 'c', 'd'].map((name) => enter(name));
  await isInDebt();
  const gone = [...went];
  const urgent = [enter('sold out', true), enter('sold out too', true)];
  await Promise.all([...others, ...urgent]);
  const left = ['a', 'b', 'c', 'd'].slice(gone.length);
  expect(went).toEqual([...gone, 'sold out', 'sold out too', ...left]);
});

test('an urgent request whose turn is nearer is not refused for those that wait longer', async () => {
  const one = limiter();
  await learned(one, { capacity: 10, available: 0, refillPerS: 2 });
  const leave = new AbortController();
  const others = Array.from({ length: 6 }, () =>
    one.acquire('read', 5, { maxWaitMs: 60_000, signal: leave.signal }).then(
      () => 'went',
      (error: unknown) => error,
    ),
  );
  await isInDebt();
  // Fifteen seconds of others are waiting: who can wait for six is told so at once, unless it goes first.
  await expect(one.acquire('read', 5, options(6_000))).rejects.toMatchObject({
    code: 'CONNECTOR_LIMIT_WAIT',
  });
  await one.acquire('read', 5, { ...options(6_000), isUrgent: () => true });
  // Nor are the others refused for it; nobody waits here until they all have gone.
  leave.abort();
  for (const result of await Promise.all(others)) expect(['went', leave.signal.reason]).toContain(result);
});

test('what one caller takes along into its abort is there for the next', async () => {
  await parts.close();
  // Nothing flows in: how often it was taken shows in the bucket, however long that took.
  parts = ledgerParts({ source: readScripts(frozenClock) });
  const one = limiter();
  await learned(one, { capacity: 10, available: 0, refillPerS: 2 });
  const abort = new AbortController();
  const leaving = one.acquire('read', 5, { maxWaitMs: 60_000, signal: abort.signal });
  await isInDebt();
  const next = one.acquire('read', 5, options(60_000));
  abort.abort();
  await expect(leaving).rejects.toThrow();
  await next;
  // Once, not for each of the two.
  expect(Number(await parts.redis.hget(`${parts.keys.prefix}limit:shop-a:read`, 'tokens'))).toBe(-5);
});
