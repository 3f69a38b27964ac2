import { fullReadMs as amazonMs } from '../../src/connectors/amazon/full-read.ts';
import { fullReadMs as shopifyMs } from '../../src/connectors/shopify/full-read.ts';
import { fullReadMs as tiktokMs } from '../../src/connectors/tiktok/full-read.ts';
import { fullReadMs as sourceMs } from '../../src/connectors/wms/full-read.ts';
import { shipHeroSource } from '../../src/connectors/wms/shiphero.ts';
import { Secret } from '../../src/domain/secret.ts';

/** What one complete reading of a channel takes of the limits that the platform publishes, computed, not measured. */
export interface PublishedCycle {
  readonly platform: string;
  readonly seconds: number;
  readonly because: string;
}

/** TikTok publishes no rate any more; the pace that the daemon begins with. */
const tiktokReadsPerS = 5;
const shipHero = shipHeroSource({
  kind: 'shiphero',
  credentials: { kind: 'refresh-token', refreshToken: new Secret('none') },
});

/** As reports print them for a channel: each connector computes its own. */
export function publishedCycles(skus: number): readonly PublishedCycle[] {
  return [
    {
      platform: 'shopify',
      seconds: shopifyMs(skus) / 1_000,
      because:
        'the sweep, by the points of the smallest plan (full runs are one bulk operation, which costs no points)',
    },
    { platform: 'amazon', seconds: amazonMs(skus) / 1_000, because: 'one report, then searches of 20 SKUs' },
    {
      platform: 'tiktok',
      seconds: tiktokMs(skus, tiktokReadsPerS) / 1_000,
      because: `pages of products and reads of 600 SKUs, ${tiktokReadsPerS}/s to begin with`,
    },
    { platform: 'wms', seconds: (sourceMs(shipHero, skus) ?? 0) / 1_000, because: 'credits of ShipHero' },
  ];
}
