export interface Shelf {
  readonly id: string;
  readonly skus: ReadonlySet<string>;
}

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/**
 * Times each sale until every other channel that lists the SKU shows it. A sale of `u` units on A raises the total that B
 * has to be lowered by; it is on B's shelf once the lowerings written to B have reached that total. Counting written
 * units, and not comparing levels, keeps B's own sales of the same SKU from looking like the news from A.
 */
export class ShelfClock {
  readonly #shelves: readonly Shelf[];
  readonly #soldElsewhere = new Map<string, number>();
  readonly #lowered = new Map<string, number>();
  readonly #waiting = new Map<string, { readonly total: number; readonly soldAtMs: number }[]>();
  readonly #timesMs = new Map<string, number[]>();
  readonly #untimed: ReadonlySet<string>;

  /** `untimed`: SKUs whose numbers change for other reasons too. */
  constructor(shelves: readonly Shelf[], untimed: ReadonlySet<string> = new Set()) {
    this.#shelves = shelves;
    this.#untimed = untimed;
    for (const { id } of shelves) this.#timesMs.set(id, []);
  }

  sold(channel: string, sku: string, units: number, atMs: number): void {
    for (const key of this.#others(channel, sku)) {
      const total = (this.#soldElsewhere.get(key) ?? 0) + units;
      this.#soldElsewhere.set(key, total);
      const queue = this.#waiting.get(key);
      if (queue === undefined) this.#waiting.set(key, [{ total, soldAtMs: atMs }]);
      else queue.push({ total, soldAtMs: atMs });
    }
  }

  /** Units that came back on a channel: the others have that much less to lower. */
  gaveBack(channel: string, sku: string, units: number): void {
    for (const key of this.#others(channel, sku)) {
      this.#soldElsewhere.set(key, (this.#soldElsewhere.get(key) ?? 0) - units);
      const waiting = this.#waiting.get(key) ?? [];
      this.#waiting.set(
        key,
        waiting.map((sale) => ({ ...sale, total: sale.total - units })),
      );
    }
  }

  /** `delta`: what a write of ours did to the channel's number (negative for a lowering). */
  written(channel: string, sku: string, delta: number, atMs: number): void {
    if (this.#untimed.has(sku)) return;
    const key = `${channel} ${sku}`;
    const lowered = (this.#lowered.get(key) ?? 0) - delta;
    this.#lowered.set(key, lowered);
    const queue = this.#waiting.get(key) ?? [];
    const arrived = queue.findIndex((sale) => sale.total > lowered);
    for (const sale of queue.splice(0, arrived === -1 ? queue.length : arrived)) {
      this.#timesMs.get(channel)?.push(Math.max(0, atMs - sale.soldAtMs));
    }
  }

  /** Sales that some channel does not show yet. */
  waiting(channels?: readonly string[]): number {
    let count = 0;
    for (const [key, queue] of this.#waiting) {
      const [channel = ''] = key.split(' ', 1);
      if (channels === undefined || channels.includes(channel)) count += queue.length;
    }
    return count;
  }

  /** Over the shelves of these channels; absent: of all. */
  percentiles(channels?: readonly string[]): Percentiles {
    const sorted = [...this.#timesMs]
      .flatMap(([id, times]) => (channels === undefined || channels.includes(id) ? times : []))
      .toSorted((a, b) => a - b);
    const at = (share: number): number => {
      const index = Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1);
      return Math.round((sorted[Math.max(0, index)] ?? 0) * 10) / 10;
    };
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
  }

  #others(channel: string, sku: string): readonly string[] {
    if (this.#untimed.has(sku)) return [];
    return this.#shelves
      .filter(({ id, skus }) => id !== channel && skus.has(sku))
      .map(({ id }) => `${id} ${sku}`);
  }
}
