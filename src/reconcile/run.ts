import { z } from 'zod';
import type { ChannelId } from '../domain/ids.ts';
import type { Verdict } from '../domain/verdict.ts';

/** `full`: every listing, by bulk reading; `rolling`: one cycle of the continuous sweep; `sku`: the named ones. */
export type RunKind = 'full' | 'rolling' | 'sku';
export type RunCause = 'schedule' | 'operator' | 'epoch' | 'continuous';

/**
 * One reading of a channel and what was judged of it.
 *
 *   running --every row judged--> completed
 *   running --answer cut short, empty, changed while read, platform away, daemon gone--> aborted (nothing repaired)
 */
export interface Run {
  /** Sorts by start. */
  readonly id: string;
  readonly channel: ChannelId;
  readonly kind: RunKind;
  readonly cause: RunCause;
  /** Who asked for it. */
  readonly actor: string;
  readonly isDryRun: boolean;
  readonly state: 'running' | 'completed' | 'aborted';
  /** Why it was aborted. */
  readonly reason: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  /** `<epoch>-<seq>` at the start and at the end. */
  readonly position: string;
  readonly endPosition: string;
  /** Listings known when it began, and rows the platform answered. */
  readonly listings: number;
  readonly rows: number;
  readonly requests: number;
  /** Time spent in the platform's answers, and processor time of the whole run. */
  readonly readMs: number;
  readonly cpuMs: number;
  readonly byVerdict: Readonly<Partial<Record<Verdict, number>>>;
  /** Rows of which nothing could be said: no base yet, or orders around the read no longer known. */
  readonly unjudged: number;
  readonly opened: number;
  readonly resolved: number;
  readonly actions: number;
  /** Sum of the absolute differences of the findings opened. */
  readonly driftUnits: number;
  /** What a whole cycle over the channel takes at the pace of this run, by its read budget. */
  readonly cycleMs: number | null;
}

export const runRecord = z.object({
  id: z.string(),
  channel: z.string(),
  kind: z.enum(['full', 'rolling', 'sku']),
  cause: z.enum(['schedule', 'operator', 'epoch', 'continuous']),
  actor: z.string(),
  isDryRun: z.boolean(),
  state: z.enum(['running', 'completed', 'aborted']),
  reason: z.string(),
  startedAtMs: z.number(),
  endedAtMs: z.number().nullable(),
  position: z.string(),
  endPosition: z.string(),
  listings: z.number(),
  rows: z.number(),
  requests: z.number(),
  readMs: z.number(),
  cpuMs: z.number(),
  byVerdict: z.record(z.string(), z.number()),
  unjudged: z.number(),
  opened: z.number(),
  resolved: z.number(),
  actions: z.number(),
  driftUnits: z.number(),
  cycleMs: z.number().nullable(),
});

/** Asked of whichever daemon holds the channel; kept in Redis until the run has ended. */
export interface RunRequest {
  readonly runId: string;
  readonly kind: Exclude<RunKind, 'rolling'>;
  readonly cause: RunCause;
  readonly actor: string;
  readonly isDryRun: boolean;
  readonly skus: readonly string[];
  readonly askedAtMs: number;
}

export const runRequestRecord = z.object({
  runId: z.string(),
  kind: z.enum(['full', 'sku']),
  cause: z.enum(['schedule', 'operator', 'epoch', 'continuous']),
  actor: z.string(),
  isDryRun: z.boolean(),
  skus: z.array(z.string()).max(1_000),
  askedAtMs: z.number(),
});
