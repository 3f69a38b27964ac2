import * as fc from 'fast-check';
import type { Redis } from 'ioredis';
import { afterEach, describe, expect, test } from 'vitest';
import { Catalogue } from '../../src/domain/catalogue.ts';
import type { ListingId, LocationId, Sku } from '../../src/domain/ids.ts';
import { committedOf, counterNames, type LineCounters } from '../../src/domain/order.ts';
import { BundleHistory } from '../../src/mesh/bundle-history.ts';
import { bundleLines } from '../../src/mesh/bundle-lines.ts';
import { eventually } from '../support/eventually.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { uniqueMerchant } from '../support/redis.ts';
import { PublishingRig } from './support/publishing-rig.ts';

failOnLeakedConnections();

function catalogueOf(components: Readonly<Record<string, number>> | undefined): Catalogue {
  const parts = Object.entries(components ?? {}).map(([sku, units]) => ({ sku: sku as Sku, units }));
  const bundles = new Map(components === undefined ? [] : [['KIT' as Sku, parts]]);
  return new Catalogue({ default: {}, categories: [], substitutes: new Map(), bundles });
}

describe('a line that sold a bundle', () => {
  const counters = fc.record(
    Object.fromEntries(counterNames.map((name) => [name, fc.nat({ max: 50 })])),
  ) as fc.Arbitrary<LineCounters>;
  const components = fc.uniqueArray(
    fc.record({ sku: fc.string({ minLength: 1, maxLength: 255 }), units: fc.integer({ min: 1, max: 20 }) }),
    { minLength: 1, maxLength: 6, selector: ({ sku }) => sku },
  );

  test('moves its components, each by its units, and keeps what the platform took at its own listing', () => {
    fc.assert(
      fc.property(counters, components, (given, made) => {
        const parts = made.map(({ sku, units }) => ({ sku: sku as Sku, units }));
        const listingId = 'kit@L1' as ListingId;
        const committedAt = [{ location: 'main' as LocationId, units: committedOf(given) }];
        const line = { lineId: '7', sku: 'KIT' as Sku, counters: given, listingId, takenIsKnown: true };
        const bundle = bundleLines({ ...line, committedAt }, parts);
        expect(committedOf(bundle.own.counters)).toBe(0);
        expect(bundle.own.listingId).toBe(listingId);
        expect(bundle.own.counters.takenOut - bundle.own.counters.givenBack).toBe(
          given.takenOut - given.givenBack,
        );
        for (const [index, component] of bundle.components.entries()) {
          const units = parts[index]?.units ?? 0;
          expect(component.listingId).toBeUndefined();
          expect(component.counters.takenOut + component.counters.givenBack).toBe(0);
          expect(component.counters.shipped).toBe(given.shipped * units);
          expect(committedOf(component.counters)).toBe(committedOf(given) * units);
          expect(component.committedAt?.[0]?.units).toBe(committedOf(given) * units);
        }
        const ids = [bundle.own, ...bundle.components].map(({ lineId }) => lineId);
        expect(new Set(ids).size).toBe(ids.length);
        // The same lines whatever the order in which the configuration names them.
        const turned = bundleLines(line, parts.toReversed()).components.map(({ lineId }) => lineId);
        expect(new Set(turned)).toEqual(new Set(ids.slice(1)));
      }),
    );
  });
});

describe('what a bundle was made of', () => {
  let redis: Redis | undefined;
  afterEach(() => redis?.disconnect());

  test('is told by the moment an order was placed, over restarts and changes', async () => {
    redis = connectTestRedis();
    const key = `sm:{${uniqueMerchant()}}:bundles`;
    const at = async (
      nowMs: number,
      components: Record<string, number> | undefined,
      isKnown = false,
    ): Promise<BundleHistory> => {
      const history = new BundleHistory(redis as Redis, key);
      await history.update(catalogueOf(components), nowMs, () => isKnown);
      return history;
    };
    const kit = 'KIT' as Sku;
    await at(100, { A: 2, B: 1 });
    await at(150, { B: 1, A: 2 }, true);
    await at(200, { A: 3 }, true);
    const history = await at(300, undefined, true);
    expect(history.componentsAt(kit, 0)).toEqual([
      { sku: 'A', units: 2 },
      { sku: 'B', units: 1 },
    ]);
    expect(history.componentsAt(kit, 199)).toHaveLength(2);
    expect(history.componentsAt(kit, 200)).toEqual([{ sku: 'A', units: 3 }]);
    expect(history.componentsAt(kit, 300)).toBeUndefined();
    expect(history.componentsAt('OTHER' as Sku, 300)).toBeUndefined();
  });

  test('of a SKU that was sold as itself before counts from now on', async () => {
    redis = connectTestRedis();
    const history = new BundleHistory(redis, `sm:{${uniqueMerchant()}}:bundles`);
    await history.update(catalogueOf({ A: 1 }), 500, () => true);
    expect(history.componentsAt('KIT' as Sku, 499)).toBeUndefined();
    expect(history.componentsAt('KIT' as Sku, 500)).toHaveLength(1);
  });
});

