import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { breaches } from '../../sandbox/posting/breaches.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { type WmsSandbox, startWmsSandbox } from '../../sandbox/wms/server.ts';
import type { SandboxWarehouse } from '../../sandbox/wms/warehouse.ts';
import { DaemonUnderTest } from './daemon.ts';

/** A shop with three places: ShipHero, ShipBob and a warehouse that drops files own one each. */
const pickLagMs = 3_000;
let shopify: ShopifySandbox;
let wms: WmsSandbox;
let shop: SandboxShop;
let hero: SandboxWarehouse;
let bob: SandboxWarehouse;
let daemon: DaemonUnderTest;
let files: string;
let filesDropped = 0;
const places: Record<'hero' | 'bob' | 'shed', string> = { hero: '', bob: '', shed: '' };

beforeAll(async () => {
  shopify = await startShopifySandbox();
  wms = await startWmsSandbox();
  shop = shopify.addShop({ domain: 'shop-a.myshopify.com', plan: 'plus', locationName: 'hero' });
  places.hero = [...shop.inventory.locations.keys()][0] ?? '';
  for (const name of ['bob', 'shed'] as const) places[name] = shop.addLocation({ name }).id;
  hero = wms.add({ name: 'hero', kind: 'shiphero' }).warehouse;
  bob = wms.add({ name: 'bob', kind: 'shipbob' }).warehouse;
  // What the shop shows is neither what is there nor what may ever become the opening figure.
  for (const [sku, onHand] of Object.entries({ H1: 10, H2: 20, H3: 30, H4: 12 })) {
    hero.addItem({ sku, onHand });
    shop.addItem({ sku, quantities: { [places.hero]: 99 } });
  }
  for (const [sku, onHand] of Object.entries({ B1: 10, B2: 20 })) {
    bob.addItem({ sku, onHand });
    shop.addItem({ sku, quantities: { [places.bob]: 3 } });
  }
  for (const sku of ['F1', 'F2', 'F3', 'F4']) shop.addItem({ sku, quantities: { [places.shed]: 50 } });
  // Open when the shop is connected: its units still stand in the warehouse.
  shop.placeOrder({ lines: [{ sku: 'H4', quantity: 4 }] });
  daemon = await DaemonUnderTest.make({ shops: [shop] });
  files = join(daemon.dir, 'files');
  await mkdir(files);
  await writeFile(join(daemon.dir, 'password'), 'secret', { mode: 0o600 });
  await writeFile(join(daemon.dir, 'token'), 'pat-sandbox', { mode: 0o600 });
  await daemon.changeConfig((config) => {
    const channels = config['channels'] as Record<string, unknown>[];
    config['locations'] = ['hero', 'bob', 'shed'].map((id) => ({
      id,
      authority: `channel:${id}`,
      pickLagMs: id === 'shed' ? 0 : pickLagMs,
    }));
    Object.assign(channels[0] ?? {}, {
      mode: 'live',
      locations: { [places.hero]: ['hero'], [places.bob]: ['bob'], [places.shed]: ['shed'] },
    });
    const common = { platform: 'wms', mode: 'live', poll: { intervalMs: 1_000 }, skewMs: 200 };
    channels.push(
      {
        ...common,
        id: 'hero',
        baseUrl: hero.baseUrl,
        connection: {
          kind: 'shiphero',
          credentials: { kind: 'login', username: 'user@example.com', password: 'file:password' },
          pageSize: 20,
          snapshotEveryMs: 4_000,
        },
        locations: { [hero.places[0]?.id ?? '']: ['hero'] },
      },
      {
        ...common,
        id: 'bob',
        baseUrl: `${bob.baseUrl}/2026-01`,
        connection: { kind: 'shipbob', accessToken: 'file:token' },
        locations: { [bob.places[0]?.id ?? '']: ['bob'] },
      },
      {
        ...common,
        id: 'shed',
        connection: {
          kind: 'csv',
          from: { kind: 'directory', path: 'files' },
          settleMs: 100,
          map: { sku: 'sku', onHand: 'qty' },
        },
        locations: { '*': ['shed'] },
      },
    );
  });
  await drop({ F1: 5, F2: 6, F3: 7, F4: 8 });
  daemon.start();
  await daemon.ready();
});

afterAll(async () => {
  await daemon.remove();
  await Promise.all([shopify.stop(), wms.stop()]);
});

/** As an uploader does it: under another name until it is whole. */
async function drop(rows: Readonly<Record<string, number | string>>): Promise<string> {
  const name = `stock-${++filesDropped}.csv`;
  const text = ['sku,qty', ...Object.entries(rows).map(([sku, units]) => `${sku},${units}`)].join('\n');
  await writeFile(join(files, `${name}.part`), text);
  await rename(join(files, `${name}.part`), join(files, name));
  return name;
}

