import { describe, expect, test } from 'vitest';
import { type LineCounters, committedOf, noUnits } from '../../../src/domain/order.ts';
import { ShelfMemory } from '../../../src/connectors/tiktok/shelf-memory.ts';
import { readOrder } from '../../../src/connectors/tiktok/order-facts.ts';
import { never } from '../shopify/parts.ts';
import { sandboxRig } from './parts.ts';

const clock = { nowMs: () => 1_700_000_000_000 };
const contextOf = (unpaidTakesStock: boolean | 'unknown' = true) => ({
  unpaidTakesStock,
  memory: new ShelfMemory(clock, 1_000),
});

const line = (id: string, fields: object = {}) => ({
  id,
  sku_id: '11',
  seller_sku: 'MUG',
  display_status: 'AWAITING_SHIPMENT',
  ...fields,
});
const order = (status: string, lines: readonly object[], fields: object = {}) => ({
  id: '576486316948490001',
  status,
  create_time: 1_700_000_000,
  update_time: 1_700_000_100,
  warehouse_id: '7',
  line_items: lines,
  ...fields,
});
const read = (row: unknown, context = contextOf()) => readOrder(row, context);
const counters = (row: unknown, context = contextOf()): readonly LineCounters[] =>
  (read(row, context).order?.lines ?? []).map((each) => each.counters);

describe('rows that cannot be read', () => {
  test.each([
    ['no object', 7],
    ['no id', { create_time: 1 }],
    ['an id that holds a comma', order('UNPAID', [], { id: '1,2' })],
    ['no time', { id: '1', line_items: [] }],
    [
      'too many lines',
      order(
        'UNPAID',
        Array.from({ length: 2_001 }, (_, index) => line(String(index))),
      ),
    ],
  ])('%s: the order is parked', (_name, row) => {
    const reading = read(row);
    expect(reading.order).toBeUndefined();
    expect(reading.parked).toMatchObject([{ what: 'order' }]);
  });

  test('a line without an id, twice the same one, and a component that is none are parked; the others count', () => {
    const reading = read(
      order('AWAITING_SHIPMENT', [
        line('1'),
        line('1'),
        { ...line('x'), id: undefined },
        line('2', { sku_id: undefined }),
        line('3', {
          sku_id: '12',
          combined_listing_skus: [
            { sku_id: '21', sku_count: 0 },
            { sku_id: '22', sku_count: 2, seller_sku: 'CUP' },
          ],
        }),
      ]),
    );
    expect(reading.parked.map(({ what }) => what)).toEqual(['order-line', 'order-line', 'order-line']);
    expect(reading.order?.lines.map(({ lineId }) => lineId)).toEqual(['11', 'line:2', '12', '12:22']);
    // What cannot be read is missing in a sum: nothing that was applied may fall for it.
    expect(reading.order?.mayLower).toBe(false);
  });

  test('an unknown state stays promised and is shown to a person, without anything of the buyer', () => {
    const reading = read(
      order('LOST', [line('1', { display_status: 'LOST', sku_id: 576486316948490001n })], {
        recipient_address: { name: 'canary' },
        buyer_message: 'canary',
      }),
    );
    expect(reading.order?.lines[0]?.counters).toMatchObject({ ordered: 1, cancelled: 0, shipped: 0 });
    expect(reading.parked).toMatchObject([{ what: 'order-line', reference: '576486316948490001/1' }]);
    expect(JSON.stringify(reading)).not.toContain('canary');
  });

  test('no list of lines is a partial order, not an empty one', () => {
    expect(read(order('UNPAID', [], { line_items: undefined })).order?.isPartial).toBe(true);
    expect(read(order('UNPAID', [])).order?.isPartial).toBe(false);
  });
});

