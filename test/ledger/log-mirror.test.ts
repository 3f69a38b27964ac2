import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogEntry } from '../../src/ledger/log-entry.ts';
import { LogHistory } from '../../src/ledger/log-history.ts';
import { LogMirror } from '../../src/ledger/log-mirror.ts';
import { SeenPosition } from '../../src/ledger/position.ts';
import { reapplyLost } from '../../src/ledger/reapply.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { channel, location, sku, storedLevel } from '../support/stock.ts';

failOnLeakedConnections();

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sm-mirror-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const us = '\u001f';
function entries(epoch: number, from: number, to: number): readonly LogEntry[] {
  const packed = ['R', 'main', '1', '1', '', '', '1', '0', '0', '1', '', 'r', '', 'op', 't', '1', ''].join(
    us,
  );
  return Array.from({ length: to - from + 1 }, (_, i) => new LogEntry(epoch, from + i, 'a\n"b', packed));
}

test('a line cut by a crash is dropped, and the position before it is where it goes on', async () => {
  const mirror = await LogMirror.open(dir);
  await mirror.onEntries(entries(5, 1, 3));
  await mirror.close();
  const [file = ''] = await readdir(dir);
  await appendFile(join(dir, file), '["5-4","a');
  const again = await LogMirror.open(dir);
  expect(again.last).toEqual({ epoch: 5, seq: 3 });
  await again.onEntries(entries(5, 2, 5));
  await again.flush();
  const listed = await again.lost({ epoch: 5, from: 1, to: 9 });
  expect(listed.map((entry) => entry.seq)).toEqual([1, 2, 3, 4, 5]);
  expect(listed[0]).toMatchObject({ sku: 'a\n"b', kind: 'received', units: 1 });
  await again.close();
});

test('is bounded: archived segments go, and the oldest beyond the limit', async () => {
  const mirror = await LogMirror.open(dir, { limits: { segmentBytes: 10, maxSegments: 4 } });
  for (let seq = 1; seq <= 6; seq++) {
    await mirror.onEntries(entries(5, seq, seq));
    await mirror.flush();
  }
  expect((await readdir(dir)).toSorted()).toEqual(['log_5-3', 'log_5-4', 'log_5-5', 'log_5-6']);
  await mirror.dropArchived({ epoch: 5, seq: 5 });
  expect((await readdir(dir)).toSorted()).toEqual(['log_5-5', 'log_5-6']);
  expect(mirror.last).toEqual({ epoch: 5, seq: 6 });
  await mirror.close();
});

test('a list of lost entries survives archiving', async () => {
  const mirror = await LogMirror.open(dir, { limits: { segmentBytes: 10 } });
  for (let seq = 1; seq <= 4; seq++) {
    await mirror.onEntries(entries(5, seq, seq));
    await mirror.flush();
  }
  const range = { epoch: 5, from: 2, to: 3 };
  expect(await mirror.lost(range)).toHaveLength(2);
  await mirror.onEntries(entries(6, 2, 9));
  await mirror.flush();
  await mirror.dropArchived({ epoch: 6, seq: 9 });
  expect((await mirror.lost(range)).map((entry) => entry.id)).toEqual(['5-2', '5-3']);
  await mirror.close();
});

test('a full disk is told and does not stop the log', async () => {
  const told: unknown[] = [];
  const mirror = await LogMirror.open(dir, { onError: (error) => told.push(error) });
  await rm(dir, { recursive: true });
  await mirror.onEntries(entries(5, 1, 1));
  await mirror.flush();
  expect(told).toHaveLength(1);
  await mirror.close();
});

test('lost API and CSV entries are listed one by one and given back once, orders are left to their channel', async () => {
  const parts = ledgerParts();
  const ledger = new RedisLedger(parts.caller, parts.clock);
  const main = location('main');
  const adjust = (operationId: string, units: number) =>
    ledger.adjust({
      operationId,
      movement: 'received',
      sku: sku('a'),
      location: main,
      units,
      reference: 'csv',
      reason: '',
      actor: 't',
    });
  await adjust('before', 10);
  const keys = await parts.redis.keys(`${parts.keys.prefix}*`);
  const dumps = await Promise.all(keys.map((key) => parts.redis.dumpBuffer(key)));
  const fork = parts.seen.get().seq;

  await adjust('lost-csv', 5);
  const transfer = { operationId: 'lost-move', sku: sku('a'), from: main, to: location('east'), units: 2 };
  await ledger.transfer({ ...transfer, reference: 'r', actor: 't' });
  const lines = [{ sku: sku('a'), units: 3, locations: [main] }];
  await ledger.reserve({ holdId: 'live', lines, ttlMs: 60_000, actor: 't', settlesOn: channel('shop') });
  await ledger.reserve({ holdId: 'bought', lines, ttlMs: 60_000, actor: 't' });
  const part = [{ sku: sku('a'), units: 2 }];
  const order = { channel: channel('shop'), orderId: '7;8' };
  await ledger.commit({ holdId: 'bought', actor: 't', order, part });
  await ledger.reserve({ holdId: 'gone', lines, ttlMs: 60_000, actor: 't' });
  await ledger.release({ holdId: 'gone', actor: 't' });
  const mainBefore = await storedLevel(parts, 'a');
  const eastBefore = await storedLevel(parts, 'a', 'east');

  // The daemon's mirror outlives both the data and the daemon.
  const mirror = await LogMirror.open(dir);
  await mirror.catchUp(new LogHistory(parts.redis, parts.keys));
  await mirror.close();
  await parts.redis.del(...(await parts.redis.keys(`${parts.keys.prefix}*`)));
  for (const [index, key] of keys.entries()) await parts.redis.restore(key, 0, dumps[index] as Buffer);
  await parts.close();

  const reopened = await LogMirror.open(dir);
  const next = ledgerParts({ merchant: parts.merchant, seen: new SeenPosition(reopened.last) });
  const nextLedger = new RedisLedger(next.caller, next.clock);
  await expect(nextLedger.peek([sku('a')])).rejects.toMatchObject({ code: 'LEDGER_HALTED' });
  const range = await next.caller.confirmLoss('operator');
  expect(range).toMatchObject({ from: fork + 1, to: reopened.last.seq });
  if (range === undefined) throw new Error('nothing lost');
  const lost = await reopened.lost(range);
  expect(lost).toHaveLength(range.to - range.from + 1);

  for (let times = 0; times < 2; times++) {
    const report = await reapplyLost(lost, nextLedger, 'operator');
    if (times === 0) expect(report.filter((row) => row.outcome === 'refused')).toEqual([]);
    expect(await storedLevel(next, 'a')).toEqual(mainBefore);
    expect(await storedLevel(next, 'a', 'east')).toEqual(eastBefore);
  }
  expect(await nextLedger.hold('live')).toMatchObject({ state: 'held', settlesOn: 'shop' });
  expect(await nextLedger.hold('bought')).toMatchObject({ state: 'committed', orderId: '7;8' });
  await reopened.close();
  await next.close();
});
