import type { Sku } from '../domain/ids.ts';
import type { Movement } from '../domain/movement.ts';

const halfLifeMs = 1_800_000;
const hourMs = 3_600_000;
const maxSkus = 200_000;

interface Speed {
  units: number;
  atMs: number;
}

/**
 * How fast each SKU sells on all channels together, from the log: units decay with a half-life of half an hour. Held units
 * count, for they are about to be sold; what is given back does not slow it. In memory: it decides the order of writes only.
 */
export class SkuVelocity {
  readonly #speeds = new Map<Sku, Speed>();

  readonly onEntries = (entries: readonly Movement[]): void => {
    for (const { kind, sku, units, atMs } of entries) {
      if (kind !== 'ordered' && kind !== 'held') continue;
      const speed = this.#speeds.get(sku);
      const before = speed === undefined ? 0 : decayed(speed, atMs);
      // Insertion order is the order of the last sale: the longest unsold are forgotten first.
      this.#speeds.delete(sku);
      this.#speeds.set(sku, { units: before + Math.abs(units), atMs });
    }
    for (const oldest of this.#speeds.keys()) {
      if (this.#speeds.size <= maxSkus) break;
      this.#speeds.delete(oldest);
    }
  };

  /** What it would sell in an hour at the present pace. */
  unitsPerHour(sku: Sku, nowMs: number): number {
    const speed = this.#speeds.get(sku);
    return speed === undefined ? 0 : decayed(speed, nowMs) * ((Math.LN2 * hourMs) / halfLifeMs);
  }
}

function decayed({ units, atMs }: Speed, nowMs: number): number {
  return units * 2 ** (-Math.max(0, nowMs - atMs) / halfLifeMs);
}