describe('states', () => {
  const one = { ...noUnits, ordered: 1, takenOut: 1 };

  test.each(['UNPAID', 'ON_HOLD', 'AWAITING_SHIPMENT', 'PARTIALLY_SHIPPING', 'AWAITING_COLLECTION'])(
    '%s is a commitment',
    (status) => {
      const [only] = counters(order(status, [line('1', { display_status: status })]));
      expect(only).toEqual(one);
      expect(committedOf(only ?? noUnits)).toBe(1);
    },
  );

  test.each(['IN_TRANSIT', 'DELIVERED', 'COMPLETED'])('%s has left', (status) => {
    expect(counters(order(status, [line('1', { display_status: status })]))).toEqual([
      { ...one, shipped: 1 },
    ]);
  });

  test.each(['CANCELLED', 'CANCEL'])('%s gives everything back', (status) => {
    for (const display of [status, 'AWAITING_SHIPMENT'])
      expect(counters(order(status, [line('1', { display_status: display })]))).toEqual([
        { ...one, cancelled: 1, givenBack: 1 },
      ]);
  });

  test('items of one SKU are one line, wherever each of them is', () => {
    const lines = ['1', '2', '3', '4', '5'].map((id) => line(id));
    const reading = read(order('AWAITING_SHIPMENT', [...lines, line('6', { sku_id: '12' })]));
    expect(reading.order?.lines).toMatchObject([
      { lineId: '11', itemId: '11', counters: { ...noUnits, ordered: 5, takenOut: 5 } },
      { lineId: '12', itemId: '12', counters: one },
    ]);
  });

  test('some items cancelled, some shipped', () => {
    const row = order(
      'PARTIALLY_SHIPPING',
      [
        line('1', { display_status: 'CANCELLED', package_id: '8' }),
        line('2', { display_status: 'IN_TRANSIT', package_id: '9' }),
        line('3'),
        line('4'),
      ],
      { collection_time: 1_700_000_050 },
    );
    const [sum] = read(row).order?.lines ?? [];
    expect(sum).toMatchObject({
      counters: { ordered: 4, cancelled: 1, shipped: 1, takenOut: 4, givenBack: 1 },
      takenIsKnown: true,
      committedAt: [{ locationId: '7', units: 2 }],
      shippedFrom: [{ locationId: '7', units: 1 }],
    });
    expect(committedOf(sum?.counters ?? noUnits)).toBe(2);
  });

  test('one item of which it is not known what it took makes that of its line unknown', () => {
    const row = order('AWAITING_SHIPMENT', [line('1'), line('2', { sku_type: 'PRE_ORDER' })]);
    expect(read(row).order?.lines).toMatchObject([{ counters: { ordered: 2 }, takenIsKnown: false }]);
  });

  test('a cancellation that is only asked for, and a return, change nothing', () => {
    const asked = order('AWAITING_SHIPMENT', [line('1')], { is_buyer_request_cancel: true });
    expect(counters(asked)).toEqual([one]);
    const returned = order('COMPLETED', [
      line('1', { display_status: 'COMPLETED', return_status: 'SUCCESS' }),
    ]);
    expect(counters(returned)[0]?.restocked).toBe(0);
  });

  test.each([
    ['its package is on its way', {}, { package_status: 'FULFILLING', display_status: 'CANCELLED' }],
    [
      'the whole order was collected',
      { collection_time: 1_700_000_050 },
      { package_id: '9', display_status: 'CANCELLED' },
    ],
  ])('cancelled after it left (%s), it does not come back by itself', (_name, fields, item) => {
    const [only] = read(order('CANCELLED', [line('1', item)], fields)).order?.lines ?? [];
    expect(only?.counters).toEqual({ ...one, shipped: 1 });
    expect(only?.takenIsKnown).toBe(false);
  });

  test('cancelled after it was seen on its way, it does not come back either', () => {
    const context = contextOf();
    read(order('IN_TRANSIT', [line('1', { display_status: 'IN_TRANSIT' })]), context);
    const row = order('CANCELLED', [line('1', { display_status: 'CANCELLED' })]);
    expect(counters(row, context)).toEqual([{ ...one, shipped: 1 }]);
    expect(counters(row)).toEqual([{ ...one, cancelled: 1, givenBack: 1 }]);
    // Nor where another process saw it: nothing that was applied may fall for this.
    expect(read(row).order?.mayLower).toBe(false);
    expect(read(order('IN_TRANSIT', [line('1')])).order?.mayLower).toBe(true);
  });

  test('where unpaid orders take nothing, payment is what takes', () => {
    const later = contextOf(false);
    const taken = (status: string): number => {
      const [only] = counters(order(status, [line('1', { display_status: status })]), later);
      return (only?.takenOut ?? 0) - (only?.givenBack ?? 0);
    };
    expect(taken('UNPAID')).toBe(0);
    expect(taken('AWAITING_SHIPMENT')).toBe(1);
    expect(
      counters(order('CANCELLED', [line('1', { display_status: 'CANCELLED' })]), later)[0],
    ).toMatchObject({
      takenOut: 0,
      givenBack: 0,
    });
    const paid = order('CANCELLED', [line('1', { display_status: 'CANCELLED' })], { paid_time: 1 });
    expect(counters(paid, later)[0]).toMatchObject({ takenOut: 1, givenBack: 1 });
  });
});

