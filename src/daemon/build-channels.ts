import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import type { Connector } from '../connectors/connector.ts';
import { discreet } from '../connectors/discreet-connector.ts';
import type { Catalogue } from '../domain/catalogue.ts';
import type { ChannelId, Sku } from '../domain/ids.ts';
import { Secret } from '../domain/secret.ts';
import { ChannelPublishing } from '../mesh/channel-publishing.ts';
import type { ChannelStates } from '../mesh/channel-state.ts';
import type { ChannelSettings } from '../mesh/channel.ts';
import { CountMetrics } from '../mesh/count-metrics.ts';
import { ExposureMetrics } from '../mesh/exposure-meter.ts';
import type { FanOut } from '../mesh/fan-out.ts';
import type { ForeignStock } from '../mesh/foreign-stock.ts';
import type { Ingest } from '../mesh/ingest.ts';
import type { MeshKeys } from '../mesh/mesh-keys.ts';
import type { OpenedLevels } from '../mesh/opened-levels.ts';
import { OpeningFigures } from '../mesh/opening-figures.ts';
import { PublishMetrics } from '../mesh/publish-metrics.ts';
import { SharedRateLimiter } from '../mesh/rate-limiter.ts';
import type { MappingDecisions } from '../mesh/mapping-decisions.ts';
import { SkuEvidence } from '../mesh/sku-evidence.ts';
import { SkuMap } from '../mesh/sku-map.ts';
import { SkuVelocity } from '../mesh/sku-velocity.ts';
import { soldLately } from '../mesh/sold-lately.ts';
import { SkuMapStore } from '../mesh/sku-map-store.ts';
import type { StalenessWatch } from '../mesh/staleness-watch.ts';
import type { SyncJournal } from '../mesh/sync-journal.ts';
import { RedisTokenStore } from '../mesh/token-store.ts';
import type { Vault } from '../mesh/vault.ts';
import type { Redactor } from '../telemetry/redactor.ts';
import { Baselines } from './baselines.ts';
import { ChannelPart } from './channel-part.ts';
import { ownLocations } from './channel-settings.ts';
import { createConnector } from './connectors.ts';
import { createCounting } from './counting.ts';
import type { DriftHooks } from './drift-hooks.ts';
import type { LedgerPart } from './ledger-part.ts';
import type { PolicyBooks } from './policy-books.ts';
import type { RedisPart } from './redis-part.ts';

export interface BuildChannelsOptions {
  readonly config: Config;
  readonly settings: readonly ChannelSettings[];
  readonly redis: RedisPart;
  readonly ledger: LedgerPart;
  readonly keys: MeshKeys;
  readonly opened: OpenedLevels;
  readonly states: ChannelStates;
  readonly fanOut: FanOut;
  readonly ingest: Ingest;
  readonly holder: string;
  readonly vault: Vault;
  readonly catalogue: Catalogue;
  readonly policies: PolicyBooks;
  readonly journal: SyncJournal;
  readonly foreign: ForeignStock;
  readonly drift: DriftHooks;
  readonly staleness: StalenessWatch;
  readonly decisions: Pick<MappingDecisions, 'of'>;
  readonly onMapChanged: (channel: ChannelId) => void;
  readonly registry: Registry;
  readonly redactor: Redactor;
  readonly log: Logger;
}

export interface BuiltChannels {
  readonly metrics: PublishMetrics;
  readonly channels: readonly {
    readonly part: ChannelPart;
    readonly connector: Connector;
    readonly map: SkuMap;
  }[];
  /** The ledger lost entries: every listing of every channel is read and looked at again. */
  distrustAll(): Promise<void>;
}

/** What a request under way may take of the daemon's ten seconds to stop. */
const drainMs = 2_500;

