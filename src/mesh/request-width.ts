export interface RequestWidthSettings {
  /** Requests under way at once: never fewer are allowed than the first, never more than the second. */
  readonly min: number;
  readonly max: number;
  /** Answers that come within this show that there is room; those that take longer than `slowMs`, that there is not. */
  readonly quickMs: number;
  readonly slowMs: number;
}

/** A crowd of requests is refilled at once, so few answers find all slots taken: one slot for each would take seconds. */
const growthParts = 8;

/**
 * How many requests of a channel may be under way at once, by how long they take, waits for the platform's limit
 * included. A request that waits for its turn has fixed its numbers and takes no newer ones in, and an urgent one queues
 * behind it: where the limit is the bound, few are under way; where the network is, many.
 *
 *   narrow --a quick answer while all slots are taken--> wider by an eighth, to `max`
 *   wide --a slow answer--> half, at least `min`; then no further until as many answers as were under way have come
 */
export class RequestWidth {
  readonly #settings: RequestWidthSettings;
  #slots: number;
  #answersToIgnore = 0;

  constructor(settings: RequestWidthSettings) {
    this.#settings = settings;
    this.#slots = settings.min;
  }

  get slots(): number {
    return this.#slots;
  }

  /** Many narrow requests are prepared together: looking for one at a time would cost as much for each as for all. */
  hasRoom(underWay: number): boolean {
    return underWay === 0 || this.#slots - underWay >= Math.ceil(this.#slots / 4);
  }

  answered(tookMs: number, underWay: number): void {
    const { min, max, quickMs, slowMs } = this.#settings;
    if (this.#answersToIgnore > 0) this.#answersToIgnore--;
    else if (tookMs > slowMs && this.#slots > min) {
      // What else is under way was slowed down by the same crowd.
      this.#answersToIgnore = underWay;
      this.#slots = Math.max(min, Math.floor(this.#slots / 2));
    }
    if (tookMs < quickMs && underWay >= this.#slots)
      this.#slots = Math.min(max, this.#slots + Math.ceil(this.#slots / growthParts));
  }
}
