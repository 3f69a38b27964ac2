import { assert, boolean, constantFrom, nat, option, property } from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OrderRequest } from '../../../sandbox/amazon/orders.ts';
import { countersOf, orderStateOf } from '../../../src/connectors/amazon/line-counters.ts';
import { readOrders } from '../../../src/connectors/amazon/order.ts';
import type { PlatformLine } from '../../../src/connectors/connector.ts';
import { never, rejection } from '../shopify/parts.ts';
import { fixture } from './models.ts';
import { type Rig, rigFor } from './parts.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await rigFor();
  rig.seller.addListing({ sku: 'MUG-1', quantity: 20 });
  rig.seller.addListing({ sku: 'MUG-2', quantity: 20 });
});
afterEach(() => rig.close());

function place(quantity = 3, more: Partial<OrderRequest> = {}): string {
  const placed = rig.seller.orders.place({ lines: [{ sku: 'MUG-1', quantity }], ...more });
  if (placed.kind !== 'accepted') throw new Error(placed.kind);
  return placed.order.orderId;
}

async function lineOf(orderId: string, of = rig.connector): Promise<PlatformLine | undefined> {
  const { orders, parked } = await of.fetchOrders([orderId], never);
  expect(parked).toEqual([]);
  expect(orders).toHaveLength(1);
  return orders[0]?.lines[0];
}

/** A made-up order in the form of the Orders API. */
function orderNode(more: object, item: object = {}): Record<string, unknown> {
  return {
    orderId: '902-1-1',
    createdTime: '2026-11-21T09:00:00Z',
    lastUpdatedTime: '2026-11-21T09:05:00Z',
    salesChannel: { channelName: 'AMAZON' },
    fulfillment: { fulfillmentStatus: 'UNSHIPPED', fulfilledBy: 'MERCHANT' },
    orderItems: [{ orderItemId: '1', quantityOrdered: 2, product: { sellerSku: 'MUG-1' }, ...item }],
    ...more,
  };
}

describe('parked with its reason, the rest goes on', () => {
  test.each([
    ['no order', 'text', 'no object'],
    ['no id', orderNode({ orderId: '' }), 'no id'],
    ['no time', orderNode({ lastUpdatedTime: 'yesterday' }), 'no times'],
    ['nobody fulfils it', orderNode({ fulfillment: { fulfillmentStatus: 'UNSHIPPED' } }), 'who fulfils'],
    ['no items', orderNode({ orderItems: null }), 'no list of items'],
  ])('%s', (_what, node, reason) => {
    const read = readOrders([node, orderNode({ orderId: '902-2-2' })], 'byReason');
    expect(read.parked).toHaveLength(1);
    expect(read.parked[0]?.reason).toContain(reason);
    expect(read.orders.map((order) => order.orderId)).toEqual(['902-2-2']);
  });

  test.each([-1, 1.5, '2e3', null, 2 ** 53, undefined])('the quantity %s', (quantityOrdered) => {
    const good = { orderItemId: '2', quantityOrdered: 1, product: { sellerSku: 'MUG-2' } };
    const bad = { orderItemId: '1', quantityOrdered, product: { sellerSku: 'MUG-1' } };
    const read = readOrders([orderNode({ orderItems: [bad, good] })], 'byReason');
    expect(read.parked).toMatchObject([{ what: 'order-line', reference: '902-1-1/1' }]);
    expect(read.orders[0]?.lines.map((line) => line.lineId)).toEqual(['2']);
  });

  test('a status nobody has heard of counts as open, and is shown', () => {
    const fulfillment = { fulfillmentStatus: 'TELEPORTED', fulfilledBy: 'MERCHANT' };
    const read = readOrders([orderNode({ fulfillment })], 'byReason');
    expect(read.parked[0]?.reason).toContain('TELEPORTED');
    expect(read.orders[0]?.lines[0]).toMatchObject({
      counters: { ordered: 2, takenOut: 2 },
      takenIsKnown: false,
    });
  });

  test('a parked row holds no personal data', () => {
    const node = orderNode({ recipient: { name: 'Ada Lovelace' }, createdTime: 7 });
    expect(JSON.stringify(readOrders([node], 'byReason'))).not.toContain('Ada');
  });
});

test('an order that Amazon does not know is absent', async () => {
  const orderId = place();
  const { orders, parked } = await rig.connector.fetchOrders(
    ['902-0000000-0000000', orderId, orderId],
    never,
  );
  expect(orders.map((order) => order.orderId)).toEqual([orderId]);
  expect(parked).toEqual([]);
});

test('an outage is thrown, not answered as "no orders"', async () => {
  rig.seller.setFaults([{ kind: 'status', operation: 'getOrder', status: 503 }]);
  expect((await rejection(rig.connector.fetchOrders([place()], never))).code).toBe('CONNECTOR_UNREACHABLE');
});

