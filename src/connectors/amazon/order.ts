import type { OrderFetch, ParkedRow, PlatformLine, PlatformOrder } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, momentOf, textOf } from '../raw-json.ts';
import { member, optionalUnits, parked, unitsOf } from './fields.ts';
import { type CountedLine, type OrderState, countersOf, orderStateOf } from './line-counters.ts';
import type { RestorePolicy } from './options.ts';

export const maxOrderLines = 10_000;
/** Without BUYER and RECIPIENT neither personal data nor a role for it is needed. */
export const includedOrderData = ['FULFILLMENT', 'CANCELLATION'] as const;

/** Orders API 2026-01-01. What cannot be read is parked, line by line where possible. */
export function readOrders(
  nodes: readonly unknown[],
  policy: RestorePolicy,
  /** Who fulfils an order that does not say it: the model makes no promise, but a search may have asked for one kind. */
  searchedFulfilment?: 'MERCHANT',
): OrderFetch {
  const orders: PlatformOrder[] = [];
  const rows: ParkedRow[] = [];
  for (const node of nodes) {
    const read = isRecord(node)
      ? readOrder(node, policy, searchedFulfilment)
      : { rows: [parked('order', '', 'the order is no object')] };
    if (read.order !== undefined) orders.push(read.order);
    rows.push(...read.rows);
  }
  return { orders, parked: rows };
}

function readOrder(
  node: JsonRecord,
  policy: RestorePolicy,
  searchedFulfilment: 'MERCHANT' | undefined,
): { order?: PlatformOrder; rows: readonly ParkedRow[] } {
  const orderId = textOf(node['orderId']) ?? '';
  const refuse = (reason: string) => ({ rows: [parked('order', orderId, reason)] });
  if (orderId === '') return refuse('the order has no id');
  const placedAtMs = momentOf(node['createdTime']);
  const changedAtMs = momentOf(node['lastUpdatedTime']);
  if (placedAtMs === undefined || changedAtMs === undefined) return refuse('the order has no times');
  const fulfilment = member(node, 'fulfillment');
  const fulfilledBy = textOf(fulfilment?.['fulfilledBy']) ?? searchedFulfilment;
  if (fulfilledBy !== 'MERCHANT' && fulfilledBy !== 'AMAZON')
    return refuse('the order does not say who fulfils it');
  const order = { orderId, placedAtMs, changedAtMs, sourceName: '', isPartial: false };
  // Stock in Amazon's warehouses is another stock: such an order never touches the seller's.
  if (fulfilledBy === 'AMAZON') return { order: { ...order, lines: [] }, rows: [] };
  const status = textOf(fulfilment?.['fulfillmentStatus']) ?? '';
  const state = orderStateOf(status);
  const items = listOf(node['orderItems']);
  if (items === undefined) return refuse('the order has no list of items');
  if (items.length > maxOrderLines) return refuse(`the order has more than ${maxOrderLines} items`);
  if (state === 'not-yet' || state === 'ignored') return { order: { ...order, lines: [] }, rows: [] };
  const lines: PlatformLine[] = [];
  const rows: ParkedRow[] = [];
  // Unknown words count as open: units that may be sold must not be sold again.
  if (state === 'unknown')
    rows.push(
      parked(
        'order',
        orderId,
        `its status ${JSON.stringify(status.slice(0, 60))} is not known: counted as open`,
      ),
    );
  for (const item of items) {
    const line = readItem(item, orderId, state, policy);
    if ('what' in line) rows.push(line);
    else lines.push(line);
  }
  return { order: { ...order, lines }, rows };
}

function readItem(
  item: unknown,
  orderId: string,
  state: OrderState,
  policy: RestorePolicy,
): PlatformLine | ParkedRow {
  const record = isRecord(item) ? item : {};
  const lineId = textOf(record['orderItemId']) ?? '';
  const sku = textOf(member(record, 'product')?.['sellerSku']) ?? '';
  const reference = `${orderId}/${lineId}`;
  if (lineId === '') return parked('order-line', reference, 'the item has no id', { sku });
  const ordered = unitsOf(record['quantityOrdered']);
  if (ordered.kind === 'bad')
    return parked('order-line', reference, ordered.reason, { sku, quantity: record['quantityOrdered'] });
  const fulfilment = member(record, 'fulfillment');
  const execution = member(member(record, 'cancellation'), 'cancellationExecution');
  const counted = countersOf(
    {
      ordered: ordered.value,
      shipped: optionalUnits(fulfilment?.['quantityFulfilled']),
      isItemCancelled: execution !== undefined,
      cancelledBy: textOf(execution?.['cancelledBy']),
    },
    state,
    policy,
  );
  return lineOf(lineId, sku, counted);
}

/**
 * A line of the seller's own stock. It names no place: Amazon knows one stock per SKU, and the channel's own order of
 * locations routes the units.
 */
export function lineOf(lineId: string, sku: string, counted: CountedLine): PlatformLine {
  return { lineId, sku, itemId: sku === '' ? null : sku, ...counted };
}
