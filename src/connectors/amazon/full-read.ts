import { maxIdentifiers } from './listing-search.ts';
import { operations } from './operations.ts';

/** How long one report, and the searches for so many SKUs, take at Amazon's published rates. */
export function fullReadMs(listings: number): number {
  const searches = Math.ceil(listings / maxIdentifiers);
  return (
    1_000 / operations.createReport.ratePerS + (searches * 1_000) / operations.searchListingsItems.ratePerS
  );
}
