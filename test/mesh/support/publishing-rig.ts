import type { BlastLimits } from '../../../src/domain/blast-radius.ts';
import { soldLately } from '../../../src/mesh/sold-lately.ts';
import { Catalogue } from '../../../src/domain/catalogue.ts';
import { eventually } from '../../support/eventually.ts';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect } from 'vitest';
import type { ConnectorCapabilities } from '../../../src/connectors/connector.ts';
import type { ChannelId, ListingId, LocationId, Sku } from '../../../src/domain/ids.ts';
import { type ChannelPolicy, showEverything } from '../../../src/domain/policy.ts';
import { type Staleness, fresh } from '../../../src/domain/staleness.ts';
import { availableOf } from '../../../src/domain/movement.ts';
import { LogHistory } from '../../../src/ledger/log-history.ts';
import { type LogConsumer, LogReader } from '../../../src/ledger/log-reader.ts';
import { RedisMeshState } from '../../../src/ledger/mesh-state.ts';
import { PublisherCommands } from '../../../src/ledger/publisher-commands.ts';
import { publisherLease } from '../../../src/ledger/write-commands.ts';
import { RedisLedger } from '../../../src/ledger/redis-ledger.ts';
import type { ChannelMode, ChannelSettings } from '../../../src/mesh/channel.ts';
import type {
  ChannelPublishingOptions,
  ChannelTuning,
} from '../../../src/mesh/channel-publishing-options.ts';
import { ChannelPublishing } from '../../../src/mesh/channel-publishing.ts';
import { ExposureMetrics } from '../../../src/mesh/exposure-meter.ts';
import { FanOut } from '../../../src/mesh/fan-out.ts';
import { Ingest } from '../../../src/mesh/ingest.ts';
import { OpenedLevels } from '../../../src/mesh/opened-levels.ts';
import { OpeningFigures } from '../../../src/mesh/opening-figures.ts';
import { PublishMetrics } from '../../../src/mesh/publish-metrics.ts';
import { SkuMap } from '../../../src/mesh/sku-map.ts';
import type { SyncJournal } from '../../../src/mesh/sync-journal.ts';
import { type LedgerParts, ledgerParts } from '../../support/ledger-parts.ts';
import { connectTestRedis } from '../../support/redis-connections.ts';
import { SimulatedPlatform } from './simulated-platform.ts';

const main = 'main' as LocationId;

/** Times short enough for a test; every rule stays the same. */
const quick: ChannelTuning = {
  // No pause of a busy machine may end it: a test that needs its end says so.
  leaseTtlMs: 10_000,
  times: { skewMs: 5 },
  publisher: { repeatMs: 20, maxRepeatMs: 300, overtakeMs: 200 },
  baseBuilder: { readGapMs: 5, doorbellDelayMs: 20, readAgainMs: 5, maxSpacingMs: 40 },
  poll: {
    intervalMs: 400,
    minIntervalMs: 50,
    maxIntervalMs: 1_000,
    minGapMs: 5,
    overlapMs: 10_000,
    pullOverlapMs: 10_000,
  },
};

export interface RigChannel {
  readonly id: ChannelId;
  readonly platform: SimulatedPlatform;
  readonly map: SkuMap;
  publishing: ChannelPublishing;
  mayPublish: boolean;
  readonly accessLost: string[];
}

export interface RigOptions {
  readonly channels?: readonly string[];
  readonly capabilities?: Partial<ConnectorCapabilities>;
  readonly mode?: ChannelMode;
  readonly policy?: ChannelPolicy;
  readonly tuning?: ChannelTuning;
  readonly onEdited?: ChannelPublishingOptions['onEdited'];
  readonly isFrozen?: (channel: ChannelId, listingId: ListingId) => boolean;
  readonly journal?: (parts: LedgerParts) => SyncJournal;
  readonly onEntries?: LogConsumer['onEntries'];
  /** SKU -> what every channel shows at the start; the first channel opens the ledger with it. */
  readonly stock?: Readonly<Record<string, number>>;
  /** Further places of the shop with the same stock of ours: what they show at the start. */
  readonly otherPlaces?: readonly string[];
  readonly isOpening?: boolean;
  readonly catalogue?: Catalogue;
  readonly guard?: BlastLimits;
  readonly beforePoll?: SimulatedPlatform['beforePoll'];
  /** Runs where a base is judged settled and not yet stored so. */
  readonly settling?: (rig: PublishingRig, sku: string) => Promise<void>;
}

