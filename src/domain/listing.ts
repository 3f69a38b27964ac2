/**
 * What stockmesh knows about one listing (a SKU at a place where a platform shows it), and the words for it:
 * `taken` counts the units the platform itself took through orders we have absorbed; `base` is the last settled
 * knowledge; `belief` is what we think the platform shows now.
 *
 *   no base --read--> base (unsettled: lowerings only) --completed pull begun after the read--> base (settled)
 *   settled --suspect--> read again before any raise --read--> settled
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
  /** Units held back because the listing dropped for a reason not yet known. */
  readonly provisional: number;
  /** Newest changes of `taken` by platform time, bounded; they date the orders around a read. */
  readonly rises: readonly TakenRise[];
  readonly openWrites: readonly OpenWrite[];
  /** Bumped by every change except `taken`: the compare-and-set of claim and settle. */
  readonly version: number;
}

export const maxRises = 64;
export const maxOpenWrites = 16;
