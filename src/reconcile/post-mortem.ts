import type { ChannelId, Sku } from '../domain/ids.ts';
import type { SyncRecord } from '../mesh/sync-journal.ts';
import type { PromisedOrder, Shortfall, TakingEntry } from './shortfalls.ts';

/**
 * Which clock lost. `sold-at-once`: the second sale was made before the first could have been heard by anybody.
 * `heard-late`: the ledger heard of the first sale too late (webhook lost or late, poll gap). `written-late`: it knew, and
 * the channel that sold was told too late (rate limit, circuit, token, an unknown outcome). `physical`: goods that were
 * counted on are not there. `held-back`: a listing dropped for a reason not known yet. `claimed`: a hold or an order
 * without a channel's shelf took them. `never-written`: the channel was not told at all.
 */
export type OversellCause =
  | 'sold-at-once'
  | 'heard-late'
  | 'written-late'
  | 'never-written'
  | 'physical'
  | 'held-back'
  | 'claimed';

export interface PostMortem {
  readonly sku: Sku;
  readonly units: number;
  readonly stillOpenUnits: number;
  /** In the merchant's currency; null where no value of the SKU is configured. */
  readonly value: number | null;
  readonly openedAtMs: number;
  readonly closedAtMs: number | null;
  readonly cause: OversellCause;
  /** In plain words, with the times that decided it. */
  readonly reason: string;
  readonly channel: ChannelId | '';
  readonly sequence: string;
  /** How long the seller did not know, ms; null where no clock lost. */
  readonly gapMs: number | null;
  /** Units kept back on that channel that would have prevented it: what sells in that time, at least what was missing. */
  readonly bufferUnits: number | null;
  /** Who gets his money back, in the order of policy, until the missing units are covered. */
  readonly refunds: readonly Affected[];
  /** The same orders for those who would rather wait: oldest first. */
  readonly backorders: readonly Affected[];
}

export interface Affected {
  readonly channel: ChannelId | '';
  readonly orderId: string;
  readonly units: number;
  readonly placedAtMs: number;
}

export interface PostMortemRules {
  /** `newest-first`: who came first keeps the goods. `tier`: channels named first keep them, newest first within one. */
  readonly refundOrder: 'newest-first' | 'tier';
  readonly tiers: readonly ChannelId[];
  valueOf(sku: Sku): number | undefined;
}

/** How much later than the sale before an order may be placed and still be the same moment. */
const sameMomentMs = 1_000;
const hourMs = 3_600_000;
const physicalKinds: ReadonlySet<string> = new Set(['counted', 'adjusted', 'shipped', 'transferred']);

/** `writes` are those to the SKU, oldest first. */
export function postMortem(
  shortfall: Shortfall,
  writes: readonly SyncRecord[],
  rules: PostMortemRules,
): PostMortem {
  const { sku, cause, deepestUnits, openUnits } = shortfall;
  const verdict = verdictOf(shortfall, writes);
  const perUnit = rules.valueOf(sku);
  const { gapMs } = verdict;
  const soldInGap = gapMs === null ? 0 : Math.ceil((shortfall.unitsPerHour * gapMs) / hourMs);
  const refunds = refundsOf(shortfall, rules);
  return {
    sku,
    units: deepestUnits,
    stillOpenUnits: openUnits,
    value: perUnit === undefined ? null : Math.round(perUnit * deepestUnits * 100) / 100,
    openedAtMs: shortfall.openedAtMs,
    closedAtMs: shortfall.closedAtMs ?? null,
    cause: verdict.cause,
    reason: verdict.reason,
    channel: cause.channel,
    sequence: cause.id,
    gapMs,
    bufferUnits: gapMs === null ? null : Math.max(deepestUnits, soldInGap),
    refunds,
    backorders: refunds.toSorted((a, b) => a.placedAtMs - b.placedAtMs),
  };
}

interface CauseVerdict {
  readonly cause: OversellCause;
  readonly reason: string;
  readonly gapMs: number | null;
}

