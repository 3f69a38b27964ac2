import type { ListingProblem, ListingRef, PlatformListing } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, textOf } from '../raw-json.ts';
import { defaultChannelCode, unitsOf } from './fields.ts';

/** Fulfilment by Amazon has its own stock and its own items here: orders never name them. */
export function fbaItemId(sku: string): string {
  return `fba:${sku}`;
}

export function isForeignCode(code: string): boolean {
  return code.startsWith('AMAZON_');
}

/**
 * Amazon's stock is keyed by (seller, SKU) within a region, not by marketplace: patching one marketplace moves them all. So a
 * SKU is one listing, at the one place `DEFAULT`; stock in Amazon's warehouses is a listing of its own per code.
 */
export function refOf(sku: string, code: string): ListingRef {
  const itemId = code === defaultChannelCode ? sku : fbaItemId(sku);
  return { key: `${sku}@${code}`, itemId, locationId: code };
}

/** The SKU as Amazon spells it, from a listing's key. */
export function skuOf(ref: ListingRef): string {
  const tail = `@${ref.locationId}`;
  return ref.key.endsWith(tail) ? ref.key.slice(0, -tail.length) : ref.itemId;
}

export interface ListingFacts {
  readonly sku: string;
  readonly title: string | null;
  /** EAN, UPC or GTIN; null where it has none, or was not asked for. */
  readonly barcode: string | null;
  readonly productType: string | undefined;
  /** The seller's own stock: a number, null where none was ever set, undefined where there is no such offer. */
  readonly quantity: number | null | undefined;
  /** Codes of Amazon's warehouses. */
  readonly foreignCodes: readonly string[];
}

export type ItemReading =
  | { readonly kind: 'listing'; readonly facts: ListingFacts }
  | { readonly kind: 'bad'; readonly sku: string; readonly reason: string };

/**
 * One item of a listings answer. Only `fulfillmentAvailability` is read: the copies of the attribute per marketplace go
 * stale while it is right (selling-partner-api-models issue 4356).
 */
export function readItem(node: unknown, marketplaceId: string): ItemReading {
  const item: JsonRecord = isRecord(node) ? node : {};
  const sku = textOf(item['sku']) ?? '';
  if (sku === '') return { kind: 'bad', sku, reason: 'the listing has no SKU' };
  const rows = listOf(item['fulfillmentAvailability']);
  if (rows === undefined)
    return { kind: 'bad', sku, reason: 'the listing does not say its fulfilment availability' };
  const foreignCodes: string[] = [];
  let quantity: number | null | undefined;
  for (const row of rows) {
    const code = isRecord(row) ? textOf(row['fulfillmentChannelCode']) : undefined;
    if (code === undefined || !isRecord(row))
      return { kind: 'bad', sku, reason: 'a fulfilment channel has no code' };
    if (isForeignCode(code)) foreignCodes.push(code);
    else if (code === defaultChannelCode) {
      if (quantity !== undefined) return { kind: 'bad', sku, reason: 'DEFAULT is listed twice' };
      const units = unitsOf(row['quantity']);
      if (row['quantity'] !== undefined && units.kind === 'bad')
        return { kind: 'bad', sku, reason: units.reason };
      quantity = units.kind === 'ok' ? units.value : null;
    }
  }
  const summaries = (listOf(item['summaries']) ?? []).filter(isRecord);
  const summary = summaries.find((entry) => entry['marketplaceId'] === marketplaceId) ?? summaries[0];
  return {
    kind: 'listing',
    facts: {
      sku,
      title: textOf(summary?.['itemName']) ?? null,
      barcode: barcodeOf(item, marketplaceId),
      productType: textOf(summary?.['productType']),
      quantity,
      foreignCodes,
    },
  };
}

/** What the seller named when the offer was made: of several the one of this marketplace, never an ASIN. */
function barcodeOf(item: JsonRecord, marketplaceId: string): string | null {
  const attributes = isRecord(item['attributes']) ? item['attributes'] : {};
  const named = (listOf(attributes['externally_assigned_product_identifier']) ?? []).filter(isRecord);
  const codes = named.filter(({ type }) => type === 'ean' || type === 'upc' || type === 'gtin');
  const code = codes.find((one) => one['marketplace_id'] === marketplaceId) ?? codes[0];
  return textOf(code?.['value']) ?? null;
}

/** The seller's own listing of a SKU; undefined where Amazon alone fulfils it. */
export function ownListing(facts: ListingFacts, readAtMs: number): PlatformListing | undefined {
  const { sku, title, barcode, quantity, foreignCodes } = facts;
  if (quantity === undefined && foreignCodes.length > 0) return undefined;
  const problems: ListingProblem[] = [];
  // Writing DEFAULT beside a code of Amazon's converts the offer and strands what lies in its warehouses.
  if (foreignCodes.length > 0) problems.push('beside-foreign-stock');
  if (quantity === undefined) problems.push('inactive');
  const ref = refOf(sku, defaultChannelCode);
  return { ref, sku, barcode, title, value: quantity ?? null, readAtMs, problems };
}

/** Stock in Amazon's warehouses: shown, never written. Its barcode is told by the seller's own listing. */
export function foreignListing(
  of: { readonly sku: string; readonly title: string | null; readonly code: string },
  value: number | null,
  readAtMs: number,
): PlatformListing {
  const { sku, title, code } = of;
  const problems: ListingProblem[] = ['foreign-stock'];
  return { ref: refOf(sku, code), sku, barcode: null, title, value, readAtMs, problems };
}
