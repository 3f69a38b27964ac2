import { describe, expect, test } from 'vitest';
import type { Order } from '../../../sandbox/shopify/model.ts';
import type { PlatformOrder } from '../../../src/connectors/connector.ts';
import type { OrderFacts } from '../../../src/connectors/shopify/order-facts.ts';
import { platformOrderOf } from '../../../src/connectors/shopify/order-facts.ts';
import { isRefundSettled } from '../../../src/connectors/shopify/order-fields.ts';
import { committedOf } from '../../../src/domain/order.ts';
import { never } from './parts.ts';
import { type SandboxRig, sandboxRig } from './sandbox-shop.ts';

async function shopOfTwo(): Promise<SandboxRig & { readonly main: string; readonly second: string }> {
  const rig = await sandboxRig();
  const second = rig.shop.addLocation({ name: 'Second' });
  const main = [...rig.shop.inventory.locations.values()].find((location) => location !== second);
  return { ...rig, main: main?.number ?? '', second: second.number };
}

function placed(rig: SandboxRig, lines: readonly { sku: string; quantity: number }[]): Order {
  const result = rig.shop.placeOrder({ lines });
  if (result.kind !== 'accepted') throw new Error('the order was refused');
  return result.order;
}

async function fetched(rig: SandboxRig, order: Order): Promise<PlatformOrder> {
  const { orders, parked } = await rig.connector.fetchOrders([order.number], never);
  expect(parked).toEqual([]);
  const [found] = orders;
  if (found === undefined) throw new Error('the order was not found');
  return found;
}

describe('in a shop of two locations', () => {
  test('every line of a long order says where it is committed', async () => {
    await using rig = await shopOfTwo();
    const skus = Array.from({ length: 260 }, (_, i) => `S${i}`);
    // Every third article lies at the main location, so both fulfilment orders are long.
    skus.forEach((sku, i) => rig.shop.addItem({ sku, quantities: i % 3 === 0 ? 5 : { Second: 5 } }));
    const order = placed(
      rig,
      skus.map((sku) => ({ sku, quantity: 1 })),
    );
    const { lines } = await fetched(rig, order);
    expect(lines).toHaveLength(skus.length);
    for (const line of lines) {
      const locationId = Number(line.sku.slice(1)) % 3 === 0 ? rig.main : rig.second;
      expect(line.committedAt, line.sku).toEqual([{ locationId, units: 1 }]);
    }
  });

  test('units refunded without restock say where they are missing, however late the order is seen', async () => {
    await using rig = await shopOfTwo();
    rig.shop.addItem({ sku: 'A', quantities: { Second: 9 } });
    const order = placed(rig, [{ sku: 'A', quantity: 3 }]);
    const lineId = order.lines[0]?.id ?? '';
    rig.shop.refund(order.id, { lines: [{ lineId, quantity: 2, restockType: 'NO_RESTOCK' }] });
    expect((await fetched(rig, order)).lines[0]).toMatchObject({
      counters: { ordered: 3, writtenOff: 2 },
      lostFrom: [{ locationId: rig.second, units: 2 }],
      committedAt: [{ locationId: rig.second, units: 1 }],
    });
    rig.shop.refund(order.id, { lines: [{ lineId, quantity: 1, restockType: 'NO_RESTOCK' }] });
    const whole = (await fetched(rig, order)).lines[0];
    expect(whole).toMatchObject({ lostFrom: [{ locationId: rig.second, units: 3 }] });
    expect(whole?.committedAt).toBeUndefined();
  });

  test('so does an order that was cancelled without restock', async () => {
    await using rig = await shopOfTwo();
    rig.shop.addItem({ sku: 'A', quantities: { Second: 9 } });
    const order = placed(rig, [{ sku: 'A', quantity: 3 }]);
    rig.shop.cancelOrder(order.id, { restock: false });
    expect((await fetched(rig, order)).lines[0]).toMatchObject({
      counters: { ordered: 3, writtenOff: 3, cancelled: 0 },
      lostFrom: [{ locationId: rig.second, units: 3 }],
    });
  });
});