describe('on the channels', () => {
  let rig: PublishingRig | undefined;
  afterEach(async () => {
    await rig?.close();
    rig = undefined;
  });

  test('a bundle shows what its scarcest component makes; its order lowers components everywhere, not itself twice', async () => {
    const mesh = await PublishingRig.start({
      channels: ['shop-a', 'shop-b'],
      stock: { A: 10, B: 7, KIT: 50 },
      catalogue: catalogueOf({ A: 4, B: 1 }),
    });
    rig = mesh;
    const shown = (id: string): readonly unknown[] => ['A', 'B', 'KIT'].map((sku) => mesh.shows(sku, id));
    await mesh.basesSettled();
    await eventually(() => {
      expect(shown('shop-a')).toEqual([10, 7, 2]);
      expect(shown('shop-b')).toEqual([10, 7, 2]);
    });
    const written = mesh.channel('shop-a').platform.applied.length;
    await mesh.sell('KIT', 1, 'shop-a');
    // The platform lowered the bundle's listing by itself, and no component's.
    await eventually(() => {
      expect(shown('shop-a')).toEqual([6, 6, 1]);
      expect(shown('shop-b')).toEqual([6, 6, 1]);
    });
    expect(mesh.channel('shop-a').platform.applied.slice(written)).toHaveLength(2);
    await mesh.sell('A', 3, 'shop-b');
    await eventually(() => {
      expect(shown('shop-a')).toEqual([3, 6, 0]);
      expect(shown('shop-b')).toEqual([3, 6, 0]);
    });
    await mesh.move('A', 9);
    await eventually(() => expect(shown('shop-b')).toEqual([12, 6, 3]));
    expect(await mesh.available('KIT')).toBe(0);
  });

  test('a bundle of which a component was never received is not written', async () => {
    const mesh = await PublishingRig.start({
      stock: { A: 10, KIT: 5 },
      catalogue: catalogueOf({ A: 1, MISSING: 1 }),
    });
    rig = mesh;
    await mesh.basesSettled();
    await mesh.move('A', -4);
    await eventually(() => expect(mesh.shows('A')).toBe(6));
    expect(mesh.shows('KIT')).toBe(5);
    await mesh.move('MISSING', 2);
    await eventually(() => expect(mesh.shows('KIT')).toBe(2));
  });

  test('units a bundle listing lost for a reason not yet known are held back in its components too', async () => {
    const mesh = await PublishingRig.start({ stock: { A: 10, KIT: 5 }, catalogue: catalogueOf({ A: 2 }) });
    rig = mesh;
    await mesh.basesSettled();
    await eventually(() => expect([mesh.shows('A'), mesh.shows('KIT')]).toEqual([10, 5]));
    const state = await mesh.state('KIT');
    const [, token] = ['', await mesh.publisher.takeLease('publish:shop-b', 'test', 60_000)];
    if (token.kind !== 'taken') throw new Error('the lease is taken');
    const change = {
      listingId: 'KIT@L1' as ListingId,
      expectedVersion: 0,
      next: { ...state, version: 0 },
      provision: { units: 1, sku: 'KIT' as Sku, location: 'main' as LocationId, cause: 'unexplained' },
    };
    const settled = await mesh.publisher.settle('shop-b' as never, token.token, {
      changes: [change],
      closeWrites: [],
      settlementId: 'test',
    });
    expect(settled.kind).toBe('settled');
    await eventually(() => expect([mesh.shows('A'), mesh.shows('KIT')]).toEqual([8, 4]));
  });
});
