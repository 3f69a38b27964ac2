import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { ListingId, Sku } from '../../src/domain/ids.ts';
import { LedgerArchive, type RawEntry } from '../../src/ledger/archive.ts';
import { FullHistory, RedisLogTail } from '../../src/ledger/full-history.ts';
import { LogHistory } from '../../src/ledger/log-history.ts';
import { readRawLog } from '../../src/ledger/log-range.ts';
import {
  beginArchive,
  LogRetention,
  type RetentionOptions,
  retainLog,
} from '../../src/ledger/log-retention.ts';
import { formatPosition } from '../../src/ledger/position.ts';
import { RetentionMetrics } from '../../src/ledger/retention-metrics.ts';
import { verifyLedger } from '../../src/ledger/verify.ts';
import { FanOut } from '../../src/mesh/fan-out.ts';
import { main, type OrderBench, orderBench, shop } from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

let bench: OrderBench;
let dir: string;
beforeEach(async () => {
  bench = orderBench();
  dir = await mkdtemp(join(tmpdir(), 'sm-retention-'));
});
afterEach(async () => {
  await bench.close();
  await rm(dir, { recursive: true, force: true });
});

let operations = 0;
async function receipts(count: number): Promise<void> {
  const all = Array.from({ length: count }, () =>
    bench.counts.adjust({
      operationId: `receipt-${++operations}`,
      movement: 'received',
      sku: `sku-${operations % 7}` as Sku,
      location: main,
      units: 1,
      reference: 'delivery',
      reason: '',
      actor: 'test',
    }),
  );
  await Promise.all(all);
}

function options(more: Partial<RetentionOptions> = {}): RetentionOptions {
  return {
    redis: bench.redis,
    keys: bench.keys,
    caller: bench.caller,
    lease: bench.publisher,
    archive: new LedgerArchive(dir),
    holder: 'daemon',
    nowMs: () => bench.clock.nowMs(),
    limits: { keepEntries: 50, segmentEntries: 100 },
    ...more,
  };
}

/** Archive and log as one. */
async function history(at = dir): Promise<RawEntry[]> {
  const entries: RawEntry[] = [];
  const full = new FullHistory(new RedisLogTail(bench.redis, bench.keys), new LedgerArchive(at));
  for await (const rows of full.rawAfter()) entries.push(...rows);
  return entries;
}

async function log(): Promise<RawEntry[]> {
  const entries: RawEntry[] = [];
  for await (const rows of readRawLog(bench.redis, bench.keys)) entries.push(...rows);
  return entries;
}

async function archived(at = dir): Promise<RawEntry[]> {
  const entries: RawEntry[] = [];
  for await (const rows of new LedgerArchive(at).read()) entries.push(...rows);
  return entries;
}

const firstKept = async (): Promise<number> => Number(await bench.redis.hget(bench.keys.ledger, 'first'));

describe('nothing is trimmed', () => {
  test('that the archive did not take', async () => {
    await receipts(300);
    const before = await log();
    const broken = options({ archive: new LedgerArchive('/dev/null/archive') });
    await expect(retainLog(broken)).rejects.toThrow(/ENOTDIR/);
    expect(await log()).toEqual(before);
  });

  test('by a daemon whose archive does not reach up to the log', async () => {
    await receipts(300);
    await retainLog(options());
    await receipts(300);
    const before = await log();
    const other = await mkdtemp(join(tmpdir(), 'sm-retention-'));
    const metrics = new RetentionMetrics(new Registry());
    const result = await retainLog(options({ archive: new LedgerArchive(other), holder: 'other', metrics }));
    expect(result.kind).toBe('not-joined');
    expect(await log()).toEqual(before);
    expect(await readdir(other)).toEqual([]);
    await rm(other, { recursive: true });
  });

  test('by an archive of another ledger that happens to be further on', async () => {
    const foreign = await mkdtemp(join(tmpdir(), 'sm-retention-'));
    try {
      await receipts(100);
      const epoch = Number(await bench.redis.hget(bench.keys.ledger, 'epoch'));
      const entries = Array.from({ length: 500 }, (_, i): RawEntry => [`${epoch}-${i + 1}`, 'other', 'A']);
      await new LedgerArchive(foreign).append(entries);
      const before = await log();
      const result = await retainLog(options({ archive: new LedgerArchive(foreign) }));
      expect(result).toMatchObject({ kind: 'not-joined' });
      expect(await log()).toEqual(before);
    } finally {
      await rm(foreign, { recursive: true });
    }
  });

  test('nor are segments removed, when the chain that names them is lost', async () => {
    await receipts(300);
    await retainLog(options());
    await rm(join(dir, 'chain.ndjson'));
    const files = await readdir(dir);
    expect(files.length).toBeGreaterThan(1);
    expect(await retainLog(options())).toMatchObject({ kind: 'not-joined' });
    expect(await readdir(dir)).toEqual(files);
    await beginArchive(bench.redis, bench.keys, new LedgerArchive(dir));
    await receipts(100);
    expect(await retainLog(options())).toMatchObject({ kind: 'done' });
    expect(await readdir(dir)).toEqual(expect.arrayContaining(files));
  });

  test('while another daemon holds the lease', async () => {
    await receipts(300);
    await bench.publisher.takeLease('log-retention', 'other', 60_000);
    expect(await retainLog(options())).toEqual({ kind: 'busy' });
    expect(await firstKept()).toBe(1);
  });

  test('that is neither beyond the newest entries to keep nor too old', async () => {
    await receipts(120);
    expect(await retainLog(options({ limits: { keepEntries: 200, segmentEntries: 10 } }))).toMatchObject({
      kind: 'done',
      segments: 0,
      trimmed: 0,
    });
  });
});

