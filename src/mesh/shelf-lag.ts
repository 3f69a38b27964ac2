/** Measurements before the assumption is dropped. */
const enough = 5;
/** Weight of each further measurement: about the last thirty count. */
const weight = 1 / 16;
const leastMs = 20;
/** A channel that was down for a day is not a day away. */
const mostMs = 15 * 60_000;

/**
 * How long a change of stock takes to the shelf of one channel, for the order of urgency: measured from the movement to
 * the platform's confirmation, or to the reading that showed it where the platform confirms nothing.
 */
export class ShelfLag {
  readonly #assumedMs: number;
  #measured = 0;
  #averageMs = 0;

  constructor(assumedMs: number) {
    this.#assumedMs = bounded(assumedMs);
  }

  get ms(): number {
    return this.#measured < enough ? this.#assumedMs : this.#averageMs;
  }

  took(ms: number): void {
    if (!Number.isFinite(ms)) return;
    this.#measured++;
    // The plain average at first, so that the very first one does not weigh for long.
    this.#averageMs += (bounded(ms) - this.#averageMs) * Math.max(weight, 1 / this.#measured);
  }
}

function bounded(ms: number): number {
  return Math.min(mostMs, Math.max(leastMs, ms));
}
