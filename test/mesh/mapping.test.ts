import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import pino from 'pino';
import type { PlatformLine, PlatformListing } from '../../src/connectors/connector.ts';
import type { ChannelId, ListingId, LocationId, Sku } from '../../src/domain/ids.ts';
import { noUnits } from '../../src/domain/order.ts';
import type { ChannelSettings } from '../../src/mesh/channel.ts';
import { MappingDecisions } from '../../src/mesh/mapping-decisions.ts';
import { mappingRows } from '../../src/mesh/mapping-table.ts';
import { SkuEvidence } from '../../src/mesh/sku-evidence.ts';
import { SkuMap, isWritable, untied } from '../../src/mesh/sku-map.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';

const pen = '4006381333931';
const ink = '96385074';

function settingsOf(id: string): ChannelSettings {
  return {
    id: id as ChannelId,
    platform: 'shopify',
    mode: 'live',
    locations: [{ location: 'main' as LocationId, platformLocationId: '*', wmsOwned: false }],
    sourceRules: new Map(),
    openingFigure: 'available',
    aliases: new Map([['OLD', 'PEN' as Sku]]),
  };
}

function listing(itemId: string, sku: string, barcode: string | null, more: Partial<PlatformListing> = {}) {
  const ref = { key: `${itemId}@L`, itemId, locationId: 'L' };
  const problems = sku === '' ? (['missing-sku'] as const) : [];
  return { ref, sku, barcode, title: null, value: 1, readAtMs: 1, problems, ...more };
}

function line(itemId: string, sku = ''): PlatformLine {
  return { lineId: '1', sku, itemId, counters: noUnits, takenIsKnown: true };
}

function pair(skusFrom?: string): { first: SkuMap; second: SkuMap } {
  const evidence = new SkuEvidence(skusFrom === undefined ? {} : { skusFrom: skusFrom as ChannelId });
  const first = new SkuMap(settingsOf('first'), { evidence });
  const second = new SkuMap(settingsOf('second'), { evidence });
  if (skusFrom !== undefined)
    evidence.useReference(
      (sku) => first.hasSku(sku),
      () => first.size > 0,
    );
  return { first, second };
}

const skuOf = (map: SkuMap, item: string): string | undefined => map.listing(`${item}@L` as ListingId)?.sku;

describe('without a SKU text', () => {
  test('a barcode that nobody knows, that several SKUs have, or that two items have, maps nothing', () => {
    const { first, second } = pair();
    second.learn([listing('i1', '', pen)]);
    expect(skuOf(second, 'i1')).toBeUndefined();
    first.learn([listing('a', 'PEN', pen), listing('b', 'PEN-OLD', pen)]);
    second.relearn('open');
    expect(mappingRows(second, 'ambiguous')).toMatchObject([
      { item: 'i1', sku: '', candidates: ['PEN', 'PEN-OLD'] },
    ]);
    expect(second.resolve(line('i1'))).toMatchObject({ kind: 'unknown' });
    first.learn([listing('b', 'PEN-OLD', null)]);
    second.learn([listing('i2', '', pen)]);
    second.relearn('open');
    expect(skuOf(second, 'i1')).toBeUndefined();
    expect(skuOf(second, 'i2')).toBeUndefined();
    expect(mappingRows(second, 'open')).toHaveLength(2);
  });

  test('a barcode that stands for one SKU maps the one item that has it, and it may be written', () => {
    const { first, second } = pair();
    second.learn([listing('i1', '', pen), listing('i2', '', ink)]);
    first.learn([listing('a', 'PEN', pen)]);
    const learned = second.relearn('open');
    expect(learned.newSkus).toEqual(['PEN']);
    expect(second.resolve(line('i1'))).toMatchObject({ kind: 'mapped', sku: 'PEN', listingId: 'i1@L' });
    expect(isWritable(second.listing('i1@L' as ListingId)!)).toBe(true);
    expect(mappingRows(second, 'unmapped')).toMatchObject([{ item: 'i2', candidates: [] }]);
  });

  test('whichever comes first, the outcome is the same; a later rival takes the answer back', () => {
    const items = [listing('i1', '', pen), listing('i2', '', pen), listing('i3', 'PEN', null)];
    for (const order of [items, items.toReversed()]) {
      const { first, second } = pair();
      first.learn([listing('a', 'PEN', pen)]);
      for (const item of order) second.learn([item]);
      expect([...second.listings()].map(({ ref }) => ref.itemId)).toEqual(['i3']);
      expect(mappingRows(second, 'ambiguous').map(({ item }) => item)).toEqual(['i1', 'i2']);
    }
  });

  test('an item whose barcode is that of a SKU which the channel lists already is left to a person', () => {
    const { first, second } = pair();
    first.learn([listing('a', 'PEN', pen)]);
    second.learn([listing('i1', '', pen)]);
    expect(skuOf(second, 'i1')).toBe('PEN');
    const learned = second.learn([listing('i2', 'PEN', null)]);
    expect(learned.unmapped.map(({ ref }) => ref.itemId)).toEqual(['i1']);
    expect(skuOf(second, 'i1')).toBeUndefined();
  });

  test('what a barcode told is no evidence itself, and outlives its witness until somebody contradicts', () => {
    const { first, second } = pair();
    first.learn([listing('a', 'PEN', pen)]);
    second.learn([listing('i1', '', pen)]);
    const kept = [...second.listings()];
    const after = pair();
    after.second.restore(kept);
    after.second.learn([listing('i1', '', pen)]);
    expect(skuOf(after.second, 'i1')).toBe('PEN');
    after.first.learn([listing('z', '', pen)]);
    expect(skuOf(after.first, 'z')).toBeUndefined();
    after.first.learn([listing('a', 'QUILL', pen)]);
    after.second.relearn('open');
    expect(skuOf(after.second, 'i1')).toBe('QUILL');
  });
});

