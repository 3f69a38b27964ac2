import { type UnitRange, common, holds } from './expected-range.ts';

/**
 * Reads of one listing that orders and writes do not explain.
 *
 *   nothing --unexplained read--> watched (1) --the same, further away than the spacing--> watched (2) --> drift (3)
 *   watched --an explained read--> nothing      watched --unexplained by another amount--> watched (1)
 *
 * A listing that sells all the time is judged like any other: each read only bounds the difference, and what three of
 * them allow together is the drift. One that every order moves back and forth never gets a common difference.
 */
export interface DriftWatch {
  readonly reads: number;
  /** What all of these reads allow; never holds zero. */
  readonly difference: UnitRange;
  readonly firstReadAtMs: number;
  readonly lastReadAtMs: number;
}

export type Watched =
  | { readonly kind: 'explained' }
  /** Closer to the one before than the spacing: no evidence of its own. */
  | { readonly kind: 'too-soon'; readonly watch: DriftWatch }
  | { readonly kind: 'watched' | 'drift'; readonly watch: DriftWatch };

export const readsForDrift = 3;

export function watchDrift(
  before: DriftWatch | undefined,
  difference: UnitRange,
  readAtMs: number,
  spacingMs: number,
): Watched {
  if (holds(difference, 0)) return { kind: 'explained' };
  const fresh: DriftWatch = { reads: 1, difference, firstReadAtMs: readAtMs, lastReadAtMs: readAtMs };
  if (before === undefined) return { kind: 'watched', watch: fresh };
  if (readAtMs < before.lastReadAtMs + spacingMs) return { kind: 'too-soon', watch: before };
  const both = common(before.difference, difference);
  if (both === undefined) return { kind: 'watched', watch: fresh };
  const watch = { ...before, reads: before.reads + 1, difference: both, lastReadAtMs: readAtMs };
  return { kind: watch.reads >= readsForDrift ? 'drift' : 'watched', watch };
}
