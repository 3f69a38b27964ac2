import { expect, test } from 'vitest';
import type { ChannelId, ListingId, LocationId, Sku } from '../../src/domain/ids.ts';
import { ForeignStock } from '../../src/mesh/foreign-stock.ts';
import type { MappedListing } from '../../src/mesh/sku-map.ts';

const amazon = 'amazon' as ChannelId;
const sku = 'X' as Sku;

function listing(place: string, given: Partial<MappedListing> = {}): MappedListing {
  const listingId = `X@${place}` as ListingId;
  const ref = { key: listingId, itemId: 'X', locationId: place };
  return { listingId, ref, sku, locations: [], problems: ['foreign-stock'], baselineAtMs: 0, ...given };
}

test('a listing that shows stock of ours is nobody else’s', () => {
  const stock = new ForeignStock();
  stock.note(amazon, listing('DEFAULT', { locations: ['main' as LocationId] }), 5, 1);
  stock.note(amazon, listing('UNMAPPED', { problems: [] }), 5, 1);
  expect(stock.of(sku)).toEqual([]);
});

test('each place has its newest reading, and an older one does not come back', () => {
  const stock = new ForeignStock();
  stock.note(amazon, listing('AMAZON_NA'), 70, 10);
  stock.note(amazon, listing('AMAZON_EU'), 3, 10);
  stock.note(amazon, listing('AMAZON_NA'), 68, 20);
  stock.note(amazon, listing('AMAZON_NA'), 70, 15);
  expect(stock.of(sku)).toEqual([
    { channel: amazon, place: 'AMAZON_NA', units: 68, readAtMs: 20 },
    { channel: amazon, place: 'AMAZON_EU', units: 3, readAtMs: 10 },
  ]);
});
