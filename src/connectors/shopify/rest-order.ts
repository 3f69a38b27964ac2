import type { ParkedRow } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, momentOf, textOf } from '../raw-json.ts';
import { idOf, variantAlias } from './ids.ts';
import type { OrderFacts, OrderLineFacts, PlacedUnits, RefundRow } from './order-facts.ts';
import {
  hasLeft,
  isRefundSettled,
  maxOrderLines,
  newestRefundAt,
  optionalUnits,
  parkedLine,
  parkedOrder,
  restockOf,
  unitsOf,
} from './order-fields.ts';

export type RestReading =
  | { readonly kind: 'order'; readonly facts: OrderFacts; readonly parked: readonly ParkedRow[] }
  /** Its id can be read, but not its content: ask for the order. */
  | { readonly kind: 'hint'; readonly orderId: string; readonly parked: readonly ParkedRow[] }
  | { readonly kind: 'unreadable'; readonly parked: readonly ParkedRow[] };

/** An order in the REST shape that webhooks keep: snake case, ids as JSON numbers that doubles cannot hold. */
export function readRestOrder(body: JsonRecord): RestReading {
  const orderId = idOf(body['admin_graphql_api_id']) ?? idOf(body['id']);
  if (orderId === undefined) return { kind: 'unreadable', parked: [parkedOrder('', 'the order has no id')] };
  // `created_at` is when Shopify took the units; an import may give `processed_at` a date in the past.
  const createdAtMs = momentOf(body['created_at']) ?? momentOf(body['processed_at']);
  const updatedAtMs = momentOf(body['updated_at']) ?? createdAtMs;
  const rows = listOf(body['line_items']);
  if (createdAtMs === undefined || updatedAtMs === undefined || rows === undefined)
    return { kind: 'hint', orderId, parked: [] };
  if (rows.length > maxOrderLines)
    return { kind: 'hint', orderId, parked: [parkedOrder(orderId, `more than ${maxOrderLines} lines`)] };

  const parked: ParkedRow[] = [];
  const parkedLineIds = new Set<string>();
  const lines: OrderLineFacts[] = [];
  const seen = new Set<string>();
  rows.forEach((row, index) => {
    const lineId = isRecord(row) ? (idOf(row['admin_graphql_api_id']) ?? idOf(row['id'])) : undefined;
    const quantity = isRecord(row) ? unitsOf(row['quantity']) : undefined;
    if (!isRecord(row) || lineId === undefined || quantity === undefined) {
      parked.push(parkedLine(orderId, `#${index}`, 'the line has no id', row));
    } else if (quantity.kind === 'bad') {
      parkedLineIds.add(lineId);
      parked.push(parkedLine(orderId, lineId, quantity.reason, row));
    } else if (!seen.has(lineId)) {
      seen.add(lineId);
      lines.push(readLine(row, lineId, quantity.value));
    }
  });
  const refunds = readRefunds(body['refunds']);
  const shipments = readFulfillments(body['fulfillments']);
  return {
    kind: 'order',
    parked,
    facts: {
      orderId,
      placedAtMs: createdAtMs,
      changedAtMs: updatedAtMs,
      sourceName: textOf(body['source_name']) ?? '',
      // A body may leave members out (`includeFields`): absent means "not said", for this one "not cancelled".
      isCancelled: body['cancelled_at'] !== null && body['cancelled_at'] !== undefined,
      // A body does not say whether the order was ever edited, so time alone settles nothing here.
      isRefundSettled: isRefundSettled({
        cancelledAtMs: momentOf(body['cancelled_at']),
        refundedAtMs: lastRefundAt(body['refunds']),
        isEdited: false,
        seenAtMs: updatedAtMs,
      }),
      isClaimed: body['confirmed'] !== false,
      lines,
      refunds,
      shipments,
      isPartial: false,
      parkedLineIds,
    },
  };
}

function readLine(row: JsonRecord, lineId: string, quantity: number): OrderLineFacts {
  const variantId = idOf(row['variant_id']);
  return {
    lineId,
    sku: textOf(row['sku']) ?? '',
    // The inventory item is not in the body; listings answer to their variants' ids too.
    itemId: variantId === undefined ? null : variantAlias(variantId),
    quantity,
    currentQuantity: optionalUnits(row['current_quantity']),
    openQuantity: optionalUnits(row['fulfillable_quantity']),
    // Null means untracked; a body without the field (includeFields) says nothing, and most goods are counted.
    isTracked: variantId !== undefined && row['variant_inventory_management'] !== null,
    hasVariant: variantId !== undefined,
    isGiftCard: row['gift_card'] === true,
  };
}

function lastRefundAt(value: unknown): number | undefined {
  return newestRefundAt(
    (listOf(value) ?? [])
      .filter(isRecord)
      .map((refund) => ({ at: refund['created_at'], rows: listOf(refund['refund_line_items']) ?? [] })),
  );
}

/** Undefined when a part cannot be read: a refund that is overlooked would pass for an edit of the order. */
function readRefunds(value: unknown): readonly RefundRow[] | undefined {
  const refunds = listOf(value);
  if (refunds === undefined) return undefined;
  const found: RefundRow[] = [];
  const seen = new Set<string>();
  for (const refund of refunds) {
    const rows = isRecord(refund) ? listOf(refund['refund_line_items']) : undefined;
    if (!isRecord(refund) || rows === undefined) return undefined;
    const refundId = idOf(refund['admin_graphql_api_id']) ?? idOf(refund['id']);
    if (refundId !== undefined && seen.has(refundId)) continue;
    if (refundId !== undefined) seen.add(refundId);
    for (const row of rows) {
      const lineId = isRecord(row) ? idOf(row['line_item_id']) : undefined;
      const units = isRecord(row) ? optionalUnits(row['quantity']) : undefined;
      const restock = isRecord(row) ? restockOf(row['restock_type']) : undefined;
      if (!isRecord(row) || lineId === undefined || units === undefined || restock === undefined)
        return undefined;
      found.push({ lineId, units, restock, locationId: idOf(row['location_id']) });
    }
  }
  return found;
}

function readFulfillments(value: unknown): readonly PlacedUnits[] | undefined {
  const fulfillments = listOf(value);
  if (fulfillments === undefined) return undefined;
  const found: PlacedUnits[] = [];
  const seen = new Set<string>();
  for (const fulfillment of fulfillments) {
    const rows = isRecord(fulfillment) ? listOf(fulfillment['line_items']) : undefined;
    if (!isRecord(fulfillment) || rows === undefined) return undefined;
    if (!hasLeft(fulfillment['status'])) continue;
    const id = idOf(fulfillment['admin_graphql_api_id']) ?? idOf(fulfillment['id']);
    if (id !== undefined && seen.has(id)) continue;
    if (id !== undefined) seen.add(id);
    const locationId = idOf(fulfillment['location_id']);
    for (const row of rows) {
      const lineId = isRecord(row) ? idOf(row['id']) : undefined;
      // In a fulfilment's copy of a line, `quantity` is what this fulfilment ships.
      const units = isRecord(row) ? optionalUnits(row['quantity']) : undefined;
      if (lineId === undefined || units === undefined) return undefined;
      found.push({ lineId, units, locationId });
    }
  }
  return found;
}
