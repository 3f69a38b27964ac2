import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseNotification } from '../../../src/connectors/amazon/notification.ts';
import { settingsOf } from '../../../src/connectors/amazon/options.ts';
import type { ParsedDelivery } from '../../../src/connectors/connector.ts';
import { MemoryLog, MemoryTokens } from '../shopify/parts.ts';
import { fixture } from './models.ts';
import { MemoryBuckets, type Rig, rigFor, webhookSecret } from './parts.ts';

const settings = settingsOf({
  sellerId: 'A3TH9S8BH6GOGM',
  marketplaceIds: ['ATVPDKIKX0DER'],
  region: 'na',
  credentials: { clientId: 'c', clientSecret: 's', refreshToken: 'r' },
  webhookSecrets: [],
  limiter: new MemoryBuckets(),
  tokens: new MemoryTokens(),
  clock: { nowMs: () => 0 },
  log: new MemoryLog(),
});

type Body = Record<string, unknown>;
const bytes = (value: unknown): Buffer =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const parse = (value: unknown): ParsedDelivery => parseNotification(bytes(value), settings);
const sample = (name: string): Body => (fixture(`schemas/${name}`) as { examples: Body[] }).examples[0] ?? {};
const nothing = { orders: [], orderHints: [], levelHints: [], listingHints: [], parked: [] };

interface Change {
  NotificationLevel: string;
  OrderChangeType: string;
  Summary: { OrderStatus: string; FulfillmentType: string; PurchaseDate: string | null; OrderItems: Body[] };
}

function orderChange(edit: (change: Change) => void = () => {}): Body {
  const body = structuredClone(sample('OrderChangeNotification')) as unknown as {
    Payload: { OrderChangeNotification: Change };
  };
  const change = body.Payload.OrderChangeNotification;
  change.OrderChangeType = 'OrderStatusChange';
  edit(change);
  return body;
}

describe('parked, never dropped', () => {
  test.each([
    ['text', 'hello'],
    ['a list', []],
    ['nothing', '{}'],
    ['a type that is none', { NotificationType: 7, Payload: {} }],
    ['an unknown type', { NotificationType: 'PRICING_HEALTH', Payload: {} }],
    ['an order change without an order', { NotificationType: 'ORDER_CHANGE', Payload: {} }],
    [
      'a quantity change without a SKU',
      { NotificationType: 'LISTINGS_ITEM_MFN_QUANTITY_CHANGE', Payload: {} },
    ],
    ['a feed without an id', { notificationType: 'FEED_PROCESSING_FINISHED', payload: {} }],
  ])('%s', (_what, body) => {
    const parsed = parse(body);
    expect(parsed.parked).toHaveLength(1);
    expect({ ...parsed, parked: [] }).toEqual(nothing);
  });

  test('bytes that are no UTF-8, and a depth no notification has', () => {
    expect(parseNotification(Buffer.from([0xff, 0xfe, 0x7b]), settings).parked).toHaveLength(1);
    expect(parse(`${'['.repeat(100)}${']'.repeat(100)}`).parked).toHaveLength(1);
  });

  test('a notification for another seller of the same application', () => {
    const body = { ...sample('ListingsItemMfnQuantityChange') };
    const parsed = parse(body);
    expect(parsed.parked[0]?.reason).toContain('another seller');
    expect(parsed.levelHints).toEqual([]);
  });
});

describe('ORDER_CHANGE', () => {
  test("the official example, a buyer's request, only shows the order as it is", () => {
    const parsed = parse(sample('OrderChangeNotification'));
    expect(parsed.orders).toMatchObject([
      {
        orderId: '903-8868176-2219830',
        placedAtMs: Date.parse('2022-07-13T19:42:04.284Z'),
        changedAtMs: Date.parse('2022-11-29T19:42:04.284Z'),
        lines: [
          {
            lineId: 'OIID34853450',
            sku: 'SellerSKUID1',
            counters: { ordered: 10, cancelled: 0, shipped: 0, takenOut: 10, givenBack: 0 },
          },
        ],
      },
    ]);
    expect(parsed.orderHints).toEqual([]);
  });

  test.each([
    ['AFN: not our stock', (change: Change) => (change.Summary.FulfillmentType = 'AFN')],
    ['a pre-order', (change: Change) => (change.Summary.OrderStatus = 'PendingAvailability')],
  ])('%s: nothing to do', (_what, edit) => {
    expect(parse(orderChange(edit))).toEqual(nothing);
  });

  test.each([
    [
      'no purchase date: before or after the opening figures?',
      (of: Change) => (of.Summary.PurchaseDate = null),
    ],
    ['an unknown status', (of: Change) => (of.Summary.OrderStatus = 'Teleported')],
    ['an unknown fulfilment', (of: Change) => (of.Summary.FulfillmentType = '')],
    [
      'a quantity that is none',
      (of: Change) => (of.Summary.OrderItems = [{ OrderItemId: '1', Quantity: -1 }]),
    ],
  ])('%s: the order is asked for', (_what, edit) => {
    const parsed = parse(orderChange(edit));
    expect(parsed).toEqual({ ...nothing, orderHints: ['903-8868176-2219830'] });
  });

  test('cancelled: released at once, and asked who cancelled', () => {
    const parsed = parse(orderChange((change) => (change.Summary.OrderStatus = 'Canceled')));
    expect(parsed.orders[0]?.lines[0]).toMatchObject({
      counters: { ordered: 10, cancelled: 10, givenBack: 0 },
      takenIsKnown: false,
    });
    expect(parsed.orderHints).toEqual(['903-8868176-2219830']);
  });

  test('one item of an order: the others are asked for', () => {
    const parsed = parse(orderChange((change) => (change.NotificationLevel = 'OrderItemLevel')));
    expect(parsed.orders).toHaveLength(1);
    expect(parsed.orderHints).toHaveLength(1);
  });

  test('shipped without stating how many: all of it', () => {
    const body = orderChange((change) => {
      change.Summary.OrderStatus = 'Shipped';
      change.Summary.OrderItems = [{ OrderItemId: '1', SellerSKU: 'A', Quantity: 4 }];
    });
    expect(parse(body).orders[0]?.lines[0]?.counters).toMatchObject({ ordered: 4, shipped: 4 });
  });
});

