import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Movement } from '../domain/movement.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import { type LedgerArchive, maxSegmentEntries, type RawEntry } from './archive.ts';
import type { LeaseResult, Position, PublisherLedger } from './contract.ts';
import { isNextAfter } from './full-history.ts';
import type { LedgerKeys } from './keys.ts';
import { readEntry } from './log-entry.ts';
import { comparePositions, formatPosition, noPosition, parsePosition } from './position.ts';
import type { RetentionMetrics } from './retention-metrics.ts';
import type { ScriptCaller } from './script-caller.ts';

/** An entry leaves the log when it is beyond the newest `keepEntries`, or older than `keepMs`. */
export interface RetentionLimits {
  readonly keepEntries: number;
  readonly keepMs: number;
  /** Entries of one segment; fewer are archived only when the oldest has waited `partialAfterMs` beyond `keepMs`. */
  readonly segmentEntries: number;
  readonly partialAfterMs: number;
  readonly maxSegmentsPerRun: number;
}

export const defaultRetentionLimits: RetentionLimits = {
  keepEntries: 1_000_000,
  keepMs: 7 * 86_400_000,
  segmentEntries: 10_000,
  partialAfterMs: 86_400_000,
  maxSegmentsPerRun: 20,
};

export interface RetentionOptions {
  readonly redis: Redis;
  readonly keys: LedgerKeys;
  readonly caller: ScriptCaller;
  readonly lease: Pick<PublisherLedger, 'takeLease' | 'giveUpLease'>;
  readonly archive: LedgerArchive;
  /** Names this process among the daemons of the merchant. */
  readonly holder: string;
  /** The ledger server's clock. */
  readonly nowMs: () => number;
  readonly limits?: Partial<RetentionLimits> | undefined;
  readonly metrics?: RetentionMetrics | undefined;
  /** Told after each segment: copies of entries up to here are no longer needed. */
  readonly onArchived?: ((last: Position) => Promise<void>) | undefined;
}

export type RetentionResult =
  /** Another daemon is at it. */
  | { readonly kind: 'busy' }
  /** Entries between this archive's end and the log were trimmed into another archive, or lost. Nothing was trimmed. */
  | { readonly kind: 'not-joined'; readonly archivedTo: string; readonly logFrom: string }
  | {
      readonly kind: 'done';
      readonly segments: number;
      readonly archived: number;
      readonly trimmed: number;
      /** Channels whose cursor was older than what is kept: they are due a full resync. */
      readonly droppedCursors: readonly string[];
      /** The run ended at its limit: there is more to archive. */
      readonly isMore: boolean;
    };

const leaseName = 'log-retention';
const leaseMs = 60_000;
/** A segment takes a second or two; one that would outlive its lease is left to the next run. */
const leaseReserveMs = 30_000;
const pageEntries = 1_000;
const maxTrimCalls = 20;

/**
 * One run: entries past their time are archived, segment by segment, and only then trimmed from Redis.
 *
 *   lease --archive joins the log--> collect --old enough--> archive (fsync, chain) --> trim --> collect ...
 *         \--gap--> not-joined: nothing is touched
 *
 * A crash at any step repeats that step: the archive's last id says where to go on, and trimming what is trimmed does
 * nothing. Of several daemons one runs at a time, and only one whose own archive reaches up to the log: so the archive
 * of whoever trimmed last is whole.
 */
export async function retainLog(options: RetentionOptions): Promise<RetentionResult> {
  const run = new RetentionRun(options);
  const lease = await run.renew();
  if (lease.kind === 'busy') return { kind: 'busy' };
  const result = await run.run();
  // Not in a `finally`: after an error the lease just ends, and by then whatever failed may be over.
  await options.lease.giveUpLease(leaseName, lease.token);
  options.metrics?.joined(result.kind === 'done');
  if (result.kind === 'done') options.metrics?.trimmed(result.trimmed, result.droppedCursors.length);
  return result;
}

