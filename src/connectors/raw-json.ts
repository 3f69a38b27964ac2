/**
 * JSON from outside, parsed without losing digits. Platforms use ids above 2^53 (Shopify's own test deliveries do), and
 * `JSON.parse` would silently return a neighbouring number: an order credited to another order. Integers that a number
 * cannot hold become bigints. Depth and size of the tree are capped before anything is built.
 */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonRecord;
export interface JsonRecord {
  readonly [key: string]: JsonValue | undefined;
}

export type ParsedJson =
  | { readonly kind: 'ok'; readonly value: JsonValue }
  | { readonly kind: 'bad'; readonly reason: string };

export interface JsonLimits {
  readonly maxDepth: number;
  /** Members and elements of the whole document. */
  readonly maxValues: number;
}

/** An order of 1,112 lines with its refunds and fulfilments has about 300,000 values. */
export const defaultJsonLimits: JsonLimits = { maxDepth: 64, maxValues: 2_000_000 };

/** Where a number of JSON can begin. */
const longNumber = /(?:^|[[:,\s])-?\d{16}/;
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
/** From this many digits on a number may not be exact. */
const longDigits = 16;

const utf8 = new TextDecoder('utf-8', { fatal: true });

export function parseRawJson(raw: Uint8Array, limits: JsonLimits = defaultJsonLimits): ParsedJson {
  const survey = surveyOf(raw, limits);
  if (survey.excess !== undefined) return { kind: 'bad', reason: survey.excess };
  let text: string;
  try {
    text = utf8.decode(raw);
  } catch {
    return { kind: 'bad', reason: 'the body is not UTF-8' };
  }
  return parsed(text, survey.hasLongNumber);
}

/** For text whose size and depth are bounded already (one line of a bulk result). */
export function parseJsonText(text: string): ParsedJson {
  // What stands in a text and looks like a number costs time, nothing else.
  return parsed(text, longNumber.test(text));
}

function parsed(text: string, hasLongNumber: boolean): ParsedJson {
  try {
    // The reviver costs several times the parse itself, and nearly no body holds a number it is needed for: long ids are
    // mostly text.
    const value: unknown = hasLongNumber ? JSON.parse(text, keepDigits) : JSON.parse(text);
    return { kind: 'ok', value: value as JsonValue };
  } catch {
    // The parser's own message quotes the body, which may hold personal information.
    return { kind: 'bad', reason: 'the body is not JSON' };
  }
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A moment in ISO 8601 with its offset, as ms; undefined for anything else, also for a time without an offset. */
export function momentOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}T.*(?:Z|[+-]\d{2}:?\d{2})$/.test(value))
    return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}

function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && /^-?\d{1,40}$/.test(source) ? BigInt(source) : value;
}

/**
 * One pass over the bytes: TikTok's pages of orders have megabytes. As written it takes a quarter of the time of the parse
 * itself; with sets of bytes, and an expression of its own for long numbers, it took as long as the parse.
 */
function surveyOf(
  raw: Uint8Array,
  limits: JsonLimits,
): { readonly excess: string | undefined; readonly hasLongNumber: boolean } {
  let depth = 0;
  let values = 0;
  let digits = 0;
  let hasLongNumber = false;
  const end = raw.length;
  for (let at = 0; at < end; at++) {
    const byte = raw[at] as number;
    if (byte === quote) {
      at = endOfText(raw, at + 1);
      continue;
    }
    if (byte >= zero && byte <= nine) {
      if (++digits >= longDigits) hasLongNumber = true;
      continue;
    }
    // What follows a point makes no integer, however long.
    digits = byte === dot ? -end : 0;
    if (byte === comma || byte === colon) {
      if (++values > limits.maxValues)
        return { excess: `the body holds more than ${limits.maxValues} values`, hasLongNumber };
    } else if (byte === openBrace || byte === openBracket) {
      if (++depth > limits.maxDepth)
        return { excess: `the body is nested deeper than ${limits.maxDepth} levels`, hasLongNumber };
    } else if (byte === closeBrace || byte === closeBracket) depth--;
  }
  return { excess: undefined, hasLongNumber };
}

/** The index of the quote that ends the text, or the end of the body. */
function endOfText(raw: Uint8Array, start: number): number {
  let at = start;
  for (; at < raw.length; at++) {
    const byte = raw[at] as number;
    if (byte === quote) return at;
    if (byte === backslash) at++;
  }
  return at;
}
