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
  /** By their moment, first one first. A reading before it does not do. */
  readonly #later: { readonly itemId: string; readonly dueAtMs: number }[] = [];

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
    let first = this.#later[0]?.dueAtMs ?? Number.POSITIVE_INFINITY;
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

  /** To be read at that moment, whatever is read before. Beyond the limit it is left to the next whole reading. */
  addLater(itemId: string, dueAtMs: number): void {
    if (this.#later.length >= this.#max) return;
    let at = this.#later.length;
    while (at > 0 && (this.#later[at - 1]?.dueAtMs ?? 0) > dueAtMs) at--;
    this.#later.splice(at, 0, { itemId, dueAtMs });
  }

  /** What was to be read later and is due becomes a hint like any other. */
  promote(nowMs: number): void {
    let count = 0;
    for (const { itemId, dueAtMs } of this.#later) {
      if (dueAtMs > nowMs) break;
      // No room: the next whole reading has it too.
      this.add(itemId, nowMs, 0);
      count++;
    }
    this.#later.splice(0, count);
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

  /** What is due now, to be forgotten when a whole reading that begins now is applied. What is due later still is. */
  mark(nowMs: number): () => void {
    const before = new Map([...this.#hints].filter(([, { dueAtMs }]) => dueAtMs <= nowMs));
    const owed = [...this.#owed];
    return () => {
      for (const [itemId, hint] of before) if (this.#hints.get(itemId) === hint) this.#hints.delete(itemId);
      for (const itemId of owed) this.#owed.delete(itemId);
    };
  }

  clear(): void {
    this.#hints.clear();
    this.#later.length = 0;
    this.#owed.clear();
  }
}
