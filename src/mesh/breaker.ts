/**
 * Circuit breaker of one channel. It only decides; its owner makes the calls and says how they ended, so one slow or
 * failing platform never costs another channel anything.
 *
 *   closed    --enough calls in the window and too many failed or slow--> open
 *   open      --its pause is over, next call--> half-open (one probe at a time)
 *   half-open --probe succeeds--> closed      --probe fails--> open, pause doubled up to its limit
 *   any       --openByHand--> held-open       --closeByHand--> closed
 *
 * A throttled answer is no failure: the platform works and the limiter already slows us down.
 */
export type BreakerState = 'closed' | 'open' | 'half-open' | 'held-open';

export interface BreakerSettings {
  /** Calls judged together; older ones are forgotten. */
  readonly windowCalls: number;
  readonly minCalls: number;
  /** Share of failed calls (0..1) that opens. */
  readonly failureRate: number;
  /** A call slower than this is slow; share of slow calls that opens. */
  readonly slowMs: number;
  readonly slowRate: number;
  readonly pauseMs: number;
  readonly maxPauseMs: number;
}

export const defaultBreakerSettings: BreakerSettings = {
  windowCalls: 20,
  minCalls: 5,
  failureRate: 0.5,
  slowMs: 8_000,
  slowRate: 0.8,
  pauseMs: 1_000,
  maxPauseMs: 60_000,
};

export type Admission =
  | {
      readonly kind: 'admitted';
      /** Must be called exactly once; further calls are ignored. */
      readonly done: (outcome: 'ok' | 'failed') => void;
    }
  | { readonly kind: 'refused'; readonly retryInMs: number };

export class Breaker {
  #state: BreakerState = 'closed';
  #calls: { readonly failed: boolean; readonly slow: boolean }[] = [];
  #pauseMs: number;
  #openUntilMs = 0;
  #isProbing = false;
  readonly #settings: BreakerSettings;
  readonly #nowMs: () => number;
  readonly #onChange: (state: BreakerState) => void;

  /** `nowMs` is a monotonic clock. */
  constructor(
    settings: BreakerSettings = defaultBreakerSettings,
    nowMs: () => number = () => performance.now(),
    onChange: (state: BreakerState) => void = () => undefined,
  ) {
    this.#settings = settings;
    this.#pauseMs = settings.pauseMs;
    this.#nowMs = nowMs;
    this.#onChange = onChange;
  }

  get state(): BreakerState {
    return this.#state;
  }

  admit(): Admission {
    const startedAtMs = this.#nowMs();
    if (this.#state === 'held-open') return { kind: 'refused', retryInMs: this.#settings.maxPauseMs };
    if (this.#state === 'open') {
      if (startedAtMs < this.#openUntilMs)
        return { kind: 'refused', retryInMs: this.#openUntilMs - startedAtMs };
      this.#become('half-open');
    }
    const isProbe = this.#state === 'half-open';
    if (isProbe) {
      // One probe at a time: a platform that just came back is not greeted with the whole backlog.
      if (this.#isProbing) return { kind: 'refused', retryInMs: this.#settings.pauseMs };
      this.#isProbing = true;
    }
    let isDone = false;
    return {
      kind: 'admitted',
      done: (outcome) => {
        if (isDone) return;
        isDone = true;
        if (isProbe) this.#isProbing = false;
        this.#judge(outcome === 'failed', this.#nowMs() - startedAtMs > this.#settings.slowMs, isProbe);
      },
    };
  }

  openByHand(): void {
    this.#become('held-open');
  }

  closeByHand(): void {
    this.#close();
  }

  #judge(failed: boolean, slow: boolean, isProbe: boolean): void {
    if (this.#state === 'held-open') return;
    if (isProbe) {
      if (this.#state !== 'half-open') return;
      if (!failed) return this.#close();
      this.#pauseMs = Math.min(this.#pauseMs * 2, this.#settings.maxPauseMs);
      return this.#open();
    }
    // A call that began before the circuit opened says nothing new.
    if (this.#state !== 'closed') return;
    this.#calls.push({ failed, slow });
    if (this.#calls.length > this.#settings.windowCalls) this.#calls.shift();
    const count = this.#calls.length;
    if (count < this.#settings.minCalls) return;
    const failedRate = this.#calls.filter((call) => call.failed).length / count;
    const slowRate = this.#calls.filter((call) => call.slow).length / count;
    if (failedRate >= this.#settings.failureRate || slowRate >= this.#settings.slowRate) this.#open();
  }

  #open(): void {
    this.#calls = [];
    this.#openUntilMs = this.#nowMs() + this.#pauseMs;
    this.#become('open');
  }

  #close(): void {
    this.#calls = [];
    this.#pauseMs = this.#settings.pauseMs;
    this.#become('closed');
  }

  #become(state: BreakerState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#onChange(state);
  }
}
