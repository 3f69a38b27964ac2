import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type {
  Connector,
  ParsedDelivery,
  PlatformLine,
  PlatformOrder,
} from '../../src/connectors/connector.ts';
import { StockmeshError } from '../../src/domain/errors.ts';
import type { ChannelId, ListingId, LocationId, Sku } from '../../src/domain/ids.ts';
import { type LineCounters, noUnits } from '../../src/domain/order.ts';
import { RedisMeshState } from '../../src/ledger/mesh-state.ts';
import { PublisherCommands } from '../../src/ledger/publisher-commands.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import type { ChannelSettings } from '../../src/mesh/channel.ts';
import { Ingest } from '../../src/mesh/ingest.ts';
import type { Delivery } from '../../src/mesh/inbox-job.ts';
import { SkuMap } from '../../src/mesh/sku-map.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

const shop = 'shop-a' as ChannelId;
let parts: LedgerParts;
let ledger: RedisLedger;
let mesh: RedisMeshState;
let map: SkuMap;
let ingest: Ingest;
let parsed: ParsedDelivery;
/** What the platform answers when it is asked for an order. */
let atPlatform: Map<string, PlatformOrder>;
let asked: string[][];
let signals: string[];
let isPlatformDown: boolean;
let isLedgerAway: boolean;
const { signal } = new AbortController();

const nothing: ParsedDelivery = { orders: [], orderHints: [], levelHints: [], listingHints: [], parked: [] };

beforeEach(() => {
  parts = ledgerParts();
  ledger = new RedisLedger(parts.caller, parts.clock);
  mesh = new RedisMeshState(parts.caller);
  const settings: ChannelSettings = {
    id: shop,
    platform: 'shopify',
    mode: 'live',
    locations: [{ location: 'main' as LocationId, platformLocationId: '*', wmsOwned: false }],
    sourceRules: new Map([['importer', 'import']]),
    openingFigure: 'available',
    aliases: new Map(),
  };
  map = new SkuMap(settings);
  learn('A', 'B');
  parsed = nothing;
  atPlatform = new Map();
  asked = [];
  isPlatformDown = false;
  isLedgerAway = false;
  signals = [];
  const connector = {
    capabilities: { writes: 'delta', fetchOrdersBatchSize: 2 },
    parseWebhook: () => parsed,
    fetchOrders: async (orderIds: readonly string[]) => {
      asked.push([...orderIds]);
      if (isPlatformDown) throw new Error('down');
      return { orders: orderIds.flatMap((id) => atPlatform.get(id) ?? []), parked: [] };
    },
  } as unknown as Connector;
  ingest = new Ingest({
    ledger,
    mesh,
    channels: new Map([[shop, { connector, map }]]),
    log: pino({ level: 'silent' }),
    counted: async (_, { counts = [], movements = [] }) => {
      if (isLedgerAway) throw new Error('away');
      if (counts.length + movements.length > 0)
        signals.push(`counted ${counts.length} moved ${movements.length}`);
    },
    signals: {
      levelsChanged: (_, items) => signals.push(`levels ${items.join()}`),
      listingsChanged: (_, items) => signals.push(`listings ${items.join()}`),
      accessLost: (_, reason) => signals.push(`lost ${reason}`),
      parked: (_, row) => signals.push(`parked ${row.reference}`),
    },
  });
});
afterEach(() => parts.close());

function learn(...skus: readonly string[]): void {
  map.learn(
    skus.map((sku) => ({
      ref: { key: `i-${sku}@L`, itemId: `i-${sku}`, locationId: 'L' },
      sku,
      barcode: null,
      title: null,
      value: 5,
      readAtMs: 1_000,
      problems: [],
    })),
  );
}

function line(lineId: string, sku: string, counters: Partial<LineCounters>): PlatformLine {
  return { lineId, sku, itemId: `i-${sku}`, counters: { ...noUnits, ...counters }, takenIsKnown: true };
}

function order(
  orderId: string,
  lines: readonly PlatformLine[],
  more: Partial<PlatformOrder> = {},
): PlatformOrder {
  const times = { placedAtMs: 500_000, changedAtMs: 500_000 };
  return { orderId, ...times, sourceName: 'web', lines, isPartial: false, ...more };
}

const delivery: Delivery = {
  channel: shop,
  deliveryId: 'd',
  topic: 'orders/create',
  receivedAtMs: 1,
  headers: {},
  body: '{}',
};

async function committed(sku: string): Promise<number> {
  const { levels } = await ledger.peek([sku as Sku]);
  return levels.get(sku as Sku)?.get('main' as LocationId)?.committed ?? 0;
}

