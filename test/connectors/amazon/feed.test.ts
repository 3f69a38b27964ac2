import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BulkProgress, BulkRow } from '../../../src/connectors/bulk-write.ts';
import { ManualClock, type SandboxClock } from '../../../sandbox/shopify/clock.ts';
import { outcomesOfReport } from '../../../src/connectors/amazon/feed-report.ts';
import type { JsonRecord } from '../../../src/connectors/raw-json.ts';
import { never, rejection } from '../shopify/parts.ts';
import { fixture } from './models.ts';
import { type Rig, refFor, rigFor } from './parts.ts';

let rig: Rig;
beforeEach(() => start());
afterEach(() => rig.close());

async function start(clock?: SandboxClock): Promise<void> {
  if (rig !== undefined) await rig.close();
  rig = await rigFor({}, {}, clock);
  for (const sku of ['A', 'B', 'C']) rig.seller.addListing({ sku, quantity: 9 });
  rig.seller.addListing({ sku: 'FBA', channelCode: 'AMAZON_NA', quantity: 1 });
}

const row = (sku: string, to: number): BulkRow => ({ ref: refFor(sku), to });
const rows = [row('A', 1), row('B', 0), row('C', 3)];

async function submitted(of: readonly BulkRow[] = rows): Promise<string> {
  const result = await rig.connector.bulk.submit(of, never);
  if (result.kind !== 'submitted') throw new Error(JSON.stringify(result));
  return result.bulkId;
}

async function finished(bulkId: string, of: readonly BulkRow[] = rows): Promise<BulkProgress> {
  let progress: BulkProgress = { kind: 'running' };
  await expect
    .poll(async () => {
      progress = await rig.connector.bulk.check(bulkId, of, never);
      return progress.kind;
    })
    .toBe('finished');
  return progress;
}

describe('not submitted as a whole', () => {
  test.each([
    ['no rows', []],
    ['a SKU twice', [row('A', 1), row('A', 2)]],
    ['a SKU that Amazon fulfils', [row('A', 1), row('FBA', 2)]],
    ['a SKU nobody knows', [row('A', 1), row('Z', 2)]],
    ['a negative quantity', [row('A', -1)]],
    ['an Amazon warehouse', [{ ref: refFor('FBA', 'AMAZON_NA'), to: 1 }]],
    ['too many rows', Array.from({ length: 25_001 }, (_row, index) => row(`S-${index}`, 1))],
  ])('%s', async (_what, wrong) => {
    expect(await rig.connector.bulk.submit(wrong, never)).toMatchObject({ kind: 'not-submitted' });
    expect(rig.seller.feeds.feeds.size).toBe(0);
  });

  test('an upload that fails leaves nothing behind', async () => {
    rig.seller.settings.documentTtlMs = 0;
    expect((await rejection(rig.connector.bulk.submit(rows, never))).code).toBe('CONNECTOR_BULK_FAILED');
    expect(rig.seller.feeds.feeds.size).toBe(0);
  });

  test('five feeds in five minutes, no more', async () => {
    rig.seller.settings.rateLimit = true;
    rig.seller.buckets.drain('createFeed');
    expect(await rig.connector.bulk.submit(rows, never)).toMatchObject({
      kind: 'not-submitted',
      retryInMs: 60_000,
    });
  });
});

test('a feed whose answer was lost may have been taken', async () => {
  rig.seller.setFaults([{ kind: 'lose-response', operation: 'createFeed' }]);
  expect(await rig.connector.bulk.submit(rows, never)).toMatchObject({ kind: 'unknown' });
});

