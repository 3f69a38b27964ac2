/** An append-only list that keeps its newest entries; `dropped` says how many older ones are gone. */
export class BoundedLog<Entry> {
  readonly #limit: number;
  #entries: Entry[] = [];
  dropped = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(entry: Entry): void {
    this.#entries.push(entry);
    // Trimmed in blocks: a shift per entry would move the whole array each time.
    const excess = this.#entries.length - this.#limit;
    if (excess > this.#limit / 4) {
      this.#entries = this.#entries.slice(excess);
      this.dropped += excess;
    }
  }

  all(): readonly Entry[] {
    return this.#entries;
  }

  clear(): void {
    this.#entries = [];
    this.dropped = 0;
  }
}