describe('units lost from fulfilment orders', () => {
  const place = (locationId: string | undefined, units: number) => ({ lineId: '9', units, locationId });
  const facts: OrderFacts = {
    orderId: '1',
    placedAtMs: 0,
    changedAtMs: 0,
    sourceName: 'web',
    isCancelled: false,
    isRefundSettled: false,
    isClaimed: true,
    lines: [
      {
        lineId: '9',
        sku: 'A',
        itemId: '5',
        quantity: 6,
        currentQuantity: 2,
        openQuantity: 2,
        isTracked: true,
        hasVariant: true,
        isGiftCard: false,
      },
    ],
    refunds: [
      { lineId: '9', units: 3, restock: 'none', locationId: undefined },
      { lineId: '9', units: 1, restock: 'cancel', locationId: 'east' },
    ],
    shipments: [],
    isPartial: false,
    parkedLineIds: new Set(),
  };
  const lostFrom = (places: OrderFacts['places']) =>
    platformOrderOf({ ...facts, places }, new Set()).order.lines[0]?.lostFrom;

  test('are what was assigned to a place and is neither open nor back there', () => {
    const open = [place('west', 2)];
    const assigned = [place('west', 4), place('east', 2)];
    expect(lostFrom({ open, assigned, only: undefined })).toEqual([
      { locationId: 'east', units: 1 },
      { locationId: 'west', units: 2 },
    ]);
  });

  test('are at the one place of the order where the sums do not tell', () => {
    // A platform that takes refunded units out of the total.
    const places = { open: [place('west', 2)], assigned: [place('west', 2)] };
    expect(lostFrom({ ...places, only: 'west' })).toEqual([{ locationId: 'west', units: 3 }]);
    expect(lostFrom({ ...places, only: undefined })).toBeUndefined();
    const nameless = [place(undefined, 6)];
    expect(lostFrom({ open: [], assigned: nameless, only: undefined })).toBeUndefined();
  });
});

describe('an order that was edited and then cancelled while nobody listened', () => {
  test('is open nowhere', async () => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'A', quantities: 9 });
    const order = placed(rig, [{ sku: 'A', quantity: 5 }]);
    rig.shop.editOrder(order.id, { set: [{ lineId: order.lines[0]?.id ?? '', quantity: 3 }] });
    rig.shop.cancelOrder(order.id);
    const { lines } = await fetched(rig, order);
    expect(lines[0]).toMatchObject({ counters: { ordered: 5, cancelled: 5 }, takenIsKnown: false });
    expect(lines[0] && committedOf(lines[0].counters)).toBe(0);
  });

  test('nor when its edit had left nothing to refund, once a refund would have been written', async () => {
    await using rig = await sandboxRig();
    rig.shop.addItem({ sku: 'A', quantities: 9 });
    const order = placed(rig, [{ sku: 'A', quantity: 5 }]);
    rig.shop.editOrder(order.id, { set: [{ lineId: order.lines[0]?.id ?? '', quantity: 0 }] });
    rig.shop.cancelOrder(order.id);
    const counters = async () => (await fetched(rig, order)).lines[0]?.counters;
    expect(await counters()).toMatchObject({ ordered: 5, cancelled: 0 });
    // As if it had been cancelled ten minutes ago.
    order.cancelledAt = Date.now() - 601_000;
    expect(await counters()).toMatchObject({ ordered: 5, cancelled: 5 });
  });

  test.each([
    ['its refund is written beside it', { refundedAtMs: 98_000 }, true],
    ['only an earlier refund is known', { refundedAtMs: 60_000 }, false],
    ['nothing is known yet', {}, false],
    ['an edited order is old enough', { isEdited: true, seenAtMs: 700_000 }, true],
    ['an order that was never edited is never old enough', { seenAtMs: 9_000_000 }, false],
    ['it is not cancelled', { cancelledAtMs: undefined, refundedAtMs: 98_000 }, false],
  ])('%s', (_name, more, expected) => {
    const order = { cancelledAtMs: 100_000, refundedAtMs: undefined, isEdited: false, seenAtMs: 101_000 };
    expect(isRefundSettled({ ...order, ...more })).toBe(expected);
  });
});
