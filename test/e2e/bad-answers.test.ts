import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { emulateFourPlatforms, type FourPlatforms } from '../../demo/emulators/four-platforms.ts';
import { FaultyProxy, type ProxiedRequest } from '../conformance/faulty-proxy.ts';
import { spoil } from '../conformance/spoil.ts';
import { DaemonUnderTest } from './daemon.ts';

/** Every platform answers wrongly while it differs from the ledger: the run says why it ends, and repairs nothing. */
const skus = ['EDITED', 'OTHER-1', 'OTHER-2', 'OTHER-3'];
const channels = ['north', 'amazon', 'tiktok', 'wms'] as const;
type Channel = (typeof channels)[number];

/** Requests for a page of the bulk reading, which only reconciliation makes once all is connected. */
const isPage: Readonly<Record<Channel, (request: ProxiedRequest) => boolean>> = {
  north: ({ body }) => body.includes('query Variants('),
  amazon: ({ method, path }) =>
    method === 'GET' && path.startsWith('/listings/') && !path.includes('identifiers='),
  tiktok: ({ path }) => path.includes('/products/search'),
  wms: ({ body }) => body.includes('warehouse_products'),
};

/** A page without its rows, as if the shop were empty. */
const emptied: Readonly<Record<Channel, (page: string) => string>> = {
  north: (page) => spoil(page, (object) => Array.isArray(object['nodes']), { nodes: [] }),
  amazon: (page) =>
    spoil(page, (object) => Array.isArray(object['items']), { items: [], numberOfResults: 0 }),
  tiktok: (page) =>
    spoil(page, (object) => Array.isArray(object['products']), { products: [], total_count: 0 }),
  wms: (page) => spoil(page, (object) => Array.isArray(object['edges']), { edges: [] }),
};

/** A page that shows rows twice, with another number the second time where a number is all there is. */
const shifted: Readonly<Record<Channel, (page: string) => string>> = {
  north: (page) => doubled(page, 'nodes', ({ inventoryItem }) => inventoryItem !== undefined),
  amazon: (page) => doubled(page, 'items', ({ sku }) => sku !== undefined),
  // TikTok says that it counts more than the walk has shown: every further walk shows what was shown.
  tiktok: (page) => spoil(page, (object) => Array.isArray(object['products']), { total_count: 500 }),
  wms: (page) =>
    doubled(
      page,
      'edges',
      ({ node }) => node !== undefined,
      (edge) => ({
        ...edge,
        node: { ...(edge['node'] as object), on_hand: 7 },
      }),
    ),
};

type Row = Readonly<Record<string, unknown>>;

function doubled(
  page: string,
  list: string,
  isRow: (row: Row) => boolean,
  again: (row: Row) => Row = (row) => row,
): string {
  const parsed: unknown = JSON.parse(page, (key, value: unknown) => {
    if (key !== list || !Array.isArray(value) || !value.every((row) => isRow(row as Row))) return value;
    return [...value, ...value.map((row) => again(row as Row))] as unknown;
  });
  return JSON.stringify(parsed);
}

interface RunRow {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
  readonly opened: number;
  readonly actions: number;
  readonly endedAtMs: number | null;
}

let platforms: FourPlatforms;
let proxies: ReadonlyMap<Channel, FaultyProxy>;
let daemon: DaemonUnderTest;

