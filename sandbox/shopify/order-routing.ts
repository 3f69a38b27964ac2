import type { Item, Location } from './model.ts';

export interface Wanted {
  readonly item: Item;
  readonly quantity: number;
}

export interface Shortage {
  readonly sku: string | null;
  readonly wanted: number;
  readonly available: number;
}

function sellableLocations(item: Item): { location: Location; available: number }[] {
  const rows = [];
  for (const level of item.levels.values())
    if (level.isActive && level.location.isActive && level.location.fulfillsOnlineOrders)
      rows.push({ location: level.location, available: level.quantities.available });
  // Oldest location first: the order in which a shop ranks its locations unless told otherwise.
  return rows.toSorted((a, b) => (BigInt(a.location.number) < BigInt(b.location.number) ? -1 : 1));
}

/** What a storefront checkout would refuse: tracked items with policy DENY and too few units. */
export function shortagesOf(wanted: readonly Wanted[]): Shortage[] {
  const totals = new Map<Item, number>();
  for (const { item, quantity } of wanted) totals.set(item, (totals.get(item) ?? 0) + quantity);
  const shortages: Shortage[] = [];
  for (const [item, quantity] of totals) {
    if (!item.tracked || item.policy === 'CONTINUE') continue;
    const available = sellableLocations(item).reduce((sum, row) => sum + row.available, 0);
    if (available < quantity) shortages.push({ sku: item.sku, wanted: quantity, available });
  }
  return shortages;
}

/**
 * Where the units of one line are taken. Shopify picks a location that stocks enough, not the shop's default one;
 * a location that can serve the whole order wins; a line that fits nowhere is split over what there is and the rest
 * falls on the first stocked location, which may go negative.
 */
export function routeLine(
  wanted: Wanted,
  wholeOrder: Location | null,
  fallback: Location,
): { location: Location; quantity: number }[] {
  const rows = sellableLocations(wanted.item);
  const only = (location: Location) => [{ location, quantity: wanted.quantity }];
  if (wholeOrder && rows.some((row) => row.location === wholeOrder)) return only(wholeOrder);
  const enough = rows.find((row) => row.available >= wanted.quantity);
  if (enough) return only(enough.location);
  const parts: { location: Location; quantity: number }[] = [];
  let missing = wanted.quantity;
  for (const row of rows) {
    const quantity = Math.min(missing, Math.max(0, row.available));
    if (quantity > 0) parts.push({ location: row.location, quantity });
    missing -= quantity;
  }
  if (missing === 0) return parts;
  const rest = rows[0]?.location ?? fallback;
  const part = parts.find((candidate) => candidate.location === rest);
  if (part) part.quantity += missing;
  else parts.push({ location: rest, quantity: missing });
  return parts;
}

/** A location that holds enough of everything in the order, if there is one. */
export function wholeOrderLocation(wanted: readonly Wanted[]): Location | null {
  const totals = new Map<Item, number>();
  for (const { item, quantity } of wanted)
    if (item.tracked) totals.set(item, (totals.get(item) ?? 0) + quantity);
  const [first] = totals.keys();
  if (!first) return null;
  for (const { location } of sellableLocations(first)) {
    const servesAll = [...totals].every(([item, quantity]) =>
      sellableLocations(item).some((row) => row.location === location && row.available >= quantity),
    );
    if (servesAll) return location;
  }
  return null;
}
