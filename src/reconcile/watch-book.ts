import type { DriftWatch } from '../domain/drift-watch.ts';
import type { ListingId } from '../domain/ids.ts';
import type { ObservedRow } from './observe.ts';

/**
 * A listing whose read needs an explanation.
 *
 *   grace --still unexplained--> pull --walk spoke for the read--> spacing --read again--> pull ... --> decided
 */
export interface WatchedListing {
  readonly runId: string;
  readonly isDryRun: boolean;
  readonly kind: 'differs' | 'unpublished' | 'absent';
  readonly phase: 'grace' | 'pull' | 'spacing';
  readonly row: ObservedRow;
  readonly watch: DriftWatch | undefined;
  /** `performance.now()` at which its phase ends; a pull ends by itself. */
  readonly dueAtMs: number;
  /** Orders were looked for far back already. */
  readonly isLookedBack: boolean;
}

/** Listings under watch, one entry each; when it is full, further ones wait for the next cycle. */
export class WatchBook {
  readonly #entries = new Map<ListingId, WatchedListing>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(listingId: ListingId): boolean {
    return this.#entries.has(listingId);
  }

  put(entry: WatchedListing): boolean {
    const { listingId } = entry.row.listing;
    if (!this.#entries.has(listingId) && this.#entries.size >= this.#limit) return false;
    this.#entries.set(listingId, entry);
    return true;
  }

  drop(listingId: ListingId): void {
    this.#entries.delete(listingId);
  }

  due(phase: 'grace' | 'spacing', nowMs: number, limit: number): readonly WatchedListing[] {
    const due: WatchedListing[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.phase === phase && entry.dueAtMs <= nowMs) due.push(entry);
      if (due.length >= limit) break;
    }
    return due;
  }

  pulling(): readonly WatchedListing[] {
    return [...this.#entries.values()].filter(({ phase }) => phase === 'pull');
  }

  nextDueMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { phase, dueAtMs } of this.#entries.values())
      if (phase !== 'pull') next = Math.min(next, dueAtMs);
    return next;
  }

  countOf(runId: string): number {
    let count = 0;
    for (const entry of this.#entries.values()) if (entry.runId === runId) count++;
    return count;
  }

  /** An aborted run concludes nothing. */
  dropRun(runId: string): void {
    for (const [listingId, entry] of this.#entries)
      if (entry.runId === runId) this.#entries.delete(listingId);
  }

  clear(): void {
    this.#entries.clear();
  }
}
