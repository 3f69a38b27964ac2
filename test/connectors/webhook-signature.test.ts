import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { headerOf, isSignedBy } from '../../src/connectors/webhook-signature.ts';

const raw = new TextEncoder().encode('{"id":1}');
const base64 = { algorithm: 'sha256', encoding: 'base64' } as const;
const sign = (secret: string, body: Uint8Array | string) =>
  createHmac('sha256', secret).update(body).digest('base64');

describe('is not signed', () => {
  test.each([
    ['by another secret', sign('other', raw), ['current']],
    ['when one byte of the body differs', sign('current', '{"id":2}'), ['current']],
    ['when no secret is configured', sign('', raw), []],
    ['by an empty secret', sign('', raw), ['']],
    ['with an empty signature', '', ['current']],
    ['with a cut signature', sign('current', raw).slice(0, 20), ['current']],
    ['with something that is not base64', '!!!!', ['current']],
    ['with a signature of any length', 'A'.repeat(100_000), ['current']],
  ])('%s', (_name, signature, secrets) => {
    expect(isSignedBy(base64, secrets, { raw, signature })).toBe(false);
  });

  test('when the prefix is missing', () => {
    const scheme = { algorithm: 'sha256', encoding: 'hex', prefix: 'sha256=' } as const;
    const hex = createHmac('sha256', 's').update(raw).digest('hex');
    expect(isSignedBy(scheme, ['s'], { raw, signature: hex })).toBe(false);
    expect(isSignedBy(scheme, ['s'], { raw, signature: `sha256=${hex}` })).toBe(true);
  });
});

test('the current and the previous secret are both good', () => {
  for (const secret of ['current', 'previous'])
    expect(isSignedBy(base64, ['current', 'previous'], { raw, signature: sign(secret, raw) })).toBe(true);
});

test('a template says what is signed beside the body', () => {
  const scheme = { ...base64, template: '{timestamp}.{body}' } as const;
  const signature = createHmac('sha256', 's').update('1700.').update(raw).digest('base64');
  expect(isSignedBy(scheme, ['s'], { raw, signature, parts: { timestamp: '1700' } })).toBe(true);
  expect(isSignedBy(scheme, ['s'], { raw, signature, parts: { timestamp: '1701' } })).toBe(false);
});

test('bytes that are not UTF-8 are signed as they are', () => {
  const binary = new Uint8Array([0xff, 0x00, 0xfe]);
  expect(isSignedBy(base64, ['s'], { raw: binary, signature: sign('s', binary) })).toBe(true);
});

test('a header is found whatever its case, and refused when repeated or too long', () => {
  expect(headerOf({ 'X-Shopify-Topic': 'orders/create' }, 'x-shopify-topic')).toBe('orders/create');
  expect(headerOf({ 'x-a': ['one'] }, 'x-a')).toBe('one');
  expect(headerOf({ 'x-a': ['one', 'two'] }, 'x-a')).toBeUndefined();
  expect(headerOf({ 'x-a': 'x'.repeat(11) }, 'x-a', 10)).toBeUndefined();
  expect(headerOf({}, 'x-a')).toBeUndefined();
});
