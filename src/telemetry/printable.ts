import { StockmeshError } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import { isSecretKey } from './redactor.ts';

const hidden = '[redacted]';
const maxDepth = 6;
const maxEntries = 100;
const maxTextLength = 4_096;
const maxCauses = 4;

/**
 * A bounded copy of anything, fit for the log: no credential, no request or response body of an HTTP client, no
 * cycles, no getters of foreign classes run.
 */
export function printable(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return shorten(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Secret) return hidden;
  if (value instanceof Error) return printableError(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= maxDepth) return '[deeper]';
  if (Array.isArray(value)) return value.slice(0, maxEntries).map((item) => printable(item, depth + 1));
  if (value instanceof Set) return printable([...value].slice(0, maxEntries), depth);
  if (value instanceof Map) return printable(Object.fromEntries(value), depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return `[${value.constructor?.name ?? 'object'}]`;
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value).slice(0, maxEntries)) {
    // A plain assignment to __proto__ would set the prototype instead of a key.
    const shown =
      isSecretKey(key) && item !== undefined && item !== null ? hidden : printable(item, depth + 1);
    Object.defineProperty(copy, key, { value: shown, enumerable: true });
  }
  return copy;
}

/** What is useful of an error. Axios and fetch errors carry the whole request, with its headers: none of that. */
export function printableError(error: Error, causes = 0): Record<string, unknown> {
  const shown: Record<string, unknown> = { type: error.name, message: shorten(error.message) };
  const code = 'code' in error ? error.code : undefined;
  if (typeof code === 'string' || typeof code === 'number') shown['code'] = code;
  if (error instanceof StockmeshError) {
    shown['retryable'] = error.retryable;
    shown['fields'] = printable(error.fields);
  }
  const status = 'status' in error ? error.status : responseStatus(error);
  if (typeof status === 'number') shown['status'] = status;
  shown['stack'] = shorten(error.stack ?? '');
  if (causes < maxCauses) {
    if (error.cause instanceof Error) shown['cause'] = printableError(error.cause, causes + 1);
    if (error instanceof AggregateError) {
      const errors = error.errors.slice(0, maxCauses) as readonly unknown[];
      shown['errors'] = errors.map((inner) =>
        inner instanceof Error ? printableError(inner, causes + 1) : printable(inner),
      );
    }
  }
  return shown;
}

function responseStatus(error: Error): unknown {
  const response = 'response' in error ? error.response : undefined;
  return typeof response === 'object' && response !== null && 'status' in response
    ? response.status
    : undefined;
}

function shorten(text: string): string {
  return text.length <= maxTextLength ? text : `${text.slice(0, maxTextLength)}… (${text.length} characters)`;
}
