import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Sku } from '../../src/domain/ids.ts';
import { RecordCommands } from '../../src/ledger/record-commands.ts';
import { KeptRecords } from '../../src/mesh/kept-records.ts';
import { meshKeys } from '../../src/mesh/mesh-keys.ts';
import { maxSteps, withStep } from '../../src/reconcile/finding.ts';
import { FindingStore } from '../../src/reconcile/finding-store.ts';
import type { RunRequest } from '../../src/reconcile/run.ts';
import { RunStore } from '../../src/reconcile/run-store.ts';
import { timeId } from '../../src/reconcile/time-id.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { sampleFinding, sampleRun, shopA } from './support/samples.ts';

failOnLeakedConnections();

let parts: LedgerParts;
let nowMs = 1_000_000;
const ended: string[] = [];
beforeEach(() => {
  parts = ledgerParts();
  nowMs = 1_000_000;
});
afterEach(() => parts.close());

function stores(limits: { maxOpen?: number; keep?: number } = {}) {
  const keys = meshKeys(parts.keys);
  const records = (key: string) => new KeptRecords(parts.redis, key);
  return {
    runs: new RunStore({
      runs: records(keys.runs),
      requests: new RecordCommands(parts.caller),
      nowMs: () => nowMs,
      keepRuns: limits.keep ?? 100,
      keepMs: 10_000,
      onEnded: (run) => ended.push(run.id),
    }),
    findings: new FindingStore({
      open: records(keys.openFindings),
      closed: records(keys.closedFindings),
      nowMs: () => nowMs,
      maxOpen: limits.maxOpen ?? 100,
      keepClosed: limits.keep ?? 100,
      keepMs: 10_000,
    }),
  };
}

const request: RunRequest = {
  runId: 'r1',
  kind: 'full',
  cause: 'operator',
  actor: 'a',
  isDryRun: true,
  skus: [],
  askedAtMs: 5,
};

test('whoever calls people is told of a run once it is over', async () => {
  const { runs } = stores();
  ended.length = 0;
  await runs.save(sampleRun({ id: 'r1', state: 'running' }));
  expect(ended).toEqual([]);
  await runs.save(sampleRun({ id: 'r1', state: 'completed' }));
  await runs.save(sampleRun({ id: 'r2', state: 'aborted' }));
  expect(ended).toEqual(['r1', 'r2']);
});

test('a record that is not a run, or not a finding, is passed over', async () => {
  const keys = meshKeys(parts.keys);
  await parts.redis.hset(keys.runs, 'r0', '{"id":"r0"}');
  await parts.redis.hset(keys.openFindings, 'shop-a/x', '{"id":1}');
  await parts.redis.hset(`${parts.keys.prefix}reconcile:requests`, shopA, '{"runId":1}');
  const { runs, findings } = stores();
  expect(await runs.list(10)).toEqual([]);
  expect(await findings.listOpen(10)).toEqual([]);
  expect(await runs.asked(shopA)).toBeUndefined();
});

test('a channel has one request for a run at a time, and only its own end clears it', async () => {
  const { runs } = stores();
  expect((await runs.ask(shopA, request)).runId).toBe('r1');
  expect((await runs.ask(shopA, { ...request, runId: 'r2' })).runId).toBe('r1');
  await runs.ended(shopA, 'r2');
  expect(await runs.asked(shopA)).toEqual(request);
  await runs.ended(shopA, 'r1');
  expect(await runs.asked(shopA)).toBeUndefined();
});

test('who asks between the end of a run and the end of its request asks for another run', async () => {
  const { runs } = stores();
  await runs.ask(shopA, request);
  await runs.save(sampleRun({ id: 'r1', state: 'running' }));
  expect((await runs.ask(shopA, { ...request, runId: 'r2' })).runId).toBe('r1');
  await runs.save(sampleRun({ id: 'r1', state: 'aborted' }));
  const asked = await Promise.all(
    ['r3', 'r4', 'r5'].map(async (runId) => (await runs.ask(shopA, { ...request, runId })).runId),
  );
  // Several at once are one.
  expect(new Set(asked).size).toBe(1);
  await runs.ended(shopA, 'r1');
  expect((await runs.asked(shopA))?.runId).toBe(asked[0]);
});

test('runs are kept newest first, so many and so long', async () => {
  const { runs } = stores({ keep: 3 });
  const ids = [900_000, 995_000, 996_000, 997_000, 998_000].map((atMs) => timeId(atMs));
  for (const id of ids) await runs.save(sampleRun({ id }));
  expect((await runs.list(2)).map(({ id }) => id)).toEqual([ids[4], ids[3]]);
  expect((await runs.list(2, { before: ids[3] })).map(({ id }) => id)).toEqual([ids[2], ids[1]]);
  expect(await runs.trim()).toBe(2);
  nowMs += 7_500;
  expect(await runs.trim()).toBe(2);
  expect((await runs.list(9)).map(({ id }) => id)).toEqual([ids[4]]);
});

test('one subject has one open finding; resolved, it is found by its id', async () => {
  const { findings } = stores();
  expect(await findings.save(sampleFinding())).toBe('saved');
  expect(await findings.save(sampleFinding({ units: 3 }))).toBe('saved');
  expect(await findings.listOpen(10)).toHaveLength(1);
  expect(await findings.listOpen(10, { sku: 'Y' as Sku })).toEqual([]);
  await findings.save(sampleFinding({ state: 'resolved' }));
  expect(await findings.listOpen(10)).toEqual([]);
  expect((await findings.finding('f1'))?.state).toBe('resolved');
  // An old one that ends does not take the newer one of its subject with it.
  await findings.save(sampleFinding({ id: 'f2' }));
  await findings.save(sampleFinding({ state: 'resolved' }));
  expect((await findings.listOpen(10)).map(({ id }) => id)).toEqual(['f2']);
});

test('too many open findings are refused, known ones go on', async () => {
  const { findings } = stores({ maxOpen: 1 });
  expect(await findings.save(sampleFinding())).toBe('saved');
  expect(await findings.save(sampleFinding({ id: 'f2', listingId: 'Y@L1' as never }))).toBe('full');
  expect(await findings.save(sampleFinding({ state: 'parked' }))).toBe('saved');
});

test('frozen listings are those of findings a person froze', async () => {
  const { findings } = stores();
  await findings.save(sampleFinding({ state: 'frozen' }));
  await findings.save(sampleFinding({ id: 'f2', listingId: 'Y@L1' as never }));
  expect([...(await findings.frozen(shopA))]).toEqual(['X@L1']);
});

test('the history of a finding is bounded, and keeps how it began', () => {
  let finding = sampleFinding();
  for (let n = 0; n < maxSteps + 20; n++) {
    finding = withStep(finding, {
      atMs: n,
      what: 'park',
      actor: 'reconcile',
      reason: '',
      from: null,
      to: null,
      position: '1-1',
    });
  }
  expect(finding.steps).toHaveLength(maxSteps);
  expect([finding.steps[0]?.atMs, finding.steps.at(-1)?.atMs]).toEqual([0, maxSteps + 19]);
});
