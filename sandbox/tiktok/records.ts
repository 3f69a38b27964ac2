import { BoundedLog } from '../shopify/bounded-log.ts';

export type ChangeCause =
  | 'stock-edit'
  | 'inventory-update'
  | 'order-placed'
  | 'order-paid'
  | 'order-cancelled'
  | 'order-shipped'
  | 'returned';

/** One applied change of one quantity. */
export interface AuditEntry {
  readonly at: number;
  readonly shop: string;
  readonly sku: string;
  readonly skuId: string;
  readonly warehouseId: string;
  readonly name: 'available' | 'committed';
  readonly from: number;
  readonly to: number;
  readonly cause: ChangeCause;
  /** Request id of an inventory update, order id otherwise. */
  readonly reference: string | null;
}

export interface RequestEntry {
  readonly at: number;
  readonly shop: string;
  readonly operation: string;
  readonly code: number;
  readonly outcome: string;
}

export type ViolationKind =
  | 'wrong-sign'
  | 'stale-timestamp'
  | 'invalid-token'
  | 'unexpected-cipher'
  | 'missing-cipher'
  | 'empty-object-body'
  | 'malformed-request'
  | 'unknown-parameter'
  | 'unknown-endpoint'
  | 'over-limit'
  | 'page-token'
  | 'missing-warehouse'
  | 'other-product'
  | 'quantity-out-of-range'
  | 'ignored-throttle'
  | 'refresh-token-reused'
  | 'webhook-refused'
  | 'webhook-not-empty'
  | 'webhook-timeout';

/** Something a client of the real platform must not do. */
export interface Violation {
  readonly at: number;
  readonly shop: string;
  readonly kind: ViolationKind;
  readonly detail: string;
}

export interface LevelChange {
  readonly at: number;
  readonly shop: string;
  readonly sku: string;
  readonly skuId: string;
  readonly warehouseId: string;
  readonly available: number;
  readonly committed: number;
  readonly cause: ChangeCause;
}

const MAX_AUDIT_ENTRIES = 1_000_000;
const MAX_REQUEST_ENTRIES = 200_000;
const MAX_VIOLATIONS = 10_000;

/** What happened in all shops of one sandbox, newest last, and who listens to it. */
export class Records {
  readonly audit = new BoundedLog<AuditEntry>(MAX_AUDIT_ENTRIES);
  readonly requests = new BoundedLog<RequestEntry>(MAX_REQUEST_ENTRIES);
  readonly violations = new BoundedLog<Violation>(MAX_VIOLATIONS);
  readonly #listeners = new Set<(change: LevelChange) => void>();

  onLevelChange(listener: (change: LevelChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  levelChanged(change: LevelChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