test('a bad line, an unknown SKU and a foreign order are parked and seen; everything else is applied', async () => {
  parsed = {
    ...nothing,
    orders: [
      order('1', [
        line('1', 'A', { ordered: -1 }),
        line('2', 'A', { ordered: 2 }),
        line('3', 'X', { ordered: 1 }),
      ]),
      order('2', [line('1', 'A', { ordered: 5 })], { sourceName: 'amazon-importer' }),
      order('3', [line('1', 'B', { ordered: 1 })]),
    ],
    parked: [{ what: 'delivery', reference: 'd', reason: 'strange', content: '' }],
  };
  await ingest.handleDelivery(delivery, signal);
  expect([await committed('A'), await committed('B')]).toEqual([2, 1]);
  const rows = await mesh.parked(100);
  expect(rows.map(({ reference }) => reference).toSorted()).toEqual(['1/1', '1/3', '2', 'd']);
  expect(signals).toEqual(expect.arrayContaining(['parked 1/3', 'listings i-X']));
});

test('the same delivery again changes nothing and parks no second row', async () => {
  parsed = {
    ...nothing,
    orders: [order('1', [line('1', 'A', { ordered: 2 }), line('2', 'X', { ordered: 1 })])],
  };
  for (let sent = 0; sent < 3; sent++) await ingest.handleDelivery(delivery, signal);
  expect(await committed('A')).toBe(2);
  expect(await mesh.parked(100)).toMatchObject([{ reference: '1/2', times: 3 }]);
});

test('a cancellation that comes before its order ends like the right order of arrival', async () => {
  const placed = order('1', [line('1', 'A', { ordered: 3, takenOut: 3 })]);
  const cancelled = order('1', [line('1', 'A', { ordered: 3, takenOut: 3, cancelled: 3, givenBack: 3 })]);
  await ingest.applyPlatformOrders(shop, [cancelled], 'push', 1);
  await ingest.applyPlatformOrders(shop, [placed], 'push', 1);
  expect(await committed('A')).toBe(0);
});

describe('a shop with several places', () => {
  const sold = line('1', 'T', { ordered: 2, takenOut: 2 });

  beforeEach(() => {
    const listing = { sku: 'T', barcode: null, title: null, value: 5, readAtMs: 1_000, problems: [] };
    const places = ['L1', 'L2'].map((locationId) => ({
      key: `i-T@${locationId}`,
      itemId: 'i-T',
      locationId,
    }));
    map.learn(places.map((ref) => ({ ...listing, ref })));
  });

  async function taken(listingId: string): Promise<number | undefined> {
    const rows = [{ listingId: listingId as ListingId, sku: 'T' as Sku }];
    return (await new PublisherCommands(parts.caller).readListings(shop, rows)).rows[0]?.state.taken;
  }

  test('an order that does not say which of them sold is fetched before it counts', async () => {
    parsed = { ...nothing, orders: [order('1', [sold])] };
    atPlatform.set('1', order('1', [{ ...sold, committedAt: [{ locationId: 'L2', units: 2 }] }]));
    await ingest.handleDelivery(delivery, signal);
    expect([await taken('i-T@L1'), await taken('i-T@L2'), await committed('T')]).toEqual([0, 2, 2]);
    await ingest.handleDelivery(delivery, signal);
    expect(asked).toEqual([['1']]);
    parsed = { ...nothing, orders: [order('1', [sold, { ...sold, lineId: '2' }])] };
    await ingest.handleDelivery(delivery, signal);
    expect(asked).toEqual([['1'], ['1']]);
  });

  test('when it cannot be fetched it counts all the same, and the delivery is tried again', async () => {
    parsed = { ...nothing, orders: [order('1', [sold])] };
    isPlatformDown = true;
    await expect(ingest.handleDelivery(delivery, signal)).rejects.toThrow('down');
    expect(await committed('T')).toBe(2);
  });

  test('an order that the platform does not show yet counts', async () => {
    parsed = { ...nothing, orders: [order('1', [sold])] };
    await ingest.handleDelivery(delivery, signal);
    expect(await committed('T')).toBe(2);
  });
});

test('a fetch that shows less than is known takes nothing back; one that shows all may', async () => {
  const edited = line('1', 'A', { ordered: 3, takenOut: 3, cancelled: 2, givenBack: 2 });
  await ingest.applyPlatformOrders(shop, [order('1', [edited])], 'fetch', 1);
  const bare = order('1', [line('1', 'A', { ordered: 3, takenOut: 3 })]);
  await ingest.applyPlatformOrders(shop, [{ ...bare, mayLower: false }], 'fetch', 2);
  expect(await committed('A')).toBe(1);
  await ingest.applyPlatformOrders(shop, [bare], 'fetch', 3);
  expect(await committed('A')).toBe(3);
});

