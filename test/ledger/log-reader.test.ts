import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LedgerProjection } from '../../src/ledger/projection.ts';
import { RedisProjectionSource } from '../../src/ledger/projection-snapshot.ts';
import type { LogEntry, LogGap } from '../../src/ledger/log-entry.ts';
import { LogHistory } from '../../src/ledger/log-history.ts';
import { LogReader } from '../../src/ledger/log-reader.ts';
import { noPosition } from '../../src/ledger/position.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { eventually } from '../support/eventually.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { channel, location, receive, sku } from '../support/stock.ts';

failOnLeakedConnections();

let parts: LedgerParts;
let ledger: RedisLedger;
let reader: LogReader;
const errors: unknown[] = [];
beforeEach(async () => {
  parts = ledgerParts();
  ledger = new RedisLedger(parts.caller, parts.clock);
  const redis = connectTestRedis(undefined, { connectionName: readerName() });
  reader = new LogReader({ redis, keys: parts.keys, blockMs: 100, onError: (error) => errors.push(error) });
  await parts.caller.open();
});
afterEach(async () => {
  await reader.stop();
  await parts.close();
  expect(errors.splice(0)).toEqual([]);
});

const main = location('main');
/** Other readers of the shared server are not to be taken for it. */
const readerName = (): string => `reader:${parts.merchant}`;

function hold(holdId: string, of: string, units: number, settlesOn?: string): Promise<unknown> {
  const lines = [{ sku: sku(of), units, locations: [main] }];
  const on = settlesOn === undefined ? undefined : channel(settlesOn);
  return ledger.reserve({ holdId, lines, ttlMs: 60_000, actor: 't', settlesOn: on });
}

