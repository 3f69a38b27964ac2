import type { Logger } from 'pino';
import type { ListingId } from '../domain/ids.ts';
import { type UnitRange, leastOf } from '../domain/expected-range.ts';
import type { Judgement, OddOne } from '../domain/verdict.ts';
import type { MappedListing } from '../mesh/sku-map.ts';
import { type Finding, subjectOf, withStep } from './finding.ts';
import type { FindingStore } from './finding-store.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import type { ReconcileMetrics } from './reconcile-metrics.ts';
import { timeId } from './time-id.ts';

export interface FindingsDeskOptions {
  readonly channel: ReconciledChannel;
  readonly store: FindingStore;
  readonly metrics: ReconcileMetrics;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Told of every change, for alarms. Must not throw. */
  readonly onChanged?: ((finding: Finding) => void) | undefined;
}

export interface FoundDrift {
  readonly runId: string;
  readonly listing: MappedListing;
  readonly judgement: Judgement;
  readonly odd: OddOne;
  readonly shown: number | null;
  readonly expected: UnitRange;
  readonly target: number | null;
  readonly difference: UnitRange;
  readonly reads: number;
  readonly readAtMs: number;
  readonly position: string;
}

type Closed = Pick<Finding, 'corrections' | 'changedAtMs'>;

/** Other daemons, and people through them, resolve findings as well. */
const closedKnownMs = 10_000;

/** Opens, updates and closes the findings of one channel, and knows which of its listings have one. */
export class FindingsDesk {
  readonly #options: FindingsDeskOptions;
  /** Open findings by listing, as far as this daemon knows; refreshed from the store. */
  #open = new Map<ListingId, Finding>();
  #frozen: ReadonlySet<ListingId> = new Set();
  /** The newest resolved finding of each listing, as of a moment ago. */
  #closed = new Map<ListingId, Closed>();
  #closedReadAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: FindingsDeskOptions) {
    this.#options = options;
  }

  isFrozen(listingId: ListingId): boolean {
    return this.#frozen.has(listingId);
  }

  openOf(listingId: ListingId): Finding | undefined {
    return this.#open.get(listingId);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Another daemon, or a person through it, may have changed them. Answers listings that are no longer frozen. */
  async refresh(): Promise<readonly ListingId[]> {
    const { store, channel, metrics } = this.#options;
    const open = new Map<ListingId, Finding>();
    const frozen = new Set<ListingId>();
    const byState = new Map<string, number>([
      ['open', 0],
      ['acted', 0],
      ['parked', 0],
      ['frozen', 0],
    ]);
    let units = 0;
    for (const finding of await store.listOpen(Number.POSITIVE_INFINITY, { channel: channel.id })) {
      byState.set(finding.state, (byState.get(finding.state) ?? 0) + 1);
      units += Math.abs(finding.units);
      if (finding.listingId === '') continue;
      open.set(finding.listingId, finding);
      if (finding.state === 'frozen') frozen.add(finding.listingId);
    }
    for (const [state, count] of byState) metrics.openFindings.set({ channel: channel.id, state }, count);
    metrics.driftUnits.set({ channel: channel.id }, units);
    const thawed = [...this.#frozen].filter((listingId) => !frozen.has(listingId));
    this.#open = open;
    this.#frozen = frozen;
    return thawed;
  }

  /** A new finding, or what is now known of the one that is open. Undefined: there is no room for another. */
  async found(drift: FoundDrift): Promise<Finding | undefined> {
    const { channel, nowMs, metrics } = this.#options;
    const { listing, judgement, difference } = drift;
    const subject = {
      channel: channel.id,
      listingId: listing.listingId,
      sku: listing.sku,
      location: '' as const,
    };
    const open = await this.#options.store.openOf(subjectOf(subject));
    const units = leastOf(difference);
    const seen = {
      ...judgement,
      odd: drift.odd,
      shown: drift.shown,
      expectedLowest: drift.expected.lowest,
      expectedHighest: drift.expected.highest,
      target: drift.target,
      units,
      reads: drift.reads,
      readAtMs: drift.readAtMs,
      position: drift.position,
      changedAtMs: nowMs(),
    };
    if (open !== undefined) {
      const again: Finding = { ...open, ...seen, reads: open.reads + drift.reads };
      return (await this.save(again)) ? again : undefined;
    }
    const finding: Finding = withStep(
      {
        id: timeId(nowMs()),
        runId: drift.runId,
        ...subject,
        ...seen,
        openedAtMs: nowMs(),
        state: 'open',
        rule: '',
        corrections: await this.correctionsBefore(listing.listingId),
        steps: [],
      },
      {
        atMs: nowMs(),
        what: 'found',
        actor: 'reconcile',
        reason: `${judgement.verdict}: ${judgement.cause}, ${drift.reads} reads`,
        from: drift.target,
        to: drift.shown,
        position: drift.position,
      },
    );
    if (!(await this.save(finding))) return undefined;
    metrics.findings.inc({ channel: channel.id, verdict: judgement.verdict });
    return finding;
  }

  async save(finding: Finding): Promise<boolean> {
    const { store, log, onChanged } = this.#options;
    if ((await store.save(finding)) === 'full') {
      log.error({ channel: finding.channel, sku: finding.sku }, 'too many open findings: one is not kept');
      return false;
    }
    if (finding.listingId !== '') {
      if (finding.state === 'resolved') {
        this.#open.delete(finding.listingId);
        this.#closed.set(finding.listingId, brief(finding));
      } else this.#open.set(finding.listingId, finding);
    }
    onChanged?.(finding);
    return true;
  }

  /** A read agrees. What a person froze stays frozen until they say otherwise. */
  async agrees(listingId: ListingId, shown: number | null, position: string): Promise<boolean> {
    const known = this.#open.get(listingId);
    if (known === undefined) return false;
    // As it is stored: a person may have decided meanwhile.
    const open = await this.#options.store.openOf(subjectOf(known));
    if (open === undefined) {
      this.#open.delete(listingId);
      return false;
    }
    if (open.state === 'frozen') return false;
    await this.resolve(open, 'a read agrees', shown, position);
    return true;
  }

  async resolve(finding: Finding, reason: string, shown: number | null, position: string): Promise<Finding> {
    const step = { atMs: this.#options.nowMs(), what: 'resolved', actor: 'reconcile', reason } as const;
    const resolved = withStep(
      { ...finding, state: 'resolved' },
      { ...step, from: finding.shown, to: shown, position },
    );
    await this.save(resolved);
    return resolved;
  }

  /** Corrections of the listing's findings that ended not long ago: two writers take turns. */
  async correctionsBefore(listingId: ListingId): Promise<number> {
    const { store, channel, nowMs } = this.#options;
    // A mass of findings at once would read everything that was ever resolved for each of them.
    if (nowMs() - this.#closedReadAtMs > closedKnownMs) {
      const closed = new Map<ListingId, Closed>();
      this.#closedReadAtMs = nowMs();
      for (const finding of await store.listClosed(Number.POSITIVE_INFINITY, { channel: channel.id }))
        if (finding.listingId !== '' && !closed.has(finding.listingId))
          closed.set(finding.listingId, brief(finding));
      this.#closed = closed;
    }
    const last = this.#closed.get(listingId);
    const sinceMs = nowMs() - channel.settings.correctionsKeptMs;
    return last !== undefined && last.changedAtMs >= sinceMs ? last.corrections : 0;
  }
}

function brief({ corrections, changedAtMs }: Finding): Closed {
  return { corrections, changedAtMs };
}
