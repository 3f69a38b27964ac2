/**
 * Identifiers are opaque strings with a brand, so that a SKU can never be passed where a location is meant.
 * The ASCII group, unit and record separators delimit packed records in Redis (docs/ledger.md), so no identifier may
 * hold them; everything else a merchant can type (`a:b`, `__proto__`, spaces, a newline) is allowed in a SKU.
 */
export type Sku = string & { readonly __brand: 'Sku' };
export type LocationId = string & { readonly __brand: 'LocationId' };
export type ChannelId = string & { readonly __brand: 'ChannelId' };
export type MerchantId = string & { readonly __brand: 'MerchantId' };
/** One SKU at one platform location under the channel's own ids; made by the connector, opaque elsewhere. */
export type ListingId = string & { readonly __brand: 'ListingId' };

export type Parsed<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'bad'; readonly reason: string };

export const maxSkuBytes = 255;
export const maxReferenceBytes = 255;

// eslint-disable-next-line no-control-regex -- the separators are exactly what has to be kept out
const separators = /[\u0000\u001d\u001e\u001f]/;
const slug = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const location = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,63})$/;

function parseText<T extends string>(what: string, text: unknown, maxBytes: number): Parsed<T> {
  if (typeof text !== 'string' || text.length === 0) return { kind: 'bad', reason: `${what} is missing` };
  if (separators.test(text)) return { kind: 'bad', reason: `${what} holds a control separator` };
  if (!text.isWellFormed()) return { kind: 'bad', reason: `${what} is not well-formed text` };
  if (Buffer.byteLength(text) > maxBytes)
    return { kind: 'bad', reason: `${what} is longer than ${maxBytes} bytes` };
  return { kind: 'ok', value: text as T };
}

/** A SKU exactly as the platform spells it: no trimming, no case folding (both are configuration, off by default). */
export function parseSku(text: unknown): Parsed<Sku> {
  return parseText<Sku>('sku', text, maxSkuBytes);
}

/** Any outside reference (order id, line id, hold id, operation id, actor). */
export function parseReference(what: string, text: unknown): Parsed<string> {
  return parseText<string>(what, text, maxReferenceBytes);
}

export function parseListingId(text: unknown): Parsed<ListingId> {
  return parseText<ListingId>('listing id', text, maxReferenceBytes);
}

function parsePattern<T extends string>(what: string, text: unknown, pattern: RegExp): Parsed<T> {
  if (typeof text === 'string' && pattern.test(text)) return { kind: 'ok', value: text as T };
  return { kind: 'bad', reason: `${what} must match ${pattern.source}` };
}

export function parseMerchantId(text: unknown): Parsed<MerchantId> {
  return parsePattern('merchant id', text, slug);
}

export function parseChannelId(text: unknown): Parsed<ChannelId> {
  return parsePattern('channel id', text, slug);
}

export function parseLocationId(text: unknown): Parsed<LocationId> {
  return parsePattern('location id', text, location);
}