test('a change of a quantity is a doorbell: the number in it is not used', () => {
  const { Payload, ...rest } = sample('ListingsItemMfnQuantityChange') as { Payload: Body };
  const body = { ...rest, Payload: { ...Payload, SellerId: settings.sellerId } };
  expect(parse(body)).toEqual({ ...nothing, levelHints: ['NLS-SHOES-03'] });
  const fba = { ...rest, Payload: { ...body.Payload, FulfillmentChannelCode: 'AMAZON_NA' } };
  expect(parse(fba)).toEqual({ ...nothing, listingHints: ['NLS-SHOES-03'] });
});

test('either casing of the envelope is read, and what EventBridge wraps around it', () => {
  const feed = sample('FeedProcessingFinishedNotification');
  expect(parse(feed)).toEqual({ ...nothing, bulkWritesFinished: ['53347018456'] });
  const change = orderChange();
  const event = {
    version: '0',
    id: 'e',
    'detail-type': 'ORDER_CHANGE',
    source: 'aws.partner',
    detail: change,
  };
  expect(parse(event)).toEqual(parse(change));
  const stock = { NotificationType: 'FBA_INVENTORY_AVAILABILITY_CHANGES', Payload: { SKU: 'S-1' } };
  expect(parse(stock)).toEqual({ ...nothing, levelHints: ['fba:S-1'] });
});

describe('the endpoint of an EventBridge API destination', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await rigFor();
  });
  afterEach(() => rig.close());

  const body = bytes(orderChange());
  const verify = (headers: Record<string, string | string[]>, raw: Uint8Array = body) =>
    rig.connector.verifyWebhook(raw, headers);

  test.each([
    ['no header', {}],
    ['another secret', { 'stockmesh-secret': 'guess' }],
    ['an empty one', { 'stockmesh-secret': '' }],
    ['a repeated header', { 'stockmesh-secret': [webhookSecret, webhookSecret] }],
    ['the secret in another header', { authorization: webhookSecret }],
    ['a prefix of the secret', { 'stockmesh-secret': webhookSecret.slice(0, -1) }],
  ])('%s is forged', (_what, headers) => {
    expect(verify(headers)).toMatchObject({ kind: 'forged' });
  });

  test('a body that is no notification is malformed, whoever sent it', () => {
    for (const raw of [bytes('x'), bytes('{}'), Buffer.from([0xff])])
      expect(verify({ 'stockmesh-secret': webhookSecret }, raw)).toMatchObject({ kind: 'malformed' });
  });

  test.each([
    webhookSecret,
    'the-secret-before',
    `Bearer ${webhookSecret}`,
    `Basic ${Buffer.from(`aws:${webhookSecret}`).toString('base64')}`,
  ])('the secret in the form %s is genuine, under the id of the notification', (secret) => {
    expect(verify({ 'Stockmesh-Secret': secret })).toMatchObject({
      kind: 'genuine',
      deliveryId: 'ORDER_CHANGE|d0e9e693-c3ad-4373-979f-ed4ec98dd746',
      topic: 'ORDER_CHANGE',
    });
  });

  test('through the queue and through the endpoint it is the same delivery', () => {
    const event = bytes({ 'detail-type': 'ORDER_CHANGE', detail: orderChange() });
    const direct = verify({ 'stockmesh-secret': webhookSecret });
    const wrapped = verify({ 'stockmesh-secret': webhookSecret }, event);
    expect(wrapped).toEqual(direct);
  });
});

describe('every type in either casing', () => {
  const recased = (value: unknown, change: (name: string) => string): unknown => {
    if (Array.isArray(value)) return value.map((entry) => recased(entry, change));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [change(name), recased(inner, change)]),
    );
  };
  const upper = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);
  const lower = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

  test.each([
    'OrderChangeNotification',
    'ListingsItemMfnQuantityChange',
    'FeedProcessingFinishedNotification',
  ])('%s', (name) => {
    const body = { ...sample(name) };
    const text = JSON.stringify(body).replaceAll('AXXXXXXXXXXXXX', settings.sellerId);
    const usual = parse(text);
    expect(usual.parked).toEqual([]);
    expect(parse(recased(JSON.parse(text), lower))).toEqual(usual);
    expect(parse(recased(JSON.parse(text), upper))).toEqual(usual);
  });
});
