import type { Redis } from 'ioredis';
import type { Movement } from '../domain/movement.ts';
import type { Position } from './contract.ts';
import type { LedgerKeys } from './keys.ts';
import { gapBetween, readStreamEntry, type StreamEntry } from './log-entry.ts';
import { comparePositions, formatPosition } from './position.ts';

export type HistorySlice =
  | { readonly kind: 'entries'; readonly entries: readonly Movement[] }
  /** The log no longer holds, or never held in this life, what comes after the position asked about; it goes on at `first`. */
  | { readonly kind: 'trimmed'; readonly first: Position };

const maxEntries = 10_000;

/** Reads pages of the log, for followers that are behind the reader and for replays. */
export class LogHistory {
  readonly #redis: Redis;
  readonly #keys: LedgerKeys;

  constructor(redis: Redis, keys: LedgerKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  async after(from: Position, count: number): Promise<HistorySlice> {
    const most = Math.min(count, maxEntries);
    // The head first: an entry that is written in between is then among the entries. Asked for afterwards, it would make
    // an empty answer look like a log that was trimmed to nothing.
    const answered = this.head();
    const asked = this.#redis.xrange(this.#keys.log, `(${formatPosition(from)}`, '+', 'COUNT', most);
    const [head, reply] = await Promise.all([answered, asked]);
    const entries = (reply as StreamEntry[]).map(readStreamEntry);
    const first = entries[0];
    if (first === undefined && comparePositions(head, from) > 0) {
      return { kind: 'trimmed', first: { epoch: head.epoch, seq: head.seq + 1 } };
    }
    if (first !== undefined && gapBetween(from, first) !== undefined) {
      return { kind: 'trimmed', first: { epoch: first.epoch, seq: first.seq } };
    }
    return { kind: 'entries', entries };
  }

  async head(): Promise<Position> {
    const [epoch, seq] = await this.#redis.hmget(this.#keys.ledger, 'epoch', 'seq');
    return { epoch: Number(epoch ?? 0), seq: Number(seq ?? 0) };
  }
}
