import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Connector, StockRead, StockRow } from '../connectors/connector.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import type { ListingChange, ListingView, PublisherLedger } from '../ledger/contract.ts';
import { Alarm, jittered } from './alarm.ts';
import type { Breaker } from './breaker.ts';
import type { LeaseTerm } from './channel-lease.ts';
import type { CompletedWalk, OrderPoll } from './order-poll.ts';
import type { PublishRules } from './publish-rules.ts';
import type { MappedListing } from './sku-map.ts';

export interface BaseBuilderSettings {
  /** Least time between two read requests: the channel's read budget. */
  readonly readGapMs: number;
  /** A doorbell is answered this long after its first ring: our own writes and sales ring it too. */
  readonly doorbellDelayMs: number;
  /** A read that overlapped a write is taken again after this, longer each time. */
  readonly readAgainMs: number;
  readonly maxReadAgainMs: number;
  /** Longest time between two reads of a listing that is asked for again and again. */
  readonly maxSpacingMs: number;
  readonly maxWaiting: number;
  /** Rest between two pages of the sweep at the beginning of a term. */
  readonly sweepGapMs: number;
}

export const defaultBaseBuilderSettings: BaseBuilderSettings = {
  readGapMs: 200,
  doorbellDelayMs: 2_000,
  readAgainMs: 50,
  maxReadAgainMs: 10_000,
  maxSpacingMs: 2_000,
  maxWaiting: 1_000_000,
  sweepGapMs: 20,
};

export interface BaseBuilderPorts {
  /** Something about the listing's base changed: it is to be looked at. */
  ready(listingId: ListingId, seq: number): void;
  /** Nothing changed: only what was put off for an answer goes on. */
  resume(listingId: ListingId): void;
  /** The base is about to become settled, and nobody relies on it yet: the moment for an opening figure. May throw. */
  settling(listing: MappedListing, next: ListingState): Promise<void>;
  /** The platform does not know the listing, or shows it where nothing is sold. */
  unreadable(listing: MappedListing, reason: string): void;
}

export interface BaseBuilderOptions {
  readonly channel: ChannelId;
  readonly connector: Connector;
  readonly listing: (listingId: ListingId) => MappedListing | undefined;
  readonly listings: () => Iterable<MappedListing>;
  readonly ledger: PublisherLedger;
  readonly rules: PublishRules;
  readonly poll: Pick<OrderPoll, 'pull' | 'onWalk'>;
  readonly breaker: Breaker;
  readonly log: Logger;
  /** Ledger clock. */
  readonly nowMs: () => number;
  readonly ports: BaseBuilderPorts;
  readonly settings?: Partial<BaseBuilderSettings> | undefined;
}

const settlingAtOnce = 32;

interface WaitingRead {
  /** Ledger clock. */
  readonly dueAtMs: number;
  readonly times: number;
}

/**
 * What one channel's listings show, as far as it can be known: reads, and the pulls of orders that make them proof.
 *
 *   asked (no base, suspect, difference to confirm, doorbell) --due, budget--> read
 *   read --write open or claimed meanwhile--> discarded, asked again later
 *   read --agrees--> nothing stored          --new base, difference, drop--> stored under the version it was judged by
 *   stored, needs orders --walk that began late enough, all its orders applied--> base settled / difference vouched for
 *   any stored change --> `ready`: the publisher looks at the listing
 *
 * A read never moves the ledger on a platform with deltas; on one with plain numbers an unexplained drop is provisioned
 * in the same call that stores it. What waits here is in memory only: the listings' marks bring it back.
 */
export class BaseBuilder {
  readonly #options: BaseBuilderOptions;
  readonly #settings: BaseBuilderSettings;
  readonly #alarm = new Alarm();
  readonly #reads = new Map<ListingId, WaitingRead>();
  /** Listing -> ledger clock after which a walk must begin. */
  readonly #pulls = new Map<ListingId, number>();
  readonly #recent = new Map<ListingId, { readonly atMs: number; readonly times: number }>();
  readonly #walks: CompletedWalk[] = [];
  #isAskingFor: number | undefined;