beforeAll(async () => {
  platforms = await emulateFourPlatforms({
    stock: new Map(skus.map((sku) => [sku, 50])),
    seed: 1,
    rateLimits: 'none',
    isRough: false,
    shops: ['north'],
  });
  platforms.amazon.seller.settings.orderHoleMs = 0;
  for (const shop of platforms.shopify.shops) shop.settings.searchLagMs = { min: 0, max: 0 };
  platforms.tiktok.shop.settings.searchLagMs = { min: 0, max: 0 };
  const fronted = new Map<Channel, FaultyProxy>();
  const configured: Record<string, unknown>[] = [];
  for (const channel of platforms.config) {
    const upstream = new URL(String(channel['baseUrl']));
    const proxy = await FaultyProxy.start(upstream.origin);
    fronted.set(channel['id'] as Channel, proxy);
    const baseUrl = `${proxy.url}${upstream.pathname.replace(/\/$/, '')}`;
    // Polls are rare, so that what finds a difference is reconciliation.
    const lag = 'overlapMs' in (channel['poll'] as object) ? { indexLagMs: 200 } : {};
    const poll = { ...(channel['poll'] as object), ...lag, intervalMs: 600_000 };
    configured.push({ ...channel, baseUrl, poll });
  }
  proxies = fronted;
  daemon = await DaemonUnderTest.make({
    shops: [],
    config: {
      channels: configured,
      locations: platforms.locations,
      // Of an hour: what is planted on one channel fits, twice as much does not.
      guard: { maxMovedUnits: 30 },
      reconcile: {
        mode: 'repair',
        cron: null,
        sweepSharePercent: 0,
        pushGraceMs: 200,
        spacingMs: 100,
        lookBackMs: 60_000,
        policy: { 'edited-on-channel': 're-publish', 'count-differs': 'adopt' },
      },
    },
  });
  for (const [name, secret] of Object.entries(platforms.secrets))
    await writeFile(join(daemon.dir, name), secret, { mode: 0o600 });
  daemon.start();
  await daemon.ready(90_000);
  await daemon.connected(skus.length, 90_000);
  await daemon.until(async () => (await daemon.available('EDITED')) === 50, 'counted', 60_000);
  // A run that is asked for while another one waits or reads is that one: those of the start are over first.
  for (const channel of channels) {
    await daemon.until(
      async () => (await runs(channel)).some(({ state }) => state === 'completed'),
      `${channel} read after the start`,
      90_000,
    );
  }
  // Nobody is told of what happens now.
  for (const shop of platforms.shopify.shops) shop.setWebhookBehaviour({ lossProbability: 1 });
  platforms.tiktok.shop.setWebhookBehaviour({ lossProbability: 1 });
  platforms.amazon.seller.settings.notificationDropRate = 1;
  Object.assign(platforms.wms.sandbox.accounts.get('wms')?.desk.behaviour ?? {}, { lossProbability: 1 });
  platforms.shopify.shops[0]?.editStock('EDITED', 61);
  platforms.amazon.seller.listings.edit('EDITED', 62);
  platforms.tiktok.shop.editStock('EDITED', 63);
  platforms.wms.warehouse.adjust('OTHER-1', -4);
}, 240_000);

afterAll(async () => {
  await daemon.remove();
  await Promise.all([...proxies.values()].map((proxy) => proxy.stop()));
  await platforms.stop();
});

const runs = async (channel: Channel): Promise<readonly RunRow[]> =>
  (await daemon.get<{ runs: RunRow[] }>(`/reconcile/runs?channel=${channel}&limit=50`)).runs;

/** One full run of each, to its end. */
async function reconciled(which: readonly Channel[] = channels): Promise<ReadonlyMap<Channel, RunRow>> {
  const ended = new Map<Channel, RunRow>();
  const asked = await Promise.all(
    which.map(async (channel) => {
      const answer = await fetch(`${daemon.privateUrl}/reconcile`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ channel, actor: 'test' }),
      });
      const { runs: made } = (await answer.json()) as { runs: readonly { runId: string }[] };
      return [channel, made[0]?.runId] as const;
    }),
  );
  for (const [channel, runId] of asked) {
    await daemon.until(
      async () => {
        const run = (await runs(channel)).find(({ id, endedAtMs }) => id === runId && endedAtMs !== null);
        if (run !== undefined) ended.set(channel, run);
        return run !== undefined;
      },
      `run of ${channel}`,
      120_000,
    );
  }
  return ended;
}

