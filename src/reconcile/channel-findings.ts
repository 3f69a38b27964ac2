import type { Logger } from 'pino';
import type { UnitRange } from '../domain/expected-range.ts';
import type { ListingId } from '../domain/ids.ts';
import type { DriftCause, Judgement, OddOne } from '../domain/verdict.ts';
import { judgeMissedOrder } from '../domain/verdict.ts';
import type { Ledger, ListingView } from '../ledger/contract.ts';
import type { MappedListing } from '../mesh/sku-map.ts';
import type { ChannelRuns, OpenRun } from './channel-runs.ts';
import { DriftEvidence, type DriftEvidenceOptions } from './drift-evidence.ts';
import type { FindingsDesk } from './findings-desk.ts';
import type { Finding } from './finding.ts';
import type { RowLook } from './judge-row.ts';
import type { ListingLooks } from './listing-looks.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import type { ReconcileMetrics } from './reconcile-metrics.ts';
import type { Repair } from './repair.ts';
import type { ThreeWay } from './three-way.ts';
import type { WatchedListing } from './watch-book.ts';

export interface ChannelFindingsOptions extends DriftEvidenceOptions {
  readonly channel: ReconciledChannel;
  readonly desk: FindingsDesk;
  readonly repair: Repair;
  readonly runs: ChannelRuns;
  readonly looks: ListingLooks;
  /** Undefined: nobody else can be asked. */
  readonly threeWay: Pick<ThreeWay, 'ofListing'> | undefined;
  readonly ledger: Pick<Ledger, 'nowMs'>;
  readonly metrics: ReconcileMetrics;
  readonly log: Logger;
  readonly spacingMs: number;
  /** Read it before others, once the dust has settled. */
  readonly favour: (listingIds: readonly ListingId[]) => void;
}

const noUnits: UnitRange = { lowest: 0, highest: 0 };

