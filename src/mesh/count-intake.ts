import type { Logger } from 'pino';
import type { Connector, ParsedDelivery } from '../connectors/connector.ts';
import type { CountPage } from '../connectors/counts.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { LocationId, Sku } from '../domain/ids.ts';
import type { Movement } from '../domain/movement.ts';
import type { Ledger, MeshState, PublisherLedger } from '../ledger/contract.ts';
import { publisherLease } from '../ledger/write-commands.ts';
import { Breaker, type BreakerSettings, type BreakerState, defaultBreakerSettings } from './breaker.ts';
import { ChannelLease, type LeaseTerm } from './channel-lease.ts';
import type { ChannelSettings } from './channel.ts';
import type { CountMetrics } from './count-metrics.ts';
import type { CountPollSettings } from './count-poll-settings.ts';
import { CountPoll } from './count-poll.ts';
import type { OwnedLocation } from './count-rows.ts';
import { type AppliedCounts, CountSink } from './count-sink.ts';
import type { OrderSink } from './order-sink.ts';

export interface CountIntakeOptions {
  readonly settings: ChannelSettings;
  /** Locations whose on-hand figure is this channel's. */
  readonly owned: ReadonlyMap<LocationId, OwnedLocation>;
  readonly connector: Connector;
  readonly ledger: Pick<Ledger, 'applyCount' | 'adjust' | 'peek' | 'nowMs'>;
  readonly leases: Pick<PublisherLedger, 'takeLease' | 'giveUpLease'>;
  readonly mesh: MeshState;
  readonly sink: Pick<OrderSink, 'parkRows'>;
  /** SKUs with units on hand at a location. */
  readonly stocked: (location: LocationId) => Iterable<Sku>;
  readonly metrics: CountMetrics;
  readonly onCircuit: (state: BreakerState) => void;
  readonly log: Logger;
  /** As for publishers: names this process and survives its restart. */
  readonly holder: string;
  /** The clock that the connector dates counts by. */
  readonly nowMs: () => number;
  readonly skewMs: number;
  readonly isPeak: () => boolean;
  readonly onComplete: () => void;
  /** The warehouse ended or refused our access. */
  readonly onAccessLost: (reason: string) => void;
  readonly poll?: Partial<CountPollSettings> | undefined;
  readonly breaker?: Partial<BreakerSettings> | undefined;
  readonly leaseTtlMs?: number | undefined;
}

/** Older ones are found by the next whole reading. */
const maxMarked = 10_000;
/** Whoever had the lease has read them by then. */
const keepMarkedMs = 3_600_000;

/**
 * An on-hand authority's part of the mesh, where a selling channel has its publishing: whoever holds the channel's lease
 * reads the warehouse.
 *
 *   waiting for the lease --taken--> term: counts are polled, hints are followed
 *   term --lease lost--> the reading is broken off --> waiting
 *   any --close--> lease given up --> closed
 *
 * What a delivery brings is applied by whichever daemon works on it; only what has to be asked again needs the term.
 * A daemon that was stopped in the middle of a page and goes on when another holds the lease does no harm: a count is
 * ordered by the moment it is true for, applied once, and the cursor moves only from where that daemon found it.
 */
export class CountIntake {
  readonly breaker: Breaker;
  readonly #options: CountIntakeOptions;
  readonly #counts: CountSink;
  readonly #lease: ChannelLease;
  #poll: CountPoll | undefined;
  /** Items with units marked shipping, and when (ledger clock) they are to be read: also for the next term of this daemon. */
  readonly #marked = new Map<string, number>();

  constructor(options: CountIntakeOptions) {
    this.#options = options;
    const { settings, connector, log, leases, holder, metrics } = options;
    const channel = settings.id;
    this.breaker = new Breaker({ ...defaultBreakerSettings, ...options.breaker }, undefined, (state) => {
      options.onCircuit(state);
      log.warn({ channel, state }, 'the circuit of the channel changed');
    });
    this.#counts = new CountSink(options);
    const ttlMs = options.leaseTtlMs ?? connector.capabilities.requestTimeoutMs * 2 + 3_000;
    this.#lease = new ChannelLease(
      leases,
      publisherLease(channel),
      holder,
      { ttlMs, renewEveryMs: ttlMs / 8, retryEveryMs: Math.min(1_000, ttlMs / 8) },
      log,
    );
    metrics.watch(channel, () => this.#poll?.ageMs);
  }

  /** True in the daemon that reads the warehouse. */
  get isReading(): boolean {
    return this.#poll !== undefined;
  }

  get circuit(): BreakerState {
    return this.breaker.state;
  }

