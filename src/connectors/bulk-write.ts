import type { ListingRef, RowOutcome } from './connector.ts';

/**
 * Writes of thousands of rows in one document that the platform works through on its own time. Only for a full resync: it
 * may take hours, and it may land after a later single write. Whoever submits therefore keeps one open write per row from
 * before `submit` until `check` says `finished`; lowerings may overtake it with single writes, and every row whose number
 * moved meanwhile is written again afterwards.
 */
export interface BulkWriter {
  readonly maxRows: number;
  /** The longest it has ever taken, for the open writes. */
  readonly longestApplyMs: number;
  submit(rows: readonly BulkRow[], signal: AbortSignal): Promise<BulkSubmission>;
  /** `rows` exactly as submitted: the platform's report names them by their place. */
  check(bulkId: string, rows: readonly BulkRow[], signal: AbortSignal): Promise<BulkProgress>;
}

export interface BulkRow {
  readonly ref: ListingRef;
  readonly to: number;
}

export type BulkSubmission =
  | { readonly kind: 'submitted'; readonly bulkId: string }
  /** Nothing was applied and nothing will be. */
  | { readonly kind: 'not-submitted'; readonly reason: string; readonly retryInMs?: number | undefined }
  /** It may have been taken: each row is an open write until its longest apply has passed. */
  | { readonly kind: 'unknown'; readonly reason: string };

export type BulkProgress =
  | { readonly kind: 'running' }
  | { readonly kind: 'finished'; readonly rows: readonly RowOutcome[] };
