import type { Logger } from 'pino';
import type { BlastLimits } from '../domain/blast-radius.ts';
import type { ChannelId, LocationId } from '../domain/ids.ts';
import type { Ledger, MeshState, PublisherLedger } from '../ledger/contract.ts';
import type { LogEntry } from '../ledger/log-entry.ts';
import type { MappedListing } from '../mesh/sku-map.ts';
import type { SyncJournal } from '../mesh/sync-journal.ts';
import { ChannelReconciler } from './channel-reconciler.ts';
import type { CorrectionGuardView } from './correction-guard.ts';
import { type Decision, type DecisionResult, decide } from './decisions.ts';
import type { Finding } from './finding.ts';
import type { FindingStore } from './finding-store.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import type { ReconcileMetrics } from './reconcile-metrics.ts';
import { RecentMovements } from './recent-movements.ts';
import type { RunCause, RunRequest } from './run.ts';
import type { RunStore } from './run-store.ts';
import { ThreeWay } from './three-way.ts';
import { timeId } from './time-id.ts';
import { type ReconciledWarehouse, WarehouseReconciler } from './warehouse-reconciler.ts';

export interface ReconcilerOptions {
  readonly channels: readonly ReconciledChannel[];
  readonly warehouses?: readonly ReconciledWarehouse[] | undefined;
  readonly runs: RunStore;
  readonly findings: FindingStore;
  readonly ledger: Pick<Ledger, 'adjust' | 'peek' | 'nowMs'>;
  readonly pending: Pick<PublisherLedger, 'pending'>;
  readonly mesh: Pick<MeshState, 'cursor' | 'moveCursor'>;
  readonly journal: Pick<SyncJournal, 'newest'>;
  /** Locations whose on-hand figure is the ledger's own. */
  readonly ownLocations: ReadonlySet<LocationId>;
  /** What the repairs of a channel may come to within an hour. */
  readonly guard: BlastLimits;
  readonly metrics: ReconcileMetrics;
  readonly log: Logger;
  readonly onFinding?: ((finding: Finding) => void) | undefined;
}

export interface WantedRun {
  readonly skus: readonly string[];
  readonly isDryRun: boolean;
  readonly cause: RunCause;
  readonly actor: string;
}

/** As many as a request for single SKUs may name; held corrections beyond it wait for the sweep or the next full run. */
const maxSkusOfRun = 1_000;
const noteAgainMs = 5_000;

