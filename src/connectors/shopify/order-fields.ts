import { parseUnits } from '../../domain/quantity.ts';
import type { ParkedRow } from '../connector.ts';
import { isRecord, type JsonRecord, momentOf } from '../raw-json.ts';
import type { RefundRow } from './order-facts.ts';

/** Readers shared by both forms of an order. Every one answers undefined or a reason, none throws. */
export const maxOrderLines = 10_000;

const restockTypes: Readonly<Record<string, RefundRow['restock']>> = {
  cancel: 'cancel',
  return: 'return',
  no_restock: 'none',
  legacy_restock: 'legacy',
};

/** `CANCEL` (GraphQL) or `cancel` (webhooks). */
export function restockOf(value: unknown): RefundRow['restock'] | undefined {
  return typeof value === 'string' ? restockTypes[value.toLowerCase()] : undefined;
}

/** Fulfilments in these states never left. */
const undone = new Set(['cancelled', 'error', 'failure']);

export function hasLeft(status: unknown): boolean {
  return typeof status !== 'string' || !undone.has(status.toLowerCase());
}

export function unitsOf(value: unknown): { kind: 'ok'; value: number } | { kind: 'bad'; reason: string } {
  return parseUnits(value, { min: 0, max: Number.MAX_SAFE_INTEGER });
}

export function optionalUnits(value: unknown): number | undefined {
  const units = unitsOf(value);
  return units.kind === 'ok' ? units.value : undefined;
}

/** Shopify writes times in whole seconds, and the refund beside the cancellation, not in its transaction. */
const refundBesideMs = 5_000;
/** An edited order that shows no such refund by then had nothing left to give back. */
const refundLatestMs = 600_000;

/**
 * A cancelled order shows 0 current units at once, and its refund says a moment later what became of them. Once that is
 * written, units that no refund names were taken off by an edit.
 */
export function isRefundSettled(order: {
  readonly cancelledAtMs: number | undefined;
  readonly refundedAtMs: number | undefined;
  readonly isEdited: boolean;
  readonly seenAtMs: number;
}): boolean {
  const { cancelledAtMs, refundedAtMs } = order;
  if (cancelledAtMs === undefined) return false;
  if (refundedAtMs !== undefined && refundedAtMs >= cancelledAtMs - refundBesideMs) return true;
  return order.isEdited && order.seenAtMs >= cancelledAtMs + refundLatestMs;
}

/** Of refunds that name units: one of money alone says nothing of stock. */
export function newestRefundAt(
  refunds: readonly { readonly at: unknown; readonly rows: readonly unknown[] }[],
): number | undefined {
  const times = refunds
    .filter(({ rows }) => rows.length > 0)
    .map(({ at }) => momentOf(at) ?? Number.NEGATIVE_INFINITY);
  return times.length === 0 ? undefined : Math.max(...times);
}

/** The few fields that tell what was wrong, never a name or an address. */
export function parkedLine(orderId: string, lineId: string, reason: string, line: unknown): ParkedRow {
  const shown: Record<string, unknown> = {};
  for (const name of ['sku', 'quantity', 'current_quantity', 'currentQuantity', 'variant_id']) {
    const value = isRecord(line) ? line[name] : undefined;
    if (value !== undefined && !isRecord(value) && !Array.isArray(value)) shown[name] = value;
  }
  const content = JSON.stringify(shown, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  ).slice(0, 500);
  return { what: 'order-line', reference: `${orderId}/${lineId}`.slice(0, 255), reason, content };
}

export function parkedOrder(reference: string, reason: string): ParkedRow {
  return { what: 'order', reference: reference.slice(0, 255), reason, content: '' };
}

export function member(record: JsonRecord, name: string): JsonRecord | undefined {
  const value = record[name];
  return isRecord(value) ? value : undefined;
}
