import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';

/** What Fastify is told of a part of a request: `value` takes its place, without one it is left as it came. */
interface Checked {
  readonly value?: unknown;
  /** What the schema found wrong. */
  readonly error?: FastifySchemaValidationError[];
}
type Validator = (input: unknown) => Checked;

const maxRemembered = 1_000;
const maxKeyLength = 300;

/** Reads what is common without its schema; undefined: the schema judges. */
type QuickReader = (input: unknown) => object | undefined;
const quickReaders = new WeakMap<z.ZodType, QuickReader>();

/** `read` answers what the schema answers, or nothing. */
export function readQuickly<Schema extends z.ZodType>(schema: Schema, read: QuickReader): Schema {
  quickReaders.set(schema, read);
  return schema;
}

/** Validators of one part of the requests of a route. What one of them answers depends on its input alone. */
export const compileValidator: FastifySchemaCompiler<z.ZodType> = (made) => {
  const check = validatorCompiler(made) as Validator;
  if (made.httpPart === 'headers' && made.schema instanceof z.ZodObject)
    return ofHeaders(Object.keys(made.schema.shape), check);
  if (made.httpPart === 'querystring') return remembering(check);
  const read = quickReaders.get(made.schema);
  return read === undefined ? check : ofBody(read, check);
};

function ofBody(read: QuickReader, check: Validator): Validator {
  return (input) => {
    const value = read(input);
    return value === undefined ? check(input) : { value };
  };
}

/**
 * Headers are held against their schema, never changed by it (Fastify would merge them anew whenever they are read), and
 * those it does not name are not looked at.
 */
function ofHeaders(names: readonly string[], check: Validator): Validator {
  const whenNone = withoutValue(check({}));
  return (input) => {
    const headers = input as Readonly<Record<string, unknown>>;
    let said: Record<string, unknown> | undefined;
    for (const name of names) {
      if (headers[name] !== undefined) (said ??= {})[name] = headers[name];
    }
    return said === undefined ? whenNone : withoutValue(check(said));
  };
}

const asItCame: Checked = {};

function withoutValue(checked: Checked): Checked {
  return checked.error === undefined ? asItCame : { error: checked.error };
}

/** Buyers ask for the same few SKUs again and again: what a query was parsed to is kept, frozen, boundedly. */
function remembering(check: Validator): Validator {
  const known = new Map<string, Checked>();
  /** Of queries of one name, the last that was asked with: its values. */
  const values = new Map<string, Checked>();
  let lastName: string | undefined;
  return (input) => {
    const query = input as Readonly<Record<string, unknown>>;
    const name = onlyNameOf(query);
    if (name === undefined) return answered(known, keyOf(query), input);
    const value = query[name];
    if (typeof value !== 'string' || value.length > maxKeyLength) return check(input);
    if (name !== lastName) {
      values.clear();
      lastName = name;
    }
    return answered(values, value, input);
  };

  function answered(from: Map<string, Checked>, key: string | undefined, input: unknown): Checked {
    if (key === undefined) return check(input);
    const before = from.get(key);
    if (before !== undefined) return before;
    const checked = check(input);
    if (checked.error !== undefined) return checked;
    if (from.size >= maxRemembered) from.clear();
    const kept = { value: Object.freeze(checked.value) };
    from.set(key, kept);
    return kept;
  }
}

function onlyNameOf(query: Readonly<Record<string, unknown>>): string | undefined {
  let only: string | undefined;
  for (const name in query) {
    if (only !== undefined) return undefined;
    only = name;
  }
  return only;
}

/** Tells queries of single texts apart; none of one with lists, or a long one. */
function keyOf(query: Readonly<Record<string, unknown>>): string | undefined {
  let key = '';
  for (const name in query) {
    const value = query[name];
    if (typeof value !== 'string') return undefined;
    // With the lengths before them no two queries share a key.
    key += `${name.length}:${value.length}:${name}${value}`;
  }
  return key.length <= maxKeyLength ? key : undefined;
}
