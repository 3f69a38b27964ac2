import { setTimeout as delay } from 'node:timers/promises';
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ListingPage, PlatformListing } from '../../src/connectors/connector.ts';
import type { ChannelId, ListingId, LocationId, Sku } from '../../src/domain/ids.ts';
import { RedisMeshState } from '../../src/ledger/mesh-state.ts';
import type { ChannelSettings } from '../../src/mesh/channel.ts';
import { Discovery } from '../../src/mesh/discovery.ts';
import { isWritable, type LearnResult, SkuMap } from '../../src/mesh/sku-map.ts';
import { SkuMapStore } from '../../src/mesh/sku-map-store.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

const shop = 'shop-a' as ChannelId;
const settings: ChannelSettings = {
  id: shop,
  platform: 'shopify',
  mode: 'live',
  locations: [{ location: 'main' as LocationId, platformLocationId: '*', wmsOwned: false }],
  sourceRules: new Map(),
  openingFigure: 'available',
  aliases: new Map(),
};

let parts: LedgerParts;
let mesh: RedisMeshState;
let store: SkuMapStore;
let map: SkuMap;
let shelves: PlatformListing[];
let isDown: boolean;
let readings: number;
let learned: LearnResult[];
let completed: number;
let failures: number;
let discovery: Discovery;

beforeEach(() => {
  parts = ledgerParts();
  mesh = new RedisMeshState(parts.caller);
  store = new SkuMapStore(parts.redis, `${parts.keys.prefix}map:${shop}`);
  map = new SkuMap(settings);
  shelves = [listing('i1', 'A'), listing('i2', 'B')];
  isDown = false;
  readings = completed = failures = 0;
  learned = [];
  discovery = open();
});
afterEach(async () => {
  await discovery.close();
  await parts.close();
});

function listing(itemId: string, sku: string, more: Partial<PlatformListing> = {}): PlatformListing {
  const ref = { key: `${itemId}@L`, itemId, locationId: 'L' };
  return { ref, sku, barcode: null, title: null, value: 1, readAtMs: 100, problems: [], ...more };
}

function open(): Discovery {
  return new Discovery({
    channel: shop,
    connector: {
      async *readListings(): AsyncGenerator<ListingPage> {
        readings++;
        for (const found of shelves) {
          yield { listings: [found], parked: [], cursor: null };
          if (isDown) throw new Error('the platform is down');
        }
      },
    },
    map,
    store,
    mesh,
    log: pino({ level: 'silent' }),
    onLearned: (result) => learned.push(result),
    onComplete: () => completed++,
    onFailed: () => failures++,
    settings: { hintDelayMs: 20, minRestMs: 30, retryMs: 20 },
  });
}

async function completeReadings(count: number): Promise<void> {
  await eventually(() => expect(completed).toBeGreaterThanOrEqual(count));
}

test('a reading that breaks off counts as far as it went, calls nothing gone, and is taken again', async () => {
  map.restore([{ ...mappedOf('i9', 'OLD') }]);
  isDown = true;
  discovery.start();
  await eventually(() => expect(failures).toBeGreaterThan(1));
  expect(map.ofSku('A' as Sku)).toHaveLength(1);
  expect(map.ofSku('OLD' as Sku).every(isWritable)).toBe(true);
  expect(completed).toBe(0);
  isDown = false;
  await completeReadings(1);
  expect(map.ofSku('OLD' as Sku).some(isWritable)).toBe(false);
});

test('an empty or half empty answer is not an empty shop', async () => {
  discovery.start();
  await completeReadings(1);
  shelves = [];
  discovery.hint();
  await completeReadings(2);
  expect([...map.listings()].filter(isWritable)).toHaveLength(2);
});

test('a listing that a whole reading does not show is kept for its orders and not written', async () => {
  shelves = [listing('i1', 'A'), listing('i2', 'B'), listing('i3', 'C')];
  discovery.start();
  await completeReadings(1);
  shelves = shelves.slice(0, 2);
  discovery.hint();
  await completeReadings(2);
  expect(map.ofSku('C' as Sku).map(isWritable)).toEqual([false]);
  shelves = [...shelves, listing('i3', 'C')];
  discovery.hint();
  await completeReadings(3);
  expect(map.ofSku('C' as Sku).map(isWritable)).toEqual([true]);
});

test('what needs a person is parked with its reason and released when it is right', async () => {
  shelves = [
    listing('i1', 'A', { problems: ['duplicate-sku'] }),
    listing('i2', 'A', { problems: ['duplicate-sku'] }),
    listing('i3', ''),
    listing('i4', 'D', { problems: ['untracked'] }),
    listing('i5', 'E', { problems: ['beside-foreign-stock'] }),
    listing('i6', 'F', { problems: ['foreign-stock'] }),
  ];
  discovery.start();
  await completeReadings(1);
  const rows = await mesh.parked(10);
  expect(rows.map(({ reference, reason }) => `${reference} ${reason}`).toSorted()).toEqual([
    'i1@L duplicate-sku',
    'i2@L duplicate-sku',
    'i3@L sku is missing',
    'i5@L beside-foreign-stock',
  ]);
  shelves = ['A', 'B', 'C', 'D', 'E', 'F'].map((sku, index) => listing(`i${index + 1}`, sku));
  discovery.hint();
  await completeReadings(2);
  expect(await mesh.parkedCount()).toBe(0);
});

test('a swarm of hints is one reading', async () => {
  discovery.start();
  await completeReadings(1);
  for (let hint = 0; hint < 50; hint++) discovery.hint();
  await completeReadings(2);
  await delay(60);
  expect(readings).toBe(2);
});

test('only changes are told, and all of it outlives the daemon with its baseline', async () => {
  shelves = [listing('i1', 'a:b', { itemAliases: ['v1'] }), listing('i2', '__proto__')];
  discovery.start();
  await completeReadings(1);
  discovery.hint();
  await completeReadings(2);
  expect(learned.flatMap(({ changed }) => changed.map(({ sku }) => sku))).toEqual(['a:b', '__proto__']);
  const next = new SkuMap(settings);
  next.restore(await store.load());
  expect(next.listing('i1@L' as ListingId)).toEqual(map.listing('i1@L' as ListingId));
  expect(next.ofItem('v1')).toHaveLength(1);
  next.learn([listing('i1', 'a:b', { readAtMs: 900 })]);
  expect(next.listing('i1@L' as ListingId)?.baselineAtMs).toBe(100);
});

function mappedOf(itemId: string, sku: string) {
  const other = new SkuMap(settings);
  other.learn([listing(itemId, sku)]);
  return [...other.listings()][0]!;
}
