import type { Logger } from 'pino';
import type { Connector, ListingProblem, ParkedRow, PlatformListing } from '../connectors/connector.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { MeshState } from '../ledger/contract.ts';
import { ahead } from './ahead.ts';
import { Alarm, jittered } from './alarm.ts';
import type { ForeignStock } from './foreign-stock.ts';
import { allParked, parkedEntry, parkedRowId } from './parked-rows.ts';
import { type LearnResult, type MappedListing, type SkuMap, leftProblems, untied } from './sku-map.ts';
import type { SkuMapStore } from './sku-map-store.ts';

export interface DiscoverySettings {
  /** A hint is answered after this: hints come in swarms. */
  readonly hintDelayMs: number;
  /** Least rest between two readings; more when a reading takes long. */
  readonly minRestMs: number;
  readonly retryMs: number;
  readonly maxRetryMs: number;
}

export const defaultDiscoverySettings: DiscoverySettings = {
  hintDelayMs: 500,
  minRestMs: 5_000,
  retryMs: 1_000,
  maxRetryMs: 60_000,
};

export interface DiscoveryOptions {
  readonly channel: ChannelId;
  readonly connector: Pick<Connector, 'readListings'>;
  readonly map: SkuMap;
  readonly store: SkuMapStore;
  readonly mesh: Pick<MeshState, 'park' | 'unpark' | 'parked'>;
  /** Takes the numbers of listings whose stock is the platform's own. */
  readonly foreign?: ForeignStock | undefined;
  readonly log: Logger;
  /** A page was learnt: new SKUs, changed listings. Must not throw. */
  readonly onLearned: (learned: LearnResult) => void;
  /** A whole reading is complete. */
  readonly onComplete: (listings: number) => void;
  readonly onFailed: (error: unknown) => void;
  readonly settings?: Partial<DiscoverySettings> | undefined;
}

/** Problems only a person can solve; the others (untracked, inactive) are often meant. */
const forPeople: ReadonlySet<ListingProblem> = new Set([
  'duplicate-sku',
  'missing-sku',
  'bundle-parent',
  'beside-foreign-stock',
]);

