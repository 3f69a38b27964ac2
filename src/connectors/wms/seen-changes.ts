const maxKept = 50_000;

/**
 * Changes that were told already. Every reading of changes overlaps the one before, so the same change is shown again and
 * again; asking for its item each time would spend a limit on nothing. Only a saving: what is forgotten is asked once more.
 */
export class SeenChanges {
  readonly #keptMs: number;
  /** Oldest first. */
  readonly #seen = new Map<string, number>();

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  clear(): void {
    this.#seen.clear();
  }

  /** True the first time. */
  isNew(key: string, nowMs: number): boolean {
    for (const [old, atMs] of this.#seen) {
      if (nowMs - atMs <= this.#keptMs && this.#seen.size <= maxKept) break;
      this.#seen.delete(old);
    }
    if (this.#seen.has(key)) return false;
    this.#seen.set(key, nowMs);
    return true;
  }
}
