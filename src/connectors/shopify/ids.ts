import type { ListingRef } from '../connector.ts';

/**
 * Shopify's ids outside a request are the bare decimal digits, always as text: webhooks send them as JSON numbers that
 * a double cannot hold, GraphQL as `gid://shopify/<Type>/<digits>`. Variants and inventory items are numbered
 * independently, so a variant's id carries its prefix wherever it stands beside item ids.
 */
export type GidType =
  | 'BulkOperation'
  | 'Fulfillment'
  | 'InventoryItem'
  | 'Location'
  | 'Order'
  | 'Refund'
  | 'WebhookSubscription';

const maxDigits = 40;
const digits = /^\d{1,40}$/;

export function gidOf(type: GidType, id: string): string {
  return `gid://shopify/${type}/${id}`;
}

/** The digits of a gid, a JSON number, a bigint or plain digits; undefined for anything else. */
export function idOf(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? String(value) : undefined;
  if (typeof value === 'bigint') {
    const text = value.toString();
    return text.length <= maxDigits && value >= 0n ? text : undefined;
  }
  if (typeof value !== 'string' || value.length > 200) return undefined;
  const tail = value.startsWith('gid://shopify/') ? value.slice(value.lastIndexOf('/') + 1) : value;
  // InventoryLevel gids carry a query; their digits are no id of their own (they name the location, differently).
  return digits.test(tail) ? tail : undefined;
}

export function variantAlias(variantId: string): string {
  return `variant:${variantId}`;
}

export function listingRef(itemId: string, locationId: string): ListingRef {
  return { key: `${itemId}@${locationId}`, itemId, locationId };
}
