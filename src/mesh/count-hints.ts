interface Hint {
  readonly dueAtMs: number;
  readonly asks: number;
}

/**
 * Items of a warehouse that have to be read, each from a moment on, and the debt of the cursor: items that a reading of
 * changes named. The cursor may not move past that reading until each of them was read, or a crash would lose them.
 */
export class CountHints {
  readonly #max: number;
  readonly #hints = new Map<string, Hint>();
  readonly #owed = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#hints.size;
  }

  get owesNothing(): boolean {
    return this.#owed.size === 0;
  }

  /** `performance.now()` of the first one due; infinity: there is none. */
  get firstDueMs(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { dueAtMs } of this.#hints.values()) first = Math.min(first, dueAtMs);
    return first;
  }

  hasRoomFor(items: number): boolean {
    return this.#hints.size + items <= this.#max;
  }

  /** False: there is no room, only a whole reading can help. */
  add(itemId: string, dueAtMs: number, asks: number): boolean {
    const known = this.#hints.get(itemId);
    if (known === undefined && this.#hints.size >= this.#max) return false;
    this.#hints.set(itemId, {
      dueAtMs: Math.min(dueAtMs, known?.dueAtMs ?? dueAtMs),
      asks: Math.max(asks, known?.asks ?? 0),
    });
    return true;
  }

  owe(itemIds: readonly string[]): void {
    for (const itemId of itemIds) this.#owed.add(itemId);
  }

  /** Read, or given up. */
  paid(itemId: string): void {
    this.#owed.delete(itemId);
  }

  due(nowMs: number): number {
    let count = 0;
    for (const { dueAtMs } of this.#hints.values()) if (dueAtMs <= nowMs) count++;
    return count;
  }

  /** Takes them out: a hint that comes while they are read is a new one. */
  take(nowMs: number, most: number): ReadonlyMap<string, { readonly asks: number }> {
    const taken = new Map<string, Hint>();
    for (const [itemId, hint] of this.#hints) {
      if (taken.size >= most) break;
      if (hint.dueAtMs <= nowMs) taken.set(itemId, hint);
    }
    for (const itemId of taken.keys()) this.#hints.delete(itemId);
    return taken;
  }

  /** What is there now, to be forgotten when a whole reading that begins now is applied. */
  mark(): () => void {
    const before = new Map(this.#hints);
    const owed = [...this.#owed];
    return () => {
      for (const [itemId, hint] of before) if (this.#hints.get(itemId) === hint) this.#hints.delete(itemId);
      for (const itemId of owed) this.#owed.delete(itemId);
    };
  }

  clear(): void {
    this.#hints.clear();
    this.#owed.clear();
  }
}
