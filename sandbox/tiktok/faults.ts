import type { SeededRandom } from '../shopify/random.ts';

/** Before execution nothing is applied; after it everything is, and the client cannot know. */
export type FaultKind =
  | 'reset'
  | 'hang'
  | 'html'
  | 'status'
  | 'code'
  | 'throttled'
  | 'slow'
  | 'lose-write'
  | 'lose-response'
  | 'hang-after'
  | 'status-after'
  | 'truncate'
  | 'slow-response';

export interface Fault {
  readonly kind: FaultKind;
  /** `inventory-update`, `inventory-search`, `orders-search`, ..., `token`, `*` (default). */
  readonly operation?: string;
  readonly probability?: number;
  /** How often it may still strike; unlimited when absent. */
  readonly count?: number;
  /** Calls let through before it may strike. */
  readonly skip?: number;
  readonly delayMs?: number;
  readonly status?: number;
  /** For `code`: TikTok's own code and message. */
  readonly code?: number;
  readonly message?: string;
  readonly retryAfterS?: number;
}

interface Armed {
  readonly fault: Fault;
  remaining: number;
  skip: number;
}

/** The faults of one shop. At most one strikes per call: the first in the list that matches and wins its draw. */
export class FaultPlan {
  readonly #random: SeededRandom;
  #armed: Armed[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  set(faults: readonly Fault[]): void {
    this.#armed = faults.map((fault) => ({
      fault,
      remaining: fault.count ?? Number.POSITIVE_INFINITY,
      skip: fault.skip ?? 0,
    }));
  }

  draw(operation: string): Fault | null {
    for (const armed of this.#armed) {
      const wanted = armed.fault.operation ?? '*';
      if ((wanted !== '*' && wanted !== operation) || armed.remaining <= 0) continue;
      if (armed.skip > 0) {
        armed.skip -= 1;
        continue;
      }
      if (!this.#random.chance(armed.fault.probability ?? 1)) continue;
      armed.remaining -= 1;
      return armed.fault;
    }
    return null;
  }
}
