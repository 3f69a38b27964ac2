// Long on purpose: one place puts the parts of a channel together and says what each is given.
import type { ToldLevel } from '../connectors/connector.ts';
import type { ListingId, LocationId, Sku } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import type { Target } from '../domain/policy.ts';
import { type Staleness, fresh } from '../domain/staleness.ts';
import type { ListingsView, ListingView, WriteRecord } from '../ledger/contract.ts';
import { publisherLease } from '../ledger/write-commands.ts';
import { BaseBuilder } from './base-builder.ts';
import { Breaker, type BreakerState, defaultBreakerSettings } from './breaker.ts';
import type { ChannelPublishingOptions } from './channel-publishing-options.ts';
import { ChannelLease, type LeaseTerm } from './channel-lease.ts';
import { ChannelJournal } from './channel-journal.ts';
import { BlastGuard, type GuardView } from './blast-guard.ts';
import { ExposureMeter, type ExposureView } from './exposure-meter.ts';
import { listingsShowing, skusBeside } from './bundle-listings.ts';
import { channelTarget } from './channel-target.ts';
import { forgetBases, forgetSome } from './forget-bases.ts';
import { type CompletedWalk, OrderPoll } from './order-poll.ts';
import { parkedEntry, parkedRowId } from './parked-rows.ts';
import { defaultPublishTimes, publishRules } from './publish-rules.ts';
import { PlannedWrites, type WritePlan } from './planned-writes.ts';
import { type PublisherPorts, defaultPublisherSettings } from './publisher-options.ts';
import { Publisher } from './publisher.ts';
import { ReadBackClock } from './read-back-clock.ts';
import { RequestSender, type SettledOutcome } from './request-sender.ts';
import { ShelfLag } from './shelf-lag.ts';
import { siblingsOf } from './sibling-listings.ts';
import type { LevelCopy } from './level-copy.ts';
import type { MappedListing, SkuMap } from './sku-map.ts';

const dayMs = 86_400_000;

/** Everything that lives as long as one term of the lease; what it knows in memory ends with it. */
interface TermParts {
  readonly publisher: Publisher;
  readonly builder: BaseBuilder;
  readonly poll: OrderPoll;
  readonly token: number;
}

/**
 * One channel's part of the mesh: whoever holds its lease polls its orders, follows the log for it, keeps its bases and
 * publishes to it.
 *
 *   waiting for the lease --taken--> term: fan-out joined, publisher, base builder and order poll running
 *   term --lease lost--> everything of the term stopped, nothing more is sent --> waiting
 *   any --close--> requests under way end, lease given up --> closed
 *
 * All requests of the channel go through its own breaker and its own slots, so other channels never feel it.
 */
export class ChannelPublishing {
  readonly breaker: Breaker;
  readonly #options: ChannelPublishingOptions;
  readonly #lease: ChannelLease;
  readonly #journal: ChannelJournal | undefined;
  readonly #planned = new PlannedWrites();
  readonly #guard: BlastGuard | undefined;
  #parts: TermParts | undefined;
  #answers = 0;
  readonly #readBack: ReadBackClock;
  readonly #lag: ShelfLag;
  readonly #exposure: ExposureMeter | undefined;

