import type { Clock } from '../ports.ts';

interface Written {
  readonly quantity: number;
  readonly atMs: number;
}

const maxSkus = 200_000;
const maxWritten = 200_000;
const maxWritesPerListing = 16;
const maxShippedLines = 200_000;
const keepWarehousesMs = 600_000;

/**
 * What this process has learnt of SKUs and what no answer says again: their warehouses (every write must name them all),
 * what it wrote lately (a read may be older than that), which SKUs are bundles, which products sell, and which order lines left. A restart loses
 * it, and the writer then reads before it writes.
 */
export class ShelfMemory {
  readonly #clock: Clock;
  readonly #longestApplyMs: number;
  readonly #warehouses = new Map<string, { readonly ids: readonly string[]; readonly atMs: number }>();
  readonly #written = new Map<string, readonly Written[]>();
  readonly #shipped = new Set<string>();
  readonly #bundles = new Set<string>();
  readonly #unsellable = new Set<string>();

  constructor(clock: Clock, longestApplyMs: number) {
    this.#clock = clock;
    this.#longestApplyMs = longestApplyMs;
  }

  warehousesOf(skuId: string): readonly string[] | undefined {
    const known = this.#warehouses.get(skuId);
    return known !== undefined && this.#clock.nowMs() - known.atMs < keepWarehousesMs ? known.ids : undefined;
  }

  noteWarehouses(skuId: string, ids: readonly string[]): void {
    bounded(this.#warehouses, maxSkus);
    this.#warehouses.set(skuId, { ids, atMs: this.#clock.nowMs() });
  }

  forgetWarehouses(skuId: string): void {
    this.#warehouses.delete(skuId);
  }

  /** About to be sent: from now on it may land. Returns what takes it back when it certainly did not leave. */
  noteWritten(key: string, quantity: number): () => void {
    bounded(this.#written, maxWritten);
    const atMs = this.#clock.nowMs();
    const written: Written = { quantity, atMs };
    const recent = (this.#written.get(key) ?? []).filter((one) => atMs - one.atMs < this.#longestApplyMs);
    this.#written.set(key, [...recent.slice(1 - maxWritesPerListing), written]);
    return () => {
      const others = (this.#written.get(key) ?? []).filter((one) => one !== written);
      if (others.length === 0) this.#written.delete(key);
      else this.#written.set(key, others);
    };
  }

  /** The lowest number of ours that may not show yet; undefined: none. */
  lowestWritten(key: string): number | undefined {
    const sinceMs = this.#clock.nowMs() - this.#longestApplyMs;
    const recent = (this.#written.get(key) ?? []).filter((one) => one.atMs > sinceMs);
    return recent.length === 0 ? undefined : Math.min(...recent.map((one) => one.quantity));
  }

  /** Order lines seen on their way: cancelled afterwards, their units are not back on the shelf. */
  noteShipped(lineId: string): void {
    if (this.#shipped.size >= maxShippedLines) {
      const oldest = this.#shipped.values().next().value;
      if (oldest !== undefined) this.#shipped.delete(oldest);
    }
    this.#shipped.add(lineId);
  }

  wasShipped(lineId: string): boolean {
    return this.#shipped.has(lineId);
  }

  noteBundle(skuId: string): void {
    if (this.#bundles.size < maxSkus) this.#bundles.add(skuId);
  }

  isBundle(skuId: string): boolean {
    return this.#bundles.has(skuId);
  }

  noteSelling(skuId: string, sells: boolean): void {
    if (sells) this.#unsellable.delete(skuId);
    else if (this.#unsellable.size < maxSkus) this.#unsellable.add(skuId);
  }

  sells(skuId: string): boolean {
    return !this.#unsellable.has(skuId);
  }
}

/** Oldest first out: a Map keeps the order of insertion. */
function bounded(map: Map<string, unknown>, limit: number): void {
  if (map.size < limit) return;
  const oldest = map.keys().next().value;
  if (oldest !== undefined) map.delete(oldest);
}
