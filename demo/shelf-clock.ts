/**
 * Times each sale until the other shops show it. A sale of `u` units on shop A raises A's running total of that SKU; it
 * is on shop B's shelf once the lowerings written to B have reached that total. Counting written units, and not
 * comparing levels, keeps B's own sales of the same SKU from looking like the news from A. With more than two shops
 * B's lowerings contain everybody else's sales, so its total is compared with the sum over the others.
 */
export class ShelfClock {
  readonly #shops: number;
  readonly #soldElsewhere = new Map<string, number>();
  readonly #lowered = new Map<string, number>();
  readonly #waiting = new Map<string, { readonly total: number; readonly soldAtMs: number }[]>();
  readonly #timesMs: number[] = [];

  constructor(shops: number) {
    this.#shops = shops;
  }

  sold(shop: number, sku: string, units: number, atMs: number): void {
    for (let other = 0; other < this.#shops; other += 1) {
      if (other === shop) continue;
      const key = `${other} ${sku}`;
      const total = (this.#soldElsewhere.get(key) ?? 0) + units;
      this.#soldElsewhere.set(key, total);
      const queue = this.#waiting.get(key);
      if (queue === undefined) this.#waiting.set(key, [{ total, soldAtMs: atMs }]);
      else queue.push({ total, soldAtMs: atMs });
    }
  }

  /** Units that came back on shop `shop`: the other shops have that much less to lower. */
  gaveBack(shop: number, sku: string, units: number): void {
    for (let other = 0; other < this.#shops; other += 1) {
      if (other === shop) continue;
      const key = `${other} ${sku}`;
      this.#soldElsewhere.set(key, (this.#soldElsewhere.get(key) ?? 0) - units);
      const waiting = this.#waiting.get(key) ?? [];
      this.#waiting.set(
        key,
        waiting.map((sale) => ({ ...sale, total: sale.total - units })),
      );
    }
  }

  /** `delta`: what a write of ours did to the shop's number (negative for a lowering). */
  written(shop: number, sku: string, delta: number, atMs: number): void {
    const key = `${shop} ${sku}`;
    const lowered = (this.#lowered.get(key) ?? 0) - delta;
    this.#lowered.set(key, lowered);
    const queue = this.#waiting.get(key) ?? [];
    const arrived = queue.findIndex((sale) => sale.total > lowered);
    for (const sale of queue.splice(0, arrived === -1 ? queue.length : arrived)) {
      this.#timesMs.push(Math.max(0, atMs - sale.soldAtMs));
    }
  }

  get waiting(): number {
    let count = 0;
    for (const queue of this.#waiting.values()) count += queue.length;
    return count;
  }

  percentiles(): { readonly p50: number; readonly p95: number; readonly p99: number } {
    const sorted = this.#timesMs.toSorted((a, b) => a - b);
    const at = (share: number): number => {
      const index = Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1);
      return Math.round((sorted[Math.max(0, index)] ?? 0) * 10) / 10;
    };
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
  }
}
