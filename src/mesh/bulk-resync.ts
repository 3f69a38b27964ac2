// Long on purpose: a bulk document from its first row to its report is one state machine.
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { BulkProgress, BulkSubmission, BulkWriter } from '../connectors/bulk-write.ts';
import type { RowOutcome } from '../connectors/connector.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { BulkPart, PublisherLedger, WriteRecord } from '../ledger/contract.ts';
import { formatPosition } from '../ledger/position.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import type { BulkSettings } from './bulk-settings.ts';
import type { LeaseTerm } from './channel-lease.ts';
import type { PlannedRow } from './listing-look.ts';
import type { RequestSender, SettledOutcome } from './request-sender.ts';
import type { MappedListing } from './sku-map.ts';

export interface BulkResyncOptions {
  readonly channel: ChannelId;
  readonly bulk: BulkWriter;
  readonly requestTimeoutMs: number;
  readonly listing: (listingId: ListingId) => MappedListing | undefined;
  readonly ledger: PublisherLedger;
  readonly sender: Pick<RequestSender, 'settleRecord'>;
  readonly settings: BulkSettings;
  /** Those of the rows that are still to be raised to the same number, with what they are now. */
  readonly stillWanted: (rows: readonly PlannedRow[]) => Promise<readonly PlannedRow[]>;
  /** Rows that are not sent in bulk (any more): they are looked at again. */
  readonly released: (rows: readonly PlannedRow[]) => void;
  readonly settled: (record: WriteRecord, outcomes: readonly SettledOutcome[]) => void;
  readonly log: Logger;
  /** Ledger clock. */
  readonly nowMs: () => number;
}

const rowsPerPart = 250;
/** A listing that sells so fast that this time would empty it is not left to a document that may take as long. */
const assumedHours = 8;

interface Document {
  readonly name: string;
  parts: readonly WriteRecord[];
  nextCheckAtMs: number;
}

/**
 * The raises of a full resync, in one document per resync instead of thousands of requests. A document may take hours and
 * may land after newer single writes, so it carries no lowering, and each of its rows is an open write from before it
 * leaves until the platform's report on it is read (`isInBulk` in domain/open-writes.ts).
 *
 *   idle --resync begins--> gathering --few raises, or it refuses--> idle (they go out in single requests)
 *   gathering --quiet, full, or long enough--> claimed: parts recorded, listings point to them
 *   claimed --`leaving` stored in all parts at once--> handed over --name stored--> submitted --report read--> settled --> idle
 *   leaving, no name (lost answer, crash) --the platform lists none--> not applied   --it lists ended ones--> unknown
 *   claimed --crash--> not applied            submitted --crash--> asked for its report again
 *
 * "Finished" pushed by the platform is a hint to ask sooner. All times here are monotonic, but those in records.
 */
export class BulkResync {
  readonly #options: BulkResyncOptions;
  readonly #gathered = new Map<ListingId, PlannedRow>();
  #firstAtMs = 0;
  #lastAtMs = 0;
  #isGathering = false;
  #document: Document | undefined;
  #isBusy = false;
  #pausedUntilMs = 0;

  constructor(options: BulkResyncOptions) {
    this.#options = options;
  }

  get isGathering(): boolean {
    return this.#isGathering && this.#document === undefined && performance.now() >= this.#pausedUntilMs;
  }

  /** Every listing of the channel is about to be looked at. */
  begin(): void {
    this.#isGathering = true;
    this.#lastAtMs = performance.now();
  }

  clear(): void {
    this.#gathered.clear();
    this.#isGathering = false;
    this.#document = undefined;
  }

  /** The listing is looked at again: what was gathered for it is out of date. */
  forget(listingId: ListingId): void {
    this.#gathered.delete(listingId);
  }

