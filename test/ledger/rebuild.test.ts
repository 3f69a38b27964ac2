import * as fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Sku } from '../../src/domain/ids.ts';
import { LedgerArchive } from '../../src/ledger/archive.ts';
import { RedisLogTail } from '../../src/ledger/full-history.ts';
import { ledgerKeys, US } from '../../src/ledger/keys.ts';
import { LogMirror } from '../../src/ledger/log-mirror.ts';
import { LogHistory } from '../../src/ledger/log-history.ts';
import { retainLog } from '../../src/ledger/log-retention.ts';
import { MirrorTail } from '../../src/ledger/mirror-tail.ts';
import { checkRebuild, rebuildLedger, type RebuildResult } from '../../src/ledger/rebuild.ts';
import { LedgerWriter } from '../../src/ledger/rebuild/ledger-writer.ts';
import { comparableState } from '../../src/ledger/replay/replayed-state.ts';
import { dumpState } from '../../src/ledger/state-dump.ts';
import { verifyLedger } from '../../src/ledger/verify.ts';
import { copyLedger, dropLedger } from '../support/ledger-copy.ts';
import { ledgerParts, merchantId } from '../support/ledger-parts.ts';
import {
  back,
  count,
  line,
  listing,
  main,
  order,
  type OrderBench,
  orderBench,
  receive,
  routing,
  shop,
} from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { anyCommand, runCommands } from './model/any-command.ts';

failOnLeakedConnections();

let bench: OrderBench;
let dir: string;
beforeEach(async () => {
  bench = orderBench();
  dir = await mkdtemp(join(tmpdir(), 'sm-rebuild-'));
});
afterEach(async () => {
  await bench.close();
  await rm(dir, { recursive: true, force: true });
});

const archiveDir = (): string => join(dir, 'archive');
const archive = (): LedgerArchive => new LedgerArchive(archiveDir());

function retain(of: OrderBench): Promise<unknown> {
  return retainLog({
    redis: of.redis,
    keys: of.keys,
    caller: of.caller,
    lease: of.publisher,
    archive: archive(),
    holder: 'test',
    nowMs: () => of.clock.nowMs(),
    limits: { keepEntries: 10, segmentEntries: 20 },
  });
}

/** Rebuilds the ledger of `of` under another merchant on the same server. */
async function rebuild(of: OrderBench): Promise<{ result: RebuildResult; rebuilt: OrderBench }> {
  const rebuilt = orderBench();
  const result = await rebuildLedger({
    target: { redis: rebuilt.redis, keys: rebuilt.keys },
    archive: archive(),
    tail: new RedisLogTail(of.redis, of.keys),
  });
  return { result, rebuilt };
}

/** What no reader of levels sees, and later commands need: rings and marks of levels, places of order lines. */
async function innerState(of: OrderBench): Promise<unknown> {
  const levels: Record<string, unknown> = {};
  for (const sku of (await of.redis.smembers(of.keys.skus)).toSorted()) {
    const fields = Object.entries(await of.redis.hgetall(of.keys.sku(sku as Sku)));
    // A count that changed nothing is not in the log, only its time is kept.
    levels[sku] = Object.fromEntries(fields.filter(([name]) => !/^[ab]:/.test(name)));
  }
  return levels;
}

/** Places of every line; of an adopted one it was never known where its units left from. */
async function places(of: OrderBench, adopted: ReadonlySet<string>): Promise<unknown> {
  const lines: Record<string, unknown> = {};
  for (const key of (await of.redis.zrange(of.keys.orders, '0', '-1')).toSorted()) {
    const fields = await of.redis.hgetall(`${of.keys.prefix}order:${key}`);
    for (const [field, record] of Object.entries(fields)) {
      const [sku, listingId, counters, , at] = record.split(US);
      if (
        !field.startsWith('l:') ||
        adopted.has(`${key} ${field.slice(2)}`) ||
        /^[0,]*$/.test(counters ?? '')
      )
        continue;
      lines[`${key} ${field}`] = [sku, listingId, counters, (at ?? '').split(',').toSorted()];
    }
  }
  return lines;
}

