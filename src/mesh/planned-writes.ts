import type { ListingId } from '../domain/ids.ts';
import type { PlannedWrite } from './publisher-options.ts';

export interface PlannedRow extends PlannedWrite {
  /** Units on the shelf that are not there to sell: each may be oversold until the write is sent. */
  readonly unitsAtRisk: number;
  /** Units there to sell that the shelf does not show. */
  readonly unitsHidden: number;
}

export interface WritePlan {
  readonly listings: number;
  readonly lowered: number;
  readonly raised: number;
  readonly zeroed: number;
  readonly unitsAtRisk: number;
  readonly unitsHidden: number;
  /** Most units at risk first. */
  readonly writes: readonly PlannedRow[];
}

const maxListings = 100_000;

/** What would be sent to a channel that only watches: the newest intention per listing, until it no longer differs. */
export class PlannedWrites {
  readonly #writes = new Map<ListingId, PlannedWrite>();

  get size(): number {
    return this.#writes.size;
  }

  add({ listingId, sku, kind, from, to }: PlannedWrite): void {
    if (!this.#writes.has(listingId) && this.#writes.size >= maxListings) return;
    this.#writes.set(listingId, { listingId, sku, kind, from, to });
  }

  /** It is looked at anew: what was planned before is void. */
  drop(listingId: ListingId): void {
    this.#writes.delete(listingId);
  }

  clear(): void {
    this.#writes.clear();
  }

  plan(limit: number): WritePlan {
    const rows = [...this.#writes.values()].map((write): PlannedRow => ({
      ...write,
      unitsAtRisk: Math.max(0, write.from - write.to),
      unitsHidden: Math.max(0, write.to - write.from),
    }));
    const sum = (pick: (row: PlannedRow) => number): number =>
      rows.reduce((total, row) => total + pick(row), 0);
    return {
      listings: rows.length,
      lowered: sum((row) => Number(row.to < row.from)),
      raised: sum((row) => Number(row.to > row.from)),
      zeroed: sum((row) => Number(row.to <= 0 && row.from > 0)),
      unitsAtRisk: sum((row) => row.unitsAtRisk),
      unitsHidden: sum((row) => row.unitsHidden),
      writes: rows
        .toSorted((a, b) => b.unitsAtRisk - a.unitsAtRisk || b.unitsHidden - a.unitsHidden)
        .slice(0, limit),
    };
  }
}
