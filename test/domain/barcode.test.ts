import { array, assert, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { gtinOf } from '../../src/domain/barcode.ts';

test('what shops write into the field instead of a barcode is no evidence', () => {
  for (const text of [null, undefined, '', '0', '00000000', '0000000000000', 'N/A', 'X00ABC1234', '1234567'])
    expect(gtinOf(text)).toBeUndefined();
  // A spreadsheet's number, a wrong check digit, digits of another script.
  for (const text of ['4.00638E+12', '4006381333932', '٤٠٠٦٣٨١٣٣٣٩٣١']) expect(gtinOf(text)).toBeUndefined();
});

test('one number in several lengths is one', () => {
  expect(gtinOf('4006381333931')).toBe('04006381333931');
  expect(gtinOf('036000291452')).toBe(gtinOf('0036000291452'));
  expect(gtinOf(' 4006-381 333931 ')).toBe('04006381333931');
  expect(gtinOf('96385074')).toBe('00000096385074');
});

test('a single wrong digit never passes', () => {
  assert(
    property(
      array(integer({ min: 0, max: 9 }), { minLength: 12, maxLength: 12 }),
      integer({ min: 0, max: 12 }),
      integer({ min: 1, max: 9 }),
      (digits, at, by) => {
        const body = digits.join('');
        const whole = Array.from({ length: 10 }, (_, check) => `${body}${check}`).find((code) =>
          gtinOf(code),
        );
        if (whole === undefined) return /^0+$/.test(body);
        const changed = (Number(whole.at(at)) + by) % 10;
        const wrong = `${whole.slice(0, at)}${changed}${whole.slice(at + 1)}`;
        return gtinOf(wrong) === undefined;
      },
    ),
  );
});
