import type { ListingRef, ParkedRow, StockRead, StockRow } from '../connector.ts';
import { type FbaInventory, type FbaStock, maxFbaSkus } from './fba-inventory.ts';
import { defaultChannelCode, parked } from './fields.ts';
import { skuOf } from './listing-item.ts';
import { type ListingSearch, maxIdentifiers } from './listing-search.ts';

interface Found {
  readonly rows: StockRow[];
  readonly missing: string[];
  readonly parked: ParkedRow[];
}

/** Present numbers by SKU. Each row carries the moment its question was sent, by Amazon's clock. */
export class StockReader {
  readonly #search: ListingSearch;
  readonly #fba: FbaInventory;

  constructor(search: ListingSearch, fba: FbaInventory) {
    this.#search = search;
    this.#fba = fba;
  }

  async read(listings: readonly ListingRef[], signal: AbortSignal): Promise<StockRead> {
    const found: Found = { rows: [], missing: [], parked: [] };
    const own = listings.filter((listing) => listing.locationId === defaultChannelCode);
    const foreign = listings.filter((listing) => listing.locationId !== defaultChannelCode);
    for (let start = 0; start < own.length; start += maxIdentifiers)
      await this.#own(own.slice(start, start + maxIdentifiers), found, signal);
    for (const batch of fbaBatches(foreign)) {
      const stock = await this.#fba.read(batch.map(skuOf), signal);
      for (const listing of batch) foreignRow(listing, stock, found);
    }
    return found;
  }

  async #own(batch: readonly ListingRef[], found: Found, signal: AbortSignal): Promise<void> {
    const wanted = new Map(batch.map((listing) => [skuOf(listing), listing]));
    for (const page of await this.#search.bySku([...wanted.keys()], signal)) {
      for (const item of page.items) {
        const sku = item.kind === 'listing' ? item.facts.sku : item.sku;
        const key = wanted.get(sku)?.key;
        if (key === undefined) continue;
        wanted.delete(sku);
        if (item.kind === 'bad') found.parked.push(parked('stock', key, item.reason));
        // No number is no zero.
        else if (item.facts.quantity === undefined || item.facts.quantity === null)
          found.parked.push(parked('stock', key, 'the listing shows no quantity of the seller'));
        else {
          const isActive = item.facts.foreignCodes.length === 0;
          found.rows.push({ key, value: item.facts.quantity, readAtMs: page.readAtMs, isActive });
        }
      }
    }
    for (const { key } of wanted.values()) found.missing.push(key);
  }
}

function foreignRow(listing: ListingRef, stock: FbaStock, found: Found): void {
  const sku = skuOf(listing);
  const value = stock.units.get(sku);
  const bad = stock.unreadable.find((row) => row.sku === sku);
  if (bad !== undefined) found.parked.push(parked('stock', listing.key, bad.reason));
  else if (value === undefined) found.missing.push(listing.key);
  else found.rows.push({ key: listing.key, value, readAtMs: stock.readAtMs, isActive: false });
}

function fbaBatches(listings: readonly ListingRef[]): readonly (readonly ListingRef[])[] {
  const alone = listings.filter((listing) => skuOf(listing).includes(','));
  const together = listings.filter((listing) => !skuOf(listing).includes(','));
  const batches: (readonly ListingRef[])[] = alone.map((listing) => [listing]);
  for (let start = 0; start < together.length; start += maxFbaSkus)
    batches.push(together.slice(start, start + maxFbaSkus));
  return batches;
}
