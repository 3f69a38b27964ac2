import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isRecord, momentOf, parseJsonText, parseRawJson } from '../../src/connectors/raw-json.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('refuses', () => {
  test.each([
    ['bytes that are not UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /not UTF-8/],
    ['an overlong UTF-8 form', new Uint8Array([0x22, 0xc0, 0xaf, 0x22]), /not UTF-8/],
    ['a truncated body', bytes('{"a":[1,2'), /not JSON/],
    ['an empty body', bytes(''), /not JSON/],
    ['two values', bytes('{} {}'), /not JSON/],
    ['nesting past the limit', bytes('['.repeat(65) + ']'.repeat(65)), /deeper than 64/],
    ['nesting that would end the stack', bytes('['.repeat(2_000_000)), /deeper than 64/],
  ])('%s', (_name, raw, reason) => {
    const parsed = parseRawJson(raw);
    expect(parsed).toEqual({ kind: 'bad', reason: expect.stringMatching(reason) as string });
  });

  test('more values than the limit, counted outside of texts', () => {
    expect(parseRawJson(bytes('[1,2,3]'), { maxDepth: 3, maxValues: 1 }).kind).toBe('bad');
    expect(parseRawJson(bytes('["1,2,3,{[","\\"]]"]'), { maxDepth: 1, maxValues: 1 }).kind).toBe('ok');
  });

  test('without quoting the body', () => {
    const parsed = parseRawJson(bytes('{"email":"buyer@example.com",'));
    expect(JSON.stringify(parsed)).not.toContain('buyer');
  });
});

test('keeps every digit of an integer that a number cannot hold', () => {
  const parsed = parseRawJson(
    bytes('{"id":271878346596884015,"safe":9007199254740991,"quantity":1.5,"low":-271878346596884015}'),
  );
  expect(parsed).toEqual({
    kind: 'ok',
    value: { id: 271878346596884015n, safe: 9007199254740991, quantity: 1.5, low: -271878346596884015n },
  });
});

test('a body that is not UTF-8 does not spoil the next one', () => {
  expect(parseRawJson(new Uint8Array([0x22, 0xe2, 0x82])).kind).toBe('bad');
  expect(parseRawJson(bytes('"\u20ac"'))).toEqual({ kind: 'ok', value: '\u20ac' });
});

test('a digit run inside a text stays text', () => {
  expect(parseJsonText('{"a":"271878346596884015"}')).toEqual({
    kind: 'ok',
    value: { a: '271878346596884015' },
  });
});

test('a member called __proto__ is an ordinary member', () => {
  const parsed = parseRawJson(bytes('{"__proto__":{"isAdmin":true},"id":271878346596884015}'));
  const value = parsed.kind === 'ok' && isRecord(parsed.value) ? parsed.value : {};
  expect(value['isAdmin']).toBeUndefined();
  expect(Object.keys(value)).toEqual(['__proto__', 'id']);
});

test('reads what JSON.parse reads, wherever numbers are safe', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      fc.pre(!/\d{16}/.test(JSON.stringify(value)));
      expect(parseRawJson(bytes(JSON.stringify(value)))).toEqual({
        kind: 'ok',
        value: JSON.parse(JSON.stringify(value)) as unknown,
      });
    }),
  );
});

test('any integer survives to its last digit', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), (number) => {
      for (const text of [`[${number}]`, `{"0":${number}}`, `["1,2\\"", 0.5, ${number}]`]) {
        for (const parsed of [parseJsonText(text), parseRawJson(bytes(text))]) {
          const values = parsed.kind === 'ok' ? Object.values(parsed.value as object) : [];
          expect(String(values.at(-1))).toBe(number.toString());
        }
      }
    }),
  );
});

test.each([
  ['2025-07-01T12:33:23+03:00', Date.UTC(2025, 6, 1, 9, 33, 23)],
  ['2026-06-25T01:33:55Z', Date.UTC(2026, 5, 25, 1, 33, 55)],
  ['2025-07-01T12:33:23', undefined],
  ['2025-07-01', undefined],
  ['soon', undefined],
  [1_795_231_419, undefined],
  [null, undefined],
])('moment %s', (text, ms) => {
  expect(momentOf(text)).toBe(ms);
});
