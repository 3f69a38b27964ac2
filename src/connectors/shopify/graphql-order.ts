import type { ParkedRow } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, momentOf, textOf } from '../raw-json.ts';
import { idOf } from './ids.ts';
import type { OrderFacts, OrderLineFacts, PlacedUnits, RefundRow } from './order-facts.ts';
import {
  hasLeft,
  isRefundSettled,
  member,
  newestRefundAt,
  optionalUnits,
  parkedLine,
  parkedOrder,
  restockOf,
  unitsOf,
} from './order-fields.ts';

/** A whole order: every connection has been followed to its end (`order-completion.ts`). */
export interface WholeOrder {
  readonly order: JsonRecord;
  readonly lines: readonly unknown[];
  readonly refunds: readonly { readonly refund: JsonRecord; readonly rows: readonly unknown[] }[];
  /** Undefined: they were not asked for. */
  readonly fulfillments:
    | readonly { readonly fulfillment: JsonRecord; readonly rows: readonly unknown[] }[]
    | undefined;
  readonly isPartial: boolean;
  /** Platform clock. */
  readonly readAtMs?: number | undefined;
}

export type GraphqlReading =
  | { readonly kind: 'order'; readonly facts: OrderFacts; readonly parked: readonly ParkedRow[] }
  | { readonly kind: 'unreadable'; readonly parked: readonly ParkedRow[] };

export function readGraphqlOrder(whole: WholeOrder): GraphqlReading {
  const { order } = whole;
  const orderId = idOf(order['id']);
  const placedAtMs = momentOf(order['createdAt']);
  const changedAtMs = momentOf(order['updatedAt']) ?? placedAtMs;
  if (orderId === undefined || placedAtMs === undefined || changedAtMs === undefined) {
    return {
      kind: 'unreadable',
      parked: [parkedOrder(orderId ?? '', 'the order lacks its id or its times')],
    };
  }
  const parked: ParkedRow[] = [];
  const parkedLineIds = new Set<string>();
  const lines: OrderLineFacts[] = [];
  const seen = new Set<string>();
  whole.lines.forEach((row, index) => {
    const lineId = isRecord(row) ? idOf(row['id']) : undefined;
    const quantity = isRecord(row) ? unitsOf(row['quantity']) : undefined;
    if (!isRecord(row) || lineId === undefined || quantity === undefined) {
      parked.push(parkedLine(orderId, `#${index}`, 'the line has no id', row));
    } else if (quantity.kind === 'bad') {
      parkedLineIds.add(lineId);
      parked.push(parkedLine(orderId, lineId, quantity.reason, row));
    } else if (!seen.has(lineId)) {
      // A page may shift between two requests and show a line twice.
      seen.add(lineId);
      lines.push(readLine(row, lineId, quantity.value));
    }
  });
  const refunds = readRefunds(whole.refunds);
  const shipments = whole.fulfillments === undefined ? 'derived' : readFulfillments(whole.fulfillments);
  if (refunds === undefined || shipments === undefined) {
    // A fetched order may lower counters: without its refunds it would take back cancellations that are known.
    const what = refunds === undefined ? 'refund' : 'fulfilment';
    return { kind: 'unreadable', parked: [parkedOrder(orderId, `a ${what} of the order cannot be read`)] };
  }
  return {
    kind: 'order',
    parked,
    facts: {
      orderId,
      placedAtMs,
      changedAtMs,
      sourceName: textOf(order['sourceName']) ?? '',
      isCancelled: order['cancelledAt'] !== null && order['cancelledAt'] !== undefined,
      isRefundSettled: isRefundSettled({
        cancelledAtMs: momentOf(order['cancelledAt']),
        refundedAtMs: newestRefundAt(
          whole.refunds.map(({ refund, rows }) => ({ at: refund['createdAt'], rows })),
        ),
        isEdited: order['edited'] === true,
        seenAtMs: Math.max(changedAtMs, whole.readAtMs ?? 0),
      }),
      isClaimed: order['confirmed'] !== false,
      lines,
      refunds,
      shipments,
      isPartial: whole.isPartial,
      parkedLineIds,
    },
  };
}

function readLine(row: JsonRecord, lineId: string, quantity: number): OrderLineFacts {
  const variant = member(row, 'variant');
  const item = variant === undefined ? undefined : member(variant, 'inventoryItem');
  return {
    lineId,
    sku: textOf(row['sku']) ?? '',
    itemId: idOf(item?.['id']) ?? null,
    quantity,
    currentQuantity: optionalUnits(row['currentQuantity']),
    openQuantity: optionalUnits(row['unfulfilledQuantity']),
    isTracked: item?.['tracked'] === true,
    hasVariant: variant !== undefined,
    isGiftCard: row['isGiftCard'] === true,
  };
}

function readRefunds(refunds: WholeOrder['refunds']): readonly RefundRow[] | undefined {
  const found: RefundRow[] = [];
  for (const { rows } of refunds) {
    for (const row of rows) {
      if (!isRecord(row)) return undefined;
      const lineId = idOf(member(row, 'lineItem')?.['id']);
      const units = optionalUnits(row['quantity']);
      const restock = restockOf(row['restockType']);
      // One row left out would make the rest look like an order edit.
      if (lineId === undefined || units === undefined || restock === undefined) return undefined;
      found.push({ lineId, units, restock, locationId: idOf(member(row, 'location')?.['id']) });
    }
  }
  return found;
}

function readFulfillments(
  fulfillments: NonNullable<WholeOrder['fulfillments']>,
): readonly PlacedUnits[] | undefined {
  const found: PlacedUnits[] = [];
  for (const { fulfillment, rows } of fulfillments) {
    if (!hasLeft(fulfillment['status'])) continue;
    const locationId = idOf(member(fulfillment, 'location')?.['id']);
    for (const row of rows) {
      if (!isRecord(row)) return undefined;
      const lineId = idOf(member(row, 'lineItem')?.['id']);
      // Null where the quantity is not known: the shipment cannot be counted.
      const units = optionalUnits(row['quantity']);
      if (lineId === undefined || units === undefined) return undefined;
      found.push({ lineId, units, locationId });
    }
  }
  return found;
}

/** A page of a connection. One that says "more follows" without saying where is not readable: it would pass for the last. */
export function connectionOf(
  parent: JsonRecord,
  name: string,
): {
  readonly nodes: readonly unknown[];
  readonly next: string | undefined;
  readonly isReadable: boolean;
} {
  const connection = member(parent, name);
  const nodes = listOf(connection?.['nodes']);
  const info = connection === undefined ? undefined : member(connection, 'pageInfo');
  const hasNext = info?.['hasNextPage'] === true;
  const next = hasNext ? textOf(info?.['endCursor']) : undefined;
  return { nodes: nodes ?? [], next, isReadable: nodes !== undefined && (!hasNext || next !== undefined) };
}
