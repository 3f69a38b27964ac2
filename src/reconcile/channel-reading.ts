import type { PlatformListing } from '../connectors/connector.ts';
import type { ListingId } from '../domain/ids.ts';
import type { Verdict } from '../domain/verdict.ts';
import type { ListingsView } from '../ledger/contract.ts';
import { formatPosition } from '../ledger/position.ts';
import { isBarred } from '../mesh/foreign-stock.ts';
import { type MappedListing, isWritable, leftProblems } from '../mesh/sku-map.ts';
import { ahead } from '../mesh/ahead.ts';
import type { ChannelFindings } from './channel-findings.ts';
import type { OpenRun } from './channel-runs.ts';
import type { DriftWatcher } from './drift-watcher.ts';
import type { FindingsDesk } from './findings-desk.ts';
import type { RowLook } from './judge-row.ts';
import type { ListingLooks } from './listing-looks.ts';
import { BulkCheck, type ObservedRow, observe } from './observe.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import type { ReconcileMetrics } from './reconcile-metrics.ts';

export interface ChannelReadingOptions {
  readonly channel: ReconciledChannel;
  readonly desk: FindingsDesk;
  readonly looks: ListingLooks;
  readonly watcher: Pick<DriftWatcher, 'watch'>;
  readonly findings: Pick<ChannelFindings, 'stated'>;
  readonly metrics: ReconcileMetrics;
  readonly signal: AbortSignal;
}

const judgedAtOnce = 250;
const maxUnjudgedMs = 1_000;

interface KnownRow {
  readonly found: PlatformListing;
  readonly listing: MappedListing;
}

/** Their findings are over when the number agrees. */
const aboutNumbers: ReadonlySet<Verdict> = new Set(['lost-publication', 'missed-order', 'edited-on-channel']);

/**
 * Reads of one channel: page by page with memory for one page, or a batch by name. Rows that agree are done with, the
 * others go to the watcher. Each method answers why the reading cannot be trusted; undefined: it can.
 */
export class ChannelReading {
  readonly #options: ChannelReadingOptions;

  constructor(options: ChannelReadingOptions) {
    this.#options = options;
  }