  constructor(options: BaseBuilderOptions) {
    this.#options = options;
    this.#settings = { ...defaultBaseBuilderSettings, ...options.settings };
  }

  get waiting(): number {
    return this.#reads.size + this.#pulls.size;
  }

  needsRead(listingId: ListingId, notBeforeMs: number): void {
    this.#askRead(listingId, { dueAtMs: Math.max(notBeforeMs, this.#spacedMs(listingId)), times: 0 });
  }

  needsPull(listingId: ListingId, afterMs: number): void {
    if (this.#pulls.size >= this.#settings.maxWaiting) return;
    const known = this.#pulls.get(listingId);
    if (known !== undefined && known >= afterMs) return;
    this.#pulls.set(listingId, afterMs);
    this.#askPull();
  }

  /** The platform says that these levels changed: read, do not believe. */
  doorbell(listingIds: readonly ListingId[]): void {
    const dueAtMs = this.#options.nowMs() + this.#settings.doorbellDelayMs;
    for (const listingId of listingIds) this.#askRead(listingId, { dueAtMs, times: 0 });
  }

  async run(term: LeaseTerm): Promise<void> {
    const onEnd = (): void => this.#alarm.ring();
    term.ended.addEventListener('abort', onEnd);
    const stopListening = this.#options.poll.onWalk((walk) => {
      this.#walks.push(walk);
      this.#alarm.ring();
    });
    let failures = 0;
    const sweeping = this.#sweep(term);
    try {
      while (!term.ended.aborted) {
        try {
          for (const walk of this.#walks.splice(0)) await this.#pulled(term, walk);
          const readAny = await this.#readDue(term);
          failures = 0;
          if (readAny) await this.#rest(this.#settings.readGapMs, term);
          else await this.#alarm.sleep(this.#sleepMs());
        } catch (error) {
          failures++;
          const waitMs = jittered(Math.min(100 * 2 ** Math.min(failures, 12), this.#settings.maxReadAgainMs));
          this.#options.log.warn(
            { channel: this.#options.channel, err: error, waitMs },
            'reading stock failed',
          );
          await this.#rest(waitMs, term);
        }
      }
    } finally {
      stopListening();
      term.ended.removeEventListener('abort', onEnd);
      await sweeping;
      this.#walks.length = 0;
      this.#reads.clear();
      this.#pulls.clear();
    }
  }

  /**
   * Listings without a settled base are looked at once per term: a mark can be lost between the moment a listing enters
   * the map and the moment it is marked, and then nothing but a sale would ever bring it up again.
   */
  async #sweep(term: LeaseTerm): Promise<void> {
    const pageSize = 250;
    let page: MappedListing[] = [];
    const look = async (): Promise<void> => {
      for (const { listingId, state } of (await this.#views(page)).values()) {
        const isKnown = state.base?.settled === true && !state.suspect && state.residue === undefined;
        if (!isKnown) this.#options.ports.ready(listingId, 0);
      }
      page = [];
      await delay(this.#settings.sweepGapMs, undefined, { signal: term.ended });
    };
    try {
      for (const mapped of this.#options.listings()) {
        page.push(mapped);
        if (page.length >= pageSize) await look();
        if (term.ended.aborted) return;
      }
      if (page.length > 0) await look();
    } catch (error) {
      if (term.ended.aborted) return;
      this.#options.log.warn(
        { channel: this.#options.channel, err: error },
        'the sweep of listings broke off',
      );
    }
  }

  #askRead(listingId: ListingId, asked: WaitingRead): void {
    const known = this.#reads.get(listingId);
    if (known !== undefined && known.dueAtMs <= asked.dueAtMs) return;
    if (known === undefined && this.#reads.size >= this.#settings.maxWaiting) return;
    this.#reads.set(listingId, asked);
    this.#alarm.ring();
  }

  /** A listing that sells all the time may leave every read undecided: the next one of it waits longer each time. */
  #spacedMs(listingId: ListingId): number {
    const read = this.#recent.get(listingId);
    if (read === undefined) return 0;
    return read.atMs + Math.min(this.#backOffMs(read.times), this.#settings.maxSpacingMs);
  }

  #noteRead(listingId: ListingId): void {
    const { maxSpacingMs, maxWaiting } = this.#settings;
    const nowMs = this.#options.nowMs();
    const known = this.#recent.get(listingId);
    const isRecent = known !== undefined && nowMs - known.atMs < maxSpacingMs * 2;
    this.#recent.delete(listingId);
    this.#recent.set(listingId, { atMs: nowMs, times: isRecent ? known.times + 1 : 0 });
    // Insertion order is reading order: the longest unread are forgotten first.
    for (const [oldest, { atMs }] of this.#recent) {
      if (this.#recent.size <= maxWaiting && nowMs - atMs < maxSpacingMs * 2) break;
      this.#recent.delete(oldest);
    }
  }

  #backOffMs(times: number): number {
    return Math.min(this.#settings.readAgainMs * 2 ** Math.min(times, 20), this.#settings.maxReadAgainMs);
  }

  /** One pull at a time is asked for: the one that answers the listing that has waited for the earliest moment. */
  #askPull(): void {
    if (this.#pulls.size === 0) return;
    const afterMs = Math.min(...firstValues(this.#pulls, 1_000));
    if (this.#isAskingFor !== undefined && this.#isAskingFor <= afterMs) return;
    this.#isAskingFor = afterMs;
    void this.#options.poll.pull(afterMs).then((walk) => {
      if (this.#isAskingFor === afterMs) this.#isAskingFor = undefined;
      // The walk itself arrives through `onWalk`; a poll that gave up is asked again when something else needs it.
      return walk === undefined ? undefined : this.#alarm.ring();
    });
  }

  async #readDue(term: LeaseTerm): Promise<boolean> {
    const { connector, listing, breaker, nowMs } = this.#options;
    const dueMs = nowMs();
    const batch: { mapped: MappedListing; times: number }[] = [];
    for (const [listingId, { dueAtMs, times }] of this.#reads) {
      if (batch.length >= connector.capabilities.readStockBatchSize) break;
      if (dueAtMs > dueMs) continue;
      this.#reads.delete(listingId);
      const mapped = listing(listingId);
      if (mapped !== undefined) batch.push({ mapped, times });
    }
    if (batch.length === 0) return false;
    const admission = breaker.admit();
    if (admission.kind === 'refused') {
      this.#again(batch, admission.retryInMs);
      return false;
    }
    try {
      await this.#readBatch(term, batch, admission.done);
    } catch (error) {
      this.#again(batch, this.#settings.readAgainMs);
      throw error;
    } finally {
      admission.done('ok');
    }
    return true;
  }

  async #readBatch(
    term: LeaseTerm,
    asked: readonly { readonly mapped: MappedListing; readonly times: number }[],
    done: (outcome: 'ok' | 'failed') => void,
  ): Promise<void> {
    const { connector, rules, ports } = this.#options;
    const before = await this.#views(asked.map(({ mapped }) => mapped));
    const isUseless = (listingId: ListingId): boolean =>
      rules.kind === 'delta' && (before.get(listingId)?.state.openWrites.length ?? 0) > 0;
    const batch = asked.filter(({ mapped }) => !isUseless(mapped.listingId));
    this.#again(asked.filter(({ mapped }) => isUseless(mapped.listingId)));
    if (batch.length === 0) return;

    const limit = AbortSignal.timeout(connector.capabilities.requestTimeoutMs * 2);
    const refs = batch.map(({ mapped }) => mapped.ref);
    let read: StockRead;
    try {
      read = await connector.readStock(refs, AbortSignal.any([term.ended, limit]));
    } catch (error) {
      done(term.ended.aborted ? 'ok' : 'failed');
      throw error;
    }
    done('ok');
    const rows = new Map(read.rows.map((row) => [row.key, row]));
    const after = await this.#views(batch.map(({ mapped }) => mapped));
    const changes: ListingChange[] = [];
    for (const { mapped, times } of batch) {
      this.#noteRead(mapped.listingId);
      const row = rows.get(mapped.ref.key);
      const view = after.get(mapped.listingId);
      if (row === undefined || !row.isActive) {
        ports.unreadable(mapped, row === undefined ? 'the platform does not know it' : 'it is not active');
        continue;
      }
      // Claimed or settled while the read was on its way: which side of it the number is on cannot be told.
      if (view === undefined || view.state.version !== before.get(mapped.listingId)?.state.version) {
        this.#again([{ mapped, times }]);
        continue;
      }
      const change = this.#judge(mapped, view, row, times);
      if (change !== undefined) changes.push(change);
    }
    await this.#store(term, changes);
  }

  #judge(mapped: MappedListing, view: ListingView, row: StockRow, times: number): ListingChange | undefined {
    const { rules, nowMs, ports } = this.#options;
    const { listingId, state } = view;
    const reading = rules.read(state, { value: row.value, startedAtMs: row.readAtMs }, nowMs());
    if (reading.kind === 'discarded') {
      if (reading.readAgainMs === undefined) this.#again([{ mapped, times }]);
      else this.#askRead(listingId, { dueAtMs: reading.readAgainMs, times: times + 1 });
      return undefined;
    }
    if (isSameKnowledge(reading.next, state)) {
      // Nothing learnt (an undecidable number), or nothing new: who waits for it looks again, and asks again if need be.
      ports.resume(listingId);
      return undefined;
    }
    const location = mapped.locations[0];
    const isDrop = reading.provisionUnits > 0 && location !== undefined;
    return {
      listingId,
      expectedVersion: state.version,
      expectedTaken: state.taken,
      next: reading.next,
      provision: isDrop
        ? { units: reading.provisionUnits, sku: mapped.sku, location, cause: 'drop' }
        : undefined,
      markPending: true,
    };
  }

  /** The orders of a walk are applied: what they vouch for is stored. */
  async #pulled(term: LeaseTerm, walk: CompletedWalk): Promise<void> {
    const { listing } = this.#options;
    const answered: MappedListing[] = [];
    for (const [listingId, afterMs] of this.#pulls) {
      if (afterMs >= walk.beganAtMs) continue;
      this.#pulls.delete(listingId);
      const mapped = listing(listingId);
      if (mapped !== undefined) answered.push(mapped);
    }
    this.#askPull();
    const batchSize = this.#options.connector.capabilities.readStockBatchSize;
    for (let start = 0; start < answered.length; start += batchSize) {
      try {
        await this.#vouch(term, walk, answered.slice(start, start + batchSize));
      } catch (error) {
        for (const { listingId } of answered.slice(start)) this.needsPull(listingId, walk.beganAtMs - 1);
        throw error;
      }
    }
  }

  async #vouch(term: LeaseTerm, walk: CompletedWalk, listings: readonly MappedListing[]): Promise<void> {
    const { rules, ports } = this.#options;
    const views = await this.#views(listings);
    let changes: ListingChange[] = [];
    let settling: { readonly mapped: MappedListing; readonly next: ListingState }[] = [];
    const flush = async (): Promise<void> => {
      for (let start = 0; start < settling.length; start += settlingAtOnce) {
        const some = settling.slice(start, start + settlingAtOnce);
        await Promise.all(some.map(({ mapped, next }) => ports.settling(mapped, next)));
      }
      await this.#store(term, changes);
      settling = [];
      changes = [];
    };
    for (const mapped of listings) {
      const view = views.get(mapped.listingId);
      if (view === undefined) continue;
      const { state } = view;
      const { next, editedUnits } = rules.pulled(state, walk);
      const awaitedMs = rules.pullAwaitedMs(next);
      if (awaitedMs !== undefined) this.needsPull(mapped.listingId, awaitedMs);
      if (isSameKnowledge(next, state)) {
        ports.resume(mapped.listingId);
        continue;
      }
      if (next.base?.settled === true && state.base?.settled !== true) {
        // The opening figure of a SKU at several places is their sum: the place before must be stored as settled.
        if (settling.some((other) => other.mapped.sku === mapped.sku)) await flush();
        settling.push({ mapped, next });
      }
      const location = mapped.locations[0];
      const isEdited = editedUnits > 0 && location !== undefined;
      changes.push({
        listingId: mapped.listingId,
        expectedVersion: state.version,
        expectedTaken: state.taken,
        next,
        provision: isEdited ? { units: -editedUnits, sku: mapped.sku, location, cause: 'edited' } : undefined,
        markPending: true,
      });
    }
    await flush();
  }