interface Level {
  readonly onHand: number;
  readonly committed: number;
  readonly available: number;
}

async function level(sku: string): Promise<Level | undefined> {
  const { skus } = await daemon.get<{ skus: { locations: Level[] }[] }>(`/stock?sku=${sku}`);
  return skus[0]?.locations[0];
}

const shown = (sku: string): number =>
  shop.available(sku, sku.startsWith('H') ? places.hero : sku.startsWith('B') ? places.bob : places.shed);

function agree(sku: string, onHand: number, committed = 0): Promise<void> {
  const available = onHand - committed;
  return daemon.until(
    async () => {
      const found = await level(sku);
      return found?.onHand === onHand && found.committed === committed && shown(sku) === available;
    },
    `${sku}: ${onHand} on hand, ${committed} promised, ${available} in the shop`,
    60_000,
  );
}

test('the first figure is the warehouse’s, not the shop’s, and reaches the shop', async () => {
  for (const [sku, units] of Object.entries({ H1: 10, H2: 20, H3: 30, B1: 10, B2: 20, F1: 5, F4: 8 }))
    await agree(sku, units);
  await agree('H4', 12, 4);
  await daemon.until(async () => (await readdir(join(files, 'done'))).includes('stock-1.csv'), 'put away');
  expect(await daemon.parked()).toEqual([]);
});

test('W1: a label, then counts that still hold the units, then the pick: never shown twice', async () => {
  const placed = shop.placeOrder({ lines: [{ sku: 'H1', quantity: 2 }] });
  if (placed.kind === 'refused') throw new Error('refused');
  await agree('H1', 10, 2);
  let most = 0;
  const stop = shopify.onLevelChange((change) => {
    if (change.sku === 'H1') most = Math.max(most, change.available);
  });
  shop.fulfil(placed.order.id);
  // A count between label and pick: somebody moves a unit out and back.
  hero.adjust('H1', -1);
  hero.adjust('H1', 1);
  hero.ship([{ sku: 'H1', units: 2 }]);
  await agree('H1', 8);
  stop();
  expect(most).toBeLessThanOrEqual(8);
});

test('W2: picked and counted before the label is seen: not lowered twice in the end', async () => {
  const placed = shop.placeOrder({ lines: [{ sku: 'B1', quantity: 3 }] });
  if (placed.kind === 'refused') throw new Error('refused');
  await agree('B1', 10, 3);
  bob.ship([{ sku: 'B1', units: 3 }]);
  await agree('B1', 7, 3);
  shop.fulfil(placed.order.id);
  await agree('B1', 7);
});

test('a file that cannot be right is put to failed/ with its reason and changes nothing', async () => {
  const name = await drop({ F1: 0, F2: 0, F3: 0, F4: 0 });
  const reason = join('failed', `${name}.reason.txt`);
  await daemon.until(
    async () => (await readdir(files, { recursive: true })).some((path) => path === reason),
    'put to failed/',
  );
  expect((await daemon.parked()).map(({ what }) => what)).toEqual(['count']);
  expect((await level('F1'))?.onHand).toBe(5);
  await drop({ F1: 4, F2: 6, F3: 7, F4: 8 });
  await agree('F1', 4);
});

test('kill -9 in the middle of changes on all three: nothing is lost, nothing counts twice', async () => {
  for (let round = 0; round < 4; round++) {
    hero.adjust('H2', round % 2 === 0 ? -2 : 1, { reason: 'damaged' });
    bob.adjust('B2', 1, { reason: 'found' });
    shop.placeOrder({ lines: [{ sku: 'H3', quantity: 1 }] });
    if (round === 1) expect(await daemon.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
    if (round === 2) await drop({ F1: 4, F2: 5, F3: 7, F4: 8 });
  }
  daemon.start();
  await daemon.ready();
  await agree('H2', 18);
  await agree('B2', 24);
  await agree('H3', 30, 4);
  await agree('F2', 5);
  expect(await daemon.findings()).toEqual([]);
}, 120_000);

test('a warehouse that refuses our access needs attention, the others go on; then it stops gracefully', async () => {
  wms.account('bob').warehouse.setFaults([{ kind: 'status', status: 401, probability: 1 }]);
  await daemon.until(
    async () =>
      (await daemon.channels()).some(
        (channel) => channel['channel'] === 'bob' && channel['status'] === 'needs-attention',
      ),
    'bob needs attention',
    60_000,
  );
  hero.adjust('H2', 5);
  await agree('H2', 23);
  expect(breaches(shopify.violations())).toEqual([]);
  expect(breaches(wms.violations())).toEqual([]);
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
});