test('what is beyond the newest entries is archived in whole segments, then trimmed; nothing is missing', async () => {
  await receipts(480);
  const before = await log();
  const told: string[] = [];
  const result = await retainLog(
    options({ onArchived: async (last) => void told.push(formatPosition(last)) }),
  );
  expect(result).toMatchObject({ kind: 'done', segments: 4, archived: 400, isMore: false });
  expect(told).toHaveLength(4);
  expect(await archived()).toEqual(before.slice(0, 400));
  expect((await log()).length).toBeLessThan(200);
  expect(await firstKept()).toBeGreaterThan(300);
  expect(await history()).toEqual(before);
});

test('entries past their time go too, also when they fill no segment, but never the newest', async () => {
  await receipts(20);
  const later = bench.clock.nowMs() + 3_600_000;
  const limits = { keepEntries: 1_000, keepMs: 60_000, partialAfterMs: 60_000, segmentEntries: 100 };
  const result = await retainLog(options({ limits, nowMs: () => later }));
  expect(result).toMatchObject({ kind: 'done', segments: 1, archived: 20 });
  expect((await log()).length).toBeGreaterThan(0);
});

test('a run does a bounded amount of work, the next goes on', async () => {
  await receipts(480);
  const limits = { keepEntries: 50, segmentEntries: 100, maxSegmentsPerRun: 3 };
  expect(await retainLog(options({ limits }))).toMatchObject({ segments: 3, isMore: true });
  expect(await retainLog(options({ limits }))).toMatchObject({ segments: 1, isMore: false });
});

describe('a process that is killed', () => {
  const script = fileURLToPath(new URL('../support/retain-once.ts', import.meta.url));
  const run = (failpoints: string): Promise<NodeJS.Signals | null> =>
    new Promise((resolve) => {
      const args = [script, inject('redisPath'), bench.merchant, dir, failpoints];
      const child = execFile(process.execPath, args, () => undefined);
      child.on('exit', (_code, signal) => resolve(signal));
    });

  test.each([
    ['before the segment is in the chain', 'segment-written@1=kill'],
    ['before the second segment is in the chain', 'segment-written@2=kill'],
    ['between archive and trim', 'log-archived@1=kill'],
    ['between archive and trim of the second segment', 'log-archived@2=kill'],
    ['after the trim', 'log-trimmed@1=kill'],
  ])('%s leaves a whole history and no segment twice', async (_when, failpoints) => {
    await receipts(480);
    const before = await log();
    expect(await run(failpoints)).toBe('SIGKILL');
    expect(await history()).toEqual(before);
    expect(await retainLog(options())).toMatchObject({ kind: 'done', isMore: false });
    expect(await archived()).toEqual(before.slice(0, 400));
    expect(await history()).toEqual(before);
    const chain = await new LedgerArchive(dir).chain();
    expect(chain.map(({ entries }) => entries)).toEqual([100, 100, 100, 100]);
    expect((await readdir(dir)).length).toBe(chain.length + 1);
  });
});

