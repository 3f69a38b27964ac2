import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileValidator } from '../../src/http/api/validators.ts';
import { readPlainReserve } from '../../src/http/reservations/plain-reserve.ts';
import { reserveBody } from '../../src/http/reservations/requests.ts';

const text = fc.oneof(
  fc.constantFrom(
    'TEE-M',
    'a',
    '',
    ' x',
    'a\u001fb',
    '\ud800',
    'shopper-7',
    '-x',
    'x'.repeat(81),
    'x'.repeat(101),
    '__proto__',
  ),
  fc.string({ maxLength: 6 }),
);
const number = fc.oneof(
  fc.constantFrom(0, -0, 1, 300, 86_400, 86_401, 1_000_000, 1_000_001, 1.5, 2 ** 53, Number.NaN, -1),
  fc.integer({ min: -3, max: 90_000 }),
);
const odd = fc.constantFrom(null, undefined, true, '1', [], {});
const usual = fc.record(
  {
    agent_id: fc.oneof(text, odd),
    ttl_seconds: fc.oneof(number, odd),
    sku: fc.oneof({ weight: 4, arbitrary: text }, { weight: 1, arbitrary: odd }),
    session_id: fc.oneof(text, odd),
    quantity: fc.oneof({ weight: 4, arbitrary: number }, { weight: 1, arbitrary: odd }),
    stage: fc.constantFrom('cart', 'other'),
    wait_seconds: number,
    more: text,
  },
  { requiredKeys: [] },
);
/** Nearly all of these are good. */
const good = fc.record(
  {
    session_id: fc.oneof(fc.constantFrom('s', 'S.1:@-'), text),
    ttl_seconds: fc.constantFrom(1, 300, 86_400),
    agent_id: fc.constantFrom('a', 'shopper-7'),
    quantity: fc.integer({ min: 1, max: 1_000_000 }),
    sku: fc.oneof(fc.constantFrom('TEE-M', 'a/b 1', 'x'.repeat(80)), text),
  },
  { requiredKeys: ['quantity', 'sku'] },
);

test('what is read without the schema is what the schema makes of it, in its order', () => {
  let read = 0;
  fc.assert(
    fc.property(fc.oneof(good, usual, fc.anything()), (body) => {
      const quick = readPlainReserve(body);
      if (quick === undefined) return;
      read++;
      const parsed = reserveBody.parse(body);
      expect(quick).toEqual(parsed);
      expect(JSON.stringify(quick)).toBe(JSON.stringify(parsed));
    }),
    { numRuns: 3_000 },
  );
  expect(read).toBeGreaterThan(100);
});

test('the common body is read so, and what it does not read the schema judges', () => {
  const body = { ttl_seconds: 300, quantity: 1, sku: 'TEE-M', agent_id: 'a' };
  expect(JSON.stringify(readPlainReserve(body))).toBe(
    '{"sku":"TEE-M","quantity":1,"agent_id":"a","ttl_seconds":300}',
  );
  const validate = compileValidator({ schema: reserveBody, method: 'POST', url: '/', httpPart: 'body' });
  const checked = (input: unknown) => validate(input) as { value?: unknown; error?: unknown };
  expect(checked(body).value).toEqual(body);
  expect(checked({ ...body, quantity: 0 }).error).toBeDefined();
  expect(checked({ ...body, more: 1 }).error).toBeDefined();
  expect(checked({ lines: [{ sku: 'é', quantity: 2 }] }).value).toEqual({
    lines: [{ sku: 'é', quantity: 2 }],
  });
});
