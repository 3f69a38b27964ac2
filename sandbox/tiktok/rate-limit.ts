/** Requests per second of one (app, shop, endpoint), counted in a window of one second. */
export class RateLimit {
  readonly #starts = new Map<string, number[]>();
  readonly #refusedUntil = new Map<string, number>();

  /** How long until the next request would pass; 0: this one does. `isEarly`: it came before it was told to. */
  take(
    operation: string,
    nowMs: number,
    perSecond: number,
  ): { readonly waitMs: number; readonly isEarly: boolean } {
    const recent = (this.#starts.get(operation) ?? []).filter((atMs) => atMs > nowMs - 1_000);
    const isEarly = nowMs < (this.#refusedUntil.get(operation) ?? 0);
    this.#starts.set(operation, recent);
    if (recent.length < perSecond) {
      recent.push(nowMs);
      return { waitMs: 0, isEarly: false };
    }
    return { waitMs: Math.max(1, (recent[0] ?? nowMs) + 1_000 - nowMs), isEarly };
  }

  /** A Retry-After was sent: requests before its end ignore it. */
  refused(operation: string, untilMs: number): void {
    this.#refusedUntil.set(operation, untilMs);
  }
}
