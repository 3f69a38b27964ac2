import { beliefOf } from '../domain/belief.ts';
import { type UnitRange, differenceOf, expectedRange, holds } from '../domain/expected-range.ts';
import type { PublishTimes } from '../domain/listing.ts';
import type { DriftCause } from '../domain/verdict.ts';
import type { ListingView } from '../ledger/contract.ts';
import type { ObservedRow } from './observe.ts';

export interface RowContext {
  readonly times: Pick<PublishTimes, 'readLagMs' | 'skewMs'>;
  /** The platform has no negative numbers. */
  readonly isFlooredAtZero: boolean;
  /** What it ought to show by the levels of the look; undefined: nothing is to be published for it. */
  readonly target: number | undefined;
  /** Something will still be published, or cannot be at present for a reason that is known. */
  readonly isPending: boolean;
}

export type RowLook =
  /** No settled base, or orders around the read that are no longer listed. */
  | { readonly kind: 'unjudged' }
  | { readonly kind: 'agrees' | 'echo-pending'; readonly expected: UnitRange }
  /** Neither orders nor writes explain it. */
  | { readonly kind: 'differs'; readonly difference: UnitRange; readonly expected: UnitRange }
  /** It shows what we believe, which is not what it ought to show, and nothing is under way. */
  | { readonly kind: 'unpublished'; readonly difference: UnitRange; readonly expected: UnitRange }
  | { readonly kind: 'absent'; readonly cause: DriftCause };

/** One read, judged by a look that may be much later than it: orders heard of meanwhile are counted where they belong. */
export function judgeRow(row: ObservedRow, late: ListingView, context: RowContext): RowLook {
  if (row.shown === null) return { kind: 'absent', cause: 'listing-gone' };
  if (!row.isActive) return { kind: 'absent', cause: 'deactivated' };
  const { before, after, shown, readAtMs } = row;
  const { times, isFlooredAtZero, target, isPending } = context;
  if (before.state.base?.settled !== true) return { kind: 'unjudged' };
  const expected = expectedRange(before.state, after.state, late.state, readAtMs, times);
  if (expected === undefined) return { kind: 'unjudged' };
  const difference = differenceOf(shown, expected, isFlooredAtZero);
  if (!holds(difference, 0)) return { kind: 'differs', difference, expected };
  if (target === undefined) return { kind: 'agrees', expected };
  // Judged by what it is believed to show now: the number of the read may be a sale older than the target.
  const { state } = late;
  const belief = beliefOf(state);
  if (belief !== undefined && Math.max(0, belief) === target && state.openWrites.length === 0)
    return { kind: 'agrees', expected };
  const isUnderWay =
    isPending ||
    belief === undefined ||
    state.openWrites.length > 0 ||
    state.suspect ||
    state.residue !== undefined ||
    state.provisional !== 0 ||
    state.base?.settled !== true;
  if (isUnderWay) return { kind: 'echo-pending', expected };
  const units = Math.max(0, belief) - target;
  return { kind: 'unpublished', difference: { lowest: units, highest: units }, expected };
}
