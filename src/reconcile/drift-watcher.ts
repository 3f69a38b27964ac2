import type { Logger } from 'pino';
import { type Watched, watchDrift } from '../domain/drift-watch.ts';
import type { ListingId } from '../domain/ids.ts';
import type { Ledger, ListingView } from '../ledger/contract.ts';
import type { ChannelFindings } from './channel-findings.ts';
import type { ChannelRuns, OpenRun } from './channel-runs.ts';
import type { RowLook } from './judge-row.ts';
import type { ListingLooks } from './listing-looks.ts';
import { type ObservedRow, observe } from './observe.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import { WatchBook, type WatchedListing } from './watch-book.ts';

export interface DriftWatcherOptions {
  readonly channel: ReconciledChannel;
  readonly runs: ChannelRuns;
  readonly looks: ListingLooks;
  readonly findings: Pick<ChannelFindings, 'drifted' | 'explainedByPull'>;
  readonly ledger: Pick<Ledger, 'nowMs'>;
  readonly log: Logger;
  readonly spacingMs: number;
  readonly signal: AbortSignal;
  /** A walk of orders has ended. */
  readonly onPulled: () => void;
}

const maxWatched = 10_000;
const watchedAtOnce = 250;
const maxInboxLagMs = 300_000;
const lookBackEveryMs = 3_600_000;

/**
 * The watch over one channel's listings, from a first odd read to its verdict.
 *
 *   grace --orders and writes on their way have arrived--> explained: dropped
 *   grace --still unexplained--> pull --a walk that began later brought the order--> missed order
 *   pull --the walk explains nothing--> spacing --read again--> pull ... --three reads bound one difference--> drift
 *   any --its run is aborted, the lease is lost--> dropped, nothing concluded
 */
