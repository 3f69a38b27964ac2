import { expect, test } from 'vitest';
import type { PlatformLine, PlatformListing } from '../../src/connectors/connector.ts';
import type { ChannelId, ListingId, LocationId, Sku } from '../../src/domain/ids.ts';
import { noUnits } from '../../src/domain/order.ts';
import type { ChannelSettings } from '../../src/mesh/channel.ts';
import { SkuMap, isWritable } from '../../src/mesh/sku-map.ts';

const settings: ChannelSettings = {
  id: 'shop-a' as ChannelId,
  platform: 'shopify',
  mode: 'live',
  locations: [
    { location: 'front' as LocationId, platformLocationId: 'L1', wmsOwned: false },
    { location: 'back' as LocationId, platformLocationId: 'L2', wmsOwned: false },
  ],
  sourceRules: new Map(),
  openingFigure: 'on-hand',
  aliases: new Map([['OLD-1', 'NEW-1' as Sku]]),
};

function listing(itemId: string, locationId: string, sku: string, more: Partial<PlatformListing> = {}) {
  const ref = { key: `${itemId}@${locationId}`, itemId, locationId };
  return { ref, sku, barcode: null, title: null, value: 1, readAtMs: 1, problems: [], ...more };
}

function line(more: Partial<PlatformLine>): PlatformLine {
  return { lineId: '1', sku: '', itemId: null, counters: noUnits, takenIsKnown: true, ...more };
}

test('a line without any known SKU is unknown, with the reason', () => {
  const map = new SkuMap(settings);
  expect(map.resolve(line({ sku: 'X', itemId: 'i9' }))).toEqual({
    kind: 'unknown',
    reason: 'sku "X" is not known',
  });
  expect(map.resolve(line({}))).toEqual({ kind: 'unknown', reason: 'sku is missing' });
  map.learn([listing('i1', 'L1', '')]);
  expect(map.resolve(line({ itemId: 'i1' }))).toMatchObject({ kind: 'unknown', reason: 'sku is missing' });
});

test('names that are also names of object properties are ordinary SKUs', () => {
  const map = new SkuMap(settings);
  expect(map.resolve(line({ sku: '__proto__' }))).toMatchObject({ kind: 'unknown' });
  map.learn([listing('i1', 'L1', '__proto__'), listing('i2', 'L1', 'a:b')]);
  expect(map.resolve(line({ itemId: 'i1' }))).toMatchObject({ sku: '__proto__', listingId: 'i1@L1' });
  expect(map.resolve(line({ itemId: 'i2' }))).toMatchObject({ sku: 'a:b' });
});

test('the item decides, not the SKU text of the order', () => {
  const map = new SkuMap(settings);
  map.learn([listing('i1', 'L1', 'A'), listing('i2', 'L1', 'B')]);
  expect(map.resolve(line({ itemId: 'i1', sku: 'B' }))).toMatchObject({ sku: 'A', listingId: 'i1@L1' });
});

test('a guessed location is said to be a guess; a named one is not', () => {
  const map = new SkuMap(settings);
  map.learn([listing('i1', 'L2', 'A'), listing('i1', 'L1', 'A')]);
  expect(map.resolve(line({ itemId: 'i1' }))).toMatchObject({ listingId: 'i1@L1', listingIsKnown: false });
  const named = line({ itemId: 'i1', committedAt: [{ locationId: 'L2', units: 1 }] });
  expect(map.resolve(named)).toMatchObject({ listingId: 'i1@L2', listingIsKnown: true });
  const split = line({
    itemId: 'i1',
    committedAt: [{ locationId: 'L2', units: 1 }],
    shippedFrom: [{ locationId: 'L1', units: 1 }],
  });
  expect(map.resolve(split)).toMatchObject({ listingIsKnown: false });
});