/** A ledger on real Redis, the log reader, fan-out, ingest and one publisher per simulated platform. */
export class PublishingRig {
  readonly parts: LedgerParts;
  readonly ledger: RedisLedger;
  readonly publisher: PublisherCommands;
  readonly mesh: RedisMeshState;
  readonly ingest: Ingest;
  readonly channels: readonly RigChannel[];
  readonly metrics = new PublishMetrics(new Registry());
  readonly exposure = new ExposureMetrics(new Registry());
  readonly log = pino({ level: process.env['RIG_LOG'] ?? 'silent' });
  readonly opened: OpenedLevels;
  readonly journal: SyncJournal | undefined;
  readonly #openings: OpeningFigures;
  readonly #options: RigOptions;
  readonly #reader: LogReader;
  readonly #fanOuts = new Set<FanOut>();
  readonly #killAt = new Map<ChannelId, 'claimed' | 'answered'>();
  #holders = 0;
  #operations = 0;

  private constructor(parts: LedgerParts, options: RigOptions) {
    this.parts = parts;
    this.#options = options;
    this.journal = options.journal?.(parts);
    this.ledger = new RedisLedger(parts.caller, parts.clock);
    this.publisher = new PublisherCommands(parts.caller);
    this.mesh = new RedisMeshState(parts.caller);
    this.#reader = this.#newReader();
    this.channels = (options.channels ?? ['shop-a']).map((id) => {
      const settings: ChannelSettings = {
        id: id as ChannelId,
        platform: 'simulated',
        mode: options.mode ?? 'live',
        locations: ['L1', ...(options.otherPlaces ?? [])].map((platformLocationId) => ({
          location: main,
          platformLocationId,
          wmsOwned: false,
        })),
        sourceRules: new Map(),
        openingFigure: 'available',
        aliases: new Map(),
      };
      const platform = new SimulatedPlatform(options.capabilities);
      platform.beforePoll = options.beforePoll;
      for (const [sku, units] of Object.entries(options.stock ?? {}))
        for (const place of ['L1', ...(options.otherPlaces ?? [])])
          platform.stock.set(`${sku}@${place}`, units);
      const map = new SkuMap(settings);
      return { id: settings.id, platform, map, mayPublish: true, accessLost: [] } as unknown as RigChannel;
    });
    this.ingest = new Ingest({
      ledger: {
        // The tests sell and read within milliseconds on one clock.
        applyOrder: (order, routing) => this.ledger.applyOrder(order, { ...routing, skewMs: 5 }),
        nowMs: () => this.ledger.nowMs(),
      },
      mesh: this.mesh,
      channels: new Map(this.channels.map(({ id, platform, map }) => [id, { connector: platform, map }])),
      signals: {
        levelsChanged: () => undefined,
        listingsChanged: () => undefined,
        accessLost: () => undefined,
        parked: () => undefined,
      },
      bundles: { componentsAt: (sku) => options.catalogue?.componentsOf(sku) },
      log: this.log,
    });
    this.opened = new OpenedLevels(parts.redis, `${parts.keys.prefix}opened`);
    this.#openings = new OpeningFigures({
      ledger: {
        adjust: (request) => this.ledger.adjust(request),
        readListings: (id, rows) => this.publisher.readListings(id, rows),
      },
      opened: this.opened,
      maps: this.channels.map(({ map }) => map),
      ownLocations: new Set(options.isOpening === false ? [] : [main]),
      isBundle: (sku) => options.catalogue?.componentsOf(sku) !== undefined,
      log: this.log,
    });
    for (const channel of this.channels) channel.publishing = this.#newPublishing(channel);
  }

  static async start(options: RigOptions = {}): Promise<PublishingRig> {
    const parts = ledgerParts();
    await parts.caller.open();
    const rig = new PublishingRig(parts, options);
    for (const channel of rig.channels) {
      for await (const page of channel.platform.readListings()) channel.map.learn(page.listings);
    }
    await rig.#startReader();
    for (const channel of rig.channels) channel.publishing.start();
    return rig;
  }

  /** What the channels are told of the age of their data; `stalenessChanged` makes them look. */
  staleness: Staleness = fresh;

  channel(id: string): RigChannel {
    const found = this.channels.find((channel) => channel.id === id);
    if (found === undefined) throw new Error(`no channel ${id}`);
    return found;
  }

  shows(sku: string, id = 'shop-a'): number | undefined {
    return this.channel(id).platform.stock.get(`${sku}@L1`);
  }

  /** Units received or lost at our own place: what every channel has to follow. */
  async move(sku: string, units: number): Promise<void> {
    await this.ledger.adjust({
      operationId: `move-${++this.#operations}`,
      movement: units > 0 ? 'received' : 'adjusted',
      sku: sku as Sku,
      location: main,
      units,
      reference: '',
      reason: '',
      actor: 'test',
    });
  }

  async available(sku: string): Promise<number> {
    const { levels } = await this.ledger.peek([sku as Sku]);
    const level = levels.get(sku as Sku)?.get(main);
    return level === undefined ? 0 : availableOf(level);
  }

  /** A sale at the channel whose webhook is delivered. */
  async sell(sku: string, units: number, id = 'shop-a'): Promise<void> {
    const order = this.channel(id).platform.sell(`${sku}@L1`, units);
    await this.ingest.applyPlatformOrders(id as ChannelId, [order], 'push', this.ledger.nowMs());
  }

  async state(sku: string, id = 'shop-a') {
    const listingId = `${sku}@L1` as ListingId;
    const view = await this.publisher.readListings(id as ChannelId, [{ listingId, sku: sku as Sku }]);
    const row = view.rows[0];
    if (row === undefined) throw new Error('no row');
    return row.state;
  }

  /** Every listing shows what the ledger has, nothing waits, no record is open. */
  async agrees(withinMs = 20_000): Promise<void> {
    await eventually(async () => {
      for (const { id, platform, map } of this.channels) {
        for (const { listingId, sku } of map.listings()) {
          const shown = platform.stock.get(listingId) ?? 0;
          expect(Math.max(0, shown), `${sku} on ${id}`).toBe(Math.max(0, await this.available(sku)));
        }
        expect(await this.publisher.openWrites(id)).toEqual([]);
        expect(await this.publisher.pending(id, 10)).toEqual([]);
      }
    }, withinMs);
  }

  async basesSettled(): Promise<void> {
    await eventually(async () => {
      for (const { id, map } of this.channels) {
        for (const { sku } of map.listings()) expect((await this.state(sku, id)).base?.settled).toBe(true);
      }
    });
  }

  /** The next time the publisher gets there its process is killed: nothing in its memory or on its way survives. */
  killAt(step: 'claimed' | 'answered', id = 'shop-a'): void {
    this.#killAt.set(id as ChannelId, step);
  }

  /** Its process is killed now. */
  kill(id = 'shop-a'): void {
    this.#severed.add(this.channel(id).publishing);
  }

  isKilled(id = 'shop-a'): boolean {
    return this.#severed.has(this.channel(id).publishing);
  }

  /** Another process for the channel. The lease of a killed one would end by itself; a test does not wait for that. */
  async startAnother(id = 'shop-a', isWaitingForLease = false): Promise<void> {
    const channel = this.channel(id);
    this.#others.push(channel.publishing);
    if (!isWaitingForLease) {
      await this.parts.redis.hdel(`${this.parts.keys.prefix}leases`, publisherLease(channel.id));
    }
    this.#killAt.delete(channel.id);
    channel.publishing = this.#newPublishing(channel);
    channel.publishing.start();
  }

  async close(): Promise<void> {
    const all = [...this.channels.map(({ publishing }) => publishing), ...this.#others];
    await Promise.all(all.map((publishing) => publishing.close()));
    await Promise.all([...this.#fanOuts].map((fanOut) => fanOut.close()));
    await this.#reader.stop();
    await this.opened.flush();
    await this.parts.close();
  }

  readonly #severed = new Set<ChannelPublishing>();
  readonly #others: ChannelPublishing[] = [];

  #newPublishing(channel: RigChannel): ChannelPublishing {
    const {
      policy = showEverything,
      catalogue = new Catalogue(),
      onEdited = 'report',
      tuning,
    } = this.#options;
    const isSevered = (): boolean => this.#severed.has(publishing);
    const killedAfter = (step: 'claimed' | 'answered'): void => {
      if (this.#killAt.get(channel.id) !== step) return;
      this.#killAt.delete(channel.id);
      this.#severed.add(publishing);
    };
    const fanOut = new FanOut({
      ledger: severable(this.publisher, isSevered),
      mesh: severable(this.mesh, isSevered),
      history: new LogHistory(this.parts.redis, this.parts.keys),
      log: this.log,
    });
    this.#fanOuts.add(fanOut);
    const publishing: ChannelPublishing = new ChannelPublishing({
      settings: channel.map.settings,
      ...(this.#options.guard === undefined
        ? {}
        : { guard: { limits: this.#options.guard, soldLately: () => this.#soldLately() } }),
      policies: { of: () => ({ policy, origins: [] }) },
      catalogue,
      connector: severable(channel.platform, isSevered, (name) => {
        if (name === 'write') killedAfter('answered');
      }),
      map: channel.map,
      ledger: severable(this.publisher, isSevered, (name) => {
        if (name === 'claimWrite') killedAfter('claimed');
      }),
      mesh: severable(this.mesh, isSevered),
      sink: severable(this.ingest, isSevered),
      fanOut,
      metrics: this.metrics,
      log: this.log,
      nowMs: () => this.ledger.nowMs(),
      holder: `holder-${++this.#holders}`,
      onEdited,
      isFrozen: (listingId) => this.#options.isFrozen?.(channel.id, listingId) ?? false,
      journal: this.journal,
      staleness: () => this.staleness,
      exposure: this.exposure,
      hasFigure: (sku, location) => this.opened.has(sku, location),
      settling: async (listing, next) => {
        await this.#openings.settling(channel.id, listing, next);
        await this.#options.settling?.(this, listing.sku);
      },
      mayPublish: () => channel.mayPublish,
      onAccessLost: (reason) => channel.accessLost.push(reason),
      lookBackMs: 60_000,
      tuning: {
        ...quick,
        ...tuning,
        publisher: { ...quick.publisher, ...tuning?.publisher },
        baseBuilder: { ...quick.baseBuilder, ...tuning?.baseBuilder },
        poll: { ...quick.poll, ...tuning?.poll },
        times: { ...quick.times, ...tuning?.times },
      },
    });
    return publishing;
  }

  #soldLately(): Promise<ReadonlySet<string>> {
    return soldLately(new LogHistory(this.parts.redis, this.parts.keys));
  }

  #newReader(): LogReader {
    return new LogReader({ redis: connectTestRedis(), keys: this.parts.keys, blockMs: 200 });
  }

  async #startReader(): Promise<void> {
    this.#reader.add({
      onEntries: (entries) => {
        this.opened.follow(entries);
        void this.#options.onEntries?.(entries);
        for (const fanOut of this.#fanOuts) fanOut.onEntries(entries);
      },
    });
    this.#reader.start(await new LogHistory(this.parts.redis, this.parts.keys).head());
  }
}

/** What a call of a killed process answers, also one whose pages are asked for. */
function killed(): Promise<never> & AsyncIterable<never> {
  const answer = Promise.reject(new Error('killed'));
  return Object.assign(answer, { [Symbol.asyncIterator]: () => ({ next: () => answer }) });
}

/** The same object, whose calls neither leave nor come back once its process is "killed". */
function severable<T extends object>(
  target: T,
  isSevered: () => boolean,
  after: (name: string) => void = () => undefined,
): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name, object) as unknown;
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (isSevered()) return killed();
        const result = Reflect.apply(value, object, args) as unknown;
        if (!(result instanceof Promise)) return result;
        return result.then((answer: unknown) => {
          after(String(name));
          if (isSevered()) throw new Error('killed');
          return answer;
        });
      };
    },
  });
}
