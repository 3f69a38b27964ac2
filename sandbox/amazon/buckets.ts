import type { SandboxClock } from '../shopify/clock.ts';
import type { Operation } from './operations.ts';

/** Token buckets as Amazon describes them: full at first, refilled at the rate, capped at the burst. */
export class Buckets {
  /** Requests refused since the start. */
  throttled = 0;
  readonly #clock: SandboxClock;
  readonly #levels = new Map<string, { tokens: number; at: number }>();

  constructor(clock: SandboxClock) {
    this.#clock = clock;
  }

  take(operation: Operation): boolean {
    const now = this.#clock.now();
    const level = this.#levels.get(operation.name) ?? { tokens: operation.burst, at: now };
    const tokens = Math.min(
      operation.burst,
      level.tokens + (Math.max(0, now - level.at) / 1_000) * operation.ratePerS,
    );
    const isGranted = tokens >= 1;
    if (!isGranted) this.throttled += 1;
    this.#levels.set(operation.name, { tokens: isGranted ? tokens - 1 : tokens, at: now });
    return isGranted;
  }

  drain(operation: string): void {
    this.#levels.set(operation, { tokens: 0, at: this.#clock.now() });
  }
}