test('units at places that are not ours are foreign; a split with ours is ours', () => {
  const map = new SkuMap(settings);
  map.learn([listing('i1', 'L1', 'A'), listing('i1', 'FBA', 'A')]);
  expect(map.resolve(line({ itemId: 'i1', committedAt: [{ locationId: 'FBA', units: 2 }] }))).toEqual({
    kind: 'foreign',
  });
  const split = line({
    itemId: 'i1',
    committedAt: [
      { locationId: 'FBA', units: 2 },
      { locationId: 'L1', units: 1 },
    ],
  });
  expect(map.resolve(split)).toMatchObject({ kind: 'mapped', listingId: 'i1@L1' });
  expect(isWritable(map.ofItem('i1').find((found) => found.ref.locationId === 'FBA')!)).toBe(false);
});

test('a deleted item is found by its SKU text and touches no listing', () => {
  const map = new SkuMap(settings);
  map.learn([listing('i1', 'L1', 'A')]);
  expect(map.resolve(line({ sku: 'A' }))).toEqual({
    kind: 'mapped',
    sku: 'A',
    listingId: undefined,
    baselineAtMs: undefined,
    listingIsKnown: true,
    needsDiscovery: false,
  });
  expect(map.resolve(line({ sku: 'A', itemId: 'new' }))).toMatchObject({ needsDiscovery: true });
});

test('learning tells what is new, follows a renamed SKU and an alias', () => {
  const map = new SkuMap(settings);
  expect(map.learn([listing('i1', 'L1', 'A'), listing('i1', 'L2', 'A')]).newSkus).toEqual(['A']);
  expect(map.learn([listing('i1', 'L1', 'A')])).toEqual({ newSkus: [], changed: [], unmapped: [] });
  expect(map.learn([listing('i1', 'L1', 'OLD-1')]).newSkus).toEqual(['NEW-1']);
  expect(map.ofSku('A' as Sku).map((found) => found.listingId)).toEqual(['i1@L2']);
  expect(map.ofSku('NEW-1' as Sku)).toHaveLength(1);
});

test('the first reading of a listing stays its baseline', () => {
  const map = new SkuMap(settings);
  map.learn([listing('i1', 'L1', 'A', { value: 7, readAtMs: 100 })]);
  map.learn([listing('i1', 'L1', 'A', { value: 5, readAtMs: 200, problems: ['inactive'] })]);
  expect(map.listing('i1@L1' as ListingId)).toMatchObject({ baselineAtMs: 100 });
  expect(map.resolve(line({ itemId: 'i1' }))).toMatchObject({ baselineAtMs: 100 });
});

test('two items with one SKU count for orders and are not written', () => {
  const map = new SkuMap(settings);
  map.learn([
    listing('i1', 'L1', 'A', { problems: ['duplicate-sku'] }),
    listing('i2', 'L1', 'A', { problems: ['duplicate-sku'] }),
  ]);
  expect(map.resolve(line({ itemId: 'i2' }))).toMatchObject({ sku: 'A', listingId: 'i2@L1' });
  expect(map.ofSku('A' as Sku).filter(isWritable)).toEqual([]);
});

test('a listing that a complete reading did not show is kept for orders and no longer written', () => {
  const map = new SkuMap(settings);
  map.learn([listing('i1', 'L1', 'A'), listing('i2', 'L1', 'B')]);
  expect(map.markMissing(new Set(['i1@L1'])).map((found) => found.sku)).toEqual(['B']);
  expect(map.resolve(line({ itemId: 'i2' }))).toMatchObject({ sku: 'B' });
  expect([...map.listings()].filter(isWritable)).toHaveLength(1);
});

test('after a loss of the map, listings were known since the channel was connected', () => {
  const map = new SkuMap(settings);
  map.assumeBaseline(50);
  map.learn([listing('i1', 'L1', 'A', { readAtMs: 900 })]);
  map.assumeBaseline(undefined);
  map.learn([listing('i2', 'L1', 'B', { readAtMs: 950 })]);
  expect(map.listing('i1@L1' as ListingId)?.baselineAtMs).toBe(50);
  expect(map.listing('i2@L1' as ListingId)?.baselineAtMs).toBe(950);
});
