import type { Movement } from '../../domain/movement.ts';
import type { Position } from '../../ledger/contract.ts';
import { gapBetween } from '../../ledger/log-entry.ts';
import type { LogHistory } from '../../ledger/log-history.ts';
import { comparePositions } from '../../ledger/position.ts';

export interface MovementFeedOptions {
  readonly history: Pick<LogHistory, 'after' | 'head'>;
  /** The newest entries kept in memory for all followers together; what is older is read from the log. */
  readonly recentEntries?: number;
}

export type MovementPage =
  | { readonly kind: 'entries'; readonly entries: readonly Movement[] }
  /** What follows the position is not in the log (any more): the follower has to read the stock anew. */
  | { readonly kind: 'gone'; readonly first: Position };

const defaultRecentEntries = 10_000;

/**
 * The daemon's one log reader, opened to followers that come and go at their own pace. Nothing is queued per follower:
 * each asks for what comes after its own position, and gets it from the newest entries kept here or, when it is further
 * behind, from the log. A follower that does not ask costs nothing.
 */
export class MovementFeed {
  readonly #history: MovementFeedOptions['history'];
  readonly #recentEntries: number;
  readonly #waiting = new Set<() => void>();
  /** Gapless and in order; `#recent[0]` is `#recentEntries` entries old at most. */
  #recent: Movement[] = [];

  constructor(options: MovementFeedOptions) {
    this.#history = options.history;
    this.#recentEntries = options.recentEntries ?? defaultRecentEntries;
  }

  /** For `LogReader.add`. */
  readonly onEntries = (entries: readonly Movement[]): void => {
    const first = entries[0];
    const last = this.#recent.at(-1);
    if (first === undefined) return;
    if (last !== undefined && gapBetween(last, first) !== undefined) this.#recent = [];
    this.#recent.push(...entries);
    // Twice the size before it is cut: cutting moves every entry that stays.
    if (this.#recent.length > this.#recentEntries * 2)
      this.#recent = this.#recent.slice(-this.#recentEntries);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  };

  head(): Promise<Position> {
    return this.#history.head();
  }

  /** Up to `count` entries after `from`; none when there is nothing newer yet. */
  async after(from: Position, count: number): Promise<MovementPage> {
    const recent = this.#fromRecent(from, count);
    if (recent !== undefined) return { kind: 'entries', entries: recent };
    const slice = await this.#history.after(from, count);
    if (slice.kind === 'trimmed') return { kind: 'gone', first: slice.first };
    if (slice.entries.length > 0) return slice;
    // An id may come from another life of the data, or from nowhere; the head only grows.
    const head = await this.#history.head();
    return comparePositions(head, from) >= 0 ? slice : { kind: 'gone', first: head };
  }

  /** At the next entry or when the signal ends; false: neither for `ms`. `since` is the newest the follower has. */
  async changed(since: Position, ms: number, signal: AbortSignal): Promise<boolean> {
    const newest = this.#recent.at(-1);
    if (signal.aborted || (newest !== undefined && comparePositions(newest, since) > 0)) return true;
    return new Promise<boolean>((resolve) => {
      const end = (isChanged: boolean): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve(isChanged);
      };
      const wake = (): void => end(true);
      const timer = setTimeout(() => end(false), ms);
      signal.addEventListener('abort', wake);
      this.#waiting.add(wake);
    });
  }

  #fromRecent(from: Position, count: number): readonly Movement[] | undefined {
    const oldest = this.#recent[0];
    if (oldest === undefined) return undefined;
    const at = from.seq + 1 - oldest.seq;
    if (at < 0 || at > this.#recent.length) return undefined;
    if (at > 0 && this.#recent[at - 1]?.epoch !== from.epoch) return undefined;
    if (at === 0 && gapBetween(from, oldest) !== undefined) return undefined;
    return this.#recent.slice(at, at + count);
  }
}
