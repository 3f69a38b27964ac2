// Long on purpose: reading, watching and repairing the counts of one warehouse is one state machine.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Connector } from '../connectors/connector.ts';
import type { CountPage } from '../connectors/counts.ts';
import { type DriftWatch, watchDrift } from '../domain/drift-watch.ts';
import { type UnitRange, differenceOf, holds, leastOf } from '../domain/expected-range.ts';
import type { ChannelId, LocationId, Sku } from '../domain/ids.ts';
import type { Ledger } from '../ledger/contract.ts';
import type { ChannelSettings } from '../mesh/channel.ts';
import type { CountIntake } from '../mesh/count-intake.ts';
import { type OwnedCount, type OwnedLocation, ownCounts } from '../mesh/count-rows.ts';
import { ahead } from '../mesh/ahead.ts';
import { type Finding, subjectOf, withStep } from './finding.ts';
import type { FindingStore } from './finding-store.ts';
import type { ChannelReconcileSettings } from './reconciled-channel.ts';
import type { ReconcileMetrics } from './reconcile-metrics.ts';
import type { RunRequest } from './run.ts';
import type { RunStore } from './run-store.ts';
import { RunTally } from './run-tally.ts';
import { SeenRows } from './seen-rows.ts';
import type { CountWitness, ThreeWay } from './three-way.ts';
import { timeId } from './time-id.ts';

/** One warehouse as reconciliation sees it: its own reads of the counts, and the intake that applies them. */
export interface ReconciledWarehouse {
  readonly id: ChannelId;
  readonly channel: ChannelSettings;
  readonly owned: ReadonlyMap<LocationId, OwnedLocation>;
  readonly connector: Pick<Connector, 'pollCounts' | 'compareCounts' | 'fetchCounts' | 'capabilities'>;
  readonly intake: Pick<CountIntake, 'isReading' | 'pollNow' | 'doorbell'>;
  readonly settings: Pick<ChannelReconcileSettings, 'mode' | 'policy' | 'spacingMs'>;
}

export interface WarehouseReconcilerOptions {
  readonly warehouse: ReconciledWarehouse;
  readonly runs: RunStore;
  readonly findings: FindingStore;
  readonly ledger: Pick<Ledger, 'peek' | 'nowMs'>;
  /** Who else has a word about the goods; undefined: nobody. */
  readonly threeWay?: Pick<ThreeWay, 'ofCount'> | undefined;
  readonly metrics: ReconcileMetrics;
  readonly log: Logger;
  readonly onFinding?: ((finding: Finding) => void) | undefined;
}

interface ExpectedCount {
  readonly count: OwnedCount;
  readonly expected: UnitRange;
}

interface Suspect extends ExpectedCount {
  readonly watch: DriftWatch;
}

/** What one reading keeps beyond the page in hand: what differs, and findings that seem to be over. */
interface Comparison {
  readonly tally: RunTally;
  /** Empty: all. */
  readonly skus: ReadonlySet<string>;
  /** Subjects of open findings. */
  readonly open: ReadonlySet<string>;
  readonly places: Map<LocationId, string>;
  readonly suspects: Map<string, Suspect>;
  /** By subject; nothing is resolved before the reading proved complete. */
  readonly over: Map<string, OwnedCount>;
  /** Where items have ids of their own: which of them stood for the level. */
  readonly items: SeenRows;
}

const lookEveryMs = 1_000;
const skusPerPeek = 200;
const maxSuspects = 10_000;
/** Findings of one run about which the channels are asked: every one of them costs a read there. */
const maxAskedPerRun = 100;
/** Single counts that findings on channels may ask for; further ones go without the warehouse's word. */
const maxWitnessesPerMinute = 60;
const maxItems = 50_000;
const witnessTimeoutMs = 20_000;

/**
 * Reconciliation of a warehouse against the ledger, when it is asked for: in whichever daemon reads the warehouse.
 *
 *   idle --a run is asked for--> reading page by page --complete--> those that differ read again twice --> findings --> idle
 *   reading --held, cut short, the warehouse away--> aborted, nothing concluded
 *
 * The counts it reads are compared, never applied: who applies them is the intake, which a finding may ask to read.
 */
export class WarehouseReconciler implements CountWitness {
  readonly owned: ReadonlySet<LocationId>;
  readonly #options: WarehouseReconcilerOptions;
  readonly #closing = new AbortController();
  /** Items whose id is not their SKU, as far as they were read here. */
  readonly #items = new Map<Sku, string>();
  #hasRead = false;
  /** Items whose counts are to be applied once the run has judged all of them: applying one reads the others too. */
  readonly #toApply: string[] = [];
  /** Findings of the present run about which the channels were asked. */
  #asked = 0;
  #askedAtMs: number[] = [];
  #loop: Promise<void> | undefined;

