import type { ParsedDelivery, ToldLevel } from '../connectors/connector.ts';

export interface LevelNotice {
  readonly itemIds: readonly string[];
  readonly told: readonly ToldLevel[];
}

/** What a delivery says that says nothing but which levels to read; undefined: it says more, so it has to be stored. */
export function levelNotice(parsed: ParsedDelivery): LevelNotice | undefined {
  const { orders, orderHints, listingHints, counts = [], movements = [], parked } = parsed;
  const isMore = [orders, orderHints, listingHints, counts, movements, parked].some(
    ({ length }) => length > 0,
  );
  if (isMore || parsed.accessLost !== undefined) return undefined;
  return { itemIds: parsed.levelHints, told: parsed.toldLevels ?? [] };
}
