import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readItem } from '../../../src/connectors/amazon/listing-item.ts';
import type { PlatformListing } from '../../../src/connectors/connector.ts';
import { everything, never, rejection } from '../shopify/parts.ts';
import { fixture } from './models.ts';
import { type Rig, marketplaceId, refFor, rigFor } from './parts.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await rigFor();
});
afterEach(() => rig.close());

async function listings(of = rig.connector): Promise<readonly PlatformListing[]> {
  return (await everything(of.readListings(null, never))).flatMap((page) => page.listings);
}
const requests = (operation: string) =>
  rig.sandbox.records.exchanges.all().filter((of) => of.operation === operation);

describe('an answer that cannot be right', () => {
  test.each([
    ['no SKU', { fulfillmentAvailability: [] }],
    ['no availability', { sku: 'A' }],
    ['a channel without a code', { sku: 'A', fulfillmentAvailability: [{ quantity: 1 }] }],
    [
      'a negative quantity',
      { sku: 'A', fulfillmentAvailability: [{ fulfillmentChannelCode: 'DEFAULT', quantity: -1 }] },
    ],
    [
      'two quantities',
      {
        sku: 'A',
        fulfillmentAvailability: [
          { fulfillmentChannelCode: 'DEFAULT', quantity: 1 },
          { fulfillmentChannelCode: 'DEFAULT', quantity: 2 },
        ],
      },
    ],
  ])('%s is one bad row', (_what, node) => {
    expect(readItem(node, marketplaceId).kind).toBe('bad');
  });

  test('pages that shifted under the walk end it, so that no listing looks gone', async () => {
    for (let index = 0; index < 30; index++) rig.seller.addListing({ sku: `S-${index + 10}`, quantity: 1 });
    rig.seller.settings.maxPagedSkus = 25;
    expect((await rejection(listings())).code).toBe('CONNECTOR_WALK_STUCK');
  });
});

test('a number of Amazon: the SKU, the time of the question, and what it may not be used for', async () => {
  rig.seller.addListing({ sku: 'OWN', quantity: 4 });
  rig.seller.addListing({ sku: 'NEVER-SET', quantity: null });
  rig.seller.addListing({ sku: 'FBA', channelCode: 'AMAZON_NA', quantity: 30 });
  rig.seller.addListing({ sku: 'BOTH', quantity: 2 });
  rig.seller.addListing({ sku: 'BOTH', channelCode: 'AMAZON_NA', quantity: 8 });
  rig.seller.setFba('FBA', 30, { pendingOrders: 5, inbound: 100 });
  const found = new Map((await listings()).map((listing) => [listing.ref.key, listing]));
  expect([...found.keys()].toSorted()).toEqual([
    'BOTH@AMAZON_NA',
    'BOTH@DEFAULT',
    'FBA@AMAZON_NA',
    'NEVER-SET@DEFAULT',
    'OWN@DEFAULT',
  ]);
  expect(found.get('OWN@DEFAULT')).toMatchObject({ value: 4, problems: [], ref: refFor('OWN') });
  expect(found.get('NEVER-SET@DEFAULT')).toMatchObject({ value: null });
  expect(found.get('BOTH@DEFAULT')).toMatchObject({ problems: ['beside-foreign-stock'] });
  // What is on its way to the warehouse, or sold already, is not for sale.
  expect(found.get('FBA@AMAZON_NA')).toMatchObject({ value: 30, problems: ['foreign-stock'] });
  expect(found.get('FBA@AMAZON_NA')?.ref.itemId).not.toBe('FBA');
});

test('beyond a thousand SKUs the report names them, and searches of twenty tell their numbers', async () => {
  for (let index = 0; index < 1_050; index++) rig.seller.addListing({ sku: `S-${index}`, quantity: index });
  rig.seller.settings.reportCharset = 'iso-8859-1';
  const found = await listings();
  expect(new Set(found.map((listing) => listing.sku)).size).toBe(1_050);
  expect(found.find((listing) => listing.sku === 'S-77')?.value).toBe(77);
  expect(requests('searchListingsItems').length).toBeLessThanOrEqual(1 + Math.ceil(1_050 / 20));
  expect(rig.sandbox.violations()).toEqual([]);
  expect(rig.modelProblems).toEqual([]);
});

test('a report that is not ready in time, or is not compressed', async () => {
  for (let index = 0; index < 1_001; index++) rig.seller.addListing({ sku: `S-${index}`, quantity: 1 });
  rig.seller.settings.reportMs = { min: 60_000, max: 60_000 };
  const hasty = rig.second({ reportMaxMs: 0 });
  expect((await rejection(listings(hasty))).code).toBe('CONNECTOR_BULK_FAILED');
  rig.seller.settings.reportMs = { min: 0, max: 0 };
  rig.seller.settings.gzip = false;
  expect(await listings()).toHaveLength(1_001);
});

