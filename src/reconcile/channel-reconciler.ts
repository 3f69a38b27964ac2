// Long on purpose: the watch over one channel's listings, from a first odd read to its verdict, is one state machine.
import type { Logger } from 'pino';
import type { PlatformListing } from '../connectors/connector.ts';
import { type Watched, watchDrift } from '../domain/drift-watch.ts';
import type { UnitRange } from '../domain/expected-range.ts';
import type { ListingId } from '../domain/ids.ts';
import type { DriftCause, Judgement, Verdict } from '../domain/verdict.ts';
import { judgeDrift, judgeMissedOrder } from '../domain/verdict.ts';
import type { Ledger, ListingView, PublisherLedger } from '../ledger/contract.ts';
import { Alarm, jittered } from '../mesh/alarm.ts';
import { type MappedListing, isWritable, leftProblems } from '../mesh/sku-map.ts';
import type { SyncJournal } from '../mesh/sync-journal.ts';
import { FindingsDesk } from './findings-desk.ts';
import type { Finding } from './finding.ts';
import type { FindingStore } from './finding-store.ts';
import { type RowContext, type RowLook, judgeRow } from './judge-row.ts';
import { BulkCheck, type ObservedRow, observe } from './observe.ts';
import { type ReconciledChannel, readGapMs } from './reconciled-channel.ts';
import type { ReconcileMetrics } from './reconcile-metrics.ts';
import type { RecentMovements } from './recent-movements.ts';
import { Repair } from './repair.ts';
import type { RunRequest } from './run.ts';
import type { RunStore } from './run-store.ts';
import { RunTally } from './run-tally.ts';
import { SweepOrder } from './sweep-order.ts';
import { timeId } from './time-id.ts';
import { WatchBook, type WatchedListing } from './watch-book.ts';

export interface ChannelReconcilerOptions {
  readonly channel: ReconciledChannel;
  readonly runs: RunStore;
  readonly findings: FindingStore;
  readonly ledger: Pick<Ledger, 'adjust' | 'peek' | 'nowMs'>;
  readonly pending: Pick<PublisherLedger, 'pending'>;
  readonly journal: Pick<SyncJournal, 'newest'>;
  readonly movements: Pick<RecentMovements, 'keptOnCancel'>;
  readonly metrics: ReconcileMetrics;
  readonly log: Logger;
  readonly onFinding?: ((finding: Finding) => void) | undefined;
}

const maxWatched = 10_000;
const maxPending = 100_000;
const judgedAtOnce = 250;
const refreshEveryMs = 2_000;
const idleMs = 1_000;
const dayMs = 86_400_000;
/** A run whose listings cannot be decided for this long ends all the same. */
const maxSettlingMs = 900_000;
/** The run that follows a start waits this long at most for listings to be known. */
const maxUnsettledMs = 300_000;
const lookBackEveryMs = 3_600_000;

/** Their findings are over when the number agrees. */
const aboutNumbers: ReadonlySet<Verdict> = new Set(['lost-publication', 'missed-order', 'edited-on-channel']);

