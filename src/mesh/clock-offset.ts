const windowMs = 30_000;

/**
 * How far the ledger's clock is ahead of ours. Each estimate of it is behind by the time its answer took to be noticed,
 * seconds when the process is busy, so the largest of the last moments is the best: a count dated by a worse one would
 * look older than the count before it.
 */
export class ClockOffset {
  readonly #theirsMs: () => number;
  readonly #oursMs: () => number;
  #windowEndsAtMs = Number.NEGATIVE_INFINITY;
  #best = Number.NEGATIVE_INFINITY;
  #bestBefore = Number.NEGATIVE_INFINITY;

  constructor(theirsMs: () => number, oursMs: () => number) {
    this.#theirsMs = theirsMs;
    this.#oursMs = oursMs;
  }

  ms(): number {
    const nowMs = this.#oursMs();
    if (nowMs >= this.#windowEndsAtMs) {
      // Both clocks may be set: what was true two windows ago says nothing.
      this.#bestBefore = nowMs - this.#windowEndsAtMs < windowMs ? this.#best : Number.NEGATIVE_INFINITY;
      this.#best = Number.NEGATIVE_INFINITY;
      this.#windowEndsAtMs = nowMs + windowMs;
    }
    this.#best = Math.max(this.#best, this.#theirsMs() - nowMs);
    return Math.max(this.#best, this.#bestBefore);
  }
}