test('a cut line list is applied as far as it goes and the whole order is fetched', async () => {
  parsed = { ...nothing, orders: [order('1', [line('1', 'A', { ordered: 1 })], { isPartial: true })] };
  atPlatform.set('1', order('1', [line('1', 'A', { ordered: 1 }), line('2', 'B', { ordered: 4 })]));
  await ingest.handleDelivery(delivery, signal);
  expect([await committed('A'), await committed('B')]).toEqual([1, 4]);
});

test('hints are fetched in batches, once each; doorbells and the rest are passed on', async () => {
  parsed = {
    ...nothing,
    orderHints: ['1', '2', '3', '1'],
    levelHints: ['i-A'],
    listingHints: ['i-B'],
    accessLost: 'uninstalled',
  };
  atPlatform.set('2', order('2', [line('1', 'A', { ordered: 1 })]));
  await ingest.handleDelivery(delivery, signal);
  expect(asked).toEqual([['1', '2'], ['3']]);
  expect(await committed('A')).toBe(1);
  expect(signals).toEqual(['levels i-A', 'listings i-B', 'lost uninstalled']);
});

test('a copied order commits nothing and moves what the platform took', async () => {
  const copied = order('1', [line('1', 'A', { ordered: 2, takenOut: 2 })], { sourceName: 'importer' });
  const applied = await ingest.applyPlatformOrders(shop, [copied], 'push', 1);
  expect(applied.movements).toBe(1);
  expect(await committed('A')).toBe(0);
  const taken = await parts.redis.hget(parts.keys.listing(shop, 'i-A@L'), 't');
  expect(taken).toBe('2');
});

test('one order that overflows is parked, the next is applied', async () => {
  await ledger.adjust({
    operationId: 'x',
    movement: 'received',
    sku: 'A' as Sku,
    location: 'main' as LocationId,
    units: -Number.MAX_SAFE_INTEGER,
    reference: 'r',
    reason: 'r',
    actor: 'test',
  });
  const shipped = { ordered: 1_000_000_000, shipped: 1_000_000_000 };
  await ingest.applyPlatformOrders(
    shop,
    [order('1', [line('1', 'A', shipped)]), order('2', [line('1', 'B', { ordered: 1 })])],
    'push',
    1,
  );
  expect(await committed('B')).toBe(1);
  expect(await mesh.parked(10)).toMatchObject([{ what: 'order', reference: '1' }]);
});

test('a ledger that cannot be reached fails the delivery: nothing is parked for it', async () => {
  parsed = { ...nothing, orders: [order('1', [line('1', 'A', { ordered: 1 })])] };
  parts.redis.disconnect();
  await expect(ingest.handleDelivery(delivery, signal)).rejects.toBeInstanceOf(StockmeshError);
});

test('parked lines are applied when their SKU becomes known, whole and freshly fetched', async () => {
  const both = order('1', [line('1', 'X', { ordered: 1 }), line('2', 'Y', { ordered: 1 })]);
  await ingest.applyPlatformOrders(shop, [both], 'push', 1);
  expect(await mesh.parkedCount()).toBe(2);
  atPlatform.set('1', both);
  learn('X');
  expect(await ingest.replayParked(shop, ({ sku }) => sku === 'X', signal)).toEqual({
    tried: 1,
    released: 1,
  });
  expect(await committed('X')).toBe(1);
  expect(await mesh.parked(10)).toMatchObject([{ reference: '1/2' }]);
  learn('Y');
  await ingest.replayParked(shop, () => true, signal);
  expect(await committed('Y')).toBe(1);
  expect(await mesh.parkedCount()).toBe(0);
});

test('an order the platform no longer knows stays parked', async () => {
  await ingest.applyPlatformOrders(shop, [order('1', [line('1', 'X', { ordered: 1 })])], 'push', 1);
  learn('X');
  expect(await ingest.replayParked(shop, () => true, signal)).toEqual({ tried: 1, released: 0 });
  expect(await mesh.parkedCount()).toBe(1);
});

test('figures of a warehouse in a delivery are no mere doorbell: they are applied by the worker, or come again', async () => {
  const count = { sku: 's', itemId: 's', locationId: 'W', onHand: 1, asOfMs: 1 };
  parsed = { ...nothing, levelHints: ['x'], counts: [count] };
  expect(ingest.ring(shop, Buffer.from('{}'), {})).toBe(false);
  isLedgerAway = true;
  await expect(ingest.handleDelivery(delivery, signal)).rejects.toThrow('away');
  expect(signals).toEqual([]);
  isLedgerAway = false;
  await ingest.handleDelivery(delivery, signal);
  expect(signals).toEqual(['counted 1 moved 0', 'levels x']);
  parsed = { ...nothing, levelHints: ['x'] };
  expect(ingest.ring(shop, Buffer.from('{}'), {})).toBe(true);
});
