import type { ListingProblem, ParkedRow, PlatformListing } from '../connector.ts';
import { type JsonRecord, isRecord, textOf } from '../raw-json.ts';
import { idOf, listingRef, variantAlias } from './ids.ts';
import { type InactiveLevels, readLevel } from './levels.ts';
import type { ShopLocation } from './locations.ts';
import { member } from './order-fields.ts';

/** An inventory item with its variants and levels, as pages and bulk results tell it. */
export interface CatalogueItem {
  readonly item: JsonRecord;
  readonly variants: readonly unknown[];
  readonly levels: readonly unknown[];
}

export interface ListingContext {
  /** Ours by configuration; undefined: every location. */
  readonly wanted: ReadonlySet<string> | undefined;
  readonly locations: ReadonlyMap<string, ShopLocation>;
  readonly readAtMs: number;
  readonly inactive: InactiveLevels;
}

/** One listing per location that is ours, with everything that would keep it from being written or from selling right. */
export function listingsOf(
  entry: CatalogueItem,
  context: ListingContext,
): { readonly listings: readonly PlatformListing[]; readonly parked: readonly ParkedRow[] } {
  // The item's SKU is the variant's; after a variant was deleted only the item still has it.
  const itemId = idOf(entry.item['id']);
  if (itemId === undefined)
    return { listings: [], parked: [parkedListing('', 'the inventory item has no id')] };
  const variants = entry.variants.filter(isRecord);
  const first = variants[0];
  const sku = textOf(entry.item['sku']) ?? textOf(first?.['sku']) ?? '';
  const itemProblems = problemsOf(entry.item, variants, sku);
  const itemAliases = variants.flatMap((variant) => {
    const id = idOf(variant['id']);
    return id === undefined ? [] : [variantAlias(id)];
  });
  const listings: PlatformListing[] = [];
  const parked: ParkedRow[] = [];
  for (const level of entry.levels) {
    const locationId = isRecord(level) ? idOf(member(level, 'location')?.['id']) : undefined;
    if (locationId === undefined) {
      parked.push(parkedListing(itemId, 'a level names no location'));
      continue;
    }
    const location = context.locations.get(locationId);
    const isOurs = context.wanted?.has(locationId) ?? true;
    if (!isOurs) continue;
    const ref = listingRef(itemId, locationId);
    const reading = readLevel(level);
    if (reading.kind === 'bad') {
      parked.push(parkedListing(ref.key, reading.reason));
      continue;
    }
    context.inactive.note(ref.key, reading.isActive);
    const problems = [...itemProblems];
    // A location that was switched off keeps its levels active.
    if (!reading.isActive || location?.isActive === false) problems.push('inactive');
    if (location?.isForeign === true) problems.push('foreign-stock');
    listings.push({
      ref,
      itemAliases,
      sku,
      barcode: textOf(first?.['barcode']) ?? null,
      title: textOf(first?.['displayName']) ?? null,
      value: reading.available,
      readAtMs: context.readAtMs,
      problems,
    });
  }
  return { listings, parked };
}

function problemsOf(item: JsonRecord, variants: readonly JsonRecord[], sku: string): ListingProblem[] {
  const problems: ListingProblem[] = [];
  // Other items with this SKU: 0 where it is unique (so it stands in answers of real shops), hence 1 is already one too many.
  const duplicates = item['duplicateSkuCount'];
  if (sku === '') problems.push('missing-sku');
  else if (typeof duplicates === 'number' && duplicates > 0) problems.push('duplicate-sku');
  if (item['tracked'] !== true) problems.push('untracked');
  // Its quantity is computed from its components; writing it is refused (NON_MUTABLE_INVENTORY_ITEM).
  if (variants.some((variant) => variant['requiresComponents'] === true)) problems.push('bundle-parent');
  if (variants.some((variant) => variant['inventoryPolicy'] === 'CONTINUE'))
    problems.push('oversells-by-policy');
  return problems;
}

function parkedListing(reference: string, reason: string): ParkedRow {
  return { what: 'listing', reference, reason, content: '' };
}