const drift = async (): Promise<readonly { channel: string; sku: string; verdict: string }[]> =>
  (await daemon.get<{ findings: { channel: string; sku: string; verdict: string }[] }>('/drift?limit=100'))
    .findings;

const shown = (): readonly number[] => [
  ...platforms.selling.map((channel) => channel.shown('EDITED')),
  platforms.wms.warehouse.onHand('OTHER-1'),
];

const faults = [
  ['cut off in the middle', (page: string) => page.slice(0, page.length / 2), undefined],
  ['empty', undefined, emptied],
  ['changed while it was read', undefined, shifted],
] as const;

for (const [what, cut, perChannel] of faults) {
  test(`an answer that is ${what}: every run is aborted with its reason, and nothing is found or repaired`, async () => {
    for (const channel of channels) {
      const body = cut ?? perChannel?.[channel] ?? ((page: string) => page);
      proxies.get(channel)?.strike({ kind: 'rewrite', on: isPage[channel], times: 1_000, body });
    }
    const ended = await reconciled();
    for (const proxy of proxies.values()) proxy.calm();
    for (const channel of channels) {
      const run = ended.get(channel);
      expect(run, channel).toMatchObject({ state: 'aborted', opened: 0, actions: 0 });
      expect(run?.reason, channel).toMatch(/\w+ \w+/);
    }
    expect(await drift()).toEqual([]);
    expect(shown()).toEqual([61, 62, 63, 46]);
    expect(await daemon.available('OTHER-1')).toBe(50);
  }, 240_000);
}

test('the same differences are found and repaired once the answers are whole again', async () => {
  const ended = await reconciled();
  for (const channel of channels)
    expect(ended.get(channel), channel).toMatchObject({ state: 'completed', opened: 1, actions: 1 });
  await daemon.until(
    () => Promise.resolve(shown().join() === '50,50,50,46'),
    'every shelf shows the ledger again',
    60_000,
  );
  await daemon.until(async () => (await daemon.available('OTHER-1')) === 46, 'the count is applied', 60_000);
}, 300_000);

interface GuardRow {
  readonly channel: string;
  readonly what?: string;
  readonly reason: string;
  readonly heldListings: number;
  readonly movedUnits: number;
}

test('a channel that is wrong in too much is not corrected until a person confirms over HTTP', async () => {
  const [shop] = platforms.shopify.shops;
  const wrong = ['OTHER-2', 'OTHER-3'] as const;
  for (const sku of wrong) shop?.editStock(sku, 75);
  const held = async (): Promise<readonly GuardRow[]> =>
    (await daemon.get<{ channels: GuardRow[] }>('/guard')).channels;
  expect((await held()).filter(({ what }) => what === 'corrections')).toEqual([]);
  await reconciled(['north']);
  expect((await held()).filter(({ what }) => what === 'corrections')).toMatchObject([
    { channel: 'north', heldListings: 2, movedUnits: 50, reason: 'it would move 36 units' },
  ]);
  expect(wrong.map((sku) => shop?.available(sku))).toEqual([75, 75]);
  const confirm = (channel: string, body: object): Promise<Response> =>
    fetch(`${daemon.privateUrl}/channels/${channel}/guard/confirm`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  expect((await confirm('nowhere', { actor: 'ann' })).status).toBe(404);
  expect((await confirm('north', { actor: 'ann', more: 1 })).status).toBe(400);
  expect(await (await confirm('amazon', { actor: 'ann' })).json()).toMatchObject({ released: 0 });
  const answer = await confirm('north', { actor: 'ann' });
  expect(await answer.json()).toEqual({ channel: 'north', released: 2 });
  await daemon.until(
    () => Promise.resolve(wrong.every((sku) => shop?.available(sku) === 50)),
    'corrected',
    120_000,
  );
  expect((await held()).filter(({ what }) => what === 'corrections')).toEqual([]);
}, 300_000);
