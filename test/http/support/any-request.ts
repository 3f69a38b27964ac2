import * as fc from 'fast-check';
import type { JsonSchema, Operation } from '../../../src/http/openapi/document.ts';

export interface AnyRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** Texts and values that break careless code: separators, prototype names, numbers that are none, long and nested ones. */
const nasty: fc.Arbitrary<unknown> = fc.constantFrom<unknown>(
  null,
  '',
  ' ',
  '\u0000',
  '\u001f',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  '%00',
  '💥'.repeat(50),
  'x'.repeat(5_000),
  -1,
  0,
  0.1,
  1e308,
  2 ** 53,
  '1',
  true,
  [],
  {},
  [[[[[]]]]],
  { __proto__: null, toString: 1 },
);

/** Values the schema allows, mostly; and some that it does not. */
export function valueOf(schema: JsonSchema, depth = 0): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 5, arbitrary: allowed(schema, depth) }, { weight: 1, arbitrary: nasty });
}

function allowed(schema: JsonSchema, depth: number): fc.Arbitrary<unknown> {
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]));
  if ('const' in schema) return fc.constant(schema['const']);
  const forms = (schema['anyOf'] ?? schema['oneOf']) as readonly JsonSchema[] | undefined;
  if (forms !== undefined) return fc.oneof(...forms.map((form) => valueOf(form, depth)));
  switch (schema['type']) {
    case 'string':
      return fc.oneof(
        fc.constantFrom('TEE', 'CUP', 'a-1', 'direct', 'local.cAAAA', '1-1'),
        fc.string({ maxLength: 20 }),
        fc.string({ unit: 'binary', maxLength: 10 }),
      );
    case 'integer':
    case 'number':
      return fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer(), fc.double());
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(depth > 4 ? nasty : valueOf((schema['items'] ?? {}) as JsonSchema, depth + 1), {
        maxLength: 4,
      });
    case 'object':
      return depth > 4 ? nasty : anyObject(schema, depth);
    default:
      return fc.oneof(
        nasty,
        fc.json().map((text) => JSON.parse(text) as unknown),
      );
  }
}

function anyObject(schema: JsonSchema, depth: number): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>);
  const fields = Object.fromEntries(
    properties.map(([name, property]) => [name, valueOf(property, depth + 1)]),
  );
  const required = (schema['required'] ?? []) as string[];
  return fc
    .tuple(fc.record(fields, { requiredKeys: required }), fc.option(fc.record({ extra: nasty }), { freq: 6 }))
    .map(([given, extra]) => ({ ...given, ...extra }));
}

/** A request to the operation as its description has it, more or less. */
export function anyRequest(path: string, method: string, operation: Operation): fc.Arbitrary<AnyRequest> {
  const { parameters = [], requestBody } = operation;
  const values = fc.tuple(
    ...parameters.map(({ schema, required }) => (required ? valueOf(schema) : fc.option(valueOf(schema)))),
  );
  const schema = requestBody?.content['application/json']?.schema;
  const body =
    schema === undefined
      ? fc.constant(undefined)
      : fc.oneof(
          {
            weight: 8,
            arbitrary: valueOf(schema).map((value) => JSON.stringify(value) as string | undefined),
          },
          {
            weight: 1,
            arbitrary: fc.constantFrom('', '{', '[1', 'nul', '['.repeat(200), '{"sku":"TEE","sku":"CUP"}'),
          },
        );
  return fc.tuple(values, body).map(([given, sent]) => {
    let filled = path;
    const query = new URLSearchParams();
    const headers: Record<string, string> = sent === undefined ? {} : { 'content-type': 'application/json' };
    parameters.forEach(({ name, in: place }, index) => {
      const value = given[index];
      if (value === null || value === undefined) return;
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      if (place === 'path')
        filled = filled.replace(`{${name}}`, encodeURIComponent(text.toWellFormed()) || 'x');
      else if (place === 'query')
        for (const one of Array.isArray(value) ? value : [text]) query.append(name, JSON.stringify(one));
      // What HTTP itself cannot carry never arrives.
      else if (/^[\x21-\x7e]+$/.test(text)) headers[name] = text;
    });
    const search = query.size === 0 ? '' : `?${query.toString()}`;
    return {
      method: method.toUpperCase(),
      path: `${filled.replaceAll(/\{\w+\}/g, 'x')}${search}`,
      headers,
      body: sent,
    };
  });
}
