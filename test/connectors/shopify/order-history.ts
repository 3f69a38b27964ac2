import * as fc from 'fast-check';

/** An order as it really went, and how Shopify tells it: as the body of a webhook, and in GraphQL. */
interface LineHistory {
  readonly id: number;
  readonly isTracked: boolean;
  readonly hasVariant: boolean;
  quantity: number;
  cancelled: number;
  edited: number;
  writtenOff: number;
  shipped: number;
  restocked: number;
  /** Paid back after shipping, kept by the buyer. */
  paidBack: number;
}

interface Row {
  readonly line: LineHistory;
  readonly units: number;
}

export class OrderHistory {
  readonly lines: LineHistory[] = [];
  readonly refunds: (Row & { readonly type: string; readonly location: number | null })[][] = [];
  readonly fulfillments: { readonly rows: Row[]; readonly location: number; status: string }[] = [];
  isCancelled = false;

  openOf(line: LineHistory): number {
    return line.quantity - line.cancelled - line.edited - line.writtenOff - line.shipped;
  }

  /** Without refunded and removed units. */
  currentOf(line: LineHistory): number {
    return line.quantity - line.cancelled - line.edited - line.writtenOff - line.restocked - line.paidBack;
  }

  webhook(): Record<string, unknown> {
    return {
      id: 5_000_000_000_001,
      admin_graphql_api_id: 'gid://shopify/Order/5000000000001',
      created_at: '2026-11-01T10:00:00+02:00',
      updated_at: '2026-11-02T10:00:00+02:00',
      cancelled_at: this.isCancelled ? '2026-11-02T10:00:00+02:00' : null,
      confirmed: true,
      source_name: 'web',
      line_items: this.lines.map((line) => ({
        id: line.id,
        sku: `SKU-${line.id}`,
        quantity: line.quantity,
        current_quantity: this.currentOf(line),
        fulfillable_quantity: this.openOf(line),
        gift_card: false,
        variant_id: line.hasVariant ? line.id + 7_000 : null,
        variant_inventory_management: line.isTracked && line.hasVariant ? 'shopify' : null,
      })),
      refunds: this.refunds.map((rows, index) => ({
        id: index + 1,
        refund_line_items: rows.map((row) => ({
          line_item_id: row.line.id,
          quantity: row.units,
          restock_type: row.type,
          location_id: row.location,
        })),
      })),
      fulfillments: this.fulfillments.map((fulfillment, index) => ({
        id: index + 1,
        status: fulfillment.status,
        location_id: fulfillment.location,
        line_items: fulfillment.rows.map((row) => ({ id: row.line.id, quantity: row.units })),
      })),
    };
  }

  graphql(): Record<string, unknown> {
    const whole = (nodes: unknown[]) => ({ nodes, pageInfo: { hasNextPage: false, endCursor: null } });
    return {
      id: 'gid://shopify/Order/5000000000001',
      createdAt: '2026-11-01T08:00:00Z',
      updatedAt: '2026-11-02T08:00:00Z',
      cancelledAt: this.isCancelled ? '2026-11-02T08:00:00Z' : null,
      confirmed: true,
      sourceName: 'web',
      lineItems: whole(
        this.lines.map((line) => ({
          id: `gid://shopify/LineItem/${line.id}`,
          sku: `SKU-${line.id}`,
          quantity: line.quantity,
          currentQuantity: this.currentOf(line),
          unfulfilledQuantity: this.openOf(line),
          isGiftCard: false,
          variant: line.hasVariant
            ? {
                id: `gid://shopify/ProductVariant/${line.id + 7_000}`,
                inventoryItem: {
                  id: `gid://shopify/InventoryItem/${line.id + 9_000}`,
                  tracked: line.isTracked,
                },
              }
            : null,
        })),
      ),
      refunds: this.refunds.map((rows, index) => ({
        id: `gid://shopify/Refund/${index + 1}`,
        refundLineItems: whole(
          rows.map((row) => ({
            quantity: row.units,
            restockType: row.type.toUpperCase(),
            location: row.location === null ? null : { id: `gid://shopify/Location/${row.location}` },
            lineItem: { id: `gid://shopify/LineItem/${row.line.id}` },
          })),
        ),
      })),
      fulfillments: this.fulfillments.map((fulfillment, index) => ({
        id: `gid://shopify/Fulfillment/${index + 1}`,
        status: fulfillment.status.toUpperCase(),
        location: { id: `gid://shopify/Location/${fulfillment.location}` },
        fulfillmentLineItems: whole(
          fulfillment.rows.map((row) => ({
            quantity: row.units,
            lineItem: { id: `gid://shopify/LineItem/${row.line.id}` },
          })),
        ),
      })),
    };
  }
}

