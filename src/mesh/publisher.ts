// Long on purpose: what one channel's requests go through, from a look to their end, is one state machine.
import { randomUUID } from 'node:crypto';
import { beliefOf } from '../domain/belief.ts';
import type { ListingId } from '../domain/ids.ts';
import { sellOutRisk, zeroes } from '../domain/urgency.ts';
import type { ListingView, WriteRecord } from '../ledger/contract.ts';
import { Alarm, jittered } from './alarm.ts';
import type { LeaseTerm } from './channel-lease.ts';
import { ListingLook, type PlannedRow } from './listing-look.ts';
import { LookWidth } from './look-width.ts';
import type { PendingListing } from './pending-lanes.ts';
import { PublishQueue } from './publish-queue.ts';
import {
  type PublisherOptions,
  type PublisherSettings,
  defaultPublisherSettings,
} from './publisher-options.ts';
import { RepeatQueue } from './repeat-queue.ts';
import { RequestWidth } from './request-width.ts';
import type { Sent, SettledOutcome } from './request-sender.ts';
import { RowOutcomes } from './row-outcomes.ts';
import { Setbacks } from './setbacks.ts';
import type { MappedListing } from './sku-map.ts';
import { type WritePlan, isRaising, writeBatches } from './write-batches.ts';
import { WrittenTargets } from './written-targets.ts';

const guardedLookMs = 5_000;
/** A request of so few rows gains little from waiting for more of them. */
const smallBatchRows = 16;

interface Unneeded {
  readonly pending: PendingListing;
  readonly view: ListingView;
}

