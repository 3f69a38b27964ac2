/** Without these the channel cannot work. Fulfilment-order scopes are optional (places of commitment). */
export const requiredScopes = [
  'read_inventory',
  'write_inventory',
  'read_products',
  'read_locations',
  'read_orders',
] as const;

/** Shopify drops `read_x` from the granted list where `write_x` implies it. */
export function missingScopes(granted: readonly string[]): readonly string[] {
  const held = new Set(granted);
  return requiredScopes.filter((scope) => !held.has(scope) && !held.has(scope.replace(/^read_/, 'write_')));
}
