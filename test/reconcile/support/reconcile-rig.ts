import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect } from 'vitest';
import type { BlastLimits } from '../../../src/domain/blast-radius.ts';
import type { ChannelId } from '../../../src/domain/ids.ts';
import { defaultDriftPolicy } from '../../../src/domain/verdict.ts';
import { RecordCommands } from '../../../src/ledger/record-commands.ts';
import { KeptRecords } from '../../../src/mesh/kept-records.ts';
import { meshKeys } from '../../../src/mesh/mesh-keys.ts';
import { SyncJournal } from '../../../src/mesh/sync-journal.ts';
import { ChannelReconciler } from '../../../src/reconcile/channel-reconciler.ts';
import type { Finding } from '../../../src/reconcile/finding.ts';
import { FindingStore } from '../../../src/reconcile/finding-store.ts';
import { ReconcileMetrics } from '../../../src/reconcile/reconcile-metrics.ts';
import type {
  ChannelReconcileSettings,
  ReconciledChannel,
} from '../../../src/reconcile/reconciled-channel.ts';
import { RecentMovements } from '../../../src/reconcile/recent-movements.ts';
import type { Run, RunKind } from '../../../src/reconcile/run.ts';
import { RunStore } from '../../../src/reconcile/run-store.ts';
import { type CountWitness, ThreeWay } from '../../../src/reconcile/three-way.ts';
import { timeId } from '../../../src/reconcile/time-id.ts';
import { eventually } from '../../support/eventually.ts';
import { PublishingRig, type RigOptions } from '../../mesh/support/publishing-rig.ts';

export interface ReconcileRigOptions extends RigOptions {
  readonly settings?: Partial<ChannelReconcileSettings>;
  /** Of the corrections that reconciliation makes. */
  readonly corrections?: BlastLimits;
  /** Warehouses that own the place of the goods. */
  readonly witnesses?: readonly CountWitness[];
  /** Levels in memory that rows are judged by first. */
  readonly copy?: ReconciledChannel['copy'];
}

/** A ledger, publishers, simulated platforms and a reconciler for each of them. */
export class ReconcileRig {
  readonly rig: PublishingRig;
  readonly runs: RunStore;
  readonly findings: FindingStore;
  readonly metrics = new ReconcileMetrics(new Registry());
  readonly reconcilers: readonly ChannelReconciler[];
  readonly threeWay: ThreeWay;

  private constructor(
    rig: PublishingRig,
    movements: RecentMovements,
    journal: SyncJournal,
    options: ReconcileRigOptions,
  ) {
    this.rig = rig;
    const keys = meshKeys(rig.parts.keys);
    const records = (key: string) => new KeptRecords(rig.parts.redis, key);
    const nowMs = () => rig.ledger.nowMs();
    this.runs = new RunStore({
      runs: records(keys.runs),
      requests: new RecordCommands(rig.parts.caller),
      nowMs,
      keepRuns: 100,
      keepMs: 86_400_000,
    });
    this.findings = new FindingStore({
      open: records(keys.openFindings),
      closed: records(keys.closedFindings),
      nowMs,
      maxOpen: 1_000,
      keepClosed: 1_000,
      keepMs: 86_400_000,
    });
    this.threeWay = new ThreeWay(
      () => options.witnesses ?? [],
      () => this.reconcilers.map(({ witness }) => witness),
    );
    this.reconcilers = rig.channels.map((channel) => {
      const reconciler = new ChannelReconciler({
        channel: {
          id: channel.id,
          mode: 'live',
          connector: channel.platform,
          map: channel.map,
          // The rig replaces it when a test kills it.
          get publishing() {
            return channel.publishing;
          },
          hasFigure: ({ sku, locations }) => locations.some((location) => rig.opened.has(sku, location)),
          mayPublish: () => channel.mayPublish,
          rediscover: () => undefined,
          copy: options.copy,
          settings: {
            mode: 'repair',
            sweepShare: 0,
            minCycleMs: 0,
            policy: defaultDriftPolicy,
            maxCorrections: 3,
            correctionsKeptMs: 86_400_000,
            pushGraceMs: 150,
            spacingMs: 60,
            lookBackMs: 60_000,
            skewMs: 5,
            ...options.settings,
          },
        },
        runs: this.runs,
        findings: this.findings,
        ledger: rig.ledger,
        pending: rig.publisher,
        mesh: rig.mesh,
        guard: options.corrections,
        threeWay: this.threeWay,
        journal,
        movements,
        metrics: this.metrics,
        log: rig.log,
      });
      return reconciler;
    });
    for (const reconciler of this.reconcilers) reconciler.start();
  }

