import type { ChannelId } from '../domain/ids.ts';
import type { Verdict } from '../domain/verdict.ts';
import type { Run, RunCause, RunKind } from './run.ts';

type Counted = 'rows' | 'requests' | 'readMs' | 'unjudged' | 'opened' | 'resolved' | 'actions' | 'driftUnits';
type Counting = Omit<Run, Counted> & Record<Counted, number>;

/** A run while it counts. */
export class RunTally {
  readonly #byVerdict = new Map<Verdict, number>();
  readonly #startedCpuMs = cpuMs();
  readonly #run: Counting;

  constructor(begun: {
    readonly id: string;
    readonly channel: ChannelId;
    readonly kind: RunKind;
    readonly cause: RunCause;
    readonly actor: string;
    readonly isDryRun: boolean;
    readonly startedAtMs: number;
    readonly position: string;
    readonly listings: number;
  }) {
    this.#run = {
      ...begun,
      state: 'running',
      reason: '',
      endedAtMs: null,
      endPosition: begun.position,
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
    };
  }

  get id(): string {
    return this.#run.id;
  }

  get isDryRun(): boolean {
    return this.#run.isDryRun;
  }

  count(verdict: Verdict, rows = 1): void {
    this.#byVerdict.set(verdict, (this.#byVerdict.get(verdict) ?? 0) + rows);
  }

  /** A row that looked otherwise at first turned out to be this. */
  recount(from: Verdict, to: Verdict): void {
    if (from === to) return;
    this.uncount(from);
    this.count(to);
  }

  /** A row that looked like this can, after all, not be judged. */
  uncount(verdict: Verdict): void {
    const left = (this.#byVerdict.get(verdict) ?? 0) - 1;
    if (left > 0) this.#byVerdict.set(verdict, left);
    else this.#byVerdict.delete(verdict);
  }

  add(figures: Partial<Record<Counted, number>>): void {
    for (const name of Object.keys(figures) as (keyof typeof figures)[])
      this.#run[name] += figures[name] ?? 0;
  }

  snapshot(): Run {
    return {
      ...this.#run,
      readMs: Math.round(this.#run.readMs),
      cpuMs: Math.round(cpuMs() - this.#startedCpuMs),
      byVerdict: Object.fromEntries(this.#byVerdict),
    };
  }

  ended(
    state: 'completed' | 'aborted',
    end: {
      readonly atMs: number;
      readonly position: string;
      readonly reason?: string;
      readonly cycleMs?: number;
    },
  ): Run {
    return {
      ...this.snapshot(),
      state,
      reason: end.reason ?? '',
      endedAtMs: end.atMs,
      endPosition: end.position,
      cycleMs: end.cycleMs === undefined ? null : Math.round(end.cycleMs),
    };
  }
}

/** Of the whole process: what ran beside it is in it, so it bounds the cost of the run from above. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
