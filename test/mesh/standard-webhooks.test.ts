import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { anyKey, standardKey, webhookHeaders } from '../../src/mesh/standard-webhooks.ts';

const bytes = (count: number): string => Buffer.alloc(count, 7).toString('base64');

describe('the secret of an endpoint', () => {
  test.each([
    ['nothing', ''],
    ['no prefix', bytes(32)],
    ['another prefix', `whpk_${bytes(32)}`],
    ['too short', `whsec_${bytes(23)}`],
    ['too long', `whsec_${bytes(65)}`],
    ['base64url', `whsec_${'-_'.repeat(20)}`],
    ['a space', `whsec_${bytes(32)} `],
  ])('%s is refused, and the refusal does not quote it', (_what, text) => {
    expect(() => standardKey(new Secret(text))).toThrow('the secret of an endpoint is no whsec_ secret');
  });

  test.each([24, 32, 64])('%i bytes are taken', (count) => {
    expect(standardKey(new Secret(`whsec_${bytes(count)}`))).toEqual(Buffer.alloc(count, 7));
  });
});

test('receivers of alerts and reports may have any secret: base64 after whsec_, else the text itself', () => {
  expect(anyKey(new Secret(`whsec_${bytes(5)}`))).toEqual(Buffer.alloc(5, 7));
  expect(anyKey(new Secret('s3cret'))).toEqual(Buffer.from('s3cret'));
});

test('the vector of the standard', () => {
  // https://github.com/standard-webhooks/standard-webhooks: the example its libraries are tested with.
  const key = standardKey(new Secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'));
  const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', body: '{"test": 2432232314}' };
  expect(webhookHeaders(message, [key], 1_614_265_330_000)).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

test('one signature per key, none without', () => {
  const message = { id: 'm', body: '{}' };
  const keys = [Buffer.from('a'), Buffer.from('b')];
  const both = webhookHeaders(message, keys, 1_000)['webhook-signature']?.split(' ');
  expect(both).toEqual(keys.map((key) => webhookHeaders(message, [key], 1_000)['webhook-signature']));
  expect(webhookHeaders(message, [], 1_000)).toEqual({ 'webhook-id': 'm', 'webhook-timestamp': '1' });
});
