import { parseUnits } from '../../domain/quantity.ts';
import type { ParkedRow } from '../connector.ts';
import { type JsonRecord, isRecord } from '../raw-json.ts';

/** Readers shared by the forms in which Amazon says things. None throws. */
export const defaultChannelCode = 'DEFAULT';

export function unitsOf(value: unknown): { kind: 'ok'; value: number } | { kind: 'bad'; reason: string } {
  return parseUnits(value, { min: 0, max: Number.MAX_SAFE_INTEGER });
}

export function optionalUnits(value: unknown): number | undefined {
  const units = unitsOf(value);
  return units.kind === 'ok' ? units.value : undefined;
}

export function member(record: JsonRecord | undefined, name: string): JsonRecord | undefined {
  const value = record?.[name];
  return isRecord(value) ? value : undefined;
}

/** `content` holds only what the caller picked: never a name or an address. */
export function parked(
  what: ParkedRow['what'],
  reference: string,
  reason: string,
  content: object = {},
): ParkedRow {
  const text = JSON.stringify(content, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return {
    what,
    reference: reference.slice(0, 255),
    reason: reason.slice(0, 300),
    content: text.slice(0, 500),
  };
}
