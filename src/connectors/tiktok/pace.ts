import type { Clock, RateLimiter } from '../ports.ts';

interface Operation {
  ratePerS: number;
  /** What the shared limiter was told last. */
  toldPerS: number;
  changedAtMs: number;
  throttledInARow: number;
}

const leastPerS = 0.2;
/** What TikTok published until 2026, per app, shop and API. */
const mostPerS = 50;
const risePerS = 0.5;
const halveAtMostEveryMs = 1_000;
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;

/**
 * Adaptive pace per operation: TikTok no longer states a rate, it is dynamic per app and shop. Success raises the rate by
 * half a request per second each second, a refusal halves it (once a second: several requests are refused together) and
 * pauses, twice as long each time. `Retry-After` counts where it is sent, which TikTok does not promise.
 *
 * The bucket itself is shared by all daemons through the limiter; a daemon that starts tells it the starting rate.
 */
export class Pace {
  readonly #limiter: RateLimiter;
  readonly #clock: Clock;
  readonly #startPerS: (operation: string) => number;
  readonly #operations = new Map<string, Operation>();

  constructor(limiter: RateLimiter, clock: Clock, startPerS: (operation: string) => number) {
    this.#limiter = limiter;
    this.#clock = clock;
    this.#startPerS = startPerS;
  }

  async acquire(
    name: string,
    options: {
      readonly maxWaitMs: number;
      readonly signal: AbortSignal;
      readonly isUrgent?: (() => boolean) | undefined;
    },
  ): Promise<void> {
    this.#operation(name);
    await this.#limiter.acquire(name, 1, options);
  }

  succeeded(name: string): void {
    const operation = this.#operation(name);
    operation.throttledInARow = 0;
    // One step per request made at the present rate is `risePerS` per second.
    operation.ratePerS = Math.min(mostPerS, operation.ratePerS + risePerS / operation.ratePerS);
    if (operation.ratePerS < operation.toldPerS * 1.05) return;
    operation.toldPerS = operation.ratePerS;
    this.#limiter.learn(name, { capacity: burst(operation.ratePerS), refillPerS: operation.ratePerS });
  }

  /** How long the operation rests. */
  throttled(name: string, retryAfterMs: number | undefined): number {
    const operation = this.#operation(name);
    const nowMs = this.#clock.nowMs();
    if (operation.throttledInARow === 0 || nowMs - operation.changedAtMs >= halveAtMostEveryMs) {
      operation.ratePerS = Math.max(leastPerS, operation.ratePerS / 2);
      operation.changedAtMs = nowMs;
      operation.throttledInARow++;
    }
    operation.toldPerS = operation.ratePerS;
    const backOffMs = Math.min(
      longestPauseMs,
      firstPauseMs * 2 ** Math.min(operation.throttledInARow - 1, 10),
    );
    const pauseMs = retryAfterMs ?? backOffMs;
    const { ratePerS: refillPerS } = operation;
    this.#limiter.learn(name, { capacity: burst(refillPerS), available: 0, refillPerS, pauseMs });
    return pauseMs;
  }

  #operation(name: string): Operation {
    let operation = this.#operations.get(name);
    if (operation === undefined) {
      const ratePerS = this.#startPerS(name);
      operation = { ratePerS, toldPerS: ratePerS, changedAtMs: 0, throttledInARow: 0 };
      this.#operations.set(name, operation);
      // A pause of nothing makes the limiter pass it on at once: the first requests are paced too.
      const capacity = burst(ratePerS);
      this.#limiter.learn(name, { capacity, available: capacity, refillPerS: ratePerS, pauseMs: 0 });
    }
    return operation;
  }
}

function burst(ratePerS: number): number {
  return Math.max(1, Math.ceil(ratePerS));
}
