import type { ManualClock } from '../../../sandbox/shopify/clock.ts';
import { type TiktokSandbox, startTiktokSandbox } from '../../../sandbox/tiktok/server.ts';
import type { SandboxTiktokShop } from '../../../sandbox/tiktok/shop.ts';
import type { ShopOptions } from '../../../sandbox/tiktok/shop-options.ts';
import type {
  Connector,
  OrderPage,
  PlatformListing,
  PlatformOrder,
  PollRequest,
  WriteBatch,
  WriteRow,
} from '../../../src/connectors/connector.ts';
import type { TiktokConnectorOptions } from '../../../src/connectors/tiktok/options.ts';
import { createTiktokConnector } from '../../../src/connectors/tiktok/tiktok-connector.ts';
import { MemoryLimiter, MemoryLog, MemoryTokens, everything, never } from '../shopify/parts.ts';

export const shopId = '7494049642642441621';
export const appKey = '38abcd';
export const appSecret = '15abf8a4972afd1f275d5b19bfa9a17e0d142aa7';

export interface Rig {
  readonly connector: Connector;
  readonly tokens: MemoryTokens;
  readonly limiter: MemoryLimiter;
  readonly log: MemoryLog;
  /** Moves the connector's clock. */
  advance(ms: number): void;
}

export function rigFor(overrides: Partial<TiktokConnectorOptions> = {}, nowMs = () => Date.now()): Rig {
  const tokens = new MemoryTokens();
  const limiter = new MemoryLimiter();
  const log = new MemoryLog();
  let offsetMs = 0;
  const connector = createTiktokConnector({
    shop: shopId,
    credentials: { appKey, appSecret, accessToken: 'TTP_first', refreshToken: 'TTR_first' },
    limiter,
    tokens,
    clock: { nowMs: () => nowMs() + offsetMs },
    log,
    // Only a test that waits for its end wants it short.
    requestTimeoutMs: 20_000,
    writesPerS: 1_000,
    readsPerS: 1_000,
    ...overrides,
  });
  return { connector, tokens, limiter, log, advance: (ms) => (offsetMs += ms) };
}

export interface SandboxRig extends Rig {
  readonly sandbox: TiktokSandbox;
  readonly shop: SandboxTiktokShop;
  /** The default warehouse. */
  readonly warehouseId: string;
  listings(): Promise<ReadonlyMap<string, PlatformListing>>;
  /** A batch row of a SKU, from what its listing showed. */
  row(sku: string, to: number, warehouseId?: string): WriteRow;
  put(...rows: readonly WriteRow[]): ReturnType<Connector['write']>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The connector over real HTTP against the emulated shop; a given clock is that of both. */
export async function sandboxRig(
  shopOptions: Partial<ShopOptions> = {},
  overrides: Partial<TiktokConnectorOptions> = {},
  clock?: ManualClock,
): Promise<SandboxRig> {
  const shops = [{ id: shopId, appKey, appSecret, ...shopOptions }];
  const sandbox = await startTiktokSandbox({ shops, ...(clock === undefined ? {} : { clock }) });
  const shop = sandbox.shop(shopId);
  shop.settings.requestsPerS = shopOptions.settings?.requestsPerS ?? null;
  const rig = rigFor(
    {
      baseUrl: sandbox.url,
      credentials: { appKey: shop.appKey, appSecret: shop.appSecret, ...shop.tokens.issue() },
      orderIndexLagMs: 0,
      ...overrides,
    },
    clock === undefined ? undefined : () => clock.now(),
  );
  const warehouseId = shop.inventory.defaultWarehouse.id;
  return {
    ...rig,
    sandbox,
    shop,
    warehouseId,
    async listings() {
      const found = new Map<string, PlatformListing>();
      for (const page of await everything(rig.connector.readListings(null, never)))
        for (const listing of page.listings) found.set(listing.ref.key, listing);
      return found;
    },
    row(name, to, at = warehouseId) {
      const sku = shop.inventory.sku(name);
      const ref = { key: `${sku.id}@${at}`, itemId: `${sku.product.id}/${sku.id}`, locationId: at };
      return { ref, from: sku.levels.get(at)?.available ?? 0, to };
    },
    put: (...rows) => rig.connector.write(batchOf(rows), never),
    [Symbol.asyncDispose]: () => sandbox.stop(),
  };
}

export function batchOf(rows: readonly WriteRow[], extra: Partial<WriteBatch> = {}): WriteBatch {
  return { key: 'b1b1d0a4-0000-4000-8000-000000000001', kind: 'put', reference: '7-1842', rows, ...extra };
}

export function poll(
  connector: Connector,
  request: Partial<PollRequest> = {},
): Promise<readonly OrderPage[]> {
  return everything(
    connector.pollOrders({
      cursor: null,
      sinceMs: Date.now() - 3_600_000,
      overlapMs: 0,
      signal: never,
      ...request,
    }),
  );
}

export function ordersOf(pages: readonly OrderPage[]): ReadonlyMap<string, PlatformOrder> {
  return new Map(pages.flatMap(({ orders }) => orders.map((order) => [order.orderId, order])));
}
