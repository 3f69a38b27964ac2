import type { ListingRef, ParkedRow, StockRead, StockRow } from '../connector.ts';
import { idsOf } from './ids.ts';
import type { Inventory } from './inventory.ts';
import type { ShelfMemory } from './shelf-memory.ts';

/** Listings as inventory/search shows them: one row per SKU and warehouse, dated by the start of its own question. */
export class StockReader {
  readonly #inventory: Inventory;
  readonly #memory: ShelfMemory;

  constructor(inventory: Inventory, memory: ShelfMemory) {
    this.#inventory = inventory;
    this.#memory = memory;
  }

  async read(listings: readonly ListingRef[], signal: AbortSignal): Promise<StockRead> {
    const bySku = Map.groupBy(listings, (listing) => idsOf(listing)?.skuId ?? '');
    const rows: StockRow[] = [];
    const missing: string[] = (bySku.get('') ?? []).map(({ key }) => key);
    const parked: ParkedRow[] = [];
    bySku.delete('');
    const unread = new Set(bySku.keys());
    for await (const page of this.#inventory.read([...bySku.keys()], signal)) {
      parked.push(...page.parked);
      for (const [skuId, shelf] of page.skus) {
        unread.delete(skuId);
        for (const { key, locationId } of bySku.get(skuId) ?? []) {
          const value = shelf.available.get(locationId);
          // A warehouse that is not listed is no zero.
          if (value === undefined) missing.push(key);
          else rows.push({ key, value, readAtMs: page.readAtMs, isActive: this.#memory.sells(skuId) });
        }
      }
      // A row that cannot be read is neither a figure nor a sign that the SKU is gone.
      for (const { reference } of page.parked) unread.delete(reference);
    }
    for (const skuId of unread) missing.push(...(bySku.get(skuId) ?? []).map(({ key }) => key));
    return { rows, missing, parked };
  }
}
