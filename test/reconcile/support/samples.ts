import type { ChannelId, ListingId, Sku } from '../../../src/domain/ids.ts';
import type { Finding } from '../../../src/reconcile/finding.ts';
import type { Run } from '../../../src/reconcile/run.ts';

export const shopA = 'shop-a' as ChannelId;

export function sampleFinding(change: Partial<Finding> = {}): Finding {
  return {
    id: 'f1',
    runId: 'r1',
    channel: shopA,
    listingId: 'X@L1' as ListingId,
    sku: 'X' as Sku,
    location: '',
    verdict: 'edited-on-channel',
    cause: 'hand-edit',
    odd: 'unclear',
    shown: 7,
    expectedLowest: 5,
    expectedHighest: 5,
    target: 5,
    units: 2,
    reads: 3,
    readAtMs: 1_000,
    position: '1-10',
    openedAtMs: 1_000,
    changedAtMs: 1_000,
    state: 'open',
    rule: 'edited-on-channel: park',
    corrections: 0,
    steps: [],
    ...change,
  };
}

export function sampleRun(change: Partial<Run> = {}): Run {
  return {
    id: 'r1',
    channel: shopA,
    kind: 'full',
    cause: 'operator',
    actor: 'test',
    isDryRun: false,
    state: 'running',
    reason: '',
    startedAtMs: 1_000,
    endedAtMs: null,
    position: '1-1',
    endPosition: '1-1',
    listings: 1,
    rows: 0,
    requests: 0,
    readMs: 0,
    cpuMs: 0,
    byVerdict: {},
    unjudged: 0,
    opened: 0,
    resolved: 0,
    actions: 0,
    driftUnits: 0,
    cycleMs: null,
    ...change,
  };
}
