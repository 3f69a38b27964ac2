import type { Redis } from 'ioredis';
import type { Movement } from '../domain/movement.ts';
import type { LedgerArchive, RawEntry, SegmentLine } from './archive.ts';
import type { Position } from './contract.ts';
import { parseEntry } from './entry.ts';
import { readEpoch } from './entry-extra.ts';
import type { LedgerKeys } from './keys.ts';
import { readRawLog } from './log-range.ts';
import { comparePositions, noPosition, parsePosition } from './position.ts';

/** The end of the history that is not archived: the stream of a live ledger, or a daemon's mirror of a lost one. */
export interface LogTail {
  /** Entries after the id, oldest first; empty: all. */
  after(id: string): AsyncGenerator<readonly RawEntry[]>;
  /** The first entry of every epoch in it: the one that opened the epoch, unless that is archived. */
  firstOfEpochs(): Promise<readonly RawEntry[]>;
}

export class RedisLogTail implements LogTail {
  readonly #redis: Redis;
  readonly #keys: LedgerKeys;

  constructor(redis: Redis, keys: LedgerKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  after(id: string): AsyncGenerator<readonly RawEntry[]> {
    return readRawLog(this.#redis, this.#keys, id);
  }

  async firstOfEpochs(): Promise<readonly RawEntry[]> {
    const found: RawEntry[] = [];
    let from = '-';
    for (;;) {
      const [row] = await this.#redis.xrange(this.#keys.log, from, '+', 'COUNT', 1);
      if (row === undefined) return found;
      const [id, fields] = row;
      found.push([id, fields[1] ?? '', fields[3] ?? '']);
      from = `${parsePosition(id).epoch + 1}-0`;
    }
  }
}

/** Whether nothing is missing between an entry and the next. A new epoch may fork off before the entry. */
export function isNextAfter(last: Position, next: Movement): boolean {
  if (next.kind !== 'epoch') return next.epoch === last.epoch && next.seq === last.seq + 1;
  const { forkSeq } = readEpoch(next);
  return next.seq === forkSeq + 1 && forkSeq <= last.seq;
}

/** Up to which sequence each epoch belongs to the history that is in force; what lies beyond was lost and replaced. */
export type Branch = ReadonlyMap<number, number>;

export function isOnBranch(branch: Branch, { epoch, seq }: Position): boolean {
  const limit = branch.get(epoch);
  return limit !== undefined && seq <= limit;
}

/** Archive and open end as one log, without what lies after a fork. */
export class FullHistory {
  readonly #archive: LedgerArchive | undefined;
  readonly #tail: LogTail;

  constructor(tail: LogTail, archive?: LedgerArchive) {
    this.#tail = tail;
    this.#archive = archive;
  }

  /**
   * The branch that ends in the newest epoch. Forks are looked for before anything is read, because what a fork has
   * replaced may stand in the archive long before the entry that says so.
   */
  async branch(): Promise<Branch> {
    const opened = new Map<number, { readonly previous: number; readonly forkSeq: number }>();
    let newest = 0;
    for (const entry of await this.#firstOfEpochs()) {
      newest = Math.max(newest, entry.epoch);
      if (entry.kind === 'epoch') opened.set(entry.epoch, readEpoch(entry));
    }
    const branch = new Map<number, number>([[newest, Number.POSITIVE_INFINITY]]);
    for (let at = opened.get(newest); at !== undefined && !branch.has(at.previous);) {
      branch.set(at.previous, at.forkSeq);
      at = opened.get(at.previous);
    }
    return branch;
  }

  /** Entries on the branch after `last` (of one SKU, where one is named), page by page, up to where the log ends now. */
  async *after(
    branch: Branch,
    last: Position = noPosition,
    onlySku?: string,
  ): AsyncGenerator<readonly Movement[]> {
    for await (const rows of this.rawAfter(last)) {
      const page: Movement[] = [];
      for (const [id, sku, packed] of rows) {
        if (onlySku !== undefined && sku !== onlySku) continue;
        if (isOnBranch(branch, parsePosition(id))) page.push(parseEntry(id, sku, packed));
      }
      if (page.length > 0) yield page;
    }
  }

  /** All entries after `last`, also those that a fork replaced. */
  async *rawAfter(last: Position = noPosition): AsyncGenerator<readonly RawEntry[]> {
    let at = last;
    let segments = await this.#segmentsAfter(at);
    for (;;) {
      for (const line of segments) {
        const rows = await this.#archive?.readSegment(line);
        const fresh = (rows ?? []).filter(([id]) => comparePositions(parsePosition(id), at) > 0);
        if (fresh.length > 0) yield fresh;
        at = parsePosition(line.last);
      }
      segments = [];
      for await (const rows of this.#tail.after(at.epoch === 0 ? '' : `${at.epoch}-${at.seq}`)) {
        const [first] = rows;
        if (first !== undefined && !isNextAfter(at, parseEntry(...first))) {
          // Retention may have moved entries from the log to the archive while we read.
          segments = await this.#segmentsAfter(at);
          if (segments.length > 0) break;
        }
        yield rows;
        at = parsePosition(rows.at(-1)?.[0] ?? '');
      }
      if (segments.length === 0) return;
    }
  }

  async #segmentsAfter(last: Position): Promise<readonly SegmentLine[]> {
    const chain = (await this.#archive?.chain()) ?? [];
    return chain.filter((line) => comparePositions(parsePosition(line.last), last) > 0);
  }

  async #firstOfEpochs(): Promise<readonly Movement[]> {
    const found: Movement[] = [];
    let epoch = 0;
    const take = (rows: readonly RawEntry[]): void => {
      for (const row of rows) {
        const position = parsePosition(row[0]);
        if (position.epoch === epoch) continue;
        epoch = position.epoch;
        found.push(parseEntry(...row));
      }
    };
    for (const line of (await this.#archive?.chain()) ?? []) {
      // Within one epoch a segment cannot hold the entry that opens another.
      if (parsePosition(line.first).epoch === epoch && parsePosition(line.last).epoch === epoch) continue;
      take((await this.#archive?.readSegment(line)) ?? []);
    }
    take(await this.#tail.firstOfEpochs());
    return found;
  }
}
