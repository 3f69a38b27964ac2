// Long on purpose: one request, from its record to its settlement, is one state machine.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Connector, RowOutcome, WriteBatch, WriteResult } from '../connectors/connector.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import { isKnownForSure } from '../domain/belief.ts';
import type { ListingState } from '../domain/listing.ts';
import type {
  ListingChange,
  ListingView,
  Position,
  PublisherLedger,
  Settlement,
  WriteRecord,
} from '../ledger/contract.ts';
import { openWriteOf } from '../ledger/write-commands.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import type { Breaker } from './breaker.ts';
import type { LeaseTerm } from './channel-lease.ts';
import type { PublishRules } from './publish-rules.ts';
import type { MappedListing } from './sku-map.ts';
import { allRows, writeFailure } from './write-failure.ts';
import { type NewRequest, newRequest, repeatedBatch } from './write-request.ts';

export interface RequestSenderOptions {
  readonly channel: ChannelId;
  readonly connector: Connector;
  readonly listing: (listingId: ListingId) => MappedListing | undefined;
  readonly ledger: PublisherLedger;
  readonly rules: PublishRules;
  readonly breaker: Breaker;
  readonly log: Logger;
  /** Ledger clock. */
  readonly nowMs: () => number;
  readonly onAccessLost: (reason: string) => void;
  /** Rows of a request have their outcome, and the ledger knows it. It must not throw and not wait. */
  readonly onWritten?: ((record: WriteRecord, rows: readonly SettledOutcome[]) => void) | undefined;
}

/** What became of a request that was to be sent. */
export type Sent =
  | { readonly kind: 'settled'; readonly rows: readonly SettledOutcome[] }
  /** The outcome is not known: the same request is to be repeated. Rows that are not open any more are in `rows`. */
  | { readonly kind: 'open'; readonly record: WriteRecord; readonly rows: readonly SettledOutcome[] }
  /** Nothing was sent, nothing is recorded. `conflicts` must be read again first. */
  | { readonly kind: 'conflict'; readonly listings: readonly ListingId[] }
  | { readonly kind: 'not-now'; readonly retryInMs: number }
  | { readonly kind: 'throttled'; readonly retryInMs: number }
  /** The lease is gone, or another holder settled for us: this term is over. */
  | { readonly kind: 'term-over' };

export interface SettledOutcome {
  readonly listingId: ListingId;
  readonly outcome: RowOutcome;
  /** It is on the shelf, and nothing about the listing waits to be learnt. */
  readonly isDone: boolean;
  /** The listing as it was stored with the outcome. */
  readonly next: ListingState;
}

const settleTries = 10;
/**
 * One request of one channel, from its record to its settlement.
 *
 *   computed --claimed (record stored, listings point to it)--> recorded --sent--> answered --settled--> gone
 *   recorded/sent --no answer, crash--> unknown --same key, same variables--> answered | unknown
 *   unknown --window over, key spent, rows changed--> abandoned: its listings need a new base
 *
 * The record is stored before the request leaves, so whoever holds the lease next can resolve what this process cannot.
 */
export class RequestSender {
  readonly #options: RequestSenderOptions;
  readonly #underWay = new Set<string>();

  constructor(options: RequestSenderOptions) {
    this.#options = options;
  }

  /** True while this process itself works on the request: its record is open, and nobody has to resolve it. */
  isUnderWay(writeId: string): boolean {
    return this.#underWay.has(writeId);
  }