/** From what the reads proved to a finding with its name, and what policy does about it; one after the other. */
export class ChannelFindings {
  readonly #options: ChannelFindingsOptions;
  readonly #evidence: DriftEvidence;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ChannelFindingsOptions) {
    this.#options = options;
    this.#evidence = new DriftEvidence(options);
  }

  /** What is found and what is decided about it happen one after the other: the publisher and people speak up too. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  /** Three reads bound a common difference, or agree that the listing is gone. */
  async drifted(
    entry: WatchedListing,
    look: RowLook,
    difference: UnitRange,
    reads: number,
    view: ListingView,
  ): Promise<void> {
    const { channel, desk, favour } = this.#options;
    const { listing } = entry.row;
    if (this.#isStillActing(listing.listingId)) return favour([listing.listingId]);
    const judgement =
      look.kind === 'absent'
        ? this.#judgeAbsent(listing, look.cause)
        : await this.#evidence.judge(listing, look.kind === 'unpublished' ? noUnits : difference);
    const units = look.kind === 'absent' ? noUnits : difference;
    const before = desk.openOf(listing.listingId);
    await this.inTurn(async () => {
      const finding = await this.#found(entry, look, judgement, units, reads, view);
      // Reported once.
      const isKnown = before?.state === 'open' && before.verdict === finding?.verdict;
      const isReport = channel.settings.policy[judgement.verdict] === 'report';
      if (finding !== undefined && !(isKnown && isReport)) await this.#act(entry, finding);
    });
  }

  /** Orders that only our own question brought: the platform's notice of them was lost, or its search had left them out. */
  async explainedByPull(entry: WatchedListing, look: RowLook, view: ListingView): Promise<void> {
    const { channel, desk, looks, runs, metrics } = this.#options;
    const { after, shown } = entry.row;
    if (shown === null) return;
    const first = looks.judge({ ...entry.row, isActive: true }, after, true);
    const difference = first.kind === 'differs' ? first.difference : noUnits;
    const reads = (entry.watch?.reads ?? 0) + 1;
    const finding = await this.#found(entry, look, judgeMissedOrder(difference), difference, reads, view);
    if (finding === undefined) return;
    const wanted = channel.settings.policy['missed-order'];
    const rule = `missed-order: ${wanted} (the walk that proved it brought the order)`;
    await desk.resolve({ ...finding, rule }, 'orders were pulled', shown, finding.position);
    runs.of(entry)?.tally.add({ resolved: 1, actions: 1 });
    metrics.actions.inc({ channel: finding.channel, action: 'pull-orders' });
  }

  /** What the platform itself says of the listing needs no further reads. */
  async stated(run: OpenRun, listing: MappedListing, judgement: Judgement): Promise<void> {
    const { desk, runs, repair, ledger } = this.#options;
    const open = desk.openOf(listing.listingId);
    if (open?.verdict === judgement.verdict) return;
    const finding = await desk.found({
      runId: run.tally.id,
      listing,
      judgement,
      odd: 'unclear',
      shown: null,
      expected: noUnits,
      target: null,
      difference: noUnits,
      reads: 1,
      readAtMs: ledger.nowMs(),
      position: await runs.position(),
    });
    if (finding === undefined) return;
    run.tally.add({ opened: 1 });
    await desk.save(await repair.byPolicy(finding, listing, run.tally.isDryRun));
  }

  /** The publisher proved by three reads of its own that somebody changed the number. */
  async noteEdited(listing: MappedListing, shows: number, target: number): Promise<void> {
    const { channel, desk, looks, runs, repair, ledger, log, favour } = this.#options;
    const open = desk.openOf(listing.listingId);
    if (open?.state === 'parked' || open?.state === 'frozen') return;
    const view = await looks.view(listing);
    const units = view?.state.residue?.units ?? shows - target;
    const difference = { lowest: units, highest: units };
    const expected = { lowest: shows - units, highest: shows - units };
    const finding = await desk.found({
      runId: runs.sweep?.tally.id ?? '',
      listing,
      judgement: await this.#evidence.judge(listing, difference),
      odd: view === undefined ? 'unclear' : await this.#odd(listing, view, shows, expected),
      shown: shows,
      expected,
      target,
      difference,
      reads: view?.state.residue?.reads ?? 3,
      readAtMs: view?.state.residue?.readAtMs ?? ledger.nowMs(),
      position: await runs.position(),
    });
    if (finding === undefined) return;
    log.warn({ channel: channel.id, sku: listing.sku, shows, target }, 'drift proven by the publisher');
    await desk.save(await repair.byPolicy(finding, listing, false));
    favour([listing.listingId]);
  }

  /** On a platform of plain numbers the mesh has decided it already: the units were released, its own number is written. */
  async noteResolvedByMesh(listingId: ListingId, units: number, position: string): Promise<void> {
    const { channel, desk, looks, runs, ledger, favour } = this.#options;
    const listing = channel.map.listing(listingId);
    if (listing === undefined || !channel.publishing.isPublishing) return;
    const view = await looks.view(listing);
    const target = view === undefined ? null : channel.publishing.targetOf(listing, view).units;
    // Orders that the platform dates beside a read may be released as if somebody had taken the units: no proof.
    const sinceMs = ledger.nowMs() - 60_000;
    const soldLately = view?.state.rises.filter(({ atMs }) => atMs > sinceMs) ?? [];
    if (Math.abs(units) <= soldLately.reduce((sum, rise) => sum + Math.abs(rise.units), 0)) return;
    const shown = target === null ? null : Math.max(0, target - units);
    const expected = { lowest: target ?? 0, highest: target ?? 0 };
    const finding = await desk.found({
      runId: runs.sweep?.tally.id ?? '',
      listing,
      judgement: { verdict: 'edited-on-channel', cause: 'hand-edit' },
      odd: view === undefined || shown === null ? 'unclear' : await this.#odd(listing, view, shown, expected),
      shown,
      expected,
      target,
      difference: { lowest: -units, highest: -units },
      reads: 1,
      readAtMs: ledger.nowMs(),
      position,
    });
    if (finding === undefined) return;
    await desk.save({
      ...finding,
      state: 'acted',
      rule: 'the platform takes plain numbers: ours is written again',
    });
    favour([listingId]);
  }

  /** By now the map was read anew, and says why. */
  #judgeAbsent({ listingId }: MappedListing, cause: DriftCause): Judgement {
    const problems = this.#options.channel.map.listing(listingId)?.problems ?? [];
    return problems.includes('untracked')
      ? { verdict: 'untracked', cause: 'not-tracked' }
      : { verdict: 'inactive', cause };
  }

  /** What was asked of the mesh takes it reads and walks of its own: before that, the same difference is no new one. */
  #isStillActing(listingId: ListingId): boolean {
    const { channel, desk, ledger, spacingMs } = this.#options;
    const open = desk.openOf(listingId);
    if (open?.state !== 'acted') return false;
    const { orderIndexLagMs, longestApplyMs } = channel.connector.capabilities;
    const meshMs =
      6 * (spacingMs + orderIndexLagMs + channel.settings.skewMs) + Math.min(longestApplyMs, 600_000);
    return ledger.nowMs() - (open.steps.at(-1)?.atMs ?? 0) < meshMs;
  }

  async #found(
    entry: WatchedListing,
    look: RowLook,
    judgement: Judgement,
    difference: UnitRange,
    reads: number,
    view: ListingView,
  ): Promise<Finding | undefined> {
    const { channel, desk, looks, runs, log } = this.#options;
    const { listing, shown } = entry.row;
    const before = desk.openOf(listing.listingId);
    const target = looks.target(listing, view) ?? null;
    const expected = 'expected' in look ? look.expected : noUnits;
    const finding = await desk.found({
      runId: entry.runId,
      listing,
      judgement,
      odd: await this.#oddOf(judgement, look, listing, view, shown, target),
      shown,
      expected,
      target,
      difference,
      reads,
      readAtMs: entry.row.readAtMs,
      position: await runs.position(),
    });
    if (finding === undefined) return undefined;
    runs.recount(entry, judgement.verdict);
    if (before === undefined) runs.of(entry)?.tally.add({ opened: 1, driftUnits: Math.abs(finding.units) });
    const { sku, verdict, cause, odd, units } = finding;
    log.warn({ channel: channel.id, sku, verdict, cause, odd, shown, target, units }, 'drift found');
    return finding;
  }

  async #oddOf(
    judgement: Judgement,
    look: RowLook,
    listing: MappedListing,
    view: ListingView,
    shown: number | null,
    target: number | null,
  ): Promise<OddOne> {
    // The channel's own order says who was right: the ledger had not heard of it.
    if (judgement.verdict === 'missed-order') return 'ledger';
    if (shown === null) return 'unclear';
    if (look.kind === 'differs') return this.#odd(listing, view, shown, look.expected);
    if (look.kind !== 'unpublished' || target === null) return 'unclear';
    return this.#odd(listing, view, shown, { lowest: target, highest: target });
  }

  #odd(listing: MappedListing, view: ListingView, shown: number, expected: UnitRange): Promise<OddOne> {
    const { channel, threeWay } = this.#options;
    if (threeWay === undefined) return Promise.resolve('unclear');
    const targetOf = (of: ListingView): number => channel.publishing.targetOf(listing, of).units;
    return threeWay.ofListing({ listing, view, shown, expected, targetOf });
  }

  async #act(entry: WatchedListing, finding: Finding): Promise<void> {
    const { desk, repair, runs, favour } = this.#options;
    // What waits for a person, or was frozen by one, is not touched again.
    if (finding.state === 'parked' || finding.state === 'frozen') return;
    const acted = await repair.byPolicy(finding, entry.row.listing, entry.isDryRun);
    await desk.save(acted);
    if (acted.state !== 'open') runs.of(entry)?.tally.add({ actions: 1 });
    if (acted.state === 'acted') favour([entry.row.listing.listingId]);
  }
}
