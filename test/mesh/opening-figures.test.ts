import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ChannelId, ListingId, LocationId, Sku } from '../../src/domain/ids.ts';
import type { ListingState } from '../../src/domain/listing.ts';
import { CountCommands } from '../../src/ledger/count-commands.ts';
import { LevelCommands } from '../../src/ledger/level-commands.ts';
import { PublisherCommands } from '../../src/ledger/publisher-commands.ts';
import type { ChannelSettings } from '../../src/mesh/channel.ts';
import { OpenedLevels } from '../../src/mesh/opened-levels.ts';
import { OpeningFigures } from '../../src/mesh/opening-figures.ts';
import { SkuMap } from '../../src/mesh/sku-map.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

const main = 'main' as LocationId;
const sku = 'A' as Sku;
let parts: LedgerParts;
let opened: OpenedLevels;
let maps: SkuMap[];

beforeEach(() => {
  parts = ledgerParts();
  opened = new OpenedLevels(parts.redis, `${parts.keys.prefix}opened`);
  maps = [mapOf('shop-a', ['L1']), mapOf('shop-b', ['L1'])];
});
afterEach(async () => {
  await opened.flush();
  await parts.close();
});

function mapOf(
  channel: string,
  places: readonly string[],
  problems: readonly 'inactive'[] = [],
  ours: readonly LocationId[] = [main],
): SkuMap {
  const settings: ChannelSettings = {
    id: channel as ChannelId,
    platform: 'shopify',
    mode: 'live',
    locations: ours.map((location) => ({ location, platformLocationId: '*', wmsOwned: location !== main })),
    sourceRules: new Map(),
    openingFigure: 'available',
    aliases: new Map(),
  };
  const map = new SkuMap(settings);
  map.learn(
    places.map((locationId) => ({
      ref: { key: `i@${locationId}`, itemId: 'i', locationId },
      sku,
      barcode: null,
      title: null,
      value: 1,
      readAtMs: 1,
      problems,
    })),
  );
  return map;
}

function figures(own: readonly LocationId[] = [main]): OpeningFigures {
  const counts = new CountCommands(parts.caller);
  const publisher = new PublisherCommands(parts.caller);
  return new OpeningFigures({
    ledger: {
      adjust: (request) => counts.adjust(request),
      readListings: (channel, rows) => publisher.readListings(channel, rows),
    },
    opened,
    maps,
    ownLocations: new Set(own),
    log: pino({ level: 'silent' }),
  });
}

function settled(value: number, takenAt = 0): ListingState {
  return {
    taken: takenAt,
    base: { value, takenAt, asOfMs: 1, settled: true },
    suspect: false,
    provisional: 0,
    rises: [],
    openWrites: [],
    version: 1,
  };
}

async function onHand(): Promise<number | undefined> {
  const { levels } = await new LevelCommands(parts.caller).peek([sku]);
  return levels.get(sku)?.get(main)?.onHand;
}

function settle(channel: 'shop-a' | 'shop-b', key: string, state: ListingState): Promise<void> {
  const map = maps.find(({ settings }) => settings.id === channel)!;
  return figures().settling(channel as ChannelId, map.listing(key as ListingId)!, state);
}

test('the second channel, a WMS location and an unsettled sibling open nothing', async () => {
  await settle('shop-b', 'i@L1', settled(5));
  expect(await onHand()).toBeUndefined();
  await figures([]).settling('shop-a' as ChannelId, maps[0]!.listing('i@L1' as ListingId)!, settled(5));
  expect(await onHand()).toBeUndefined();
  maps = [mapOf('shop-a', ['L1', 'L2'])];
  await settle('shop-a', 'i@L1', settled(5));
  expect(await onHand()).toBeUndefined();
  expect(opened.has(sku, main)).toBe(false);
});

test('the figure is what the listing showed before the orders that are counted', async () => {
  await settle('shop-a', 'i@L1', settled(7, 3));
  expect(await onHand()).toBe(10);
  expect(opened.has(sku, main)).toBe(true);
});

test('nothing, and less than nothing, are figures too', async () => {
  await settle('shop-a', 'i@L1', settled(-2));
  expect(await onHand()).toBe(-2);
  expect(opened.has(sku, main)).toBe(true);
});

test('once only, also when the daemon died before it was noted', async () => {
  await settle('shop-a', 'i@L1', settled(7));
  await opened.flush();
  opened = new OpenedLevels(parts.redis, `${parts.keys.prefix}forgotten`);
  await settle('shop-a', 'i@L1', settled(4));
  expect(await onHand()).toBe(7);
});

test('a listing that cannot be written gives no figure; the next channel does', async () => {
  maps = [mapOf('shop-a', ['L1'], ['inactive']), mapOf('shop-b', ['L1'])];
  await settle('shop-b', 'i@L1', settled(4));
  expect(await onHand()).toBe(4);
});

test('one number for our own stock and a warehouse opens nothing; a channel with our stock alone does', async () => {
  const nj = 'nj' as LocationId;
  maps = [mapOf('shop-a', ['L1'], [], [main, nj]), mapOf('shop-b', ['L1'])];
  // 40 of ours and 60 in the warehouse: opening ours with all of it would sell 60 twice.
  await settle('shop-a', 'i@L1', settled(100));
  expect(await onHand()).toBeUndefined();
  await settle('shop-b', 'i@L1', settled(40));
  expect(await onHand()).toBe(40);
});

test('opened levels outlive the daemon', async () => {
  opened.add('a:b' as Sku, main);
  await opened.flush();
  const next = new OpenedLevels(parts.redis, `${parts.keys.prefix}opened`);
  await next.load();
  expect(next.has('a:b' as Sku, main)).toBe(true);
  expect(next.has('b' as Sku, 'main:a' as LocationId)).toBe(false);
});