  /** `views` are those the rows were computed from: a listing that changed since is refused, never overwritten. */
  async submit(
    term: LeaseTerm,
    request: NewRequest,
    views: ReadonlyMap<ListingId, ListingView>,
  ): Promise<Sent> {
    const { channel, ledger, breaker } = this.#options;
    if (!this.#maySend(term)) return { kind: 'not-now', retryInMs: 50 };
    const admission = breaker.admit();
    if (admission.kind === 'refused') return { kind: 'not-now', retryInMs: admission.retryInMs };
    const { record, batch } = newRequest(request);
    this.#underWay.add(record.writeId);
    try {
      const expected = record.rows.map(({ listingId }) => ({
        listingId,
        version: views.get(listingId)?.state.version ?? 0,
      }));
      const claim = await ledger.claimWrite(channel, term.token, record, expected);
      if (claim.kind === 'conflict') return claim;
      if (claim.kind === 'lease-lost') return { kind: 'term-over' };
      await failpoint('publish-claimed');
      // The claim may have taken long (a paused process, a slow disk): asked again right before the request leaves.
      const result = this.#maySend(term)
        ? await this.#write(batch, admission.done)
        : { ...allRows(batch, { kind: 'not-applied' as const }), throttledForMs: 50 };
      return await this.#conclude(term, record, result, claimedViews(record, views));
    } finally {
      this.#underWay.delete(record.writeId);
      admission.done('ok');
    }
  }

  /** Resolves a recorded request: by its key within the key's window, else by giving its listings a new base. */
  async repeat(term: LeaseTerm, record: WriteRecord): Promise<Sent> {
    const { rules, breaker, nowMs } = this.#options;
    const batch = repeatedBatch(record, (listingId) => this.#options.listing(listingId)?.ref);
    const isInWindow = rules.mayRepeat(record.sentAtMs, nowMs());
    if (batch === undefined || !isInWindow) {
      this.#options.log.warn(
        { channel: this.#options.channel, writeId: record.writeId, rows: record.rows.length, isInWindow },
        'a write of unknown outcome cannot be repeated: its listings are read anew',
      );
      return this.#abandon(term, record);
    }
    if (!this.#maySend(term)) return { kind: 'not-now', retryInMs: 50 };
    const admission = breaker.admit();
    if (admission.kind === 'refused') return { kind: 'not-now', retryInMs: admission.retryInMs };
    this.#underWay.add(record.writeId);
    try {
      const again = { ...record, attempts: record.attempts + 1, token: term.token };
      const result = await this.#write(batch, admission.done);
      if (result.throttledForMs !== undefined) return { kind: 'throttled', retryInMs: result.throttledForMs };
      // "Not sent" of this attempt says nothing about the attempts before it.
      return await this.#conclude(term, again, stillUnknown(result));
    } finally {
      this.#underWay.delete(record.writeId);
      admission.done('ok');
    }
  }

  #maySend(term: LeaseTerm): boolean {
    return term.outlives(this.#options.connector.capabilities.requestTimeoutMs);
  }

  async #write(batch: WriteBatch, done: (outcome: 'ok' | 'failed') => void): Promise<WriteResult> {
    const { connector, channel, log } = this.#options;
    await failpoint('publish-sent');
    const timeoutMs = connector.capabilities.requestTimeoutMs;
    let timer: NodeJS.Timeout | undefined;
    // A connector that forgets its own timeout must not hold a slot and its listings for ever.
    const watchdog = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, 'late').unref();
    });
    const aborted = new AbortController();
    try {
      const first = await Promise.race([connector.write(batch, aborted.signal), watchdog]);
      if (first === 'late') {
        aborted.abort();
        done('failed');
        return allRows(batch, { kind: 'unknown', reason: `no answer within ${timeoutMs} ms` });
      }
      done(first.rows.some((row) => row.kind === 'unknown') ? 'failed' : 'ok');
      await failpoint('publish-answered');
      return first.rows.length === batch.rows.length || first.throttledForMs !== undefined
        ? first
        : allRows(batch, { kind: 'unknown', reason: 'the connector answered another number of rows' });
    } catch (error) {
      log.warn(
        { channel, writeId: batch.key, rows: batch.rows.length, err: error },
        'a write request failed',
      );
      const failure = writeFailure(batch, error, this.#options.onAccessLost);
      done(failure.isPlatformAtFault ? 'failed' : 'ok');
      return failure.result;
    } finally {
      clearTimeout(timer);
    }
  }