/**
 * Publisher of one channel, for as long as it holds the channel's lease.
 *
 *   idle --term begins--> resolving: records without an outcome are repeated, pending marks are loaded
 *   resolving --> working --listing offered--> looked at: level, taken, base, open writes of one moment
 *     nothing to say --> mark dropped        must know more --> base, pull or open write awaited; mark stays
 *     lowering --> request (large batch)     raising --> request (small batch)
 *   request --confirmed--> gone   --stale--> orders pulled, looked at again   --unknown--> repeated, same key
 *           --refused row--> parked, the others go again   --throttled, circuit open--> paused
 *   working --lease lost--> idle (what is under way ends by itself and settles nothing but "suspect")
 *   working --close--> draining, bounded --> closed
 *
 * Everything in memory can be lost: the durable marks and the write records say what remains. While a request of a
 * listing is under way its further changes wait and go out as one; only a lowering overtakes, at once when what is under
 * way is a raise, after `overtakeMs` when it is a lowering without an answer (deltas of distinct keys commute).
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #settings: PublisherSettings;
  readonly #queue: PublishQueue;
  readonly #repeats: RepeatQueue;
  readonly #look: ListingLook;
  readonly #setbacks = new Setbacks();
  readonly #outcomes: RowOutcomes;
  readonly #targets = new WrittenTargets();
  readonly #width: RequestWidth;
  readonly #lookWidth = new LookWidth();
  readonly #alarm = new Alarm();
  readonly #tasks = new Set<Promise<void>>();
  #requestsInFlight = 0;
  #pausedUntilMs = 0;
  /** Sold-out listings: only what refused one of them holds the others back. */
  #soldOutPausedUntilMs = 0;
  #needsReload = false;
  #reloadedAtMs = Number.NEGATIVE_INFINITY;
  #isTermOver = true;
  #isClosed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#settings = { ...defaultPublisherSettings, ...options.settings };
    const { pendingInMemory, repeatMs, maxRepeatMs } = this.#settings;
    const { overtakeMs, soldOutOvertakeMs } = this.#settings;
    this.#queue = new PublishQueue(pendingInMemory, Math.max(0, overtakeMs - soldOutOvertakeMs));
    this.#repeats = new RepeatQueue(repeatMs, maxRepeatMs);
    this.#look = new ListingLook(options, { maxPutOffMs: maxRepeatMs });
    this.#outcomes = new RowOutcomes(options, this.#queue, this.#setbacks, maxRepeatMs);
    const { requestsInFlight, maxSmallRequestsInFlight, quickAnswerMs, slowAnswerMs } = this.#settings;
    const { connector } = options;
    const isSmall = 'batchGroup' in connector || connector.capabilities.lowerBatchSize <= smallBatchRows;
    this.#width = new RequestWidth({
      min: requestsInFlight,
      max: isSmall ? Math.max(requestsInFlight, maxSmallRequestsInFlight) : requestsInFlight,
      quickMs: quickAnswerMs,
      slowMs: slowAnswerMs,
    });
  }

  get backlog(): number {
    return this.#queue.size;
  }

  /** Listings with durable marks. While no term runs they are only dropped: the next term loads the marks. */
  offer(listings: readonly PendingListing[]): void {
    if (this.#isTermOver) return;
    const { channel, metrics } = this.#options;
    metrics.changes.inc({ channel }, listings.length);
    for (const listing of listings) this.#queue.add(listing);
    this.#alarm.ring();
  }

  /** What the listing was put off for has happened: its base is known, its orders were pulled, its map row changed. */
  ready(listingId: ListingId, seq: number): void {
    if (this.#isTermOver) return;
    this.#queue.ready(listingId, seq);
    this.#alarm.ring();
  }

  /** The listing is new in the map, or its row changed: what was held against it is forgotten. */
  changed(listingId: ListingId): void {
    this.#setbacks.clear(listingId);
    this.ready(listingId, 0);
  }

  /** The answer it was put off for brought nothing new. */
  resume(listingId: ListingId): void {
    if (this.#queue.recall(listingId)) this.#alarm.ring();
  }

  /** A listing is known to show `units`: the sequence up to which that is all it ought to; undefined: it must be looked at. */
  provenBy(listingId: ListingId, units: number): number | undefined {
    // It is looked at anyway; and what one of several shows is decided from what the others show.
    if (this.#queue.isInLane(listingId) || this.#siblingsOf(listingId).length > 1) return undefined;
    return this.#targets.provenBy(listingId, units);
  }

  /** Its mark up to that sequence is dropped: what was put off for the proof of it is over. */
  proven(listingId: ListingId, seq: number): void {
    this.#targets.forget(listingId);
    if (this.#queue.drop(listingId, seq)) return;
    this.resume(listingId);
  }

  async run(term: LeaseTerm): Promise<void> {
    this.#isTermOver = false;
    this.#needsReload = true;
    const onEnd = (): void => this.#alarm.ring();
    term.ended.addEventListener('abort', onEnd);
    try {
      while (!this.#isClosed && !this.#isTermOver && !term.ended.aborted) await this.#turn(term);
    } finally {
      this.#isTermOver = true;
      term.ended.removeEventListener('abort', onEnd);
      await Promise.allSettled(this.#tasks);
      this.#queue.clear();
      this.#repeats.clear();
    }
  }

  /** Lets requests under way end, within `drainMs`; whatever does not is resolved from its record at the next start. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#alarm.ring();
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.#settings.drainMs)));
    await Promise.race([Promise.allSettled(this.#tasks), limit]);
    clearTimeout(timer);
  }

  async #turn(term: LeaseTerm): Promise<void> {
    const { log, channel } = this.#options;
    try {
      if (this.#mustReload()) await this.#reload();
      this.#sendRepeats(term);
      if (!(await this.#lookOnce(term))) await this.#alarm.sleep(this.#sleepMs());
    } catch (error) {
      // The ledger does not answer: nothing was decided, everything is in its marks and records.
      log.warn({ channel, err: error }, 'publishing waits for the ledger');
      this.#needsReload = true;
      await this.#alarm.sleep(jittered(this.#settings.repeatMs * 2));
    }
  }

  #mustReload(): boolean {
    const isLongAgo = performance.now() - this.#reloadedAtMs > this.#settings.reloadEveryMs;
    // A daemon that lost the lease with a request in hand marks its listings, and cannot tell us.
    const isIdle = this.#queue.size === 0 && this.#requestsInFlight === 0;
    return this.#needsReload || ((this.#queue.isDrainedOverflow || isIdle) && isLongAgo);
  }

  /** Records first: a listing with a write of unknown outcome is judged with that write in its state. */
  async #reload(): Promise<void> {
    const { channel, ledger, metrics, sender } = this.#options;
    this.#needsReload = false;
    const open = await ledger.openWrites(channel);
    metrics.openRequests.set({ channel }, open.length);
    for (const record of open) {
      if (this.#repeats.has(record.writeId) || sender.isUnderWay(record.writeId)) continue;
      // A record of an earlier term is repeated at once. Its request may still be on its way: the key makes them one.
      this.#repeats.addNow(record);
    }
    this.#queue.refill(await ledger.pending(channel, this.#settings.pendingInMemory));
    this.#reloadedAtMs = performance.now();
  }

  #mayRequest(nowMs: number): boolean {
    const isFree = this.#requestsInFlight < this.#width.slots;
    return isFree && nowMs >= this.#pausedUntilMs && this.#options.mayPublish();
  }

  /** One look at the most urgent listings; false when there is nothing to do now. */
  async #lookOnce(term: LeaseTerm): Promise<boolean> {
    const { channel, connector, metrics } = this.#options;
    const nowMs = performance.now();
    this.#queue.recallDue(nowMs);
    metrics.backlog.set({ channel }, this.#queue.size);
    const isOpen = this.#mayRequest(nowMs) && this.#width.hasRoom(this.#requestsInFlight);
    const slots = isOpen ? this.#width.slots - this.#requestsInFlight : this.#soldOutSlots(nowMs);
    if (slots <= 0) return false;
    const width = isOpen ? slots * this.#lookWidth.factor : slots;
    const limit = Math.min(this.#settings.listingsPerLook, width * connector.capabilities.lowerBatchSize);
    const groups = { max: width, of: (id: ListingId) => this.#requestGroup(id) };
    const order = {
      riskOf: (pending: PendingListing) => this.#riskOf(pending),
      isSoldOutOnly: !isOpen,
    };
    const siblings = (id: ListingId): readonly ListingId[] => this.#siblingsOf(id);
    const taken = this.#queue.take(limit, this.#settings.overtakeMs, siblings, groups, order);
    if (taken.length === 0) return false;
    try {
      const views = await this.#look.read(taken);
      const planned: PlannedRow[] = [];
      const unneeded: Unneeded[] = [];
      for (const pending of taken) {
        const view = views.rows.get(pending.listingId);
        if (view === undefined) {
          this.#queue.free(pending.listingId);
          continue;
        }
        const look = this.#look.decide(pending, view, views);
        // Decided anew (a policy may have changed without a sequence of its own): the last write is no longer the whole of it.
        this.#targets.forget(pending.listingId);
        const setbackMs = look.kind === 'write' ? this.#setbacks.waitMs(pending.listingId, nowMs) : 0;
        if (look.kind === 'unneeded') unneeded.push({ pending, view });
        else if (look.kind === 'put-off') this.#queue.putOff(pending, look.forMs);
        else if (setbackMs > 0) this.#queue.putOff(pending, setbackMs);
        else planned.push(look.row);
      }
      this.#lookWidth.looked(taken.length >= limit, planned.length);
      await this.#dispatchGuarded(term, planned, unneeded, slots);
      if (unneeded.length > 0) this.#track(this.#dropMarks(term, unneeded, views.position.seq));
    } catch (error) {
      for (const pending of taken) this.#queue.release(pending);
      throw error;
    }
    return true;
  }

  /** What is sold out goes past requests that wait for the platform's limit, and past a pause that it did not cause. */
  #soldOutSlots(nowMs: number): number {
    const isHeld =
      !this.#queue.hasSoldOut || nowMs < this.#soldOutPausedUntilMs || !this.#options.mayPublish();
    return isHeld ? 0 : this.#width.slots + this.#settings.soldOutRequests - this.#requestsInFlight;
  }

  /** As far as it can be told before its numbers are read: the lag is the same for all listings of a channel. */
  #riskOf({ listingId, units }: PendingListing): number {
    const { listing, ports, nowMs } = this.#options;
    const sku = listing(listingId)?.sku;
    return sku === undefined ? 0 : sellOutRisk(ports.unitsPerHour?.(sku, nowMs()) ?? 0, units ?? 1);
  }

  #requestGroup(listingId: ListingId): string {
    const ref = this.#options.listing(listingId)?.ref;
    return (ref === undefined ? undefined : this.#options.connector.batchGroup?.(ref)) ?? '';
  }

  #siblingsOf(listingId: ListingId): readonly ListingId[] {
    const mapped = this.#options.listing(listingId);
    if (mapped === undefined) return [];
    return this.#options.ports.siblingsOf(mapped).map((sibling) => sibling.listingId);
  }

  /** What the guard holds is looked at again after a while, or at once when it sells. */
  async #dispatchGuarded(
    term: LeaseTerm,
    planned: readonly PlannedRow[],
    unneeded: readonly Unneeded[],
    slots: number,
  ): Promise<void> {
    const { guard, mode } = this.#options;
    if (guard === undefined || mode !== 'live') return this.#dispatch(term, planned, slots);
    const passing = await guard.judge(planned);
    const rows = planned.filter((row) => passing.has(row));
    for (const row of planned) if (!passing.has(row)) this.#queue.putOff(row.pending, guardedLookMs);
    await guard.released([...rows, ...unneeded.map(({ view }) => view)].map(({ listingId }) => listingId));
    this.#dispatch(term, rows, slots);
  }

  /** Starts as many requests as there are slots, most urgent first; the other rows wait again. */
  #dispatch(term: LeaseTerm, planned: readonly PlannedRow[], slots: number): void {
    const { mode, ports, connector } = this.#options;
    const first = planned[0];
    if (first === undefined) return;
    if (mode !== 'live') {
      for (const { listingId, sku, kind, from, to } of planned)
        ports.planned({ listingId, sku, kind, from, to });
      this.#track(this.#dropMarks(term, planned, first.position.seq));
      return;
    }
    const batches = writeBatches(
      planned,
      connector.capabilities,
      (id) => this.#setbacks.batchLimit(id),
      (id) => this.#requestGroup(id),
    );
    for (const batch of batches.slice(0, slots)) this.#request(() => this.#send(term, batch));
    for (const { pending } of batches.slice(slots).flat()) this.#queue.release(pending);
  }

  #request(send: () => Promise<void>): void {
    this.#requestsInFlight++;
    const startedMs = performance.now();
    this.#track(
      send().finally(() => {
        this.#width.answered(performance.now() - startedMs, this.#requestsInFlight);
        this.#requestsInFlight--;
        this.#alarm.ring();
      }),
    );
  }

  async #send(term: LeaseTerm, batch: WritePlan): Promise<void> {
    const { channel, log } = this.#options;
    // A raise keeps nobody waiting: it counts as applied, and a lowering goes past it at once.
    if (isRaising(batch)) for (const { listingId } of batch) this.#queue.free(listingId);
    let rows = batch;
    try {
      while (rows.length > 0) rows = await this.#sendRows(term, rows);
    } catch (error) {
      // The record may be stored and the request sent: only the ledger knows.
      log.warn({ channel, err: error, rows: rows.length }, 'a write could not be recorded or settled');
      for (const { pending } of rows) this.#queue.release(pending);
      this.#needsReload = true;
    }
  }

  /** Answers the rows that are left to send: those beside listings that moved since they were looked at. */
  async #sendRows(term: LeaseTerm, rows: WritePlan): Promise<WritePlan> {
    const { sender, nowMs } = this.#options;
    const first = rows[0];
    if (first === undefined) return [];
    const sentAtMs = nowMs();
    const sent = await sender.submit(
      term,
      {
        kind: first.kind,
        rows: rows.map(({ listingId, view, from, to }) => {
          return { listingId, ref: this.#refOf(listingId), from, to, takenAt: view.state.taken };
        }),
        position: first.position,
        token: term.token,
        nowMs: sentAtMs,
      },
      new Map(rows.map(({ listingId, view }) => [listingId, view])),
    );
    if (sent.kind !== 'conflict') {
      this.#ended(sent, rows, sentAtMs);
      return [];
    }
    const conflicts = new Set(sent.listings);
    const left = rows.filter(({ listingId }) => !conflicts.has(listingId));
    const isStuck = left.length === rows.length;
    for (const row of rows) if (isStuck || conflicts.has(row.listingId)) this.#queue.release(row.pending);
    return isStuck ? [] : left;
  }

  #ended(sent: Exclude<Sent, { kind: 'conflict' }>, rows: WritePlan, sentAtMs: number): void {
    switch (sent.kind) {
      case 'term-over':
        this.#isTermOver = true;
        return;
      case 'not-now':
      case 'throttled':
        this.#pause(sent.retryInMs, sent.kind === 'not-now' || zeroes(rows));
        for (const { pending } of rows) this.#queue.release(pending);
        return;
      case 'open':
      case 'settled': {
        const kind = rows[0]?.kind ?? 'lower';
        this.#observe(kind, rows, sentAtMs);
        const isOpen = sent.kind === 'open';
        if (isOpen) this.#repeats.addLater(sent.record);
        const pendings = new Map(rows.map((row) => [row.listingId, row.pending]));
        this.#noteTargets(rows, sent.rows);
        this.#outcomes.apply({ kind, rows, outcomes: sent.rows, pendings, isOpen });
        for (const { listingId } of rows) this.#queue.free(listingId);
        return;
      }
    }
  }

  #noteTargets(rows: WritePlan, outcomes: readonly SettledOutcome[]): void {
    const accepted = new Set(
      outcomes.flatMap(({ listingId, outcome }) => (outcome.kind === 'accepted' ? [listingId] : [])),
    );
    for (const { listingId, to, urgency, position } of rows) {
      const isWhole = to === Math.max(0, urgency.target);
      if (isWhole && accepted.has(listingId)) this.#targets.accepted(listingId, to, position.seq);
      else this.#targets.forget(listingId);
    }
  }

  #sendRepeats(term: LeaseTerm): void {
    if (this.#options.mode !== 'live') return;
    for (;;) {
      const nowMs = performance.now();
      if (!this.#mayRequest(nowMs)) return;
      const record = this.#repeats.take(nowMs, (due) => this.#mayRepeat(due));
      if (record === undefined) return;
      this.#request(() => this.#repeat(term, record));
    }
  }

  /**
   * An unknown raise is repeated only when no lowering of its listings waits: repeated first, its precondition may still
   * hold and put stock on the shelf that was sold meanwhile. A listing that always sells delays the others of its batch,
   * no longer than to the moment between two of its lowerings.
   */
  #mayRepeat(record: WriteRecord): boolean {
    if (record.kind !== 'raise') return true;
    return !record.rows.some(({ listingId }) => this.#queue.isLowering(listingId));
  }

  async #repeat(term: LeaseTerm, record: WriteRecord): Promise<void> {
    const { channel, sender, metrics, log } = this.#options;
    try {
      const sent = await sender.repeat(term, record);
      if (sent.kind === 'term-over') this.#isTermOver = true;
      else if (sent.kind === 'settled' || sent.kind === 'open') {
        metrics.requests.inc({ channel, kind: record.kind });
        const isOpen = sent.kind === 'open';
        if (isOpen) this.#repeats.addLater(sent.record);
        const { kind, rows } = record;
        this.#outcomes.apply({ kind, rows, outcomes: sent.rows, pendings: new Map(), isOpen });
      } else {
        if (sent.kind !== 'conflict') this.#pause(sent.retryInMs, false);
        this.#repeats.addLater(record);
      }
    } catch (error) {
      log.warn({ channel, writeId: record.writeId, err: error }, 'a write could not be resolved yet');
      this.#repeats.addLater({ ...record, attempts: record.attempts + 1 });
    }
  }

  /** Marks not newer than what was looked at. A listing that moved since is looked at again. */
  async #dropMarks(term: LeaseTerm, looked: readonly Unneeded[], seq: number): Promise<void> {
    const { channel, ledger, metrics, log } = this.#options;
    metrics.unneeded.inc({ channel }, looked.length);
    let left = looked;
    try {
      while (left.length > 0) {
        const result = await ledger.settle(channel, term.token, {
          changes: left.map(({ view: { listingId, state } }) => {
            return { listingId, expectedVersion: state.version, next: state, settledSeq: seq };
          }),
          closeWrites: [],
          settlementId: randomUUID(),
        });
        const moved = new Set(result.kind === 'conflict' ? result.listings : []);
        for (const { pending } of left) if (moved.has(pending.listingId)) this.#queue.add(pending);
        left = moved.size === 0 ? [] : left.filter(({ pending }) => !moved.has(pending.listingId));
        if (result.kind !== 'conflict') left = [];
      }
    } catch (error) {
      // The marks are still there: they are found again when the ledger answers.
      log.warn({ channel, err: error }, 'marks were not dropped');
      this.#needsReload = true;
    } finally {
      for (const { pending } of looked) this.#queue.free(pending.listingId);
      this.#alarm.ring();
    }
  }

  #observe(kind: WriteRecord['kind'], rows: WritePlan, sentAtMs: number): void {
    const { channel, metrics } = this.#options;
    metrics.requests.inc({ channel, kind });
    for (const { pending, to, view } of rows) {
      if (to === beliefOf(view.state) && view.state.openWrites.length === 0)
        metrics.needless.inc({ channel });
      if (pending.causedAtMs === undefined) continue;
      metrics.entryToRequestS.observe({ channel }, Math.max(0, sentAtMs - pending.causedAtMs) / 1000);
    }
  }

  #refOf(listingId: ListingId): MappedListing['ref'] {
    const mapped = this.#options.listing(listingId);
    if (mapped === undefined) throw new TypeError('a listing left the map while its request was made');
    return mapped.ref;
  }

  #pause(ms: number, isForSoldOut: boolean): void {
    const pauseMs = Math.min(ms, this.#settings.maxPauseMs);
    if (isForSoldOut)
      this.#soldOutPausedUntilMs = Math.max(this.#soldOutPausedUntilMs, performance.now() + pauseMs);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, performance.now() + pauseMs);
  }

  /** Rings cut it short: an offer, the end of a request. */
  #sleepMs(): number {
    const nowMs = performance.now();
    const canTake = this.#width.hasRoom(this.#requestsInFlight);
    const dueMs = Math.min(this.#queue.nextMs(nowMs, canTake), this.#repeats.nextMs(nowMs), nowMs + 1_000);
    let untilMs = Math.max(dueMs, this.#pausedUntilMs);
    if (this.#queue.hasSoldOut) {
      const soldOutMs = Math.min(this.#queue.nextMs(nowMs, true), nowMs + 1_000);
      untilMs = Math.min(untilMs, Math.max(soldOutMs, this.#soldOutPausedUntilMs));
    }
    return Math.max(1, untilMs - nowMs);
  }

  #track(task: Promise<void>): void {
    const kept = task.catch((error: unknown) => {
      this.#options.log.error({ channel: this.#options.channel, err: error }, 'publisher task failed');
    });
    this.#tasks.add(kept);
    void kept.finally(() => this.#tasks.delete(kept));
  }
}
