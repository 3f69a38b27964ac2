import type { Parsed } from './ids.ts';

/**
 * Quantities are whole units in the safe integer range. Lua numbers are IEEE doubles, so the same bound keeps the
 * scripts exact; a result outside it is refused by the script (LEDGER_QUANTITY_OVERFLOW), never rounded.
 */
export const maxUnits = Number.MAX_SAFE_INTEGER;

/** A whole number of units from outside. Strings are accepted only in plain decimal form ("12"), as ShipHero sends them. */
export function parseUnits(
  value: unknown,
  bounds: { readonly min: number; readonly max: number },
): Parsed<number> {
  let units: number;
  // A number of a body that no double holds exactly: never rounded into the range.
  if (typeof value === 'number' || typeof value === 'bigint') units = Number(value);
  else if (typeof value === 'string' && /^-?(?:0|[1-9]\d{0,16})$/.test(value)) units = Number(value);
  else return { kind: 'bad', reason: `quantity is not a number: ${describe(value)}` };
  if (!Number.isSafeInteger(units))
    return { kind: 'bad', reason: `quantity is not a safe whole number: ${describe(value)}` };
  if (units < bounds.min) return { kind: 'bad', reason: `quantity ${units} is below ${bounds.min}` };
  if (units > bounds.max) return { kind: 'bad', reason: `quantity ${units} is above ${bounds.max}` };
  // -0 would be stored and compared as another text than 0.
  return { kind: 'ok', value: units === 0 ? 0 : units };
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return String(value).slice(0, 40);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
