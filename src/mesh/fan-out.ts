import type { Logger } from 'pino';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { Movement } from '../domain/movement.ts';
import type { MeshState, Position, PublisherLedger } from '../ledger/contract.ts';
import { comparePositions, formatPosition, noPosition, parsePosition } from '../ledger/position.ts';
import { Alarm, jittered } from './alarm.ts';
import { saleKinds } from './blast-guard.ts';
import type { Lane, PendingListing } from './pending-lanes.ts';

/** The part of the log that fan-out reads. */
export interface LogHistory {
  /** Up to `count` entries after `from`, oldest first; `trimmed` when the entry after `from` is no longer kept. */
  after(from: Position, count: number): Promise<LogSlice>;
  head(): Promise<Position>;
}

export type LogSlice =
  | { readonly kind: 'entries'; readonly entries: readonly Movement[] }
  | { readonly kind: 'trimmed'; readonly first: Position };

export interface FanOutChannel {
  readonly channel: ChannelId;
  /** Listings of this channel that show the SKU, as a part or as the whole. */
  listingsOf(sku: Movement['sku']): Iterable<ListingId>;
  /** Every listing of the channel, for a full resync. */
  allListings(): Iterable<ListingId>;
  /** Hands listings over once their marks are durable. Never throws, never waits. */
  offer(listings: readonly PendingListing[]): void;
}

export interface FanOutOptions {
  readonly ledger: Pick<PublisherLedger, 'markPending'>;
  readonly mesh: MeshState;
  readonly history: LogHistory;
  readonly log: Logger;
  readonly settings?: Partial<FanOutSettings> | undefined;
}

export interface FanOutSettings {
  readonly pageEntries: number;
  /** Marks of one call. */
  readonly maxMarks: number;
  /** A cursor that only passes entries of no concern is stored this often. */
  readonly quietCursorMs: number;
  readonly retryMs: number;
  readonly maxRetryMs: number;
}

const defaultSettings: FanOutSettings = {
  pageEntries: 1_000,
  maxMarks: 1_000,
  quietCursorMs: 500,
  retryMs: 50,
  maxRetryMs: 2_000,
};

/**
 * Turns changed SKUs into pending listings for every channel this daemon publishes. One subscriber of the daemon's log
 * reader; each channel follows with its own durable cursor.
 *
 *   joined --cursor behind the head--> catching up (pages of the log) --page not full--> live
 *   live --entries from the reader--> marked durably, then offered to the publisher
 *   live --reader skipped, queue full, mark failed--> catching up from its own cursor
 *   catching up --entry after the cursor is trimmed--> full resync: every listing pending, cursor at the head
 *   live, catching up --resync asked for--> catching up, which looks at the flag first
 *   any --leave--> gone
 *
 * Marks and cursor move in one call, so a crash repeats marks and never loses one. There is no timer between an entry
 * and its mark: what arrives while a call is under way goes into the next one, a listing once.
 */
export class FanOut {
  readonly #options: FanOutOptions;
  readonly #settings: FanOutSettings;
  readonly #followers = new Map<ChannelId, Follower>();

  constructor(options: FanOutOptions) {
    this.#options = options;
    this.#settings = { ...defaultSettings, ...options.settings };
  }

