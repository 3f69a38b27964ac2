import { expect, test } from 'vitest';
import { type ChannelHealth, channelFindings } from '../../src/domain/channel-alerts.ts';

const minuteMs = 60_000;
const thresholds = {
  stalledMs: 15 * minuteMs,
  silentMs: 30 * minuteMs,
  circuitMs: minuteMs,
  tokenMs: 20_160 * minuteMs,
};
const nowMs = 1_700_000_000_000;
const well: ChannelHealth = {
  status: 'ok',
  attention: undefined,
  isPublishingHere: true,
  isLive: true,
  heldOpenBy: undefined,
  circuitOpenSinceMs: undefined,
  watchedSinceMs: nowMs - 600 * minuteMs,
  lastPollAtMs: nowMs - minuteMs,
  lastWebhookAtMs: nowMs - minuteMs,
  lastFoundByPollAtMs: undefined,
  pushes: true,
  pollMs: 30_000,
  longestApplyMs: 0,
  backlog: 0,
  idleBacklogSinceMs: undefined,
  accessEndsAtMs: undefined,
  parkedRows: 0,
  unmappedRows: 0,
};

function rulesOf(change: Partial<ChannelHealth>): readonly string[] {
  return channelFindings({ ...well, ...change }, thresholds, nowMs).map(({ rule }) => rule);
}

test.each<[string, Partial<ChannelHealth>, readonly string[]]>([
  ['nothing is wrong', {}, []],
  ['the channel is off', { status: 'off', lastPollAtMs: 0, parkedRows: 4 }, []],
  ['access is lost', { status: 'needs-attention', attention: 'uninstalled' }, ['needs-attention']],
  ['access ends in a year', { accessEndsAtMs: nowMs + 525_600 * minuteMs }, []],
  ['access ends next week', { accessEndsAtMs: nowMs + 10_080 * minuteMs }, ['token-expiring']],
  ['access has ended', { accessEndsAtMs: nowMs - minuteMs }, ['token-expiring']],
  ['access ends, told by another', { accessEndsAtMs: nowMs, isPublishingHere: false }, []],
  ['the circuit has just opened', { circuitOpenSinceMs: nowMs - 1_000 }, []],
  ['the circuit stays open', { circuitOpenSinceMs: nowMs - 2 * minuteMs }, ['breaker-open']],
  ['a person holds it open', { heldOpenBy: 'ann' }, ['breaker-open']],
  ['no poll ended', { lastPollAtMs: nowMs - 16 * minuteMs }, ['sync-stalled']],
  ['the poll is rare by configuration', { lastPollAtMs: nowMs - 16 * minuteMs, pollMs: 300_000 }, []],
  ['the daemon has just started', { lastPollAtMs: undefined, watchedSinceMs: nowMs - minuteMs }, []],
  [
    'listings wait and nothing is answered',
    { idleBacklogSinceMs: nowMs - 16 * minuteMs, backlog: 3 },
    ['sync-stalled'],
  ],
  [
    'the platform applies late',
    { idleBacklogSinceMs: nowMs - 16 * minuteMs, longestApplyMs: 60 * minuteMs },
    [],
  ],
  ['another daemon publishes it', { idleBacklogSinceMs: nowMs - 16 * minuteMs, isPublishingHere: false }, []],
  [
    'polls find what no push told',
    { lastWebhookAtMs: nowMs - 40 * minuteMs, lastFoundByPollAtMs: nowMs - minuteMs },
    ['webhook-silent'],
  ],
  ['nothing sells and nothing is pushed', { lastWebhookAtMs: nowMs - 400 * minuteMs }, []],
  [
    'polls found something before the last push',
    { lastWebhookAtMs: nowMs - minuteMs, lastFoundByPollAtMs: nowMs - 2 * minuteMs },
    [],
  ],
  [
    'the platform pushes nothing',
    { pushes: false, lastFoundByPollAtMs: nowMs, lastWebhookAtMs: undefined },
    [],
  ],
  [
    'rows are set aside, some for their SKU',
    { parkedRows: 3, unmappedRows: 1 },
    ['unmapped-sku', 'parked-rows'],
  ],
])('%s', (_what, change, expected) => {
  expect(rulesOf(change)).toEqual(expected);
});
