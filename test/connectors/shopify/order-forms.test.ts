import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PlatformOrder } from '../../../src/connectors/connector.ts';
import { type JsonRecord, parseJsonText } from '../../../src/connectors/raw-json.ts';
import { readGraphqlOrder } from '../../../src/connectors/shopify/graphql-order.ts';
import { platformOrderOf } from '../../../src/connectors/shopify/order-facts.ts';
import { readRestOrder } from '../../../src/connectors/shopify/rest-order.ts';
import { committedOf } from '../../../src/domain/order.ts';
import { OrderHistory, orderHistories } from './order-history.ts';

const noBypass: ReadonlySet<string> = new Set();

/** Through text and back, as it comes over the wire. */
function wire(value: unknown): JsonRecord {
  const parsed = parseJsonText(JSON.stringify(value));
  if (parsed.kind === 'bad') throw new Error(parsed.reason);
  return parsed.value as JsonRecord;
}

function fromWebhook(history: OrderHistory): PlatformOrder {
  const reading = readRestOrder(wire(history.webhook()));
  if (reading.kind !== 'order') throw new Error(reading.kind);
  return platformOrderOf(reading.facts, noBypass).order;
}

function fromGraphql(history: OrderHistory, withFulfillments = true): PlatformOrder {
  const order = wire(history.graphql());
  const nodes = (parent: unknown, name: string) =>
    ((parent as Record<string, { nodes: unknown[] }>)[name] as { nodes: unknown[] }).nodes;
  const reading = readGraphqlOrder({
    order,
    lines: nodes(order, 'lineItems'),
    refunds: (order['refunds'] as readonly JsonRecord[]).map((refund) => ({
      refund,
      rows: nodes(refund, 'refundLineItems'),
    })),
    fulfillments: withFulfillments
      ? (order['fulfillments'] as readonly JsonRecord[]).map((fulfillment) => ({
          fulfillment,
          rows: nodes(fulfillment, 'fulfillmentLineItems'),
        }))
      : undefined,
    isPartial: false,
  });
  if (reading.kind !== 'order') throw new Error(reading.kind);
  return platformOrderOf(reading.facts, noBypass).order;
}

/** The one intended difference: a webhook names the variant, GraphQL the inventory item. */
const withoutItems = (order: PlatformOrder) => ({
  ...order,
  lines: order.lines.map((line) => ({ ...line, itemId: line.itemId === null ? null : 'an item' })),
});

test('a webhook and a fetch of the same order say the same', () => {
  fc.assert(
    fc.property(orderHistories, (history) => {
      expect(withoutItems(fromWebhook(history))).toEqual(withoutItems(fromGraphql(history)));
    }),
    { numRuns: 2_000 },
  );
});

test('the counters are what really happened to each line', () => {
  fc.assert(
    fc.property(orderHistories, (history) => {
      const order = fromGraphql(history);
      history.lines.forEach((line, index) => {
        const counters = order.lines[index]?.counters;
        expect(counters).toMatchObject({
          ordered: line.quantity,
          cancelled: line.cancelled + line.edited,
          writtenOff: line.writtenOff,
          shipped: line.shipped,
          restocked: line.restocked,
          takenOut: line.isTracked && line.hasVariant ? line.quantity : 0,
        });
        if (counters !== undefined) expect(committedOf(counters)).toBe(history.openOf(line));
      });
    }),
    { numRuns: 2_000 },
  );
});

test('without fulfilments, what left follows from what is open', () => {
  fc.assert(
    fc.property(orderHistories, (history) => {
      const order = fromGraphql(history, false);
      history.lines.forEach((line, index) => {
        const counters = order.lines[index]?.counters;
        if (counters === undefined || (history.isCancelled && line.writtenOff > 0)) return;
        expect(committedOf(counters)).toBe(history.openOf(line));
        // Paid back before or after shipping cannot be told apart, and lowers on-hand by the same.
        expect(counters.shipped + counters.writtenOff).toBe(line.shipped + line.writtenOff);
        expect(counters.restocked).toBe(line.restocked);
      });
    }),
    { numRuns: 2_000 },
  );
});

describe('what Shopify took from the listing is not known', () => {
  function onlyLine(change: (history: OrderHistory) => void) {
    const history = new OrderHistory();
    const line = {
      id: 900,
      isTracked: true,
      hasVariant: true,
      quantity: 3,
      cancelled: 0,
      edited: 0,
      writtenOff: 0,
      shipped: 0,
      restocked: 0,
      paidBack: 0,
    };
    history.lines.push(line);
    change(history);
    return fromWebhook(history).lines[0];
  }

  test('when an edit took units off without a refund', () => {
    const line = onlyLine((history) => history.lines.forEach((one) => (one.edited = 1)));
    expect(line).toMatchObject({ takenIsKnown: false, counters: { cancelled: 1, writtenOff: 0 } });
  });

  test('when a return was put on another shelf than the one it left', () => {
    const line = onlyLine((history) => {
      const [one] = history.lines;
      if (one === undefined) return;
      one.shipped = 3;
      one.restocked = 1;
      history.fulfillments.push({ rows: [{ line: one, units: 3 }], location: 11, status: 'success' });
      history.refunds.push([{ line: one, units: 1, type: 'return', location: 12 }]);
    });
    expect(line).toMatchObject({
      takenIsKnown: false,
      shippedFrom: [{ locationId: '11', units: 3 }],
      restockedAt: [{ locationId: '12', units: 1 }],
    });
  });

  test('but it is when nothing of this happened', () => {
    expect(onlyLine(() => undefined)).toMatchObject({
      takenIsKnown: true,
      counters: { takenOut: 3, givenBack: 0 },
    });
  });
});

