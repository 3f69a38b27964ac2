import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import { z } from 'zod';
import type { ChannelId, ListingId, Sku } from '../domain/ids.ts';
import type { PolicyRule } from '../domain/policy.ts';

const syncRecord = z.object({
  channel: z.string(),
  listingId: z.string(),
  sku: z.string(),
  kind: z.enum(['lower', 'raise', 'repair', 'put', 'read-back']),
  /** What we believed it showed, and what it was to show; of a read-back: what was written, and what it showed. */
  from: z.number(),
  to: z.number(),
  /** `confirmed`, `accepted`, `stale`, `rejected` ...; of a read-back `agrees` or `differs`. */
  outcome: z.string(),
  reason: z.string().default(''),
  /** The policy rule that had the last word on the number; empty where nothing changed it. */
  rule: z.string().default(''),
  /** Start of the reading that the number was computed beside (ledger clock); absent: of a read-back, or never read. */
  readAtMs: z.number().optional(),
  /** Sequence of the ledger the number was computed from, `<epoch>-<seq>`. */
  sequence: z.string(),
  /** Ledger clock. */
  atMs: z.number(),
});

/** One row of one platform write, or the reading that showed it: old and new value, rule, reason, sequence. */
export type SyncRecord = Omit<z.output<typeof syncRecord>, 'channel' | 'listingId' | 'sku' | 'rule'> & {
  readonly channel: ChannelId;
  readonly listingId: ListingId;
  readonly sku: Sku;
  readonly rule: PolicyRule | '';
};

export interface SyncJournalOptions {
  readonly redis: Redis;
  readonly key: string;
  readonly registry: Registry;
  readonly log: Logger;
  /** Newest records kept. */
  readonly maxRecords: number;
}

const flushEveryMs = 100;
const maxWaiting = 20_000;
const rowsPerRequest = 500;
const rowsPerRead = 1_000;

/**
 * What was written to which listing, and why: the newest records of all channels, for exports and explanations. A record
 * for people, not state: nothing is decided from it, so it never delays a write. Records wait in memory for a moment and
 * are dropped (and counted) when the ledger's Redis does not take them.
 */
export class SyncJournal {
  readonly #options: SyncJournalOptions;
  readonly #waiting: string[] = [];
  readonly #dropped: Counter;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(options: SyncJournalOptions) {
    this.#options = options;
    this.#dropped = new Counter({
      name: 'stockmesh_sync_records_dropped_total',
      help: 'Records of platform writes that were not kept',
      registers: [options.registry],
    });
  }

  add(record: SyncRecord): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#dropped.inc();
      return;
    }
    this.#waiting.push(JSON.stringify(record));
    this.#timer ??= setTimeout(() => this.#flush(), flushEveryMs);
  }

  /** Newest first; at most `limit` that `wanted` takes, looking at no more than the newest `lookAt`. */
  async newest(
    wanted: (record: SyncRecord) => boolean,
    limit: number,
    lookAt = this.#options.maxRecords,
  ): Promise<readonly SyncRecord[]> {
    const found: SyncRecord[] = [];
    let looked = 0;
    for await (const page of this.#pages('backwards')) {
      for (const record of page) {
        if (wanted(record)) found.push(record);
        if (found.length >= limit || ++looked >= lookAt) return found;
      }
    }
    return found;
  }

  /** All that is kept, oldest first. */
  async *all(): AsyncGenerator<SyncRecord> {
    for await (const page of this.#pages('forwards')) yield* page;
  }

  async close(): Promise<void> {
    this.#flush();
    await this.#flushing;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const rows = this.#waiting.splice(0);
    if (rows.length > 0) this.#flushing = this.#flushing.then(() => this.#write(rows));
  }

  async #write(rows: readonly string[]): Promise<void> {
    const { redis, key, maxRecords, log } = this.#options;
    for (let start = 0; start < rows.length; start += rowsPerRequest) {
      const some = rows.slice(start, start + rowsPerRequest);
      try {
        const pipeline = redis.pipeline();
        for (const row of some) pipeline.xadd(key, 'MAXLEN', '~', maxRecords, '*', 'r', row);
        const results = await pipeline.exec();
        this.#dropped.inc((results ?? []).filter(([error]) => error !== null).length);
      } catch (error) {
        this.#dropped.inc(some.length);
        log.debug({ err: error, rows: some.length }, 'records of writes were not kept');
      }
    }
  }

  async *#pages(direction: 'forwards' | 'backwards'): AsyncGenerator<readonly SyncRecord[]> {
    const { redis, key } = this.#options;
    let from = direction === 'forwards' ? '-' : '+';
    for (;;) {
      const rows =
        direction === 'forwards'
          ? await redis.xrange(key, from, '+', 'COUNT', rowsPerRead)
          : await redis.xrevrange(key, from, '-', 'COUNT', rowsPerRead);
      yield rows.flatMap(([, fields]) => {
        const parsed = syncRecord.safeParse(JSON.parse(fields[1] ?? 'null'));
        return parsed.success ? [parsed.data as SyncRecord] : [];
      });
      const last = rows.at(-1)?.[0];
      if (rows.length < rowsPerRead || last === undefined) return;
      from = `(${last}`;
    }
  }
}