/** Reconciliation of all channels of a daemon: runs on request, by schedule and after a new epoch, and decisions of people. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #channels = new Map<ChannelId, ChannelReconciler>();
  readonly #warehouses = new Map<ChannelId, WarehouseReconciler>();
  readonly #movements: RecentMovements;
  #noteAgain: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#movements = new RecentMovements({
      onMoved: (sku) => {
        for (const { id, map } of options.channels) {
          const listings = map.ofSku(sku);
          if (listings.length > 0) this.#channels.get(id)?.favour(listings.map(({ listingId }) => listingId));
        }
      },
      onEdited: (channel, listingId, units, position) => {
        this.#channels
          .get(channel)
          ?.noteResolvedByMesh(listingId, units, position)
          .catch((error: unknown) => options.log.warn({ channel, err: error }, 'an edit was not noted'));
      },
      onEpoch: () => this.#noteEpoch(),
    });
    const threeWay = new ThreeWay(
      () => [...this.#warehouses.values()],
      () => [...this.#channels.values()].map(({ witness }) => witness),
    );
    const parts = { ...options, movements: this.#movements, threeWay };
    for (const channel of options.channels)
      this.#channels.set(channel.id, new ChannelReconciler({ ...parts, channel }));
    for (const warehouse of options.warehouses ?? [])
      this.#warehouses.set(warehouse.id, new WarehouseReconciler({ ...parts, warehouse }));
  }

  /** Told of the log by the daemon's one reader. */
  onEntries(entries: readonly LogEntry[]): void {
    this.#movements.onEntries(entries);
  }

  /** Channels and warehouses that can be reconciled. */
  has(channel: ChannelId): boolean {
    return this.#channels.has(channel) || this.#warehouses.has(channel);
  }

  /** The publisher proved an edit by its own reads: whether it may write over it. */
  onEdited(channel: ChannelId, listing: MappedListing, shows: number, target: number): 'report' | 'repair' {
    return this.#channels.get(channel)?.onEdited(listing, shows, target) ?? 'report';
  }

  /** A person froze it, or its figure is being moved at this moment. */
  isFrozen(channel: ChannelId, listing: MappedListing['listingId']): boolean {
    const reconciler = this.#channels.get(channel);
    return (
      reconciler !== undefined && (reconciler.desk.isFrozen(listing) || reconciler.repair.isHeld(listing))
    );
  }

  /** Freezes are known before anything is published. */
  async restore(): Promise<void> {
    const all = [...this.#channels.values()];
    await Promise.all(all.map(({ desk }) => desk.refresh()));
    await Promise.all(all.map(async ({ guard }) => guard?.load()));
  }

  /** Corrections that wait for a person's word, by channel. */
  held(): readonly CorrectionGuardView[] {
    return [...this.#channels.values()].flatMap(({ guard }) => guard?.view() ?? []);
  }

  /** A person says that the held corrections are meant: they are judged once more, and made. Answers how many. */
  async confirm(channel: ChannelId, actor: string): Promise<number> {
    const reconciler = this.#channels.get(channel);
    const held = (await reconciler?.guard?.confirm()) ?? [];
    if (reconciler === undefined || held.length === 0) return 0;
    reconciler.channel.publishing.allow(held.map(({ listingId }) => listingId));
    reconciler.favour(held.map(({ listingId }) => listingId));
    const skus = [...new Set(held.map(({ sku }) => sku))].slice(0, maxSkusOfRun);
    await this.request(channel, { skus, isDryRun: false, cause: 'operator', actor });
    return held.length;
  }

  start(): void {
    for (const channel of this.#channels.values()) channel.start();
    for (const warehouse of this.#warehouses.values()) warehouse.start();
    this.#noteEpoch();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#noteAgain);
    const all = [...this.#channels.values(), ...this.#warehouses.values()];
    await Promise.all(all.map((one) => one.close()));
  }

  /** One request per channel; a channel that has one already answers with it. Undefined channel: all. */
  async request(
    channel: ChannelId | undefined,
    wanted: WantedRun,
  ): Promise<readonly (RunRequest & { channel: ChannelId })[]> {
    const { ledger, runs } = this.#options;
    const requests: (RunRequest & { channel: ChannelId })[] = [];
    for (const id of [...this.#channels.keys(), ...this.#warehouses.keys()]) {
      if (channel !== undefined && id !== channel) continue;
      const nowMs = ledger.nowMs();
      const kind = wanted.skus.length > 0 ? 'sku' : 'full';
      const request = await runs.ask(id, { runId: timeId(nowMs), kind, ...wanted, askedAtMs: nowMs });
      requests.push({ ...request, channel: id });
      this.#channels.get(id)?.ring();
    }
    return requests;
  }

  async decide(id: string, decision: Decision): Promise<DecisionResult | undefined> {
    const { findings, channels, ledger, ownLocations } = this.#options;
    const finding = await findings.finding(id);
    if (finding === undefined) return undefined;
    const channel = channels.find((one) => one.id === finding.channel);
    const reconciler = this.#channels.get(finding.channel);
    if (channel === undefined || reconciler === undefined)
      return { kind: 'not-possible', reason: 'the channel is no longer configured' };
    const { desk, repair } = reconciler;
    const isOwnFigure = ({ locations }: MappedListing): boolean =>
      locations[0] !== undefined && ownLocations.has(locations[0]);
    const parts = { channel, desk, repair, ledger, isOwnFigure };
    return reconciler.inTurn(async () => decide(parts, (await findings.finding(id)) ?? finding, decision));
  }

  /** Another life of the data: whatever was believed of the channels is proven anew, once for all daemons. */
  #noteEpoch(): void {
    void this.#noteEpochOrAgain();
  }

  async #noteEpochOrAgain(): Promise<void> {
    let isNoted = false;
    try {
      isNoted = await this.#noteEpochOnce();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'a new epoch was not noted yet');
    }
    if (isNoted || this.#isClosed) return;
    clearTimeout(this.#noteAgain);
    this.#noteAgain = setTimeout(() => this.#noteEpoch(), noteAgainMs).unref();
  }

  /**
   * Asked for first and noted then: whoever dies in between is followed by one who asks again. False: a channel has another
   * run first, which proves less.
   */
  async #noteEpochOnce(): Promise<boolean> {
    const { mesh, ledger } = this.#options;
    const { position } = await ledger.peek([]);
    let isNoted = true;
    for (const channel of [...this.#channels.keys(), ...this.#warehouses.keys()]) {
      const name = `reconciled:${channel}`;
      if ((await mesh.cursor(name)) === String(position.epoch)) continue;
      const wanted = { skus: [], isDryRun: false, cause: 'epoch', actor: 'reconcile' } as const;
      const [request] = await this.request(channel, wanted);
      if (request?.kind === 'full' && !request.isDryRun)
        await mesh.moveCursor(name, String(position.epoch), 'number');
      else isNoted = false;
    }
    return isNoted;
  }
}