/**
 * Keeps the listing map of a channel true to the platform.
 *
 *   resting --asked for, or a hint--> reading --last page--> resting
 *   reading --platform fails--> resting, longer each time, then reading again
 *
 * Pages count as they come. Only a complete reading may say that a listing is gone, and not when it suddenly shows less
 * than half of what was known: an empty answer is not an empty shop.
 */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #settings: DiscoverySettings;
  readonly #alarm = new Alarm();
  readonly #closing = new AbortController();
  #dueAtMs: number | undefined;
  #notBeforeMs = 0;
  #failures = 0;
  #loop: Promise<void> | undefined;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#settings = { ...defaultDiscoverySettings, ...options.settings };
  }

  start(): void {
    this.#dueAtMs = performance.now();
    this.#loop ??= this.#run();
  }

  /** The map is, or may be, out of date. */
  hint(): void {
    this.#dueAtMs ??= performance.now() + this.#settings.hintDelayMs;
    this.#alarm.ring();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#alarm.ring();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const waitMs =
        Math.max(this.#dueAtMs ?? Number.POSITIVE_INFINITY, this.#notBeforeMs) - performance.now();
      if (waitMs > 0) await this.#alarm.sleep(waitMs);
      else await this.#readOnce();
    }
  }

  async #readOnce(): Promise<void> {
    const { log, channel, onFailed } = this.#options;
    this.#dueAtMs = undefined;
    const startedMs = performance.now();
    try {
      await this.#read();
      this.#failures = 0;
      const tookMs = performance.now() - startedMs;
      this.#notBeforeMs = performance.now() + Math.max(this.#settings.minRestMs, tookMs);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#failures++;
      const backOffMs = this.#settings.retryMs * 2 ** Math.min(this.#failures - 1, 10);
      this.#notBeforeMs = performance.now() + jittered(Math.min(backOffMs, this.#settings.maxRetryMs));
      this.#dueAtMs = this.#notBeforeMs;
      log.warn({ channel, err: error, failures: this.#failures }, 'the listings could not be read');
      onFailed(error);
    }
  }

  /** Judges again what was read before: other channels told something, or a person decided. */
  async relearn(which: 'open' | 'all'): Promise<LearnResult> {
    const { channel, map, mesh, onLearned } = this.#options;
    const learned = map.relearn(which);
    await this.#save(learned);
    for (const { ref } of learned.changed)
      await mesh.unpark(parkedRowId(channel, { what: 'listing', reference: ref.key }));
    await this.#park([], learned, [], new Set());
    onLearned(learned);
    return learned;
  }

  async #save({ changed, unmapped }: LearnResult): Promise<void> {
    await this.#options.store.save([...changed, ...unmapped.map(untied)]);
  }

  async #read(): Promise<void> {
    const { channel, connector, map, store, log, onLearned, onComplete } = this.#options;
    const seen = new Set<string>();
    const parked = new Set<string>();
    for await (const page of ahead(connector.readListings(null, this.#closing.signal))) {
      const learned = map.learn(page.listings);
      this.#noteForeign(page.listings);
      // The baseline of a listing is durable before any of its orders is judged by it.
      await this.#save(learned);
      for (const listing of page.listings) seen.add(listing.ref.key);
      await this.#park(page.listings, learned, page.parked, parked);
      onLearned(learned);
    }
    const gone = this.#missing(seen);
    await store.save(gone);
    await this.#release(parked);
    if (gone.length > 0) onLearned({ newSkus: [], changed: gone, unmapped: [] });
    log.info({ channel, listings: map.size, seen: seen.size, gone: gone.length }, 'listings read');
    onComplete(map.size);
  }

  #noteForeign(listings: readonly PlatformListing[]): void {
    const { channel, map, foreign } = this.#options;
    for (const { ref, value, readAtMs } of listings) {
      const mapped =
        value === null ? undefined : map.ofItem(ref.itemId).find((one) => one.ref.key === ref.key);
      if (mapped !== undefined && value !== null) foreign?.note(channel, mapped, value, readAtMs);
    }
  }

  #missing(seen: ReadonlySet<string>): readonly MappedListing[] {
    const { map, log, channel } = this.#options;
    if (seen.size * 2 < map.size) {
      log.error(
        { channel, seen: seen.size, known: map.size },
        'far fewer listings than known: none is taken for gone',
      );
      return [];
    }
    return map.markMissing(seen);
  }

  async #park(
    listings: readonly PlatformListing[],
    learned: LearnResult,
    unreadable: readonly ParkedRow[],
    parked: Set<string>,
  ): Promise<void> {
    const { channel, mesh } = this.#options;
    const rows: ParkedRow[] = [...unreadable];
    for (const { ref, reason } of learned.unmapped) rows.push(parkedListing(ref.key, reason, ''));
    for (const listing of listings) {
      const by = this.#options.map.listing(listing.ref.key as ListingId)?.by;
      const problems = leftProblems(by, listing.problems).filter((problem) => forPeople.has(problem));
      if (problems.length > 0) rows.push(parkedListing(listing.ref.key, problems.join(', '), listing.sku));
    }
    for (const row of rows) {
      parked.add(parkedRowId(channel, row));
      await mesh.park(parkedEntry(channel, row));
    }
  }

  /** What this reading no longer complains about. */
  async #release(parked: ReadonlySet<string>): Promise<void> {
    const { channel, mesh } = this.#options;
    const over: string[] = [];
    for await (const entry of allParked(mesh)) {
      if (entry.channel === channel && entry.what === 'listing' && !parked.has(entry.id)) over.push(entry.id);
    }
    for (const id of over) await mesh.unpark(id);
  }
}

function parkedListing(key: string, reason: string, sku: string): ParkedRow {
  return { what: 'listing', reference: key, reason, content: JSON.stringify({ listing: key, sku }) };
}
