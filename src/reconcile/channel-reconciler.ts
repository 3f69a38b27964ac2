import type { Logger } from 'pino';
import type { BlastLimits } from '../domain/blast-radius.ts';
import type { ListingId } from '../domain/ids.ts';
import type { Ledger, MeshState, PublisherLedger } from '../ledger/contract.ts';
import { Alarm, jittered } from '../mesh/alarm.ts';
import { type MappedListing, isWritable } from '../mesh/sku-map.ts';
import type { SyncJournal } from '../mesh/sync-journal.ts';
import { ChannelFindings } from './channel-findings.ts';
import { ChannelReading } from './channel-reading.ts';
import { ChannelRuns, type OpenRun } from './channel-runs.ts';
import { ChannelWitness } from './channel-witness.ts';
import { CorrectionGuard } from './correction-guard.ts';
import { DriftWatcher } from './drift-watcher.ts';
import { FindingsDesk } from './findings-desk.ts';
import type { Finding } from './finding.ts';
import type { FindingStore } from './finding-store.ts';
import { ListingLooks } from './listing-looks.ts';
import { type ReconciledChannel, readGapMs } from './reconciled-channel.ts';
import type { ReconcileMetrics } from './reconcile-metrics.ts';
import type { RecentMovements } from './recent-movements.ts';
import { Repair } from './repair.ts';
import type { RunRequest } from './run.ts';
import type { RunStore } from './run-store.ts';
import { SweepOrder } from './sweep-order.ts';
import type { ThreeWay } from './three-way.ts';

export interface ChannelReconcilerOptions {
  readonly channel: ReconciledChannel;
  readonly runs: RunStore;
  readonly findings: FindingStore;
  readonly ledger: Pick<Ledger, 'adjust' | 'peek' | 'nowMs'>;
  readonly pending: Pick<PublisherLedger, 'pending'>;
  readonly mesh: Pick<MeshState, 'cursor' | 'moveCursor'>;
  readonly journal: Pick<SyncJournal, 'newest'>;
  readonly movements: Pick<RecentMovements, 'keptOnCancel'>;
  /** Who else has a word about the goods; undefined: nobody. */
  readonly threeWay?: ThreeWay | undefined;
  /** What the repairs of an hour may come to; undefined: anything. */
  readonly guard?: BlastLimits | undefined;
  readonly metrics: ReconcileMetrics;
  readonly log: Logger;
  readonly onFinding?: ((finding: Finding) => void) | undefined;
}

const unsettledSample = 250;
const refreshEveryMs = 2_000;
const idleMs = 1_000;
/** A run whose listings cannot be decided for this long ends all the same. */
const maxSettlingMs = 900_000;
/** The run that follows a start waits this long at most for listings to be known. */
const maxUnsettledMs = 300_000;

/**
 * Reconciliation of one channel, in whichever daemon publishes it.
 *
 *   idle --a run is asked for--> reading in bulk --every page judged--> watching what differs --all decided--> completed
 *   idle --budget of the sweep--> reading a batch (what just sold first) --> idle
 *   reading, watching --answer cut short, empty, changed while read--> aborted: nothing of the run is repaired
 *   any --the lease is lost--> idle: what was watched is forgotten, a run that was asked for begins again elsewhere
 */
export class ChannelReconciler {
  readonly desk: FindingsDesk;
  readonly repair: Repair;
  readonly guard: CorrectionGuard | undefined;
  readonly witness: ChannelWitness;
  readonly #options: ChannelReconcilerOptions;
  readonly #runs: ChannelRuns;
  readonly #findings: ChannelFindings;
  readonly #watcher: DriftWatcher;
  readonly #read: ChannelReading;
  readonly #order: SweepOrder;
  readonly #alarm = new Alarm();
  readonly #closing = new AbortController();
  #loop: Promise<void> | undefined;
  #sweepAtMs = 0;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #failures = 0;

