import type { ParsedDelivery, PlatformLine } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, momentOf, textOf } from '../raw-json.ts';
import { member, optionalUnits, parked, unitsOf } from './fields.ts';
import { countersOf, orderStateOf } from './line-counters.ts';
import type { RestorePolicy } from './options.ts';
import { lineOf, maxOrderLines } from './order.ts';

type OrderPart = Pick<ParsedDelivery, 'orders' | 'orderHints' | 'parked'>;

/**
 * An ORDER_CHANGE notification. It holds SKUs and quantities, so stock is committed without a request; it is a push, so
 * it can only raise counters. Whatever it leaves open (when the order was placed, why it was cancelled, other items) is
 * asked for. A buyer's request to cancel changes nothing.
 */
export function readOrderChange(payload: JsonRecord, eventTime: unknown, policy: RestorePolicy): OrderPart {
  const change = member(payload, 'OrderChangeNotification') ?? payload;
  const orderId = textOf(change['AmazonOrderId']) ?? '';
  if (orderId === '')
    return { orders: [], orderHints: [], parked: [parked('delivery', 'ORDER_CHANGE', 'it names no order')] };
  const asked: OrderPart = { orders: [], orderHints: [orderId], parked: [] };
  const summary = member(change, 'Summary');
  const items = listOf(summary?.['OrderItems']);
  if (summary === undefined || items === undefined || items.length > maxOrderLines) return asked;
  const fulfilment = textOf(summary['FulfillmentType']);
  if (fulfilment === 'AFN') return { orders: [], orderHints: [], parked: [] };
  const state = orderStateOf(textOf(summary['OrderStatus']) ?? '');
  const placedAtMs = momentOf(summary['PurchaseDate']);
  const trigger = member(change, 'OrderChangeTrigger');
  const changedAtMs = momentOf(trigger?.['TimeOfOrderChange']) ?? momentOf(eventTime);
  // Without its time nobody can tell an order of today from one that the opening figures contain already.
  if (fulfilment !== 'MFN' || state === 'unknown' || placedAtMs === undefined || changedAtMs === undefined)
    return asked;
  if (state === 'not-yet' || state === 'ignored') return { orders: [], orderHints: [], parked: [] };

  const lines: PlatformLine[] = [];
  for (const item of items) {
    const record = isRecord(item) ? item : {};
    const lineId = textOf(record['OrderItemId']) ?? '';
    const ordered = unitsOf(record['Quantity']);
    // The Orders API tells the same item in another form: parking waits for what that says.
    if (lineId === '' || ordered.kind === 'bad') return asked;
    const isItemShipped = textOf(record['OrderItemStatus']) === 'Shipped';
    const shipped = optionalUnits(record['QuantityShipped']) ?? (isItemShipped ? ordered.value : undefined);
    const counted = countersOf(
      { ordered: ordered.value, shipped, isItemCancelled: false, cancelledBy: undefined },
      state,
      policy,
    );
    lines.push(lineOf(lineId, textOf(record['SellerSKU']) ?? textOf(record['SellerSku']) ?? '', counted));
  }
  const isWhole = textOf(change['NotificationLevel']) === 'OrderLevel';
  const order = { orderId, placedAtMs, changedAtMs, sourceName: '', lines, isPartial: false };
  const isRequest = textOf(change['OrderChangeType']) === 'BuyerRequestedChange';
  // Who cancelled is only in the Orders API, and so are the items that an item-level message leaves out.
  const mustAsk = state === 'cancelled' || (!isWhole && !isRequest);
  return { orders: [order], orderHints: mustAsk ? [orderId] : [], parked: [] };
}
