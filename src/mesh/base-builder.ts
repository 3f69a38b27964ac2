// Long on purpose: reads and pulls of one channel are one state machine, and a listing goes through both.
import type { Logger } from 'pino';
import type { Connector, StockRead, StockRow, ToldLevel } from '../connectors/connector.ts';
import { beliefOf, isKnownForSure } from '../domain/belief.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import type { ListingChange, ListingView, PublisherLedger } from '../ledger/contract.ts';
import { Alarm, jittered } from './alarm.ts';
import type { Breaker } from './breaker.ts';
import { isForeign } from './foreign-stock.ts';
import type { LeaseTerm } from './channel-lease.ts';
import { isSameKnowledge } from './listing-knowledge.ts';
import type { CompletedWalk, OrderPoll } from './order-poll.ts';
import type { PublishRules } from './publish-rules.ts';
import { PullWishes } from './pull-wishes.ts';
import { type DueRead, ReadQueue, type ReadQueueSettings } from './read-queue.ts';
import type { MappedListing } from './sku-map.ts';
import { ToldLevels } from './told-levels.ts';
import { sweepUnsettled } from './unsettled-sweep.ts';

/** More listings that wait to be read than trading alone leaves behind. */
const manyReads = 2_000;
/** Rows of a read that the rest after it is meant for; where a request holds fewer, the rest is shorter. */
const rowsPerGap = 250;
/** Of that rest, after a request that was not full. */
const gatheringShare = 0.5;

export interface BaseBuilderSettings extends ReadQueueSettings {
  /** Least time between two full read requests: the channel's read budget. The platform's own limit is the limiter's matter. */
  readonly readGapMs: number;
  /** The same while so much waits that hours would go by: a channel that is connected, or read again after a restart. */
  readonly bulkReadGapMs: number;
  /** The same while a lowering waits for a read: the platform's own limit is the bound then. */
  readonly awaitedReadGapMs: number;
  /** So many read requests may be under way at once while a lowering waits for one. */
  readonly awaitedReadsInFlight: number;
  /** A doorbell is answered this long after its first ring: our own writes and sales ring it too. */
  readonly doorbellDelayMs: number;
  /** Rest between two pages of the sweep at the beginning of a term. */
  readonly sweepGapMs: number;
}

