import { BoundedLog } from './bounded-log.ts';
import type { QuantityName } from './model.ts';

export type ChangeCause =
  | 'seed'
  | 'api'
  | 'order'
  | 'cancellation'
  | 'refund'
  | 'fulfilment'
  | 'order-edit'
  | 'fulfilment-order-move'
  | 'stock-edit';

/** One applied change of one stored quantity. */
export interface AuditEntry {
  readonly at: number;
  readonly shop: string;
  readonly sku: string | null;
  readonly inventoryItemId: string;
  readonly locationId: string;
  readonly name: QuantityName;
  readonly from: number;
  readonly to: number;
  readonly delta: number;
  readonly cause: ChangeCause;
  readonly operation: string | null;
  readonly idempotencyKey: string | null;
  readonly reference: string | null;
}

export interface RequestEntry {
  readonly at: number;
  readonly shop: string;
  readonly operation: string;
  readonly requestedCost: number | null;
  readonly actualCost: number | null;
  readonly outcome: string;
  readonly durationMs: number;
}

export type ViolationKind =
  | 'missing-idempotent-directive'
  | 'missing-change-from-quantity'
  | 'idempotency-key-reused'
  | 'unknown-search-field'
  | 'invalid-search-value'
  | 'over-limit-array'
  | 'over-limit-cost'
  | 'over-limit-page'
  | 'graphql-validation'
  | 'invalid-variable'
  | 'deprecated-callback-url'
  | 'on-hand-mutation'
  | 'untracked-item-write'
  | 'inactive-level-write'
  | 'ignored-throttle'
  | 'malformed-request'
  | 'unsupported-api-version'
  | 'access-denied'
  | 'webhook-refused'
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
  readonly sku: string | null;
  readonly inventoryItemId: string;
  readonly locationId: string;
  readonly available: number;
  readonly committed: number;
  readonly onHand: number;
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
  readonly #levelListeners = new Set<(change: LevelChange) => void>();

  onLevelChange(listener: (change: LevelChange) => void): () => void {
    this.#levelListeners.add(listener);
    return () => this.#levelListeners.delete(listener);
  }

  levelChanged(change: LevelChange): void {
    for (const listener of this.#levelListeners) listener(change);
  }
}
