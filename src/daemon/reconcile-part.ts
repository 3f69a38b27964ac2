import type { ScheduledTask } from 'node-cron';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import { completeReconcile, type ReconcileConfig } from '../config/reconcile-schema.ts';
import { defaultDriftPolicy, type DriftPolicy } from '../domain/verdict.ts';
import type { DriftPorts } from '../http/routes/drift-routes.ts';
import { RecordCommands } from '../ledger/record-commands.ts';
import type { ChannelStates } from '../mesh/channel-state.ts';
import { KeptRecords } from '../mesh/kept-records.ts';
import type { MeshKeys } from '../mesh/mesh-keys.ts';
import type { OpenedLevels } from '../mesh/opened-levels.ts';
import { defaultPublishTimes } from '../mesh/publish-rules.ts';
import type { AlertSink } from '../mesh/alerts/alert.ts';
import { scheduleZoned } from '../mesh/zoned-cron.ts';
import type { SyncJournal } from '../mesh/sync-journal.ts';
import { FindingStore } from '../reconcile/finding-store.ts';
import type { ReconciledChannel } from '../reconcile/reconciled-channel.ts';
import { ReconcileMetrics } from '../reconcile/reconcile-metrics.ts';
import { Reconciler } from '../reconcile/reconciler.ts';
import { RunStore } from '../reconcile/run-store.ts';
import type { ReconciledWarehouse } from '../reconcile/warehouse-reconciler.ts';
import type { BuiltChannels } from './build-channels.ts';
import { ownLocations } from './channel-settings.ts';
import type { LedgerPart } from './ledger-part.ts';
import type { RedisPart } from './redis-part.ts';

export interface ReconcilePartOptions {
  readonly config: Config;
  readonly redis: RedisPart;
  readonly ledger: LedgerPart;
  readonly keys: MeshKeys;
  readonly opened: OpenedLevels;
  readonly states: ChannelStates;
  readonly journal: SyncJournal;
  readonly channels: BuiltChannels['channels'];
  readonly alerts: AlertSink;
  /** How far the ledger is behind the deliveries that have arrived. */
  readonly inboxLagMs: () => number;
  readonly registry: Registry;
  readonly log: Logger;
}

export interface ReconcilePart {
  readonly reconciler: Reconciler;
  readonly ports: DriftPorts;
  readonly runs: RunStore;
  readonly findings: FindingStore;
  start(): void;
  close(): Promise<void>;
}

const dayMs = 86_400_000;

/** Reconciliation of every selling channel: its stores, its schedule, its routes' ports. */
export async function openReconcilePart(options: ReconcilePartOptions): Promise<ReconcilePart> {
  const { config, redis, ledger, keys, journal, registry, log } = options;
  const { keepRuns, keepDays, keepFindings, maxOpenFindings } = config.reconcile;
  const nowMs = (): number => ledger.ledger.nowMs();
  const records = (key: string): KeptRecords => new KeptRecords(redis.commands, key);
  const runs = new RunStore({
    runs: records(keys.runs),
    requests: new RecordCommands(ledger.scripts),
    nowMs,
    keepRuns,
    keepMs: keepDays * dayMs,
    onEnded: ({ id, channel, opened, driftUnits, rows }) => {
      if (opened === 0) return;
      options.alerts.raise({
        rule: 'drift',
        key: channel,
        severity: 'warning',
        text: `${channel} shows something else than it should on ${opened} listings (${driftUnits} units): stockmesh drift`,
        facts: { run: id, opened, driftUnits, rows },
      });
    },
  });
  const findings = new FindingStore({
    open: records(keys.openFindings),
    closed: records(keys.closedFindings),
    nowMs,
    maxOpen: maxOpenFindings,
    keepClosed: keepFindings,
    keepMs: keepDays * dayMs,
  });
  const reconciler = new Reconciler({
    channels: options.channels.flatMap((built) => reconciled(options, built) ?? []),
    warehouses: options.channels.flatMap((built) => warehouse(options, built) ?? []),
    runs,
    findings,
    ledger: ledger.ledger,
    pending: ledger.publisher,
    mesh: ledger.mesh,
    journal,
    ownLocations: ownLocations(config),
    guard: config.guard,
    metrics: new ReconcileMetrics(registry),
    log,
  });
  await reconciler.restore();
  ledger.reader.add({ onEntries: (entries) => reconciler.onEntries(entries) });
  let crons: readonly ScheduledTask[] = [];
  return {
    reconciler,
    runs,
    findings,
    ports: {
      runs,
      findings,
      request: (channel, wanted) => reconciler.request(channel, wanted),
      decide: (id, decision) => reconciler.decide(id, decision),
    },
    start() {
      reconciler.start();
      crons = scheduled(options, reconciler);
    },
    async close() {
      for (const cron of crons) await cron.destroy();
      await reconciler.close();
    },
  };
}

