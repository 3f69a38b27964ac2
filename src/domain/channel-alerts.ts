import type { AlertRule, AlertSeverity } from './alert-rule.ts';

/** What is known of one channel at one moment; times are of one clock. */
export interface ChannelHealth {
  readonly status: 'off' | 'connecting' | 'ok' | 'needs-attention';
  readonly attention: string | undefined;
  readonly isPublishingHere: boolean;
  readonly isLive: boolean;
  readonly heldOpenBy: string | undefined;
  /** Since when the circuit has not been closed; undefined while it is, or where this daemon makes no requests. */
  readonly circuitOpenSinceMs: number | undefined;
  readonly watchedSinceMs: number;
  readonly lastPollAtMs: number | undefined;
  readonly lastWebhookAtMs: number | undefined;
  readonly lastFoundByPollAtMs: number | undefined;
  readonly pushes: boolean;
  readonly pollMs: number;
  readonly longestApplyMs: number;
  readonly backlog: number;
  /** Since when listings have waited without a single answer to a write. */
  readonly idleBacklogSinceMs: number | undefined;
  /** When a person has to have renewed the access; undefined: it renews itself, or nobody says. */
  readonly accessEndsAtMs: number | undefined;
  readonly parkedRows: number;
  readonly unmappedRows: number;
}

export interface AlertThresholds {
  readonly stalledMs: number;
  readonly silentMs: number;
  readonly circuitMs: number;
  readonly tokenMs: number;
}

export interface Finding {
  readonly rule: AlertRule;
  readonly severity: AlertSeverity;
  readonly text: string;
  readonly facts: Readonly<Record<string, string | number>>;
}

/**
 * Rules judged here, and whether this daemon may say that one is over: of what only the publishing daemon sees, only
 * that one may.
 */
export const channelRules: readonly { readonly rule: AlertRule; readonly isSeenByAll: boolean }[] = [
  { rule: 'needs-attention', isSeenByAll: true },
  { rule: 'breaker-open', isSeenByAll: false },
  { rule: 'token-expiring', isSeenByAll: false },
  { rule: 'sync-stalled', isSeenByAll: false },
  { rule: 'webhook-silent', isSeenByAll: true },
  { rule: 'unmapped-sku', isSeenByAll: true },
  { rule: 'parked-rows', isSeenByAll: true },
];

/** Less than this and people are called at any hour. */
const lastDays = 3;

/** What a person should know of the channel now. */
export function channelFindings(
  health: ChannelHealth,
  thresholds: AlertThresholds,
  nowMs: number,
): readonly Finding[] {
  if (health.status === 'off') return [];
  const checks = [attention, expiring, circuit, stalledPolls, stalledWrites, silence, unmapped, parked];
  return checks.flatMap((check) => check(health, thresholds, nowMs) ?? []);
}

function attention({ attention: reason }: ChannelHealth): Finding | undefined {
  if (reason === undefined) return undefined;
  const text = `Nothing is published: ${reason}`;
  return { rule: 'needs-attention', severity: 'critical', text, facts: { reason } };
}

function expiring(
  { accessEndsAtMs, isPublishingHere }: ChannelHealth,
  { tokenMs }: AlertThresholds,
  nowMs: number,
): Finding | undefined {
  // Only who publishes may say that it is over, so only who publishes says that it begins.
  if (accessEndsAtMs === undefined || !isPublishingHere || accessEndsAtMs - nowMs > tokenMs) return undefined;
  const days = Math.max(0, Math.floor((accessEndsAtMs - nowMs) / 86_400_000));
  const text = `Access ends in ${days} days and nothing renews it: authorise the channel again`;
  const severity = days < lastDays ? 'critical' : 'warning';
  return { rule: 'token-expiring', severity, text, facts: { days } };
}

function circuit(health: ChannelHealth, { circuitMs }: AlertThresholds, nowMs: number): Finding | undefined {
  const { heldOpenBy, circuitOpenSinceMs } = health;
  if (heldOpenBy !== undefined) {
    const text = `${heldOpenBy} holds the circuit open: no request is sent until it is closed`;
    return { rule: 'breaker-open', severity: 'warning', text, facts: { heldOpenBy } };
  }
  if (circuitOpenSinceMs === undefined || nowMs - circuitOpenSinceMs < circuitMs) return undefined;
  const openForS = Math.round((nowMs - circuitOpenSinceMs) / 1_000);
  const text = 'Requests to the platform fail or are slow; they are tried one at a time';
  return { rule: 'breaker-open', severity: 'critical', text, facts: { openForS } };
}

function stalledPolls(
  health: ChannelHealth,
  { stalledMs }: AlertThresholds,
  nowMs: number,
): Finding | undefined {
  const { lastPollAtMs, watchedSinceMs, pollMs } = health;
  // A daemon that has just started has not had the time to poll.
  const silentMs = nowMs - Math.max(lastPollAtMs ?? 0, watchedSinceMs);
  if (silentMs < Math.max(stalledMs, pollMs * 4)) return undefined;
  const text = 'Orders have not been polled to the end: what the pushes lose is not found';
  return { rule: 'sync-stalled', severity: 'critical', text, facts: { forS: Math.round(silentMs / 1_000) } };
}

function stalledWrites(
  health: ChannelHealth,
  { stalledMs }: AlertThresholds,
  nowMs: number,
): Finding | undefined {
  const { isPublishingHere, isLive, idleBacklogSinceMs, longestApplyMs, backlog } = health;
  if (!isPublishingHere || !isLive || idleBacklogSinceMs === undefined) return undefined;
  // A raise on a platform that applies late waits that long by right.
  if (nowMs - idleBacklogSinceMs < Math.max(stalledMs, longestApplyMs * 2)) return undefined;
  const text = `${backlog} listings wait and no write has been answered`;
  return { rule: 'sync-stalled', severity: 'critical', text, facts: { backlog } };
}

function silence(health: ChannelHealth, { silentMs }: AlertThresholds, nowMs: number): Finding | undefined {
  const { pushes, lastFoundByPollAtMs: found, lastWebhookAtMs, watchedSinceMs } = health;
  if (!pushes || found === undefined || nowMs - found > silentMs) return undefined;
  const quietSinceMs = Math.max(lastWebhookAtMs ?? 0, watchedSinceMs);
  if (nowMs - quietSinceMs < silentMs || found < quietSinceMs) return undefined;
  const text = 'Polls bring orders that no push announced: the subscriptions may be gone';
  const facts = { silentForS: Math.round((nowMs - quietSinceMs) / 1_000) };
  return { rule: 'webhook-silent', severity: 'warning', text, facts };
}

function unmapped({ unmappedRows: rows }: ChannelHealth): Finding | undefined {
  if (rows === 0) return undefined;
  const text = `${rows} listings or order lines name no SKU known here; they are parked, not guessed`;
  return { rule: 'unmapped-sku', severity: 'warning', text, facts: { rows } };
}

function parked({ parkedRows: rows }: ChannelHealth): Finding | undefined {
  if (rows === 0) return undefined;
  return { rule: 'parked-rows', severity: 'warning', text: `${rows} rows are set aside`, facts: { rows } };
}
