import type { ContractViolation, EmulationOptions, SellingChannel } from '../selling-channel.ts';
import { type EmulatedAmazon, emulateAmazon } from './amazon.ts';
import { type EmulatedShopify, emulateShopify } from './shopify.ts';
import { type EmulatedTiktok, emulateTiktok } from './tiktok.ts';
import { type EmulatedWarehouse, emulateWarehouse } from './warehouse.ts';

export interface FourPlatformsOptions extends EmulationOptions {
  /** Names of the Shopify shops; they list everything. */
  readonly shops: readonly string[];
  /** What Amazon and TikTok list; absent: everything. */
  readonly amazonSkus?: ReadonlySet<string> | undefined;
  readonly tiktokSkus?: ReadonlySet<string> | undefined;
}

export interface FourPlatforms {
  readonly shopify: EmulatedShopify;
  readonly amazon: EmulatedAmazon;
  readonly tiktok: EmulatedTiktok;
  readonly wms: EmulatedWarehouse;
  /** Everywhere something is sold: the shops, then Amazon, then TikTok. */
  readonly selling: readonly SellingChannel[];
  /** `channels` of the daemon's configuration, the warehouse first: it gives the stock its first figure. */
  readonly config: readonly Readonly<Record<string, unknown>>[];
  readonly locations: readonly Readonly<Record<string, unknown>>[];
  readonly secrets: Readonly<Record<string, string>>;
  violations(): readonly ContractViolation[];
  stop(): Promise<void>;
}

/** One merchant on all four kinds of channel: shops, Amazon and TikTok sell what one warehouse holds. */
export async function emulateFourPlatforms(options: FourPlatformsOptions): Promise<FourPlatforms> {
  const { stock, shops, amazonSkus, tiktokSkus } = options;
  const only = (skus: ReadonlySet<string> | undefined): EmulationOptions => ({
    ...options,
    stock: skus === undefined ? stock : new Map([...stock].filter(([sku]) => skus.has(sku))),
  });
  const location = 'main';
  const wms = await emulateWarehouse(location, options);
  const shopify = await emulateShopify(shops, options);
  const amazon = await emulateAmazon(only(amazonSkus));
  const tiktok = await emulateTiktok(only(tiktokSkus));
  const all = [wms, shopify, amazon, tiktok];
  return {
    wms,
    shopify,
    amazon,
    tiktok,
    selling: all.flatMap(({ channels }) => channels),
    config: all.flatMap(({ config }) => config),
    locations: [{ id: location, authority: 'channel:wms' }],
    secrets: Object.assign({}, ...all.map(({ secrets }) => secrets)) as Record<string, string>,
    violations: () => all.flatMap((platform) => platform.violations()),
    async stop() {
      await Promise.all(all.map((platform) => platform.stop()));
    },
  };
}