test('stock of more SKUs than a request holds, odd SKUs included', async () => {
  const skus = Array.from({ length: 45 }, (_sku, index) => `S-${index}`);
  skus.push('with,comma', 'a b/c%é?#', '__proto__', ' space ');
  skus.forEach((sku, index) => rig.seller.addListing({ sku, quantity: index }));
  const read = await rig.connector.readStock(
    [...skus, 'gone'].map((sku) => refFor(sku)),
    never,
  );
  const shown = Object.fromEntries(read.rows.map(({ key, value }) => [key, value]));
  expect(shown).toEqual(Object.fromEntries(skus.map((sku, index) => [`${sku}@DEFAULT`, index])));
  expect(read.missing).toEqual(['gone@DEFAULT']);
  expect(read.rows.every(({ isActive }) => isActive)).toBe(true);
  expect(rig.modelProblems).toEqual([]);
});

test('no number is no zero', async () => {
  rig.seller.addListing({ sku: 'NEVER-SET', quantity: null });
  rig.seller.addListing({ sku: 'FBA', channelCode: 'AMAZON_NA', quantity: 3 });
  const read = await rig.connector.readStock([refFor('NEVER-SET'), refFor('FBA')], never);
  expect(read.rows).toEqual([]);
  expect(read.parked.map((row) => row.reference).toSorted()).toEqual(['FBA@DEFAULT', 'NEVER-SET@DEFAULT']);
});

test('a read is dated when it was asked, and may be older than a write that was accepted', async () => {
  rig.seller.addListing({ sku: 'OWN', quantity: 4 });
  rig.seller.settings.readLagMs = 60_000;
  const beforeMs = Date.now();
  rig.seller.listings.edit('OWN', 1);
  const [row] = (await rig.connector.readStock([refFor('OWN')], never)).rows;
  expect(row?.value).toBe(4);
  expect(row?.readAtMs).toBeGreaterThanOrEqual(beforeMs - 1_000);
  expect(row?.readAtMs).toBeLessThanOrEqual(Date.now());
});

describe('stock in Amazon warehouses', () => {
  const codes = 'AMAZON_NA';
  beforeEach(() => {
    for (let index = 0; index < 120; index++)
      rig.seller.addListing({ sku: `F-${index}`, channelCode: codes, quantity: index });
  });

  test('its pages are read through, 50 at a time', async () => {
    const found = await listings();
    expect(found).toHaveLength(120);
    expect(found.find((listing) => listing.sku === 'F-99')?.value).toBe(99);
    expect(requests('getInventorySummaries')).toHaveLength(3);
  });

  test('by SKU for a doorbell', async () => {
    const refs = [refFor('F-7', codes), refFor('nobody', codes)];
    const read = await rig.connector.readStock(refs, never);
    expect(read).toMatchObject({ rows: [{ key: 'F-7@AMAZON_NA', value: 7, isActive: false }] });
    expect(read.missing).toEqual(['nobody@AMAZON_NA']);
  });

  test('a token that expires in the middle costs one more pass', async () => {
    rig.seller.settings.fbaTokenTtlMs = -1;
    expect((await rejection(listings())).code).toBe('CONNECTOR_WALK_STUCK');
    expect(requests('getInventorySummaries').filter((of) => of.status === 200)).toHaveLength(2);
  });

  test('without the role the listings are shown without a number, and everything else works', async () => {
    rig.seller.addListing({ sku: 'OWN', quantity: 4 });
    rig.seller.setFaults([{ kind: 'status', operation: 'getInventorySummaries', status: 403 }]);
    const pages = await everything(rig.connector.readListings(null, never));
    const found = pages.flatMap((page) => page.listings);
    expect(found).toHaveLength(121);
    expect(found.filter((listing) => listing.value !== null).map((listing) => listing.sku)).toEqual(['OWN']);
    // A row about listings is released by the next complete reading, one about stock by nothing.
    expect(pages.flatMap((page) => page.parked)).toMatchObject([{ what: 'listing', reference: 'fba' }]);
  });
});

test('the samples of the official sandbox can be read', () => {
  const cases = fixture('static-sandbox-cases') as readonly {
    operationId: string;
    status: number;
    response: { items?: readonly unknown[] };
  }[];
  const nodes = cases
    .filter((of) => of.status === 200 && /^(?:searchListingsItems|getListingsItem)$/.test(of.operationId))
    .flatMap(({ response }) => response.items ?? [response]);
  expect(nodes.length).toBeGreaterThan(0);
  for (const node of nodes) expect(readItem(node, marketplaceId)).toMatchObject({ kind: 'listing' });
});
