import type { ListingState } from './listing.ts';

/** What both kinds of publishing say to their caller. Times are absolute, ms, ledger clock. */

export type PublishDecision =
  | { readonly kind: 'none' }
  /** Goes at once, in large batches, whatever else is open. */
  | { readonly kind: 'lower'; readonly from: number; readonly to: number }
  /** `from` is what we believe, never what was just read. */
  | { readonly kind: 'raise'; readonly from: number; readonly to: number }
  /** `isLowering`: the number is too high until the read has come. */
  | { readonly kind: 'read-first'; readonly notBeforeMs: number; readonly isLowering?: true }
  | { readonly kind: 'wait'; readonly reason: WaitReason; readonly untilMs?: number | undefined }
  /**
   * Verdict: somebody changed the number on the channel. `from` is what it shows; if policy says repair, only a
   * compare-and-set from `from` to `to` may do it.
   */
  | { readonly kind: 'edited'; readonly from: number; readonly to: number };

export type WaitReason =
  /** A completed pull of orders (delta) or a walk (first base of an absolute platform) must come first. */
  'orders-not-pulled' | 'write-open' | 'too-many-open-writes';

/** The row outcomes of the connector contract. */
export interface WriteOutcome {
  readonly kind: 'confirmed' | 'accepted' | 'stale' | 'rejected' | 'not-applied' | 'unknown' | 'key-spent';
  readonly isPermanent?: boolean;
  /** Platform clock, of a confirmed write. */
  readonly appliedAtMs?: number | undefined;
}

/** What the caller does once `next` is stored. */
export type NextStep =
  | 'decide-again'
  | 'pull-orders'
  /** The same key with the same variables, as long as `mayRepeat`. */
  | 'repeat-same-key'
  | 'read'
  | 'park';

export interface Settled {
  readonly next: ListingState;
  /** Whether the write record of this row is still needed. */
  readonly record: 'close' | 'keep';
  readonly step: NextStep;
}

/** A number read from the platform; `startedAtMs` is when the read was sent, by the platform's clock. */
export interface StockReading {
  readonly value: number;
  readonly startedAtMs: number;
}
