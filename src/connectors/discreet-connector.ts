import { StockmeshError } from '../domain/errors.ts';
import type { Connector } from './connector.ts';

export type Scrub = (text: string) => string;

/** Texts of a result that may quote a platform. Ids, SKUs and numbers are never touched. */
const quotingKeys = new Set(['reason', 'remedy', 'accessLost', 'content']);
/** Lists of rows that hold such texts; `problems` holds plain ones. */
const rowKeys = ['parked', 'rows'] as const;

/**
 * A connector whose every word has been cleaned of credentials. Platforms quote what they were sent in their error
 * messages, and these go on to the channel's state, to parked rows and to the queue's records of failed jobs, all of
 * which are kept in Redis and shown by the API; only the log cleans its lines by itself.
 */
export function discreet<T extends Connector>(connector: T, scrub: Scrub): T {
  return wrapped(connector, scrub);
}

function wrapped<T extends object>(target: T, scrub: Scrub): T {
  const methods = new Map<PropertyKey, unknown>();
  return new Proxy(target, {
    get(_target, name) {
      const known = methods.get(name);
      if (known !== undefined) return known;
      // With the target as `this`: private fields do not exist on a proxy.
      const value: unknown = Reflect.get(target, name, target);
      const isPart = name !== 'capabilities' && typeof value === 'object' && value !== null;
      if (!isPart && typeof value !== 'function') return value;
      const made = isPart ? wrapped(value, scrub) : wrappedMethod(value as Method, target, scrub);
      methods.set(name, made);
      return made;
    },
  });
}

type Method = (...args: readonly unknown[]) => unknown;

function wrappedMethod(method: Method, target: object, scrub: Scrub): Method {
  return (...args) => {
    let result: unknown;
    try {
      result = method.apply(target, [...args]);
    } catch (error) {
      throw cleanError(error, scrub);
    }
    if (result instanceof Promise) {
      return result.then(
        (value: unknown) => cleanResult(value, scrub),
        (error: unknown) => {
          throw cleanError(error, scrub);
        },
      );
    }
    return isAsyncIterable(result) ? cleanPages(result, scrub) : cleanResult(result, scrub);
  };
}

async function* cleanPages(pages: AsyncIterable<unknown>, scrub: Scrub): AsyncGenerator {
  try {
    for await (const page of pages) yield cleanResult(page, scrub);
  } catch (error) {
    throw cleanError(error, scrub);
  }
}

function cleanResult(value: unknown, scrub: Scrub): unknown {
  if (!isPlain(value)) return value;
  const clean: Record<string, unknown> = { ...cleanRow(value, scrub) };
  for (const key of rowKeys) {
    const rows = value[key];
    if (Array.isArray(rows)) clean[key] = rows.map((row) => (isPlain(row) ? cleanRow(row, scrub) : row));
  }
  const { problems } = value;
  if (Array.isArray(problems)) {
    clean['problems'] = problems.map((text) => (typeof text === 'string' ? scrub(text) : text));
  }
  return clean;
}

/** The row itself when there is nothing to clean: pages hold thousands. */
function cleanRow(row: Readonly<Record<string, unknown>>, scrub: Scrub): Readonly<Record<string, unknown>> {
  let clean = row;
  for (const key of quotingKeys) {
    const text = row[key];
    if (typeof text !== 'string') continue;
    const scrubbed = scrub(text);
    if (scrubbed !== text) clean = { ...clean, [key]: scrubbed };
  }
  return clean;
}

/** In place: its class, code and identity are what callers judge by. */
function cleanError(error: unknown, scrub: Scrub): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? scrub(error) : error;
  // An error of the platform (DOMException) has getters here, which an assignment would not pass.
  const replace = (name: string, value: unknown): void => {
    Object.defineProperty(error, name, { value, configurable: true, writable: true, enumerable: false });
  };
  const { message, stack = '' } = error;
  if (scrub(message) !== message) replace('message', scrub(message));
  if (scrub(stack) !== stack) replace('stack', scrub(stack));
  if (error.cause !== undefined && error.cause !== error) replace('cause', cleanError(error.cause, scrub));
  if (error instanceof StockmeshError) replace('fields', cleanFields(error.fields, scrub));
  return error;
}

function cleanFields(
  fields: StockmeshError['fields'],
  scrub: Scrub,
): Record<string, StockmeshError['fields'][string]> {
  const texts = Object.entries(fields).map(([key, value]) => {
    if (typeof value === 'string') return [key, scrub(value)] as const;
    if (typeof value !== 'object') return [key, value] as const;
    return [key, value.map((text) => scrub(text))] as const;
  });
  return Object.fromEntries(texts);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