  start(): void {
    if (this.#options.settings.mode === 'off') return;
    this.#lease.start((term) => this.#run(term));
  }

  /** A reading under way is broken off; its page comes again. */
  async close(): Promise<void> {
    await this.#lease.close();
  }

  /** These items changed; none: nobody knows which. A daemon that does not read leaves it to the next reading. */
  doorbell(itemIds: readonly string[]): void {
    this.#poll?.doorbell(itemIds);
  }

  pollNow(): void {
    this.#poll?.pollNow();
  }

  /**
   * Entries of the log. Units that a channel's fulfilment marked *shipping* are given free by the first count after the lag:
   * where only changes are read, an item that does not change has to be asked for it.
   */
  onEntries(entries: readonly Movement[]): void {
    const { owned, ledger } = this.#options;
    for (const { kind, sku, location, units, deltaOnHand, atMs } of entries) {
      const isMark = (kind === 'shipped' || kind === 'written-off') && units > 0 && deltaOnHand === 0;
      const owner = isMark ? owned.get(location) : undefined;
      const itemId = owner === undefined ? undefined : this.#counts.itemOf(sku);
      if (owner === undefined || itemId === undefined) continue;
      const dueAtMs = atMs + owner.pickLagMs + this.#counts.skewMs;
      this.#noteMarked(itemId, dueAtMs);
      this.#poll?.readLater(itemId, dueAtMs - ledger.nowMs());
    }
  }

  /** Newest last; the oldest make room. */
  #noteMarked(itemId: string, dueAtMs: number): void {
    this.#marked.delete(itemId);
    this.#marked.set(itemId, dueAtMs);
    const [oldest] = this.#marked.keys();
    if (this.#marked.size > maxMarked && oldest !== undefined) this.#marked.delete(oldest);
  }

  /** A term knows nothing of the marks that came before it, nor of those that came before it was known to take them. */
  #readMarked(poll: CountPoll): void {
    const nowMs = this.#options.ledger.nowMs();
    for (const [itemId, dueAtMs] of this.#marked) {
      if (dueAtMs < nowMs - keepMarkedMs) this.#marked.delete(itemId);
      else poll.readLater(itemId, dueAtMs - nowMs);
    }
  }

  /** Counts and movements that came by themselves. Throws when the ledger cannot be asked; they may come again. */
  async deliver({
    counts = [],
    movements = [],
  }: Pick<ParsedDelivery, 'counts' | 'movements'>): Promise<void> {
    if (counts.length + movements.length === 0) return;
    const page: CountPage = {
      kind: 'changes',
      source: 'delivery',
      counts,
      movements,
      hints: [],
      parked: [],
      // It is not sent again for the asking, and without a lookup no single item can be read.
      isOnce: this.#options.connector.fetchCounts === undefined,
      cursor: null,
    };
    if (this.#poll === undefined) await this.#apply(page);
    else await this.#poll.applied(page);
  }

  async #apply(page: CountPage, signal?: AbortSignal): Promise<AppliedCounts> {
    const applied = await this.#counts.apply(page, signal);
    this.#options.metrics.applied(this.#options.settings.id, applied);
    return applied;
  }

  async #run(term: LeaseTerm): Promise<void> {
    const { settings, connector, mesh, log, metrics, isPeak, onComplete } = this.#options;
    const channel = settings.id;
    log.info({ channel, token: term.token }, 'lease taken, the warehouse is read');
    let isHanded = false;
    const poll = new CountPoll({
      channel,
      connector,
      sink: { apply: (page, signal) => this.#apply(page, signal), skewMs: this.#counts.skewMs },
      mesh,
      breaker: this.breaker,
      log,
      isPeak,
      onComplete: () => {
        metrics.readings.inc({ channel, outcome: 'complete' });
        if (!isHanded && poll.takesLater) {
          isHanded = true;
          this.#readMarked(poll);
        }
        onComplete();
      },
      onHeld: () => metrics.readings.inc({ channel, outcome: 'held' }),
      onFailed: (error) => this.#failed(error),
      settings: this.#options.poll,
    });
    this.#poll = poll;
    poll.start();
    try {
      await new Promise<void>((resolve) => {
        if (term.ended.aborted) resolve();
        else term.ended.addEventListener('abort', () => resolve(), { once: true });
      });
    } finally {
      this.#poll = undefined;
      await poll.close();
    }
  }

  #failed(error: unknown): void {
    const { settings, metrics, onAccessLost } = this.#options;
    metrics.readings.inc({ channel: settings.id, outcome: 'failed' });
    if (error instanceof StockmeshError && error.code === 'CONNECTOR_ACCESS_DENIED')
      onAccessLost(error.message);
  }
}
