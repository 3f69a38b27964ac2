import { describe, expect, test } from 'vitest';
import type { PlatformListing } from '../../../src/connectors/connector.ts';
import { everything, never, rejection } from '../shopify/parts.ts';
import { type SandboxRig, sandboxRig } from './parts.ts';

const bySku = async (rig: SandboxRig) =>
  Object.fromEntries([...(await rig.listings()).values()].map((listing) => [listing.sku, listing]));
const requests = ({ sandbox }: SandboxRig, name: string): number =>
  sandbox.records.requests.all().filter(({ operation }) => operation === name).length;

describe('listings', () => {
  test('one per SKU and warehouse, with the product in the ref and the SKU as alias', async () => {
    await using rig = await sandboxRig();
    const two = rig.shop.inventory.addWarehouse({ name: 'Two', status: 'ENABLED', type: 'SALES_WAREHOUSE' });
    const product = rig.shop.inventory.addProduct({
      title: 'Mug',
      skus: [
        { sku: 'MUG', quantities: { [rig.warehouseId]: 5, [two.id]: 2 } },
        { sku: 'CUP', quantities: 3 },
      ],
    });
    const listings = [...(await rig.listings()).values()];
    const [mug] = product.skus;
    expect(listings.map(({ sku, value }) => [sku, value])).toEqual([
      ['MUG', 5],
      ['MUG', 2],
      ['CUP', 3],
    ]);
    expect(listings[1]).toMatchObject({
      ref: { key: `${mug?.id}@${two.id}`, itemId: `${product.id}/${mug?.id}`, locationId: two.id },
      itemAliases: [mug?.id],
      title: 'Mug',
      problems: [],
    });
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test.each(['PENDING', 'FAILED', 'SELLER_DEACTIVATED', 'PLATFORM_DEACTIVATED', 'FREEZE'] as const)(
    'of a product that is %s are inactive',
    async (status) => {
      await using rig = await sandboxRig();
      rig.shop.inventory.addProduct({ status, skus: [{ sku: 'MUG', quantities: 5 }] });
      expect((await bySku(rig))['MUG']?.problems).toEqual(['inactive']);
      const { rows } = await rig.connector.readStock([rig.row('MUG', 0).ref], never);
      expect(rows).toMatchObject([{ value: 5, isActive: false }]);
    },
  );

  test('drafts and deleted products have none', async () => {
    await using rig = await sandboxRig();
    for (const status of ['DRAFT', 'DELETED'] as const)
      rig.shop.inventory.addProduct({ status, skus: [{ sku: status, quantities: 5 }] });
    expect(await bySku(rig)).toEqual({});
  });

  test('a SKU without text, a SKU twice (across pages), a closed warehouse: each is named', async () => {
    await using rig = await sandboxRig();
    const add = (sku: string) => rig.shop.inventory.addProduct({ skus: [{ sku, quantities: 1 }] });
    const first = add('TWICE');
    add('');
    for (let index = 0; index < 150; index++) add(`S${index}`);
    const second = add('TWICE');
    const closed = rig.shop.inventory.addWarehouse({
      name: 'C',
      status: 'DISABLED',
      type: 'SALES_WAREHOUSE',
    });
    rig.shop.inventory.addProduct({ skus: [{ sku: 'CLOSED', quantities: { [closed.id]: 4 } }] });
    const listings = await rig.listings();
    const problemsOf = (itemId: string) =>
      [...listings.values()].find(({ ref }) => ref.itemId === itemId)?.problems;
    for (const product of [first, second])
      expect(problemsOf(`${product.id}/${product.skus[0]?.id}`)).toEqual(['duplicate-sku']);
    expect([...listings.values()].find(({ sku }) => sku === '')?.problems).toEqual(['missing-sku']);
    expect([...listings.values()].find(({ sku }) => sku === 'CLOSED')?.problems).toEqual(['inactive']);
    expect([...listings.values()].find(({ sku }) => sku === 'S149')?.problems).toEqual([]);
  });

  test('a SKU whose seller SKU comes again pages later is named with all that keeps it from being written', async () => {
    for (const isSlow of [false, true]) {
      await using rig = await sandboxRig();
      const add = (sku: string) => rig.shop.inventory.addProduct({ skus: [{ sku, quantities: 1 }] });
      const off = rig.shop.inventory.addProduct({
        status: 'SELLER_DEACTIVATED',
        skus: [{ sku: 'TWICE', quantities: 7 }],
      });
      for (let index = 0; index < 120; index++) add(`S${index}`);
      add('TWICE');
      let pages = 0;
      const shown = new Map<string, PlatformListing[]>();
      for await (const page of rig.connector.readListings(null, never)) {
        for (const one of page.listings) shown.set(one.ref.key, [...(shown.get(one.ref.key) ?? []), one]);
        // What was noted of the first page is too old by now: its warehouses are asked for.
        if (isSlow && ++pages === 1) rig.advance(700_000);
      }
      const [first, again, ...more] = shown.get(`${off.skus[0]?.id}@${rig.warehouseId}`) ?? [];
      expect(first).toMatchObject({ value: 7, problems: ['inactive'] });
      expect(again).toMatchObject({
        ref: first?.ref,
        itemAliases: first?.itemAliases,
        sku: 'TWICE',
        value: null,
        problems: ['inactive', 'duplicate-sku'],
      });
      expect(more).toEqual([]);
      expect(requests(rig, 'inventory-search')).toBe(isSlow ? 1 : 0);
    }
  });

  test('two SKUs of one page with one seller SKU are named once each, with their numbers', async () => {
    await using rig = await sandboxRig();
    const product = rig.shop.inventory.addProduct({
      skus: [
        { sku: 'TWICE', quantities: 3 },
        { sku: 'TWICE', quantities: 4 },
      ],
    });
    const pages = await everything(rig.connector.readListings(null, never));
    const found = pages.flatMap(({ listings }) => listings);
    expect(found.map(({ value, problems }) => [value, problems])).toEqual([
      [3, ['duplicate-sku']],
      [4, ['duplicate-sku']],
    ]);
    expect(new Set(found.map(({ ref }) => ref.itemId)).size).toBe(product.skus.length);
  });

  test('a warehouse that is not ours makes the SKU foreign, unless it may be repeated', async () => {
    for (const otherWarehouses of ['refuse', 'echo'] as const) {
      const ours = '700';
      await using rig = await sandboxRig({}, { warehouses: [ours], otherWarehouses });
      rig.shop.inventory.addWarehouse({ id: ours, name: 'Ours', status: 'ENABLED', type: 'SALES_WAREHOUSE' });
      rig.shop.inventory.addProduct({
        skus: [
          { sku: 'BOTH', quantities: { [rig.warehouseId]: 5, [ours]: 2 } },
          { sku: 'OURS', quantities: { [ours]: 3 } },
          { sku: 'THEIRS', quantities: 4 },
        ],
      });
      const listings = await bySku(rig);
      expect(Object.keys(listings)).toEqual(['BOTH', 'OURS']);
      expect(listings['BOTH']).toMatchObject({
        value: 2,
        problems: otherWarehouses === 'refuse' ? ['beside-foreign-stock'] : [],
      });
      expect(listings['OURS']?.problems).toEqual([]);
    }
  });

  test('a bundle that an order or a refused write gave away is named', async () => {
    await using rig = await sandboxRig();
    rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 9 }] });
    rig.shop.inventory.addProduct({
      skus: [{ sku: 'SET', quantities: 2, components: [{ sku: 'MUG', count: 2 }] }],
    });
    expect((await bySku(rig))['SET']?.problems).toEqual([]);
    await rig.put(rig.row('SET', 1));
    expect((await bySku(rig))['SET']?.problems).toEqual(['bundle-parent']);
  });

  test('more than a search shows are walked in slices of time', async () => {
    await using rig = await sandboxRig({ settings: { maxSearchResults: 40 } });
    for (let index = 0; index < 230; index++) {
      const product = rig.shop.inventory.addProduct({ skus: [{ sku: `S${index}`, quantities: index }] });
      product.updatedAt = Date.now() - (index % 97) * 3_600_000;
    }
    expect((await rig.listings()).size).toBe(230);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('a sliced walk can be taken up again where a slice ended', async () => {
    await using rig = await sandboxRig({ settings: { maxSearchResults: 40 } });
    for (let index = 0; index < 100; index++)
      rig.shop.inventory.addProduct({ skus: [{ sku: `S${index}`, quantities: 1 }] }).updatedAt =
        Date.now() - index * 3_600_000;
    const pages = await everything(rig.connector.readListings(null, never));
    const at = pages.findIndex(({ cursor }) => cursor !== null);
    const before = new Set(pages.slice(0, at + 1).flatMap(({ listings }) => listings.map(({ sku }) => sku)));
    const rest = await everything(rig.connector.readListings(pages[at]?.cursor ?? null, never));
    const after = new Set(rest.flatMap(({ listings }) => listings.map(({ sku }) => sku)));
    expect(before.size + after.size).toBe(100);
    expect([...before].filter((sku) => after.has(sku))).toEqual([]);
    expect(pages.at(-1)?.cursor).toBeNull();
  });

  test('too many in one second cannot be told apart: that is said', async () => {
    await using rig = await sandboxRig({ settings: { maxSearchResults: 5 } });
    for (let index = 0; index < 20; index++)
      rig.shop.inventory.addProduct({
        skus: [{ sku: `S${index}`, quantities: 1 }],
      }).updatedAt = 1_700_000_000_000;
    expect((await rejection(rig.listings())).code).toBe('CONNECTOR_ANSWER_INVALID');
  });

  test('products that slip past a page are found by walking the slice again', async () => {
    await using rig = await sandboxRig();
    const products = Array.from({ length: 250 }, (_, index) =>
      rig.shop.inventory.addProduct({ skus: [{ sku: `S${index}`, quantities: 1 }] }),
    );
    const seen = new Set<string>();
    let page = 0;
    for await (const { listings } of rig.connector.readListings(null, never)) {
      for (const { sku } of listings) seen.add(sku);
      // A product of the first page disappears: the rest moves up by one row.
      const [first] = products;
      if (page++ === 0 && first !== undefined) first.status = 'DELETED';
    }
    for (let index = 1; index < 250; index++) expect(seen).toContain(`S${index}`);
  });

  test('an empty shop is empty; rows without sense are parked', async () => {
    await using rig = await sandboxRig();
    expect(await everything(rig.connector.readListings(null, never))).toMatchObject([
      { listings: [], cursor: null },
    ]);
    const product = rig.shop.inventory.addProduct({
      skus: [
        { sku: 'BAD', quantities: 1 },
        { sku: 'GOOD', quantities: 2 },
      ],
    });
    Object.assign([...(product.skus[0]?.levels.values() ?? [])][0] ?? {}, { available: 1.5 });
    const pages = await everything(rig.connector.readListings(null, never));
    expect(pages.flatMap(({ listings }) => listings.map(({ sku }) => sku))).toEqual(['GOOD']);
    expect(pages.flatMap(({ parked }) => parked)).toMatchObject([
      { what: 'listing', reference: product.skus[0]?.id },
    ]);
  });
});

