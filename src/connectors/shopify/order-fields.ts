import { parseUnits } from '../../domain/quantity.ts';
import type { ParkedRow } from '../connector.ts';
import { isRecord, type JsonRecord } from '../raw-json.ts';
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
