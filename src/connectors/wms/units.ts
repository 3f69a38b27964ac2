import type { Parsed } from '../../domain/ids.ts';

/** How a source writes quantities. Everything a rule does not name is refused: a wrong guess would move stock. */
export interface UnitRules {
  /** `park`: a negative figure is set aside; `clamp`: it is zero; `allow`: for signed changes. */
  readonly negative: 'park' | 'clamp' | 'allow';
  /** Mark before a fraction, where the source writes one ("12.0"). The fraction itself must be zero. */
  readonly decimalMark?: '.' | ',' | undefined;
  readonly thousandsMark?: '.' | ',' | ' ' | undefined;
  /** Units in one of the source's (case packs). */
  readonly unitFactor: number;
}

export const defaultUnitRules: UnitRules = { negative: 'park', unitFactor: 1 };

/** More of one SKU at one place than any warehouse holds: a mistake, not a count. */
const maxCountUnits = 1_000_000_000;

export function parseCountUnits(value: unknown, rules: UnitRules): Parsed<number> {
  const plain = typeof value === 'string' ? textUnits(value.trim(), rules) : numberUnits(value);
  if (plain.kind === 'bad') return plain;
  const units = plain.value * rules.unitFactor;
  if (Math.abs(units) > maxCountUnits) return bad(`quantity ${units} is above ${maxCountUnits}`);
  if (units < 0 && rules.negative === 'park') return bad(`quantity ${units} is negative`);
  if (units < 0 && rules.negative === 'clamp') return { kind: 'ok', value: 0 };
  // -0 would be stored and compared as another text than 0.
  return { kind: 'ok', value: units === 0 ? 0 : units };
}

function numberUnits(value: unknown): Parsed<number> {
  if (typeof value !== 'number') {
    return bad(value === undefined || value === null ? 'quantity is missing' : 'quantity is not a number');
  }
  if (!Number.isFinite(value)) return bad('quantity is not a number');
  return Number.isSafeInteger(value) ? { kind: 'ok', value } : bad(`quantity ${value} is not whole`);
}

function textUnits(text: string, { decimalMark, thousandsMark }: UnitRules): Parsed<number> {
  const shown = JSON.stringify(text.slice(0, 40));
  if (text === '') return bad('quantity is missing');
  const parts = /^([+-]?)(\d[\d., ]*)$/.exec(text);
  if (parts === null) return bad(`quantity is not a number: ${shown}`);
  const [, sign = '', body = ''] = parts;
  let digits = body;
  if (decimalMark !== undefined) {
    const at = digits.indexOf(decimalMark);
    const fraction = at < 0 ? '' : digits.slice(at + 1);
    if (at >= 0) digits = digits.slice(0, at);
    if (!/^0*$/.test(fraction)) return bad(`quantity is not whole: ${shown}`);
  }
  if (thousandsMark !== undefined && digits.includes(thousandsMark)) {
    const groups = digits.split(thousandsMark);
    const isGrouped =
      /^\d{1,3}$/.test(groups[0] ?? '') && groups.slice(1).every((group) => /^\d{3}$/.test(group));
    if (!isGrouped) return bad(`quantity is not grouped by thousands: ${shown}`);
    digits = groups.join('');
  }
  // "1.234" is one thousand in one country and one and a bit in another.
  if (!/^\d{1,15}$/.test(digits))
    return bad(`quantity is ambiguous: ${shown}; name its marks in the configuration`);
  return { kind: 'ok', value: Number(`${sign}${digits}`) };
}

function bad(reason: string): Parsed<never> {
  return { kind: 'bad', reason };
}