  /** Rows that moved meanwhile are judged anew: the publisher looks at them and asks for what is still missing. */
  async #store(term: LeaseTerm, changes: readonly ListingChange[]): Promise<void> {
    const { channel, ledger, ports } = this.#options;
    let left = changes;
    while (left.length > 0) {
      const result = await ledger.settle(channel, term.token, { changes: left, closeWrites: [] });
      if (result.kind === 'suspected') return;
      const moved = new Set(result.kind === 'conflict' ? result.listings : []);
      if (result.kind === 'conflict' && moved.size > 0) {
        for (const listingId of moved) ports.resume(listingId);
        left = left.filter(({ listingId }) => !moved.has(listingId));
        continue;
      }
      const seq = result.kind === 'settled' ? result.seq : 0;
      for (const { listingId, next } of left) {
        const awaitedMs = this.#options.rules.pullAwaitedMs(next);
        if (awaitedMs !== undefined) this.needsPull(listingId, awaitedMs);
        ports.ready(listingId, seq);
      }
      return;
    }
  }

  async #views(listings: readonly MappedListing[]): Promise<ReadonlyMap<ListingId, ListingView>> {
    const { channel, ledger } = this.#options;
    const { rows } = await ledger.readListings(
      channel,
      listings.map(({ listingId, sku }) => ({ listingId, sku })),
    );
    return new Map(rows.map((row) => [row.listingId, row]));
  }

  #again(rows: readonly { readonly mapped: MappedListing; readonly times: number }[], leastMs = 0): void {
    for (const { mapped, times } of rows) {
      const waitMs = jittered(this.#backOffMs(times));
      const dueAtMs = this.#options.nowMs() + Math.max(leastMs, waitMs);
      this.#askRead(mapped.listingId, { dueAtMs, times: times + 1 });
    }
  }

  #sleepMs(): number {
    const dueAtMs = Math.min(...firstValues(this.#reads, 1_000).map((read) => read.dueAtMs));
    return Math.min(1_000, Math.max(1, dueAtMs - this.#options.nowMs()));
  }

  /** Not cut short by new wishes: it is the budget. */
  async #rest(ms: number, term: LeaseTerm): Promise<void> {
    const untilMs = performance.now() + ms;
    while (!term.ended.aborted && performance.now() < untilMs && this.#walks.length === 0) {
      await this.#alarm.sleep(untilMs - performance.now());
    }
  }
}

function isSameKnowledge(a: ListingState, b: ListingState): boolean {
  return (
    a === b ||
    (isSameBase(a.base, b.base) &&
      a.suspect === b.suspect &&
      a.suspectAtMs === b.suspectAtMs &&
      a.provisional === b.provisional &&
      a.walkAwaitedMs === b.walkAwaitedMs &&
      isSameResidue(a.residue, b.residue) &&
      a.openWrites === b.openWrites)
  );
}

function isSameBase(a: ListingState['base'], b: ListingState['base']): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.value === b.value && a.takenAt === b.takenAt && a.asOfMs === b.asOfMs && a.settled === b.settled;
}

function isSameResidue(a: ListingState['residue'], b: ListingState['residue']): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.units === b.units &&
    a.reads === b.reads &&
    a.readAtMs === b.readAtMs &&
    a.pulled === b.pulled &&
    a.takenThen === b.takenThen
  );
}

function firstValues<Value>(map: ReadonlyMap<ListingId, Value>, limit: number): Value[] {
  const values: Value[] = [];
  for (const value of map.values()) {
    if (values.length >= limit) break;
    values.push(value);
  }
  return values;
}
