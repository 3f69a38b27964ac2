import type { ChannelId, Sku } from '../domain/ids.ts';
import type { Movement } from '../domain/movement.ts';
import type { SyncJournal, SyncRecord } from '../mesh/sync-journal.ts';
import type { FindingStore } from './finding-store.ts';
import { type PostMortem, type PostMortemRules, postMortem } from './post-mortem.ts';
import { type Report, reportOf } from './report.ts';
import type { RunStore } from './run-store.ts';
import { shortfallsOf } from './shortfalls.ts';
import { timeId } from './time-id.ts';

export interface ReportMakerOptions {
  readonly merchant: string;
  readonly channels: readonly ChannelId[];
  readonly fullReadMs: (channel: ChannelId, rows: number) => number | undefined;
  readonly runs: Pick<RunStore, 'list'>;
  readonly findings: Pick<FindingStore, 'listOpen' | 'listClosed'>;
  readonly journal: Pick<SyncJournal, 'all'>;
  /** Every entry there ever was, oldest first. */
  readonly wholeHistory: () => AsyncIterable<readonly Movement[]>;
  readonly rules: PostMortemRules;
  readonly timeZone: string;
  readonly currency: string;
  readonly nowMs: () => number;
  /** `<epoch>-<seq>` */
  readonly position: () => string;
}

const maxRuns = 5_000;
const maxFindings = 20_000;
const maxShortfalls = 5_000;
const maxWritesPerSku = 500;

/** Puts a report together from what runs found and what the log says. Reads the whole history once; changes nothing. */
export class ReportMaker {
  readonly #options: ReportMakerOptions;

  constructor(options: ReportMakerOptions) {
    this.#options = options;
  }

  async make(sinceMs: number, cause: Report['cause']): Promise<Report> {
    const { merchant, channels, fullReadMs, runs, findings, timeZone, currency, nowMs, position } =
      this.#options;
    const untilMs = nowMs();
    const [allRuns, open, closed] = await Promise.all([
      runs.list(maxRuns),
      findings.listOpen(maxFindings),
      findings.listClosed(maxFindings),
    ]);
    return reportOf({
      id: timeId(untilMs),
      merchant,
      cause,
      madeAtMs: untilMs,
      sinceMs,
      untilMs,
      timeZone,
      currency,
      position: position(),
      channelIds: channels,
      fullReadMs,
      runs: allRuns.filter(({ startedAtMs }) => startedAtMs >= sinceMs),
      // What is open is told however old it is: it waits for somebody.
      findings: [...open, ...closed.filter(({ changedAtMs }) => changedAtMs >= sinceMs)],
      shortfalls: await this.postMortems(sinceMs),
    });
  }

  /** Newest first. */
  async postMortems(sinceMs: number): Promise<readonly PostMortem[]> {
    const { wholeHistory, rules } = this.#options;
    const shortfalls = await shortfallsOf(wholeHistory(), sinceMs, maxShortfalls);
    if (shortfalls.length === 0) return [];
    const writes = await this.#writesOf(new Set(shortfalls.map(({ sku }) => sku)));
    return shortfalls.map((one) => postMortem(one, writes.get(one.sku) ?? [], rules)).toReversed();
  }

  async #writesOf(skus: ReadonlySet<Sku>): Promise<ReadonlyMap<Sku, readonly SyncRecord[]>> {
    const bySku = new Map<Sku, SyncRecord[]>();
    for await (const record of this.#options.journal.all()) {
      if (!skus.has(record.sku)) continue;
      const known = bySku.get(record.sku);
      if (known === undefined) bySku.set(record.sku, [record]);
      else if (known.push(record) > maxWritesPerSku) known.shift();
    }
    return bySku;
  }
}