type Step = {
  readonly what: string;
  readonly line: number;
  readonly units: number;
  readonly location: number;
};

const step = fc.record({
  what: fc.constantFrom(
    'cancel',
    'lose',
    'ship',
    'return',
    'pay-back',
    'edit-off',
    'edit-on',
    'undo-shipment',
  ),
  line: fc.nat({ max: 3 }),
  units: fc.integer({ min: 1, max: 4 }),
  location: fc.constantFrom(11, 12),
});

export const orderHistories = fc
  .record({
    lines: fc.array(
      fc.record({
        quantity: fc.integer({ min: 1, max: 9 }),
        isTracked: fc.boolean(),
        hasVariant: fc.constantFrom(true, true, true, false),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    steps: fc.array(step, { maxLength: 14 }),
    isCancelledAtLast: fc.boolean(),
  })
  .map(({ lines, steps, isCancelledAtLast }) => {
    const history = new OrderHistory();
    lines.forEach(({ quantity, isTracked, hasVariant }, index) =>
      history.lines.push({
        id: 900 + index,
        isTracked,
        hasVariant,
        quantity,
        cancelled: 0,
        edited: 0,
        writtenOff: 0,
        shipped: 0,
        restocked: 0,
        paidBack: 0,
      }),
    );
    for (const next of steps) take(history, next);
    if (isCancelledAtLast) cancelWhole(history);
    return history;
  });

function take(history: OrderHistory, { what, line: index, units: wanted, location }: Step): void {
  const line = history.lines[index % history.lines.length];
  if (line === undefined) return;
  const open = Math.min(wanted, history.openOf(line));
  const kept = Math.min(wanted, line.shipped - line.restocked - line.paidBack);
  const refund = (units: number, type: string, at: number | null) =>
    history.refunds.push([{ line, units, type, location: at }]);
  if (what === 'edit-on') line.quantity += wanted;
  if (what === 'undo-shipment') undoShipment(history);
  if (open > 0) {
    if (what === 'cancel') {
      line.cancelled += open;
      refund(open, 'cancel', location);
    }
    if (what === 'lose') {
      line.writtenOff += open;
      refund(open, 'no_restock', null);
    }
    if (what === 'edit-off') line.edited += open;
    if (what === 'ship') {
      line.shipped += open;
      history.fulfillments.push({ rows: [{ line, units: open }], location, status: 'success' });
    }
  }
  if (kept > 0 && what === 'return') {
    line.restocked += kept;
    refund(kept, 'return', location);
  }
  if (kept > 0 && what === 'pay-back') {
    line.paidBack += kept;
    refund(kept, 'no_restock', null);
  }
}

/** Only a shipment none of whose units were refunded can be undone. */
function undoShipment(history: OrderHistory): void {
  const last = history.fulfillments.at(-1);
  if (last === undefined || last.status !== 'success') return;
  if (last.rows.some(({ line }) => line.restocked + line.paidBack > 0)) return;
  for (const { line, units } of last.rows) line.shipped -= units;
  last.status = 'cancelled';
}

function cancelWhole(history: OrderHistory): void {
  // An edit that left no refund cannot be told apart from a cancellation whose refund is not written yet.
  if (history.lines.some((line) => line.shipped > 0 || line.edited > 0)) return;
  history.isCancelled = true;
  const rows = [];
  for (const line of history.lines) {
    const units = history.openOf(line);
    if (units === 0) continue;
    line.cancelled += units;
    rows.push({ line, units, type: 'cancel', location: 11 });
  }
  if (rows.length > 0) history.refunds.push(rows);
}
