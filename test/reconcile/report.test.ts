import { randomUUID } from 'node:crypto';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import type { ChannelId, ListingId, Sku } from '../../src/domain/ids.ts';
import type { Records } from '../../src/mesh/kept-records.ts';
import type { Finding } from '../../src/reconcile/finding.ts';
import type { PostMortem } from '../../src/reconcile/post-mortem.ts';
import { findingsCsv, shortfallsCsv } from '../../src/reconcile/report-csv.ts';
import { reportHtml } from '../../src/reconcile/report-html.ts';
import { ReportStore } from '../../src/reconcile/report-store.ts';
import { type Report, type ReportFacts, reportOf } from '../../src/reconcile/report.ts';
import type { Run } from '../../src/reconcile/run.ts';
import { timeId } from '../../src/reconcile/time-id.ts';

const dayMs = 86_400_000;
const untilMs = Date.UTC(2026, 10, 29, 6);
const shop = 'shop-eu' as ChannelId;

const finding: Finding = {
  id: 'f1',
  runId: 'r1',
  channel: shop,
  listingId: 'gid://X' as ListingId,
  sku: '=cmd|<b>' as Sku,
  location: '',
  verdict: 'edited-on-channel',
  cause: 'hand-edit',
  odd: 'channel',
  shown: 9,
  expectedLowest: 7,
  expectedHighest: 7,
  target: 7,
  units: 2,
  reads: 3,
  readAtMs: untilMs - 1_000,
  position: '7-40',
  openedAtMs: untilMs - 5_000,
  changedAtMs: untilMs - 900,
  state: 'parked',
  rule: 'edited-on-channel: park',
  corrections: 0,
  steps: [
    {
      atMs: untilMs - 5_000,
      what: 'found',
      actor: 'reconcile',
      reason: '',
      from: null,
      to: null,
      position: '7-40',
    },
    {
      atMs: untilMs - 900,
      what: 'park',
      actor: 'reconcile',
      reason: '<script>',
      from: 9,
      to: 7,
      position: '7-41',
    },
  ],
};

const run: Run = {
  id: 'r1',
  channel: shop,
  kind: 'full',
  cause: 'schedule',
  actor: 'schedule',
  isDryRun: false,
  state: 'completed',
  reason: '',
  startedAtMs: untilMs - 10_000,
  endedAtMs: untilMs - 4_000,
  position: '7-39',
  endPosition: '7-40',
  listings: 1_000,
  rows: 1_000,
  requests: 4,
  readMs: 900,
  cpuMs: 100,
  byVerdict: { agrees: 998, 'echo-pending': 1, 'edited-on-channel': 1 },
  unjudged: 0,
  opened: 1,
  resolved: 0,
  actions: 1,
  driftUnits: 2,
  cycleMs: 90_000,
};

const shortfall: PostMortem = {
  sku: 'Y' as Sku,
  units: 2,
  stillOpenUnits: 1,
  value: 25,
  openedAtMs: untilMs - 3_000,
  closedAtMs: null,
  cause: 'written-late',
  reason: 'shop-us took 2 (#1); shop-eu was told 30.0 s after that',
  channel: shop,
  sequence: '7-30',
  gapMs: 30_000,
  bufferUnits: 3,
  refunds: [
    { channel: shop, orderId: '#9', units: 1, placedAtMs: untilMs - 3_000 },
    { channel: shop, orderId: '#8', units: 1, placedAtMs: untilMs - 4_000 },
  ],
  backorders: [
    { channel: shop, orderId: '#8', units: 1, placedAtMs: untilMs - 4_000 },
    { channel: shop, orderId: '#9', units: 1, placedAtMs: untilMs - 3_000 },
  ],
};

function report(given: Partial<ReportFacts> = {}): Report {
  return reportOf({
    fullReadMs: (channel, rows) => (channel === shop ? rows * 150 : undefined),
    id: timeId(untilMs),
    merchant: 'acme',
    cause: 'operator',
    madeAtMs: untilMs,
    sinceMs: untilMs - dayMs,
    untilMs,
    timeZone: 'Europe/Berlin',
    currency: 'EUR',
    position: '7-41',
    channelIds: [shop, 'wms' as ChannelId],
    runs: [run],
    findings: [finding],
    shortfalls: [shortfall],
    ...given,
  });
}

