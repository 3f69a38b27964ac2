/**
 * The search index's copy of a record's `updated_at`. Shopify indexes asynchronously: for a while a search by
 * `updated_at` misses a change that a read by id already shows.
 */
export class LaggedTimestamp {
  #visible: number | null = null;
  #pending: { readonly visibleAt: number; readonly updatedAt: number }[] = [];

  touch(updatedAt: number, visibleAt: number): void {
    if (visibleAt <= updatedAt && this.#pending.length === 0) this.#visible = updatedAt;
    else this.#pending.push({ visibleAt, updatedAt });
  }

  /** What a search sees now; null when the record is not indexed yet. */
  at(nowMs: number): number | null {
    if (this.#pending.length > 0) {
      for (const entry of this.#pending)
        if (entry.visibleAt <= nowMs) this.#visible = Math.max(this.#visible ?? 0, entry.updatedAt);
      this.#pending = this.#pending.filter((entry) => entry.visibleAt > nowMs);
    }
    return this.#visible;
  }
}