class RetentionRun {
  readonly #options: RetentionOptions;
  readonly #limits: RetentionLimits;
  readonly #droppedCursors = new Set<string>();
  #leasedUntilMs = 0;
  #trimmed = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#limits = { ...defaultRetentionLimits, ...options.limits };
  }

  async renew(): Promise<LeaseResult> {
    const lease = await this.#options.lease.takeLease(leaseName, this.#options.holder, leaseMs);
    this.#leasedUntilMs = lease.kind === 'taken' ? lease.untilMs : 0;
    return lease;
  }

  async run(): Promise<RetentionResult> {
    const { archive, metrics, redis, keys } = this.#options;
    let last = positionOf(await archive.lastId());
    const gap = await this.#gapAfter(last);
    if (gap !== undefined) return gap;
    // Not before: segments beside a chain that was lost are all that is left of the history.
    await archive.removeUnacknowledged();
    // What an earlier run archived and did not come to trim.
    await this.#trimTo(last);
    let segments = 0;
    let archived = 0;
    while (segments < this.#limits.maxSegmentsPerRun) {
      const rows = await this.#collect(last);
      if (rows.length === 0) break;
      if (
        this.#leasedUntilMs - this.#options.nowMs() < leaseReserveMs &&
        (await this.renew()).kind === 'busy'
      )
        break;
      const line = await archive.append(rows, last.epoch === 0 ? '' : formatPosition(last));
      await failpoint('log-archived');
      last = parsePosition(line.last);
      segments += 1;
      archived += rows.length;
      metrics?.segment(rows.length);
      await this.#options.onArchived?.(last);
      await this.#trimTo(last);
      await failpoint('log-trimmed');
    }
    metrics?.length(await redis.xlen(keys.log));
    return {
      kind: 'done',
      segments,
      archived,
      trimmed: this.#trimmed,
      droppedCursors: [...this.#droppedCursors],
      isMore: segments === this.#limits.maxSegmentsPerRun,
    };
  }

  async #gapAfter(last: Position): Promise<RetentionResult | undefined> {
    const notJoined = (row: RawEntry): RetentionResult => ({
      kind: 'not-joined',
      archivedTo: formatPosition(last),
      logFrom: row[0],
    });
    const [first] = await this.#page(noPosition, 1);
    if (first !== undefined && comparePositions(parsePosition(first[0]), last) <= 0) {
      // The same ids do not make it the same ledger: a folder put in the wrong place must not cost a log.
      const archived = await this.#options.archive.entry(first[0]);
      if (archived?.[1] !== first[1] || archived[2] !== first[2]) return notJoined(first);
    }
    const [next] = await this.#page(last, 1);
    return next === undefined || isNextAfter(last, entryOf(next)) ? undefined : notJoined(next);
  }

  /** The next segment, or nothing when what is old enough does not fill one and can wait. */
  async #collect(last: Position): Promise<readonly RawEntry[]> {
    const { keepEntries, keepMs, partialAfterMs } = this.#limits;
    const size = Math.min(this.#limits.segmentEntries, maxSegmentEntries);
    const beforeMs = this.#options.nowMs() - keepMs;
    const head = Number((await this.#options.redis.hget(this.#options.keys.ledger, 'seq')) ?? 0);
    const rows: RawEntry[] = [];
    let at = last;
    while (rows.length < size) {
      const page = await this.#page(at, Math.min(pageEntries, size - rows.length));
      for (const row of page) {
        const entry = entryOf(row);
        // The newest entry stays whatever its age: it is where the sequence goes on.
        const isOld = entry.seq <= head - keepEntries || entry.atMs < beforeMs;
        if (!isOld || entry.seq >= head || !isNextAfter(at, entry)) {
          return this.#isWorthIt(rows, beforeMs - partialAfterMs) ? rows : [];
        }
        rows.push(row);
        at = { epoch: entry.epoch, seq: entry.seq };
      }
      if (page.length === 0) break;
    }
    return rows.length >= size || this.#isWorthIt(rows, beforeMs - partialAfterMs) ? rows : [];
  }

  #isWorthIt(rows: readonly RawEntry[], beforeMs: number): boolean {
    const [oldest] = rows;
    return oldest !== undefined && entryOf(oldest).atMs < beforeMs;
  }

  async #page(after: Position, count: number): Promise<readonly RawEntry[]> {
    const from = after.epoch === 0 ? '-' : `(${formatPosition(after)}`;
    const rows = await this.#options.redis.xrange(this.#options.keys.log, from, '+', 'COUNT', count);
    return rows.map(([id, fields]): RawEntry => [id, fields[1] ?? '', fields[3] ?? '']);
  }

  /** Drops whole nodes of the stream only: up to about a hundred archived entries stay. */
  async #trimTo(last: Position): Promise<void> {
    if (last.epoch === 0) return;
    for (let calls = 0; calls < maxTrimCalls; calls += 1) {
      const [first] = await this.#page(noPosition, 1);
      if (first === undefined || comparePositions(parsePosition(first[0]), last) > 0) return;
      const reply = await this.#options.caller.call('trim', [last.epoch, last.seq + 1]);
      const dropped = Number(reply.fields[0]);
      this.#trimmed += dropped;
      for (const channel of reply.fields.slice(2)) this.#droppedCursors.add(String(channel));
      if (dropped === 0) return;
    }
  }
}

function entryOf([id, sku, packed]: RawEntry): Movement {
  return readEntry(id, sku, packed);
}

function positionOf(id: string): Position {
  return id === '' ? noPosition : parsePosition(id);
}

/** Accepts that what the log no longer holds is in no archive. Nothing: the log is whole, or the archive not empty. */
export async function beginArchive(
  redis: Redis,
  keys: LedgerKeys,
  archive: LedgerArchive,
): Promise<Position | undefined> {
  const [first] = await redis.xrange(keys.log, '-', '+', 'COUNT', 1);
  if (first === undefined) return undefined;
  const { epoch, seq } = parsePosition(first[0]);
  const last = { epoch, seq: seq - 1 };
  return seq > 1 && (await archive.beginAfter(formatPosition(last))) ? last : undefined;
}

/** Runs `retainLog` by a timer; at once again while there is more to do. */
export class LogRetention {
  readonly #options: RetentionOptions;
  readonly #everyMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #onResult: (result: RetentionResult) => void;
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(
    options: RetentionOptions & {
      readonly everyMs?: number;
      readonly onError?: (error: unknown) => void;
      readonly onResult?: (result: RetentionResult) => void;
    },
  ) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? 60_000;
    this.#onError = options.onError ?? (() => undefined);
    this.#onResult = options.onResult ?? (() => undefined);
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Waits for the run under way: it is bounded. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const isMore = await this.#runOnce();
      await delay(isMore ? 100 : this.#everyMs, undefined, { signal: this.#stop.signal }).catch(
        () => undefined,
      );
    }
  }

  async #runOnce(): Promise<boolean> {
    try {
      const result = await retainLog(this.#options);
      this.#onResult(result);
      return result.kind === 'done' && result.isMore;
    } catch (error) {
      this.#options.metrics?.failed();
      this.#onError(error);
      return false;
    }
  }
}
