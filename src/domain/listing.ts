/**
 * What stockmesh knows about one listing (a SKU at a place where a platform shows it), and the words for it:
 * `taken` counts the units the platform itself took through orders we have absorbed; `base` is the last settled
 * knowledge; `belief` is what we think the platform shows now.
 *
 *   no base --read--> base (unsettled: lowerings only) --completed pull begun after the read--> base (settled)
 *   settled --suspect--> read again before any raise --read--> settled
 *   settled --a drop that known orders may explain, or an unseen one (absolute platforms)--> unsettled
 *
 * Pure: no clock, no I/O. The Lua scripts keep the same fields (docs/ledger.md) and the publisher computes every
 * transition with these functions, so the simulation exercises exactly what runs.
 */
export interface ListingBase {
  readonly value: number;
  /** `taken` at the moment the value was true. */
  readonly takenAt: number;
  /** Platform clock, ms: moment for which `value` is known. Start of the read minus the platform's read lag. */
  readonly asOfMs: number;
  /** A pull of orders that began after the read has been completed and applied. */
  readonly settled: boolean;
}

/** A platform write that was recorded before it was sent and is not settled yet. */
export interface OpenWrite {
  readonly writeId: string;
  readonly kind: 'delta' | 'compare-and-set' | 'absolute';
  readonly from: number;
  readonly to: number;
  /** `taken` of the listing when the write was claimed. */
  readonly takenAt: number;
  readonly sentAtMs: number;
  readonly outcome: 'sent' | 'unknown' | 'accepted';
  readonly acceptedAtMs?: number | undefined;
  /** Lease token of the publisher that sent it. */
  readonly token: number;
}

/**
 * A difference between what reads show and what we believe that no order has explained yet. On a delta platform it
 * becomes the verdict "edited" after three reads, each followed by a later pull; on an absolute platform it is a rise
 * that one read has shown and a second one, further apart than the read lag, must confirm.
 */
export interface Residue {
  /** Shown minus believed. */
  readonly units: number;
  /** Reads in a row that showed exactly this; 0: a refused precondition told us that something differs, not what. */
  readonly reads: number;
  /** Start of the newest of these reads (or of the refusal). */
  readonly readAtMs: number;
  /** A pull of orders that began later than that by more than the order index lag has been completed. */
  readonly pulled: boolean;
  /** `taken` as far as it was known to be inside that read: an order learnt later that belongs there explains it. */
  readonly takenThen: number;
}

export interface TakenRise {
  /** Platform clock, ms. */
  readonly atMs: number;
  readonly units: number;
}

export interface ListingState {
  readonly taken: number;
  readonly base: ListingBase | undefined;
  /** Must be read before it may be raised. */
  readonly suspect: boolean;
  /** Ledger clock, when it last became suspect: a read must be true for a later moment than this to clear it. */
  readonly suspectAtMs?: number | undefined;
  /** Units held back because the listing dropped for a reason not yet known. */
  readonly provisional: number;
  /**
   * Absolute platforms: orders up to this moment (platform clock) may still be unseen. A completed walk whose upper
   * bound has passed it settles a base that is not, and proves that what is still provisional was no order ("edited").
   */
  readonly walkAwaitedMs?: number | undefined;
  readonly residue?: Residue | undefined;
  /** Newest changes of `taken` by platform time, bounded; they date the orders around a read. */
  readonly rises: readonly TakenRise[];
  readonly openWrites: readonly OpenWrite[];
  /** Bumped by every change except `taken`: the compare-and-set of claim and settle. */
  readonly version: number;
}

export const maxRises = 64;
export const maxOpenWrites = 16;

export const untouchedListing: ListingState = {
  taken: 0,
  base: undefined,
  suspect: false,
  provisional: 0,
  rises: [],
  openWrites: [],
  version: 0,
};

/** The waiting times of one platform; all but the last two are capabilities of its connector. */
export interface PublishTimes {
  readonly readLagMs: number;
  readonly applyGraceMs: number;
  readonly longestApplyMs: number;
  readonly orderIndexLagMs: number;
  readonly idempotencyWindowMs: number;
  /**
   * How far the time of an order and the moment a read is true for may be apart and still be undecidable: read lag,
   * length of a request, resolution of the platform's times and difference of the clocks, together.
   */
  readonly skewMs: number;
  /** Absolute platforms: a read older than this is no ground for a write other than zero. */
  readonly freshReadMs: number;
}
