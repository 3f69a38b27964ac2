import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PlatformLine, PlatformOrder } from '../../src/connectors/connector.ts';
import type { ChannelId, LocationId, Sku } from '../../src/domain/ids.ts';
import { type LineCounters, noUnits } from '../../src/domain/order.ts';
import type { ChannelSettings } from '../../src/mesh/channel.ts';
import { readOrder } from '../../src/mesh/line-snapshots.ts';
import { SkuMap } from '../../src/mesh/sku-map.ts';

const settings: ChannelSettings = {
  id: 'shop-a' as ChannelId,
  platform: 'shopify',
  mode: 'live',
  locations: [{ location: 'main' as LocationId, platformLocationId: 'L1', wmsOwned: false }],
  sourceRules: new Map([
    ['importer', 'import'],
    ['telephone', 'sale'],
  ]),
  openingFigure: 'available',
  aliases: new Map<string, Sku>(),
};

function mapOf(...skus: readonly string[]): SkuMap {
  const map = new SkuMap(settings);
  map.learn(
    skus.map((sku) => ({
      ref: { key: `i-${sku}@L1`, itemId: `i-${sku}`, locationId: 'L1' },
      sku,
      barcode: null,
      title: null,
      value: 5,
      readAtMs: 100_000,
      problems: [],
    })),
  );
  return map;
}

function line(
  lineId: string,
  sku: string,
  counters: Partial<LineCounters> = { ordered: 1, takenOut: 1 },
): PlatformLine {
  return { lineId, sku, itemId: `i-${sku}`, counters: { ...noUnits, ...counters }, takenIsKnown: true };
}

function order(lines: readonly PlatformLine[], more: Partial<PlatformOrder> = {}): PlatformOrder {
  const times = { placedAtMs: 200_000, changedAtMs: 200_000 };
  return { orderId: '#1', ...times, sourceName: 'web', lines, isPartial: false, ...more };
}

test.each([
  ['negative', -1],
  ['fractional', 1.5],
  ['huge', 1e15],
  ['beyond exact numbers', 2 ** 53],
  ['not a number', Number.NaN],
  ['missing', undefined as unknown as number],
])('a %s quantity is parked with its reason, the other lines flow', (_, ordered) => {
  const read = readOrder(order([line('1', 'A', { ordered }), line('2', 'B')]), mapOf('A', 'B'));
  expect(read.lines.map((found) => found.sku)).toEqual(['B']);
  expect(read.parked).toHaveLength(1);
  expect(read.parked[0]).toMatchObject({ what: 'order-line', reference: '#1/1' });
  expect(read.parked[0]!.reason).toMatch(/^ordered: quantity/);
});

test('an unknown SKU is parked and its item asked for, the other lines flow', () => {
  const read = readOrder(order([line('1', 'A'), line('2', 'X')]), mapOf('A'));
  expect(read.lines).toHaveLength(1);
  expect(read.parked[0]).toMatchObject({ reference: '#1/2', reason: 'sku "X" is not known' });
  expect(read.unknownItems).toEqual(['i-X']);
});

test('an order from a source without a rule is parked whole', () => {
  const read = readOrder(order([line('1', 'A')], { sourceName: 'amazon-importer' }), mapOf('A'));
  expect(read.lines).toEqual([]);
  expect(read.parked[0]).toMatchObject({ what: 'order', reference: '#1' });
  expect(read.parked[0]!.reason).toContain('sourceRules');
});

test.each(['', 'web', 'mobile_app', 'pos', 'shopify_draft_order', '580111', '3890849'])(
  'the surface %j of the platform itself sells',
  (sourceName) => {
    expect(readOrder(order([line('1', 'A')], { sourceName }), mapOf('A')).parked).toEqual([]);
  },
);

test('a copied order commits nothing and says what the platform took', () => {
  const lines = [line('1', 'A', { ordered: 2, cancelled: 1, shipped: 1, takenOut: 2, givenBack: 1 })];
  const read = readOrder(order(lines, { sourceName: 'importer' }), mapOf('A'));
  expect(read.lines[0]!.counters).toEqual({ ...noUnits, takenOut: 2, givenBack: 1 });
  expect(readOrder(order(lines, { sourceName: 'telephone' }), mapOf('A')).lines[0]!.counters.ordered).toBe(2);
});

test('an order inside the opening figure is adopted; one of the same second counts', () => {
  const placed = (placedAtMs: number): { lines: number; adopted: number } => {
    const read = readOrder(order([line('1', 'A')], { placedAtMs }), mapOf('A'));
    return { lines: read.lines.length, adopted: read.adopted.length };
  };
  expect(placed(98_000)).toEqual({ lines: 0, adopted: 1 });
  expect(placed(99_500)).toEqual({ lines: 1, adopted: 0 });
  expect(placed(100_500)).toEqual({ lines: 1, adopted: 0 });
});

test('units at places of others have no place of ours', () => {
  const split: PlatformLine = {
    ...line('1', 'A', { ordered: 3 }),
    committedAt: [
      { locationId: 'L1', units: 1 },
      { locationId: '3PL', units: 2 },
    ],
  };
  expect(readOrder(order([split]), mapOf('A')).lines[0]!.committedAt).toEqual([
    { location: 'main', units: 1 },
  ]);
  const elsewhere = { ...split, committedAt: [{ locationId: '3PL', units: 3 }] };
  expect(readOrder(order([elsewhere]), mapOf('A'))).toMatchObject({ lines: [], parked: [], foreignLines: 1 });
});

test('every line of any order ends read, adopted, foreign or parked', () => {
  const units = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.double(), fc.constantFrom(-1, 1e15, Number.NaN));
  const lines = fc.array(
    fc.record({
      lineId: fc.string(),
      sku: fc.constantFrom('A', 'B', 'X', '', '__proto__', 'a:b'),
      itemId: fc.constantFrom(null, 'i-A', 'i-B', 'i-X'),
      counters: fc.record({
        ordered: units,
        cancelled: units,
        writtenOff: units,
        shipped: units,
        restocked: units,
        takenOut: units,
        givenBack: units,
      }),
      takenIsKnown: fc.boolean(),
      committedAt: fc.constantFrom(
        undefined,
        [{ locationId: 'L1', units: 1 }],
        [{ locationId: 'FBA', units: 1 }],
      ),
    }),
  );
  fc.assert(
    fc.property(lines, fc.integer({ min: 0, max: 300_000 }), (found, placedAtMs) => {
      const read = readOrder(order(found, { placedAtMs }), mapOf('A', 'B'));
      expect(read.lines.length + read.adopted.length + read.parked.length + read.foreignLines).toBe(
        found.length,
      );
    }),
  );
});