describe('two daemons', () => {
  test('with one folder each end with one whole archive, and the other one stands aside', async () => {
    const other = await mkdtemp(join(tmpdir(), 'sm-retention-'));
    const second = { archive: new LedgerArchive(other), holder: 'other' };
    await receipts(480);
    const before = await log();
    const results = await Promise.all([retainLog(options()), retainLog(options(second))]);
    expect(results.map(({ kind }) => kind).toSorted()).toEqual(['busy', 'done']);
    await receipts(200);
    const kinds = new Set<string>();
    for (const more of [{}, second, {}, second]) kinds.add((await retainLog(options(more))).kind);
    expect(kinds).toEqual(new Set(['done', 'not-joined']));
    const whole = [await archived(dir), await archived(other)].toSorted((a, b) => b.length - a.length);
    expect(whole[0]?.slice(0, before.length)).toEqual(before);
    expect(whole[1]).toEqual([]);
    await rm(other, { recursive: true });
  });

  test('with one folder never write the same segment twice', async () => {
    await receipts(480);
    const archive = new LedgerArchive(dir);
    const rows = (await log()).slice(0, 100);
    await archive.append(rows, '');
    await expect(new LedgerArchive(dir).append(rows, '')).rejects.toMatchObject({
      code: 'LEDGER_ARCHIVE_MOVED',
    });
    expect(await archived()).toEqual(rows);
  });
});

test('an archive that is lost for good begins anew at the log, by an act of its own, and the gap stays known', async () => {
  await receipts(300);
  await retainLog(options());
  const before = await log();
  await rm(dir, { recursive: true });
  expect(await retainLog(options())).toMatchObject({ kind: 'not-joined' });
  const archive = new LedgerArchive(dir);
  const first = Number(await bench.redis.hget(bench.keys.ledger, 'first'));
  expect(await beginArchive(bench.redis, bench.keys, archive)).toMatchObject({ seq: first - 1 });
  expect(await beginArchive(bench.redis, bench.keys, archive)).toBeUndefined();
  await receipts(300);
  const whole = await log();
  expect(whole.slice(0, before.length)).toEqual(before);
  expect(await retainLog(options())).toMatchObject({ kind: 'done' });
  expect(await firstKept()).toBeGreaterThan(first);
  expect(await history()).toEqual(whole);
  const report = await verifyLedger({ redis: bench.redis, keys: bench.keys, archive });
  expect(report.findings).toEqual([]);
  expect(report.limits).toEqual([expect.stringContaining(`entries 1 to ${first - 1} are not here`)]);
});

describe('a channel whose cursor is older than the log', () => {
  test('does not pin it: the cursor is dropped and a full resync is due; a live one keeps its place', async () => {
    await receipts(480);
    const epoch = Number(await bench.redis.hget(bench.keys.ledger, 'epoch'));
    await bench.mesh.moveCursor('log:dead', `${epoch}-17`, 'position');
    await bench.mesh.moveCursor('log:live', `${epoch}-470`, 'position');
    await bench.mesh.moveCursor('poll:dead', '12', 'number');
    const result = await retainLog(options());
    expect(result).toMatchObject({ kind: 'done', droppedCursors: ['dead'] });
    expect(await bench.mesh.cursor('log:dead')).toBeNull();
    expect(await bench.mesh.cursor('full:dead')).toMatch(new RegExp(`^${epoch}-\\d+$`));
    expect(await bench.mesh.cursor('log:live')).toBe(`${epoch}-470`);
    expect(await bench.mesh.cursor('full:live')).toBeNull();
    expect(await bench.mesh.cursor('poll:dead')).toBe('12');
  });

  test('has every listing looked at when it comes back', async () => {
    await receipts(480);
    await bench.mesh.moveCursor(
      `log:${shop}`,
      `${await bench.redis.hget(bench.keys.ledger, 'epoch')}-17`,
      'position',
    );
    await retainLog(options());
    const listings = ['one', 'two'] as ListingId[];
    const fanOut = new FanOut({
      ledger: bench.publisher,
      mesh: bench.mesh,
      history: new LogHistory(bench.redis, bench.keys),
      log: pino({ level: 'silent' }),
    });
    const offered = new Set<ListingId>();
    fanOut.join({
      channel: shop,
      listingsOf: () => [],
      allListings: () => listings,
      offer: (rows) => rows.forEach(({ listingId }) => offered.add(listingId)),
    });
    await expect.poll(async () => bench.mesh.cursor(`full:${shop}`)).toBe('');
    expect(offered).toEqual(new Set(listings));
    expect((await bench.publisher.pending(shop, 10)).map(({ listingId }) => listingId).toSorted()).toEqual(
      listings,
    );
    await fanOut.close();
  });
});

test('the timer runs it again at once while there is more, and stops when told', async () => {
  await receipts(480);
  const results: string[] = [];
  const retention = new LogRetention({
    ...options({ limits: { keepEntries: 50, segmentEntries: 100, maxSegmentsPerRun: 1 } }),
    everyMs: 3_600_000,
    onResult: ({ kind }) => results.push(kind),
  });
  retention.start();
  await expect.poll(() => results.length).toBe(5);
  await retention.stop();
  expect(await archived()).toHaveLength(400);
});