interface OpenRun {
  readonly tally: RunTally;
  readonly startedMs: number;
  readonly request: RunRequest | undefined;
  readMs: number | undefined;
}

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
  readonly #options: ChannelReconcilerOptions;
  readonly #book = new WatchBook(maxWatched);
  readonly #order: SweepOrder;
  readonly #alarm = new Alarm();
  readonly #closing = new AbortController();
  readonly #spacingMs: number;
  #loop: Promise<void> | undefined;
  #sweep: OpenRun | undefined;
  #asked: OpenRun | undefined;
  #sweepAtMs = 0;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #quietId: string | undefined;
  #cycleEndedAtMs: number;
  #turn: Promise<void> = Promise.resolve();
  #pulling: Promise<void> | undefined;
  #reading: Promise<void> = Promise.resolve();
  #lookedBackAtMs = Number.NEGATIVE_INFINITY;
  #failures = 0;

  constructor(options: ChannelReconcilerOptions) {
    this.#options = options;
    const { channel, findings, ledger, metrics, log } = options;
    const { readLagMs } = channel.connector.capabilities;
    const { spacingMs, skewMs } = channel.settings;
    // Two reads closer than the lag may show the same moment.
    this.#spacingMs = Math.max(spacingMs, readLagMs + skewMs + 1);
    this.#order = new SweepOrder(channel.map);
    this.#cycleEndedAtMs = performance.now();
    this.desk = new FindingsDesk({
      channel,
      store: findings,
      metrics,
      log,
      nowMs: () => ledger.nowMs(),
      onChanged: options.onFinding,
    });
    this.repair = new Repair({
      channel,
      ledger,
      metrics,
      log,
      maxCorrectionsPerHour: () => Math.max(50, Math.ceil(channel.map.size * 0.2)),
    });
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
    await Promise.all([this.#loop, this.#reading, this.#pulling]);
  }

  /** What is found and what is decided about it happen one after the other: the publisher and people speak up too. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
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
    this.inTurn(() => this.#noteEdited(listing, shows, target)).catch((error: unknown) => {
      log.warn({ channel: channel.id, sku: listing.sku, err: error }, 'an edit was not noted');
    });
    return 'report';
  }

  /** On a platform of plain numbers the mesh has decided it already: the units were released, its own number is written. */
  noteResolvedByMesh(listingId: ListingId, units: number, position: string): Promise<void> {
    return this.inTurn(() => this.#noteResolvedByMesh(listingId, units, position));
  }

  async #noteResolvedByMesh(listingId: ListingId, units: number, position: string): Promise<void> {
    const { channel, ledger } = this.#options;
    const listing = channel.map.listing(listingId);
    if (listing === undefined || !channel.publishing.isPublishing) return;
    const view = await this.#view(listing);
    const target = view === undefined ? null : channel.publishing.targetOf(listing, view).units;
    // Orders that the platform dates beside a read may be released as if somebody had taken the units: no proof.
    const sinceMs = ledger.nowMs() - 60_000;
    const soldLately = view?.state.rises.filter(({ atMs }) => atMs > sinceMs) ?? [];
    if (Math.abs(units) <= soldLately.reduce((sum, rise) => sum + Math.abs(rise.units), 0)) return;
    const shown = target === null ? null : Math.max(0, target - units);
    const finding = await this.desk.found({
      runId: this.#sweep?.tally.id ?? '',
      listing,
      judgement: { verdict: 'edited-on-channel', cause: 'hand-edit' },
      odd: 'unclear',
      shown,
      expected: { lowest: target ?? 0, highest: target ?? 0 },
      target,
      difference: { lowest: -units, highest: -units },
      reads: 1,
      readAtMs: ledger.nowMs(),
      position,
    });
    if (finding === undefined) return;
    await this.desk.save({
      ...finding,
      state: 'acted',
      rule: 'the platform takes plain numbers: ours is written again',
    });
    this.favour([listingId]);
  }

  async #run(): Promise<void> {
    const { channel, log } = this.#options;
    while (!this.#closing.signal.aborted) {
      if (!channel.publishing.isPublishing) {
        this.#forget();
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

  #forget(): void {
    if (this.#book.size === 0 && this.#sweep === undefined && this.#asked === undefined) return;
    this.#book.clear();
    this.#sweep = undefined;
    this.#asked = undefined;
  }

  /** One piece of work; answers how long there is nothing to do. */
  async #step(): Promise<number> {
    const { channel, metrics } = this.#options;
    const nowMs = performance.now();
    metrics.watched.set({ channel: channel.id }, this.#book.size);
    metrics.cycleAgeSeconds.set({ channel: channel.id }, (nowMs - this.#cycleEndedAtMs) / 1_000);
    if (nowMs - this.#refreshedAtMs > refreshEveryMs) {
      this.#refreshedAtMs = nowMs;
      const thawed = await this.desk.refresh();
      channel.publishing.listingsChanged(thawed.flatMap((id) => channel.map.listing(id) ?? []));
      await this.#takeRequest();
    }
    await this.#afterGrace(nowMs);
    this.#pull();
    await this.#readAgain(nowMs);
    await this.#endRuns();
    await this.#sweepOnce(nowMs);
    const untilMs = Math.min(this.#book.nextDueMs(), this.#sweepAtMs);
    return Math.max(10, untilMs - performance.now());
  }

  async #takeRequest(): Promise<void> {
    const { runs, channel } = this.#options;
    if (this.#asked !== undefined) return;
    const request = await runs.asked(channel.id);
    if (request === undefined || (await this.#isTooSoon(request))) return;
    const open = await this.#begin(request.kind, request);
    this.#asked = open;
    // A bulk reading takes minutes: watches, decisions and freezes do not wait for it.
    this.#reading = this.#readAsked(open, request);
  }

  /** After a start bases are read and settled first: before, nothing could be said of most listings. */
  async #isTooSoon(request: RunRequest): Promise<boolean> {
    const { channel, ledger } = this.#options;
    if (request.cause !== 'epoch' || ledger.nowMs() - request.askedAtMs > maxUnsettledMs) return false;
    const some: MappedListing[] = [];
    for (const listing of channel.map.listings()) {
      if (isWritable(listing)) some.push(listing);
      if (some.length >= judgedAtOnce) break;
    }
    if (some.length === 0) return true;
    const { rows } = await channel.publishing.views(some);
    return rows.filter(({ state }) => state.base?.settled !== true).length > some.length * 0.05;
  }

  async #readAsked(open: OpenRun, request: RunRequest): Promise<void> {
    try {
      const reason =
        request.kind === 'full' ? await this.#readAll(open) : await this.#readSkus(open, request.skus);
      if (reason !== undefined) await this.#abort(open, reason);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      await this.#abort(open, reason).catch((failure: unknown) => {
        const { channel, log } = this.#options;
        log.warn({ channel: channel.id, err: failure, reason }, 'an aborted run was not noted');
      });
    }
    this.#alarm.ring();
  }

  async #begin(kind: 'full' | 'sku' | 'rolling', request?: RunRequest): Promise<OpenRun> {
    const { channel, ledger, runs } = this.#options;
    const tally = new RunTally({
      id: request?.runId ?? timeId(ledger.nowMs()),
      channel: channel.id,
      kind,
      cause: request?.cause ?? 'continuous',
      actor: request?.actor ?? 'reconcile',
      isDryRun: request?.isDryRun ?? false,
      startedAtMs: ledger.nowMs(),
      position: await this.#position(),
      listings: kind === 'sku' ? (request?.skus.length ?? 0) : channel.map.size,
    });
    if (kind !== 'rolling') await runs.save(tally.snapshot());
    return { tally, startedMs: performance.now(), request, readMs: undefined };
  }

  async #forgetQuiet(): Promise<void> {
    const id = this.#quietId;
    this.#quietId = undefined;
    if (id !== undefined) await this.#options.runs.drop(id);
  }

  async #abort(run: OpenRun, reason: string): Promise<void> {
    const { channel, log, ledger } = this.#options;
    this.#book.dropRun(run.tally.id);
    log.error(
      { channel: channel.id, run: run.tally.id, reason },
      'a reconciliation was aborted; it repairs nothing',
    );
    await this.#end(
      run,
      run.tally.ended('aborted', { atMs: ledger.nowMs(), position: await this.#position(), reason }),
    );
  }

  async #end(run: OpenRun, ended: ReturnType<RunTally['ended']>): Promise<void> {
    const { channel, runs, findings, metrics, log } = this.#options;
    const { id, kind, state, rows, opened, resolved, byVerdict } = ended;
    if (this.#asked === run) this.#asked = undefined;
    if (this.#sweep === run) this.#sweep = undefined;
    // A cycle in which nothing happened is only of interest while it is the newest.
    if (kind === 'rolling') await this.#forgetQuiet();
    if (kind === 'rolling' && state === 'completed' && opened + resolved + ended.actions === 0)
      this.#quietId = id;
    await runs.save(ended);
    // Who publishes the channel now takes the request up again.
    if (run.request !== undefined && channel.publishing.isPublishing) await runs.ended(channel.id, id);
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

  /** Everything the channel lists, page by page: memory for one page and what differs, whatever the catalogue's size. */
  async #readAll(run: OpenRun): Promise<string | undefined> {
    const { channel } = this.#options;
    const { connector, map } = channel;
    const check = new BulkCheck();
    let unvalued: MappedListing[] = [];
    let pageStartedMs = performance.now();
    for await (const page of connector.readListings(null, this.#closing.signal)) {
      run.tally.add({ requests: 1, readMs: performance.now() - pageStartedMs, unjudged: page.parked.length });
      const flaw = check.page(page.listings);
      if (flaw !== undefined) return flaw;
      if (!channel.publishing.isPublishing) return 'the channel is published by another daemon now';
      unvalued.push(...(await this.#judgePage(run, page.listings)));
      const batchSize = connector.capabilities.readStockBatchSize;
      while (unvalued.length >= batchSize) {
        const reason = await this.#readBatch(run, unvalued.slice(0, batchSize));
        if (reason !== undefined) return reason;
        unvalued = unvalued.slice(batchSize);
      }
      pageStartedMs = performance.now();
    }
    const flaw = check.end(map.size);
    if (flaw !== undefined) return flaw;
    // What a complete reading does not show is asked for by name: a listing that is gone says so itself.
    const gone: MappedListing[] = [];
    for (const listing of map.listings()) {
      if (check.has(listing.ref.key) || listing.locations.length === 0) continue;
      if (isWritable(listing)) unvalued.push(listing);
      else if (listing.problems.includes('inactive')) gone.push(listing);
    }
    await this.#noteGone(run, gone);
    const batchSize = connector.capabilities.readStockBatchSize;
    for (let start = 0; start < unvalued.length; start += batchSize) {
      const reason = await this.#readBatch(run, unvalued.slice(start, start + batchSize), true);
      if (reason !== undefined) return reason;
    }
    run.readMs = performance.now() - run.startedMs;
    return undefined;
  }

  /** Two complete readings, the map's and this one, do not show them: those that sold from here before are told. */
  async #noteGone(run: OpenRun, gone: readonly MappedListing[]): Promise<void> {
    const { publishing } = this.#options.channel;
    for (let start = 0; start < gone.length; start += judgedAtOnce) {
      const some = gone.slice(start, start + judgedAtOnce);
      const { rows } = await publishing.views(some);
      const sold = new Set(rows.filter(({ state }) => state.base !== undefined).map((row) => row.listingId));
      for (const listing of some) {
        run.tally.count('inactive');
        if (sold.has(listing.listingId))
          await this.#stated(run, listing, { verdict: 'inactive', cause: 'listing-gone' });
      }
    }
  }

  /** Answers listings whose number the page did not have. */
  async #judgePage(run: OpenRun, listings: readonly PlatformListing[]): Promise<readonly MappedListing[]> {
    const { channel } = this.#options;
    const unvalued: MappedListing[] = [];
    const known: { readonly found: PlatformListing; readonly listing: MappedListing }[] = [];
    let isMapStale = false;
    for (const found of listings) {
      const listing = channel.map.listing(found.ref.key as ListingId);
      const problems = leftProblems(listing?.by, found.problems);
      if (listing === undefined || problems.includes('missing-sku') || problems.includes('duplicate-sku')) {
        run.tally.add({ rows: 1 });
        run.tally.count('unmapped');
        if (listing === undefined) isMapStale = true;
        else await this.#stated(run, listing, { verdict: 'unmapped', cause: 'sku-unknown' });
      } else if (found.problems.includes('untracked')) {
        run.tally.add({ rows: 1 });
        run.tally.count('untracked');
        await this.#stated(run, listing, { verdict: 'untracked', cause: 'not-tracked' });
      } else if (listing.locations.length === 0 || found.problems.includes('foreign-stock')) continue;
      else if (found.value === null || found.problems.includes('inactive')) unvalued.push(listing);
      else known.push({ found, listing });
    }
    if (isMapStale) channel.rediscover();
    for (let start = 0; start < known.length; start += judgedAtOnce) {
      const some = known.slice(start, start + judgedAtOnce);
      const views = await channel.publishing.views(some.map(({ listing }) => listing));
      const byId = new Map(views.rows.map((row) => [row.listingId, row]));
      const rows = some.flatMap(({ found, listing }): ObservedRow[] => {
        const view = byId.get(listing.listingId);
        if (view === undefined || found.value === null) return [];
        return [
          {
            listing,
            before: view,
            after: view,
            shown: found.value,
            isActive: true,
            readAtMs: found.readAtMs,
          },
        ];
      });
      await this.#lookAt(run, rows, `${views.position.epoch}-${views.position.seq}`);
    }
    return unvalued;
  }

  async #readSkus(run: OpenRun, skus: readonly string[]): Promise<string | undefined> {
    const { map, connector } = this.#options.channel;
    const listings = skus
      .flatMap((sku) => map.ofSku(sku as MappedListing['sku']))
      .filter((one) => one.locations.length > 0);
    const batchSize = connector.capabilities.readStockBatchSize;
    for (let start = 0; start < listings.length; start += batchSize) {
      const reason = await this.#readBatch(run, listings.slice(start, start + batchSize), true);
      if (reason !== undefined) return reason;
    }
    run.readMs = performance.now() - run.startedMs;
    return undefined;
  }

  /** `areNamed`: asked for because they may be gone, so that none of them being there is no empty answer. */
  async #readBatch(
    run: OpenRun,
    listings: readonly MappedListing[],
    areNamed = false,
  ): Promise<string | undefined> {
    const seen = await observe(this.#options.channel, listings, this.#closing.signal, areNamed);
    if (seen.kind === 'unusable') return seen.reason;
    run.tally.add({ requests: 1, readMs: seen.tookMs, unjudged: seen.unjudged });
    await this.#lookAt(run, seen.rows, seen.position);
    return undefined;
  }

  async #sweepOnce(nowMs: number): Promise<void> {
    const { channel, ledger } = this.#options;
    const { sweepShare } = channel.settings;
    if (sweepShare <= 0 || nowMs < this.#sweepAtMs) return;
    const batchSize = channel.connector.capabilities.readStockBatchSize;
    if (this.#sweep === undefined) {
      this.#order.beginCycle();
      if (this.#order.cycleRows === 0) {
        this.#sweepAtMs = nowMs + idleMs;
        return;
      }
      this.#sweep = await this.#begin('rolling');
    }
    const listings = this.#order.next(batchSize, nowMs);
    const startedMs = performance.now();
    if (listings.length > 0) {
      const run = this.#sweep;
      const reason = await this.#readBatch(run, listings);
      if (reason !== undefined) await this.#abort(run, reason);
    }
    // However long the platform (or its limiter) took: this much of the time belongs to the others.
    const tookMs = performance.now() - startedMs;
    this.#sweepAtMs = startedMs + Math.max(readGapMs, tookMs) / sweepShare;
    const run = this.#sweep;
    if (
      run !== undefined &&
      run.readMs === undefined &&
      this.#order.isCycleOver &&
      performance.now() - run.startedMs >= channel.settings.minCycleMs &&
      this.#book.countOf(run.tally.id) === 0
    ) {
      const atMs = ledger.nowMs();
      const cycleMs = performance.now() - run.startedMs;
      await this.#end(run, run.tally.ended('completed', { atMs, position: await this.#position(), cycleMs }));
    }
  }

  async #endRuns(): Promise<void> {
    const run = this.#asked;
    if (run?.readMs === undefined) return;
    const isLate = performance.now() - run.startedMs - run.readMs > maxSettlingMs;
    if (this.#book.countOf(run.tally.id) > 0 && !isLate) return;
    const { ledger } = this.#options;
    const reason = isLate ? 'some listings could not be decided in time' : '';
    const end = { atMs: ledger.nowMs(), position: await this.#position(), reason, cycleMs: run.readMs };
    await this.#end(run, run.tally.ended('completed', end));
  }

  /** First look at rows just read: what agrees is done with, the rest is watched. */
  async #lookAt(run: OpenRun, rows: readonly ObservedRow[], position: string): Promise<void> {
    const { channel, metrics } = this.#options;
    let pending: ReadonlySet<ListingId> | undefined;
    run.tally.add({ rows: rows.length });
    for (const row of rows) {
      const { listingId } = row.listing;
      let look = judgeRow(row, row.after, this.#context(row.listing, row.after, false));
      if (look.kind === 'unpublished') {
        pending ??= await this.#pendingNow();
        look = judgeRow(row, row.after, this.#context(row.listing, row.after, pending.has(listingId)));
      }
      const verdict = verdictOf(look);
      if (verdict === undefined) run.tally.add({ unjudged: 1 });
      else {
        run.tally.count(verdict);
        metrics.rows.inc({ channel: channel.id, verdict });
      }
      if (look.kind === 'agrees') {
        const open = this.desk.openOf(listingId);
        // A number is no sign of life of a listing that the platform no longer lists, or does not count.
        const isOver = open !== undefined && (aboutNumbers.has(open.verdict) || isWritable(row.listing));
        if (isOver && (await this.desk.agrees(listingId, row.shown, position)))
          run.tally.add({ resolved: 1 });
      } else if (look.kind === 'differs' || look.kind === 'unpublished' || look.kind === 'absent')
        this.#watch(run, row, look);
    }
  }

  #watch(run: OpenRun, row: ObservedRow, look: RowLook): void {
    const { channel } = this.#options;
    if (look.kind !== 'differs' && look.kind !== 'unpublished' && look.kind !== 'absent') return;
    // A listing that never sold from here and is inactive is only that.
    if (look.kind === 'absent' && row.before.state.base === undefined) return;
    if (this.#book.has(row.listing.listingId)) return;
    if (look.kind === 'absent') channel.rediscover();
    this.#book.put({
      runId: run.tally.id,
      isDryRun: run.tally.isDryRun,
      kind: look.kind,
      phase: 'grace',
      row,
      watch: undefined,
      dueAtMs: performance.now() + channel.settings.pushGraceMs,
      isLookedBack: false,
    });
  }

  /** Orders and writes that were on their way have arrived, or need to be asked for. */
  async #afterGrace(nowMs: number): Promise<void> {
    const due = this.#book.due('grace', nowMs, judgedAtOnce);
    if (due.length === 0) return;
    const late = await this.#lateViews(due);
    const pending = await this.#pendingNow();
    for (const entry of due) {
      const view = late.get(entry.row.listing.listingId);
      if (view === undefined) this.#drop(entry, 'unjudged');
      else {
        const look = this.#lookLate(entry, view, pending);
        if (look.kind === 'differs') this.#book.put({ ...entry, kind: 'differs', phase: 'pull' });
        else if (look.kind === 'unpublished' || look.kind === 'absent') await this.#count(entry, look, view);
        else this.#drop(entry, look.kind);
      }
    }
  }

  /** One walk of orders answers all that wait for one; the sweep goes on meanwhile. */
  #pull(): void {
    const waiting = this.#book.pulling();
    if (waiting.length === 0 || this.#pulling !== undefined) return;
    const { channel, log } = this.#options;
    this.#pulling = this.#pulled(waiting)
      .catch((error: unknown) => {
        log.warn({ channel: channel.id, err: error }, 'what a walk of orders explains was not looked at');
      })
      .finally(() => {
        this.#pulling = undefined;
        this.#alarm.ring();
      });
  }

  async #pulled(waiting: readonly WatchedListing[]): Promise<void> {
    const { channel, ledger } = this.#options;
    const { publishing, connector, settings } = channel;
    const isThird = waiting.some(({ watch }) => (watch?.reads ?? 0) >= 2);
    const mayLookBack =
      performance.now() - this.#lookedBackAtMs > lookBackEveryMs || settings.lookBackMs < 600_000;
    const isLookingBack = isThird && mayLookBack;
    if (isLookingBack) this.#lookedBackAtMs = performance.now();
    const newestReadMs = Math.max(...waiting.map(({ row }) => row.readAtMs));
    const neededMs = newestReadMs + settings.skewMs;
    // The walk must begin later than the read by more than an order may be missing from the index.
    const afterMs = Math.max(
      ledger.nowMs(),
      newestReadMs + settings.skewMs + connector.capabilities.orderIndexLagMs,
    );
    let walk = isLookingBack
      ? await publishing.pullSince(ledger.nowMs() - settings.lookBackMs)
      : await publishing.pull(afterMs);
    for (let again = 0; again < 3 && walk !== undefined && walk.upperBoundMs < neededMs; again++)
      walk = await publishing.pull(ledger.nowMs() + Math.min(neededMs - walk.upperBoundMs, 120_000));
    // Nothing was proven: it is read again, which asks for another walk.
    if (walk === undefined || walk.upperBoundMs < neededMs) {
      for (const entry of waiting)
        this.#book.put({ ...entry, phase: 'spacing', dueAtMs: performance.now() + this.#spacingMs });
      return;
    }
    const late = await this.#lateViews(waiting);
    const pending = await this.#pendingNow();
    for (const asked of waiting) {
      if (!this.#book.has(asked.row.listing.listingId)) continue;
      const entry = { ...asked, isLookedBack: asked.isLookedBack || isLookingBack };
      const view = late.get(entry.row.listing.listingId);
      if (view === undefined) this.#drop(entry, 'unjudged');
      else {
        const look = this.#lookLate(entry, view, pending);
        if (look.kind === 'differs') await this.#count(entry, look, view);
        else if (look.kind === 'unjudged') this.#drop(entry, 'unjudged');
        else if (entry.watch === undefined || isLookingBack) await this.#explainedByPull(entry, look, view);
        else this.#drop(entry, 'agrees');
      }
    }
  }

  /** Reads what is still unexplained once more, further from the last read than the lag. */
  async #readAgain(nowMs: number): Promise<void> {
    const { channel } = this.#options;
    const due = this.#book.due('spacing', nowMs, channel.connector.capabilities.readStockBatchSize);
    if (due.length === 0) return;
    const entries = new Map(due.map((entry) => [entry.row.listing.listingId, entry]));
    const seen = await observe(
      channel,
      due.map(({ row }) => row.listing),
      this.#closing.signal,
      due.some(({ kind }) => kind === 'absent'),
    );
    if (seen.kind === 'unusable') {
      // No evidence either way.
      for (const entry of due) this.#book.put({ ...entry, dueAtMs: nowMs + this.#spacingMs });
      return;
    }
    const pending = await this.#pendingNow();
    for (const row of seen.rows) {
      const entry = entries.get(row.listing.listingId);
      if (entry === undefined) continue;
      entries.delete(row.listing.listingId);
      const next = { ...entry, row };
      const look = this.#lookLate(next, row.after, pending);
      if (look.kind === 'differs') this.#book.put({ ...next, kind: 'differs', phase: 'pull' });
      else if (look.kind === 'unpublished' || look.kind === 'absent')
        await this.#count(next, look, row.after);
      else this.#drop(next, look.kind);
    }
    // Left the map, or changed under the reading.
    for (const entry of entries.values()) this.#drop(entry, 'unjudged');
  }

  /** One more read that nothing explains. */
  async #count(entry: WatchedListing, look: RowLook, view: ListingView): Promise<void> {
    if (look.kind !== 'differs' && look.kind !== 'unpublished' && look.kind !== 'absent') return;
    const difference = look.kind === 'absent' ? { lowest: 1, highest: 1 } : look.difference;
    // Another kind of difference is another difference.
    const before = entry.kind === look.kind ? entry.watch : undefined;
    const watched: Watched = watchDrift(before, difference, entry.row.readAtMs, this.#spacingMs);
    if (watched.kind === 'explained') return this.#drop(entry, 'agrees');
    if (watched.kind === 'drift') {
      this.#book.drop(entry.row.listing.listingId);
      await this.#drift(entry, look, watched.watch.difference, watched.watch.reads, view);
      return;
    }
    const next = { ...entry, kind: look.kind, watch: watched.watch, phase: 'spacing' as const };
    this.#book.put({ ...next, dueAtMs: performance.now() + this.#spacingMs + 5 });
  }

  async #drift(
    entry: WatchedListing,
    look: RowLook,
    difference: UnitRange,
    reads: number,
    view: ListingView,
  ): Promise<void> {
    const { listing } = entry.row;
    if (this.#isStillActing(listing.listingId)) return this.favour([listing.listingId]);
    const judgement =
      look.kind === 'absent'
        ? this.#judgeAbsent(listing, look.cause)
        : await this.#judge(listing, look.kind === 'unpublished' ? { lowest: 0, highest: 0 } : difference);
    const units = look.kind === 'absent' ? { lowest: 0, highest: 0 } : difference;
    const before = this.desk.openOf(listing.listingId);
    await this.inTurn(async () => {
      const finding = await this.#found(entry, look, judgement, units, reads, view);
      // Reported once.
      const isKnown = before?.state === 'open' && before.verdict === finding?.verdict;
      const isReport = this.#options.channel.settings.policy[judgement.verdict] === 'report';
      if (finding !== undefined && !(isKnown && isReport)) await this.#act(entry, finding);
    });
  }

  /** By now the map was read anew, and says why. */
  #judgeAbsent({ listingId }: MappedListing, cause: DriftCause): Judgement {
    const problems = this.#options.channel.map.listing(listingId)?.problems ?? [];
    return problems.includes('untracked')
      ? { verdict: 'untracked', cause: 'not-tracked' }
      : { verdict: 'inactive', cause };
  }

  /** What was asked of the mesh takes it reads and walks of its own: before that, the same difference is no new one. */
  #isStillActing(listingId: ListingId): boolean {
    const { channel, ledger } = this.#options;
    const open = this.desk.openOf(listingId);
    if (open?.state !== 'acted') return false;
    const { orderIndexLagMs, longestApplyMs } = channel.connector.capabilities;
    const meshMs =
      6 * (this.#spacingMs + orderIndexLagMs + channel.settings.skewMs) + Math.min(longestApplyMs, 600_000);
    return ledger.nowMs() - (open.steps.at(-1)?.atMs ?? 0) < meshMs;
  }

  async #judge(listing: MappedListing, difference: UnitRange): Promise<Judgement> {
    const { channel, journal, movements, ledger } = this.#options;
    const { listingId } = listing;
    const sinceMs = ledger.nowMs() - dayMs;
    const records = await journal.newest(
      (record) =>
        record.channel === channel.id &&
        record.listingId === listingId &&
        record.atMs >= sinceMs &&
        (record.outcome === 'confirmed' || record.outcome === 'accepted'),
      4,
      20_000,
    );
    const open = this.desk.openOf(listingId);
    // What was corrected and has not come right yet is no second writer's, unless a correction is known to have landed.
    const correctedAtMs =
      open?.steps.findLast(({ what }) => what === 're-publish')?.atMs ?? Number.POSITIVE_INFINITY;
    const hasLanded = records.some(
      ({ kind, from, to, atMs }) =>
        atMs >= correctedAtMs && (kind === 'repair' || kind === 'put' || to - from === -(open?.units ?? 0)),
    );
    const openCorrections = open === undefined ? undefined : hasLanded ? open.corrections : 0;
    return judgeDrift({
      difference,
      writes: records.toReversed().map(({ from, to }) => to - from),
      keptOnCancel: movements.keptOnCancel(channel.id, listingId, sinceMs),
      corrections: openCorrections ?? (await this.desk.correctionsBefore(listingId)),
    });
  }

  /** Orders that only our own question brought: the platform's notice of them was lost, or its search had left them out. */
  async #explainedByPull(entry: WatchedListing, look: RowLook, view: ListingView): Promise<void> {
    const { listing, before, after, shown, readAtMs } = entry.row;
    this.#book.drop(listing.listingId);
    if (shown === null) return;
    const context = this.#context(listing, after, true);
    const first = judgeRow({ listing, before, after, shown, isActive: true, readAtMs }, after, context);
    const difference = first.kind === 'differs' ? first.difference : { lowest: 0, highest: 0 };
    const reads = (entry.watch?.reads ?? 0) + 1;
    const finding = await this.#found(entry, look, judgeMissedOrder(difference), difference, reads, view);
    if (finding === undefined) return;
    const { policy } = this.#options.channel.settings;
    const rule = `missed-order: ${policy['missed-order']} (the walk that proved it brought the order)`;
    await this.desk.resolve({ ...finding, rule }, 'orders were pulled', shown, finding.position);
    this.#runOf(entry)?.tally.add({ resolved: 1, actions: 1 });
    this.#options.metrics.actions.inc({ channel: finding.channel, action: 'pull-orders' });
  }

  async #found(
    entry: WatchedListing,
    look: RowLook,
    judgement: Judgement,
    difference: UnitRange,
    reads: number,
    view: ListingView,
  ): Promise<Finding | undefined> {
    const { channel, log } = this.#options;
    const { row } = entry;
    const before = this.desk.openOf(row.listing.listingId);
    const finding = await this.desk.found({
      runId: entry.runId,
      listing: row.listing,
      judgement,
      odd: 'unclear',
      shown: row.shown,
      expected: 'expected' in look ? look.expected : { lowest: 0, highest: 0 },
      target: this.#target(row.listing, view) ?? null,
      difference,
      reads,
      readAtMs: row.readAtMs,
      position: await this.#position(),
    });
    if (finding === undefined) return undefined;
    const tally = this.#runOf(entry)?.tally;
    const first =
      entry.kind === 'differs'
        ? 'edited-on-channel'
        : entry.kind === 'absent'
          ? 'inactive'
          : 'lost-publication';
    tally?.recount(first, judgement.verdict);
    if (before === undefined) tally?.add({ opened: 1, driftUnits: Math.abs(finding.units) });
    log.warn(
      {
        channel: channel.id,
        sku: finding.sku,
        verdict: finding.verdict,
        cause: finding.cause,
        shown: finding.shown,
        target: finding.target,
        units: finding.units,
      },
      'drift found',
    );
    return finding;
  }

  async #act(entry: WatchedListing, finding: Finding): Promise<void> {
    // What waits for a person, or was frozen by one, is not touched again.
    if (finding.state === 'parked' || finding.state === 'frozen') return;
    const acted = await this.repair.byPolicy(finding, entry.row.listing, entry.isDryRun);
    await this.desk.save(acted);
    if (acted.state !== 'open') this.#runOf(entry)?.tally.add({ actions: 1 });
    if (acted.state === 'acted') this.favour([entry.row.listing.listingId]);
  }

  /** What the platform itself says of the listing needs no further reads. */
  async #stated(run: OpenRun, listing: MappedListing, judgement: Judgement): Promise<void> {
    const open = this.desk.openOf(listing.listingId);
    if (open?.verdict === judgement.verdict) return;
    const finding = await this.desk.found({
      runId: run.tally.id,
      listing,
      judgement,
      odd: 'unclear',
      shown: null,
      expected: { lowest: 0, highest: 0 },
      target: null,
      difference: { lowest: 0, highest: 0 },
      reads: 1,
      readAtMs: this.#options.ledger.nowMs(),
      position: await this.#position(),
    });
    if (finding === undefined) return;
    run.tally.add({ opened: 1 });
    await this.desk.save(await this.repair.byPolicy(finding, listing, run.tally.isDryRun));
  }

  async #noteEdited(listing: MappedListing, shows: number, target: number): Promise<void> {
    const { ledger, log, channel } = this.#options;
    const open = this.desk.openOf(listing.listingId);
    if (open?.state === 'parked' || open?.state === 'frozen') return;
    const view = await this.#view(listing);
    const units = view?.state.residue?.units ?? shows - target;
    const difference = { lowest: units, highest: units };
    const finding = await this.desk.found({
      runId: this.#sweep?.tally.id ?? '',
      listing,
      judgement: await this.#judge(listing, difference),
      odd: 'unclear',
      shown: shows,
      expected: { lowest: shows - units, highest: shows - units },
      target,
      difference,
      reads: view?.state.residue?.reads ?? 3,
      readAtMs: view?.state.residue?.readAtMs ?? ledger.nowMs(),
      position: await this.#position(),
    });
    if (finding === undefined) return;
    log.warn({ channel: channel.id, sku: listing.sku, shows, target }, 'drift proven by the publisher');
    await this.desk.save(await this.repair.byPolicy(finding, listing, false));
    this.favour([listing.listingId]);
  }

  #drop(entry: WatchedListing, verdict: Verdict | RowLook['kind']): void {
    this.#book.drop(entry.row.listing.listingId);
    const tally = this.#runOf(entry)?.tally;
    const first =
      entry.kind === 'differs'
        ? 'edited-on-channel'
        : entry.kind === 'absent'
          ? 'inactive'
          : 'lost-publication';
    tally?.recount(first, verdict === 'echo-pending' ? 'echo-pending' : 'agrees');
  }

  #runOf({ runId }: WatchedListing): OpenRun | undefined {
    if (this.#sweep?.tally.id === runId) return this.#sweep;
    return this.#asked?.tally.id === runId ? this.#asked : undefined;
  }

  #lookLate(entry: WatchedListing, view: ListingView, pending: ReadonlySet<ListingId>): RowLook {
    const { listing } = entry.row;
    return judgeRow(entry.row, view, this.#context(listing, view, pending.has(listing.listingId)));
  }

  #context(listing: MappedListing, view: ListingView, isPending: boolean): RowContext {
    const { channel } = this.#options;
    const { capabilities } = channel.connector;
    return {
      times: { readLagMs: capabilities.readLagMs, skewMs: channel.settings.skewMs },
      isFlooredAtZero: capabilities.writes === 'absolute',
      target: this.#target(listing, view),
      isPending:
        isPending ||
        channel.mode !== 'live' ||
        !channel.mayPublish() ||
        this.desk.isFrozen(listing.listingId),
    };
  }

  /** Undefined: nothing is published for it, or only together with others that stand for the same stock. */
  #target(listing: MappedListing, view: ListingView): number | undefined {
    const { channel } = this.#options;
    if (!isWritable(listing) || !channel.hasFigure(listing)) return undefined;
    if (channel.map.ofSku(listing.sku).length > 1) return undefined;
    return channel.publishing.targetOf(listing, view).units;
  }

  async #lateViews(entries: readonly WatchedListing[]): Promise<ReadonlyMap<ListingId, ListingView>> {
    const views = await this.#options.channel.publishing.views(entries.map(({ row }) => row.listing));
    return new Map(views.rows.map((row) => [row.listingId, row]));
  }

  async #view(listing: MappedListing): Promise<ListingView | undefined> {
    return (await this.#options.channel.publishing.views([listing])).rows[0];
  }

  async #pendingNow(): Promise<ReadonlySet<ListingId>> {
    const { pending, channel } = this.#options;
    return new Set((await pending.pending(channel.id, maxPending)).map(({ listingId }) => listingId));
  }

  async #position(): Promise<string> {
    const { position } = await this.#options.ledger.peek([]);
    return `${position.epoch}-${position.seq}`;
  }
}

function verdictOf(look: RowLook): Verdict | undefined {
  switch (look.kind) {
    case 'unjudged':
      return undefined;
    case 'agrees':
    case 'echo-pending':
      return look.kind;
    case 'differs':
      // Until it is decided.
      return 'edited-on-channel';
    case 'unpublished':
      return 'lost-publication';
    case 'absent':
      return 'inactive';
  }
}
