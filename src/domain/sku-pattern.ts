/**
 * Patterns of SKUs in the configuration: `*` stands for any run of characters, also none; everything else is exact and
 * case-sensitive, as SKUs are. Matching takes time in proportion to the lengths, whatever the pattern.
 */
export function matchesPattern(pattern: string, sku: string): boolean {
  const parts = pattern.split('*');
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (parts.length === 1) return pattern === sku;
  if (sku.length < first.length + last.length || !sku.startsWith(first) || !sku.endsWith(last)) return false;
  let at = first.length;
  const end = sku.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = sku.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/**
 * Whether every SKU of `narrow` is one of `wide` too. A star of `narrow` can only be matched by a star of `wide`, so the
 * narrow pattern may be taken for a SKU.
 */
export function coversPattern(wide: string, narrow: string): boolean {
  return matchesPattern(wide, narrow);
}