describe('stock', () => {
  test('600 SKUs per request, each row dated by its own question', async () => {
    await using rig = await sandboxRig();
    const names = Array.from({ length: 1_250 }, (_, index) => `S${index}`);
    for (let start = 0; start < names.length; start += 100)
      rig.shop.inventory.addProduct({
        skus: names.slice(start, start + 100).map((sku, index) => ({ sku, quantities: start + index })),
      });
    const beforeMs = Date.now();
    const { rows, missing } = await rig.connector.readStock(
      names.map((sku) => rig.row(sku, 0).ref),
      never,
    );
    expect(requests(rig, 'inventory-search')).toBe(3);
    expect(rows.map(({ value }) => value)).toEqual(names.map((_, index) => index));
    expect(missing).toEqual([]);
    for (const { readAtMs } of rows) expect(Math.abs(readAtMs - beforeMs)).toBeLessThan(10_000);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('what is committed is not available, and what is not there is missing, never zero', async () => {
    await using rig = await sandboxRig();
    rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 5 }] });
    rig.shop.orders.place({ lines: [{ sku: 'MUG', quantity: 2 }] });
    const mug = rig.row('MUG', 0).ref;
    const elsewhere = { ...mug, key: 'elsewhere', locationId: '404' };
    const unknown = { key: 'unknown', itemId: '1/2', locationId: '3' };
    const strange = { key: 'strange', itemId: 'strange', locationId: '' };
    const read = await rig.connector.readStock([mug, elsewhere, unknown, strange], never);
    expect(read.rows).toMatchObject([{ key: mug.key, value: 3, isActive: true }]);
    expect(read.missing.toSorted()).toEqual(['elsewhere', 'strange', 'unknown']);
  });

  test('a row that makes no sense is parked: neither a figure nor a sign that the SKU is gone', async () => {
    await using rig = await sandboxRig();
    rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 5 }] });
    const { ref } = rig.row('MUG', 0);
    rig.shop.inventory.level('MUG').available = -1;
    expect(await rig.connector.readStock([ref], never)).toMatchObject({
      rows: [],
      missing: [],
      parked: [{ what: 'stock', reason: expect.stringContaining('-1') as string }],
    });
  });

  test('a lagging read shows the time before', async () => {
    await using rig = await sandboxRig({ settings: { readLagMs: 60_000 } });
    rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 5 }] });
    rig.shop.orders.place({ lines: [{ sku: 'MUG' }] });
    const { rows } = await rig.connector.readStock([rig.row('MUG', 0).ref], never);
    expect(rows).toMatchObject([{ value: 5 }]);
  });
});
