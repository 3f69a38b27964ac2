import { type SandboxClock, realClock } from '../../../sandbox/shopify/clock.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../../sandbox/shopify/shop.ts';
import type { ShopOptions } from '../../../sandbox/shopify/shop-options.ts';
import type { Connector, PlatformListing } from '../../../src/connectors/connector.ts';
import type { ShopifyConnectorOptions } from '../../../src/connectors/shopify/options.ts';
import { type Rig, everything, never, rigFor, shopDomain } from './parts.ts';

export interface SandboxRig extends Rig {
  readonly sandbox: ShopifySandbox;
  readonly shop: SandboxShop;
  /** Listings of the shop by SKU (of the first location that has it). */
  listings(): Promise<ReadonlyMap<string, PlatformListing>>;
  /** Another connector of the same channel, as a second daemon has it: the stored token is theirs together. */
  another(overrides?: Partial<ShopifyConnectorOptions>): Connector;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The connector over real HTTP against the emulated shop. */
export async function sandboxRig(
  shopOptions: Partial<ShopOptions> = {},
  overrides: Partial<ShopifyConnectorOptions> = {},
  /** Of the sandbox only; the connector has its own. */
  clock: SandboxClock = realClock,
): Promise<SandboxRig> {
  const sandbox = await startShopifySandbox({ clock, shops: [{ domain: shopDomain, ...shopOptions }] });
  const shop = sandbox.shop(shopDomain);
  const { clientId, clientSecret } = shop.tokens.app;
  const build = (more: Partial<ShopifyConnectorOptions> = {}): Rig =>
    rigFor({
      baseUrl: shop.baseUrl,
      credentials: { kind: 'client-credentials', clientId, clientSecret },
      webhookSecrets: [clientSecret],
      orderIndexLagMs: 0,
      readCommitLocations: undefined,
      ...overrides,
      ...more,
    });
  const rig = build();
  return {
    ...rig,
    sandbox,
    shop,
    async listings() {
      const found = new Map<string, PlatformListing>();
      for (const page of await everything(rig.connector.readListings(null, never)))
        for (const listing of page.listings) if (!found.has(listing.sku)) found.set(listing.sku, listing);
      return found;
    },
    another: (more) => build({ tokens: rig.tokens, ...more }).connector,
    [Symbol.asyncDispose]: () => sandbox.stop(),
  };
}

export function listed(listings: ReadonlyMap<string, PlatformListing>, sku: string): PlatformListing {
  const found = listings.get(sku);
  if (found === undefined) throw new Error(`no listing of ${sku}`);
  return found;
}