/** Every daemon ticks; who takes the period asks for the run, and whoever publishes the channel makes it. */
function scheduled(
  { config, ledger, log }: ReconcilePartOptions,
  reconciler: Reconciler,
): readonly ScheduledTask[] {
  return config.channels.flatMap((channel) => {
    const { cron, timeZone, mode } = completeReconcile(channel.reconcile, config.reconcile);
    if (cron === null || mode === 'off' || !reconciler.has(channel.id)) return [];
    return scheduleZoned(cron, timeZone, async (dueAtMs) => {
      try {
        // The minute it was due in: a clock that is set back does not repeat it.
        const period = new Date(dueAtMs).toISOString().slice(0, 19);
        if (!(await ledger.mesh.takePeriod(`reconcile:${channel.id}`, period))) return;
        await reconciler.request(channel.id, {
          skus: [],
          isDryRun: false,
          cause: 'schedule',
          actor: 'schedule',
        });
      } catch (error) {
        log.warn({ channel: channel.id, err: error }, 'a scheduled reconciliation was not asked for');
      }
    });
  });
}

/** Undefined: it sells nothing (a warehouse). */
function reconciled(
  { config, redis, ledger, opened, states, inboxLagMs }: ReconcilePartOptions,
  { part, connector, map }: BuiltChannels['channels'][number],
): ReconciledChannel | undefined {
  const channel = config.channels.find(({ id }) => id === part.id);
  if (channel === undefined || part.counting !== undefined) return undefined;
  const settings = completeReconcile(channel.reconcile, config.reconcile);
  return {
    id: part.id,
    get mode() {
      return map.settings.mode;
    },
    connector,
    map,
    publishing: part.publishing,
    hasFigure: ({ sku, locations }) => locations.some((location) => opened.has(sku, location)),
    mayPublish: () => states.mayPublish(part.id) && redis.health().kind !== 'wrong',
    rediscover: () => part.rediscover(),
    inboxLagMs,
    copy: ledger.projection,
    settings: {
      mode: settings.mode,
      sweepShare: settings.sweepSharePercent / 100,
      minCycleMs: 60_000,
      policy: driftPolicy(settings.policy),
      maxCorrections: settings.maxCorrections,
      correctionsKeptMs: settings.correctionsKeptMs,
      pushGraceMs: settings.pushGraceMs,
      spacingMs: settings.spacingMs,
      lookBackMs: settings.lookBackMs,
      skewMs: defaultPublishTimes.skewMs,
    },
  };
}

function warehouse(
  { config }: ReconcilePartOptions,
  { part, connector, map }: BuiltChannels['channels'][number],
): ReconciledWarehouse | undefined {
  const channel = config.channels.find(({ id }) => id === part.id);
  const intake = part.counting;
  if (channel === undefined || intake === undefined) return undefined;
  const { mode, policy, spacingMs } = completeReconcile(channel.reconcile, config.reconcile);
  const owned = config.locations.filter(({ authority }) => authority === `channel:${part.id}`);
  return {
    id: part.id,
    channel: map.settings,
    owned: new Map(owned.map(({ id, pickLagMs }) => [id, { pickLagMs }])),
    connector,
    intake,
    settings: { mode, policy: driftPolicy(policy), spacingMs },
  };
}

function driftPolicy(given: ReconcileConfig['policy']): DriftPolicy {
  const policy = { ...defaultDriftPolicy };
  for (const [verdict, action] of Object.entries(given))
    if (action !== undefined) policy[verdict as keyof typeof policy] = action;
  return policy;
}
