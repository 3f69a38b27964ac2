import type { ListingId } from '../domain/ids.ts';
import { jittered } from './alarm.ts';

export interface ReadQueueSettings {
  /** A read that overlapped a write is taken again after this, longer each time. */
  readonly readAgainMs: number;
  readonly maxReadAgainMs: number;
  /** Longest time between two reads of a listing that is asked for again and again. */
  readonly maxSpacingMs: number;
  readonly maxWaiting: number;
}

export interface DueRead {
  readonly listingId: ListingId;
  /** Reads of it in a row that told nothing. */
  readonly times: number;
  readonly isAwaited: boolean;
}

interface Waiting {
  readonly dueAtMs: number;
  readonly times: number;
}

/** Of each request this much is kept for reads that nobody waits for: they end what is open, which else only grows. */
const shareOfOthers = 0.25;

/**
 * Listings that are to be read, each with its earliest moment (ledger clock). A listing that sells all the time may leave
 * every read undecided: the next one of it waits longer each time.
 */
export class ReadQueue {
  readonly #settings: ReadQueueSettings;
  readonly #nowMs: () => number;
  readonly #waiting = new Map<ListingId, Waiting>();
  readonly #awaited = new Set<ListingId>();
  /** No read is due before it; some of those it was computed from may be gone. */
  #soonestMs = Number.POSITIVE_INFINITY;
  readonly #recent = new Map<ListingId, { readonly atMs: number; readonly times: number }>();

  constructor(settings: ReadQueueSettings, nowMs: () => number) {
    this.#settings = settings;
    this.#nowMs = nowMs;
  }

  has(listingId: ListingId): boolean {
    return this.#waiting.has(listingId);
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Ledger clock: none is due before it. */
  get soonestMs(): number {
    return this.#soonestMs;
  }

  /** Reads that are due, or soon, that a lowering waits for. */
  get awaited(): number {
    return this.#awaited.size;
  }

  clear(): void {
    this.#waiting.clear();
    this.#awaited.clear();
    this.#soonestMs = Number.POSITIVE_INFINITY;
  }

  ask(listingId: ListingId, dueAtMs: number, times = 0, isAwaited = false): void {
    const known = this.#waiting.get(listingId);
    if (known === undefined && this.#waiting.size >= this.#settings.maxWaiting) return;
    if (isAwaited) this.#awaited.add(listingId);
    if (known !== undefined && known.dueAtMs <= dueAtMs) return;
    this.#waiting.set(listingId, { dueAtMs, times });
    this.#soonestMs = Math.min(this.#soonestMs, dueAtMs);
  }

  /** As `ask`, but not sooner after its last read than reads of it are spaced. */
  askSpaced(listingId: ListingId, notBeforeMs: number, isAwaited = false): void {
    const read = this.#recent.get(listingId);
    const { maxSpacingMs } = this.#settings;
    const spacedMs = read === undefined ? 0 : read.atMs + Math.min(this.#backOffMs(read.times), maxSpacingMs);
    this.ask(listingId, Math.max(notBeforeMs, spacedMs), 0, isAwaited);
  }

  again({ listingId, times, isAwaited }: DueRead, leastMs = 0): void {
    const waitMs = Math.max(leastMs, jittered(this.#backOffMs(times)));
    this.ask(listingId, this.#nowMs() + waitMs, times + 1, isAwaited);
  }

  takeDue(limit: number): readonly DueRead[] {
    const due: DueRead[] = [];
    const nowMs = this.#nowMs();
    if (this.#soonestMs > nowMs) return due;
    const othersShare = this.#awaited.size === 0 ? limit : Math.floor(limit * shareOfOthers);
    this.#take(due, this.#awaited, limit - othersShare, nowMs);
    this.#take(due, this.#waiting.keys(), limit, nowMs);
    this.#take(due, this.#awaited, limit, nowMs);
    // With room left nothing that is due was left behind: when the next one is, is found once, not at every question.
    if (due.length < limit) this.#soonestMs = this.#firstDueMs();
    return due;
  }

  #firstDueMs(): number {
    let firstMs = Number.POSITIVE_INFINITY;
    for (const { dueAtMs } of this.#waiting.values()) firstMs = Math.min(firstMs, dueAtMs);
    return firstMs;
  }

  #take(due: DueRead[], from: Iterable<ListingId>, limit: number, nowMs: number): void {
    for (const listingId of from) {
      if (due.length >= limit) return;
      const waiting = this.#waiting.get(listingId);
      if (waiting === undefined) this.#awaited.delete(listingId);
      if (waiting === undefined || waiting.dueAtMs > nowMs) continue;
      const isAwaited = this.#awaited.delete(listingId);
      this.#waiting.delete(listingId);
      due.push({ listingId, times: waiting.times, isAwaited });
    }
  }

  noteRead(listingId: ListingId): void {
    const { maxSpacingMs, maxWaiting } = this.#settings;
    const nowMs = this.#nowMs();
    const known = this.#recent.get(listingId);
    const isRecent = known !== undefined && nowMs - known.atMs < maxSpacingMs * 2;
    this.#recent.delete(listingId);
    this.#recent.set(listingId, { atMs: nowMs, times: isRecent ? known.times + 1 : 0 });
    // Insertion order is reading order: the longest unread are forgotten first.
    for (const [oldest, { atMs }] of this.#recent) {
      if (this.#recent.size <= maxWaiting && nowMs - atMs < maxSpacingMs * 2) break;
      this.#recent.delete(oldest);
    }
  }

  /** Until one may be due, at most `atMostMs`. */
  nextInMs(atMostMs: number): number {
    return Math.min(atMostMs, Math.max(1, this.#soonestMs - this.#nowMs()));
  }

  #backOffMs(times: number): number {
    const { readAgainMs, maxReadAgainMs } = this.#settings;
    return Math.min(readAgainMs * 2 ** Math.min(times, 20), maxReadAgainMs);
  }
}
