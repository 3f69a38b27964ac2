import type { ListingRef } from '../connector.ts';

const idPattern = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * An id of TikTok as text. They are decimal strings, but some events carry them as JSON numbers beyond 2^53, which the
 * parser keeps as bigints; undefined for anything else.
 */
export function idOf(value: unknown): string | undefined {
  if (typeof value === 'bigint') return value >= 0n ? value.toString() : undefined;
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? String(value) : undefined;
  return typeof value === 'string' && idPattern.test(value) ? value : undefined;
}

/** A moment in whole seconds, as TikTok writes every time; undefined when absent, zero or no number. */
export function secondsOf(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value;
  return typeof seconds === 'number' && Number.isSafeInteger(seconds) && seconds > 0 ? seconds : undefined;
}

/**
 * One SKU in one warehouse. The product is part of the item id, because a write goes to a product and nothing but the
 * ref survives a restart; order lines name the SKU alone, which is the listing's alias.
 */
export function listingRef(productId: string, skuId: string, warehouseId: string): ListingRef {
  return {
    key: `${skuId}@${warehouseId}`,
    itemId: `${productId}/${skuId}`,
    locationId: warehouseId,
  };
}

export interface ListingIds {
  readonly productId: string;
  readonly skuId: string;
  readonly warehouseId: string;
}

/** Undefined for a ref that is not of our making. Asked for every row that is published: it makes no list of parts. */
export function idsOf({ itemId, locationId }: ListingRef): ListingIds | undefined {
  const slash = itemId.indexOf('/');
  const isOurs = slash > 0 && slash < itemId.length - 1 && slash === itemId.lastIndexOf('/');
  if (!isOurs || locationId === '') return undefined;
  return { productId: itemId.slice(0, slash), skuId: itemId.slice(slash + 1), warehouseId: locationId };
}