  constructor(options: WarehouseReconcilerOptions) {
    this.#options = options;
    this.owned = new Set(options.warehouse.owned.keys());
  }

  start(): void {
    if (this.#options.warehouse.settings.mode === 'off') return;
    this.#loop ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  /** What the warehouse counts now. Undefined: it cannot be asked by this SKU, is away, or was asked too often. */
  async countsOf(sku: Sku): Promise<readonly OwnedCount[] | undefined> {
    const { warehouse, log } = this.#options;
    const { connector } = warehouse;
    if (!this.#hasRead || connector.fetchCounts === undefined) return undefined;
    const sinceMs = performance.now() - 60_000;
    this.#askedAtMs = this.#askedAtMs.filter((atMs) => atMs > sinceMs);
    if (this.#askedAtMs.length >= maxWitnessesPerMinute) return undefined;
    this.#askedAtMs.push(performance.now());
    try {
      const limit = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(witnessTimeoutMs)]);
      const counts = this.#own(await connector.fetchCounts([this.#items.get(sku) ?? sku], limit));
      return typeof counts === 'string' ? undefined : counts.filter((count) => count.sku === sku);
    } catch (error) {
      log.info(
        { channel: warehouse.id, sku, err: error },
        'the warehouse could not be asked about a finding',
      );
      return undefined;
    }
  }

  async #run(): Promise<void> {
    const { warehouse, runs, log } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const request = warehouse.intake.isReading ? await runs.asked(warehouse.id) : undefined;
        if (request !== undefined) await this.#reconcile(request);
      } catch (error) {
        if (!signal.aborted)
          log.warn({ channel: warehouse.id, err: error }, 'a warehouse was not reconciled');
      }
      await delay(lookEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #reconcile(request: RunRequest): Promise<void> {
    const { warehouse, runs, ledger, metrics, log } = this.#options;
    const tally = new RunTally({
      id: request.runId,
      channel: warehouse.id,
      kind: request.kind,
      cause: request.cause,
      actor: request.actor,
      isDryRun: request.isDryRun,
      startedAtMs: ledger.nowMs(),
      position: await this.#position(),
      listings: 0,
    });
    await runs.save(tally.snapshot());
    const startedMs = performance.now();
    let reason: string | undefined;
    try {
      reason = await this.#compare(tally, new Set(request.skus));
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    if (this.#closing.signal.aborted) return;
    const state = reason === undefined ? 'completed' : 'aborted';
    if (reason !== undefined) log.error({ channel: warehouse.id, reason }, 'a reconciliation was aborted');
    const end = { atMs: ledger.nowMs(), position: await this.#position(), reason: reason ?? '' };
    await runs.save(tally.ended(state, { ...end, cycleMs: performance.now() - startedMs }));
    await runs.ended(warehouse.id, request.runId);
    metrics.runs.inc({ channel: warehouse.id, kind: request.kind, state });
    metrics.runSeconds.observe(
      { channel: warehouse.id, kind: request.kind },
      (performance.now() - startedMs) / 1_000,
    );
  }

  async #compare(tally: RunTally, skus: ReadonlySet<string>): Promise<string | undefined> {
    const { connector, id } = this.#options.warehouse;
    const { signal } = this.#closing;
    const pages = connector.compareCounts?.(signal) ?? connector.pollCounts?.(null, signal);
    if (pages === undefined) return 'the warehouse has no counts to read';
    let rows = 0;
    const found = await this.#options.findings.listOpen(Number.POSITIVE_INFINITY, { channel: id });
    const comparison: Comparison = {
      tally,
      skus,
      open: new Set(found.map((finding) => subjectOf(finding))),
      places: new Map(),
      suspects: new Map(),
      over: new Map(),
      items: new SeenRows(),
    };
    for await (const page of ahead(pages)) {
      if (page.kind === 'held') return `the warehouse's answer is held: ${page.reason}`;
      rows += page.counts.length;
      const flaw = await this.#lookAt(comparison, page);
      if (flaw !== undefined) return flaw;
    }
    if (rows === 0) return 'the reading was empty';
    for (const count of comparison.over.values()) await this.#agrees(tally, count);
    this.#asked = 0;
    try {
      await this.#confirm(tally, [...comparison.suspects.values()]);
    } finally {
      this.#applyCounts();
    }
    return undefined;
  }

  async #lookAt(comparison: Comparison, page: CountPage): Promise<string | undefined> {
    const { tally, skus, open, suspects, over } = comparison;
    const counts = this.#own(page, comparison.places);
    if (typeof counts === 'string') return counts;
    const wanted = counts.filter(({ sku }) => skus.size === 0 || skus.has(sku));
    tally.add({ rows: wanted.length, requests: 1 });
    for await (const some of ahead(this.#expected(wanted))) {
      let agreed = 0;
      for (const { count, expected } of some) {
        const key = keyOf(count);
        // Only those that have a finding: a healthy row costs no call, and no text, of its own.
        const subject = open.size > 0 ? this.#subjectOf(count) : '';
        const isOdd = count.itemId !== count.sku && comparison.items.note(key, count.itemId) === 'other';
        if (isOdd) {
          // Two items with one SKU at one place: which of them the level is nobody can tell.
          tally.add({ unjudged: 1 });
          forget(comparison, key, subject);
          continue;
        }
        const earlier = suspects.get(key);
        if (earlier !== undefined && earlier.count.asOfMs > count.asOfMs) {
          tally.count('count-differs');
          continue;
        }
        const difference = differenceOf(count.onHand, expected, false);
        if (holds(difference, 0)) {
          agreed++;
          // It moved over a page's border, and its later look agrees.
          if (suspects.delete(key)) tally.recount('count-differs', 'agrees');
          if (open.has(subject)) over.set(subject, count);
          continue;
        }
        tally.count('count-differs');
        over.delete(subject);
        const seen = watchDrift(undefined, difference, count.asOfMs, 0);
        if (seen.kind === 'watched' && (suspects.size < maxSuspects || suspects.has(key)))
          suspects.set(key, { count, watch: seen.watch, expected });
      }
      if (agreed > 0) tally.count('agrees', agreed);
    }
    return undefined;
  }

  /** Read again, item by item, until three counts say the same; what the intake has applied meanwhile agrees. */
  async #confirm(tally: RunTally, first: readonly Suspect[]): Promise<void> {
    const { warehouse } = this.#options;
    const { connector, settings } = warehouse;
    if (connector.fetchCounts === undefined) return;
    let suspects = first;
    while (suspects.length > 0 && !this.#closing.signal.aborted) {
      await delay(settings.spacingMs, undefined, { signal: this.#closing.signal });
      const left: Suspect[] = [];
      const atOnce = Math.max(1, connector.capabilities.readStockBatchSize);
      for (let start = 0; start < suspects.length; start += atOnce) {
        const some = suspects.slice(start, start + atOnce);
        const page = await connector.fetchCounts(
          some.map(({ count }) => count.itemId),
          this.#closing.signal,
        );
        tally.add({ requests: 1 });
        const counts = this.#own(page);
        if (typeof counts === 'string') throw new Error(counts);
        const fresh = new Map<string, ExpectedCount>();
        for await (const seen of this.#expected(counts))
          for (const one of seen) fresh.set(keyOf(one.count), one);
        for (const suspect of some) {
          const now = fresh.get(keyOf(suspect.count));
          if (now === undefined) continue;
          const difference = differenceOf(now.count.onHand, now.expected, false);
          // Dated by us: the same moment is never asked for twice, the spacing was waited for.
          const readAtMs = Math.max(now.count.asOfMs, suspect.watch.lastReadAtMs + 1);
          const seen = watchDrift(suspect.watch, difference, readAtMs, 0);
          if (seen.kind === 'explained') {
            tally.recount('count-differs', 'agrees');
            await this.#agrees(tally, now.count);
          } else if (seen.kind === 'drift') await this.#found(tally, { ...now, watch: seen.watch });
          else left.push({ ...now, watch: seen.watch });
        }
      }
      suspects = left;
    }
  }

  #applyCounts(): void {
    const { intake } = this.#options.warehouse;
    const items = this.#toApply.splice(0);
    if (items.length === 0) return;
    intake.doorbell(items);
    intake.pollNow();
  }

  #own(page: CountPage, places = new Map<LocationId, string>()): readonly OwnedCount[] | string {
    if (page.kind === 'held') return `the warehouse's answer is held: ${page.reason}`;
    const { warehouse } = this.#options;
    const read = ownCounts(page, {
      settings: warehouse.channel,
      owned: warehouse.owned,
      places,
      clockMs: 0,
    });
    if (read.conflict !== undefined) return read.conflict;
    this.#hasRead = true;
    for (const { sku, itemId } of read.counts)
      if (itemId !== sku && (this.#items.size < maxItems || this.#items.has(sku)))
        this.#items.set(sku, itemId);
    return read.counts;
  }

  /** Goods promised to orders may have left the shelf before the warehouse says that they were shipped. */
  async *#expected(counts: readonly OwnedCount[]): AsyncGenerator<readonly ExpectedCount[]> {
    for (let start = 0; start < counts.length; start += skusPerPeek) {
      const some = counts.slice(start, start + skusPerPeek);
      const { levels } = await this.#options.ledger.peek([...new Set(some.map(({ sku }) => sku))]);
      const expected: ExpectedCount[] = [];
      for (const count of some) {
        const level = levels.get(count.sku)?.get(count.location);
        if (level === undefined) continue;
        const { onHand, committed } = level;
        expected.push({ count, expected: { lowest: onHand - Math.max(0, committed), highest: onHand } });
      }
      yield expected;
    }
  }

  async #found(tally: RunTally, { count, watch, expected }: Suspect): Promise<void> {
    const { warehouse, findings, ledger, metrics, log, onFinding } = this.#options;
    const { id, settings } = warehouse;
    const units = leastOf(watch.difference);
    const atMs = ledger.nowMs();
    const position = await this.#position();
    const subject = { channel: id, listingId: '', sku: count.sku, location: count.location } as const;
    const open = await findings.openOf(subjectOf(subject));
    if (open?.state === 'parked') return;
    const { threeWay } = this.#options;
    const mayAsk = threeWay !== undefined && this.#asked++ < maxAskedPerRun;
    const odd = mayAsk ? await threeWay.ofCount(count, expected) : 'unclear';
    const wanted = settings.policy['count-differs'];
    const isActing = settings.mode === 'repair' && !tally.isDryRun && wanted !== 'report';
    const seen = {
      odd,
      shown: count.onHand,
      expectedLowest: expected.lowest,
      expectedHighest: expected.highest,
      target: expected.highest,
      units,
      reads: watch.reads,
      readAtMs: count.asOfMs,
      position,
      changedAtMs: atMs,
      rule: `${isActing ? '' : 'observed only, would be '}count-differs: ${wanted}`,
    };
    const step = { atMs, actor: 'reconcile', position, from: expected.highest, to: count.onHand };
    let finding: Finding =
      open === undefined
        ? withStep(
            {
              id: timeId(atMs),
              runId: tally.id,
              ...subject,
              verdict: 'count-differs',
              cause: units < 0 ? 'warehouse-lost' : 'warehouse-found',
              ...seen,
              openedAtMs: atMs,
              state: 'open',
              corrections: 0,
              steps: [],
            },
            { ...step, what: 'found', reason: `${watch.reads} counts` },
          )
        : { ...open, ...seen };
    if (isActing) {
      finding = withStep(
        { ...finding, state: wanted === 'park' ? 'parked' : 'acted' },
        { ...step, what: wanted, reason: seen.rule },
      );
      metrics.actions.inc({ channel: id, action: wanted });
      tally.add({ actions: 1 });
      // Its own counts change the figure, by the intake's rules and nobody else's.
      if (wanted === 'adopt') this.#toApply.push(count.itemId);
    }
    await findings.save(finding);
    onFinding?.(finding);
    if (open === undefined) {
      tally.add({ opened: 1, driftUnits: Math.abs(units) });
      metrics.findings.inc({ channel: id, verdict: 'count-differs' });
    }
    log.warn({ channel: id, sku: count.sku, counted: count.onHand, units }, 'drift found: a count differs');
  }

  async #agrees(tally: RunTally, count: OwnedCount): Promise<void> {
    const { findings, ledger, onFinding } = this.#options;
    const open = await findings.openOf(this.#subjectOf(count));
    if (open === undefined) return;
    const resolved = withStep(
      { ...open, state: 'resolved' },
      {
        atMs: ledger.nowMs(),
        what: 'resolved',
        actor: 'reconcile',
        reason: 'a count agrees',
        from: open.shown,
        to: count.onHand,
        position: await this.#position(),
      },
    );
    await findings.save(resolved);
    onFinding?.(resolved);
    tally.add({ resolved: 1 });
  }

  #subjectOf({ sku, location }: OwnedCount): string {
    return subjectOf({ channel: this.#options.warehouse.id, listingId: '', sku, location });
  }

  async #position(): Promise<string> {
    const { position } = await this.#options.ledger.peek([] as Sku[]);
    return `${position.epoch}-${position.seq}`;
  }
}

function forget({ tally, suspects, over }: Comparison, key: string, subject: string): void {
  over.delete(subject);
  if (suspects.delete(key)) tally.uncount('count-differs');
}

function keyOf({ location, sku }: OwnedCount): string {
  return `${location}/${sku}`;
}
