import * as fc from 'fast-check';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Sku } from '../../src/domain/ids.ts';
import { LedgerArchive } from '../../src/ledger/archive.ts';
import type { Invariant } from '../../src/ledger/fold.ts';
import { retainLog } from '../../src/ledger/log-retention.ts';
import { SeenPosition } from '../../src/ledger/position.ts';
import { verifyLedger, type VerifyOptions, type VerifyReport } from '../../src/ledger/verify.ts';
import { copyLedger } from '../support/ledger-copy.ts';
import { ledgerParts } from '../support/ledger-parts.ts';
import {
  back,
  line,
  listing,
  main,
  order,
  type OrderBench,
  orderBench,
  receive,
  routing,
  shop,
  wmsRouting,
} from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { anyCommand, runCommands } from './model/any-command.ts';

failOnLeakedConnections();

let bench: OrderBench;
let dir: string;
beforeEach(async () => {
  bench = orderBench();
  dir = await mkdtemp(join(tmpdir(), 'sm-verify-'));
});
afterEach(async () => {
  await bench.close();
  await rm(dir, { recursive: true, force: true });
});

const archive = (): LedgerArchive => new LedgerArchive(dir);

function verify(of: OrderBench = bench, limits: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  return verifyLedger({
    redis: of.redis,
    keys: of.keys,
    archive: archive(),
    ...limits,
  });
}

function retain(of: OrderBench = bench, keepEntries = 10): Promise<unknown> {
  return retainLog({
    redis: of.redis,
    keys: of.keys,
    caller: of.caller,
    lease: of.publisher,
    archive: archive(),
    holder: 'test',
    nowMs: () => of.clock.nowMs(),
    limits: { keepEntries, segmentEntries: 20 },
  });
}

const invariants = (report: VerifyReport): Set<Invariant> =>
  new Set(report.findings.map(({ invariant }) => invariant));

/** Levels at two places, a WMS parcel on its way, live and ended holds, orders, a credit, a provisional. */
async function fill(of: OrderBench = bench): Promise<void> {
  for (let i = 0; i < 100; i += 1) {
    await receive(of, `s${i % 4}`, 10);
    await receive(of, `s${i % 4}`, 5, back);
  }
  for (let i = 0; i < 8; i += 1) {
    const sku = `s${i % 4}` as Sku;
    const holdId = `h${i}`;
    const lines = [{ sku, units: 2, locations: [main, back] }];
    await of.holds.reserve({ holdId, lines, ttlMs: 600_000, actor: 'test', pool: 'p', agent: 'a' });
    if (i % 4 === 1) await of.holds.release({ holdId, actor: 'test' });
    if (i % 4 === 2)
      await of.holds.commit({ holdId, actor: 'test', order: { channel: shop, orderId: `bought-${i}` } });
    const counters = { ordered: 3, takenOut: 3, shipped: i % 2 };
    await of.orders.applyOrder(
      order(`o${i}`, [line('1', sku, counters, { listingId: listing(sku) })]),
      routing,
    );
  }
  const parcel = line('1', 's1', { ordered: 2, shipped: 2 });
  await of.orders.applyOrder(order('parcel', [parcel]), wmsRouting);
}

