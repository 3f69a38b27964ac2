import type { ListingProblem, ParkedRow, PlatformListing } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, textOf } from '../raw-json.ts';
import { idOf, listingRef } from './ids.ts';
import { unitsOf } from './inventory.ts';
import type { TiktokSettings } from './options.ts';
import type { ShelfMemory } from './shelf-memory.ts';
import type { Warehouse } from './warehouses.ts';

export interface ListingContext {
  readonly settings: TiktokSettings;
  readonly warehouses: ReadonlyMap<string, Warehouse>;
  readonly memory: ShelfMemory;
  readonly readAtMs: number;
}

/** They never sold anything, or never will again. */
const unlisted = new Set(['DRAFT', 'DELETED']);

/** One listing per SKU and warehouse of ours, with everything that keeps it from being written. */
export function listingsOf(
  product: unknown,
  context: ListingContext,
): { readonly listings: readonly PlatformListing[]; readonly parked: readonly ParkedRow[] } {
  const productId = isRecord(product) ? idOf(product['id']) : undefined;
  if (!isRecord(product) || productId === undefined)
    return { listings: [], parked: [parkedListing('', 'a product has no id')] };
  const status = textOf(product['status']) ?? '';
  if (unlisted.has(status)) return { listings: [], parked: [] };
  const listings: PlatformListing[] = [];
  const parked: ParkedRow[] = [];
  for (const sku of listOf(product['skus']) ?? []) {
    const skuId = isRecord(sku) ? idOf(sku['id']) : undefined;
    if (!isRecord(sku) || skuId === undefined) {
      parked.push(parkedListing(productId, 'a SKU of the product has no id'));
      continue;
    }
    const shelf = shelfOf(sku);
    if (typeof shelf === 'string') {
      parked.push(parkedListing(skuId, shelf));
      continue;
    }
    context.memory.noteWarehouses(skuId, [...shelf.keys()]);
    listings.push(...skuListings({ product, productId, status, sku, skuId, shelf }, context));
  }
  return { listings, parked };
}

interface ProductSku {
  readonly product: JsonRecord;
  readonly productId: string;
  readonly status: string;
  readonly sku: JsonRecord;
  readonly skuId: string;
  readonly shelf: ReadonlyMap<string, number>;
}

function skuListings(found: ProductSku, context: ListingContext): readonly PlatformListing[] {
  const { product, productId, status, sku, skuId, shelf } = found;
  const { memory, readAtMs } = context;
  const sellerSku = textOf(sku['seller_sku']) ?? '';
  const isLive = status === 'ACTIVATE' && statusOf(sku) !== 'DEACTIVATED';
  memory.noteSelling(skuId, isLive);
  const isBundle = memory.isBundle(skuId) || (listOf(sku['combined_skus']) ?? []).length > 0;
  const problemsAt = placeProblems([...shelf.keys()], isLive, isBundle, context);
  const listings: PlatformListing[] = [];
  for (const [warehouseId, value] of shelf) {
    const problems = problemsAt(warehouseId);
    if (problems === undefined) continue;
    if (sellerSku === '') problems.unshift('missing-sku');
    listings.push({
      ref: listingRef(productId, skuId, warehouseId),
      itemAliases: [skuId],
      sku: sellerSku,
      barcode: null,
      title: textOf(product['title'])?.slice(0, 255) ?? null,
      value,
      readAtMs,
      problems,
    });
  }
  return listings;
}

/** Listings of a SKU shown on an earlier page, by what is remembered of it: without numbers and title. */
export function shownBefore(
  found: { readonly productId: string; readonly skuId: string; readonly sellerSku: string },
  context: ListingContext,
): readonly PlatformListing[] {
  const { productId, skuId, sellerSku } = found;
  const { memory, readAtMs } = context;
  const warehouseIds = memory.warehousesOf(skuId) ?? [];
  const place = placeProblems(warehouseIds, memory.sells(skuId), memory.isBundle(skuId), context);
  return warehouseIds.flatMap((warehouseId) => {
    const problems = place(warehouseId);
    if (problems === undefined) return [];
    const ref = listingRef(productId, skuId, warehouseId);
    const none = { barcode: null, title: null, value: null };
    return { ref, itemAliases: [skuId], sku: sellerSku, ...none, readAtMs, problems };
  });
}

/** What keeps a SKU's listing in a warehouse from being written; undefined where the warehouse is not ours. */
function placeProblems(
  warehouseIds: readonly string[],
  isLive: boolean,
  isBundle: boolean,
  { settings, warehouses }: ListingContext,
): (warehouseId: string) => ListingProblem[] | undefined {
  const isOurs = (warehouseId: string): boolean => settings.warehouses?.has(warehouseId) ?? true;
  const isBarred = settings.otherWarehouses === 'refuse' && warehouseIds.some((id) => !isOurs(id));
  return (warehouseId) => {
    if (!isOurs(warehouseId)) return undefined;
    const problems: ListingProblem[] = [];
    if (!isLive || warehouses.get(warehouseId)?.sells === false) problems.push('inactive');
    if (isBundle) problems.push('bundle-parent');
    if (isBarred) problems.push('beside-foreign-stock');
    return problems;
  };
}

/** Units by warehouse, or why they cannot be told. */
function shelfOf(sku: JsonRecord): ReadonlyMap<string, number> | string {
  const shelf = new Map<string, number>();
  for (const row of listOf(sku['inventory']) ?? []) {
    const warehouseId = isRecord(row) ? idOf(row['warehouse_id']) : undefined;
    if (!isRecord(row) || warehouseId === undefined) return 'an inventory row names no warehouse';
    const units = unitsOf(row['quantity']);
    if (typeof units === 'string') return units;
    shelf.set(warehouseId, units);
  }
  return shelf.size === 0 ? 'the SKU lies in no warehouse' : shelf;
}

function statusOf(sku: JsonRecord): string | undefined {
  return isRecord(sku['status_info']) ? textOf(sku['status_info']['status']) : undefined;
}

export function parkedListing(reference: string, reason: string): ParkedRow {
  return { what: 'listing', reference, reason, content: '' };
}