test('where nobody knows whether unpaid orders take, their listing is read, and after payment no more', () => {
  const unsure = contextOf('unknown');
  const only = (status: string, fields: object = {}) =>
    read(order(status, [line('1', { display_status: status })], fields), unsure).order?.lines[0];
  expect(only('UNPAID')).toMatchObject({ counters: { ordered: 1, takenOut: 1 }, takenIsKnown: false });
  // Cancelled without ever having been paid: whether anything came back is as unknown as whether it was taken.
  expect(only('CANCELLED')).toMatchObject({ counters: { cancelled: 1 }, takenIsKnown: false });
  expect(only('UNPAID', { is_cod: true })?.takenIsKnown).toBe(true);
  expect(only('ON_HOLD')).toMatchObject({ counters: { takenOut: 1 }, takenIsKnown: true });
  expect(only('CANCELLED', { paid_time: 1 })?.takenIsKnown).toBe(true);
});

describe('special orders', () => {
  test.each([
    { is_sample_order: true },
    { is_replacement_order: true },
    { is_exchange_order: true },
    { order_type: 'PRE_ORDER' },
    { order_type: 'ZERO_LOTTERY' },
  ])('%o: units leave, what they took is not known', (fields) => {
    const [only] = read(order('AWAITING_SHIPMENT', [line('1')], fields)).order?.lines ?? [];
    expect(only?.counters.ordered).toBe(1);
    expect(only?.takenIsKnown).toBe(false);
  });

  test("stock in TikTok's own warehouses is not ours to count", () => {
    const reading = read(order('UNPAID', [line('1')], { fulfillment_type: 'FULFILLMENT_BY_TIKTOK' }));
    expect(reading.order?.lines).toEqual([]);
    expect(reading.parked).toEqual([]);
  });

  test('a bundle is taken on its own listing and moves its components', () => {
    const components = [
      { sku_id: '21', sku_count: 2, product_id: '2', seller_sku: 'CUP ' },
      { sku_id: '22', sku_count: 1, product_id: '2', seller_sku: 'PLATE' },
    ];
    const row = order('AWAITING_SHIPMENT', [
      line('1', { seller_sku: 'SET', combined_listing_skus: components }),
    ]);
    const [set, cup, plate] = read(row).order?.lines ?? [];
    expect(set).toMatchObject({
      lineId: '11',
      sku: 'SET',
      itemId: '11',
      counters: { ordered: 0, takenOut: 1 },
    });
    expect(cup).toMatchObject({
      lineId: '11:21',
      sku: 'CUP',
      itemId: '21',
      counters: { ordered: 2, takenOut: 0 },
    });
    expect(plate).toMatchObject({
      lineId: '11:22',
      itemId: '22',
      counters: { ordered: 1 },
      takenIsKnown: false,
    });
  });
});

test('the warehouse of the order is where its units are committed, then where they left from', () => {
  const place = (status: string) =>
    read(order(status, [line('1', { display_status: status })])).order?.lines[0];
  expect(place('AWAITING_SHIPMENT')).toMatchObject({ committedAt: [{ locationId: '7', units: 1 }] });
  expect(place('IN_TRANSIT')).toMatchObject({ shippedFrom: [{ locationId: '7', units: 1 }] });
  expect(place('CANCELLED')).not.toHaveProperty('committedAt');
});

describe('fetched by id', () => {
  test('orders that are not there are absent, 50 per request, ids that are none parked', async () => {
    await using rig = await sandboxRig();
    rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 500 }] });
    const ids = Array.from({ length: 60 }, () => {
      const placed = rig.shop.orders.place({ lines: [{ sku: 'MUG', quantity: 2 }] });
      return placed.kind === 'accepted' ? placed.order.id : '';
    });
    const fetched = await rig.connector.fetchOrders([...ids, '404', '1,2'], never);
    expect(fetched.orders.map(({ orderId }) => orderId)).toEqual(ids);
    expect(fetched.orders.every(({ lines }) => lines[0]?.counters.ordered === 2)).toBe(true);
    expect(fetched.parked).toMatchObject([{ what: 'order', reference: '1,2' }]);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('one refused id does not take the others along', async () => {
    await using rig = await sandboxRig();
    rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 5 }] });
    const placed = rig.shop.orders.place({ lines: [{ sku: 'MUG' }] });
    const id = placed.kind === 'accepted' ? placed.order.id : '';
    // The pair is refused, then the second id by itself.
    rig.shop.faults.set([
      { kind: 'code', operation: 'order-detail', code: 21008111, message: 'not yours', count: 1 },
      { kind: 'code', operation: 'order-detail', code: 21008111, message: 'not yours', count: 1, skip: 1 },
    ]);
    const fetched = await rig.connector.fetchOrders([id, '404'], never);
    expect(fetched.orders.map(({ orderId }) => orderId)).toEqual([id]);
    expect(fetched.parked).toMatchObject([{ reference: '404' }]);
  });
});
