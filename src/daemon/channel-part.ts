// Long on purpose: one channel's life in the daemon, from its restored map to its end.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ChannelConfig } from '../config/configuration.ts';
import type { Connector, ToldLevel } from '../connectors/connector.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import { jittered } from '../mesh/alarm.ts';
import type { ChannelPublishing } from '../mesh/channel-publishing.ts';
import type { ChannelStates } from '../mesh/channel-state.ts';
import type { ChannelSettings } from '../mesh/channel.ts';
import type { CountIntake } from '../mesh/count-intake.ts';
import { Discovery } from '../mesh/discovery.ts';
import type { ForeignStock } from '../mesh/foreign-stock.ts';
import type { Ingest } from '../mesh/ingest.ts';
import type { Task } from '../mesh/schedules.ts';
import type { LearnResult, SkuMap } from '../mesh/sku-map.ts';
import type { SkuMapStore } from '../mesh/sku-map-store.ts';
import type { Baselines } from './baselines.ts';
import type { LedgerPart } from './ledger-part.ts';

export interface ChannelPartOptions {
  readonly config: ChannelConfig;
  readonly settings: ChannelSettings;
  readonly connector: Connector;
  readonly map: SkuMap;
  readonly store: SkuMapStore;
  readonly publishing: ChannelPublishing;
  /** Of a warehouse, instead of the publishing. */
  readonly counting: CountIntake | undefined;
  readonly ledger: LedgerPart;
  readonly baselines: Baselines;
  readonly ingest: Ingest;
  readonly states: ChannelStates;
  readonly foreign: ForeignStock;
  readonly log: Logger;
  readonly publicUrl: string | undefined;
  /** When a person has to renew the access at the latest; undefined: nobody says. */
  readonly accessEndsAtMs: () => number | undefined;
  /** False: another process polls and publishes it; this one only keeps its map for orders. */
  readonly publishes: boolean;
  /** Its map changed: other channels may know more now. */
  readonly onMapChanged?: ((channel: ChannelId) => void) | undefined;
}

const maxRetryMs = 60_000;
const listingsPerRead = 500;

/**
 * One channel in the daemon.
 *
 *   restored (its map of the last run) --start--> connecting: access, subscriptions, listings, each until it succeeds
 *   connecting --listings read once--> publishing
 *   any --close--> closed
 *
 * A platform that cannot be reached holds up its own channel only.
 */
export class ChannelPart {
  readonly #options: ChannelPartOptions;
  readonly #discovery: Discovery;
  readonly #closing = new AbortController();
  #connecting: Promise<void> | undefined;
  #replaying: Promise<void> = Promise.resolve();
  readonly #settled = new Set<ListingId>();
  #readAtMs = performance.now();
  #isPublishing = false;

