import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Connector, RowOutcome } from '../connectors/connector.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import { beliefOf } from '../domain/belief.ts';
import type { ListingState } from '../domain/listing.ts';
import { shareOut } from '../domain/share-out.ts';
import { type Urgency, compareUrgency } from '../domain/urgency.ts';
import type { ListingView, Position, PublisherLedger, WriteRecord } from '../ledger/contract.ts';
import { Alarm, jittered } from './alarm.ts';
import type { LeaseTerm } from './channel-lease.ts';
import type { ChannelMode } from './channel.ts';
import { type Lane, PendingLanes, type PendingListing } from './pending-lanes.ts';
import type { PublishMetrics } from './publish-metrics.ts';
import type { PublishRules } from './publish-rules.ts';
import type { RequestSender, Sent, SettledOutcome } from './request-sender.ts';
import { Setbacks } from './setbacks.ts';
import { type MappedListing, isWritable } from './sku-map.ts';

export interface PublisherSettings {
  readonly requestsInFlight: number;
  readonly listingsPerLook: number;
  readonly pendingInMemory: number;
  /** A lowering that has no answer for this long no longer keeps the next lowering of its listings waiting. */
  readonly overtakeMs: number;
  readonly repeatMs: number;
  readonly maxRepeatMs: number;
  readonly reloadEveryMs: number;
  /** However long the platform or the circuit says: after this it is asked again. */
  readonly maxPauseMs: number;
  readonly drainMs: number;
  /** What a request takes from us to the shelf, for the order of urgency. */
  readonly assumedLagMs: number;
}

export const defaultPublisherSettings: PublisherSettings = {
  requestsInFlight: 4,
  listingsPerLook: 1_000,
  pendingInMemory: 50_000,
  overtakeMs: 1_000,
  repeatMs: 200,
  maxRepeatMs: 30_000,
  reloadEveryMs: 5_000,
  maxPauseMs: 30_000,
  drainMs: 5_000,
  assumedLagMs: 1_000,
};

/** What the publisher needs from its neighbours. None of them waits or throws; `ready` is called afterwards. */
export interface PublisherPorts {
  /** The listing must be read, not before that moment (ledger clock). */
  needsRead(listingId: ListingId, notBeforeMs: number): void;
  /** Orders must be pulled by a walk that begins after that moment (ledger clock). */
  needsPull(listingId: ListingId, afterMs: number): void;
  /** All listings of the channel that stand for the same stock of ours, in the merchant's order, this one included. */
  siblingsOf(listing: MappedListing): readonly MappedListing[];
  /** What they ought to show together; undefined: nothing may be said (a SKU that was never received). */
  targetOf(listing: MappedListing, view: ListingView): number | undefined;
  /** Somebody changed the number on the channel: whether policy lets us write over it. */
  edited(listing: MappedListing, shows: number, target: number): 'repair' | 'report';
  /** The platform refuses this listing; a person has to see why. */
  parked(listing: MappedListing, reason: string): void;
  unparked(listingId: ListingId): void;
  /** `dry-run` and `observe`: what would have been sent. */
  planned(write: PlannedWrite): void;
}

export interface PlannedWrite {
  readonly listingId: ListingId;
  readonly sku: string;
  readonly kind: WriteRecord['kind'];
  readonly from: number;
  readonly to: number;
}

export interface PublisherOptions {
  readonly channel: ChannelId;
  readonly mode: ChannelMode;
  readonly connector: Connector;
  readonly listing: (listingId: ListingId) => MappedListing | undefined;
  readonly ledger: PublisherLedger;
  readonly sender: RequestSender;
  readonly rules: PublishRules;
  readonly metrics: PublishMetrics;
  readonly log: Logger;
  /** Ledger clock. */
  readonly nowMs: () => number;
  /** Asked before every look; while it says no, marks stay where they are. */
  readonly mayPublish: () => boolean;
  readonly ports: PublisherPorts;
  readonly settings?: Partial<PublisherSettings> | undefined;
}

interface Looked extends PlannedWrite {
  readonly pending: PendingListing;
  readonly view: ListingView;
  readonly position: Position;
  readonly isRaise: boolean;
  readonly urgency: Urgency;
}

interface Unneeded {
  readonly pending: PendingListing;
  readonly view: ListingView;
}

