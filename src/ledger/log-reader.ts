import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Position } from './contract.ts';
import type { LedgerKeys } from './keys.ts';
import {
  gapBetween,
  type LogEntry,
  type LogGap,
  readEntry,
  readStreamEntry,
  type StreamEntry,
} from './log-entry.ts';
import { formatPosition, type SeenPosition } from './position.ts';

/** A follower of the log. What it returns is awaited before the next read: that is the back-pressure. */
export interface LogConsumer {
  onEntries(entries: readonly LogEntry[]): void | Promise<void>;
  /** Before the entries that follow a gap: what was built from the log must be read again from the hashes. */
  onGap?(gap: LogGap): void | Promise<void>;
}

export interface LogReaderOptions {
  /** A connection of its own: the read blocks it. `stop` closes it. */
  readonly redis: Redis;
  readonly keys: LedgerKeys;
  readonly seen?: SeenPosition | undefined;
  readonly batchEntries?: number;
  /** Longest wait for an entry; the age of what is known grows up to this while nothing happens. */
  readonly blockMs?: number;
  readonly onError?: (error: unknown) => void;
}

const maxRetryMs = 1_000;

/**
 * A page of the log as one flat array (id, sku, packed entry, ...) instead of arrays of arrays with field names: a third
 * of what the client has to decode. Read only, so it needs no fence and may go by EVAL.
 */
const readPage = `#!lua flags=no-writes
local rows = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local flat, n = {}, 0
for i = 1, #rows do
  local fields = rows[i][2]
  flat[n + 1], flat[n + 2], flat[n + 3] = rows[i][1], fields[2], fields[4]
  n = n + 3
end
return flat`;

/**
 * The one reader of the log in a daemon; everything else that follows the log is told by it, in memory.
 *
 *   stopped --start(from)--> reading --entries--> telling --all consumers done--> reading
 *   reading --error, silence--> waiting (back-off) --> reading
 *   any --stop--> stopped
 *
 * Entries reach consumers once, in order, without a gap that was not announced.
 */
export class LogReader {
  readonly #options: LogReaderOptions;
  readonly #batchEntries: number;
  readonly #blockMs: number;
  readonly #consumers: LogConsumer[] = [];
  readonly #stop = new AbortController();
  #last: Position = { epoch: 0, seq: 0 };
  #loop: Promise<void> | undefined;
  /** The last read was full: there is more, so the next one need not wait for it. */
  #isBehind = true;
  #ahead: Promise<readonly LogEntry[]> | undefined;
  #currentAt = Number.NEGATIVE_INFINITY;
  #failure: unknown;

  constructor(options: LogReaderOptions) {
    this.#options = options;
    this.#batchEntries = options.batchEntries ?? 1_000;
    this.#blockMs = options.blockMs ?? 500;
  }

  /** Consumers join before `start`. */
  add(consumer: LogConsumer): void {
    this.#consumers.push(consumer);
  }

  /** `from` is the position the consumers have already built their state for. */
  start(from: Position): void {
    if (this.#loop !== undefined) throw new Error('the log reader runs already');
    this.#last = from;
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    // XREAD ends only with its connection.
    this.#options.redis.disconnect();
    await this.#loop;
  }

  get position(): Position {
    return this.#last;
  }

  /** Since the server last proved that nothing newer was in the log. Infinity: never. */
  ageMs(): number {
    return performance.now() - this.#currentAt;
  }

  /** Why reading fails now; nothing while it works. */
  get failure(): unknown {
    return this.#failure;
  }

  async #run(): Promise<void> {
    let retryMs = 20;
    while (!this.#stop.signal.aborted) {
      try {
        const entries = await (this.#ahead ?? this.#read(this.#last));
        this.#ahead = undefined;
        this.#failure = undefined;
        retryMs = 20;
        this.#isBehind = entries.length >= this.#batchEntries;
        if (this.#isBehind) this.#readAhead(entries);
        if (entries.length > 0) await this.#tell(entries);
        if (!this.#isBehind) this.#currentAt = performance.now();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#ahead = undefined;
        this.#failure = error;
        this.#options.onError?.(error);
        await delay(retryMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, maxRetryMs);
      }
    }
  }

  #read(after: Position): Promise<readonly LogEntry[]> {
    return this.#unlessSilent(this.#isBehind ? this.#readPage(after) : this.#readNext(after));
  }

  /** While consumers work on one page the server prepares the next; never more than one. */
  #readAhead(entries: readonly LogEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#ahead = this.#read(last);
    // Its failure is met where it is awaited.
    this.#ahead.catch(() => undefined);
  }

  async #readPage(position: Position): Promise<readonly LogEntry[]> {
    const { redis, keys } = this.#options;
    const after = `(${formatPosition(position)}`;
    const flat = (await redis.eval(readPage, 1, keys.log, after, this.#batchEntries)) as string[];
    const entries: LogEntry[] = [];
    for (let i = 0; i + 2 < flat.length; i += 3) {
      entries.push(readEntry(flat[i] ?? '', flat[i + 1] ?? '', flat[i + 2] ?? ''));
    }
    return entries;
  }

  async #readNext(position: Position): Promise<readonly LogEntry[]> {
    const { redis, keys } = this.#options;
    const after = formatPosition(position);
    const count = this.#batchEntries;
    const reply = await redis.xread('COUNT', count, 'BLOCK', this.#blockMs, 'STREAMS', keys.log, after);
    return ((reply?.[0]?.[1] ?? []) as readonly StreamEntry[]).map(readStreamEntry);
  }

  /** A half-open connection never answers; the server would have, when the block time was over. */
  async #unlessSilent<T>(read: Promise<T>): Promise<T> {
    const limitMs = this.#blockMs + 2_000;
    const silence = setTimeout(() => this.#options.redis.disconnect(true), limitMs);
    try {
      return await read;
    } finally {
      clearTimeout(silence);
    }
  }

  async #tell(entries: readonly LogEntry[]): Promise<void> {
    let from = 0;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as LogEntry;
      const gap = gapBetween(this.#last, entry);
      if (gap !== undefined) {
        await this.#each((consumer) => consumer.onEntries(entries.slice(from, i)), i > from);
        from = i;
        await this.#each((consumer) => consumer.onGap?.(gap));
      }
      this.#last = { epoch: entry.epoch, seq: entry.seq };
    }
    this.#options.seen?.observe(this.#last);
    await this.#each((consumer) => consumer.onEntries(from === 0 ? entries : entries.slice(from)));
  }

  /** One consumer's failure is its own: the others are told all the same. */
  async #each(tell: (consumer: LogConsumer) => void | Promise<void>, isNeeded = true): Promise<void> {
    if (!isNeeded) return;
    const pending: Promise<void>[] = [];
    for (const consumer of this.#consumers) {
      try {
        const result = tell(consumer);
        if (result !== undefined) pending.push(result);
      } catch (error) {
        this.#options.onError?.(error);
      }
    }
    if (pending.length === 0) return;
    for (const result of await Promise.allSettled(pending)) {
      if (result.status === 'rejected') this.#options.onError?.(result.reason);
    }
  }
}
