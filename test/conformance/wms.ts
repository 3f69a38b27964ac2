import { setTimeout as delay } from 'node:timers/promises';
import type { Account } from '../../sandbox/wms/account.ts';
import { startWmsSandbox, type WmsSandbox } from '../../sandbox/wms/server.ts';
import type { WmsConnection } from '../../src/connectors/wms/options.ts';
import { createWmsConnector } from '../../src/connectors/wms/wms-connector.ts';
import { Secret } from '../../src/domain/secret.ts';
import { FaultyProxy } from './faulty-proxy.ts';
import type { PlatformUnderTest, StartOptions, Thing, World } from './platform.ts';
import { realPorts } from './real-ports.ts';
import { spoil } from './spoil.ts';
import { startReceiver } from './webhook-receiver.ts';

const notWritten = 'a warehouse is read, never written';

type Acts = Pick<
  World,
  | 'happen'
  | 'change'
  | 'isPage'
  | 'isThrottled'
  | 'expireTokens'
  | 'revoke'
  | 'exhaust'
  | 'poison'
  | 'thingsOverPages'
  | 'settleMs'
>;

interface Preset {
  readonly kind: 'shiphero' | 'shipbob';
  readonly path: string;
  connection(pageSize: number): WmsConnection;
  acts(account: Account, proxy: FaultyProxy): Acts;
}

async function start(
  preset: Preset,
  { smallPages = false, requestTimeoutMs = 5_000 }: StartOptions = {},
): Promise<World> {
  const name = preset.kind;
  const sandbox: WmsSandbox = await startWmsSandbox({ warehouses: [{ name, kind: preset.kind }] });
  const account = sandbox.account(name);
  const proxy = await FaultyProxy.start(sandbox.url);
  const ports = realPorts();
  const baseUrl = `${proxy.url}/${name}`;
  const connector = createWmsConnector({
    ...ports,
    connection: preset.connection(smallPages ? 3 : 20),
    baseUrl: `${baseUrl}${preset.path}`,
    authUrl: baseUrl,
    webhookSecrets: [],
    requestTimeoutMs,
  });
  return {
    ...preset.acts(account, proxy),
    connector,
    proxy,
    renewals: () => ports.renewals(),
    advance: (ms) => ports.advance(ms),
    isWrite: () => false,
    async deliveriesOf(work) {
      const receiver = await startReceiver(connector.acknowledgement);
      try {
        await connector.subscribe({ callbackUrl: receiver.url }, new AbortController().signal);
        work();
        // Deliveries leave on a timer of their own.
        await delay(50);
        await sandbox.webhooksIdle();
        return receiver.take();
      } finally {
        receiver.stop();
      }
    },
    violations: () => sandbox.violations(),
    async stop() {
      await proxy.stop();
      await sandbox.stop();
      await ports.stop();
    },
  };
}

/** Items appear one by one; their figures change by hand (ShipHero tells of that) or by shipments (ShipBob does). */
function items(account: Account, thingOf: (sku: string, inventoryId: number, placeId: string) => Thing) {
  const { warehouse } = account;
  const placeId = warehouse.places[0]?.id ?? '';
  const skus = new Map<string, string>();
  return {
    happen(): Thing {
      const sku = `ITEM-${skus.size + 1}`;
      const { inventoryId } = warehouse.addItem({ sku });
      const thing = thingOf(sku, inventoryId, placeId);
      skus.set(thing.key, sku);
      warehouse.adjust(sku, 50);
      return thing;
    },
    change({ key }: Thing): void {
      const sku = skus.get(key) ?? '';
      if (account.kind === 'shiphero') warehouse.adjust(sku, 1);
      else warehouse.ship([{ sku, units: 1 }]);
    },
    thingsOverPages: 8,
  };
}

const shipHeroPreset: Preset = {
  kind: 'shiphero',
  path: '',
  connection: (pageSize) => ({
    kind: 'shiphero',
    credentials: { kind: 'login', username: 'user@example.com', password: new Secret('secret') },
    pageSize,
  }),
  acts(account) {
    if (account.kind !== 'shiphero') throw new Error('another kind of account');
    const { api, warehouse } = account;
    return {
      ...items(account, (sku, _inventoryId, place) => ({ key: `${sku}@${place}`, ids: [sku, place] })),
      // Changes are asked for up to the last whole second.
      settleMs: 1_100,
      isPage: ({ body }) => body.includes('warehouse_products'),
      isThrottled: ({ body }) => body.includes('not enough credits'),
      expireTokens: () => api.tokens.expireAll(),
      revoke() {
        api.tokens.expireAll();
        api.tokens.revokeRefresh();
        Object.assign(warehouse.options, { password: 'changed' });
      },
      exhaust: () => api.credits.drain(),
      poison: (page, { ids }) => spoil(page, ({ sku }) => sku === ids[0], { on_hand: 1.5 }),
    };
  },
};

const shipBobPreset: Preset = {
  kind: 'shipbob',
  path: '/2026-01',
  connection: (pageSize) => ({ kind: 'shipbob', accessToken: new Secret('pat-sandbox'), pageSize }),
  acts(account, proxy) {
    if (account.kind !== 'shipbob') throw new Error('another kind of account');
    const { api } = account;
    const isPage: World['isPage'] = ({ path }) => path.includes('/inventory-level/');
    return {
      ...items(account, (sku, inventoryId, place) => ({
        key: `${inventoryId}@${place}`,
        ids: [String(inventoryId), place, sku],
      })),
      isPage,
      isThrottled: ({ status }) => status === 429,
      expireTokens: () => undefined,
      revoke: () => api.tokens.expireAll(),
      // Its own window is a minute long: the refusals are the platform's, and end sooner.
      exhaust: () =>
        proxy.strike({ kind: 'refuse', status: 429, waitHeader: 'x-retry-after', forMs: 900, on: isPage }),
      poison: (page, { ids }) =>
        spoil(page, ({ inventory_id: id }) => String(id) === ids[0], {
          locations: [{ location_id: 8, on_hand_quantity: 1.5 }],
        }),
    };
  },
};

export const shipHero: PlatformUnderTest = {
  name: 'WMS (ShipHero)',
  skipped: {
    'ambiguous write': notWritten,
    'partial failure': notWritten,
    'huge ids': 'it names items by SKU and places by encoded texts; ShipBob has numbers',
  },
  start: (options) => start(shipHeroPreset, options),
};

export const shipBob: PlatformUnderTest = {
  name: 'WMS (ShipBob)',
  skipped: {
    'ambiguous write': notWritten,
    'partial failure': notWritten,
    'token expiry mid-batch': 'its personal token does not expire',
  },
  start: (options) => start(shipBobPreset, options),
};