interface Repeat {
  readonly record: WriteRecord;
  readonly dueAtMs: number;
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
  readonly #lanes: PendingLanes;
  readonly #setbacks = new Setbacks();
  readonly #alarm = new Alarm();
  /** Listings of requests under way -> monotonic time from which they may be looked at again. */
  readonly #busy = new Map<ListingId, number>();
  /** Looked at and put off; back in the lanes when due, or when a neighbour says `ready`. */
  readonly #putOff = new Map<ListingId, { readonly pending: PendingListing; readonly dueAtMs: number }>();
  readonly #repeats = new Map<string, Repeat>();
  readonly #tasks = new Set<Promise<void>>();
  #requestsInFlight = 0;
  #pausedUntilMs = 0;
  #nextDueMs = Number.POSITIVE_INFINITY;
  #needsReload = false;
  #reloadedAtMs = Number.NEGATIVE_INFINITY;
  #isTermOver = true;
  #isClosed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#settings = { ...defaultPublisherSettings, ...options.settings };
    this.#lanes = new PendingLanes(this.#settings.pendingInMemory);
  }

  get backlog(): number {
    return this.#lanes.size + this.#putOff.size;
  }

  /** Listings with durable marks. While no term runs they are only dropped: the next term loads the marks. */
  offer(listings: readonly PendingListing[]): void {
    if (this.#isTermOver) return;
    for (const listing of listings) this.#lanes.add(listing);
    this.#alarm.ring();
  }

  /** What the listing was put off for has happened: its base is known, its orders were pulled, its map row changed. */
  ready(listingId: ListingId, seq: number): void {
    if (this.#isTermOver) return;
    const known = this.#putOff.get(listingId)?.pending;
    this.#putOff.delete(listingId);
    this.#lanes.add(known ?? { listingId, seq, causedAtMs: undefined, lane: 'other' });
    this.#alarm.ring();
  }

  /** The listing is new in the map, or its row changed: what was held against it is forgotten. */
  changed(listingId: ListingId): void {
    this.#setbacks.clear(listingId);
    this.ready(listingId, 0);
  }

  /** The answer it was put off for brought nothing new. */
  resume(listingId: ListingId): void {
    if (this.#putOff.has(listingId)) this.ready(listingId, 0);
  }

  async run(term: LeaseTerm): Promise<void> {
    this.#isTermOver = false;
    this.#needsReload = true;
    const onEnd = (): void => this.#alarm.ring();
    term.ended.addEventListener('abort', onEnd);
    try {
      while (!this.#isOver(term)) {
        try {
          if (this.#mustReload()) await this.#reload();
          this.#sendRepeats(term);
          if (!(await this.#look(term))) await this.#alarm.sleep(this.#sleepMs());
        } catch (error) {
          // The ledger does not answer: nothing was decided, everything is in its marks and records.
          this.#options.log.warn(
            { channel: this.#options.channel, err: error },
            'publishing waits for the ledger',
          );
          this.#needsReload = true;
          await this.#alarm.sleep(jittered(this.#settings.repeatMs * 2));
        }
      }
    } finally {
      this.#isTermOver = true;
      term.ended.removeEventListener('abort', onEnd);
      await Promise.allSettled(this.#tasks);
      this.#forget();
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

  #isOver(term: LeaseTerm): boolean {
    return this.#isClosed || this.#isTermOver || term.ended.aborted;
  }

  #forget(): void {
    this.#lanes.clear();
    this.#busy.clear();
    this.#putOff.clear();
    this.#repeats.clear();
    this.#nextDueMs = Number.POSITIVE_INFINITY;
  }

  #mustReload(): boolean {
    const isFull = this.#lanes.hasOverflowed && this.#lanes.size === 0;
    const isLongAgo = performance.now() - this.#reloadedAtMs > this.#settings.reloadEveryMs;
    return this.#needsReload || (isFull && isLongAgo);
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
      this.#repeats.set(record.writeId, { record, dueAtMs: 0 });
      this.#due(0);
    }
    const marks = await ledger.pending(channel, this.#settings.pendingInMemory);
    this.#lanes.refill();
    for (const { listingId, seq } of marks) {
      if (!this.#putOff.has(listingId)) {
        this.#lanes.add({ listingId, seq, causedAtMs: undefined, lane: 'lowered' });
      }
    }
    this.#reloadedAtMs = performance.now();
  }

  /** One look at the most urgent listings; false when there is nothing to do now. */
  async #look(term: LeaseTerm): Promise<boolean> {
    const { channel, connector, metrics } = this.#options;
    const nowMs = performance.now();
    this.#recall(nowMs);
    metrics.backlog.set({ channel }, this.backlog);
    const slots = this.#settings.requestsInFlight - this.#requestsInFlight;
    if (slots <= 0 || nowMs < this.#pausedUntilMs || !this.#options.mayPublish()) return false;
    const limit = Math.min(this.#settings.listingsPerLook, slots * connector.capabilities.lowerBatchSize);
    const isBusy = (listingId: ListingId): boolean => nowMs < (this.#busy.get(listingId) ?? 0);
    const urgent = this.#lanes.take(limit, isBusy);
    if (urgent.length === 0) return false;
    const taken = this.#withSiblings(urgent, isBusy);
    for (const { listingId } of taken) this.#occupy(listingId);
    const looked: Looked[] = [];
    const unneeded: Unneeded[] = [];
    let position: Position | undefined;
    try {
      const view = await this.#read(taken);
      position = view.position;
      for (const one of taken) {
        const row = view.rows.get(one.listingId);
        if (row === undefined) continue;
        const decided = this.#decide(one, row, view.rows, position);
        if (decided === 'unneeded') unneeded.push({ pending: one, view: row });
        else if (decided !== 'put-off') looked.push(decided);
      }
    } catch (error) {
      for (const one of taken) this.#release(one);
      throw error;
    }
    const sending = new Set(this.#dispatch(term, looked, slots));
    for (const planned of looked) if (!sending.has(planned)) this.#release(planned.pending);
    const dropped = new Set(unneeded.map(({ pending }) => pending.listingId));
    const kept = new Set(looked.map(({ listingId }) => listingId));
    for (const { listingId } of taken) {
      if (!dropped.has(listingId) && !kept.has(listingId)) this.#busy.delete(listingId);
    }
    if (unneeded.length > 0) this.#track(this.#dropMarks(term, unneeded, position.seq));
    return true;
  }

  /** What one of them ought to show depends on the others: they are decided from one view. */
  #withSiblings(
    pending: readonly PendingListing[],
    isBusy: (listingId: ListingId) => boolean,
  ): readonly PendingListing[] {
    const { listing, ports } = this.#options;
    const all = new Map(pending.map((one) => [one.listingId, one]));
    for (const one of pending) {
      const mapped = listing(one.listingId);
      if (mapped === undefined) continue;
      for (const { listingId } of ports.siblingsOf(mapped)) {
        if (all.has(listingId) || isBusy(listingId)) continue;
        all.set(listingId, this.#lanes.pull(listingId) ?? { ...one, listingId, causedAtMs: undefined });
      }
    }
    return [...all.values()];
  }

  /** The listings and, for what they show, also those siblings whose requests are under way. */
  async #read(
    taken: readonly PendingListing[],
  ): Promise<{ position: Position; rows: ReadonlyMap<ListingId, ListingView> }> {
    const { channel, ledger, listing, ports } = this.#options;
    const skus = new Map<ListingId, MappedListing['sku']>();
    for (const { listingId } of taken) {
      const mapped = listing(listingId);
      if (mapped === undefined) continue;
      for (const sibling of ports.siblingsOf(mapped)) skus.set(sibling.listingId, sibling.sku);
      skus.set(listingId, mapped.sku);
    }
    const view = await ledger.readListings(
      channel,
      [...skus].map(([listingId, sku]) => ({ listingId, sku })),
    );
    return { position: view.position, rows: new Map(view.rows.map((row) => [row.listingId, row])) };
  }

  #decide(
    pending: PendingListing,
    view: ListingView,
    views: ReadonlyMap<ListingId, ListingView>,
    position: Position,
  ): Looked | 'unneeded' | 'put-off' {
    const { connector, rules, ports, listing } = this.#options;
    const { listingId, state } = view;
    const mapped = listing(listingId);
    if (mapped === undefined || !isWritable(mapped)) return 'unneeded';
    const units = ports.targetOf(mapped, view);
    if (units === undefined) return this.#learn(pending, state);
    const target = this.#ownPart(mapped, units, views);
    const decision = rules.decide(state, target, this.#options.nowMs());
    switch (decision.kind) {
      case 'none':
        return 'unneeded';
      case 'read-first':
        ports.needsRead(listingId, decision.notBeforeMs);
        return this.#putOffFor(pending, this.#settings.maxRepeatMs);
      case 'wait': {
        const awaitedMs = rules.pullAwaitedMs(state);
        if (decision.reason === 'orders-not-pulled' && awaitedMs !== undefined)
          ports.needsPull(listingId, awaitedMs);
        const untilMs = decision.untilMs ?? Number.POSITIVE_INFINITY;
        const waitMs = Math.max(1, untilMs - this.#options.nowMs());
        return this.#putOffFor(pending, Math.min(waitMs, this.#settings.maxRepeatMs));
      }
      case 'edited':
        // A report leaves the difference in the listing's state: lowerings go on, raises wait for a person.
        if (ports.edited(mapped, decision.from, decision.to) === 'report') return 'unneeded';
        break;
      case 'lower':
      case 'raise':
        break;
    }
    const waitMs = this.#setbacks.waitMs(listingId, performance.now());
    if (waitMs > 0) return this.#putOffFor(pending, waitMs);
    return {
      pending,
      listingId,
      sku: mapped.sku,
      view,
      position,
      kind: rules.recordKind(decision.kind),
      isRaise: decision.kind !== 'lower',
      from: decision.from,
      to: decision.to,
      urgency: {
        target,
        belief: beliefOf(state),
        unitsPerHour: soldLately(state, this.#options.nowMs()),
        lagMs: connector.capabilities.applyGraceMs + this.#settings.assumedLagMs,
        seq: pending.seq,
      },
    };
  }

  /** Its part of what it and its siblings show together. While one of them is unknown, none may be raised. */
  #ownPart(mapped: MappedListing, units: number, views: ReadonlyMap<ListingId, ListingView>): number {
    const siblings = this.#options.ports.siblingsOf(mapped);
    if (siblings.length <= 1) return units;
    const shown: number[] = [];
    let own = 0;
    for (const { listingId } of siblings) {
      const state = views.get(listingId)?.state;
      const belief = state === undefined ? undefined : beliefOf(state);
      if (listingId === mapped.listingId) own = shown.length;
      if (belief === undefined) this.#options.ports.needsRead(listingId, 0);
      shown.push(belief ?? Number.NaN);
    }
    if (!shown.some(Number.isNaN)) return shareOut(units, shown)[own] ?? 0;
    const ownShown = shown[own];
    return ownShown === undefined || Number.isNaN(ownShown) ? 0 : Math.min(units, Math.max(0, ownShown));
  }

  /** Nothing may be said yet, but what the listing shows is learnt: its settled base can be the opening figure. */
  #learn(pending: PendingListing, state: ListingState): 'unneeded' | 'put-off' {
    const { ports, rules } = this.#options;
    if (state.base === undefined) ports.needsRead(pending.listingId, 0);
    else {
      const awaitedMs = rules.pullAwaitedMs(state);
      if (awaitedMs === undefined) return 'unneeded';
      ports.needsPull(pending.listingId, awaitedMs);
    }
    return this.#putOffFor(pending, this.#settings.maxRepeatMs);
  }

  /** Starts as many requests as there are slots, most urgent first; answers the rows that are on their way. */
  #dispatch(term: LeaseTerm, looked: readonly Looked[], slots: number): readonly Looked[] {
    const { mode, ports } = this.#options;
    if (looked.length === 0) return [];
    if (mode !== 'live') {
      for (const { listingId, sku, kind, from, to } of looked)
        ports.planned({ listingId, sku, kind, from, to });
      const seq = looked[0]?.position.seq ?? 0;
      this.#track(this.#dropMarks(term, looked, seq));
      return looked;
    }
    const batches = this.#batches(looked).slice(0, slots);
    for (const batch of batches) {
      this.#requestsInFlight++;
      this.#track(
        this.#send(term, batch).finally(() => {
          this.#requestsInFlight--;
          this.#alarm.ring();
        }),
      );
    }
    return batches.flat();
  }

  #batches(looked: readonly Looked[]): readonly (readonly Looked[])[] {
    const { lowerBatchSize, raiseBatchSize } = this.#options.connector.capabilities;
    const open = new Map<string, Looked[]>();
    const batches: Looked[][] = [];
    for (const planned of looked.toSorted((a, b) => compareUrgency(a.urgency, b.urgency))) {
      const { kind, isRaise, listingId } = planned;
      const size = Math.min(isRaise ? raiseBatchSize : lowerBatchSize, this.#setbacks.batchLimit(listingId));
      const group = `${kind} ${isRaise} ${size}`;
      let batch = open.get(group);
      if (batch === undefined || batch.length >= size) {
        batch = [];
        open.set(group, batch);
        batches.push(batch);
      }
      batch.push(planned);
    }
    // Lowerings never wait for a slot that a raise could leave free.
    return [...batches.filter((batch) => !isRaising(batch)), ...batches.filter(isRaising)];
  }

  async #send(term: LeaseTerm, batch: readonly Looked[]): Promise<void> {
    const { channel, sender, nowMs, metrics, log } = this.#options;
    const first = batch[0];
    if (first === undefined) return;
    // A raise keeps nobody waiting: it counts as applied, and a lowering goes past it at once.
    if (isRaising(batch)) for (const { listingId } of batch) this.#busy.delete(listingId);
    let rows = batch;
    try {
      for (;;) {
        const sentAtMs = nowMs();
        const sent = await sender.submit(
          term,
          {
            kind: first.kind,
            rows: rows.map(({ listingId, view, from, to }) => ({
              listingId,
              ref: this.#refOf(listingId),
              from,
              to,
              takenAt: view.state.taken,
            })),
            position: first.position,
            token: term.token,
            nowMs: sentAtMs,
          },
          new Map(rows.map(({ listingId, view }) => [listingId, view.state.version])),
        );
        if (sent.kind === 'conflict') {
          const conflicts = new Set(sent.listings);
          for (const { listingId, pending } of rows) if (conflicts.has(listingId)) this.#release(pending);
          const left = rows.filter(({ listingId }) => !conflicts.has(listingId));
          if (left.length === 0 || left.length === rows.length) {
            for (const { pending } of left) this.#release(pending);
            return;
          }
          rows = left;
          continue;
        }
        metrics.requests.inc({ channel, kind: first.kind });
        this.#observe(rows, sentAtMs);
        this.#ended(sent, rows);
        return;
      }
    } catch (error) {
      // The record may be stored and the request sent: only the ledger knows.
      log.warn({ channel, err: error, rows: rows.length }, 'a write could not be recorded or settled');
      for (const { pending } of rows) this.#release(pending);
      this.#needsReload = true;
    }
  }

  #ended(sent: Exclude<Sent, { kind: 'conflict' }>, rows: readonly Looked[]): void {
    const byId = new Map(rows.map((row) => [row.listingId, row.pending]));
    switch (sent.kind) {
      case 'term-over':
        this.#isTermOver = true;
        return;
      case 'not-now':
      case 'throttled':
        this.#pause(sent.retryInMs);
        for (const { pending } of rows) this.#release(pending);
        return;
      case 'open':
        this.#repeatLater(sent.record);
        this.#judge(sent.rows, rows.length, byId, rows[0]?.kind ?? 'lower');
        for (const { listingId } of rows) this.#busy.delete(listingId);
        return;
      case 'settled':
        this.#judge(sent.rows, rows.length, byId, rows[0]?.kind ?? 'lower');
        this.#lookAgain(sent.rows, rows);
        for (const { listingId } of rows) this.#busy.delete(listingId);
        return;
    }
  }

  /** Rows somebody else settled meanwhile (a read that closed the write): their marks still stand. */
  #lookAgain(ended: readonly SettledOutcome[], rows: readonly { readonly listingId: ListingId }[]): void {
    const judged = new Set(ended.map(({ listingId }) => listingId));
    for (const { listingId } of rows) {
      if (!judged.has(listingId)) this.#lanes.add(unknownCause(listingId));
    }
  }

  /** Rows whose record is closed. Whatever is not on the shelf is looked at again, and the rules say what it needs. */
  #judge(
    ended: readonly SettledOutcome[],
    batchRows: number,
    pendings: ReadonlyMap<ListingId, PendingListing>,
    kind: WriteRecord['kind'],
  ): void {
    const { channel, metrics, ports, nowMs } = this.#options;
    // When every row of a larger batch is refused, the platform named no culprit.
    const isNamed = batchRows === 1 || ended.some(({ outcome }) => outcome.kind !== 'rejected');
    for (const { listingId, outcome, isDone } of ended) {
      metrics.rows.inc({ channel, kind, outcome: outcome.kind });
      const pending = pendings.get(listingId) ?? unknownCause(listingId);
      if (outcome.kind === 'confirmed') {
        if (pending.causedAtMs !== undefined)
          metrics.saleToShelfS.observe({ channel }, Math.max(0, nowMs() - pending.causedAtMs) / 1000);
        if (this.#setbacks.clear(listingId)) ports.unparked(listingId);
      } else if (outcome.kind === 'rejected') this.#refused(listingId, outcome, isNamed, batchRows);
      if (!isDone)
        this.#lanes.add(outcome.kind === 'confirmed' ? { ...pending, causedAtMs: undefined } : pending);
      // What waited for the end of this write may go on.
      const waiting = this.#putOff.get(listingId);
      if (waiting === undefined) continue;
      this.#putOff.delete(listingId);
      this.#lanes.add(waiting.pending);
    }
  }

  #refused(
    listingId: ListingId,
    outcome: Extract<RowOutcome, { kind: 'rejected' }>,
    isNamed: boolean,
    batchRows: number,
  ): void {
    const { channel, metrics, ports, listing, log } = this.#options;
    const { isPermanent, reason } = outcome;
    const verdict = this.#setbacks.refused(listingId, { isPermanent, isNamed, batchRows }, performance.now());
    log.warn({ channel, listingId, reason, verdict }, 'the platform refused a row');
    const mapped = listing(listingId);
    if (verdict !== 'parked' || mapped === undefined) return;
    metrics.parked.inc({ channel });
    ports.parked(mapped, reason);
  }

  #repeatLater(record: WriteRecord): void {
    const backOffMs = this.#settings.repeatMs * 2 ** Math.min(record.attempts - 1, 20);
    const waitMs = jittered(Math.min(backOffMs, this.#settings.maxRepeatMs));
    const dueAtMs = performance.now() + waitMs;
    this.#repeats.set(record.writeId, { record, dueAtMs });
    this.#due(dueAtMs);
  }

  #sendRepeats(term: LeaseTerm): void {
    const nowMs = performance.now();
    if (this.#options.mode !== 'live' || nowMs < this.#pausedUntilMs || !this.#options.mayPublish()) return;
    for (const [writeId, { record, dueAtMs }] of this.#repeats) {
      if (this.#requestsInFlight >= this.#settings.requestsInFlight) return;
      if (dueAtMs > nowMs) {
        this.#due(dueAtMs);
        continue;
      }
      // An unknown raise is repeated only when no lowering of its listings waits: the lowering goes first. Not for ever,
      // as one that always sells would keep the others of its batch unknown; the order is only a courtesy.
      const isYoung = this.#options.nowMs() - record.sentAtMs < this.#settings.maxRepeatMs;
      const isRaise = record.kind === 'raise' && isYoung;
      if (isRaise && record.rows.some(({ listingId }) => this.#isLowering(listingId))) {
        this.#due(nowMs + 10);
        continue;
      }
      this.#repeats.delete(writeId);
      this.#requestsInFlight++;
      this.#track(
        this.#repeat(term, record).finally(() => {
          this.#requestsInFlight--;
          this.#alarm.ring();
        }),
      );
    }
  }

  async #repeat(term: LeaseTerm, record: WriteRecord): Promise<void> {
    const { channel, sender, metrics, log } = this.#options;
    try {
      const sent = await sender.repeat(term, record);
      metrics.requests.inc({ channel, kind: record.kind });
      if (sent.kind === 'settled') {
        this.#judge(sent.rows, record.rows.length, new Map(), record.kind);
        this.#lookAgain(sent.rows, record.rows);
      } else if (sent.kind === 'open') {
        this.#judge(sent.rows, record.rows.length, new Map(), record.kind);
        this.#repeatLater(sent.record);
      } else if (sent.kind === 'term-over') this.#isTermOver = true;
      else {
        if (sent.kind !== 'conflict') this.#pause(sent.retryInMs);
        this.#repeatLater(record);
      }
    } catch (error) {
      log.warn({ channel, writeId: record.writeId, err: error }, 'a write could not be resolved yet');
      this.#repeatLater({ ...record, attempts: record.attempts + 1 });
    }
  }

  #isLowering(listingId: ListingId): boolean {
    const lane: Lane | undefined = this.#lanes.laneOf(listingId);
    return this.#busy.has(listingId) || lane === 'sold-out' || lane === 'lowered';
  }

  /** Marks not newer than what was looked at. A listing that moved since is looked at again. */
  async #dropMarks(term: LeaseTerm, looked: readonly Unneeded[], seq: number): Promise<void> {
    const { channel, ledger, metrics, log } = this.#options;
    metrics.unneeded.inc({ channel }, looked.length);
    let left = looked;
    try {
      while (left.length > 0) {
        const result = await ledger.settle(channel, term.token, {
          changes: left.map(({ view: { listingId, state } }) => ({
            listingId,
            expectedVersion: state.version,
            next: state,
            settledSeq: seq,
          })),
          closeWrites: [],
          settlementId: randomUUID(),
        });
        if (result.kind !== 'conflict') break;
        const moved = new Set(result.listings);
        for (const { pending } of left) if (moved.has(pending.listingId)) this.#lanes.add(pending);
        if (moved.size === 0) break;
        left = left.filter(({ pending }) => !moved.has(pending.listingId));
      }
    } catch (error) {
      // The marks are still there: they are found again when the ledger answers.
      log.warn({ channel, err: error }, 'marks were not dropped');
      this.#needsReload = true;
    } finally {
      for (const { pending } of looked) this.#busy.delete(pending.listingId);
      this.#alarm.ring();
    }
  }

  #observe(rows: readonly Looked[], sentAtMs: number): void {
    const { channel, metrics } = this.#options;
    for (const { pending } of rows) {
      if (pending.causedAtMs === undefined) continue;
      metrics.entryToRequestS.observe({ channel }, Math.max(0, sentAtMs - pending.causedAtMs) / 1000);
    }
  }

  #refOf(listingId: ListingId): MappedListing['ref'] {
    const mapped = this.#options.listing(listingId);
    if (mapped === undefined) throw new TypeError('a listing left the map while its request was made');
    return mapped.ref;
  }

  #occupy(listingId: ListingId): void {
    this.#busy.set(listingId, performance.now() + this.#settings.overtakeMs);
  }

  #release(pending: PendingListing): void {
    this.#busy.delete(pending.listingId);
    this.#lanes.add(pending);
  }

  #putOffFor(pending: PendingListing, waitMs: number): 'put-off' {
    const dueAtMs = performance.now() + waitMs;
    this.#putOff.set(pending.listingId, { pending, dueAtMs });
    this.#due(dueAtMs);
    return 'put-off';
  }

  #recall(nowMs: number): void {
    if (nowMs < this.#nextDueMs) return;
    this.#nextDueMs = Number.POSITIVE_INFINITY;
    for (const [listingId, { pending, dueAtMs }] of this.#putOff) {
      if (dueAtMs > nowMs) {
        this.#due(dueAtMs);
        continue;
      }
      this.#putOff.delete(listingId);
      this.#lanes.add(pending);
    }
    for (const { dueAtMs } of this.#repeats.values()) this.#due(Math.max(dueAtMs, nowMs + 1));
  }

  #due(atMs: number): void {
    this.#nextDueMs = Math.min(this.#nextDueMs, atMs);
  }

  #pause(ms: number): void {
    const pauseMs = Math.min(ms, this.#settings.maxPauseMs);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, performance.now() + pauseMs);
    this.#due(this.#pausedUntilMs);
  }

  /** Rings cut it short: an offer, the end of a request. */
  #sleepMs(): number {
    const nowMs = performance.now();
    let untilMs = Math.min(this.#nextDueMs, nowMs + 1_000);
    if (this.#lanes.size > 0 && this.#requestsInFlight < this.#settings.requestsInFlight) {
      for (const freeAtMs of this.#busy.values()) if (freeAtMs > nowMs) untilMs = Math.min(untilMs, freeAtMs);
    }
    return Math.max(1, Math.max(untilMs, this.#pausedUntilMs) - nowMs);
  }

  #track(task: Promise<void>): void {
    const kept = task.catch((error: unknown) => {
      this.#options.log.error({ channel: this.#options.channel, err: error }, 'publisher task failed');
    });
    this.#tasks.add(kept);
    void kept.finally(() => this.#tasks.delete(kept));
  }
}

function isRaising(batch: readonly Looked[]): boolean {
  return batch[0]?.isRaise === true;
}

function soldLately(state: ListingState, nowMs: number): number {
  let units = 0;
  for (const rise of state.rises) if (rise.units > 0 && rise.atMs > nowMs - 3_600_000) units += rise.units;
  return units;
}

function unknownCause(listingId: ListingId): PendingListing {
  return { listingId, seq: 0, causedAtMs: undefined, lane: 'other' };
}