  async #conclude(
    term: LeaseTerm,
    record: WriteRecord,
    result: WriteResult,
    claimed?: readonly ListingView[],
  ): Promise<Sent> {
    const isThrottled = result.throttledForMs !== undefined;
    const outcomes = new Map(
      record.rows.map(({ listingId }, index): [ListingId, RowOutcome] => [
        listingId,
        isThrottled
          ? { kind: 'not-applied' }
          : (result.rows[index] ?? { kind: 'unknown', reason: 'no answer' }),
      ]),
    );
    const settled = await this.#settle(term, record, outcomes, claimed);
    if (settled === 'suspected') return { kind: 'term-over' };
    if (isThrottled) return { kind: 'throttled', retryInMs: result.throttledForMs ?? 0 };
    if (settled.isOpen) return { kind: 'open', record, rows: settled.rows };
    return { kind: 'settled', rows: settled.rows };
  }

  async #abandon(term: LeaseTerm, record: WriteRecord): Promise<Sent> {
    const outcome: RowOutcome = { kind: 'key-spent', reason: 'it can no longer be repeated' };
    const outcomes = new Map(
      record.rows.map(({ listingId }): [ListingId, RowOutcome] => [listingId, outcome]),
    );
    const settled = await this.#settle(term, record, outcomes);
    return settled === 'suspected' ? { kind: 'term-over' } : { kind: 'settled', rows: settled.rows };
  }

  /**
   * Computed from what the listings are now, under their versions; read and computed again while they move. Most have not
   * moved since they were claimed: that is tried first, without a read.
   */
  async #settle(
    term: LeaseTerm,
    record: WriteRecord,
    outcomes: ReadonlyMap<ListingId, RowOutcome>,
    claimed?: readonly ListingView[],
  ): Promise<{ isOpen: boolean; rows: readonly SettledOutcome[] } | 'suspected'> {
    const { channel, ledger } = this.#options;
    for (let attempt = claimed === undefined ? 1 : 0; ; attempt++) {
      const views = attempt === 0 && claimed !== undefined ? claimed : (await this.#read(record)).rows;
      const { settlement, rows, isOpen } = this.#settlementOf(record, outcomes, views);
      const result = await ledger.settle(channel, term.token, settlement);
      if (result.kind === 'settled') {
        this.#options.onWritten?.(record, rows);
        return { isOpen, rows };
      }
      if (result.kind === 'suspected') return 'suspected';
      if (attempt >= settleTries) {
        throw new Error(`write ${record.writeId} could not be settled: its listings keep changing`);
      }
      if (attempt > 0) await delay(attempt * 2);
    }
  }

  #settlementOf(
    record: WriteRecord,
    outcomes: ReadonlyMap<ListingId, RowOutcome>,
    views: readonly ListingView[],
  ): { settlement: Settlement; rows: readonly SettledOutcome[]; isOpen: boolean } {
    const { rules, nowMs } = this.#options;
    const changes: ListingChange[] = [];
    const rows: SettledOutcome[] = [];
    let isOpen = false;
    for (const { listingId, state } of views) {
      const isRecorded = state.openWrites.some((open) => open.writeId === record.writeId);
      const outcome = outcomes.get(listingId);
      // Settled before: by an earlier try whose answer was lost.
      if (!isRecorded || outcome === undefined) continue;
      const settled = rules.settle(state, record.writeId, outcome, nowMs());
      isOpen ||= settled.record === 'keep';
      const isDone = outcome.kind === 'confirmed' && isKnownForSure(settled.next);
      changes.push({
        listingId,
        expectedVersion: state.version,
        // The base in `next` was computed beside this `taken`: an order in between must not be written over.
        expectedTaken: state.taken,
        next: settled.next,
        settledSeq: isDone ? record.seq : undefined,
        // A record that stays is its own reminder; a newer mark would outlive the write that ends it.
        markPending: isDone || settled.record === 'keep' ? undefined : true,
      });
      if (settled.record === 'close') rows.push({ listingId, outcome, isDone, next: settled.next });
    }
    const settlement: Settlement = isOpen
      ? { changes, closeWrites: [], keepWrites: [record] }
      : { changes, closeWrites: [record.writeId] };
    return { settlement, rows, isOpen };
  }

  #read(record: WriteRecord): Promise<{ rows: readonly ListingView[]; position: Position }> {
    const { channel, ledger, listing } = this.#options;
    const rows = record.rows.map(({ listingId }) => ({
      listingId,
      // The state of a listing that left the map must still be closed; its level is of no concern here.
      sku: listing(listingId)?.sku ?? (listingId as string as MappedListing['sku']),
    }));
    return ledger.readListings(channel, rows, 'state');
  }
}

/** The listings as the claim left them, if nothing else has happened to them since. */
function claimedViews(
  record: WriteRecord,
  views: ReadonlyMap<ListingId, ListingView>,
): readonly ListingView[] | undefined {
  const claimed: ListingView[] = [];
  for (const row of record.rows) {
    const view = views.get(row.listingId);
    if (view === undefined) return undefined;
    const { state } = view;
    const openWrites = [...state.openWrites, openWriteOf(record, row)];
    claimed.push({ ...view, state: { ...state, openWrites, version: state.version + 1 } });
  }
  return claimed;
}

function stillUnknown(result: WriteResult): WriteResult {
  const rows = result.rows.map((row): RowOutcome => {
    const isSilent = row.kind === 'rejected' && !row.isPermanent;
    return isSilent ? { kind: 'unknown', reason: row.reason } : row;
  });
  return { ...result, rows };
}