  /** Everything the channel lists: memory for one page and what differs, whatever the catalogue's size. */
  async readAll(run: OpenRun): Promise<string | undefined> {
    const { channel, signal } = this.#options;
    const { connector, map } = channel;
    const check = new BulkCheck(map.size);
    let unvalued: MappedListing[] = [];
    const known: KnownRow[] = [];
    let judgedAtMs = performance.now();
    let pageStartedMs = performance.now();
    // One batch at a time, beside the reading of the next pages.
    let judging = Promise.resolve();
    try {
      for await (const page of ahead(connector.readListings(null, signal))) {
        const readMs = performance.now() - pageStartedMs;
        run.tally.add({ requests: 1, readMs, unjudged: page.parked.length });
        const flaw = check.page(page.listings);
        if (flaw !== undefined) return flaw;
        if (!channel.publishing.isPublishing) return 'the channel is published by another daemon now';
        unvalued.push(...(await this.#sortPage(run, page.listings, known)));
        // Small pages are judged together, while what the ledger says still belongs to their moment.
        if (known.length >= judgedAtOnce || performance.now() - judgedAtMs > maxUnjudgedMs) {
          await judging;
          judging = this.#judge(run, known.splice(0));
          // It is awaited before the next batch, or at the end.
          judging.catch(() => undefined);
          judgedAtMs = performance.now();
        }
        const batchSize = connector.capabilities.readStockBatchSize;
        while (unvalued.length >= batchSize) {
          const reason = await this.readBatch(run, unvalued.slice(0, batchSize));
          if (reason !== undefined) return reason;
          unvalued = unvalued.slice(batchSize);
        }
        pageStartedMs = performance.now();
      }
    } finally {
      // Whoever aborts the run finds nothing of it under way.
      await judging;
    }
    await this.#judge(run, known);
    const flaw = check.end(map.size);
    if (flaw !== undefined) return flaw;
    // What a complete reading does not show is asked for by name: a listing that is gone says so itself.
    const gone: MappedListing[] = [];
    for (const listing of map.listings()) {
      if (check.has(listing.listingId) || listing.locations.length === 0) continue;
      if (isWritable(listing)) unvalued.push(listing);
      else if (listing.problems.includes('inactive')) gone.push(listing);
    }
    await this.#noteGone(run, gone);
    return this.#readNamed(run, unvalued);
  }

  async readSkus(run: OpenRun, skus: readonly string[]): Promise<string | undefined> {
    const { map } = this.#options.channel;
    const listings = skus
      .flatMap((sku) => map.ofSku(sku as MappedListing['sku']))
      .filter((one) => one.locations.length > 0);
    return this.#readNamed(run, listings);
  }

  /** `areNamed`: asked for because they may be gone, so that none of them being there is no empty answer. */
  async readBatch(
    run: OpenRun,
    listings: readonly MappedListing[],
    areNamed = false,
  ): Promise<string | undefined> {
    const { channel, signal } = this.#options;
    const seen = await observe(channel, listings, signal, areNamed);
    if (seen.kind === 'unusable') return seen.reason;
    run.tally.add({ requests: 1, readMs: seen.tookMs, unjudged: seen.unjudged });
    await this.#lookAt(run, seen.rows, seen.position);
    return undefined;
  }

  async #readNamed(run: OpenRun, listings: readonly MappedListing[]): Promise<string | undefined> {
    const batchSize = this.#options.channel.connector.capabilities.readStockBatchSize;
    for (let start = 0; start < listings.length; start += batchSize) {
      const reason = await this.readBatch(run, listings.slice(start, start + batchSize), true);
      if (reason !== undefined) return reason;
    }
    run.readMs = performance.now() - run.startedMs;
    return undefined;
  }

  /** Two complete readings, the map's and this one, do not show them: those that sold from here before are told. */
  async #noteGone(run: OpenRun, gone: readonly MappedListing[]): Promise<void> {
    const { channel, findings } = this.#options;
    for (let start = 0; start < gone.length; start += judgedAtOnce) {
      const some = gone.slice(start, start + judgedAtOnce);
      const { rows } = await channel.publishing.views(some);
      const sold = new Set(rows.filter(({ state }) => state.base !== undefined).map((row) => row.listingId));
      for (const listing of some) {
        run.tally.count('inactive');
        if (sold.has(listing.listingId))
          await findings.stated(run, listing, { verdict: 'inactive', cause: 'listing-gone' });
      }
    }
  }