/** Every configured channel with its own limiter, token store, connector, map and publishing. */
export async function buildChannels(options: BuildChannelsOptions): Promise<BuiltChannels> {
  const { config, redis, ledger, keys, opened, states, catalogue, drift, redactor, log } = options;
  const baselines = await Baselines.load(config.dataDir);
  const evidence = new SkuEvidence({
    skusFrom: config.catalogue.skusFrom,
    isNamed: (sku) => catalogue.componentsOf(sku) !== undefined,
  });
  const maps = options.settings.map((settings) => {
    const decided = (itemId: string): Sku | undefined => options.decisions.of(settings.id, itemId);
    return new SkuMap(settings, { evidence, decided });
  });
  const reference = maps.find(({ settings }) => settings.id === config.catalogue.skusFrom);
  if (reference !== undefined)
    evidence.useReference(
      (sku) => reference.hasSku(sku),
      () => reference.size > 0,
    );
  const opening = new OpeningFigures({
    ledger: {
      adjust: (request) => ledger.ledger.adjust(request),
      readListings: (channel, rows) => ledger.publisher.readListings(channel, rows),
    },
    opened,
    maps,
    ownLocations: ownLocations(config),
    isBundle: (sku) => catalogue.componentsOf(sku) !== undefined,
    log,
  });
  const metrics = new PublishMetrics(options.registry);
  const velocity = new SkuVelocity();
  ledger.reader.add({ onEntries: velocity.onEntries });
  const exposure = new ExposureMetrics(options.registry);
  const countMetrics = new CountMetrics(options.registry);
  const channels: BuiltChannels['channels'][number][] = [];
  for (const [index, channel] of config.channels.entries()) {
    const map = maps[index];
    if (map === undefined) continue;
    const channelLog = log.child({ channel: channel.id });
    const tokenEnds = new Map<string, number | undefined>();
    const ports = {
      limiter: new SharedRateLimiter(ledger.scripts, channel.id, (error) =>
        channelLog.debug({ err: error }, 'the rate limit could not be noted'),
      ),
      tokens: new RedisTokenStore({
        vault: options.vault,
        channel: channel.id,
        ledger: ledger.publisher,
        onSecret: (secret) => redactor.add(new Secret(secret)),
        onToken: (name, endsAtMs) => tokenEnds.set(name, endsAtMs),
      }),
      clock: { nowMs: () => Date.now() },
      log: channelLog,
    };
    const connector = discreet(createConnector(channel, ports), (text) => redactor.scrub(text));
    const publishing: ChannelPublishing = new ChannelPublishing({
      settings: map.settings,
      guard: { limits: config.guard, soldLately: () => soldLately(ledger.history) },
      policies: options.policies.of(channel.id),
      catalogue,
      connector,
      map,
      ledger: ledger.publisher,
      mesh: ledger.mesh,
      sink: options.ingest,
      fanOut: options.fanOut,
      metrics,
      journal: options.journal,
      foreign: options.foreign,
      log,
      nowMs: () => ledger.ledger.nowMs(),
      holder: options.holder,
      onEdited: (listing, shows, target) => drift.onEdited(channel.id, listing, shows, target),
      isFrozen: (listingId) => drift.isFrozen(channel.id, listingId),
      exposure,
      staleness: () => options.staleness.of(channel.id),
      mayPublish: () => states.mayPublish(channel.id) && redis.health().kind !== 'wrong',
      onAccessLost: (reason) => states.needsAttention(channel.id, reason),
      hasFigure: (sku, location) => opened.has(sku, location),
      settling: async (listing, next) => {
        await opening.settling(channel.id, listing, next);
        part.noteSettled(listing.listingId);
      },
      unitsPerHour: (sku, nowMs) => velocity.unitsPerHour(sku, nowMs),
      onWalk: ({ movements }) => {
        states.pollSeen(channel.id, Date.now());
        if (movements > 0) states.pollFound(channel.id, Date.now());
      },
      tuning: {
        poll: {
          intervalMs: channel.poll.intervalMs,
          maxIntervalMs: Math.max(channel.poll.intervalMs, channel.poll.fallbackMs),
          overlapMs: channel.poll.overlapMs,
        },
        publisher: { drainMs },
      },
    });
    const part: ChannelPart = new ChannelPart({
      config: channel,
      settings: map.settings,
      connector,
      map,
      store: new SkuMapStore(redis.commands, keys.listingMap(channel.id)),
      publishing,
      counting: createCounting({
        ...options,
        channel,
        settings: map.settings,
        connector,
        sink: options.ingest,
        metrics: { counts: countMetrics, publish: metrics },
      }),
      ledger,
      baselines,
      ingest: options.ingest,
      states,
      foreign: options.foreign,
      log,
      publicUrl: config.http.publicUrl,
      accessEndsAtMs: () => earliest([...tokenEnds.values(), endOfDay(channel.accessEndsOn)]),
      publishes: config.roles.includes('publish'),
      onMapChanged: options.onMapChanged,
    });
    await part.restore();
    channels.push({ part, connector, map });
  }
  return {
    metrics,
    channels,
    async distrustAll() {
      for (const { part } of channels) {
        part.counting?.pollNow();
        await part.publishing.distrust().catch((error: unknown) => {
          log.error({ channel: part.id, err: error }, 'the channel could not be marked for a full resync');
        });
      }
    },
  };
}

function earliest(moments: readonly (number | undefined)[]): number | undefined {
  const known = moments.filter((moment) => moment !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function endOfDay(day: string | undefined): number | undefined {
  return day === undefined ? undefined : Date.parse(`${day}T00:00:00Z`);
}
