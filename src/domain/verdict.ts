import { type UnitRange, holds, leastOf } from './expected-range.ts';

/** What a reconciliation says of one row (design: ledger, channel, warehouse: who is wrong?). */
export const verdicts = [
  'agrees',
  /** It does not show what it ought to, and a write of ours that will is under way. */
  'echo-pending',
  /** It does not show what it ought to, and nothing is under way that would change that. */
  'lost-publication',
  /** The platform took or gave back units by an order that had not reached the ledger. */
  'missed-order',
  /** Somebody else changed the number on the channel. */
  'edited-on-channel',
  /** A warehouse counts something else than the ledger has. */
  'count-differs',
  /** The platform lists a SKU that the ledger does not have. */
  'unmapped',
  /** The platform does not count this listing. */
  'untracked',
  /** The listing is gone, or shown where nothing is sold. */
  'inactive',
] as const;
export type Verdict = (typeof verdicts)[number];

/** Those that are findings; the other two are how a healthy row looks. */
export type DriftVerdict = Exclude<Verdict, 'agrees' | 'echo-pending'>;

/** What the evidence says of how it came to it; a finer word than the verdict, for people. */
export type DriftCause =
  /** Nothing was marked for publication although the ledger asks for another number. */
  | 'not-published'
  /** The platform confirmed or took a write and shows the number from before it. */
  | 'write-not-applied'
  | 'order-not-heard'
  | 'cancellation-not-heard'
  | 'hand-edit'
  /** The listing was corrected before and was changed again. */
  | 'second-writer'
  /** It shows the units of a cancelled order, which the platform says it did not give back. */
  | 'restored-on-cancel'
  | 'listing-gone'
  /** It is there and sells nothing: a disconnected location, a deactivated or deleted product. */
  | 'deactivated'
  | 'not-tracked'
  | 'sku-unknown'
  | 'warehouse-lost'
  | 'warehouse-found';

/** Which of the parties stands alone against the others; `unclear`: no two agree, or there are only two. */
export type OddOne = 'channel' | 'ledger' | 'warehouse' | 'unclear';

export interface DriftEvidence {
  /** Shown minus expected, as bounded by every read; zero: only the target differs. */
  readonly difference: UnitRange;
  /** Units by which the newest writes of ours moved the listing, newest last. */
  readonly writes: readonly number[];
  /** Units of orders cancelled of late that the platform is said to have kept. */
  readonly keptOnCancel: readonly number[];
  /** How often this listing was corrected within the time that corrections are remembered. */
  readonly corrections: number;
}

export interface Judgement {
  readonly verdict: DriftVerdict;
  readonly cause: DriftCause;
}

/**
 * Names a difference that three reads showed and no order explains. The more particular explanation comes first; of two
 * that fit, a write of ours that did not land is likelier than a person who happened to undo exactly it.
 */
export function judgeDrift(evidence: DriftEvidence): Judgement {
  const { difference, writes, keptOnCancel, corrections } = evidence;
  if (holds(difference, 0)) return { verdict: 'lost-publication', cause: 'not-published' };
  if (corrections > 0) return { verdict: 'edited-on-channel', cause: 'second-writer' };
  if (isSuffixSum(keptOnCancel, (units) => holds(difference, units)))
    return { verdict: 'edited-on-channel', cause: 'restored-on-cancel' };
  if (isSuffixSum(writes, (units) => holds(difference, -units)))
    return { verdict: 'lost-publication', cause: 'write-not-applied' };
  return { verdict: 'edited-on-channel', cause: 'hand-edit' };
}

/** Some of the newest, taken together without a gap. */
function isSuffixSum(units: readonly number[], fits: (sum: number) => boolean): boolean {
  let sum = 0;
  for (let index = units.length - 1; index >= 0; index--) {
    sum += units[index] ?? 0;
    if (sum !== 0 && fits(sum)) return true;
  }
  return false;
}

/** Orders that arrived after the read explain it: which kind they were. */
export function judgeMissedOrder(difference: UnitRange): Judgement {
  const cause = leastOf(difference) > 0 ? 'cancellation-not-heard' : 'order-not-heard';
  return { verdict: 'missed-order', cause };
}

/** Of three who know the same number; each is what is left to sell by that party's word. */
export function oddOneOut(
  ledger: UnitRange,
  channel: number | undefined,
  warehouse: UnitRange | undefined,
): OddOne {
  if (channel === undefined || warehouse === undefined) return 'unclear';
  const isChannelAlone = !holds(ledger, channel);
  const meet = ledger.lowest <= warehouse.highest && warehouse.lowest <= ledger.highest;
  if (meet) return isChannelAlone && !holds(warehouse, channel) ? 'channel' : 'unclear';
  if (!isChannelAlone) return 'warehouse';
  return holds(warehouse, channel) ? 'ledger' : 'unclear';
}

/** What may be done about a finding; policy chooses one per verdict and channel. */
export const driftActions = ['report', 'park', 're-publish', 'pull-orders', 'adopt'] as const;
export type DriftAction = (typeof driftActions)[number];

export type DriftPolicy = Readonly<Record<DriftVerdict, DriftAction>>;

/**
 * Lowers nobody's stock by itself: what a person or another program put on a channel waits for a person, what is ours to
 * say is said again, and what the platform sold is asked for.
 */
export const defaultDriftPolicy: DriftPolicy = {
  'lost-publication': 're-publish',
  'missed-order': 'pull-orders',
  'edited-on-channel': 'park',
  'count-differs': 'park',
  unmapped: 'report',
  untracked: 'report',
  inactive: 'report',
};

export interface Correction {
  readonly action: DriftAction;
  /** Why not what policy asked for. */
  readonly reason: string | undefined;
}

/**
 * Two writers that correct each other would go on for ever. After so many corrections of one listing it is left to a
 * person, with both named.
 */
export function correctionOf(
  wanted: DriftAction,
  corrections: number,
  maxCorrections: number,
  writers: readonly [ours: string, theirs: string],
): Correction {
  const isCorrection = wanted === 're-publish' || wanted === 'adopt';
  if (!isCorrection || corrections < maxCorrections) return { action: wanted, reason: undefined };
  return {
    action: 'park',
    reason: `corrected ${corrections} times and changed again: ${writers[0]} and ${writers[1]} both write it`,
  };
}