test('two SKU texts with one barcode are two SKUs, and listed', () => {
  const { first, second } = pair();
  first.learn([listing('a', 'PEN', pen)]);
  second.learn([listing('i1', 'AMZ-PEN', pen)]);
  expect(skuOf(second, 'i1')).toBe('AMZ-PEN');
  expect(mappingRows(second, 'open')).toMatchObject([{ item: 'i1', by: 'exact', candidates: ['PEN'] }]);
});

describe('with one channel whose SKUs are the merchant’s', () => {
  test('exact text first, then the barcode, else nothing; and nothing at all before it was read', () => {
    const { first, second } = pair('first');
    const items = [
      listing('i1', 'AMZ-PEN', pen),
      listing('i2', 'INK', pen),
      listing('i3', 'AMZ-INK', '4006381333932'),
    ];
    second.learn(items);
    expect(second.size).toBe(0);
    first.learn([listing('a', 'PEN', pen), listing('b', 'INK', ink)]);
    second.relearn('open');
    expect(skuOf(second, 'i2')).toBe('INK');
    // Two items have the barcode: which of them is the pen nobody can tell.
    expect(skuOf(second, 'i1')).toBeUndefined();
    second.learn([listing('i2', 'INK', ink)]);
    second.relearn('open');
    expect(skuOf(second, 'i1')).toBe('PEN');
    expect(skuOf(second, 'i3')).toBeUndefined();
    expect(mappingRows(second, 'unmapped')).toMatchObject([
      { item: 'i3', reason: '"AMZ-INK" is no SKU of first' },
    ]);
    expect(second.resolve(line('i3', 'AMZ-INK'))).toMatchObject({ kind: 'unknown' });
  });
});

describe('the word of a person', () => {
  let parts: LedgerParts;
  let decisions: MappingDecisions;
  beforeEach(async () => {
    parts = ledgerParts();
    decisions = open();
    await decisions.start();
  });
  afterEach(async () => {
    decisions.close();
    await parts.close();
  });

  function open(): MappingDecisions {
    return new MappingDecisions(parts.redis, `${parts.keys.prefix}mapping`, pino({ level: 'silent' }));
  }

  test('goes over text, alias and barcode, is durable, and is heard by other daemons', async () => {
    const channel = 'second' as ChannelId;
    const map = new SkuMap(settingsOf('second'), { decided: (item) => decisions.of(channel, item) });
    map.learn([
      listing('i1', 'TWICE', null, { problems: ['duplicate-sku'] }),
      listing('i2', 'TWICE', null, { problems: ['duplicate-sku'] }),
      listing('i3', 'OLD', null),
    ]);
    expect([...map.listings()].filter(isWritable).map(({ sku }) => sku)).toEqual(['PEN']);
    const other = open();
    await other.start();
    const heard: string[] = [];
    other.onChanged((channels) => heard.push(...channels));
    await decisions.apply(
      [
        { channel, itemId: 'i1', sku: 'ONE' as Sku },
        { channel, itemId: 'i2', sku: 'TWO' as Sku },
      ],
      'ann',
    );
    const { changed } = map.relearn('all');
    expect(changed.map(({ sku }) => sku)).toEqual(['ONE', 'TWO']);
    expect([...map.listings()].filter(isWritable)).toHaveLength(3);
    await expect.poll(() => heard, { timeout: 20_000 }).toContain('second');
    expect(other.of(channel, 'i2')).toBe('TWO');
    other.close();
    await decisions.apply([{ channel, itemId: 'i1', sku: null }], 'ann');
    map.relearn('all');
    expect(skuOf(map, 'i1')).toBe('TWICE');
  });

  test('what is gone from the channel stays gone when it is judged again', () => {
    const map = new SkuMap(settingsOf('second'));
    map.learn([listing('i1', 'A', null), listing('i2', '', null)]);
    map.markMissing(new Set());
    map.relearn('all');
    expect([...map.listings()].filter(isWritable)).toEqual([]);
    expect([...map.unmapped()]).toEqual([]);
  });
});

test('a listing that loses its SKU and finds it again was known since it was first read, over restarts too', () => {
  const { first, second } = pair();
  first.learn([listing('a', 'PEN', pen)]);
  second.learn([listing('i1', 'PEN', pen, { readAtMs: 100 })]);
  const lost = second.learn([listing('i1', '', null, { readAtMs: 200 })]);
  const after = pair();
  after.second.restore(lost.unmapped.map(untied));
  expect(after.second.size).toBe(0);
  after.second.learn([listing('i1', 'PEN', pen, { readAtMs: 300 })]);
  expect(after.second.listing('i1@L' as ListingId)?.baselineAtMs).toBe(100);
});