describe('the reader', () => {
  test('tells every entry once, in order, to every consumer', async () => {
    const seen: number[][] = [[], []];
    for (const list of seen) {
      reader.add({ onEntries: (entries) => void list.push(...entries.map((entry) => entry.seq)) });
    }
    reader.start(noPosition);
    for (let i = 0; i < 50; i++) await receive(parts, `s${i % 7}`, 1);
    await expect.poll(() => seen[0]?.length).toBe(51);
    expect(seen[0]).toEqual(Array.from({ length: 51 }, (_, i) => i + 1));
    expect(seen[1]).toEqual(seen[0]);
    expect(reader.ageMs()).toBeLessThan(5_000);
  });

  test('waits for a slow consumer instead of reading on', async () => {
    let release = (): void => undefined;
    let batches = 0;
    const gate = new Promise<void>((resolve) => (release = resolve));
    reader.add({ onEntries: () => (++batches === 1 ? gate : undefined) });
    reader.start(noPosition);
    await expect.poll(() => batches).toBe(1);
    for (let i = 0; i < 5; i++) await receive(parts, 'a', 1);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(batches).toBe(1);
    release();
    await expect.poll(() => reader.position.seq).toBe(6);
  });

  test('a consumer that throws does not keep the entries from the others', async () => {
    let seen = 0;
    reader.add({
      onEntries: () => {
        throw new Error('broken consumer');
      },
    });
    reader.add({ onEntries: (entries) => void (seen += entries.length) });
    reader.start(noPosition);
    await expect.poll(() => seen).toBe(1);
    expect(String(errors.splice(0)[0])).toContain('broken consumer');
  });

  test('announces entries that were trimmed under it', async () => {
    const gaps: LogGap[] = [];
    const seen: number[] = [];
    for (let i = 0; i < 10; i++) await receive(parts, 'a', 1);
    await parts.redis.xtrim(parts.keys.log, 'MINID', `${parts.seen.get().epoch}-6`);
    reader.add({
      onEntries: (entries) => void seen.push(...entries.map((entry: LogEntry) => entry.seq)),
      onGap: (gap) => void gaps.push(gap),
    });
    reader.start({ epoch: parts.seen.get().epoch, seq: 2 });
    await expect.poll(() => seen.length).toBe(6);
    expect(gaps).toEqual([{ kind: 'trimmed', from: 3, to: 5 }]);
  });

  test('tells all of a long log in order, through the beginning of a new epoch', async () => {
    for (let i = 0; i < 20; i++) await receive(parts, `s${i % 7}`, 1);
    await parts.redis.hset(parts.keys.ledger, 'runId', 'another');
    const later = ledgerParts({ merchant: parts.merchant });
    await later.caller.open();
    for (let i = 0; i < 20; i++) await receive(later, `s${i % 7}`, 1);
    const seen: string[] = [];
    const gaps: LogGap[] = [];
    const follower = new LogReader({
      redis: connectTestRedis(),
      keys: parts.keys,
      batchEntries: 3,
      blockMs: 50,
    });
    follower.add({
      onEntries: (entries) => void seen.push(...entries.map((entry) => `${entry.id} ${entry.sku}`)),
      onGap: (gap) => void gaps.push(gap),
    });
    follower.start(noPosition);
    const log = await parts.redis.xrange(parts.keys.log, '-', '+');
    await expect.poll(() => seen.length).toBe(log.length);
    expect(seen).toEqual(log.map(([id, fields]) => `${id} ${fields[1]}`));
    expect(gaps).toEqual([]);
    await follower.stop();
    await later.close();
    reader.start(noPosition);
  });

  test('goes on behind a gap that it meets while it reads ahead', async () => {
    for (let i = 0; i < 30; i++) await receive(parts, 'a', 1);
    const { epoch } = parts.seen.get();
    const told: (number | LogGap)[] = [];
    const follower = new LogReader({
      redis: connectTestRedis(),
      keys: parts.keys,
      batchEntries: 3,
      blockMs: 50,
    });
    follower.add({
      // Pages behind this one are on their way; what the log loses now is missing from those asked for later.
      onEntries: async (entries) => {
        told.push(...entries.map((entry) => entry.seq));
        if (told.length === 3) await parts.redis.xtrim(parts.keys.log, 'MINID', `${epoch}-20`);
      },
      onGap: (gap) => void told.push(gap),
    });
    follower.start({ epoch, seq: 0 });
    await expect.poll(() => told.at(-1)).toBe(31);
    const gap = told.find((what) => typeof what !== 'number');
    expect(gap).toMatchObject({ kind: 'trimmed', to: 19 });
    const sequences = told.filter((what) => typeof what === 'number');
    const lastBefore = (gap?.kind === 'trimmed' ? gap.from : 0) - 1;
    expect(sequences).toEqual([
      ...Array.from({ length: lastBefore }, (_, i) => i + 1),
      ...Array.from({ length: 12 }, (_, i) => i + 20),
    ]);
    await follower.stop();
    reader.start(noPosition);
  });

  test('what slow consumers learn late is as old as the answer, not as new as their end', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let toldAt = 0;
    reader.add({
      onEntries: async () => {
        toldAt = performance.now();
        await gate;
      },
    });
    reader.start(noPosition);
    await expect.poll(() => toldAt).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    release();
    // Promises only: no later answer of the server can come in between.
    for (let i = 0; i < 50 && reader.ageMs() === Number.POSITIVE_INFINITY; i++) await Promise.resolve();
    const least = performance.now() - toldAt;
    const age = reader.ageMs();
    expect(age).toBeGreaterThanOrEqual(least);
    expect(age).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  test('announces a fork behind which it has already read, and goes on with the new epoch', async () => {
    const gaps: LogGap[] = [];
    const kinds: string[] = [];
    reader.add({
      onEntries: (entries) => void kinds.push(...entries.map((entry) => entry.kind)),
      onGap: (gap) => void gaps.push(gap),
    });
    const { epoch } = parts.seen.get();
    reader.start({ epoch, seq: 4 });
    parts.seen.observe({ epoch, seq: 4 });
    await parts.caller.confirmLoss('operator');
    await expect.poll(() => kinds).toEqual(['epoch']);
    expect(gaps).toEqual([{ kind: 'forked', lost: { epoch, from: 2, to: 4 } }]);
  });

  test('does not hide a loss: what was seen of the old epoch stays until the ledger is opened', async () => {
    const { epoch } = parts.seen.get();
    parts.seen.observe({ epoch, seq: 4 });
    const follower = new LogReader({
      redis: connectTestRedis(),
      keys: parts.keys,
      seen: parts.seen,
      blockMs: 50,
    });
    follower.start({ epoch, seq: 4 });
    // Another daemon, which knows nothing, opens what a failover left.
    await parts.redis.hset(parts.keys.ledger, 'runId', 'another');
    const fresh = ledgerParts({ merchant: parts.merchant });
    await fresh.caller.open();
    await expect.poll(() => follower.position.epoch).toBeGreaterThan(epoch);
    expect(parts.seen.get()).toEqual({ epoch, seq: 4 });
    await expect(receive(parts, 'a', 1)).rejects.toThrow(`entries 2 to 4 of epoch ${epoch}`);
    await follower.stop();
    await fresh.close();
    reader.start(noPosition);
  });

  test('comes back after its connection is killed', async () => {
    let seen = 0;
    reader.add({ onEntries: (entries) => void (seen += entries.length) });
    reader.start(noPosition);
    await expect.poll(() => seen).toBe(1);
    await eventually(async () => {
      const clients = String(await parts.redis.client('LIST')).split('\n');
      const line = clients.find((client) => client.includes(` name=${readerName()} `)) ?? '';
      expect(line).toContain(' cmd=xread ');
      const id = /^id=(\d+)/.exec(line)?.[1] ?? '';
      expect(await parts.redis.client('KILL', 'ID', id)).toBe(1);
    });
    await receive(parts, 'a', 1);
    await expect.poll(() => seen).toBe(2);
    errors.splice(0);
  });
});

describe('the history', () => {
  test('gives pages, and says when what follows is gone', async () => {
    for (let i = 0; i < 5; i++) await receive(parts, 'a', 1);
    const history = new LogHistory(parts.redis, parts.keys);
    const head = await history.head();
    expect(head).toEqual(parts.seen.get());
    const page = await history.after(noPosition, 4);
    expect(page.kind === 'entries' && page.entries.map((entry) => entry.seq)).toEqual([1, 2, 3, 4]);
    expect(await history.after(head, 4)).toEqual({ kind: 'entries', entries: [] });
    await parts.redis.xtrim(parts.keys.log, 'MINID', `${head.epoch}-4`);
    expect(await history.after({ epoch: head.epoch, seq: 1 }, 4)).toEqual({
      kind: 'trimmed',
      first: { epoch: head.epoch, seq: 4 },
    });
    expect(await history.after({ epoch: head.epoch - 1, seq: 9 }, 4)).toMatchObject({ kind: 'trimmed' });
  });

  test('a log that was trimmed to nothing is told from one that has nothing new', async () => {
    for (let i = 0; i < 3; i++) await receive(parts, 'a', 1);
    const history = new LogHistory(parts.redis, parts.keys);
    const head = await history.head();
    await parts.redis.xtrim(parts.keys.log, 'MAXLEN', 0);
    const after = { epoch: head.epoch, seq: head.seq + 1 };
    expect(await history.after({ epoch: head.epoch, seq: 2 }, 4)).toEqual({ kind: 'trimmed', first: after });
    expect(await history.after(head, 4)).toEqual({ kind: 'entries', entries: [] });
  });

  test('what is written while it looks is never taken for a gap', async () => {
    await receive(parts, 'a', 1);
    const { redis } = parts;
    // The entry comes right behind the page that did not have it.
    const slow = new Proxy(redis, {
      get(target, name) {
        const own: unknown = Reflect.get(target, name);
        if (name !== 'xrange') return typeof own === 'function' ? own.bind(target) : own;
        return async (...args: Parameters<typeof redis.xrange>) => {
          const page = await redis.xrange(...args);
          await receive(parts, 'a', 1);
          return page;
        };
      },
    });
    const history = new LogHistory(slow, parts.keys);
    const head = await history.head();
    expect(await history.after(head, 4)).toEqual({ kind: 'entries', entries: [] });
    expect(await history.after(head, 4)).toMatchObject({ kind: 'entries', entries: [{ seq: head.seq + 1 }] });
  });
});

describe('the projection', () => {
  async function startProjection(): Promise<LedgerProjection> {
    const projection = new LedgerProjection(
      new RedisProjectionSource(parts.redis, parts.keys, [channel('shop')]),
    );
    await projection.start(reader);
    reader.start(projection.position);
    return projection;
  }

  test('begins with the hashes and follows the log', async () => {
    await receive(parts, 'a', 5);
    await receive(parts, '__proto__', 7, 'east');
    const projection = await startProjection();
    expect(projection.levelsOf(sku('a'))?.get(main)).toEqual({ onHand: 5, committed: 0, reserved: 0 });
    expect(projection.levelsOf(sku('__proto__'))?.get(location('east'))?.onHand).toBe(7);
    expect(projection.levelsOf(sku('constructor'))).toBeUndefined();
    const changed: string[] = [];
    projection.onChanged((skus) => changed.push(...skus.keys()));
    await hold('h', 'a', 2);
    await expect.poll(() => projection.levelsOf(sku('a'))?.get(main)?.reserved).toBe(2);
    expect(changed).toEqual(['a']);
    expect(projection.changedAt(sku('a'))).toBe(parts.seen.get().seq);
    expect(projection.position).toEqual(parts.seen.get());
  });

  test('knows what settles on a channel, through the end of holds older than itself', async () => {
    await receive(parts, 'a', 9);
    await hold('old', 'a', 2, 'shop');
    const projection = await startProjection();
    expect(projection.settlingOn(sku('a'), channel('shop'), main)).toBe(2);
    await hold('new', 'a', 3, 'shop');
    await hold('external', 'a', 1);
    await ledger.release({ holdId: 'old', actor: 't' });
    await ledger.release({ holdId: 'external', actor: 't' });
    await expect.poll(() => projection.position.seq).toBe(parts.seen.get().seq);
    expect(projection.settlingOn(sku('a'), channel('shop'), main)).toBe(3);
    await ledger.commit({ holdId: 'new', actor: 't' });
    await expect.poll(() => projection.position.seq).toBe(parts.seen.get().seq);
    expect(projection.settlingOn(sku('a'), channel('shop'), main)).toBe(0);
    expect(projection.levelsOf(sku('a'))?.get(main)).toEqual({ onHand: 9, committed: 3, reserved: 0 });
  });

  test('equals the hashes after a load that ran while others wrote', async () => {
    for (let i = 0; i < 300; i++) await receive(parts, `s${i}`, 10);
    const writing = new AbortController();
    const writer = (async () => {
      for (let i = 0; !writing.signal.aborted; i++) await hold(`w${i}`, `s${i % 300}`, 1, 'shop');
    })();
    const projection = await startProjection();
    await new Promise((resolve) => setTimeout(resolve, 100));
    writing.abort();
    await writer;
    await expect.poll(() => projection.position.seq).toBe(parts.seen.get().seq);
    for (let i = 0; i < 300; i++) {
      const fields = await parts.redis.hgetall(parts.keys.sku(sku(`s${i}`)));
      const level = projection.levelsOf(sku(`s${i}`))?.get(main);
      expect(level).toMatchObject({ onHand: 10, reserved: Number(fields['r:main'] ?? 0) });
      expect(projection.settlingOn(sku(`s${i}`), channel('shop'), main)).toBe(level?.reserved);
    }
  });

  test('is loaded again after a gap, and every SKU counts as changed', async () => {
    await receive(parts, 'a', 5);
    const projection = await startProjection();
    const changed = new Set<string>();
    projection.onChanged((skus) => {
      for (const name of skus.keys()) changed.add(name);
    });
    await parts.redis.hset(parts.keys.sku(sku('a')), 'o:main', '3', 'v', '1');
    const { epoch, seq } = parts.seen.get();
    // What the reader has read and the ledger has lost.
    await projection.onGap({ kind: 'forked', lost: { epoch, from: seq, to: seq } });
    expect(projection.levelsOf(sku('a'))?.get(main)?.onHand).toBe(3);
    expect([...changed]).toEqual(['a']);
  });
});