describe('what each status does to a line', () => {
  test('pending: committed, and taken from the listing already', async () => {
    expect(await lineOf(place(3))).toMatchObject({
      sku: 'MUG-1',
      itemId: 'MUG-1',
      counters: { ordered: 3, cancelled: 0, shipped: 0, takenOut: 3, givenBack: 0 },
      takenIsKnown: true,
    });
  });

  test('a pre-order has no effect until it is pending', async () => {
    const orderId = place(3, { status: 'PENDING_AVAILABILITY' });
    expect(await lineOf(orderId)).toBeUndefined();
    rig.seller.orders.confirm(orderId);
    expect(await lineOf(orderId)).toMatchObject({ counters: { ordered: 3, takenOut: 3 } });
  });

  test('shipped in part, then as a whole', async () => {
    const orderId = place(3, { status: 'UNSHIPPED' });
    rig.seller.orders.ship(orderId, { sku: 'MUG-1', quantity: 1 });
    expect(await lineOf(orderId)).toMatchObject({ counters: { ordered: 3, shipped: 1, cancelled: 0 } });
    rig.seller.orders.ship(orderId);
    expect(await lineOf(orderId)).toMatchObject({ counters: { ordered: 3, shipped: 3, cancelled: 0 } });
  });

  test("a buyer's request to cancel changes nothing", async () => {
    const orderId = place(3, { status: 'UNSHIPPED' });
    const before = await lineOf(orderId);
    rig.seller.orders.requestCancel(orderId);
    expect(await lineOf(orderId)).toEqual(before);
  });

  test('what Amazon fulfils never touches the stock of the seller', async () => {
    const orderId = place(3, { fulfilledBy: 'AMAZON', status: 'UNSHIPPED' });
    expect(await lineOf(orderId)).toBeUndefined();
  });

  test.each([
    ['byReason', 'BUYER', 3, false],
    ['byReason', 'AMAZON', 3, false],
    ['byReason', 'MERCHANT', 0, false],
    ['always', 'MERCHANT', 3, true],
    ['never', 'BUYER', 0, true],
  ] as const)('cancelled, policy %s, by %s: given back %i', async (policy, by, givenBack, takenIsKnown) => {
    const orderId = place(3);
    rig.seller.orders.cancel(orderId, by);
    expect(await lineOf(orderId, rig.second({ restoreOnCancel: policy }))).toMatchObject({
      counters: { ordered: 3, cancelled: 3, takenOut: 3, givenBack },
      takenIsKnown,
    });
  });

  test('the ordered quantity is blanked by the cancellation: everything falls to zero, nothing is known', async () => {
    rig.seller.settings.zeroQuantityOnCancel = true;
    const orderId = place(3);
    rig.seller.orders.cancel(orderId);
    expect(await lineOf(orderId)).toMatchObject({
      counters: { ordered: 0, cancelled: 0, takenOut: 0, givenBack: 0 },
      takenIsKnown: false,
    });
  });
});

test('both spellings of every status mean the same', () => {
  for (const [old, now] of [
    ['PendingAvailability', 'PENDING_AVAILABILITY'],
    ['Pending', 'PENDING'],
    ['Unshipped', 'UNSHIPPED'],
    ['PartiallyShipped', 'PARTIALLY_SHIPPED'],
    ['Shipped', 'SHIPPED'],
    ['Canceled', 'CANCELLED'],
    ['Unfulfillable', 'UNFULFILLABLE'],
  ] as const) {
    expect(orderStateOf(old)).toBe(orderStateOf(now));
    expect(orderStateOf(now)).not.toBe('unknown');
  }
});

test('counters are whole, never negative, and nothing stays committed once an order is over', () => {
  assert(
    property(
      nat(1_000),
      option(nat(1_000), { nil: undefined }),
      boolean(),
      constantFrom('pending', 'open', 'shipped', 'cancelled', 'unknown'),
      constantFrom('always', 'never', 'byReason'),
      constantFrom('BUYER', 'MERCHANT', 'AMAZON', undefined),
      (ordered, stated, isItemCancelled, state, policy, cancelledBy) => {
        const shipped = stated === undefined ? undefined : Math.min(stated, ordered);
        const { counters } = countersOf({ ordered, shipped, isItemCancelled, cancelledBy }, state, policy);
        for (const units of Object.values(counters)) expect(units).toBeGreaterThanOrEqual(0);
        const open = counters.ordered - counters.cancelled - counters.shipped;
        expect(open).toBeGreaterThanOrEqual(0);
        if (state === 'cancelled' || state === 'shipped') expect(open).toBe(0);
        expect(counters.givenBack).toBeLessThanOrEqual(counters.cancelled);
      },
    ),
  );
});

test('the samples of the official sandbox can be read', () => {
  const cases = fixture('static-sandbox-cases') as readonly {
    operationId: string;
    status: number;
    response: { order?: unknown; orders?: readonly unknown[] };
  }[];
  const nodes = cases
    .filter((of) => of.status === 200 && /^(?:searchOrders|getOrder)$/.test(of.operationId))
    .flatMap(({ response }) => response.orders ?? [response.order]);
  expect(nodes.length).toBeGreaterThan(2);
  const read = readOrders(nodes, 'byReason');
  expect(read.orders.length + read.parked.length).toBeGreaterThanOrEqual(nodes.length);
  for (const row of read.parked) expect(row.reason).toContain('who fulfils');
});
