import { StockmeshError } from '../domain/errors.ts';
import { maxReferenceBytes } from '../domain/ids.ts';

/** Last line before a script: what these refuse would corrupt packed records or leave the exact range. */

// eslint-disable-next-line no-control-regex -- the separators are exactly what has to be kept out
const separators = /[\u0000\u001d\u001e\u001f]/;

export function invalid(problem: string): StockmeshError {
  return new StockmeshError('LEDGER_REQUEST_INVALID', { problem });
}

export function checkText(what: string, text: string): string {
  if (typeof text !== 'string' || text.length === 0) throw invalid(`${what} is missing`);
  return checkOptionalText(what, text);
}

export function checkOptionalText(what: string, text: string | undefined): string {
  if (text === undefined || text === '') return '';
  // A UTF-16 unit is at most three bytes of UTF-8: only long texts need counting.
  if (text.length * 3 > maxReferenceBytes && Buffer.byteLength(text) > maxReferenceBytes) {
    throw invalid(`${what} is longer than ${maxReferenceBytes} bytes`);
  }
  if (separators.test(text)) throw invalid(`${what} holds a control separator`);
  return text;
}

export function checkWhole(what: string, value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value)) throw invalid(`${what} is not a safe whole number`);
  if (value < min || value > max) throw invalid(`${what} ${value} is not within ${min} and ${max}`);
  return value;
}
