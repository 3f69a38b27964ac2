import type { SeededRandom } from './random.ts';

/** Refusals before execution: nothing is committed. */
type BeforeKind = 'reset' | 'hang' | 'html' | 'status' | 'throttled' | 'slow' | 'fail-attempt';
/** Accidents after execution: everything is committed, the client cannot know. */
type AfterKind = 'lose-response' | 'hang-after' | 'status-after' | 'truncate' | 'slow-response';
/** userErrors of the idempotent mutations, in place of execution. */
type UserErrorKind = 'idempotency-concurrent' | 'idempotency-previous-failed' | 'service-unavailable';
export type FaultKind = BeforeKind | AfterKind | UserErrorKind;

export interface Fault {
  readonly kind: FaultKind;
  /** Operation name (or root field of an unnamed operation), `token` for the token endpoint, `*` (default) for every GraphQL call. */
  readonly operation?: string;
  /** Defaults to 1. */
  readonly probability?: number;
  /** How often it may still strike; unlimited when absent. */
  readonly count?: number;
  /** Calls let through before it may strike. */
  readonly skip?: number;
  readonly delayMs?: number;
  readonly status?: number;
  readonly retryAfterSeconds?: number;
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

  add(fault: Fault): void {
    this.#armed.push({ fault, remaining: fault.count ?? Number.POSITIVE_INFINITY, skip: fault.skip ?? 0 });
  }

  draw(operation: string): Fault | null {
    for (const armed of this.#armed) {
      const wanted = armed.fault.operation ?? '*';
      if (wanted === '*' ? operation === 'token' : wanted !== operation) continue;
      if (armed.remaining <= 0) continue;
      if (armed.skip > 0) {
        armed.skip -= 1;
        continue;
      }
      const probability = armed.fault.probability ?? 1;
      if (probability < 1 && !this.#random.chance(probability)) continue;
      armed.remaining -= 1;
      return armed.fault;
    }
    return null;
  }
}