  constructor(options: ChannelPartOptions) {
    this.#options = options;
    const { settings, connector, map, store, ledger, states, log } = options;
    this.#discovery = new Discovery({
      channel: settings.id,
      connector,
      map,
      store,
      mesh: ledger.mesh,
      foreign: options.foreign,
      log,
      onLearned: (learned) => this.#learned(learned),
      onComplete: (listings) => {
        this.#readAtMs = performance.now();
        map.assumeBaseline(undefined);
        states.connected(settings.id, listings);
        this.#publish();
      },
      onFailed: (error) => this.#noteFailure(error),
    });
  }

  get id(): ChannelId {
    return this.#options.settings.id;
  }

  get publishing(): ChannelPublishing {
    return this.#options.publishing;
  }

  get counting(): CountIntake | undefined {
    return this.#options.counting;
  }

  /** An operator opened or closed the circuit, at whichever daemon. */
  handOnCircuit(state: 'open' | 'closed'): void {
    const { breaker } = this.counting ?? this.publishing;
    if (state === 'open') breaker.openByHand();
    else breaker.closeByHand();
  }

  /** What its polls, pushes and writes are like, for whoever watches over them. */
  get traits(): { readonly pushes: boolean; readonly longestApplyMs: number; readonly pollMs: number } {
    const { connector, config } = this.#options;
    const { pushes, longestApplyMs } = connector.capabilities;
    return { pushes, longestApplyMs, pollMs: Math.max(config.poll.intervalMs, config.poll.fallbackMs) };
  }

  get accessEndsAtMs(): number | undefined {
    return this.#options.accessEndsAtMs();
  }

  /** Items whose level changed at the platform: they are read. */
  doorbell(itemIds: readonly string[], told?: readonly ToldLevel[]): void {
    if (this.counting === undefined) this.publishing.doorbell(itemIds, told);
    else this.counting.doorbell(itemIds);
  }

  /** Listings whose number on the channel has been known for sure, by a reading and the orders around it. */
  get settled(): number {
    return this.#settled.size;
  }

  noteSettled(listingId: ListingId): void {
    this.#settled.add(listingId);
  }

  /** Listings as the last run knew them, so that orders find their SKU before the platform was asked. */
  async restore(): Promise<void> {
    const { connector, map, store, ledger, baselines, log } = this.#options;
    await connector.prepare?.().catch((error: unknown) => {
      log.warn({ channel: this.id, err: error }, 'secrets of the channel could not be loaded');
    });
    const kept = await store.load();
    map.restore(kept);
    const name = `baseline:${this.id}`;
    const stored = await ledger.mesh.cursor(name).catch(() => null);
    const known = stored === null ? baselines.get(this.id) : Number(stored);
    if (kept.length === 0) map.assumeBaseline(known);
    const baseline = known ?? ledger.ledger.nowMs();
    await baselines.keep(this.id, baseline);
    await ledger.mesh
      .moveCursor(name, String(baseline), 'number', null)
      .catch((error: unknown) => log.warn({ channel: this.id, err: error }, 'baseline not stored'));
  }

  start(): void {
    if (this.#options.settings.mode === 'off') return;
    this.#connecting ??= this.#connect();
  }

  /** An operator changed the mode. */
  modeChanged(): void {
    this.start();
    this.publishing.modeChanged();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([
      this.#discovery.close(),
      this.publishing.close(),
      this.counting?.close(),
      this.#connecting,
      this.#replaying,
    ]);
  }

  /** The map may be out of date. */
  rediscover(): void {
    this.#discovery.hint();
    this.counting?.pollNow();
  }

  /** What was read is judged again by what is known now. */
  async relearn(which: 'open' | 'all'): Promise<void> {
    await this.#discovery.relearn(which);
  }

  /** Parked orders and order lines of the channel are tried again. */
  replay(concerns: Parameters<Ingest['replayParked']>[1]): void {
    const { ingest, log } = this.#options;
    this.#replaying = this.#replaying
      .then(() => ingest.replayParked(this.id, concerns, this.#closing.signal))
      .then(() => undefined)
      .catch((error: unknown) => {
        if (!this.#closing.signal.aborted) log.warn({ channel: this.id, err: error }, 'parked rows wait on');
      });
  }

  tasks(every: { accessMs: number; subscriptionsMs: number; listingsMs: number }): readonly Task[] {
    const tasks: readonly Task[] = [
      { name: `access:${this.id}`, everyMs: every.accessMs, run: (signal) => this.#checkAccess(signal) },
      {
        name: `subscriptions:${this.id}`,
        everyMs: every.subscriptionsMs,
        run: (signal) => this.#subscribe(signal),
      },
      {
        name: `listings:${this.id}`,
        everyMs: every.listingsMs,
        run: async () => {
          // The first period begins with the daemon, which has just read them.
          if (performance.now() - this.#readAtMs > every.listingsMs / 2) this.rediscover();
        },
      },
    ];
    // Asked at each tick: a channel may be switched off, and on again, while the daemon runs.
    const isOff = (): boolean => this.#options.settings.mode === 'off';
    return tasks.map(({ run, ...task }) => ({
      ...task,
      run: async (signal) => (isOff() ? undefined : run(signal)),
    }));
  }

  async #connect(): Promise<void> {
    const { signal } = this.#closing;
    await this.#untilDone('ledger', () => this.#countSettled());
    await this.#untilDone('access', () => this.#checkAccess(signal));
    if (signal.aborted) return;
    this.#discovery.start();
    await this.#untilDone('subscriptions', () => this.#subscribe(signal));
  }

  async #untilDone(what: string, step: () => Promise<void>): Promise<void> {
    const { signal } = this.#closing;
    for (let retryMs = 500; !signal.aborted; retryMs = Math.min(retryMs * 2, maxRetryMs)) {
      try {
        return await step();
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.warn(
          { channel: this.id, what, err: error, retryMs },
          'the channel is not connected yet',
        );
        this.#noteFailure(error);
        await delay(jittered(retryMs), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #countSettled(): Promise<void> {
    const listings = [...this.#options.map.listings()];
    for (let start = 0; start < listings.length; start += listingsPerRead) {
      const rows = listings
        .slice(start, start + listingsPerRead)
        .map(({ listingId, sku }) => ({ listingId, sku }));
      const view = await this.#options.ledger.publisher.readListings(this.id, rows);
      for (const row of view.rows) if (row.state.base?.settled === true) this.noteSettled(row.listingId);
    }
  }

  async #checkAccess(signal: AbortSignal): Promise<void> {
    const { connector, states } = this.#options;
    const access = await connector.checkAccess(signal);
    if (access.kind === 'ok') states.attentionOver(this.id);
    else states.needsAttention(this.id, `${access.reason}: ${access.remedy}`);
  }

  async #subscribe(signal: AbortSignal): Promise<void> {
    const { connector, publicUrl, config, log } = this.#options;
    const { pushes, subscribesWithoutUrl } = connector.capabilities;
    if (!pushes || (publicUrl === undefined && subscribesWithoutUrl !== true)) return;
    const callbackUrl = `${publicUrl ?? ''}/webhooks/${config.platform}/${config.id}`;
    const report = await connector.subscribe({ callbackUrl }, signal);
    if (report.created.length > 0) {
      log.info({ channel: this.id, created: report.created }, 'webhooks subscribed');
      // Nobody was told of what changed while they were missing; the regular poll may be minutes away.
      void this.publishing.pull();
    }
    if (report.problems.length > 0)
      log.warn({ channel: this.id, problems: report.problems }, 'webhook subscriptions');
  }

  #learned(learned: LearnResult): void {
    const { publishing, states, settings, map } = this.#options;
    if (learned.changed.length === 0 && learned.unmapped.length === 0) return;
    this.#options.onMapChanged?.(settings.id);
    if (learned.changed.length === 0) return;
    states.connected(settings.id, map.size);
    publishing.listingsChanged(learned.changed);
    const skus = new Set<string>(learned.newSkus);
    const items = new Set(
      learned.changed.flatMap(({ ref, itemAliases }) => [ref.itemId, ...(itemAliases ?? [])]),
    );
    this.replay(({ sku, item }) => skus.has(sku) || items.has(item));
  }

  #publish(): void {
    if (this.#isPublishing || this.#closing.signal.aborted) return;
    this.#isPublishing = true;
    if (this.#options.publishes) (this.counting ?? this.publishing).start();
    // The configuration may have changed since they were parked.
    this.replay(() => true);
  }

  #noteFailure(error: unknown): void {
    if (error instanceof StockmeshError && error.code === 'CONNECTOR_ACCESS_DENIED') {
      this.#options.states.needsAttention(this.id, error.message);
    }
  }
}
