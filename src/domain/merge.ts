import { type CounterName, type LineCounters, counterNames, noUnits } from './order.ts';

/** What is applied of one order line. */
export interface AppliedLine {
  readonly counters: LineCounters;
  /** Per counter: `beganAtMs` of the snapshot that set its value, ledger clock. */
  readonly setAtMs: Readonly<Record<CounterName, number>>;
}

export interface SeenCounters {
  readonly counters: LineCounters;
  readonly source: 'fetch' | 'push';
  /** Ledger clock: when the question was sent (`fetch`) or the delivery received (`push`). */
  readonly beganAtMs: number;
  /**
   * By the platform's own time of change (and beyond the skew of those times) this is an older state of the order than
   * the one applied: a search index or a replica may answer a late question with an early state.
   */
  readonly isOlder?: boolean | undefined;
}

export interface CounterDifference {
  readonly counter: CounterName;
  /** Signed: a fall is a correction by a later fetch. */
  readonly units: number;
}

export interface MergedLine {
  readonly line: AppliedLine;
  readonly differences: readonly CounterDifference[];
  readonly refusedFalls: number;
}

export const nothingApplied: AppliedLine = { counters: noUnits, setAtMs: noUnits };

/**
 * One snapshot of a line against what is applied of it; the script apply-order is a port of this function. A line that
 * a snapshot does not name is simply never passed: absence says nothing.
 *
 * Rises are taken whatever arrives first, because the counters only grow on the platform. A lower value is an older
 * delivery unless the platform was asked after the value had been set and answered with no older state of the order: only
 * then is it a correction.
 */
export function mergeLine(applied: AppliedLine, seen: SeenCounters): MergedLine {
  const counters: Record<CounterName, number> = { ...applied.counters };
  const setAtMs: Record<CounterName, number> = { ...applied.setAtMs };
  const differences: CounterDifference[] = [];
  let refusedFalls = 0;
  const isCurrentFetch = seen.source === 'fetch' && seen.isOlder !== true;

  for (const counter of counterNames) {
    const before = counters[counter];
    const after = seen.counters[counter];
    const isLaterFetch = isCurrentFetch && seen.beganAtMs > setAtMs[counter];
    if (after === before) {
      // A later fetch that confirms the value keeps an earlier, slower one from lowering it.
      if (isLaterFetch) setAtMs[counter] = seen.beganAtMs;
      continue;
    }
    if (after < before && !isLaterFetch) {
      refusedFalls += 1;
      continue;
    }
    counters[counter] = after;
    setAtMs[counter] = seen.beganAtMs;
    differences.push({ counter, units: after - before });
  }
  return { line: { counters, setAtMs }, differences, refusedFalls };
}
