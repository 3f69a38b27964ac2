// Long on purpose: the one place that starts every part in its order and stops them in the reverse.
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import type { DaemonRole } from '../config/schema.ts';
import type { StockmeshError } from '../domain/errors.ts';
import type { ChannelId, Sku } from '../domain/ids.ts';
import { closeListener, listenOn } from '../http/listener.ts';
import { type DataDirLock, lockDataDir } from '../ledger/data-dir-lock.ts';
import { ChannelModes } from '../mesh/channel-modes.ts';
import { ChannelStates } from '../mesh/channel-state.ts';
import { FanOut } from '../mesh/fan-out.ts';
import { FreshnessMetrics } from '../mesh/freshness-metrics.ts';
import { ForeignStock } from '../mesh/foreign-stock.ts';
import { Inbox } from '../mesh/inbox.ts';
import { InboxMetrics } from '../mesh/inbox-metrics.ts';
import { Ingest, type IngestChannel } from '../mesh/ingest.ts';
import { MappingDecisions } from '../mesh/mapping-decisions.ts';
import { meshKeys } from '../mesh/mesh-keys.ts';
import { OpenedLevels } from '../mesh/opened-levels.ts';
import { Schedules } from '../mesh/schedules.ts';
import { SyncJournal } from '../mesh/sync-journal.ts';
import { RedisMetrics } from '../telemetry/metrics.ts';
import type { Redactor } from '../telemetry/redactor.ts';
import { AlertWatch } from './alert-watch.ts';
import { startAlerts } from './alerts-part.ts';
import { buildChannels, type BuiltChannels } from './build-channels.ts';
import { openCatalogue } from './catalogue-part.ts';
import type { ChannelPart } from './channel-part.ts';
import { channelControls } from './channel-controls.ts';
import { channelSettings } from './channel-settings.ts';
import { historyPorts } from './explaining.ts';
import { DriftHooks } from './drift-hooks.ts';
import { startInboundQueues } from './inbound-queues.ts';
import { type LedgerPart, openLedgerPart } from './ledger-part.ts';
import { createPrivateListener, type ListenersOptions, openPublicListener } from './listeners.ts';
import { MappingPart } from './mapping-part.ts';
import { openMovements } from './movements-part.ts';
import { openNotices } from './notices-part.ts';
import { PolicyBooks } from './policy-books.ts';
import { privateRoutes } from './private-routes.ts';
import { QueueWatchdog } from './queue-watchdog.ts';
import { openReconcilePart } from './reconcile-part.ts';
import { openReports } from './reports-part.ts';
import { openRedis, type RedisPart } from './redis-part.ts';
import { openReservations } from './reservations-part.ts';
import { watchStaleness } from './staleness-part.ts';
import { openReviews } from './reviews-part.ts';
import { openVault } from './vault-part.ts';
import { WebhookThread } from './webhook-thread/webhook-thread.ts';

export interface DaemonOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly registry: Registry;
  readonly redactor: Redactor;
  readonly version: string;
  /** It cannot go on: the process has to end with the error's exit code. */
  readonly onFatal: (error: StockmeshError) => void;
}

export interface ListeningAt {
  /** Undefined: this process takes no webhooks. */
  readonly public: string | undefined;
  readonly private: string;
}

/** Long enough for the requests under way, short enough that all of it fits the ten seconds of a stop. */
const grace = { httpMs: 1_500, inboxMs: 2_500 } as const;

/**
 * The whole daemon, put together and taken apart.
 *
 *   new --start--> lock, Redis, ledger, channels, inbox, listeners (last: nothing is accepted before it can be kept)
 *   started --stop--> listeners, schedules, inbox, channels, ledger, Redis (last: everything before still writes to it)
 *   starting --any step fails--> what was started is stopped again, the error is thrown
 */
