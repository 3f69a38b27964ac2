import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { compileValidator } from '../../src/http/api/validators.ts';

function validatorOf(schema: z.ZodType, httpPart: string) {
  const validate = compileValidator({ schema, method: 'GET', url: '/', httpPart });
  return (input: unknown) => validate(input) as { value?: unknown; error?: unknown };
}

describe('queries are remembered', () => {
  const schema = z.strictObject({
    a: z.union([z.string().max(3), z.array(z.string())]).optional(),
    b: z.string().default('x'),
  });
  const part = fc.oneof(
    fc.constantFrom('', 'a', 'b', 'ab', '1:1:', '1:2:a', 'toolong', '\u0000', '__proto__'),
    fc.string({ maxLength: 4 }),
  );
  const query = fc.dictionary(
    fc.oneof(fc.constantFrom('a', 'b', 'c', 'ab', '1'), fc.string({ maxLength: 3 })),
    fc.oneof(part, fc.array(part, { maxLength: 2 })),
    { maxKeys: 3 },
  );

  test('and each is answered as its schema alone would answer it, whatever was asked before', () => {
    const validate = validatorOf(schema, 'querystring');
    fc.assert(
      fc.property(fc.array(query, { maxLength: 12 }), (queries) => {
        for (const asked of [...queries, ...queries]) {
          const parsed = schema.safeParse(asked);
          const checked = validate(asked);
          if (parsed.success) expect(checked.value).toEqual(parsed.data);
          else expect(checked.error).toBeDefined();
        }
      }),
    );
  });

  test('what is shared by requests cannot be changed by one of them', () => {
    const validate = validatorOf(schema, 'querystring');
    const first = validate({ a: 'v' }).value as { a: string };
    expect(validate({ a: 'v' }).value).toBe(first);
    expect(() => (first.a = 'other')).toThrow(TypeError);
  });
});

test('headers are refused by their schema, and left as they came', () => {
  const validate = validatorOf(z.looseObject({ 'x-key': z.string().max(3).optional() }), 'headers');
  expect(validate({ host: 'h' })).toEqual({});
  expect(validate({ host: 'h', 'x-key': 'abc' })).toEqual({});
  expect(validate({ 'x-key': 'abcd' }).error).toBeDefined();
  const needed = validatorOf(z.looseObject({ 'x-key': z.string() }), 'headers');
  expect(needed({ host: 'h' }).error).toBeDefined();
  expect(needed({ 'x-key': 'a' })).toEqual({});
});
