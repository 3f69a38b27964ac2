import type { Logger } from 'pino';
import type { Verdict } from '../domain/verdict.ts';
import type { Ledger } from '../ledger/contract.ts';
import { formatPosition } from '../ledger/position.ts';
import type { FindingStore } from './finding-store.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import type { ReconcileMetrics } from './reconcile-metrics.ts';
import type { RunRequest } from './run.ts';
import type { RunStore } from './run-store.ts';
import { RunTally } from './run-tally.ts';
import { timeId } from './time-id.ts';
import type { WatchedListing } from './watch-book.ts';

export interface OpenRun {
  readonly tally: RunTally;
  readonly startedMs: number;
  readonly request: RunRequest | undefined;
  /** How long its reading took; undefined: it still reads. */
  readMs: number | undefined;
}

export interface ChannelRunsOptions {
  readonly channel: ReconciledChannel;
  readonly runs: RunStore;
  readonly findings: Pick<FindingStore, 'trim'>;
  readonly ledger: Pick<Ledger, 'peek' | 'nowMs'>;
  readonly metrics: ReconcileMetrics;
  readonly log: Logger;
  /** An aborted run concludes nothing of what it watched. */
  readonly onAborted: (runId: string) => void;
}

/**
 * The two runs that one channel may have at a time: the cycle of the sweep, and one that was asked for.
 *
 *   none --begin--> open --every row judged--> completed      open --answer not to be trusted--> aborted
 *   open --the lease is lost--> forgotten here; one that was asked for begins anew elsewhere
 */
export class ChannelRuns {
  readonly #options: ChannelRunsOptions;
  sweep: OpenRun | undefined;
  asked: OpenRun | undefined;
  #quietId: string | undefined;
  #cycleEndedAtMs = performance.now();

  constructor(options: ChannelRunsOptions) {
    this.#options = options;
  }

  get cycleAgeMs(): number {
    return performance.now() - this.#cycleEndedAtMs;
  }

  forget(): void {
    this.sweep = undefined;
    this.asked = undefined;
  }

  of({ runId }: Pick<WatchedListing, 'runId'>): OpenRun | undefined {
    if (this.sweep?.tally.id === runId) return this.sweep;
    return this.asked?.tally.id === runId ? this.asked : undefined;
  }

  /** What was counted as something to watch turned out to be this. */
  recount(entry: Pick<WatchedListing, 'runId' | 'kind'>, to: Verdict): void {
    const first =
      entry.kind === 'differs'
        ? 'edited-on-channel'
        : entry.kind === 'absent'
          ? 'inactive'
          : 'lost-publication';
    this.of(entry)?.tally.recount(first, to);
  }

  async begin(kind: 'full' | 'sku' | 'rolling', request?: RunRequest): Promise<OpenRun> {
    const { channel, ledger, runs } = this.#options;
    const tally = new RunTally({
      id: request?.runId ?? timeId(ledger.nowMs()),
      channel: channel.id,
      kind,
      cause: request?.cause ?? 'continuous',
      actor: request?.actor ?? 'reconcile',
      isDryRun: request?.isDryRun ?? false,
      startedAtMs: ledger.nowMs(),
      position: await this.position(),
      listings: kind === 'sku' ? (request?.skus.length ?? 0) : channel.map.size,
    });
    if (kind !== 'rolling') await runs.save(tally.snapshot());
    return { tally, startedMs: performance.now(), request, readMs: undefined };
  }

  async complete(run: OpenRun, cycleMs: number, reason = ''): Promise<void> {
    const end = { atMs: this.#options.ledger.nowMs(), position: await this.position(), reason, cycleMs };
    await this.#end(run, run.tally.ended('completed', end));
  }

  async abort(run: OpenRun, reason: string): Promise<void> {
    // Forgotten with the lease: it has begun again since, here or elsewhere, under the same id.
    if (this.asked !== run && this.sweep !== run) return;
    const { channel, log, ledger, onAborted } = this.#options;
    onAborted(run.tally.id);
    log.error(
      { channel: channel.id, run: run.tally.id, reason },
      'a reconciliation was aborted; it repairs nothing',
    );
    const end = { atMs: ledger.nowMs(), position: await this.position(), reason };
    await this.#end(run, run.tally.ended('aborted', end));
  }

  async position(): Promise<string> {
    return formatPosition((await this.#options.ledger.peek([])).position);
  }

  async #end(run: OpenRun, ended: ReturnType<RunTally['ended']>): Promise<void> {
    const { channel, runs, findings, metrics, log } = this.#options;
    const { id, kind, state, rows, opened, resolved, byVerdict } = ended;
    if (this.sweep === run) this.sweep = undefined;
    try {
      // Who publishes the channel now takes the request up again: to it the run is not over.
      if (run.request !== undefined && !channel.publishing.isPublishing) return;
      await this.#keep(ended);
      if (run.request !== undefined) await runs.ended(channel.id, id);
    } finally {
      // Not before its request is gone: it would be taken up a second time.
      if (this.asked === run) this.asked = undefined;
    }
    metrics.runs.inc({ channel: channel.id, kind, state });
    metrics.runSeconds.observe({ channel: channel.id, kind }, (performance.now() - run.startedMs) / 1_000);
    if (state === 'completed' && kind !== 'sku') this.#cycleEndedAtMs = performance.now();
    log.info(
      { channel: channel.id, run: id, kind, state, rows, opened, resolved, byVerdict },
      'reconciliation ended',
    );
    await runs.trim();
    await findings.trim();
  }

  async #keep(ended: ReturnType<RunTally['ended']>): Promise<void> {
    const { id, kind, state, opened, resolved } = ended;
    // A cycle in which nothing happened is only of interest while it is the newest.
    if (kind === 'rolling') await this.#forgetQuiet();
    if (kind === 'rolling' && state === 'completed' && opened + resolved + ended.actions === 0)
      this.#quietId = id;
    await this.#options.runs.save(ended);
  }

  async #forgetQuiet(): Promise<void> {
    const id = this.#quietId;
    this.#quietId = undefined;
    if (id !== undefined) await this.#options.runs.drop(id);
  }
}