  /** Those with a number go to `known`; answers listings whose number the page did not have. */
  async #sortPage(
    run: OpenRun,
    listings: readonly PlatformListing[],
    known: KnownRow[],
  ): Promise<readonly MappedListing[]> {
    const { channel, findings } = this.#options;
    const unvalued: MappedListing[] = [];
    let isMapStale = false;
    for (const found of listings) {
      const listing = channel.map.listing(found.ref.key as ListingId);
      const problems = leftProblems(listing?.by, found.problems);
      if (listing === undefined || problems.includes('missing-sku') || problems.includes('duplicate-sku')) {
        run.tally.add({ rows: 1 });
        run.tally.count('unmapped');
        if (listing === undefined) isMapStale = true;
        else await findings.stated(run, listing, { verdict: 'unmapped', cause: 'sku-unknown' });
      } else if (found.problems.includes('untracked')) {
        run.tally.add({ rows: 1 });
        run.tally.count('untracked');
        await findings.stated(run, listing, { verdict: 'untracked', cause: 'not-tracked' });
      } else if (listing.locations.length === 0 || isBarred(found.problems)) continue;
      else if (found.value === null || found.problems.includes('inactive')) unvalued.push(listing);
      else known.push({ found, listing });
    }
    if (isMapStale) channel.rediscover();
    return unvalued;
  }

  async #judge(run: OpenRun, known: readonly KnownRow[]): Promise<void> {
    const { publishing } = this.#options.channel;
    for await (const { some, views, isCopy } of ahead(this.#looksAt(known))) {
      const doubtful = await this.#lookAt(run, rowsOf(some, views), formatPosition(views.position), isCopy);
      if (doubtful.size === 0) continue;
      const again = some.filter(({ listing }) => doubtful.has(listing.listingId));
      const certain = await publishing.views(again.map(({ listing }) => listing));
      await this.#lookAt(run, rowsOf(again, certain), formatPosition(certain.position));
    }
  }

  /** By the levels in memory where they are as new as the states: `isCopy`. */
  async *#looksAt(
    known: readonly KnownRow[],
  ): AsyncGenerator<{ some: readonly KnownRow[]; views: ListingsView; isCopy: boolean }> {
    const { publishing, copy } = this.#options.channel;
    for (let start = 0; start < known.length; start += judgedAtOnce) {
      const some = known.slice(start, start + judgedAtOnce);
      const listings = some.map(({ listing }) => listing);
      const quick = copy === undefined ? undefined : await publishing.viewsBy(copy, listings);
      yield { some, views: quick ?? (await publishing.views(listings)), isCopy: quick !== undefined };
    }
  }

  /**
   * First look at rows just read: what agrees is done with, the rest is watched. Of a copy only agreement is believed,
   * and not where a finding is open: answers what has to be judged by the ledger.
   */
  async #lookAt(
    run: OpenRun,
    rows: readonly ObservedRow[],
    position: string,
    isCopy = false,
  ): Promise<ReadonlySet<ListingId>> {
    const { desk, looks, watcher } = this.#options;
    const doubtful = new Set<ListingId>();
    let pending: ReadonlySet<ListingId> | undefined;
    let unjudged = 0;
    /** What nobody changes any more: rows under watch are counted before they are watched. */
    const quiet = { agrees: 0, 'echo-pending': 0 };
    for (const row of rows) {
      const { listingId } = row.listing;
      let look = looks.judge(row, row.after, false);
      if (isCopy && (look.kind !== 'agrees' || desk.openOf(listingId) !== undefined)) {
        doubtful.add(listingId);
        continue;
      }
      if (look.kind === 'unpublished') {
        pending ??= await looks.pendingNow();
        look = looks.judge(row, row.after, pending.has(listingId));
      }
      const verdict = verdictOf(look);
      if (verdict === undefined) unjudged++;
      else if (verdict === 'agrees' || verdict === 'echo-pending') quiet[verdict]++;
      else this.#count(run, verdict, 1);
      if (look.kind === 'agrees') {
        const open = desk.openOf(listingId);
        // A number is no sign of life of a listing that the platform no longer lists, or does not count.
        const isOver = open !== undefined && (aboutNumbers.has(open.verdict) || isWritable(row.listing));
        if (isOver && (await desk.agrees(listingId, row.shown, position))) run.tally.add({ resolved: 1 });
      } else if (look.kind === 'differs' || look.kind === 'unpublished' || look.kind === 'absent')
        watcher.watch(run, row, look);
    }
    run.tally.add({ rows: rows.length - doubtful.size, unjudged });
    if (quiet.agrees > 0) this.#count(run, 'agrees', quiet.agrees);
    if (quiet['echo-pending'] > 0) this.#count(run, 'echo-pending', quiet['echo-pending']);
    return doubtful;
  }

  #count(run: OpenRun, verdict: Verdict, rows: number): void {
    const { channel, metrics } = this.#options;
    run.tally.count(verdict, rows);
    metrics.rows.inc({ channel: channel.id, verdict }, rows);
  }
}

function rowsOf(known: readonly KnownRow[], views: ListingsView): readonly ObservedRow[] {
  const rows: ObservedRow[] = [];
  for (const [index, { found, listing }] of known.entries()) {
    const view = views.rows[index];
    const { value: shown, readAtMs } = found;
    if (view === undefined || shown === null) continue;
    rows.push({ listing, before: view, after: view, shown, isActive: true, readAtMs });
  }
  return rows;
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