export const defaultBaseBuilderSettings: BaseBuilderSettings = {
  readGapMs: 200,
  bulkReadGapMs: 50,
  awaitedReadGapMs: 10,
  awaitedReadsInFlight: 4,
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
  /** A listing is known to show `units`: up to which sequence that is all it ought to show; undefined: it must be looked at. */
  provenBy?(listingId: ListingId, units: number): number | undefined;
  /** That is stored as `state`, and its mark is dropped up to there: nobody looks at the listing for it. */
  proven?(listingId: ListingId, seq: number, state: ListingState): void;
  /** The base is about to become settled, and nobody relies on it yet: the moment for an opening figure. May throw. */
  settling(listing: MappedListing, next: ListingState): Promise<void>;
  /** The platform showed this number, and the reading was not discarded. */
  shown?(listing: MappedListing, value: number): void;
  /** The platform's own stock, which is shown and never written. */
  foreign?(listing: MappedListing, units: number, readAtMs: number): void;
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
/** A listing that is written all the time is left to the next walk after so many. */
const vouchTurns = 3;
const maxSleepMs = 1_000;

/**
 * What one channel's listings show, as far as it can be known: reads, and the pulls of orders that make them proof.
 *
 *   asked (no base, suspect, difference to confirm, doorbell) --due, budget--> read (several at once while lowerings wait)
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
  readonly #reads: ReadQueue;
  readonly #pulls: PullWishes;
  readonly #told = new ToldLevels();
  readonly #walks: CompletedWalk[] = [];
  /** Read requests under way. */
  readonly #reading = new Set<Promise<void>>();
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #endedAtMs = Number.NEGATIVE_INFINITY;
  /** The request before held as many listings as it may. */
  #wasFull = false;
  #pausedUntilMs = 0;
  #failures = 0;
  /** Ledger clock: when the loop looks at the reads next, whoever rings. */
  #wakesAtMs = Number.POSITIVE_INFINITY;

  constructor(options: BaseBuilderOptions) {
    this.#options = options;
    this.#settings = { ...defaultBaseBuilderSettings, ...options.settings };
    this.#reads = new ReadQueue(this.#settings, options.nowMs);
    this.#pulls = new PullWishes(options.poll, this.#settings.maxWaiting);
  }

  get waiting(): number {
    return this.#reads.size + this.#pulls.size;
  }

  needsRead(listingId: ListingId, notBeforeMs: number, isAwaited = false): void {
    this.#told.forget(listingId);
    this.#reads.askSpaced(listingId, notBeforeMs, isAwaited);
    this.#wakeForReads();
  }

  needsPull(listingId: ListingId, afterMs: number): void {
    this.#pulls.add(listingId, afterMs);
  }

  /** The platform says that these levels changed: read, do not believe. */
  doorbell(listingIds: readonly ListingId[], told: readonly ToldLevel[] = []): void {
    const dueAtMs = this.#options.nowMs() + this.#settings.doorbellDelayMs;
    for (const listingId of listingIds) {
      const level = told.find(({ listingKey }) => listingKey === listingId);
      const isWaiting = this.#reads.has(listingId);
      this.#reads.ask(listingId, dueAtMs);
      if (this.#reads.has(listingId)) this.#told.note(listingId, level, isWaiting);
    }
    this.#wakeForReads();
  }

  /** A platform may ring a thousand times a second: the loop is woken for what is due before it wakes by itself. */
  #wakeForReads(): void {
    if (this.#reads.soonestMs < this.#wakesAtMs) this.#alarm.ring();
  }

  async run(term: LeaseTerm): Promise<void> {
    const onEnd = (): void => this.#alarm.ring();
    term.ended.addEventListener('abort', onEnd);
    const stopListening = this.#options.poll.onWalk((walk) => {
      this.#walks.push(walk);
      this.#alarm.ring();
    });
    const { channel, ledger, listings, ports, log } = this.#options;
    const { sweepGapMs } = this.#settings;
    const sweeping = sweepUnsettled({ channel, ledger, listings, ports, log, gapMs: sweepGapMs }, term.ended);
    try {
      while (!term.ended.aborted) {
        await this.#applyWalks(term);
        this.#startReads(term);
        const sleepMs = this.#sleepMs();
        this.#wakesAtMs = this.#options.nowMs() + sleepMs;
        await this.#alarm.sleep(sleepMs);
      }
    } finally {
      stopListening();
      term.ended.removeEventListener('abort', onEnd);
      await Promise.all([sweeping, ...this.#reading]);
      this.#walks.length = 0;
      this.#reads.clear();
      this.#told.clear();
      this.#pulls.clear();
    }
  }

  async #applyWalks(term: LeaseTerm): Promise<void> {
    for (const walk of this.#walks.splice(0)) {
      try {
        await this.#pulled(term, walk);
      } catch (error) {
        this.#failed(term, error);
      }
    }
  }

  /**
   * One request at a time. While lowerings wait the platform's limit is the bound, not our patience: several at once, but
   * only full ones beside the first, because many small requests would cost more than they bring.
   */
  #startReads(term: LeaseTerm): void {
    const { connector } = this.#options;
    while (!term.ended.aborted && this.#startInMs() <= 0) {
      const due = this.#reads.takeDue(connector.capabilities.readStockBatchSize);
      if (due.length === 0) return;
      this.#startedAtMs = performance.now();
      this.#wasFull = due.length >= connector.capabilities.readStockBatchSize;
      const reading = this.#read(term, due).finally(() => {
        this.#reading.delete(reading);
        this.#endedAtMs = performance.now();
        this.#alarm.ring();
      });
      this.#reading.add(reading);
    }
  }

  /** Until the next request may start; endless while as many are under way as may be. */
  #startInMs(): number {
    const { awaitedReadGapMs, awaitedReadsInFlight, bulkReadGapMs, readGapMs } = this.#settings;
    const batchSize = this.#options.connector.capabilities.readStockBatchSize;
    const { awaited } = this.#reads;
    const isFree = this.#reading.size === 0;
    if (!isFree && (awaited < batchSize || this.#reading.size >= awaitedReadsInFlight))
      return Number.POSITIVE_INFINITY;
    const usualGapMs = this.#reads.size > manyReads ? Math.min(bulkReadGapMs, readGapMs) : readGapMs;
    // Nobody waits for what did not fill a request: the next one may gather more.
    const leastShare = this.#wasFull || awaited > 0 ? 0 : gatheringShare;
    const gapMs = usualGapMs * Math.min(1, Math.max(leastShare, batchSize / rowsPerGap));
    const restedAtMs =
      awaited > 0
        ? this.#startedAtMs + Math.min(awaitedReadGapMs, gapMs)
        : Math.max(this.#startedAtMs, this.#endedAtMs) + gapMs;
    return Math.max(restedAtMs, this.#pausedUntilMs) - performance.now();
  }

  #sleepMs(): number {
    const startInMs = Math.min(this.#startInMs(), maxSleepMs);
    return Math.max(startInMs, this.#reads.nextInMs(maxSleepMs));
  }

  #failed(term: LeaseTerm, error: unknown): void {
    if (term.ended.aborted) return;
    this.#failures++;
    const { channel, log } = this.#options;
    const longMs = 100 * 2 ** Math.min(this.#failures, 12);
    const waitMs = jittered(Math.min(longMs, this.#settings.maxReadAgainMs));
    this.#pausedUntilMs = performance.now() + waitMs;
    log.warn({ channel, err: error, waitMs }, 'reading stock failed');
  }

  async #read(term: LeaseTerm, due: readonly DueRead[]): Promise<void> {
    const admission = this.#options.breaker.admit();
    if (admission.kind === 'refused') {
      for (const read of due) this.#reads.again(read, admission.retryInMs);
      return;
    }
    try {
      await this.#readBatch(term, due, admission.done);
      this.#failures = 0;
    } catch (error) {
      for (const read of due) this.#reads.again(read);
      this.#failed(term, error);
    } finally {
      admission.done('ok');
    }
  }

  async #readBatch(
    term: LeaseTerm,
    due: readonly DueRead[],
    done: (outcome: 'ok' | 'failed') => void,
  ): Promise<void> {
    const { connector, rules, ports, listing, nowMs } = this.#options;
    const asked = due.flatMap((read) => {
      const mapped = listing(read.listingId);
      return mapped === undefined ? [] : [{ mapped, read, told: this.#told.take(read.listingId) }];
    });
    const before = await this.#views(asked.map(({ mapped }) => mapped));
    const batch: typeof asked = [];
    for (const one of asked) {
      const state = before.get(one.mapped.listingId)?.state;
      const readableMs = state === undefined ? 0 : rules.readableFromMs(state);
      // A delta under way: which side of it the number would be on cannot be told.
      if (rules.kind === 'delta' && (state?.openWrites.length ?? 0) > 0)
        this.#againAsTold(one.read, one.told);
      else if (this.#isToldAlready(one.mapped, state, one.told)) continue;
      else if (readableMs > nowMs()) {
        const { listingId, times, isAwaited } = one.read;
        this.#reads.ask(listingId, readableMs, times, isAwaited);
      } else batch.push(one);
    }
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
    for (const { mapped, read: asking } of batch) {
      this.#reads.noteRead(mapped.listingId);
      const row = rows.get(mapped.ref.key);
      const view = after.get(mapped.listingId);
      if (row !== undefined && isForeign(mapped)) {
        ports.foreign?.(mapped, row.value, row.readAtMs);
        continue;
      }
      if (row === undefined || !row.isActive) {
        ports.unreadable(
          mapped,
          row === undefined ? 'the platform does not know it' : (row.reason ?? 'it is not active'),
        );
        continue;
      }
      // Claimed or settled while the read was on its way: the same.
      if (view === undefined || view.state.version !== before.get(mapped.listingId)?.state.version) {
        this.#reads.again(asking);
        continue;
      }
      const change = this.#judge(mapped, view, row, asking);
      if (change !== undefined) changes.push(change);
    }
    const moved = await this.#store(term, changes);
    for (const { read: asking } of batch) if (moved.has(asking.listingId)) this.#reads.again(asking);
  }

  /** Doorbells alone asked for the read, and what the last of them said is what we believe. */
  #isToldAlready(
    mapped: MappedListing,
    state: ListingState | undefined,
    told: ToldLevel | undefined,
  ): boolean {
    const { rules, ports } = this.#options;
    // A platform that takes plain numbers and applies them later says of a write only by a read that it was applied.
    if (told === undefined || state === undefined || rules.kind !== 'delta' || isForeign(mapped))
      return false;
    if (!isKnownForSure(state) || beliefOf(state) !== told.value) return false;
    ports.shown?.(mapped, told.value);
    return true;
  }

  /** Unless somebody else asked for a read of it meanwhile: that one is not spared. */
  #againAsTold(read: DueRead, told: ToldLevel | undefined): void {
    const isWaiting = this.#reads.has(read.listingId);
    this.#reads.again(read);
    if (told !== undefined) this.#told.note(read.listingId, told, isWaiting);
  }

  #judge(
    mapped: MappedListing,
    view: ListingView,
    row: StockRow,
    asking: DueRead,
  ): ListingChange | undefined {
    const { rules, nowMs, ports } = this.#options;
    const { listingId, state } = view;
    const reading = rules.read(state, { value: row.value, startedAtMs: row.readAtMs }, nowMs());
    if (reading.kind === 'discarded') {
      if (reading.readAgainMs === undefined) this.#reads.again(asking);
      else this.#reads.ask(listingId, reading.readAgainMs, asking.times + 1, asking.isAwaited);
      return undefined;
    }
    ports.shown?.(mapped, row.value);
    if (isSameKnowledge(reading.next, state)) {
      // Nothing learnt (an undecidable number), or nothing new: who waits for it looks again, and asks again if need be.
      ports.resume(listingId);
      return undefined;
    }
    const location = mapped.locations[0];
    const isDrop = reading.provisionUnits > 0 && location !== undefined;
    const provenSeq = isDrop ? undefined : this.#provenSeq(reading.next, listingId);
    return {
      listingId,
      expectedVersion: state.version,
      expectedTaken: state.taken,
      next: reading.next,
      provision: isDrop
        ? { units: reading.provisionUnits, sku: mapped.sku, location, cause: 'drop' }
        : undefined,
      settledSeq: provenSeq,
      markPending: provenSeq === undefined ? true : undefined,
    };
  }

  /** Nothing is open about the listing any more, and it shows what it was last told to. */
  #provenSeq(next: ListingState, listingId: ListingId): number | undefined {
    const { rules, ports } = this.#options;
    const isOpen = next.openWrites.length > 0 || rules.pullAwaitedMs(next) !== undefined;
    const belief = beliefOf(next);
    if (isOpen || belief === undefined || !isKnownForSure(next)) return undefined;
    return ports.provenBy?.(listingId, belief);
  }

  /** The orders of a walk are applied: what they vouch for is stored. */
  async #pulled(term: LeaseTerm, walk: CompletedWalk): Promise<void> {
    const { listing } = this.#options;
    const answered = this.#pulls.takeAnswered(walk).flatMap((listingId) => listing(listingId) ?? []);
    const batchSize = this.#options.connector.capabilities.readStockBatchSize;
    for (let start = 0; start < answered.length; start += batchSize) {
      let left: readonly MappedListing[] = answered.slice(start, start + batchSize);
      try {
        // What a write moved meanwhile is judged again by the same walk: its mark may be dropped, and nobody asks for it.
        for (let turn = 0; turn < vouchTurns && left.length > 0; turn++) {
          const moved = await this.#vouch(term, walk, left);
          left = left.filter(({ listingId }) => moved.has(listingId));
        }
        for (const { listingId } of left) this.needsPull(listingId, walk.beganAtMs - 1);
      } catch (error) {
        for (const { listingId } of [...left, ...answered.slice(start + batchSize)])
          this.needsPull(listingId, walk.beganAtMs - 1);
        throw error;
      }
    }
  }

  /** Answers those that moved while they were judged: nothing of them is stored. */
  async #vouch(
    term: LeaseTerm,
    walk: CompletedWalk,
    listings: readonly MappedListing[],
  ): Promise<ReadonlySet<ListingId>> {
    const { rules, ports } = this.#options;
    const views = await this.#views(listings);
    let changes: ListingChange[] = [];
    let settling: { readonly mapped: MappedListing; readonly next: ListingState }[] = [];
    const moved = new Set<ListingId>();
    const flush = async (): Promise<void> => {
      for (let start = 0; start < settling.length; start += settlingAtOnce) {
        const some = settling.slice(start, start + settlingAtOnce);
        await Promise.all(some.map(({ mapped, next }) => ports.settling(mapped, next)));
      }
      for (const listingId of await this.#store(term, changes)) moved.add(listingId);
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
    return moved;
  }

  /** Answers the rows that moved meanwhile, of which nothing is stored: whoever judged them judges them anew. */
  async #store(term: LeaseTerm, changes: readonly ListingChange[]): Promise<ReadonlySet<ListingId>> {
    const { channel, ledger, ports } = this.#options;
    const allMoved = new Set<ListingId>();
    let left = changes;
    while (left.length > 0) {
      const result = await ledger.settle(channel, term.token, { changes: left, closeWrites: [] });
      if (result.kind === 'suspected') return allMoved;
      const moved = new Set(result.kind === 'conflict' ? result.listings : []);
      if (result.kind === 'conflict' && moved.size > 0) {
        for (const listingId of moved) {
          allMoved.add(listingId);
          ports.resume(listingId);
        }
        left = left.filter(({ listingId }) => !moved.has(listingId));
        continue;
      }
      const seq = result.kind === 'settled' ? result.seq : 0;
      for (const { listingId, next, settledSeq } of left) {
        const awaitedMs = this.#options.rules.pullAwaitedMs(next);
        if (awaitedMs !== undefined) this.needsPull(listingId, awaitedMs);
        if (settledSeq === undefined) ports.ready(listingId, seq);
        else ports.proven?.(listingId, settledSeq, next);
      }
      return allMoved;
    }
    return allMoved;
  }

  async #views(listings: readonly MappedListing[]): Promise<ReadonlyMap<ListingId, ListingView>> {
    const { channel, ledger } = this.#options;
    const { rows } = await ledger.readListings(
      channel,
      listings.map(({ listingId, sku }) => ({ listingId, sku })),
      'state',
    );
    return new Map(rows.map((row) => [row.listingId, row]));
  }
}