describe('a ledger that holds together', () => {
  test('has no finding, whatever was done to it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyCommand, { minLength: 25, maxLength: 60 }), async (steps) => {
        const one = orderBench();
        try {
          await runCommands(one, steps);
          expect(await verifyLedger({ redis: one.redis, keys: one.keys })).toMatchObject({
            findings: [],
            limits: [],
          });
        } finally {
          await one.close();
        }
      }),
      { numRuns: 40 },
    );
  });

  test('has none when most of its log is archived, and orders take several passes', async () => {
    await fill();
    await retain();
    const report = await verify(bench, { ordersPerPass: 2, holdsAtOnce: 1 });
    expect(report).toMatchObject({ findings: [], limits: [], skus: 4, orders: 11 });
    expect(report.entries).toBe(Number(await bench.redis.hget(bench.keys.ledger, 'seq')));
    expect(report.liveHolds).toBeGreaterThan(2);
  });

  test('has none while others write to it and its log moves into the archive', async () => {
    await fill();
    const writer = orderBench(ledgerParts({ merchant: bench.merchant }));
    const done = new AbortController();
    const progress = { written: 0 };
    const write = async (): Promise<void> => {
      while (!done.signal.aborted) {
        const [step] = fc.sample(anyCommand, 1);
        await step?.(writer, 1);
        progress.written += 1;
        if (progress.written % 50 === 0) await retain(writer, 30);
      }
    };
    const writing = write();
    const reports: VerifyReport[] = [];
    for (let i = 0; i < 8 || progress.written < 120; i += 1)
      reports.push(await verify(bench, i % 2 === 0 ? {} : { ordersPerPass: 4, holdsAtOnce: 2 }));
    done.abort();
    await writing;
    await writer.close();
    expect(reports.flatMap(({ findings, limits }) => [...findings, ...limits])).toEqual([]);
    const [first, last] = [reports[0], reports.at(-1)];
    expect(last?.position.seq).toBeGreaterThan(first?.position.seq ?? 0);
  });

  test('and one that nobody ever used', async () => {
    expect(await verify()).toMatchObject({ findings: [], limits: [], entries: 0 });
  });
});

describe('a broken piece is found, by the rule that names it', () => {
  const cases: readonly (readonly [string, Invariant, () => Promise<unknown>])[] = [
    [
      'on-hand was edited',
      'projection',
      () => bench.redis.hincrby(bench.keys.sku('s1' as Sku), `o:${main}`, 1),
    ],
    ['a version is behind', 'version', () => bench.redis.hincrby(bench.keys.sku('s1' as Sku), 'v', -1)],
    ['a SKU is gone', 'version', () => bench.redis.del(bench.keys.sku('s2' as Sku))],
    ['a SKU left the set', 'projection', () => bench.redis.srem(bench.keys.skus, 's2')],
    [
      'a parcel was forgotten',
      'committed-sum',
      () => bench.redis.hdel(bench.keys.sku('s1' as Sku), `g:${main}`),
    ],
    ['a live hold lost its record', 'hold-ends-once', () => bench.redis.hdel(bench.keys.holds, 'h0')],
    ['a live hold lost its deadline', 'due-index', () => bench.redis.zrem(bench.keys.due, 'h0')],
    ['an ended hold has a deadline', 'due-index', () => bench.redis.zadd(bench.keys.due, 5, 'h1')],
    ['a deadline was moved', 'due-index', () => bench.redis.zincrby(bench.keys.due, 5, 'h0')],
    [
      'a hold was made beside the log',
      'hold-ends-once',
      async () =>
        bench.redis.hset(bench.keys.holds, 'x', (await bench.redis.hget(bench.keys.holds, 'h0')) ?? ''),
    ],
    ['a pool drifted', 'reserved-sum', () => bench.redis.hincrby(bench.keys.pools, 'p\u001fs0', 1)],
    ['an agent drifted', 'reserved-sum', () => bench.redis.hincrby(bench.keys.agents, 'a\u001fs0', 1)],
    ['taken was counted twice', 'taken', () => bench.redis.hincrby(bench.keys.listing(shop, 's1'), 't', 3)],
    ['a listing is gone', 'taken', () => bench.redis.del(bench.keys.listing(shop, 's1'))],
    [
      'a provisional is booked nowhere',
      'reserved-sum',
      () => bench.redis.hset(bench.keys.listing(shop, 's1'), 'pv', '2'),
    ],
    ['an order with open units is gone', 'counters', () => bench.redis.del(bench.keys.order(shop, 'o0'))],
    [
      'an order and its place in the index are gone',
      'counters',
      async () => {
        await bench.redis.del(bench.keys.order(shop, 'o0'));
        await bench.redis.zrem(bench.keys.orders, `${shop}:o0`);
      },
    ],
    [
      'a line says more was shipped',
      'counters',
      async () => {
        const key = bench.keys.order(shop, 'o0');
        const record = (await bench.redis.hget(key, 'l:1')) ?? '';
        await bench.redis.hset(key, 'l:1', record.replace('3,0,0,0', '3,0,0,1'));
      },
    ],
    [
      'a credit was forgotten',
      'committed-sum',
      () => bench.redis.hset(bench.keys.order(shop, 'bought-2'), 'k:s2', '0\u001f'),
    ],
    ['the sequence went back', 'sequence', () => bench.redis.hincrby(bench.keys.ledger, 'seq', -3)],
    ['the sequence ran ahead', 'sequence', () => bench.redis.hincrby(bench.keys.ledger, 'seq', 3)],
    [
      'an entry was taken out of the log',
      'sequence',
      async () => {
        const rows = await bench.redis.xrange(bench.keys.log, '-', '+');
        await bench.redis.xdel(bench.keys.log, rows.at(-3)?.[0] ?? '');
      },
    ],
    [
      'an entry was taken out between archive and log',
      'archive',
      async () => {
        const [id = ''] = (await archive().lastId()).split('\n');
        const next = await bench.redis.xrange(bench.keys.log, `(${id}`, '+', 'COUNT', 1);
        await bench.redis.xdel(bench.keys.log, next[0]?.[0] ?? '');
      },
    ],
    [
      'a byte of the archive changed',
      'archive',
      async () => {
        const file = join(dir, (await readdir(dir)).find((name) => name.endsWith('.gz')) ?? '');
        const bytes = await readFile(file);
        bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1;
        await writeFile(file, bytes);
      },
    ],
  ];
  test.each(cases)('%s', async (_name, invariant, breakIt) => {
    await fill();
    await retain();
    await breakIt();
    expect(invariants(await verify())).toContain(invariant);
    expect(invariants(await verify(bench, { ordersPerPass: 3, holdsAtOnce: 1 }))).toContain(invariant);
  });
});