async function adoptedLines(of: OrderBench): Promise<Set<string>> {
  const movements = await of.movements();
  const adopted = movements.filter(({ operationId }) => operationId.startsWith('adopted:'));
  return new Set(adopted.map((m) => `${m.channel}:${m.reference} ${m.line}`));
}

const state = async (of: OrderBench) => comparableState(await dumpState(of.redis, of.keys));

describe('a rebuilt ledger', () => {
  test('equals the one it was rebuilt from in everything that can be read, and goes on', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyCommand, { minLength: 25, maxLength: 60 }),
        fc.array(anyCommand, { minLength: 1, maxLength: 10 }),
        async (steps, after) => {
          const one = orderBench();
          const { result, rebuilt } = await runCommands(one, steps).then(() => rebuild(one));
          try {
            expect(result.kind).toBe('rebuilt');
            expect(await state(rebuilt)).toEqual(await state(one));
            expect(await innerState(rebuilt)).toEqual(await innerState(one));
            const adopted = await adoptedLines(one);
            expect(await places(rebuilt, adopted)).toEqual(await places(one, adopted));
            await runCommands(rebuilt, after);
            await rebuilt.audit();
          } finally {
            await one.close();
            await rebuilt.close();
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('keeps level by level what counts and parcels need later', async () => {
    const wms = { ...routing, locations: [{ location: back, wmsOwned: true }] };
    await receive(bench, 's', 9, back);
    // Nearer to the receipt than its skew, a count would not be taken. A moment still to come is taken as now.
    await bench.stepClock(50);
    const asOfMs = bench.clock.nowMs() + 60_000;
    expect(
      await bench.counts.applyCount(count(bench, 's', 7, { location: back, skewMs: 3, asOfMs })),
    ).toMatchObject({ kind: 'counted', onHand: 7, delta: -2 });
    await bench.orders.applyOrder(order('o', [line('1', 's', { ordered: 3, shipped: 2 })]), wms);
    // Two parcels wait for the warehouse; of the first, one unit had not left after all: the newest mark gives it back.
    await bench.stepClock(50);
    await bench.orders.applyOrder(order('p', [line('1', 's', { ordered: 3, shipped: 3 })]), wms);
    const corrected = order('o', [line('1', 's', { ordered: 3, shipped: 1 })], {
      source: 'fetch',
      beganAtMs: 2_000,
    });
    await bench.orders.applyOrder(corrected, wms);
    expect(await bench.redis.hget(bench.keys.sku('s' as Sku), `g:${back}`)).toMatch(/^\d+:2,\d+:2$/);
    await bench.counts.adjust({
      operationId: 'late',
      movement: 'received',
      sku: 's' as Sku,
      location: main,
      units: 4,
      effectiveAtMs: bench.clock.nowMs() - 60_000,
      reference: 'd',
      reason: 'a;b',
      actor: 'test',
    });
    const lines = [{ sku: 's' as Sku, units: 1, locations: [main] }];
    await bench.holds.reserve({ holdId: 'h', lines, ttlMs: 60_000, actor: 'test', settlesOn: shop });
    const { rebuilt } = await rebuild(bench);
    const hash = (of: OrderBench) => of.redis.hgetall(of.keys.sku('s' as Sku));
    expect(await hash(rebuilt)).toEqual(await hash(bench));
    await rebuilt.close();
  });

  test('begins a new epoch, and its history verifies with the archive of the old one', async () => {
    for (let i = 0; i < 150; i += 1) await receive(bench, `s${i % 3}`, 2);
    await retain(bench);
    const epoch = Number(await bench.redis.hget(bench.keys.ledger, 'epoch'));
    const { result, rebuilt } = await rebuild(bench);
    expect(result).toMatchObject({ kind: 'rebuilt', position: { epoch, seq: 151 }, skus: 3, entries: 151 });
    await receive(rebuilt, 's1', 1);
    expect(rebuilt.caller.epoch).toBeGreaterThan(epoch);
    expect(
      await verifyLedger({ redis: rebuilt.redis, keys: rebuilt.keys, archive: archive() }),
    ).toMatchObject({ findings: [], limits: [], entries: 153 });
    await retain(rebuilt);
    expect(
      await verifyLedger({ redis: rebuilt.redis, keys: rebuilt.keys, archive: archive() }),
    ).toMatchObject({ findings: [], limits: [], entries: 153 });
    await rebuilt.close();
  });

  test('answers repeats of commands that were carried out before', async () => {
    await receive(bench, 's', 20);
    const lines = [{ sku: 's' as Sku, units: 2, locations: [main] }];
    const hold = (holdId: string) => ({ holdId, lines, ttlMs: 60_000, actor: 'test', agent: 'a', pool: 'p' });
    const commit = { holdId: 'bought', actor: 'test', order: { channel: shop, orderId: 'o' } };
    const extend = { holdId: 'live', ttlMs: 90_000, operationId: 'e', maxExtensions: 2 };
    const adjust = {
      operationId: 'receipt',
      movement: 'received',
      sku: 's' as Sku,
      location: main,
      units: 4,
      reference: 'd',
      reason: '',
      actor: 'test',
    } as const;
    const snapshot = order('o', [line('1', 's', { ordered: 2, takenOut: 2 }, { listingId: listing('s') })]);
    const all = async (of: OrderBench) => [
      await of.holds.reserve(hold('live')),
      await of.holds.reserve(hold('bought')),
      await of.holds.commit(commit),
      await of.holds.extend(extend),
      await of.counts.adjust(adjust),
      (await of.orders.applyOrder(snapshot, routing)).movements,
    ];
    await all(bench);
    const { rebuilt } = await rebuild(bench);
    const before = await state(rebuilt);
    expect(await all(rebuilt)).toMatchObject([
      { kind: 'held', repeated: true },
      { kind: 'ended', state: 'committed' },
      { kind: 'committed', repeated: true },
      { kind: 'extended', repeated: true },
      { kind: 'adjusted', repeated: true },
      0,
    ]);
    expect((await state(rebuilt)).levels).toEqual(before.levels);
    await rebuilt.close();
  });

  test('has listings that must be read, and channels that are due a full resync', async () => {
    const snapshot = order('o', [line('1', 's', { ordered: 2, takenOut: 2 }, { listingId: listing('x') })]);
    await bench.orders.applyOrder(snapshot, routing);
    const { rebuilt } = await rebuild(bench);
    const view = await rebuilt.publisher.readListings(shop, [{ listingId: listing('x'), sku: 's' as Sku }]);
    expect(view.rows[0]?.state).toMatchObject({ taken: 2, base: undefined, suspect: true });
    expect(view.rows[0]?.state.rises).toEqual([{ atMs: 1_000, units: 2 }]);
    expect(await rebuilt.mesh.cursor(`full:${shop}`)).not.toBeNull();
    await rebuilt.close();
  });

  test('leaves holds the time they had, also after the clock of their ledger fell behind', async () => {
    await receive(bench, 's', 20);
    await bench.stepClock(3_600_000);
    const lines = [{ sku: 's' as Sku, units: 2, locations: [main] }];
    await bench.holds.reserve({ holdId: 'h', lines, ttlMs: 60_000, actor: 'test' });
    const { rebuilt } = await rebuild(bench);
    const left = (await rebuilt.holds.hold('h'))?.deadlineInMs;
    expect(left).toBeGreaterThan(50_000);
    expect(left).toBeLessThanOrEqual(60_000);
    await rebuilt.close();
  });
});

test('from archive and mirror alone, when the server is gone', async () => {
  const mirror = await LogMirror.open(join(dir, 'mirror'));
  const { merchant } = bench;
  for (let i = 0; i < 150; i += 1) await receive(bench, `s${i % 3}`, 2);
  await mirror.catchUp(new LogHistory(bench.redis, bench.keys));
  await retain(bench);
  for (let i = 0; i < 30; i += 1) await receive(bench, 's1', 1);
  await mirror.catchUp(new LogHistory(bench.redis, bench.keys));
  await mirror.close();
  const before = await state(bench);
  await dropLedger(bench);

  const daemon = orderBench(ledgerParts({ merchant, seen: bench.seen }));
  // A daemon that came up before the operator did has halted on the empty server.
  await expect(receive(daemon, 's1', 1)).rejects.toMatchObject({ code: 'LEDGER_HALTED' });
  const tail = new MirrorTail(join(dir, 'mirror'));
  const target = { redis: bench.redis, keys: bench.keys };
  expect(await rebuildLedger({ target, archive: archive(), tail })).toMatchObject({ kind: 'rebuilt' });
  expect(await state(bench)).toEqual(before);
  await expect.poll(() => receive(daemon, 's1', 1).then(() => 'going on', String)).toBe('going on');
  expect(await verifyLedger({ ...target, archive: archive() })).toMatchObject({ findings: [], limits: [] });
  await daemon.close();
});

test('orders that retention had dropped stay dropped, also when their platform tells of them again', async () => {
  const old = order('old', [line('1', 's', { ordered: 2, shipped: 2, takenOut: 2 })]);
  await bench.orders.applyOrder(old, routing);
  await bench.stepClock(401 * 86_400_000);
  await receive(bench, 's', 1);
  await bench.credits.sweepOrders(100);
  const first = await rebuild(bench);
  expect(await state(first.rebuilt)).toEqual(await state(bench));
  expect((await state(bench)).lines).toEqual([]);
  await first.rebuilt.close();
  await bench.orders.applyOrder(old, { ...routing, adopt: 'on-hand' });
  await bench.orders.applyOrder(
    order('old', [line('1', 's', { ordered: 2, shipped: 2, restocked: 1 })]),
    routing,
  );
  const second = await rebuild(bench);
  expect(await state(second.rebuilt)).toEqual(await state(bench));
  expect(await verifyLedger({ redis: bench.redis, keys: bench.keys })).toMatchObject({ findings: [] });
  await second.rebuilt.close();
});

describe('rebuild refuses', () => {
  test('a place that holds a ledger', async () => {
    await receive(bench, 's', 1);
    const other = orderBench();
    await receive(other, 's', 5);
    const before = await state(other);
    const tail = new RedisLogTail(bench.redis, bench.keys);
    const target = { redis: other.redis, keys: other.keys };
    expect(await rebuildLedger({ target, archive: archive(), tail })).toEqual({ kind: 'not-empty' });
    expect(await state(other)).toEqual(before);
    await other.close();
  });

  test('a history without its beginning, and an empty one', async () => {
    const target = { redis: bench.redis, keys: ledgerKeys(merchantId()) };
    const tail = new RedisLogTail(bench.redis, bench.keys);
    expect(await rebuildLedger({ target, archive: archive(), tail })).toEqual({
      kind: 'incomplete',
      first: undefined,
    });
    for (let i = 0; i < 150; i += 1) await receive(bench, 's', 1);
    await retain(bench);
    await rm(archiveDir(), { recursive: true });
    expect(await rebuildLedger({ target, archive: archive(), tail })).toMatchObject({ kind: 'incomplete' });
    expect(await bench.redis.exists(target.keys.ledger, target.keys.skus)).toBe(0);
  });

  test('a history that contradicts itself, unless told to believe it', async () => {
    for (let i = 0; i < 10; i += 1) await receive(bench, 's', 1);
    const rows = await bench.redis.xrange(bench.keys.log, '-', '+');
    await bench.redis.xdel(bench.keys.log, rows[4]?.[0] ?? '');
    const target = { redis: bench.redis, keys: ledgerKeys(merchantId()) };
    const options = { target, archive: archive(), tail: new RedisLogTail(bench.redis, bench.keys) };
    expect(await rebuildLedger(options)).toMatchObject({ kind: 'contradictory' });
    expect(await bench.redis.exists(target.keys.ledger)).toBe(0);
    expect(await rebuildLedger({ ...options, acceptFindings: true })).toMatchObject({ kind: 'rebuilt' });
  });
});

test('a rebuild that was interrupted is no ledger, and is begun anew', async () => {
  await receive(bench, 's', 1);
  const target = { redis: bench.redis, keys: ledgerKeys(merchantId()) };
  expect(await new LedgerWriter(target.redis, target.keys).begin()).toBe(true);
  await bench.redis.hset(target.keys.sku('half' as Sku), 'v', '3');
  await bench.redis.sadd(target.keys.skus, 'half');
  const tail = new RedisLogTail(bench.redis, bench.keys);
  expect(await rebuildLedger({ target, archive: archive(), tail })).toMatchObject({ kind: 'rebuilt' });
  expect(await bench.redis.smembers(target.keys.skus)).toEqual(['s']);
  expect(await bench.redis.exists(target.keys.sku('half' as Sku))).toBe(0);
});

test('entries after a fork are not rebuilt', async () => {
  await receive(bench, 's', 5);
  const copy = await copyLedger(bench);
  await receive(bench, 's', 100);
  await copy.restore();
  const daemon = orderBench(ledgerParts({ merchant: bench.merchant, seen: bench.seen }));
  await daemon.caller.open().catch(() => undefined);
  await daemon.caller.confirmLoss('operator');
  await receive(daemon, 's', 1);
  const { rebuilt } = await rebuild(daemon);
  expect((await state(rebuilt)).levels.get('s')?.get(main)?.onHand).toBe(6);
  await daemon.close();
  await rebuilt.close();
});

describe('rebuild --check', () => {
  test('finds nothing in a ledger that holds together', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyCommand, { minLength: 25, maxLength: 60 }), async (steps) => {
        const one = orderBench();
        try {
          await runCommands(one, steps);
          expect(await checkRebuild({ redis: one.redis, keys: one.keys })).toMatchObject({
            kind: 'checked',
            findings: [],
          });
        } finally {
          await one.close();
        }
      }),
      { numRuns: 20 },
    );
  });

  test('names each record that differs, and not the holds that were purged', async () => {
    await receive(bench, 's', 20);
    const lines = [{ sku: 's' as Sku, units: 2, locations: [main] }];
    for (const holdId of ['live', 'bought', 'gone']) {
      await bench.holds.reserve({ holdId, lines, ttlMs: 60_000, actor: 'test', agent: 'a' });
    }
    await bench.holds.commit({ holdId: 'bought', actor: 'test' });
    await bench.holds.commit({ holdId: 'gone', actor: 'test' });
    await bench.redis.hdel(bench.keys.holds, 'gone');
    await bench.redis.hset(bench.keys.agents, 'a\u001fs', 4);
    const options = { redis: bench.redis, keys: bench.keys };
    expect(await checkRebuild(options)).toMatchObject({ kind: 'checked', findings: [] });
    await bench.redis.hset(bench.keys.agents, 'a\u001fs', 5);
    await bench.redis.hincrby(bench.keys.sku('s' as Sku), `o:${main}`, 1);
    const check = await checkRebuild(options);
    expect(check.kind === 'checked' && check.findings.map(({ at }) => at)).toEqual([
      'levels s main',
      'agent a s',
    ]);
  });

  test('says so when the ledger never holds still', async () => {
    await receive(bench, 's', 20);
    const redis = bench.redis.duplicate();
    const done = new AbortController();
    const writing = (async () => {
      while (!done.signal.aborted) await receive(bench, 's', 1);
    })();
    expect(await checkRebuild({ redis, keys: bench.keys })).toEqual({ kind: 'moving' });
    done.abort();
    await writing;
    redis.disconnect();
  });
});
