import { maxIdentifiers } from '../../src/connectors/amazon/listing-search.ts';
import { operations } from '../../src/connectors/amazon/operations.ts';
import { maxSkusPerRead } from '../../src/connectors/tiktok/options.ts';

/** What one complete reading of a channel takes of the limits that the platform publishes, computed, not measured. */
export interface PublishedCycle {
  readonly platform: string;
  readonly seconds: number;
  readonly because: string;
}

const shopifyRows = 250;
/** A read of 250 levels, as recorded; points a second of the plans Basic and Plus. */
const shopifyPoints = 60;
const shopifyPointsPerS = 100;
const tiktokSkusPerProduct = 10;
const tiktokProductsPerPage = 100;
/** TikTok publishes no rate any more; the pace that the daemon begins with. */
const tiktokReadsPerS = 5;
const shipHeroCredits = 4_004;
const shipHeroCreditsPerS = 60;
const shipHeroPage = 200;

export function publishedCycles(skus: number): readonly PublishedCycle[] {
  const reads = Math.ceil(skus / shopifyRows);
  const searches = Math.ceil(skus / maxIdentifiers);
  const products = Math.ceil(skus / tiktokSkusPerProduct);
  const tiktokRequests = Math.ceil(products / tiktokProductsPerPage) + Math.ceil(skus / maxSkusPerRead);
  const pages = Math.ceil(skus / shipHeroPage);
  const credits = skus + pages;
  return [
    {
      platform: 'shopify',
      seconds: (reads * shopifyPoints) / shopifyPointsPerS,
      because: `the sweep: ${reads} reads of ${shopifyRows} listings, ${shopifyPoints} points each, ${shopifyPointsPerS} points/s (full runs are one bulk operation, which costs no points)`,
    },
    {
      platform: 'amazon',
      seconds: 1 / operations.createReport.ratePerS + searches / operations.searchListingsItems.ratePerS,
      because: `one report and ${searches} searches of ${maxIdentifiers} SKUs, ${operations.searchListingsItems.ratePerS}/s`,
    },
    {
      platform: 'tiktok',
      seconds: tiktokRequests / tiktokReadsPerS,
      because: `${tiktokRequests} requests, ${tiktokReadsPerS}/s to begin with`,
    },
    {
      platform: 'wms',
      seconds: Math.max(0, credits - shipHeroCredits) / shipHeroCreditsPerS,
      because: `${credits} credits of ShipHero, ${shipHeroCredits} at once and ${shipHeroCreditsPerS}/s`,
    },
  ];
}