describe('orders from special places', () => {
  const body = (overrides: Record<string, unknown>, line: Record<string, unknown> = {}): JsonRecord => {
    const history = new OrderHistory();
    history.lines.push({
      id: 900,
      isTracked: true,
      hasVariant: true,
      quantity: 2,
      cancelled: 0,
      edited: 0,
      writtenOff: 0,
      shipped: 0,
      restocked: 0,
      paidBack: 0,
    });
    const webhook = history.webhook();
    const [only] = webhook['line_items'] as Record<string, unknown>[];
    return wire({ ...webhook, line_items: [{ ...only, ...line }], ...overrides });
  };
  const lineOf = (record: JsonRecord, bypass = noBypass) => {
    const reading = readRestOrder(record);
    if (reading.kind !== 'order') throw new Error(reading.kind);
    return platformOrderOf(reading.facts, bypass).order.lines[0];
  };

  test('an app that claims no inventory takes nothing that we know of', () => {
    const line = lineOf(body({ source_name: 'importer' }), new Set(['importer']));
    expect(line).toMatchObject({ takenIsKnown: false, counters: { ordered: 2, takenOut: 0 } });
  });

  test('an order whose inventory is not claimed yet takes nothing yet', () => {
    expect(lineOf(body({ confirmed: false }))).toMatchObject({
      takenIsKnown: false,
      counters: { takenOut: 0 },
    });
  });

  test('a cancelled order without refunds keeps its units until the refund says what becomes of them', () => {
    const record = body(
      { cancelled_at: '2026-11-02T10:00:00Z' },
      { current_quantity: 0, fulfillable_quantity: 0 },
    );
    expect(lineOf(record)).toMatchObject({
      counters: { ordered: 2, cancelled: 0, writtenOff: 0, givenBack: 0 },
    });
  });

  test('a cancelled order whose units no refund names may not lower what is known of it', () => {
    const mayLower = (record: JsonRecord) => {
      const reading = readRestOrder(record);
      return reading.kind === 'order' && platformOrderOf(reading.facts, noBypass).order.mayLower;
    };
    const gone = { current_quantity: 0, fulfillable_quantity: 0 };
    const cancelled_at = '2026-11-02T10:00:00Z';
    const refund_line_items = [{ line_item_id: 900, quantity: 2, restock_type: 'cancel', location_id: 11 }];
    expect(mayLower(body({ cancelled_at }, gone))).toBe(false);
    expect(mayLower(body({ cancelled_at, refunds: [{ id: 5, refund_line_items }] }, gone))).toBe(true);
    expect(mayLower(body({}, { current_quantity: 1, fulfillable_quantity: 1 }))).toBe(true);
  });

  test("an order that names no source is nobody else's", () => {
    for (const source_name of [null, undefined]) {
      const reading = readRestOrder(body({ source_name }));
      expect(reading.kind === 'order' && reading.facts.sourceName).toBe('');
    }
  });

  test('a test order counts: Shopify took its units', () => {
    expect(lineOf(body({ test: true }))).toMatchObject({ counters: { takenOut: 2 } });
  });

  test('an untracked line is sold, but taken from no listing', () => {
    const line = lineOf(body({}, { variant_inventory_management: null }));
    expect(line).toMatchObject({ itemId: null, counters: { ordered: 2, takenOut: 0 } });
  });

  test('a deleted variant keeps its SKU and names no item', () => {
    const line = lineOf(body({}, { variant_id: null, variant_inventory_management: null }));
    expect(line).toMatchObject({ itemId: null, sku: 'SKU-900', takenIsKnown: false });
  });

  test('a gift card is no goods', () => {
    expect(lineOf(body({}, { gift_card: true, variant_inventory_management: null }))).toBeUndefined();
  });

  test.each([
    ['a missing list of refunds', { refunds: undefined }],
    [
      'a refund that cannot be read',
      {
        refunds: [
          { id: 1, refund_line_items: [{ line_item_id: 900, quantity: -1, restock_type: 'cancel' }] },
        ],
      },
    ],
    [
      'a restock type that is not known',
      {
        refunds: [
          { id: 1, refund_line_items: [{ line_item_id: 900, quantity: 1, restock_type: 'teleport' }] },
        ],
      },
    ],
    [
      'a shipment of a line that is not listed',
      { fulfillments: [{ id: 1, status: 'success', line_items: [{ id: 901, quantity: 1 }] }] },
    ],
  ])('%s makes the order partial, and nothing is cancelled by it', (_name, overrides) => {
    const reading = readRestOrder(body(overrides, { current_quantity: 0 }));
    if (reading.kind !== 'order') throw new Error(reading.kind);
    const { order } = platformOrderOf({ ...reading.facts }, noBypass);
    expect(order.isPartial).toBe(true);
    if (!('fulfillments' in overrides)) expect(order.lines[0]?.counters.cancelled).toBe(0);
  });
});