describe('without its archive', () => {
  test('a trimmed ledger says what was not checked, and finds nothing wrong that is right', async () => {
    await fill();
    await retain();
    const report = await verifyLedger({ redis: bench.redis, keys: bench.keys });
    expect(report.findings).toEqual([]);
    expect(report.limits).toEqual([expect.stringMatching(/^entries 1 to \d+ are not here/)]);
  });

  test('what the rest of the log touches is still checked', async () => {
    await fill();
    await retain(bench, 60);
    await bench.redis.hincrby(bench.keys.sku('s1' as Sku), `o:${main}`, 1);
    const report = await verifyLedger({ redis: bench.redis, keys: bench.keys });
    expect(invariants(report)).toEqual(new Set(['projection']));
  });

  test('an archive that should be there and is not is a finding', async () => {
    await fill();
    await retain();
    await rm(dir, { recursive: true });
    expect(invariants(await verify())).toEqual(new Set(['archive']));
  });
});

describe('entries after a fork', () => {
  test('are dropped, also when they were archived before the ledger was rolled back', async () => {
    await fill();
    const copy = await copyLedger(bench);
    const forkSeq = Number(await bench.redis.hget(bench.keys.ledger, 'seq'));
    for (let i = 0; i < 30; i += 1) await receive(bench, 's1', 100);
    await retain(bench, 5);
    await copy.restore();
    const daemon = orderBench(
      ledgerParts({ merchant: bench.merchant, seen: new SeenPosition(bench.seen.get()) }),
    );
    try {
      await expect(receive(daemon, 's1', 1)).rejects.toMatchObject({ code: 'LEDGER_HALTED' });
      await daemon.caller.confirmLoss('operator');
      for (let i = 0; i < 30; i += 1) await receive(daemon, 's2', 1);
      const report = await verify(daemon);
      expect(report).toMatchObject({ findings: [], limits: [] });
      expect(report.entries).toBe(forkSeq + 31);
      // Retention goes on behind the fork, and nothing changes.
      await retain(daemon, 5);
      expect(await verify(daemon)).toMatchObject({ findings: [], limits: [], entries: forkSeq + 31 });
    } finally {
      await daemon.close();
    }
  });
});
