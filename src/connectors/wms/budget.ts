import type { PublishedBudget, RateLimiter } from '../ports.ts';
import type { Limits } from './options.ts';

/** All requests of a channel share its source's limit: they are one operation for the limiter. */
const requests = 'requests';
const credits = 'credits';

/** Spends a source's published limit before each request. */
export class Budget {
  readonly #limits: Limits;
  readonly #limiter: RateLimiter;
  readonly #maxWaitMs: number;

  constructor(limits: Limits, limiter: RateLimiter, maxWaitMs: number) {
    this.#limits = limits;
    this.#limiter = limiter;
    this.#maxWaitMs = maxWaitMs;
  }

  /** `rows`: how many the request asks for. */
  async spend(rows: number, signal: AbortSignal): Promise<void> {
    const limits = this.#limits;
    switch (limits.kind) {
      case 'none':
        return this.#take(requests, 1, undefined, signal);
      case 'token-bucket':
        return this.#take(requests, 1, limits, signal);
      case 'sliding-window':
        return this.#take(requests, 1, bucketFor(limits), signal);
      case 'credits':
        // Asked for together: one after the other they were two answers to wait for before each page.
        await Promise.all([
          limits.requests === undefined
            ? undefined
            : this.#take(requests, 1, bucketFor(limits.requests), signal),
          this.#take(credits, Math.min(1 + rows, limits.capacity), limits, signal),
        ]);
    }
  }

  /** The source refused for so long: nobody asks until then. */
  refused(waitMs: number): void {
    this.#limiter.learn(this.#limits.kind === 'credits' ? credits : requests, { pauseMs: waitMs });
  }

  #take(
    operation: string,
    cost: number,
    budget: PublishedBudget | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#limiter.acquire(operation, cost, { maxWaitMs: this.#maxWaitMs, signal, budget });
  }
}

/**
 * A window that slides counts every request of its last moments. A bucket as large as the window would let nearly twice
 * as many through: a full burst and all that is refilled behind it. What the bucket holds and what it gains in one window
 * are together the window's limit.
 */
function bucketFor(window: { readonly requests: number; readonly windowMs: number }): PublishedBudget {
  const capacity = Math.max(1, Math.floor(window.requests / 3));
  return { capacity, refillPerS: Math.max(0.001, ((window.requests - capacity) * 1_000) / window.windowMs) };
}