test('nothing that came from outside becomes markup, and the file loads nothing', () => {
  const text = reportHtml(report());
  expect(text).not.toContain('<script>');
  expect(text).not.toContain('<b>"');
  expect(text).toContain('=cmd|&lt;b&gt;');
  expect(text).not.toMatch(/(?:src|href)=|url\(|@import|https?:/);
});

test('says in plain words what differs, why, and what was done', () => {
  const text = reportHtml(report());
  expect(text).toContain('Shows 9, should be 7. Somebody changed the number on the channel.');
  expect(text).toContain('your decision');
  expect(text).toContain('edited-on-channel: park');
  expect(text).toContain('#9 (1)');
  expect(text).toContain('25.00 EUR');
  // Six in UTC is seven in Berlin.
  expect(text).toContain('29 Nov 2026, 07:00');
});

test('a channel with one difference in a thousand does not agree to 100 %, one never read is not said to agree', () => {
  const [eu, wms] = report().channels;
  expect(eu).toMatchObject({ agreePercent: 99.9, openFindings: 1, driftUnits: 2, cycleMs: 90_000 });
  expect(wms).toMatchObject({ agreePercent: null, lastRunAtMs: null });
  expect(reportHtml(report({ findings: [], shortfalls: [] }))).toContain('wms could not be compared');
});

test('says how long a whole look takes at the published limits of the platform, by what the last one read', () => {
  const [eu, wms] = report().channels;
  expect(eu).toMatchObject({ cycleMs: 90_000, publishedCycleMs: 150_000 });
  expect(wms?.publishedCycleMs).toBeNull();
  const single = { ...run, id: 'r2', kind: 'sku', listings: 1, rows: 1, cycleMs: 5 } as const;
  expect(report({ runs: [single, run] }).channels[0]).toMatchObject({
    cycleMs: 90_000,
    publishedCycleMs: 150_000,
  });
  const broken = { ...run, state: 'aborted', rows: 3, cycleMs: null } as const;
  expect(report({ runs: [broken] }).channels[0]).toMatchObject({ cycleMs: null, publishedCycleMs: null });
  const text = reportHtml(report());
  expect(text).toMatch(/At the platform.s published limits/);
  expect(text).toContain('<td>3 min</td>');
});

test('CSV: a line per step with old, new, rule, reason, sequence and actor; no formula', () => {
  const rows = parse<Record<string, string>>(findingsCsv(report()), { columns: true });
  expect(rows).toHaveLength(2);
  expect(rows[1]).toMatchObject({
    sku: "'=cmd|<b>",
    step: 'park',
    old: '9',
    new: '7',
    rule: 'edited-on-channel: park',
    sequence: '7-41',
    actor: 'reconcile',
  });
});

test('CSV of refunds: their order and the place in the line of those who wait', async () => {
  const kept = JSON.parse(JSON.stringify(report())) as Report;
  const rows = parse<Record<string, string>>(shortfallsCsv(kept), { columns: true });
  expect(rows.map((row) => [row['order'], row['refund_rank'], row['backorder_rank']])).toEqual([
    ['#9', '1', '2'],
    ['#8', '2', '1'],
  ]);
});

test('a report is kept as it was made; one that is too large is shortened and says so; old ones go', async () => {
  const rows = new Map<string, string>();
  const records: Records = {
    get: async (id) => rows.get(id),
    put: async (id, text) => {
      if (text.length > 262_144) throw new RangeError('too large');
      rows.set(id, text);
    },
    drop: async (ids) => ids.forEach((id) => rows.delete(id)),
    all: async function* () {
      yield [...rows];
    },
    trim: async (keep) => {
      const old = [...rows.keys()].toSorted().slice(0, Math.max(0, rows.size - keep));
      for (const id of old) rows.delete(id);
      return old.length;
    },
  };
  const store = new ReportStore({ records, nowMs: () => untilMs, keepReports: 2, keepMs: dayMs });
  const small = await store.keep(report());
  expect(await store.report(small.id)).toEqual(JSON.parse(JSON.stringify(small)));
  // Text that does not compress.
  const noise = (): string => `${randomUUID()}${randomUUID()}${randomUUID()}`;
  const many = Array.from({ length: 2_000 }, () => ({
    ...finding,
    id: noise(),
    rule: noise(),
  }));
  const large = await store.keep(report({ id: timeId(untilMs + 1), findings: many }));
  expect(large.findings.length).toBeLessThan(2_000);
  expect(large.findings.length + large.leftOut.findings).toBe(2_000);
  await store.keep(report({ id: timeId(untilMs + 2) }));
  expect((await store.list(10)).map(({ id }) => id.slice(0, 9))).toEqual([
    timeId(untilMs + 2).slice(0, 9),
    timeId(untilMs + 1).slice(0, 9),
  ]);
});
