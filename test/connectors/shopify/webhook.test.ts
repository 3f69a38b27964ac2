import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rigFor, shopDomain } from './parts.ts';

const { connector } = rigFor();

const sample = (name: string): Record<string, unknown> =>
  JSON.parse(
    readFileSync(new URL(`../../fixtures/shopify-webhooks/${name}`, import.meta.url), 'utf8'),
  ) as Record<string, unknown>;
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const body = (name: string) => bytes(sample(name)['body']);

function headersFor(
  raw: Uint8Array,
  topic = 'orders/create',
  secret = 'current-secret',
): Record<string, string> {
  return {
    'X-Shopify-Topic': topic,
    'X-Shopify-Hmac-Sha256': createHmac('sha256', secret).update(raw).digest('base64'),
    'X-Shopify-Shop-Domain': shopDomain,
    'X-Shopify-API-Version': '2026-10',
    'X-Shopify-Webhook-Id': '7f6e0b9e-5d9e-4b3e-9f5c-2f6a0f2b6f11',
    'X-Shopify-Triggered-At': '2026-11-21T10:00:00.123456789Z',
  };
}
const order = body('orders_create.json');

describe('verification refuses', () => {
  const signed = headersFor(order);
  const { 'X-Shopify-Hmac-Sha256': _signature, ...unsigned } = signed;

  test.each([
    ['a body without a signature', order, unsigned],
    ['a signature by another secret', order, headersFor(order, 'orders/create', 'somebody-else')],
    ['a body with one byte changed', Buffer.concat([order, Buffer.from(' ')]), signed],
    ['a truncated body', order.subarray(0, -1), signed],
    ['two signatures', order, { ...unsigned, 'x-shopify-hmac-sha256': ['a', 'b'] }],
    [
      'an admin test notification, which another secret signs',
      order,
      headersFor(order, 'orders/create', 'shop-secret'),
    ],
  ])('%s as forged', (_name, raw, headers) => {
    expect(connector.verifyWebhook(raw, headers).kind).toBe('forged');
  });

  const genuinely = (raw: Uint8Array, change: Record<string, string | undefined> = {}) =>
    connector.verifyWebhook(raw, { ...headersFor(raw), ...change });

  test.each([
    ['no topic', { 'X-Shopify-Topic': undefined }, /topic/],
    ['a topic that is none', { 'X-Shopify-Topic': '../../etc' }, /topic/],
    ['no webhook id', { 'X-Shopify-Webhook-Id': undefined }, /webhook id/],
    ['a webhook id of any length', { 'X-Shopify-Webhook-Id': 'x'.repeat(1_000) }, /webhook id/],
    ['no shop', { 'X-Shopify-Shop-Domain': undefined }, /another shop/],
    ['another shop of the same app', { 'X-Shopify-Shop-Domain': 'beta.myshopify.com' }, /another shop/],
  ])('%s as malformed, though signed', (_name, change, reason) => {
    expect(genuinely(order, change)).toEqual({
      kind: 'malformed',
      reason: expect.stringMatching(reason) as string,
    });
  });

  test.each([
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['a truncated document', Buffer.from('{"id":1,"line_items":[')],
    ['deep nesting', Buffer.from('['.repeat(10_000) + ']'.repeat(10_000))],
    ['an empty body', Buffer.alloc(0)],
  ])('%s as malformed, though signed', (_name, raw) => {
    expect(genuinely(raw).kind).toBe('malformed');
  });
});

describe('verification accepts', () => {
  test.each(['current-secret', 'previous-secret'])('a body signed by the %s', (secret) => {
    const verdict = connector.verifyWebhook(order, headersFor(order, 'orders/create', secret));
    expect(verdict).toMatchObject({ kind: 'genuine', topic: 'orders/create' });
  });

  test('header names and the shop in any case', () => {
    const headers = Object.fromEntries(
      Object.entries(headersFor(order)).map(([name, value]) => [name.toLowerCase(), value]),
    );
    const verdict = connector.verifyWebhook(order, {
      ...headers,
      'x-shopify-shop-domain': 'Alpha.MyShopify.com',
    });
    expect(verdict.kind).toBe('genuine');
  });

  test('the delivery id is that of shop, topic and webhook: stable over retries, different per topic', () => {
    const idOf = (headers: Record<string, string>) => {
      const verdict = connector.verifyWebhook(order, headers);
      return verdict.kind === 'genuine' ? verdict.deliveryId : verdict.kind;
    };
    const first = idOf(headersFor(order));
    expect(idOf({ ...headersFor(order), 'X-Shopify-Triggered-At': '2026-11-21T11:00:00Z' })).toBe(first);
    expect(idOf(headersFor(order, 'orders/updated'))).not.toBe(first);
    expect(idOf({ ...headersFor(order), 'X-Shopify-Webhook-Id': 'another' })).not.toBe(first);
  });
});

