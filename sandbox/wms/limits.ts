import type { SandboxClock } from '../shopify/clock.ts';

/** Calls sent before the wait of a refusal was over, in a row, that still count as bad luck. */
const TOLERATED_EARLY_CALLS = 5;

export type Taken =
  | { readonly kind: 'taken' }
  | {
      readonly kind: 'refused';
      readonly waitS: number;
      readonly remaining: number;
      readonly isIgnored: boolean;
    };

/** Counts a client's calls that come before the wait it was told is over. */
class Patience {
  #retryAt = 0;
  #early = 0;

  refuse(now: number, waitMs: number): boolean {
    this.#early = now < this.#retryAt ? this.#early + 1 : 0;
    this.#retryAt = now + waitMs;
    if (this.#early <= TOLERATED_EARLY_CALLS) return false;
    this.#early = 0;
    return true;
  }

  calm(): void {
    this.#early = 0;
  }
}

/** ShipHero: 4,004 credits, 60 come back each second; an operation costs `1 + first` up front. */
export class CreditBucket {
  readonly #clock: SandboxClock;
  readonly #capacity: number;
  readonly #perSecond: number;
  readonly #patience = new Patience();
  #available: number;
  #asOf: number;

  constructor(clock: SandboxClock, capacity = 4_004, perSecond = 60) {
    this.#clock = clock;
    this.#capacity = capacity;
    this.#perSecond = perSecond;
    this.#available = capacity;
    this.#asOf = clock.now();
  }

  take(cost: number): Taken {
    const now = this.#clock.now();
    this.#available = Math.min(
      this.#capacity,
      this.#available + (Math.max(0, now - this.#asOf) / 1_000) * this.#perSecond,
    );
    this.#asOf = now;
    if (this.#available >= cost) {
      this.#available -= cost;
      this.#patience.calm();
      return { kind: 'taken' };
    }
    const waitS = Math.ceil((cost - this.#available) / this.#perSecond);
    const isIgnored = this.#patience.refuse(now, waitS * 1_000);
    return { kind: 'refused', waitS, remaining: Math.floor(this.#available), isIgnored };
  }

  drain(): void {
    this.#available = 0;
    this.#asOf = this.#clock.now();
  }
}

/** So many requests in any span of the window's length. */
export class SlidingWindow {
  readonly #clock: SandboxClock;
  readonly #requests: number;
  readonly #windowMs: number;
  readonly #patience = new Patience();
  #times: number[] = [];

  constructor(clock: SandboxClock, requests: number, windowMs: number) {
    this.#clock = clock;
    this.#requests = requests;
    this.#windowMs = windowMs;
  }

  take(): Taken {
    const now = this.#clock.now();
    this.#times = this.#times.filter((time) => time > now - this.#windowMs);
    if (this.#times.length < this.#requests) {
      this.#times.push(now);
      this.#patience.calm();
      return { kind: 'taken' };
    }
    const waitS = Math.max(1, Math.ceil(((this.#times[0] ?? now) + this.#windowMs - now) / 1_000));
    return { kind: 'refused', waitS, remaining: 0, isIgnored: this.#patience.refuse(now, waitS * 1_000) };
  }

  get remaining(): number {
    return Math.max(0, this.#requests - this.#times.length);
  }
}
