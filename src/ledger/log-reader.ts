import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Position } from './contract.ts';
import { type LedgerKeys, RS } from './keys.ts';
import {
  gapBetween,
  type LogEntry,
  type LogGap,
  readJoinedEntries,
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
 * Pages asked for while consumers work on another, so that server and client work at the same time. With one of them the
 * server would wait while the client decodes.
 */
const pagesAhead = 2;

interface Page {
  readonly entries: readonly LogEntry[];
  /** When the answer came: nothing newer was in the log then, unless the page is full. */
  readonly receivedAt: number;
}

/**
 * Entries in one text of a page's answer. More of them cost server and client less each, but an entry that is kept (the
 * newest of a SKU) keeps the whole text it was cut from.
 */
const entriesPerText = 8;

/**
 * A page of the log as few texts (id, sku and packed entry of each entry, joined) instead of arrays of arrays with field
 * names: a quarter of what the client has to decode, and the server builds no text per entry. Read only, so it needs no
 * fence and may go by EVAL.
 */
const readPage = `#!lua flags=no-writes
local rows = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local parts, size, texts = {}, 0, {}
for i = 1, #rows do
  local row = rows[i]
  local fields = row[2]
  parts[size + 1] = row[1]
  parts[size + 2] = fields[2]
  parts[size + 3] = fields[4]
  size = size + 3
  if size == ${3 * entriesPerText} or i == #rows then
    texts[#texts + 1] = table.concat(parts, '${RS}', 1, size)
    size = 0
  end
end
return texts`;

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
  #ahead: { readonly after: Position; readonly page: Promise<Page> }[] = [];
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
        const { entries, receivedAt } = await this.#next();
        this.#failure = undefined;
        retryMs = 20;
        this.#isBehind = entries.length >= this.#batchEntries;
        if (this.#isBehind) this.#readAhead(entries);
        if (entries.length > 0) await this.#tell(entries);
        if (!this.#isBehind) this.#currentAt = receivedAt;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#ahead = [];
        this.#failure = error;
        this.#options.onError?.(error);
        await delay(retryMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, maxRetryMs);
      }
    }
  }

  #next(): Promise<Page> {
    const ahead = this.#ahead.shift();
    if (ahead !== undefined && isSame(ahead.after, this.#last)) return ahead.page;
    // Asked for by counting on; after a gap or in a new epoch the log goes on elsewhere.
    this.#ahead = [];
    return this.#read(this.#isBehind ? this.#readPage(this.#last) : this.#readNext(this.#last));
  }

  /** Sequences are contiguous: where a full page will end is known before it is there. */
  #readAhead(entries: readonly LogEntry[]): void {
    const end = entries.at(-1);
    if (end === undefined) return;
    for (let pages = this.#ahead.length; pages < pagesAhead; pages++) {
      const after = { epoch: end.epoch, seq: end.seq + pages * this.#batchEntries };
      const page = this.#read(this.#readPage(after));
      // Its failure is met where it is awaited.
      page.catch(() => undefined);
      this.#ahead.push({ after, page });
    }
  }

  async #readPage(position: Position): Promise<readonly LogEntry[]> {
    const { redis, keys } = this.#options;
    const after = `(${formatPosition(position)}`;
    const texts = (await redis.eval(readPage, 1, keys.log, after, this.#batchEntries)) as string[];
    return texts.flatMap(readJoinedEntries);
  }

  async #readNext(position: Position): Promise<readonly LogEntry[]> {
    const { redis, keys } = this.#options;
    const after = formatPosition(position);
    const count = this.#batchEntries;
    const reply = await redis.xread('COUNT', count, 'BLOCK', this.#blockMs, 'STREAMS', keys.log, after);
    return ((reply?.[0]?.[1] ?? []) as readonly StreamEntry[]).map(readStreamEntry);
  }

  /** A half-open connection never answers; the server would have, when the block time was over. */
  async #read(reading: Promise<readonly LogEntry[]>): Promise<Page> {
    const limitMs = this.#blockMs + 2_000;
    const silence = setTimeout(() => this.#options.redis.disconnect(true), limitMs);
    try {
      return { entries: await reading, receivedAt: performance.now() };
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

function isSame(one: Position, other: Position): boolean {
  return one.epoch === other.epoch && one.seq === other.seq;
}
