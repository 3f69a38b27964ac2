/**
 * A GTIN (EAN-8, UPC-A, EAN-13, GTIN-14) as fourteen digits, so that one number written in several lengths is one;
 * undefined for everything else. A code is evidence of what a thing is only when its check digit holds: what shops put
 * into the field besides (`N/A`, `0`, a shelf number) would tie strangers together.
 */
export function gtinOf(text: string | null | undefined): string | undefined {
  const digits = text?.replaceAll(/[\s-]/g, '') ?? '';
  if (!/^(?:\d{8}|\d{12,14})$/.test(digits) || /^0+$/.test(digits)) return undefined;
  const gtin = digits.padStart(14, '0');
  let sum = 0;
  // From the left of fourteen digits the weights are 3, 1, 3 ...; the whole number is a multiple of ten.
  for (let at = 0; at < 14; at++) sum += Number(gtin[at]) * (at % 2 === 0 ? 3 : 1);
  return sum % 10 === 0 ? gtin : undefined;
}
