/** What writing stock takes and answers, in single requests and in bulk. */

/** A listing under the platform's own ids. `key` is stable and unique in the channel; the rest is what requests need. */
export interface ListingRef {
  readonly key: string;
  readonly itemId: string;
  readonly locationId: string;
}

export interface WriteRow {
  readonly ref: ListingRef;
  readonly from: number;
  readonly to: number;
}

export interface WriteBatch {
  /** Idempotency key: UUID of the write record. The same key always carries the same rows in the same order. */
  readonly key: string;
  /**
   * `lower` / `raise`: a delta of `to - from`, a raise on condition that the platform still shows `from`;
   * `repair`: compare-and-set from `from` to `to`; `put`: the plain number `to`.
   */
  readonly kind: 'lower' | 'raise' | 'repair' | 'put';
  /** `<epoch>-<seq>` the batch stems from, shown by platforms that keep a document reference. */
  readonly reference: string;
  readonly rows: readonly WriteRow[];
  /** Where a request names a whole item (TikTok): what its listings that are not in `rows` are believed to show. */
  readonly beside?: readonly { readonly key: string; readonly believed: number }[] | undefined;
}

export type RowOutcome =
  /** The platform says it is applied. */
  | { readonly kind: 'confirmed' }
  /** The platform took it; only a read can tell when it shows. */
  | { readonly kind: 'accepted' }
  /** The condition did not hold; nothing was changed. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'rejected'; readonly reason: string; readonly isPermanent: boolean }
  /** Not applied because another row of the same batch was refused. */
  | { readonly kind: 'not-applied' }
  /** Sent, no answer: may or may not be applied. */
  | { readonly kind: 'unknown'; readonly reason: string }
  /** The platform will never run this key again (Shopify PREVIOUS_ATTEMPT_FAILED): a new base is needed. */
  | { readonly kind: 'key-spent'; readonly reason: string };

export interface WriteResult {
  /** One outcome per row of the batch, in its order. */
  readonly rows: readonly RowOutcome[];
  /** Not sent or refused as a whole for want of budget; nothing was applied. */
  readonly throttledForMs?: number | undefined;
  /** Platform's own id of the change, for the audit trail. */
  readonly platformReference?: string | undefined;
}