  constructor(options: ChannelReconcilerOptions) {
    this.#options = options;
    const { channel, findings: store, ledger, mesh, metrics, log, guard, onFinding } = options;
    const { readLagMs } = channel.connector.capabilities;
    // Two reads closer than the lag may show the same moment.
    const spacingMs = Math.max(channel.settings.spacingMs, readLagMs + channel.settings.skewMs + 1);
    const { signal } = this.#closing;
    const nowMs = (): number => ledger.nowMs();
    this.#order = new SweepOrder(channel.map);
    if (channel.settings.sweepShare <= 0) this.#sweepAtMs = Number.POSITIVE_INFINITY;
    if (guard !== undefined) {
      const listings = (): number => channel.map.size;
      this.guard = new CorrectionGuard({ channel: channel.id, limits: guard, listings, mesh, nowMs, log });
    }
    const onChanged = (finding: Finding): void => {
      onFinding?.(finding);
      if (finding.state === 'resolved' && finding.listingId !== '') this.#released(finding.listingId);
    };
    this.desk = new FindingsDesk({ channel, store, metrics, log, nowMs, onChanged });
    this.repair = new Repair({ channel, ledger, metrics, log, guard: this.guard });
    const looks = new ListingLooks({ ...options, isFrozen: (listingId) => this.desk.isFrozen(listingId) });
    const parts = { ...options, desk: this.desk, looks, spacingMs, signal };
    this.witness = new ChannelWitness(parts);
    this.#runs = new ChannelRuns({ ...options, onAborted: (runId) => this.#watcher.dropRun(runId) });
    this.#findings = new ChannelFindings({
      ...parts,
      threeWay: options.threeWay,
      repair: this.repair,
      runs: this.#runs,
      favour: (listingIds) => this.favour(listingIds),
    });
    this.#watcher = new DriftWatcher({
      ...parts,
      runs: this.#runs,
      findings: this.#findings,
      onPulled: () => this.#alarm.ring(),
    });
    this.#read = new ChannelReading({ ...parts, watcher: this.#watcher, findings: this.#findings });
  }

  get channel(): ReconciledChannel {
    return this.#options.channel;
  }

  start(): void {
    if (this.#options.channel.settings.mode === 'off') return;
    this.#loop ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#alarm.ring();
    await Promise.all([this.#loop, this.#reading, this.#watcher.close()]);
  }

  /** What is found and what is decided about it happen one after the other: the publisher and people speak up too. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#findings.inTurn(work);
  }

  /** Something happened to these listings: they are read before others, once the dust has settled. */
  favour(listingIds: readonly ListingId[]): void {
    const { pushGraceMs } = this.#options.channel.settings;
    const notBeforeMs = performance.now() + Math.min(pushGraceMs, 5_000);
    for (const listingId of listingIds) this.#order.favour(listingId, notBeforeMs);
  }

  /** A request for a run may be waiting. */
  ring(): void {
    this.#alarm.ring();
  }

  /** The publisher proved by reads of its own that somebody changed the number, and asks whether to write over it. */
  onEdited(listing: MappedListing, shows: number, target: number): 'report' | 'repair' {
    const { channel, log } = this.#options;
    if (channel.settings.mode === 'off') return 'report';
    if (this.repair.mayOverwrite(listing.listingId)) return 'repair';
    this.inTurn(() => this.#findings.noteEdited(listing, shows, target)).catch((error: unknown) => {
      log.warn({ channel: channel.id, sku: listing.sku, err: error }, 'an edit was not noted');
    });
    return 'report';
  }

  /** On a platform of plain numbers the mesh has decided it already: the units were released, its own number is written. */
  noteResolvedByMesh(listingId: ListingId, units: number, position: string): Promise<void> {
    return this.inTurn(() => this.#findings.noteResolvedByMesh(listingId, units, position));
  }

  #released(listingId: ListingId): void {
    const { channel, log } = this.#options;
    this.guard?.released(listingId).catch((error: unknown) => {
      log.warn({ channel: channel.id, err: error }, 'that the guard opened was not noted');
    });
  }

  async #run(): Promise<void> {
    const { channel, log } = this.#options;
    while (!this.#closing.signal.aborted) {
      if (!channel.publishing.isPublishing) {
        this.#watcher.clear();
        this.#runs.forget();
        await this.#alarm.sleep(idleMs);
        continue;
      }
      try {
        const restMs = await this.#step();
        this.#failures = 0;
        if (restMs > 0) await this.#alarm.sleep(Math.min(restMs, idleMs));
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        this.#failures++;
        const waitMs = jittered(Math.min(500 * 2 ** Math.min(this.#failures, 8), 60_000));
        log.warn({ channel: channel.id, err: error, waitMs }, 'reconciliation waits');
        await this.#alarm.sleep(waitMs);
      }
    }
  }

  /** One piece of work; answers how long there is nothing to do. */
  async #step(): Promise<number> {
    const { channel, metrics } = this.#options;
    const nowMs = performance.now();
    metrics.watched.set({ channel: channel.id }, this.#watcher.size);
    metrics.cycleAgeSeconds.set({ channel: channel.id }, this.#runs.cycleAgeMs / 1_000);
    if (nowMs - this.#refreshedAtMs > refreshEveryMs) {
      this.#refreshedAtMs = nowMs;
      const thawed = await this.desk.refresh();
      channel.publishing.listingsChanged(thawed.flatMap((id) => channel.map.listing(id) ?? []));
      await this.#takeRequest();
    }
    await this.#watcher.step(nowMs);
    await this.#endAsked();
    await this.#sweepOnce(nowMs);
    const untilMs = Math.min(this.#watcher.nextDueMs, this.#sweepAtMs);
    return Math.max(10, untilMs - performance.now());
  }

  async #takeRequest(): Promise<void> {
    const { runs, channel } = this.#options;
    // A reading whose run was forgotten with the lease may still be under way.
    if (this.#runs.asked !== undefined || this.#reading !== undefined) return;
    const request = await runs.asked(channel.id);
    if (request === undefined || (await this.#isTooSoon(request))) return;
    const open = await this.#runs.begin(request.kind, request);
    this.#runs.asked = open;
    // A bulk reading takes minutes: watches, decisions and freezes do not wait for it.
    this.#reading = this.#readAsked(open, request).finally(() => (this.#reading = undefined));
  }

  /** After a start bases are read and settled first: before, nothing could be said of most listings. */
  async #isTooSoon(request: RunRequest): Promise<boolean> {
    const { channel, ledger } = this.#options;
    if (request.cause !== 'epoch' || ledger.nowMs() - request.askedAtMs > maxUnsettledMs) return false;
    const some: MappedListing[] = [];
    for (const listing of channel.map.listings()) {
      if (isWritable(listing)) some.push(listing);
      if (some.length >= unsettledSample) break;
    }
    if (some.length === 0) return true;
    const { rows } = await channel.publishing.views(some);
    return rows.filter(({ state }) => state.base?.settled !== true).length > some.length * 0.05;
  }

  async #readAsked(open: OpenRun, request: RunRequest): Promise<void> {
    try {
      const isFull = request.kind === 'full';
      const reason = await (isFull ? this.#read.readAll(open) : this.#read.readSkus(open, request.skus));
      if (reason !== undefined) await this.#runs.abort(open, reason);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      await this.#runs.abort(open, reason).catch((failure: unknown) => {
        const { channel, log } = this.#options;
        log.warn({ channel: channel.id, err: failure, reason }, 'an aborted run was not noted');
      });
    }
    this.#alarm.ring();
  }

  async #endAsked(): Promise<void> {
    const run = this.#runs.asked;
    if (run?.readMs === undefined) return;
    const isLate = performance.now() - run.startedMs - run.readMs > maxSettlingMs;
    if (this.#watcher.countOf(run.tally.id) > 0 && !isLate) return;
    if (run.request?.kind === 'full') await this.guard?.settled();
    await this.#runs.complete(run, run.readMs, isLate ? 'some listings could not be decided in time' : '');
  }

  async #sweepOnce(nowMs: number): Promise<void> {
    const { channel } = this.#options;
    const { sweepShare } = channel.settings;
    if (nowMs < this.#sweepAtMs) return;
    if (this.#runs.sweep === undefined) {
      this.#order.beginCycle();
      if (this.#order.cycleRows === 0) {
        this.#sweepAtMs = nowMs + idleMs;
        return;
      }
      this.#runs.sweep = await this.#runs.begin('rolling');
    }
    const listings = this.#order.next(channel.connector.capabilities.readStockBatchSize, nowMs);
    const startedMs = performance.now();
    if (listings.length > 0) {
      const run = this.#runs.sweep;
      const reason = await this.#read.readBatch(run, listings);
      if (reason !== undefined) await this.#runs.abort(run, reason);
    }
    // However long the platform (or its limiter) took: this much of the time belongs to the others.
    const tookMs = performance.now() - startedMs;
    this.#sweepAtMs = startedMs + Math.max(readGapMs, tookMs) / sweepShare;
    await this.#endSweep();
  }

  async #endSweep(): Promise<void> {
    const run = this.#runs.sweep;
    if (run === undefined || run.readMs !== undefined || !this.#order.isCycleOver) return;
    const cycleMs = performance.now() - run.startedMs;
    if (cycleMs < this.#options.channel.settings.minCycleMs) return;
    if (this.#watcher.countOf(run.tally.id) > 0) return;
    await this.#runs.complete(run, cycleMs);
  }
}
