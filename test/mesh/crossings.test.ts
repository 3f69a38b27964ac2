import pino from 'pino';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Catalogue } from '../../src/domain/catalogue.ts';
import type { LocationId, Sku } from '../../src/domain/ids.ts';
import type { Level } from '../../src/domain/movement.ts';
import { type Crossing, CrossingMetrics, Crossings, type CrossingSource } from '../../src/mesh/crossings.ts';

class Levels implements CrossingSource {
  readonly levels = new Map<Sku, ReadonlyMap<LocationId, Level>>();
  #listener: (changed: ReadonlyMap<Sku, number>) => void = () => undefined;

  skus = (): Iterable<Sku> => this.levels.keys();
  levelsOf = (sku: Sku): ReadonlyMap<LocationId, Level> | undefined => this.levels.get(sku);
  onChanged(listener: (changed: ReadonlyMap<Sku, number>) => void): () => void {
    this.#listener = listener;
    return () => (this.#listener = () => undefined);
  }

  set(sku: string, onHand: number, seq: number): void {
    const level = { onHand, committed: 0, reserved: 0 };
    this.levels.set(sku as Sku, new Map([['main' as LocationId, level]]));
    this.#listener(new Map([[sku as Sku, seq]]));
  }
}

test('a crossing is told once, not each unit; a bundle crosses with its components; a failing subscriber harms nobody', () => {
  const source = new Levels();
  source.set('A', 10, 1);
  source.set('B', 10, 2);
  const catalogue = new Catalogue({
    default: { lowStockUnits: 3 },
    categories: [{ name: 'later', skus: ['B'], backorder: { maxUnits: 2 } }],
    substitutes: new Map(),
    bundles: new Map([['KIT' as Sku, [{ sku: 'A' as Sku, units: 2 }]]]),
  });
  const registry = new Registry();
  const crossings = new Crossings({
    source,
    catalogue,
    metrics: new CrossingMetrics(registry),
    log: pino({ level: 'silent' }),
  });
  const told: Crossing[] = [];
  crossings.start();
  crossings.subscribe(() => {
    throw new Error('a subscriber of no use');
  });
  const leave = crossings.subscribe((crossing) => told.push(crossing));

  for (const [index, units] of [9, 8, 7, 6].entries()) source.set('A', units, 10 + index);
  expect(told).toEqual([{ sku: 'KIT', from: 'in_stock', to: 'low_stock', available: 3, seq: 12 }]);
  source.set('A', 3, 20);
  source.set('A', 0, 21);
  source.set('B', 0, 22);
  source.set('B', -2, 23);
  source.set('NEW', 0, 24);
  expect(told.slice(1).map(({ sku, from, to }) => `${sku} ${from} ${to}`)).toEqual([
    'A in_stock low_stock',
    'A low_stock out_of_stock',
    'KIT low_stock out_of_stock',
    'B in_stock backorder',
    'B backorder out_of_stock',
  ]);
  leave();
  source.set('A', 50, 25);
  expect(told).toHaveLength(6);
  expect(crossings.statusOf('A' as Sku)).toBe('in_stock');
  crossings.close();
  source.set('A', 0, 26);
  expect(crossings.statusOf('A' as Sku)).toBe('out_of_stock');
});
