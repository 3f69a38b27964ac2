import { BoundedLog } from '../shopify/bounded-log.ts';

export type ViolationKind =
  | 'body-on-get'
  | 'default-on-fba'
  | 'document-content-type'
  | 'fifo-queue'
  | 'foreign-seller'
  | 'lead-time-wiped'
  | 'malformed-request'
  | 'missing-selector'
  | 'pagination-changed'
  | 'search-rule'
  | 'several-marketplaces'
  | 'too-many-identifiers'
  | 'token-kind'
  | 'unknown-operation'
  | 'unknown-parameter'
  | 'unsupported-operation';

/** Something a client of the real platform must not do. */
export interface Violation {
  readonly at: number;
  readonly kind: ViolationKind;
  readonly detail: string;
}

export type ChangeCause = 'seed' | 'api' | 'feed' | 'order' | 'cancellation' | 'stock-edit';

export interface LevelChange {
  readonly at: number;
  readonly sellerId: string;
  readonly sku: string;
  readonly available: number;
  readonly cause: ChangeCause;
}

/** One request and its answer, as it went over the wire. */
export interface Exchange {
  readonly at: number;
  /** `unknown` when no operation has this method and path. */
  readonly operation: string;
  readonly method: string;
  /** Path template of the operation. */
  readonly template: string;
  readonly path: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly requestBody: unknown;
  readonly status: number;
  readonly responseBody: unknown;
}

const MAX_EXCHANGES = 20_000;
const MAX_VIOLATIONS = 10_000;
const MAX_CHANGES = 500_000;

/** What happened in one sandbox, newest last, and who listens to it. */
export class Records {
  readonly exchanges = new BoundedLog<Exchange>(MAX_EXCHANGES);
  readonly violations = new BoundedLog<Violation>(MAX_VIOLATIONS);
  readonly changes = new BoundedLog<LevelChange>(MAX_CHANGES);
  readonly #levelListeners = new Set<(change: LevelChange) => void>();
  readonly #exchangeListeners = new Set<(exchange: Exchange) => void>();

  onLevelChange(listener: (change: LevelChange) => void): () => void {
    this.#levelListeners.add(listener);
    return () => this.#levelListeners.delete(listener);
  }

  onExchange(listener: (exchange: Exchange) => void): () => void {
    this.#exchangeListeners.add(listener);
    return () => this.#exchangeListeners.delete(listener);
  }

  levelChanged(change: LevelChange): void {
    this.changes.add(change);
    for (const listener of this.#levelListeners) listener(change);
  }

  exchanged(exchange: Exchange): void {
    this.exchanges.add(exchange);
    for (const listener of this.#exchangeListeners) listener(exchange);
  }
}