function verdictOf({ cause, before }: Shortfall, writes: readonly SyncRecord[]): CauseVerdict {
  if (physicalKinds.has(cause.kind)) {
    const reason = `${cause.units} units that were counted on are not there (${cause.kind}, ${cause.reference})`;
    return { cause: 'physical', reason, gapMs: null };
  }
  if (cause.kind === 'provisioned') {
    const reason = `the listing dropped by ${cause.units} and no order said why`;
    return { cause: 'held-back', reason, gapMs: null };
  }
  if (cause.placedAtMs === undefined || cause.channel === '')
    return { cause: 'claimed', reason: `${cause.kind} ${cause.reference} took the last units`, gapMs: null };
  if (before === undefined) {
    const reason = `${cause.channel} sold ${cause.units} although there was no stock to sell`;
    return { cause: 'never-written', reason, gapMs: null };
  }
  return lostClock(cause, cause.placedAtMs, before, writes);
}

/** The order of events: the sale before (by its platform), heard by the ledger, written to the channel, sold there. */
function lostClock(
  cause: TakingEntry,
  soldAtMs: number,
  before: TakingEntry,
  writes: readonly SyncRecord[],
): CauseVerdict {
  const beforeAtMs = before.placedAtMs ?? before.atMs;
  const first = `${before.channel === '' ? before.kind : before.channel} took ${before.units} (${before.reference})`;
  if (soldAtMs < beforeAtMs - sameMomentMs) {
    // It was placed first and heard of last: the other channel sold units that were gone.
    const gapMs = cause.atMs - soldAtMs;
    const reason = `${cause.channel} sold ${cause.units} (${cause.reference}), but the ledger heard of it ${seconds(gapMs)} later; meanwhile ${first}`;
    return { cause: 'heard-late', reason, gapMs };
  }
  if (soldAtMs <= beforeAtMs + sameMomentMs) {
    const reason = `${cause.channel} sold in the same moment in which ${first}`;
    return { cause: 'sold-at-once', reason, gapMs: sameMomentMs };
  }
  if (soldAtMs <= before.atMs) {
    const gapMs = before.atMs - beforeAtMs;
    const reason = `${first}, but the ledger heard of it ${seconds(gapMs)} later; ${cause.channel} sold meanwhile`;
    return { cause: 'heard-late', reason, gapMs };
  }
  const written = writes.find(
    ({ channel, kind, outcome, atMs, to, from }) =>
      channel === cause.channel &&
      kind !== 'read-back' &&
      to < from &&
      atMs >= before.atMs &&
      (outcome === 'confirmed' || outcome === 'accepted'),
  );
  if (written === undefined) {
    const reason = `${first}; no lower number reached ${cause.channel} before it sold ${seconds(soldAtMs - before.atMs)} later`;
    return { cause: 'never-written', reason, gapMs: soldAtMs - beforeAtMs };
  }
  const gapMs = written.atMs - beforeAtMs;
  const troubles = writes.filter(
    ({ channel, atMs, outcome, reason }) =>
      channel === cause.channel &&
      atMs >= before.atMs &&
      atMs <= written.atMs &&
      outcome !== 'confirmed' &&
      reason !== '',
  );
  const why = troubles.length === 0 ? '' : ` (${troubles.map(({ reason }) => reason).join('; ')})`;
  const reason = `${first}; ${cause.channel} was told ${seconds(gapMs)} after that${why}, and sold before`;
  return { cause: 'written-late', reason, gapMs };
}

function refundsOf(shortfall: Shortfall, rules: PostMortemRules): readonly Affected[] {
  const rank = ({ channel }: PromisedOrder): number => {
    const at = rules.tiers.findIndex((tier) => tier === channel);
    return at < 0 ? rules.tiers.length : at;
  };
  const placed = ({ placedAtMs, committedAtMs }: PromisedOrder): number => placedAtMs ?? committedAtMs;
  const order = shortfall.orders.toSorted((a, b) => {
    const byTier = rules.refundOrder === 'tier' ? rank(b) - rank(a) : 0;
    return byTier === 0 ? placed(b) - placed(a) : byTier;
  });
  const refunds: Affected[] = [];
  let missing = shortfall.deepestUnits;
  for (const one of order) {
    if (missing <= 0) break;
    const units = Math.min(missing, one.units);
    refunds.push({ channel: one.channel, orderId: one.orderId, units, placedAtMs: placed(one) });
    missing -= units;
  }
  return refunds;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