  static async start(options: ReconcileRigOptions = {}): Promise<ReconcileRig> {
    let self: ReconcileRig | undefined;
    const movements = new RecentMovements({
      onMoved: () => undefined,
      onEpoch: () => undefined,
      onEdited: (channel, listingId, units, position) =>
        void self?.of(channel).noteResolvedByMesh(listingId, units, position),
    });
    let journal: SyncJournal | undefined;
    const rig = await PublishingRig.start({
      ...options,
      // A new term would read everything by itself, and find what a test planted for the reconciliation.
      tuning: { leaseTtlMs: 30_000, ...options.tuning },
      onEdited: (listing, shows, target) => {
        const found = self?.rig.channels.find(({ map }) => map.listing(listing.listingId) === listing);
        return found === undefined
          ? 'report'
          : (self?.of(found.id).onEdited(listing, shows, target) ?? 'report');
      },
      isFrozen: (channel, listingId) => {
        if (self === undefined) return false;
        const { desk, repair } = self.of(channel);
        return desk.isFrozen(listingId) || repair.isHeld(listingId);
      },
      journal: (parts) =>
        (journal = new SyncJournal({
          redis: parts.redis,
          key: meshKeys(parts.keys).syncJournal,
          registry: new Registry(),
          log: rigLog,
          maxRecords: 10_000,
        })),
      onEntries: (entries) => movements.onEntries(entries),
    });
    if (journal === undefined) throw new Error('no journal');
    self = new ReconcileRig(rig, movements, journal, options);
    return self;
  }

  of(id: ChannelId | string): ChannelReconciler {
    const index = this.rig.channels.findIndex((channel) => channel.id === id);
    const found = this.reconcilers[index];
    if (found === undefined) throw new Error(`no reconciler of ${id}`);
    return found;
  }

  /** Asks for a run and waits for its end. */
  async reconcile(
    id = 'shop-a',
    kind: Exclude<RunKind, 'rolling'> = 'full',
    more: { isDryRun?: boolean; skus?: string[] } = {},
  ): Promise<Run> {
    const runId = timeId(this.rig.ledger.nowMs());
    await this.runs.ask(id as ChannelId, {
      runId,
      kind,
      cause: 'operator',
      actor: 'test',
      isDryRun: more.isDryRun ?? false,
      skus: more.skus ?? [],
      askedAtMs: this.rig.ledger.nowMs(),
    });
    let run: Run | undefined;
    await eventually(async () => {
      this.of(id).ring();
      run = await this.runs.run(runId);
      if (run === undefined || run.state === 'running')
        throw new Error(`the run has not ended: ${JSON.stringify(run)}`);
    }, 30_000);
    if (run === undefined) throw new Error('no run');
    return run;
  }

  /** The ledger says three less of X than shop-a shows, and nothing is under way: the process that knew died with its durable mark. */
  async losePublication(): Promise<void> {
    const { rig } = this;
    const channel = rig.channel('shop-a');
    channel.mayPublish = false;
    await rig.move('X', -3);
    const key = rig.parts.keys.pending(channel.id);
    await eventually(async () => expect(await rig.parts.redis.zcard(key)).toBe(1));
    rig.kill('shop-a');
    await rig.parts.redis.del(key);
    await rig.startAnother('shop-a');
    channel.mayPublish = true;
    await eventually(() => expect(channel.publishing.isPublishing).toBe(true));
  }

  async open(): Promise<readonly Finding[]> {
    return this.findings.listOpen(100);
  }

  async closed(): Promise<readonly Finding[]> {
    return this.findings.listClosed(100);
  }

  async finding(sku: string, id = 'shop-a'): Promise<Finding | undefined> {
    const of = (all: readonly Finding[]) => all.find((one) => one.sku === sku && one.channel === id);
    return of(await this.open()) ?? of(await this.closed());
  }

  async close(): Promise<void> {
    await Promise.all(this.reconcilers.map((reconciler) => reconciler.close()));
    await this.rig.journal?.close();
    await this.rig.close();
  }
}

const rigLog = pino({ level: 'silent' });
