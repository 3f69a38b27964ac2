import type { ChannelId, Sku } from '../domain/ids.ts';
import { type Verdict, verdicts } from '../domain/verdict.ts';
import type { Finding } from './finding.ts';
import type { OversellCause, PostMortem } from './post-mortem.ts';
import type { Run } from './run.ts';

/** What a merchant is told of a time: did the channels agree, what differed and why, what was sold that was not there. */
export interface Report {
  readonly id: string;
  readonly merchant: string;
  readonly cause: 'schedule' | 'operator';
  readonly madeAtMs: number;
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Time zone its times are written in. */
  readonly timeZone: string;
  /** Of the values of goods; empty where no values are configured. */
  readonly currency: string;
  /** `<epoch>-<seq>` it was made at. */
  readonly position: string;
  readonly channels: readonly ChannelSummary[];
  /** Newest first. */
  readonly runs: readonly Run[];
  readonly findings: readonly Finding[];
  readonly shortfalls: readonly PostMortem[];
  readonly buffers: readonly BufferAdvice[];
  /** How many of each were left out because there are too many to tell. */
  readonly leftOut: { readonly runs: number; readonly findings: number; readonly shortfalls: number };
}

export interface ChannelSummary {
  readonly channel: ChannelId;
  readonly runs: number;
  readonly aborted: number;
  readonly rows: number;
  readonly byVerdict: Readonly<Partial<Record<Verdict, number>>>;
  /** Of 100 rows judged, how many showed what they ought to, or had the write on its way. Null: none was judged. */
  readonly agreePercent: number | null;
  readonly driftUnits: number;
  readonly openFindings: number;
  readonly lastRunAtMs: number | null;
  /** How long the last whole look over the channel took. */
  readonly cycleMs: number | null;
  /**
   * How long one takes at least under the limits that the platform publishes, computed for as many listings as the last
   * whole look read. Null: it publishes none, or the channel was not read in this time.
   */
  readonly publishedCycleMs: number | null;
}

/** Units to keep back, per SKU and channel, by what would have prevented the shortfalls of the time. */
export interface BufferAdvice {
  readonly channel: ChannelId | '';
  readonly sku: Sku;
  readonly units: number;
  readonly shortfalls: number;
  readonly cause: OversellCause;
  readonly longestGapMs: number;
}

export interface ReportFacts extends Omit<Report, 'channels' | 'buffers' | 'leftOut'> {
  readonly channelIds: readonly ChannelId[];
  /** `Connector.fullReadMs` of the channel. */
  readonly fullReadMs: (channel: ChannelId, rows: number) => number | undefined;
}

export const reportLimits = { runs: 500, findings: 2_000, shortfalls: 500, buffers: 500 } as const;

/** Sums up; `runs`, `findings` and `shortfalls` are those of the time, newest first. */
export function reportOf(facts: ReportFacts): Report {
  const { channelIds, fullReadMs, runs, findings, shortfalls, ...rest } = facts;
  return {
    ...rest,
    channels: channelIds.map((channel) =>
      summaryOf(channel, runs, findings, (rows) => fullReadMs(channel, rows)),
    ),
    runs: runs.slice(0, reportLimits.runs),
    findings: findings.slice(0, reportLimits.findings),
    shortfalls: shortfalls.slice(0, reportLimits.shortfalls),
    buffers: buffersOf(shortfalls),
    leftOut: {
      runs: Math.max(0, runs.length - reportLimits.runs),
      findings: Math.max(0, findings.length - reportLimits.findings),
      shortfalls: Math.max(0, shortfalls.length - reportLimits.shortfalls),
    },
  };
}

/** The same report with fewer rows, for where it would be too large to keep. */
export function shortened(report: Report): Report {
  const halve = <T>(rows: readonly T[]): readonly T[] => rows.slice(0, Math.floor(rows.length / 2));
  const [runs, findings, shortfalls] = [halve(report.runs), halve(report.findings), halve(report.shortfalls)];
  return {
    ...report,
    runs,
    findings,
    shortfalls,
    leftOut: {
      runs: report.leftOut.runs + report.runs.length - runs.length,
      findings: report.leftOut.findings + report.findings.length - findings.length,
      shortfalls: report.leftOut.shortfalls + report.shortfalls.length - shortfalls.length,
    },
  };
}

function summaryOf(
  channel: ChannelId,
  allRuns: readonly Run[],
  findings: readonly Finding[],
  fullReadMs: (rows: number) => number | undefined,
): ChannelSummary {
  const runs = allRuns.filter((run) => run.channel === channel);
  const byVerdict: Partial<Record<Verdict, number>> = {};
  let rows = 0;
  let judged = 0;
  for (const run of runs) {
    rows += run.rows;
    for (const verdict of verdicts) {
      const count = run.byVerdict[verdict] ?? 0;
      if (count === 0) continue;
      byVerdict[verdict] = (byVerdict[verdict] ?? 0) + count;
      judged += count;
    }
  }
  const healthy = (byVerdict.agrees ?? 0) + (byVerdict['echo-pending'] ?? 0);
  const newest = runs[0];
  const whole = runs.find(({ state, kind }) => state === 'completed' && kind !== 'sku');
  const publishedMs = whole === undefined ? undefined : fullReadMs(Math.max(whole.listings, whole.rows));
  return {
    channel,
    runs: runs.length,
    aborted: runs.filter(({ state }) => state === 'aborted').length,
    rows,
    byVerdict,
    // Rounded down: "100 %" is said only of a channel without a difference.
    agreePercent: judged === 0 ? null : Math.floor((healthy * 1_000) / judged) / 10,
    driftUnits: runs.reduce((sum, run) => sum + run.driftUnits, 0),
    openFindings: findings.filter((finding) => finding.channel === channel && finding.state !== 'resolved')
      .length,
    lastRunAtMs: newest?.startedAtMs ?? null,
    cycleMs: runs.find((run) => run.cycleMs !== null && run.kind !== 'sku')?.cycleMs ?? null,
    publishedCycleMs: publishedMs === undefined ? null : Math.round(publishedMs),
  };
}

function buffersOf(shortfalls: readonly PostMortem[]): readonly BufferAdvice[] {
  const bySku = new Map<string, BufferAdvice>();
  for (const { channel, sku, bufferUnits, cause, gapMs } of shortfalls) {
    if (bufferUnits === null) continue;
    const key = `${channel}\u001f${sku}`;
    const known = bySku.get(key);
    bySku.set(key, {
      channel,
      sku,
      units: Math.max(known?.units ?? 0, bufferUnits),
      shortfalls: (known?.shortfalls ?? 0) + 1,
      cause: known === undefined || bufferUnits > known.units ? cause : known.cause,
      longestGapMs: Math.max(known?.longestGapMs ?? 0, gapMs ?? 0),
    });
  }
  return [...bySku.values()].toSorted((a, b) => b.units - a.units).slice(0, reportLimits.buffers);
}
