import { randomUUID } from 'node:crypto';

export type ResourceName =
  | 'AppInstallation'
  | 'App'
  | 'BulkOperation'
  | 'Fulfillment'
  | 'FulfillmentOrder'
  | 'FulfillmentOrderLineItem'
  | 'InventoryAdjustmentGroup'
  | 'InventoryItem'
  | 'InventoryLevel'
  | 'InventoryQuantity'
  | 'LineItem'
  | 'Location'
  | 'Order'
  | 'Product'
  | 'ProductVariant'
  | 'Refund'
  | 'RefundLineItem'
  | 'Shop'
  | 'WebhookSubscription';

export const gid = (resource: ResourceName, number: string): string => `gid://shopify/${resource}/${number}`;

/** The number inside a gid, or the text itself when it is a plain number; null when it is neither. */
export function idNumber(id: string): string | null {
  const match = /^(?:gid:\/\/shopify\/\w+\/)?(\d+)(?:\?.*)?$/.exec(id);
  return match?.[1] ?? null;
}

export const uuid = (): string => randomUUID();

/**
 * Numbers of one shop. Resource kinds start far apart and step unevenly: on Shopify the ids of a variant and of its
 * inventory item are unrelated, so nothing may be derived from one about the other.
 */
export class IdSequence {
  #next: bigint;
  readonly #step: bigint;

  constructor(start: bigint, step = 32_768n) {
    this.#next = start;
    this.#step = step;
  }

  take(): string {
    const id = this.#next;
    this.#next += this.#step;
    return id.toString();
  }
}

/** JSON.rawJSON is in V8 since 11.4 and not yet in TypeScript's library. */
const json = JSON as unknown as { rawJSON(text: string): unknown };

/** An id written as a bare JSON number with all its digits: Shopify's may exceed 2^53. */
export const jsonNumber = (digits: string): unknown => json.rawJSON(digits);

/** GraphQL DateTime: Shopify answers in whole seconds, UTC. */
export const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** REST-shaped bodies carry the shop's own offset. */
export function isoWithOffset(ms: number, offsetMinutes: number): string {
  const shifted = new Date(ms + offsetMinutes * 60_000).toISOString().slice(0, 19);
  const sign = offsetMinutes < 0 ? '-' : '+';
  const absolute = Math.abs(offsetMinutes);
  const pad = (value: number) => String(value).padStart(2, '0');
  return `${shifted}${sign}${pad(Math.floor(absolute / 60))}:${pad(absolute % 60)}`;
}