describe('reading', () => {
  const parse = (topic: string, raw: Uint8Array) => connector.parseWebhook(raw, headersFor(raw, topic));

  test('an order as a snapshot', () => {
    expect(parse('orders/create', order)).toMatchObject({
      parked: [],
      orderHints: [],
      orders: [
        {
          orderId: '6525950329008',
          placedAtMs: Date.parse('2025-07-01T12:33:23+03:00'),
          changedAtMs: Date.parse('2025-07-01T12:35:06+03:00'),
          sourceName: 'shopify_draft_order',
          isPartial: false,
          lines: [
            {
              lineId: '15885687455920',
              sku: 'PS01',
              itemId: 'variant:44189234069680',
              takenIsKnown: true,
              counters: { ordered: 1, cancelled: 0, takenOut: 1, givenBack: 0 },
            },
          ],
        },
      ],
    });
  });

  test('a cancellation with restock once, from its refund', () => {
    const [snapshot] = parse('orders/cancelled', body('orders_cancelled.json')).orders;
    expect(snapshot?.lines[0]).toMatchObject({
      counters: { ordered: 1, cancelled: 1, writtenOff: 0, takenOut: 1, givenBack: 1 },
      restockedAt: [{ locationId: '5791776832', units: 1 }],
    });
  });

  test('a refund as a hint at its order: the body has no order and no other refunds', () => {
    expect(parse('refunds/create', body('refunds_create.json'))).toMatchObject({
      orders: [],
      orderHints: ['5992405729560'],
      parked: [],
    });
  });

  test.each([
    ['a level that is not tracked', { available: null }],
    ['a number that is none', { available: '5' }],
    ['no moment', { updated_at: undefined }],
    ['no place', { location_id: undefined }],
  ])('a level of which nothing is told: %s', (_what, changes) => {
    const level = {
      inventory_item_id: 7,
      location_id: 8,
      available: 5,
      updated_at: '2026-11-30T04:00:00-05:00',
    };
    const read = parse('inventory_levels/update', Buffer.from(JSON.stringify({ ...level, ...changes })));
    expect(read).toMatchObject({ levelHints: ['7'], toldLevels: [] });
  });

  test('a level as a doorbell, with every digit of its ids and what it said', () => {
    const raw = readFileSync(
      new URL('../../fixtures/shopify-webhooks/inventory_levels_update_docs_bigint.raw', import.meta.url),
    );
    expect(parse('inventory_levels/update', raw)).toEqual({
      orders: [],
      orderHints: [],
      levelHints: ['271878346596884015'],
      listingHints: [],
      toldLevels: [
        { listingKey: '271878346596884015@24826418', value: 10, changedAtMs: Date.UTC(2022, 0, 1) },
      ],
      parked: [],
    });
  });

  test.each(['connect', 'disconnect'])('%s as a change of the listings', (name) => {
    const raw = bytes(sample('inventory_levels_connect_disconnect.json')[name]);
    const read = parse(`inventory_levels/${name}`, raw);
    expect(read.listingHints).toEqual(['48513488879793']);
    expect(read.levelHints).toEqual(['48513488879793']);
  });

  test.each([
    ['fulfillments/create', { id: 1, order_id: 450789469 }, { orderHints: ['450789469'] }],
    ['fulfillments/update', { id: 1, order_id: 450789469 }, { orderHints: ['450789469'] }],
    ['orders/edited', { order_edit: { id: 1, order_id: 450789469 } }, { orderHints: ['450789469'] }],
    ['inventory_items/update', { id: 43729076, sku: 'new' }, { listingHints: ['43729076'] }],
    ['inventory_items/delete', { id: 43729076 }, { listingHints: ['43729076'] }],
    [
      'products/update',
      { variants: [{ inventory_item_id: 5 }, { inventory_item_id: 6 }] },
      { listingHints: ['5', '6'] },
    ],
    ['locations/deactivate', { id: 7 }, { listingHints: ['location:7'] }],
    ['bulk_operations/finish', { admin_graphql_api_id: 'gid://shopify/BulkOperation/1' }, {}],
    ['app/uninstalled', { id: 1 }, { accessLost: 'the app was uninstalled from the shop' }],
    [
      'app/scopes_update',
      { previous: [], current: ['write_inventory', 'read_products', 'read_locations'] },
      { accessLost: 'the app lost the scopes read_orders' },
    ],
    [
      'app/scopes_update',
      { current: ['write_inventory', 'read_products', 'read_locations', 'read_orders'] },
      { accessLost: undefined },
    ],
  ])('%s', (topic, content, expected) => {
    const read = parse(topic, bytes(content));
    expect(read.parked).toEqual([]);
    for (const [name, value] of Object.entries(expected))
      expect(read[name as keyof typeof read]).toEqual(value);
  });

  const withLine = (change: string) =>
    order.toString().replace('"quantity":1,"requires_shipping"', `${change}"requires_shipping"`);

  test.each([
    ['negative', '"quantity":-1,', /below 0/],
    ['fractional', '"quantity":1.5,', /whole number/],
    ['huge', '"quantity":90071992547409930,', /not a number|whole number/],
    ['beyond double', '"quantity":1e400,', /whole number|not a number/],
    ['a word', '"quantity":"two",', /not a number/],
    ['null', '"quantity":null,', /not a number/],
    ['missing', '', /missing/],
    ['an object', '"quantity":{"a":1},', /not a number/],
  ])(
    'a line whose quantity is %s is parked with its reason, and the others flow',
    (_name, change, reason) => {
      const good =
        '{"id":77,"sku":"GOOD","quantity":2,"current_quantity":2,"fulfillable_quantity":2,"variant_id":78,"variant_inventory_management":"shopify"}';
      const text = withLine(change).replace('"line_items":[', `"line_items":[${good},`);
      const read = parse('orders/create', bytes(text));
      expect(read.orders[0]?.lines.map((line) => line.lineId)).toEqual(['77']);
      expect(read.orders[0]?.isPartial).toBe(false);
      expect(read.parked).toMatchObject([{ what: 'order-line', reference: '6525950329008/15885687455920' }]);
      expect(read.parked[0]?.reason).toMatch(reason);
    },
  );

  test('huge ids keep their digits everywhere in an order', () => {
    const text = order
      .toString()
      .replaceAll('15885687455920', '271878346596884015')
      .replaceAll('44189234069680', '271878346596884017');
    const [line] = parse('orders/create', bytes(text)).orders[0]?.lines ?? [];
    expect(line).toMatchObject({ lineId: '271878346596884015', itemId: 'variant:271878346596884017' });
  });

  test.each([
    ['a topic that is not ours', 'customers/create', bytes({ id: 1 })],
    ['a body that is a list', 'orders/create', bytes([])],
    ['an order without an id', 'orders/create', bytes({ line_items: [] })],
    ['a level without an item', 'inventory_levels/update', bytes({ location_id: 1 })],
    ['bytes that are not UTF-8', 'orders/create', Buffer.from([0xff])],
    ['a truncated document', 'orders/create', order.subarray(0, 100)],
    ['deep nesting', 'orders/create', Buffer.from('['.repeat(100_000))],
  ])('%s is parked with a reason', (_name, topic, raw) => {
    const read = parse(topic, raw);
    expect(read.orders).toEqual([]);
    expect(read.parked).toHaveLength(1);
    expect(read.parked[0]?.reason).not.toBe('');
  });

  test('an order whose lines are missing is asked for', () => {
    expect(parse('orders/updated', bytes({ id: 5, created_at: '2026-01-01T00:00:00Z' }))).toMatchObject({
      orders: [],
      orderHints: ['5'],
    });
  });

  test('what is parked shows no personal information', () => {
    const text = withLine('"quantity":-1,').replaceAll('Example item', 'Gift for Jane Roe');
    expect(JSON.stringify(parse('orders/create', bytes(text)).parked)).not.toMatch(
      /Jane|Example|Buyer|Exampleville/,
    );
  });

  test('never throws, whatever a signed body holds', () => {
    const topics = fc.constantFrom(
      'orders/create',
      'orders/edited',
      'refunds/create',
      'inventory_levels/update',
      'app/scopes_update',
      'products/update',
    );
    const values = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, -1, 1.5, 1e300, '', 'x', 2 ** 60),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom(
            'id',
            'line_items',
            'refunds',
            'fulfillments',
            'refund_line_items',
            'quantity',
            'created_at',
            'order_id',
            'variants',
            '__proto__',
          ),
          tie('value'),
        ),
      ),
    })).value;
    fc.assert(
      fc.property(topics, values, (topic, value) => {
        const read = parse(topic, bytes(value));
        expect(Array.isArray(read.parked)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test('never throws, whatever single member of a real order is replaced', () => {
    const real = sample('orders_create.json')['body'] as Record<string, unknown>;
    const lines = real['line_items'] as Record<string, unknown>[];
    for (const value of [null, -1, 1.5, '', 'x', [], {}, [null], [{}], true]) {
      for (const key of Object.keys(real)) parse('orders/create', bytes({ ...real, [key]: value }));
      for (const key of Object.keys(lines[0] ?? {}))
        parse('orders/create', bytes({ ...real, line_items: [{ ...lines[0], [key]: value }] }));
    }
  });
});
