import type { CountGuards } from '../domain/count-guard.ts';
import type { ParkedRow } from './parked-row.ts';

/** What an on-hand authority (WMS, 3PL, stock file) says of one SKU at one of its places. Physical units, never "available". */
export interface PlatformCount {
  /** As the WMS spells it. */
  readonly sku: string;
  /** What `fetchCounts` is asked by to read this row again. */
  readonly itemId: string;
  readonly locationId: string;
  readonly onHand: number;
  /** Our clock: the moment the WMS dates the figure to, or else the start of the request that brought it. */
  readonly asOfMs: number;
  /** Digits that grow with every change of the row, where the WMS has them: an older one never overwrites a newer one. */
  readonly version?: string | undefined;
}

/** A change of on-hand that the WMS reports as such: a confirmed shipment, a receipt, a row of a delta file. */
export interface PlatformMovement {
  /** Unique in the channel: the same movement told twice is one. */
  readonly movementId: string;
  readonly kind: 'received' | 'adjusted' | 'shipped' | 'returned';
  readonly sku: string;
  readonly locationId: string;
  /** Signed change of on-hand; a shipment is negative. */
  readonly units: number;
  /** Our clock; absent: now. */
  readonly effectiveAtMs?: number | undefined;
  readonly reference: string;
  readonly reason: string;
}

export type CountOutcome =
  | { readonly kind: 'applied' }
  /** Nothing of the page was applied. */
  | { readonly kind: 'held'; readonly reason: string };

interface Sourced {
  /** Stable name of what was read (`stock`, a file name): a held reading is parked under it. */
  readonly source: string;
  readonly parked: readonly ParkedRow[];
  /** Told once the page is applied or held; a file is put away by it. */
  readonly settled?: ((outcome: CountOutcome) => Promise<void>) | undefined;
}

export interface CountRows extends Sourced {
  /** `snapshot`: everything the WMS has, judged by `guards` before any row is applied; `changes`: some rows. */
  readonly kind: 'snapshot' | 'changes';
  readonly counts: readonly PlatformCount[];
  readonly movements: readonly PlatformMovement[];
  /** Items that changed in a way only a fresh reading can tell. */
  readonly hints: readonly string[];
  readonly guards?: CountGuards | undefined;
  /** It cannot be read a second time (a file, a delivery): a row the ledger cannot place in time is parked. */
  readonly isOnce?: boolean | undefined;
  /** A SKU missing from so many complete snapshots in a row counts as zero; absent: it keeps its figure. */
  readonly zeroMissingAfter?: number | undefined;
  /** May be stored once the page is applied; null: keep the one before. */
  readonly cursor: string | null;
}

/** The connector itself will not vouch for what it read (empty, too old, too many bad rows): nothing of it is given. */
export interface HeldCounts extends Sourced {
  readonly kind: 'held';
  readonly reason: string;
}

export type CountPage = CountRows | HeldCounts;

/** `all`: everything even where changes would do; `changes`: those even where everything is due. */
export type CountWant = 'all' | 'changes';

/** A level hint that names no item: nobody knows which changed. */
export const everyItem = '*';