export class DriftWatcher {
  readonly #options: DriftWatcherOptions;
  readonly #book = new WatchBook(maxWatched);
  readonly #deciding = new Map<string, number>();
  #pulling: Promise<void> | undefined;
  #lookedBackAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: DriftWatcherOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#book.size;
  }

  /** `performance.now()` at which the next listing is due. */
  get nextDueMs(): number {
    return this.#book.nextDueMs();
  }

  /** Listings of the run that are not decided yet, those included whose finding is being written at this moment. */
  countOf(runId: string): number {
    return this.#book.countOf(runId) + (this.#deciding.get(runId) ?? 0);
  }

  dropRun(runId: string): void {
    this.#book.dropRun(runId);
  }

  clear(): void {
    this.#book.clear();
  }

  async close(): Promise<void> {
    await this.#pulling;
  }

  watch(run: OpenRun, row: ObservedRow, look: RowLook): void {
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

  /** Whatever is due at this moment. */
  async step(nowMs: number): Promise<void> {
    await this.#afterGrace(nowMs);
    this.#pull();
    await this.#readAgain(nowMs);
  }

  /** Orders and writes that were on their way have arrived, or need to be asked for. */
  async #afterGrace(nowMs: number): Promise<void> {
    const { channel, looks } = this.#options;
    // Notices that arrived in time are not missed because we are slow.
    const lagMs = Math.min(channel.inboxLagMs?.() ?? 0, maxInboxLagMs);
    const due = this.#book.due('grace', nowMs - lagMs, watchedAtOnce);
    if (due.length === 0) return;
    const late = await this.#lateViews(due);
    const pending = await looks.pendingNow();
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
    const { channel, log, onPulled } = this.#options;
    this.#pulling = this.#pulled(waiting)
      .catch((error: unknown) => {
        log.warn({ channel: channel.id, err: error }, 'what a walk of orders explains was not looked at');
      })
      .finally(() => {
        this.#pulling = undefined;
        onPulled();
      });
  }

  async #pulled(waiting: readonly WatchedListing[]): Promise<void> {
    const { looks, findings, spacingMs } = this.#options;
    const isThird = waiting.some(({ watch }) => (watch?.reads ?? 0) >= 2);
    const isLookingBack = isThird && this.#mayLookBack();
    if (isLookingBack) this.#lookedBackAtMs = performance.now();
    // Nothing was proven: it is read again, which asks for another walk.
    if (!(await this.#walkSpeaksFor(waiting, isLookingBack))) {
      for (const entry of waiting)
        this.#book.put({ ...entry, phase: 'spacing', dueAtMs: performance.now() + spacingMs });
      return;
    }
    const late = await this.#lateViews(waiting);
    const pending = await looks.pendingNow();
    for (const asked of waiting) {
      if (!this.#book.has(asked.row.listing.listingId)) continue;
      const entry = { ...asked, isLookedBack: asked.isLookedBack || isLookingBack };
      const view = late.get(entry.row.listing.listingId);
      if (view === undefined) this.#drop(entry, 'unjudged');
      else {
        const look = this.#lookLate(entry, view, pending);
        if (look.kind === 'differs') await this.#count(entry, look, view);
        else if (look.kind === 'unjudged') this.#drop(entry, 'unjudged');
        else if (entry.watch === undefined || isLookingBack) {
          await this.#decided(entry, () => findings.explainedByPull(entry, look, view));
        } else this.#drop(entry, 'agrees');
      }
    }
  }

  #mayLookBack(): boolean {
    const { settings } = this.#options.channel;
    return performance.now() - this.#lookedBackAtMs > lookBackEveryMs || settings.lookBackMs < 600_000;
  }

  /** Whether a completed walk began later than the reads by more than an order may be missing from the index. */
  async #walkSpeaksFor(waiting: readonly WatchedListing[], isLookingBack: boolean): Promise<boolean> {
    const { channel, ledger } = this.#options;
    const { publishing, connector, settings } = channel;
    const newestReadMs = Math.max(...waiting.map(({ row }) => row.readAtMs));
    const neededMs = newestReadMs + settings.skewMs;
    const afterMs = Math.max(ledger.nowMs(), neededMs + connector.capabilities.orderIndexLagMs);
    let walk = isLookingBack
      ? await publishing.pullSince(ledger.nowMs() - settings.lookBackMs)
      : await publishing.pull(afterMs);
    for (let again = 0; again < 3 && walk !== undefined && walk.upperBoundMs < neededMs; again++)
      walk = await publishing.pull(ledger.nowMs() + Math.min(neededMs - walk.upperBoundMs, 120_000));
    return walk !== undefined && walk.upperBoundMs >= neededMs;
  }

  /** Reads what is still unexplained once more, further from the last read than the lag. */
  async #readAgain(nowMs: number): Promise<void> {
    const { channel, looks, signal, spacingMs } = this.#options;
    const due = this.#book.due('spacing', nowMs, channel.connector.capabilities.readStockBatchSize);
    if (due.length === 0) return;
    const entries = new Map(due.map((entry) => [entry.row.listing.listingId, entry]));
    const listings = due.map(({ row }) => row.listing);
    const seen = await observe(
      channel,
      listings,
      signal,
      due.some(({ kind }) => kind === 'absent'),
    );
    if (seen.kind === 'unusable') {
      // No evidence either way.
      for (const entry of due) this.#book.put({ ...entry, dueAtMs: nowMs + spacingMs });
      return;
    }
    const pending = await looks.pendingNow();
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
    const { findings, spacingMs } = this.#options;
    const difference = look.kind === 'absent' ? { lowest: 1, highest: 1 } : look.difference;
    // Another kind of difference is another difference.
    const before = entry.kind === look.kind ? entry.watch : undefined;
    const watched: Watched = watchDrift(before, difference, entry.row.readAtMs, spacingMs);
    if (watched.kind === 'explained') return this.#drop(entry, 'agrees');
    if (watched.kind === 'drift') {
      const { difference: units, reads } = watched.watch;
      return this.#decided(entry, () => findings.drifted(entry, look, units, reads, view));
    }
    const next = { ...entry, kind: look.kind, watch: watched.watch, phase: 'spacing' as const };
    this.#book.put({ ...next, dueAtMs: performance.now() + spacingMs + 5 });
  }

  /** Out of the book, and the run waits for it all the same: it ends with what it found. */
  async #decided({ row, runId }: WatchedListing, decide: () => Promise<void>): Promise<void> {
    this.#deciding.set(runId, (this.#deciding.get(runId) ?? 0) + 1);
    this.#book.drop(row.listing.listingId);
    try {
      await decide();
    } finally {
      const left = (this.#deciding.get(runId) ?? 1) - 1;
      if (left > 0) this.#deciding.set(runId, left);
      else this.#deciding.delete(runId);
    }
  }

  #drop(entry: WatchedListing, verdict: RowLook['kind']): void {
    this.#book.drop(entry.row.listing.listingId);
    this.#options.runs.recount(entry, verdict === 'echo-pending' ? 'echo-pending' : 'agrees');
  }

  #lookLate(entry: WatchedListing, view: ListingView, pending: ReadonlySet<ListingId>): RowLook {
    return this.#options.looks.judge(entry.row, view, pending.has(entry.row.listing.listingId));
  }

  #lateViews(entries: readonly WatchedListing[]): Promise<ReadonlyMap<ListingId, ListingView>> {
    return this.#options.looks.views(entries.map(({ row }) => row.listing));
  }
}
