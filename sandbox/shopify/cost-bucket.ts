import type { SandboxClock } from './clock.ts';

/** Bucket sizes recorded for Standard; the other plans keep its ratio of 20 seconds of restore. */
export const PLAN_LIMITS = {
  standard: { maximumAvailable: 2_000, restoreRate: 100 },
  advanced: { maximumAvailable: 4_000, restoreRate: 200 },
  plus: { maximumAvailable: 20_000, restoreRate: 1_000 },
  enterprise: { maximumAvailable: 40_000, restoreRate: 2_000 },
} as const;
export type PlanName = keyof typeof PLAN_LIMITS;

export interface ThrottleStatus {
  readonly maximumAvailable: number;
  readonly currentlyAvailable: number;
  readonly restoreRate: number;
}

/** Throttled calls sent before the wait of the last refusal was over, in a row, that still count as bad luck. */
const TOLERATED_EARLY_CALLS = 5;

/**
 * Leaky bucket of one app on one shop. The requested cost is taken before execution and the difference to the actual
 * cost is given back after it.
 */
export class CostBucket {
  isUnlimited = false;
  readonly #clock: SandboxClock;
  readonly #maximum: number;
  readonly #restoreRate: number;
  #available: number;
  #asOf: number;
  #retryAt = 0;
  #earlyCalls = 0;

  constructor(plan: PlanName, clock: SandboxClock) {
    this.#clock = clock;
    this.#maximum = PLAN_LIMITS[plan].maximumAvailable;
    this.#restoreRate = PLAN_LIMITS[plan].restoreRate;
    this.#available = this.#maximum;
    this.#asOf = clock.now();
  }

  /** `ignored`: the client keeps calling without waiting as long as the refusals told it to. */
  take(points: number): 'taken' | 'throttled' | 'ignored' {
    this.#restore();
    const now = this.#clock.now();
    if (this.isUnlimited || this.#available >= points) {
      if (!this.isUnlimited) this.#available -= points;
      this.#earlyCalls = 0;
      return 'taken';
    }
    this.#earlyCalls = now < this.#retryAt ? this.#earlyCalls + 1 : 0;
    this.#retryAt = now + ((points - this.#available) / this.#restoreRate) * 1000;
    if (this.#earlyCalls <= TOLERATED_EARLY_CALLS) return 'throttled';
    this.#earlyCalls = 0;
    return 'ignored';
  }

  giveBack(points: number): void {
    this.#available = Math.min(this.#maximum, this.#available + points);
  }

  drain(): void {
    this.#restore();
    this.#available = 0;
  }

  status(): ThrottleStatus {
    this.#restore();
    return {
      maximumAvailable: this.#maximum,
      currentlyAvailable: Math.floor(this.#available),
      restoreRate: this.#restoreRate,
    };
  }

  #restore(): void {
    const now = this.#clock.now();
    const restored = ((now - this.#asOf) / 1000) * this.#restoreRate;
    this.#available = Math.min(this.#maximum, this.#available + Math.max(0, restored));
    this.#asOf = now;
  }
}