  constructor(options: ChannelPublishingOptions) {
    this.#options = options;
    const { settings, connector, tuning, metrics, log, ledger, holder } = options;
    const channel = settings.id;
    const { journal, nowMs } = options;
    this.#journal = journal === undefined ? undefined : new ChannelJournal(journal, channel, nowMs);
    if (options.exposure !== undefined && connector.capabilities.writes === 'absolute') {
      const { unitsPerHour } = options;
      this.#exposure = new ExposureMeter({
        channel,
        applyGraceMs: connector.capabilities.applyGraceMs,
        unitsPerHour: (sku, atMs) => unitsPerHour?.(sku as Sku, atMs) ?? 0,
        metrics: options.exposure,
      });
    }
    const { assumedLagMs } = { ...defaultPublisherSettings, ...tuning?.publisher };
    this.#lag = new ShelfLag(connector.capabilities.applyGraceMs + assumedLagMs);
    this.#readBack = new ReadBackClock((ms) => {
      metrics.saleToReadBackS.observe({ channel }, ms / 1_000);
      // Where writes are confirmed, readings come late and seldom: they say nothing of the shelf.
      if (connector.capabilities.writes === 'absolute') this.#lag.took(ms);
    }, nowMs);
    this.breaker = new Breaker({ ...defaultBreakerSettings, ...tuning?.breaker }, undefined, (state) => {
      metrics.breakerOpen.set({ channel }, state === 'closed' ? 0 : 1);
      log.warn({ channel, state }, 'the circuit of the channel changed');
    });
    if (options.guard !== undefined) {
      this.#guard = new BlastGuard({
        ...options.guard,
        channel,
        listings: () => options.map.size,
        mesh: options.mesh,
        onChanged: ({ heldListings }) => metrics.guardHeld.set({ channel }, heldListings),
        log,
      });
    }
    // A lease must outlive the longest request by far: it is renewed, but a request may begin at any moment of it.
    const ttlMs = tuning?.leaseTtlMs ?? connector.capabilities.requestTimeoutMs * 2 + 3_000;
    const spareMs = Math.max(30, ttlMs - connector.capabilities.requestTimeoutMs);
    this.#lease = new ChannelLease(
      ledger,
      publisherLease(channel),
      holder,
      { ttlMs, renewEveryMs: spareMs / 4, retryEveryMs: Math.min(1_000, spareMs / 4) },
      log,
    );
  }

  get isPublishing(): boolean {
    return this.#parts !== undefined;
  }

  get backlog(): number {
    return this.#parts?.publisher.backlog ?? 0;
  }

  /** Write requests answered and settled by this process; only ever compared with itself. */
  get answers(): number {
    return this.#answers;
  }

  get circuit(): BreakerState {
    return this.breaker.state;
  }

  /** `dry-run` and `observe`: listings to which a write would have been sent. */
  get planned(): number {
    return this.#planned.size;
  }

  /** What absolute writes left exposed in the last hour; undefined: the platform takes differences. */
  get exposure(): ExposureView | undefined {
    return this.#exposure?.view(this.#options.nowMs());
  }

  plan(limit: number): WritePlan {
    return this.#planned.plan(limit);
  }

  /** SKUs whose levels, beside its own, decide what its listings may show. */
  skusBeside(sku: Sku): readonly Sku[] {
    return skusBeside(this.#options.catalogue, sku);
  }

  /** What a listing ought to show by the channel's policy, rule by rule. */
  targetOf(listing: MappedListing, view: ListingView): Target {
    const { policies, catalogue } = this.#options;
    return channelTarget({ policies, catalogue }, listing, view, this.staleness.bufferUnits);
  }

  get staleness(): Staleness {
    return this.#options.staleness?.() ?? fresh;
  }

  /** It became stale, or fresh: what every listing ought to show may be another number. */
  async stalenessChanged(): Promise<void> {
    if (this.#parts !== undefined) await this.#resyncAfterStaleness();
  }

  /**
   * As `views`, with the levels that are in memory, for less than half the price; undefined while memory is behind the
   * states that Redis answered.
   */
  async viewsBy(copy: LevelCopy, listings: readonly MappedListing[]): Promise<ListingsView | undefined> {
    const { settings, catalogue } = this.#options;
    const { position, rows } = await this.states(listings);
    if (copy.position.epoch !== position.epoch || copy.position.seq < position.seq) return undefined;
    return {
      position,
      rows: rows.map((row, index) => {
        const settlesHere = new Map<LocationId, number>();
        for (const location of listings[index]?.locations ?? []) {
          const units = copy.settlingOn(row.sku, settings.id, location);
          if (units !== 0) settlesHere.set(location, units);
        }
        const skus = [row.sku, ...(catalogue.componentsOf(row.sku) ?? []).map(({ sku }) => sku)];
        const levels = new Map(skus.map((sku) => [sku, copy.levelsOf(sku) ?? new Map()]));
        return { ...row, levels, settlesHere };
      }),
    };
  }

  /** What is known of listings, without levels: half the price for Redis. */
  states(listings: readonly MappedListing[]): Promise<ListingsView> {
    const { ledger, settings } = this.#options;
    return ledger.readListings(settings.id, listings, 'state');
  }

  /** Listings and levels as of one moment, with what their targets are made from. */
  views(listings: readonly MappedListing[]): Promise<ListingsView> {
    const { ledger, settings, catalogue } = this.#options;
    return ledger.readListings(
      settings.id,
      listings.map(({ listingId, sku }) => {
        const components = catalogue.componentsOf(sku)?.map((component) => component.sku);
        return components === undefined ? { listingId, sku } : { listingId, sku, components };
      }),
    );
  }

  start(): void {
    this.#lease.start((term) => this.#run(term));
  }

  /** Ends within the publisher's drain limit. */
  async close(): Promise<void> {
    await this.#parts?.publisher.close();
    await this.#lease.close();
  }

  /** The mode is another: the term ends, and the next one works in it. */
  modeChanged(): void {
    this.#planned.clear();
    this.#lease.endTerm();
  }

  /** What the guard holds; undefined: the channel has none. */
  guardView(): GuardView | undefined {
    return this.#guard?.view();
  }

  /** A person says that the run up to this sequence is meant. Answers how many listings were held. */
  async confirmRun(seq: number): Promise<number> {
    const held = (await this.#guard?.confirm(seq)) ?? [];
    for (const listingId of held) this.#parts?.publisher.resume(listingId);
    return held.length;
  }

  /** A person has said that the next change of these listings is meant. */
  allow(listingIds: readonly ListingId[]): void {
    this.#guard?.allow(listingIds);
  }

  /** Items whose level changed at the platform, and what it said of them. */
  doorbell(itemIds: readonly string[], told: readonly ToldLevel[] = []): void {
    const { map } = this.#options;
    const rung = itemIds.flatMap((itemId) => {
      const all = map.ofItem(itemId).map(({ listingId }) => listingId);
      const named = all.filter((listingId) => told.some(({ listingKey }) => listingKey === listingId));
      return named.length > 0 ? named : all;
    });
    this.#parts?.builder.doorbell(rung, told);
  }

  /** Listings are new, or became writable: they are looked at. */
  listingsChanged(listings: readonly MappedListing[]): void {
    for (const { listingId } of listings) this.#parts?.publisher.changed(listingId);
  }

  /** These listings are read, whatever is believed of them. */
  readAgain(listings: readonly MappedListing[]): void {
    this.#parts?.builder.doorbell(listings.map(({ listingId }) => listingId));
  }

  /**
   * What is believed of these listings is dropped, and read anew. `lost`: this daemon does not publish the channel; what
   * was done so far is done.
   */
  async forget(listings: readonly MappedListing[]): Promise<'forgotten' | 'lost'> {
    const parts = this.#parts;
    if (parts === undefined) return 'lost';
    const { ledger, settings } = this.#options;
    await forgetSome(ledger, settings.id, parts.token, listings, true);
    this.listingsChanged(listings);
    return 'forgotten';
  }

  /** A delivery of the channel arrived. */
  pushSeen(): void {
    this.#parts?.poll.pushSeen();
  }

  /**
   * Orders that changed until now (until after `afterMs`, ledger clock) are pulled and applied; undefined: this daemon
   * does not publish the channel.
   */
  pull(afterMs?: number): Promise<CompletedWalk | undefined> {
    return this.#parts?.poll.pull(afterMs) ?? Promise.resolve(undefined);
  }

  /** Like `pull`, but looks back that far, whatever the cursor says: for orders that every walk has missed. */
  pullSince(sinceMs: number): Promise<CompletedWalk | undefined> {
    return this.#parts?.poll.pullSince(sinceMs) ?? Promise.resolve(undefined);
  }

  /** The whole channel is looked at again, as if nothing were known of what changed. */
  async resync(): Promise<void> {
    const { settings, mesh, nowMs, fanOut } = this.#options;
    await mesh.moveCursor(`full:${settings.id}`, String(nowMs()), 'opaque');
    fanOut.resync(settings.id);
  }

  /** The ledger lost entries: nothing it says about this channel's listings is believed any more. */
  async distrust(): Promise<void> {
    const { settings, mesh, nowMs } = this.#options;
    await mesh.moveCursor(`distrust:${settings.id}`, String(nowMs()), 'opaque');
    await this.resync();
    this.#lease.endTerm();
  }

  async #run(term: LeaseTerm): Promise<void> {
    const { settings, connector, map, fanOut, log } = this.#options;
    const channel = settings.id;
    log.info({ channel, token: term.token, mode: settings.mode }, 'publishing lease taken');
    let parts: TermParts;
    if (settings.mode === 'off') return untilEnded(term);
    try {
      parts = await this.#build(term);
    } catch (error) {
      log.warn({ channel, err: error }, 'the channel could not be started');
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return;
    }
    const { publisher, builder, poll } = parts;
    this.#parts = parts;
    try {
      const running: Promise<void>[] = [builder.run(term)];
      // What changed at the platform while nobody listened rang no bell, or one that a crash has swallowed.
      builder.doorbell([...idsOf(map)]);
      poll.start();
      if (connector.capabilities.writes !== 'none') {
        running.push(publisher.run(term));
        fanOut.join({
          channel,
          listingsOf: (sku) => listingsShowing(map, this.#options.catalogue, sku),
          allListings: () => idsOf(map),
          offer: (listings) => publisher.offer(listings),
        });
      }
      await Promise.all(running);
    } finally {
      this.#parts = undefined;
      await Promise.all([fanOut.leave(channel), poll.close()]);
    }
  }

  async #build(term: LeaseTerm): Promise<TermParts> {
    const { settings, connector, map, ledger, mesh, sink, metrics, log, nowMs, tuning } = this.#options;
    const channel = settings.id;
    await this.#resyncAfterModeChange();
    await this.#resyncAfterStaleness();
    await this.#forgetAfterLoss(term);
    await this.#guard?.load();
    this.#exposure?.begin();
    const rules = publishRules(connector.capabilities, { ...defaultPublishTimes, ...tuning?.times });
    const { breaker } = this;
    const listing = (listingId: ListingId): MappedListing | undefined => map.listing(listingId);
    // Older orders than the platform shows are closed or adopted; which ones count is decided per listing.
    const sinceMs = Math.max(0, nowMs() - (this.#options.lookBackMs ?? 60 * dayMs));
    const poll = new OrderPoll({
      channel,
      connector,
      sink,
      mesh,
      breaker,
      log,
      nowMs,
      sinceMs,
      settings: tuning?.poll,
    });
    if (this.#options.onWalk !== undefined) poll.onWalk(this.#options.onWalk);
    const sender = new RequestSender({
      channel,
      connector,
      listing,
      ledger,
      rules,
      breaker,
      log,
      nowMs,
      onAccessLost: this.#options.onAccessLost,
      onWritten: (record, rows) => {
        this.#answers++;
        this.#journal?.written(record, rows, listing);
        if (this.#exposure !== undefined) this.#expose(this.#exposure, record, rows);
      },
    });
    const builder: BaseBuilder = new BaseBuilder({
      channel,
      connector,
      listing,
      listings: () => map.listings(),
      ledger,
      rules,
      poll,
      breaker,
      log,
      nowMs,
      settings: tuning?.baseBuilder,
      ports: {
        ready: (listingId, seq) => publisher.ready(listingId, seq),
        resume: (listingId) => publisher.resume(listingId),
        provenBy: (listingId, units) => publisher.provenBy(listingId, units),
        proven: (listingId, seq, state) => {
          this.#exposure?.looked(listingId, state);
          publisher.proven(listingId, seq);
        },
        settling: this.#options.settling,
        shown: (mapped, value) => {
          this.#readBack.shown(mapped.listingId, value);
          this.#journal?.shown(mapped, value);
        },
        foreign: (mapped, units, readAtMs) => this.#options.foreign?.note(channel, mapped, units, readAtMs),
        unreadable: (mapped, reason) => {
          // Stock in the platform's own warehouse is shown, never written: there is nothing for a person to do.
          if (!mapped.problems.includes('foreign-stock')) this.#park(mapped, reason);
        },
      },
    });
    const publisher: Publisher = new Publisher({
      channel,
      mode: settings.mode,
      connector,
      listing,
      ledger,
      sender,
      rules,
      metrics,
      log,
      nowMs,
      mayPublish: this.#options.mayPublish,
      settings: tuning?.publisher,
      ports: this.#ports(builder),
      guard: this.#guard,
    });
    return { publisher, builder, poll, token: term.token };
  }

  #expose(exposure: ExposureMeter, record: WriteRecord, outcomes: readonly SettledOutcome[]): void {
    const { writeId, sentAtMs } = record;
    const numbers = new Map(record.rows.map(({ listingId, to }) => [listingId, to]));
    for (const { listingId, outcome } of outcomes) {
      const sku = this.#options.map.listing(listingId)?.sku;
      const to = numbers.get(listingId);
      const isTaken = outcome.kind === 'accepted' || outcome.kind === 'confirmed';
      if (sku !== undefined && to !== undefined && isTaken)
        exposure.written(listingId, sku, { writeId, sentAtMs, to }, this.#options.nowMs());
    }
  }

  #readAtMs({ state }: ListingView): number | undefined {
    const asOfMs = state.base?.asOfMs;
    return asOfMs === undefined ? undefined : asOfMs + this.#options.connector.capabilities.readLagMs;
  }

  #ports(builder: BaseBuilder): PublisherPorts {
    const { catalogue, onEdited, log, settings, hasFigure } = this.#options;
    return {
      needsRead: (listingId, notBeforeMs, isAwaited) => builder.needsRead(listingId, notBeforeMs, isAwaited),
      needsPull: (listingId, afterMs) => builder.needsPull(listingId, afterMs),
      siblingsOf: (listing) => siblingsOf(this.#options.map, listing),
      levelsBeside: ({ sku }) => skusBeside(catalogue, sku),
      // A bundle can be sold once every one of its components was received.
      hasFigure: (listing) =>
        (catalogue.componentsOf(listing.sku) ?? [listing]).every(({ sku }) =>
          listing.locations.some((location) => hasFigure(sku, location)),
        ),
      withoutFigure: (listing, state) => {
        // Normally done when the base settled; a crash may have come in between.
        if (state.base?.settled === true) this.#open(listing, state);
      },
      targetOf: (listing, view) => {
        this.#planned.drop(listing.listingId);
        this.#exposure?.looked(listing.listingId, view.state);
        const target = this.targetOf(listing, view);
        this.#journal?.planned(listing.listingId, target, this.#readAtMs(view));
        return target.units;
      },
      raisesStopped: () => this.staleness.stopsRaises,
      edited: (listing, shows, target) => {
        const wanted = typeof onEdited === 'function' ? onEdited(listing, shows, target) : onEdited;
        const isRepaired = wanted === 'repair' && settings.mode === 'live';
        log.warn(
          { channel: settings.id, sku: listing.sku, shows, target, isRepaired },
          'edited on the channel',
        );
        if (!isRepaired)
          this.#park(listing, `edited on the channel: it shows ${shows}, it should show ${target}`);
        return wanted;
      },
      parked: (listing, reason) => this.#park(listing, reason),
      unparked: (listingId) => this.#unpark(listingId),
      written: (listingId, to, causedAtMs) => this.#readBack.written(listingId, to, causedAtMs),
      unitsPerHour: this.#options.unitsPerHour,
      tookToShelf: (ms) => this.#lag.took(ms),
      lagMs: () => this.#lag.ms,
      planned: (write) => {
        if (settings.mode === 'dry-run') log.info({ channel: settings.id, ...write }, 'would write');
        this.#planned.add(write);
      },
      isFrozen: (listingId) => this.#options.isFrozen?.(listingId) ?? false,
    };
  }

  #open(listing: MappedListing, state: ListingState): void {
    const { settling, log, settings } = this.#options;
    settling(listing, state).catch((error: unknown) => {
      log.warn({ channel: settings.id, sku: listing.sku, err: error }, 'a level could not be opened');
    });
  }

  #park(listing: MappedListing, reason: string): void {
    const { settings, mesh, log } = this.#options;
    const content = JSON.stringify({
      sku: listing.sku,
      item: listing.ref.itemId,
      place: listing.ref.locationId,
    });
    const row = { what: 'listing' as const, reference: listing.listingId, reason, content };
    mesh.park(parkedEntry(settings.id, row)).catch((error: unknown) => {
      log.warn(
        { channel: settings.id, sku: listing.sku, reason, err: error },
        'a listing could not be parked',
      );
    });
  }

  #unpark(listingId: ListingId): void {
    const { settings, mesh, log } = this.#options;
    mesh
      .unpark(parkedRowId(settings.id, { what: 'listing', reference: listingId }))
      .catch((error: unknown) =>
        log.warn({ channel: settings.id, listingId, err: error }, 'unparking failed'),
      );
  }

  async #forgetAfterLoss(term: LeaseTerm): Promise<void> {
    const { settings, mesh, ledger, map, log } = this.#options;
    const name = `distrust:${settings.id}`;
    const since = await mesh.cursor(name);
    if (since === null || since === '') return;
    await forgetBases(ledger, settings.id, term.token, [...map.listings()]);
    await mesh.moveCursor(name, '', 'opaque', since);
    log.warn({ channel: settings.id }, 'the ledger lost entries: every listing of the channel is read anew');
  }

  /** Durable, because raises that were stopped left no mark: whoever publishes when the data is fresh looks at everything. */
  async #resyncAfterStaleness(): Promise<void> {
    const { settings, mesh } = this.#options;
    const name = `stale:${settings.id}`;
    const { kind, bufferUnits, stopsRaises } = this.staleness;
    const now = kind === 'fresh' ? 'fresh' : `${bufferUnits} ${stopsRaises}`;
    const before = (await mesh.cursor(name)) ?? 'fresh';
    if (before === now) return;
    // In this order: a crash in between resyncs once too often.
    await this.resync();
    await mesh.moveCursor(name, now, 'opaque');
  }

  /** What was only watched dropped its marks: when a channel goes live every listing is looked at. */
  async #resyncAfterModeChange(): Promise<void> {
    const { settings, mesh } = this.#options;
    const name = `mode:${settings.id}`;
    const before = await mesh.cursor(name);
    const isLive = settings.mode === 'live';
    if (isLive && before === 'live') return;
    // A plan of what would be sent lives in memory: it is made anew from every listing.
    if (!isLive || before !== null) {
      await mesh.moveCursor(`full:${settings.id}`, before ?? settings.mode, 'opaque');
    }
    await mesh.moveCursor(name, settings.mode, 'opaque');
  }
}

/** Switched off: the lease is kept, so that no other daemon takes it either, and nothing is done with it. */
function untilEnded({ ended }: LeaseTerm): Promise<void> {
  if (ended.aborted) return Promise.resolve();
  return new Promise((resolve) => ended.addEventListener('abort', () => resolve(), { once: true }));
}

function* idsOf(map: SkuMap): Iterable<ListingId> {
  for (const { listingId } of map.listings()) yield listingId;
}
