import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { WebhookVerdict } from '../../../src/connectors/connector.ts';
import { appKey, appSecret, rigFor, shopId } from './parts.ts';

const samples = JSON.parse(
  readFileSync(new URL('../../fixtures/tiktok/webhooks.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, { readonly type: number }>>;

const { connector } = rigFor();
const sign = (body: string, secret = appSecret): string =>
  createHmac('sha256', secret).update(`${appKey}${body}`).digest('hex');
const verify = (body: string, secret?: string): WebhookVerdict =>
  connector.verifyWebhook(Buffer.from(body), { authorization: sign(body, secret) });
const parse = (body: string) => connector.parseWebhook(Buffer.from(body), {});
const delivery = (type: number, data: object, extra: object = {}): string =>
  JSON.stringify({
    type,
    tts_notification_id: '7327112393057371910',
    shop_id: shopId,
    timestamp: 1_700_000_000,
    data,
    ...extra,
  });

describe('refused', () => {
  test('without a signature, or with another secret', () => {
    expect(connector.verifyWebhook(Buffer.from('{}'), {}).kind).toBe('forged');
    expect(verify(delivery(1, {}), 'other').kind).toBe('forged');
  });

  test.each([
    ['no JSON', 'x'],
    ['a list', '[]'],
    ['no type', JSON.stringify({ shop_id: shopId })],
    ['another shop', delivery(1, {}, { shop_id: '1' })],
    ['a shop that is no id', delivery(1, {}, { shop_id: { $ne: 1 } })],
  ])('%s, although signed', (_name, body) => expect(verify(body).kind).toBe('malformed'));
});

test('a rotated secret counts while it is listed', () => {
  const rig = rigFor({ webhookSecrets: ['new', 'old'] });
  for (const [secret, kind] of [
    ['new', 'genuine'],
    ['old', 'genuine'],
    [appSecret, 'forged'],
  ] as const) {
    const body = delivery(1, { order_id: '1' });
    const headers = { Authorization: sign(body, secret) };
    expect(rig.connector.verifyWebhook(Buffer.from(body), headers).kind).toBe(kind);
  }
});

test('the notification id makes a retry a duplicate, whatever its digits', () => {
  const huge = delivery(1, { order_id: '1' }).replace('"7327112393057371910"', '7327112393057371911');
  expect(verify(huge)).toMatchObject({
    kind: 'genuine',
    deliveryId: `${shopId}|1|7327112393057371911`,
    topic: '1',
    triggeredAtMs: 1_700_000_000_000,
  });
  const withoutId = JSON.stringify({ type: 3, shop_id: shopId, data: {} });
  const [first, again] = [verify(withoutId), verify(withoutId)];
  expect(first).toEqual(again);
  expect(first).toMatchObject({ deliveryId: expect.stringMatching(/\|3\|sha256-[0-9a-f]{64}$/) as string });
});

test('an event that names the seller instead of the shop is ours to hear', () => {
  const body = JSON.stringify({ type: 24, seller_open_id: 'x', tts_notification_id: '1', data: {} });
  expect(verify(body).kind).toBe('genuine');
});

test('every official sample is understood without a parked row', () => {
  const told: Record<number, unknown> = {};
  for (const sample of Object.values(samples)) {
    const parsed = parse(JSON.stringify(sample));
    const { orderHints, levelHints, listingHints, accessLost, parked } = parsed;
    expect(parsed.orders).toEqual([]);
    if (sample.type === 7) {
      expect(parked[0]?.reason).toMatch(/ends on 2021-07-29/);
      continue;
    }
    expect(parked).toEqual([]);
    const hints = { orderHints, levelHints, listingHints, accessLost: accessLost !== undefined };
    if (Object.values(hints).some((hint) => (Array.isArray(hint) ? hint.length > 0 : hint)))
      told[sample.type] = hints;
  }
  const none = { orderHints: [], levelHints: [], listingHints: [], accessLost: false };
  expect(told).toEqual({
    1: { ...none, orderHints: ['576486316948490001'] },
    4: { ...none, orderHints: ['152523', '532123'] },
    5: { ...none, listingHints: ['576486316948490000'] },
    6: { ...none, accessLost: true },
    11: { ...none, orderHints: ['576486316948490001'] },
    12: { ...none, orderHints: ['576486316948490001'] },
    15: { ...none, listingHints: ['123456789'] },
    16: { ...none, listingHints: ['576486316948490000'] },
    27: { ...none, levelHints: ['73235770873441823254'] },
    37: { ...none, listingHints: ['789078671231'] },
    42: { ...none, listingHints: ['987654321', '987654322', '987654333'] },
  });
});

test('numeric ids keep their digits', () => {
  const body = delivery(1, { order_id: 'ID' }).replace('"ID"', '576486316948490001');
  expect(parse(body).orderHints).toEqual(['576486316948490001']);
});

test.each([
  ['an unknown type', delivery(99, {})],
  ['an order event without an order', delivery(1, {})],
  ['an order id that is none', delivery(1, { order_id: 'a,b' })],
  ['an alert without a SKU', delivery(27, {})],
  ['data that is no object', JSON.stringify({ type: 1, shop_id: shopId, data: 'x' })],
  ['not JSON at all', 'x'],
])('%s is parked, never thrown', (_name, body) => {
  const parsed = parse(body);
  expect(parsed.parked).toHaveLength(1);
  expect(parsed.orderHints).toEqual([]);
});