  /** Entries in log order, as the reader gets them. */
  readonly onEntries = (entries: readonly Movement[]): void => {
    for (const follower of this.#followers.values()) follower.onEntries(entries);
  };

  join(channel: FanOutChannel): void {
    if (this.#followers.has(channel.channel)) return;
    const follower = new Follower(channel, this.#options, this.#settings);
    this.#followers.set(channel.channel, follower);
    follower.start();
  }

  /** Looks at the channel's `full:` flag, which the caller has set. */
  resync(channel: ChannelId): void {
    this.#followers.get(channel)?.recheck();
  }

  /** Ends when no call of the channel is under way. */
  async leave(channel: ChannelId): Promise<void> {
    const follower = this.#followers.get(channel);
    this.#followers.delete(channel);
    await follower?.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#followers.keys()].map((channel) => this.leave(channel)));
  }
}

class Follower {
  readonly #channel: FanOutChannel;
  readonly #options: FanOutOptions;
  readonly #settings: FanOutSettings;
  readonly #alarm = new Alarm();
  readonly #queued = new Map<ListingId, PendingListing>();
  /** Newest entry seen while live; the marks in `#queued` cover everything up to it. */
  #seen: Position | undefined;
  #stored: Position | undefined;
  #isLive = false;
  /** Entries arrived from the reader while a page of the log was being read. */
  #hasMissed = false;
  /** Asked for while it catches up: it has looked at the flag already, and looks again before it is live. */
  #isRecheckDue = false;
  #isClosed = false;
  #loop: Promise<void> | undefined;

  constructor(channel: FanOutChannel, options: FanOutOptions, settings: FanOutSettings) {
    this.#channel = channel;
    this.#options = options;
    this.#settings = settings;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#alarm.ring();
    await this.#loop;
  }

  recheck(): void {
    this.#isRecheckDue = true;
    this.#isLive = false;
    this.#alarm.ring();
  }

  onEntries(entries: readonly Movement[]): void {
    if (!this.#isLive) {
      this.#hasMissed = true;
      return;
    }
    const before = this.#queued.size;
    for (const entry of entries) {
      if (!this.#follows(entry)) {
        if (comparePositions(entry, this.#seen ?? noPosition) <= 0) continue;
        // The reader skipped something (it reconnected, or a new epoch began): the log itself is asked.
        this.#isLive = false;
        break;
      }
      this.#collect(entry, this.#queued);
      this.#seen = { epoch: entry.epoch, seq: entry.seq };
    }
    if (this.#queued.size > this.#settings.maxMarks * 20) this.#isLive = false;
    if (this.#queued.size > before || !this.#isLive) this.#alarm.ring();
  }

  #follows(entry: Movement): boolean {
    return this.#seen !== undefined && entry.epoch === this.#seen.epoch && entry.seq === this.#seen.seq + 1;
  }

  #collect(entry: Movement, into: Map<ListingId, PendingListing>): void {
    if (entry.kind === 'epoch') return;
    const left = entry.onHand - entry.committed - entry.reserved;
    const lane = laneOf(entry, left);
    for (const listingId of this.#channel.listingsOf(entry.sku)) {
      const known = into.get(listingId);
      const better = known !== undefined && laneRank[known.lane] < laneRank[lane] ? known.lane : lane;
      const cause = saleKinds.has(entry.kind) || known?.cause === 'sale' ? 'sale' : 'run';
      into.set(listingId, {
        listingId,
        seq: entry.seq,
        causedAtMs: entry.atMs,
        lane: better,
        units: left,
        cause,
      });
    }
  }

  async #run(): Promise<void> {
    let retryMs = this.#settings.retryMs;
    while (!this.#isClosed) {
      try {
        if (this.#isLive) await this.#flush();
        else await this.#catchUp();
        retryMs = this.#settings.retryMs;
        if (this.#isLive && this.#queued.size === 0 && !this.#isClosed) {
          await this.#alarm.sleep(this.#settings.quietCursorMs);
        }
      } catch (error) {
        // The cursor did not move: what was queued is in the log and comes again from there.
        this.#isLive = false;
        this.#queued.clear();
        this.#options.log.warn({ channel: this.#channel.channel, err: error }, 'marking listings failed');
        await this.#alarm.sleep(jittered(retryMs));
        retryMs = Math.min(retryMs * 2, this.#settings.maxRetryMs);
      }
    }
  }

  async #flush(): Promise<void> {
    const cursor = this.#seen;
    if (cursor === undefined) return;
    const isStored = this.#stored !== undefined && comparePositions(cursor, this.#stored) === 0;
    if (this.#queued.size === 0 && isStored) return;
    const marks = [...this.#queued.values()];
    this.#queued.clear();
    await this.#mark(marks, cursor);
  }

  /** The cursor moves with the last part only: a crash between the parts repeats them all. */
  async #mark(marks: readonly PendingListing[], cursor: Position): Promise<void> {
    const { ledger } = this.#options;
    const { channel } = this.#channel;
    let start = 0;
    do {
      const part = marks.slice(start, start + this.#settings.maxMarks);
      start += part.length;
      const reached = start >= marks.length ? cursor : (this.#stored ?? noPosition);
      await ledger.markPending(
        channel,
        part.map(({ listingId, seq }) => ({ listingId, seq })),
        reached,
      );
      this.#channel.offer(part);
    } while (start < marks.length);
    this.#stored = cursor;
  }

  async #catchUp(): Promise<void> {
    this.#queued.clear();
    this.#isRecheckDue = false;
    const { history, mesh } = this.#options;
    const cursor = await mesh.cursor(`log:${this.#channel.channel}`);
    const due = await mesh.cursor(`full:${this.#channel.channel}`);
    if (cursor === null || (due !== null && due !== '')) return this.#resync(due);
    this.#stored = parsePosition(cursor);
    this.#seen = this.#stored;
    while (!this.#isClosed && !this.#isRecheckDue && !this.#isLive) {
      this.#hasMissed = false;
      const slice = await history.after(this.#seen, this.#settings.pageEntries);
      if (slice.kind === 'trimmed') return this.#resync(due);
      const marks = new Map<ListingId, PendingListing>();
      for (const entry of slice.entries) this.#collect(entry, marks);
      const last = slice.entries.at(-1);
      if (last !== undefined) {
        this.#seen = { epoch: last.epoch, seq: last.seq };
        await this.#mark([...marks.values()], this.#seen);
      }
      // An entry the reader brought during the page may be newer than the page: only a page without such a visit is
      // the end of the history, and from this line on the reader's entries are taken.
      const isEnd = slice.entries.length < this.#settings.pageEntries && !this.#hasMissed;
      this.#isLive = isEnd && !this.#isRecheckDue;
    }
  }

  /**
   * The log no longer tells what changed: every listing is looked at. The flag is durable before the cursor jumps and is
   * cleared after the last mark, so a crash in between starts the resync again.
   */
  async #resync(due: string | null): Promise<void> {
    const { history, mesh, log } = this.#options;
    const { channel } = this.#channel;
    const head = await history.head();
    const flag = due !== null && due !== '' ? due : formatPosition(head);
    if (flag !== due) await mesh.moveCursor(`full:${channel}`, flag, 'opaque', due);
    log.info({ channel, head }, 'full resync: every listing of the channel is looked at');
    const marks = [...this.#channel.allListings()].map((listingId): PendingListing => ({
      listingId,
      seq: head.seq,
      causedAtMs: undefined,
      lane: 'other',
      cause: 'run',
    }));
    this.#stored = undefined;
    await this.#mark(marks, head);
    await mesh.moveCursor(`full:${channel}`, '', 'opaque', flag);
    this.#seen = head;
  }
}

const laneRank: Readonly<Record<Lane, number>> = { 'sold-out': 0, lowered: 1, other: 2 };

function laneOf(entry: Movement, left: number): Lane {
  const change = entry.deltaOnHand - entry.deltaCommitted - entry.deltaReserved;
  if (change >= 0) return 'other';
  return left <= 0 ? 'sold-out' : 'lowered';
}