test('running until its report is read; then each row has its own outcome', async () => {
  const clock = new ManualClock(Date.now());
  await start(clock);
  rig.seller.settings.feedRunMs = { min: 150, max: 150 };
  await rig.connector.readStock([refFor('A'), refFor('B'), refFor('C')], never);
  rig.seller.listings.listings.delete('B');
  const bulkId = await submitted();
  const check = () => rig.connector.bulk.check(bulkId, rows, never);
  expect(await check()).toEqual({ kind: 'running' });
  clock.advance(0);
  clock.advance(149);
  expect(await check()).toEqual({ kind: 'running' });
  clock.advance(1);
  const progress = await check();
  expect(progress).toMatchObject({
    rows: [{ kind: 'accepted' }, { kind: 'rejected', isPermanent: true }, { kind: 'accepted' }],
  });
  clock.advance(0);
  expect(rig.seller.listings.quantity('C')).toBe(3);
  expect(rig.sandbox.violations()).toEqual([]);
  expect(rig.modelProblems).toEqual([]);
});

test.each([
  ['fatal', 'unknown'],
  ['cancelled', 'not-applied'],
] as const)('a feed that ends as %s: every row is %s', async (feedFate, kind) => {
  rig.seller.settings.feedFate = feedFate;
  const progress = await finished(await submitted());
  expect(progress.kind === 'finished' && progress.rows.map((outcome) => outcome.kind)).toEqual([
    kind,
    kind,
    kind,
  ]);
});

test('a stuck feed stays open', async () => {
  rig.seller.settings.feedFate = 'stuck';
  const bulkId = await submitted();
  for (let count = 0; count < 3; count++)
    expect(await rig.connector.bulk.check(bulkId, rows, never)).toEqual({ kind: 'running' });
  expect(rig.connector.bulk.longestApplyMs).toBeGreaterThan(40 * 3_600_000);
});

test('a feed lands after a newer single write: the sandbox does what Amazon may do', async () => {
  const clock = new ManualClock(Date.now());
  await start(clock);
  rig.seller.settings.feedRunMs = { min: 120, max: 120 };
  const bulkId = await submitted([row('A', 8)]);
  clock.advance(1);
  const batch = {
    key: 'k',
    kind: 'put' as const,
    reference: '1-1',
    rows: [{ ref: refFor('A'), from: 9, to: 0 }],
  };
  expect((await rig.connector.write(batch, never)).rows).toEqual([{ kind: 'accepted' }]);
  clock.advance(0);
  expect(rig.seller.listings.quantity('A')).toBe(0);
  clock.advance(120);
  expect((await rig.connector.bulk.check(bulkId, [row('A', 8)], never)).kind).toBe('finished');
  expect(rig.seller.listings.quantity('A')).toBe(8);
});

describe('processing reports', () => {
  const outcomes = (report: unknown, count: number) =>
    outcomesOfReport(report as JsonRecord, '1234567890', count).map((outcome) => outcome.kind);

  test('the official example', () => {
    const report = fixture('schemas/listings-feed-processing-report-schema-v2.example');
    expect(outcomes(report, 4)).toEqual(['unknown', 'unknown', 'unknown', 'rejected']);
    expect(outcomesOfReport(report as JsonRecord, 'another', 4)[3]).toMatchObject({ kind: 'unknown' });
  });

  test('sums that do not add up leave the rows open', () => {
    const summary = { errors: 0, warnings: 0, messagesProcessed: 2, messagesAccepted: 2, messagesInvalid: 0 };
    expect(outcomes({ header: {}, issues: [], summary }, 2)).toEqual(['accepted', 'accepted']);
    expect(outcomes({ header: {}, issues: [], summary }, 3)).toEqual(['unknown', 'unknown', 'unknown']);
    expect(outcomes({}, 1)).toEqual(['unknown']);
  });

  test('a warning is no refusal; a general error with nothing accepted refuses all', () => {
    const summary = { messagesProcessed: 1, messagesAccepted: 1 };
    const warning = { messageId: 1, severity: 'WARNING', message: 'm' };
    expect(outcomes({ issues: [warning], summary }, 1)).toEqual(['accepted']);
    const general = { severity: 'ERROR', message: 'no' };
    const none = { messagesProcessed: 0, messagesAccepted: 0 };
    expect(outcomes({ issues: [general], summary: none }, 2)).toEqual(['rejected', 'rejected']);
  });
});