export class Daemon {
  readonly #options: DaemonOptions;
  /** What `stop` has to undo, in the order in which it was started. */
  readonly #undo: { readonly what: string; readonly stop: () => Promise<unknown> }[] = [];
  #stopping: Promise<void> | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
  }

  async start(): Promise<ListeningAt> {
    try {
      return await this.#start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Repeated calls wait for the first. Never throws. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<ListeningAt> {
    const { config, log, registry } = this.#options;
    const lock = await lockDataDir(config.dataDir);
    this.#willStop('lock of the data directory', () => release(lock));
    // Loaded beside what follows, which takes longer; it listens last.
    const thread = config.roles.includes('ingest') ? new WebhookThread() : undefined;
    this.#willStop('thread of the public listener', async () => thread?.close(0));
    const redis = await openRedis(config, log, new RedisMetrics(registry), this.#options.onFatal);
    this.#willStop('Redis', () => redis.close());
    const holder = createHash('sha256')
      .update(`${hostname()}\u001f${config.dataDir}`)
      .digest('hex')
      .slice(0, 16);
    const channelIds = config.channels.map(({ id }) => id);
    let built: BuiltChannels | undefined;
    const ledger = await openLedgerPart({
      merchant: config.merchant,
      dataDir: config.dataDir,
      channels: channelIds,
      sweepMs: config.schedules.sweepMs,
      actor: holder,
      redis,
      registry,
      log,
      onLost: () => void built?.distrustAll(),
    });
    this.#willStop('ledger', () => ledger.close());

    const catalogued = await openCatalogue(config, redis, ledger, registry, log);
    const { catalogue, crossings } = catalogued;
    this.#willStop('crossings', async () => crossings.close());

    const keys = meshKeys(ledger.keys);
    const alerting = startAlerts({
      ...this.#options,
      scripts: ledger.scripts,
      redis: redis.commands,
      key: keys.alerts,
    });
    this.#willStop('alerts', () => alerting.close());
    const movements = openMovements(ledger, registry);
    const notices = openNotices({
      ...this.#options,
      ledger,
      catalogue: catalogued,
      queues: redis.queues,
      keys,
      holder,
      alerts: alerting.alerts,
    });
    const vault = await openVault({
      ...this.#options,
      redis: redis.commands,
      key: keys.vault,
      scripts: ledger.scripts,
    });
    const opened = new OpenedLevels(redis.commands, keys.openedLevels);
    await opened.load();
    // Not in the log as such, and so gone after a rebuild: a level opened twice would count its stock twice.
    if (opened.size === 0) for await (const page of ledger.wholeHistory()) opened.follow(page);
    ledger.reader.add({ onEntries: (entries) => opened.follow(entries) });
    const configured = new Map(config.channels.map(({ id, mode }) => [id, mode]));
    const modes = new ChannelModes(redis.commands, keys.channelModes, configured, log);
    await modes.start();
    this.#willStop('modes', async () => modes.close());
    const decisions = new MappingDecisions(redis.commands, keys.mapping, log);
    await decisions.start();
    this.#willStop('mapping decisions', async () => decisions.close());
    const settings = config.channels.map((channel) => channelSettings(config, channel, modes));
    const states = new ChannelStates(redis.commands, keys.channelStates, settings, log);
    await states.load();
    states.follow();
    this.#willStop('notes', () => Promise.all([states.close(), opened.flush()]));
    const fanOut = new FanOut({ ledger: ledger.publisher, mesh: ledger.mesh, history: ledger.history, log });
    ledger.reader.add({ onEntries: fanOut.onEntries });
    this.#willStop('fan-out', () => fanOut.close());

    const inboxMetrics = new InboxMetrics(registry);
    const parts = new Map<ChannelId, ChannelPart>();
    const ingestChannels = new Map<ChannelId, IngestChannel>();
    const ingest = new Ingest({
      ledger: ledger.ledger,
      mesh: ledger.mesh,
      channels: ingestChannels,
      bundles: catalogued.bundles,
      log,
      signals: {
        levelsChanged: (channel, items, told) => parts.get(channel)?.doorbell(items, told),
        listingsChanged: (channel) => parts.get(channel)?.rediscover(),
        accessLost: (channel, reason) => states.needsAttention(channel, reason),
        parked: (channel, row) => inboxMetrics.parkedRows.inc({ channel, what: row.what }),
      },
      counted: async (channel, figures) => parts.get(channel)?.counting?.deliver(figures),
    });
    const foreign = new ForeignStock();
    const journal = new SyncJournal({
      redis: redis.commands,
      key: keys.syncJournal,
      maxRecords: config.limits.maxSyncRecords,
      registry,
      log,
    });
    this.#willStop('records of writes', () => journal.close());
    const drift = new DriftHooks();
    const staleness = watchStaleness({ config, settings, states, registry, log, parts });
    this.#willStop('watch for old data', async () => staleness.close());
    let mapping: MappingPart | undefined;
    const policies = new PolicyBooks(config);
    built = await buildChannels({
      ...this.#options,
      policies,
      settings,
      redis,
      ledger,
      keys,
      opened,
      states,
      catalogue,
      fanOut,
      ingest,
      holder,
      vault: vault.vault,
      journal,
      foreign,
      drift,
      staleness,
      decisions,
      onMapChanged: (channel) => mapping?.learned(channel),
    });
    const { channels } = built;
    const isKnown = (sku: Sku): boolean =>
      ledger.projection.levelsOf(sku) !== undefined || catalogue.componentsOf(sku) !== undefined;
    mapping = new MappingPart({ config, channels, decisions, isKnown, log });
    const { ports: mappingPorts } = mapping;
    this.#willStop('mapping', async () => mapping?.close());
    for (const { part, connector, map } of built.channels) {
      parts.set(part.id, part);
      ingestChannels.set(part.id, { connector, map });
    }
    modes.onChanged((channel) => parts.get(channel)?.modeChanged());
    states.onHand((channel, hand) => parts.get(channel)?.handOnCircuit(hand.state));
    this.#willStop('channels', () => Promise.all([...parts.values()].map((part) => part.close())));

    const reconciling = await openReconcilePart({
      ...this.#options,
      redis,
      ledger,
      keys,
      opened,
      states,
      journal,
      channels: built.channels,
      alerts: alerting.alerts,
      inboxLagMs: () => inboxMetrics.lagMs,
    });
    drift.reconciler = reconciling.reconciler;
    const reports = openReports({
      ...this.#options,
      redis,
      ledger,
      keys,
      journal,
      reconciling,
      channels: built.channels,
      mailer: alerting.mailer,
    });
    this.#willStop('reports', () => reports.close());
    this.#willStop('reconciliation', () => reconciling.close());

    const inbox = new Inbox({
      redis: redis.queues,
      queuePrefix: keys.queuePrefix,
      seenKey: keys.seenDeliveries,
      mesh: ledger.mesh,
      log,
      handle: (delivery, signal) => ingest.handleDelivery(delivery, signal),
      observe: (event) => inboxMetrics.observe(event),
      settings: { maxJobs: config.limits.maxInboxJobs, concurrency: config.limits.inboxConcurrency },
    });
    const reservations = await openReservations({
      ...this.#options,
      ledger,
      vault,
      channels: built.channels,
      holder,
      alerts: alerting.alerts,
    });
    this.#willStop('reservations', () => reservations.close());
    const reviews = openReviews({
      ...this.#options,
      policies,
      ledger,
      redis,
      keys,
      catalogue,
      alerts: alerting.alerts,
    });
    ledger.start();
    await reviews.start();
    this.#willStop('reviews', () => reviews.close());
    await notices.start();
    this.#willStop('notices', () => notices.close());
    const does = (role: DaemonRole): boolean => config.roles.includes(role);
    if (does('ingest')) await inbox.start();
    const isRedisRight = (): boolean => redis.health().kind === 'right';
    const watchdog = does('ingest')
      ? new QueueWatchdog(inbox, isRedisRight, this.#options.onFatal, log)
      : undefined;
    this.#willStop('inbox', async () => {
      watchdog?.stop();
      await inbox.close(grace.inboxMs);
    });
    const working = does('ingest') || does('publish') ? [...parts.values()] : [];
    const schedules = this.#schedules(redis, ledger, keys.queuePrefix, working);
    this.#willStop('schedules', () => schedules.close());
    for (const part of working) part.start();
    if (does('reconcile')) {
      reconciling.start();
      reports.start();
    }
    const watch = new AlertWatch({
      alerts: alerting.alerts,
      parts: [...parts.values()],
      states,
      ledger,
      crossings,
      thresholds: config.alerts,
      freshness: new FreshnessMetrics(registry, built.metrics),
      log,
    });
    this.#willStop('watch for alerts', () => watch.close());
    const queues = startInboundQueues({
      channels: does('ingest') ? config.channels : [],
      accept: (delivery) => inbox.accept(delivery),
      onGenuine: (channel) => {
        states.webhookSeen(channel, Date.now());
        parts.get(channel)?.publishing.pushSeen();
      },
      nowMs: () => ledger.ledger.nowMs(),
      log,
    });
    this.#willStop('inbound queues', () => queues.close());
    this.#willStop('public listener', async () => thread?.close(grace.httpMs));
    return this.#listen(thread, {
      parts: {
        redis,
        ledger,
        vault,
        inbox,
        ingests: does('ingest'),
        states,
        foreign,
        channels: [...parts.values()],
      },
      channels: ingestChannels,
      ingest,
      routes: privateRoutes(
        {
          ...reservations.ports,
          servesAgents: does('api'),
          movements,
          alerts: alerting.alerts,
          history: historyPorts(ledger, journal, states, built.channels),
          drift: reconciling.ports,
          reports: reports.ports,
          channels: channelControls(
            modes,
            states,
            [...parts.values()],
            () => ledger.projection.position.seq,
            reconciling.reconciler,
          ),
          notices: notices.ports,
          reviews,
          mapping: mappingPorts,
        },
        this.#options.version,
        log,
      ),
      authenticate: reservations.authenticate,
      onModeChanged: (listener) => modes.onChanged(listener),
    });
  }

  #schedules(
    redis: RedisPart,
    ledger: LedgerPart,
    queuePrefix: string,
    parts: readonly ChannelPart[],
  ): Schedules {
    const { config, log } = this.#options;
    const { accessCheckMs, subscriptionCheckMs, fullReadMs } = config.schedules;
    const every = { accessMs: accessCheckMs, subscriptionsMs: subscriptionCheckMs, listingsMs: fullReadMs };
    const schedules = new Schedules({
      redis: redis.queues,
      queuePrefix,
      mesh: ledger.mesh,
      tasks: parts.flatMap((part) => part.tasks(every)),
      log,
    });
    schedules.start();
    return schedules;
  }

  async #listen(
    thread: WebhookThread | undefined,
    options: Omit<ListenersOptions, keyof DaemonOptions>,
  ): Promise<ListeningAt> {
    const { config } = this.#options;
    const listeners = { ...this.#options, ...options };
    const { tls } = config.http.private;
    // First: the private listener tells that the daemon is ready, and by then deliveries have to be taken.
    const open = thread && (await openPublicListener(thread, listeners));
    const app = createPrivateListener(listeners);
    this.#willStop('private listener', () => closeListener(app, grace.httpMs));
    const address = await listenOn(app, config.http.private);
    return {
      private: urlOf(address, tls && 'https'),
      public: open && urlOf(open),
    };
  }

  #willStop(what: string, stop: () => Promise<unknown>): void {
    this.#undo.push({ what, stop });
  }

  async #stop(): Promise<void> {
    for (const { what, stop } of this.#undo.splice(0).toReversed()) {
      try {
        await stop();
      } catch (error) {
        this.#options.log.warn({ err: error, what }, 'could not be stopped cleanly');
      }
    }
  }
}

function urlOf({ host, port }: { readonly host: string; readonly port: number }, scheme = 'http'): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function release(lock: DataDirLock): Promise<void> {
  lock.release();
}