  /** True when the row waits here from now on. */
  offer(row: PlannedRow): boolean {
    const { settings } = this.#options;
    if (!this.isGathering || !row.isRaise || row.kind !== 'put') return false;
    if (this.#gathered.size >= settings.maxRows || row.urgency.unitsPerHour * assumedHours >= row.to)
      return false;
    this.#lastAtMs = performance.now();
    if (this.#gathered.size === 0) this.#firstAtMs = this.#lastAtMs;
    this.#gathered.set(row.listingId, row);
    return true;
  }

  /** Documents named in the platform's push. */
  hint(bulkIds: readonly string[]): void {
    const bulkId = this.#document?.parts[0]?.bulk?.bulkId;
    if (this.#document !== undefined && bulkId !== undefined && bulkIds.includes(bulkId))
      this.#document.nextCheckAtMs = 0;
  }

  /** Records of the channel: parts of a document that this process does not know of are taken up. */
  restore(records: readonly WriteRecord[]): void {
    const parts = records.filter((record) => record.bulk !== undefined);
    const name = parts[0]?.bulk?.document;
    if (name === undefined || this.#document !== undefined || this.#isBusy) return;
    const own = parts.filter((record) => record.bulk?.document === name);
    this.#document = { name, parts: own, nextCheckAtMs: 0 };
  }

  nextMs(nowMs: number): number {
    if (this.#isBusy) return Number.POSITIVE_INFINITY;
    if (this.#document !== undefined) return Math.max(this.#document.nextCheckAtMs, nowMs + 10);
    return this.#isGathering ? Math.max(nowMs + 10, this.#closesAtMs()) : Number.POSITIVE_INFINITY;
  }

  /** What is due now, as a task that never rejects; undefined when nothing is. */
  due(term: LeaseTerm): (() => Promise<void>) | undefined {
    const nowMs = performance.now();
    if (this.#isBusy) return undefined;
    const document = this.#document;
    if (document !== undefined) {
      return nowMs < document.nextCheckAtMs ? undefined : this.#task(() => this.#follow(term, document));
    }
    if (!this.#isGathering || nowMs < this.#closesAtMs()) return undefined;
    const rows = [...this.#gathered.values()];
    this.#gathered.clear();
    this.#isGathering = false;
    if (rows.length < this.#options.settings.minRows) {
      this.#options.released(rows);
      return undefined;
    }
    return this.#task(() => this.#submit(term, rows));
  }

  #closesAtMs(): number {
    const { settings } = this.#options;
    if (this.#gathered.size >= settings.maxRows) return 0;
    // Bases are still being read while nothing is gathered: the resync is not over before its first row came.
    if (this.#gathered.size === 0) return this.#lastAtMs + settings.gatherMs;
    return Math.min(this.#lastAtMs + settings.quietMs, this.#firstAtMs + settings.gatherMs);
  }

  #task(run: () => Promise<void>): () => Promise<void> {
    this.#isBusy = true;
    return async () => {
      try {
        await run();
      } catch (error) {
        const { channel, log, settings } = this.#options;
        log.warn({ channel, err: error }, 'a bulk document waits');
        if (this.#document !== undefined)
          this.#document.nextCheckAtMs = performance.now() + settings.checkEveryMs;
      } finally {
        this.#isBusy = false;
      }
    };
  }

  async #submit(term: LeaseTerm, rows: readonly PlannedRow[]): Promise<void> {
    const { channel, log } = this.#options;
    const document: Document = { name: randomUUID(), parts: [], nextCheckAtMs: 0 };
    this.#document = document;
    try {
      for (let start = 0; start < rows.length; start += rowsPerPart)
        await this.#claim(term, document, rows.slice(start, start + rowsPerPart));
    } finally {
      const claimed = new Set(document.parts.flatMap((part) => part.rows.map(({ listingId }) => listingId)));
      this.#options.released(rows.filter(({ listingId }) => !claimed.has(listingId)));
    }
    if (document.parts.length === 0) {
      this.#document = undefined;
      return;
    }
    const size = document.parts.reduce((sum, part) => sum + part.rows.length, 0);
    if (!(await this.#store(term, document, (bulk) => ({ ...bulk, size, step: 'leaving' })))) return;
    await failpoint('bulk-leaving');
    const submission = await this.#handOver(term, document);
    log.info({ channel, document: document.name, rows: size, submission }, 'full resync in bulk');
    switch (submission.kind) {
      case 'submitted':
        await failpoint('bulk-submitted');
        await this.#store(term, document, (bulk) => ({ ...bulk, bulkId: submission.bulkId }));
        document.nextCheckAtMs = performance.now() + this.#options.settings.checkEveryMs;
        return;
      case 'not-submitted':
        this.#pausedUntilMs = performance.now() + (submission.retryInMs ?? 0);
        await this.#settle(term, document, { kind: 'not-applied' });
        return;
      case 'unknown':
        document.nextCheckAtMs = performance.now() + this.#options.settings.listedAfterMs;
    }
  }

  /** Rows that moved since they were gathered are left out; a call that stays refused leaves out all of them. */
  async #claim(term: LeaseTerm, document: Document, rows: readonly PlannedRow[]): Promise<void> {
    const { channel, ledger, nowMs, stillWanted } = this.#options;
    let left = await stillWanted(rows);
    const offset = document.parts.reduce((sum, part) => sum + part.rows.length, 0);
    for (let attempt = 0; attempt < 3 && left.length > 0; attempt++) {
      const position = left[0]?.position ?? { epoch: 0, seq: 0 };
      const record: WriteRecord = {
        writeId: randomUUID(),
        kind: 'bulk',
        rows: left.map(({ listingId, from, to, view }) => {
          return { listingId, from, to, takenAt: view.state.taken };
        }),
        bulk: { document: document.name, offset, size: 0, step: 'claimed' },
        variablesHash: '',
        reference: formatPosition(position),
        seq: position.seq,
        token: term.token,
        sentAtMs: nowMs(),
        attempts: 1,
      };
      const versions = left.map(({ listingId, view }) => ({ listingId, version: view.state.version }));
      const claim = await ledger.claimWrite(channel, term.token, record, versions);
      if (claim.kind === 'lease-lost') return;
      if (claim.kind === 'claimed') {
        document.parts = [...document.parts, record];
        return;
      }
      const moved = new Set(claim.listings);
      left = left.filter(({ listingId }) => !moved.has(listingId));
    }
  }

  async #handOver(term: LeaseTerm, document: Document): Promise<BulkSubmission> {
    const { bulk, listing, requestTimeoutMs, settings } = this.#options;
    const rows = document.parts.flatMap((part) =>
      part.rows.flatMap(({ listingId, to }) => {
        const ref = listing(listingId)?.ref;
        return ref === undefined ? [] : [{ ref, to }];
      }),
    );
    if (rows.length !== (document.parts[0]?.bulk?.size ?? 0))
      return { kind: 'not-submitted', reason: 'a listing left the map' };
    if (!term.outlives(requestTimeoutMs)) return { kind: 'not-submitted', reason: 'the lease ends' };
    try {
      return await bulk.submit(rows, term.ended);
    } catch (error) {
      // A connector's own errors mean that nothing was handed over; anything unforeseen may have happened after it.
      const reason = error instanceof Error ? error.message : 'it failed';
      if (!(error instanceof StockmeshError)) return { kind: 'unknown', reason };
      return { kind: 'not-submitted', reason, retryInMs: settings.checkEveryMs };
    }
  }

  async #follow(term: LeaseTerm, document: Document): Promise<void> {
    const { bulk, settings, nowMs, channel, log } = this.#options;
    const [first] = document.parts;
    const part = first?.bulk;
    if (first === undefined || part === undefined) {
      this.#document = undefined;
      return;
    }
    // `leaving` is stored in all parts before anything leaves: one without it means that nothing did.
    if (document.parts.some((record) => record.bulk?.step === 'claimed'))
      return this.#settle(term, document, { kind: 'not-applied' });
    const ageMs = nowMs() - first.sentAtMs;
    const isOld = ageMs > bulk.longestApplyMs;
    if (isOld) log.warn({ channel, bulkId: part.bulkId, ageMs }, 'a bulk document has no report');
    const tooLate: RowOutcome = { kind: 'unknown', reason: 'its report never came' };
    document.nextCheckAtMs = performance.now() + settings.checkEveryMs;
    if (part.bulkId === undefined) {
      const state = await bulk.since(first.sentAtMs, term.ended);
      const isListed = ageMs >= settings.listedAfterMs;
      if (state === 'none' && isListed) await this.#settle(term, document, { kind: 'not-applied' });
      else if ((state === 'ended' && isListed) || isOld) await this.#settle(term, document, tooLate);
      return;
    }
    const progress: BulkProgress = await bulk.check(part.bulkId, part.size, term.ended);
    if (progress.kind === 'finished') await this.#settle(term, document, progress.rows);
    else if (isOld) await this.#settle(term, document, tooLate);
  }

  async #settle(
    term: LeaseTerm,
    document: Document,
    outcome: RowOutcome | readonly RowOutcome[],
  ): Promise<void> {
    for (const record of document.parts) {
      const offset = record.bulk?.offset ?? 0;
      const outcomes = new Map(
        record.rows.map(({ listingId }, index): [ListingId, RowOutcome] => [
          listingId,
          'kind' in outcome
            ? outcome
            : (outcome[offset + index] ?? { kind: 'unknown', reason: 'the report does not name it' }),
        ]),
      );
      const settled = await this.#options.sender.settleRecord(term, record, outcomes);
      if (settled === 'term-over') return;
      document.parts = document.parts.filter((part) => part !== record);
      this.#options.settled(record, settled);
    }
    this.#document = undefined;
  }

  /** All parts in one call, or none. */
  async #store(term: LeaseTerm, document: Document, change: (bulk: BulkPart) => BulkPart): Promise<boolean> {
    const { channel, ledger } = this.#options;
    document.parts = document.parts.map((record) => {
      return record.bulk === undefined ? record : { ...record, bulk: change(record.bulk) };
    });
    const result = await ledger.settle(channel, term.token, {
      changes: [],
      closeWrites: [],
      keepWrites: document.parts,
      settlementId: randomUUID(),
    });
    return result.kind === 'settled';
  }
}
