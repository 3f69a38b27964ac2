import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { availabilityStatus, backpressureOf, laterUnits } from '../../src/domain/availability-status.ts';
import { Catalogue, agentLimits, bundlesIn, noCatalogue } from '../../src/domain/catalogue.ts';
import type { Sku } from '../../src/domain/ids.ts';
import { coversPattern, matchesPattern } from '../../src/domain/sku-pattern.ts';

describe('patterns of SKUs', () => {
  test.each([
    ['A-1', 'A-1', true],
    ['A-1', 'a-1', false],
    ['A-*', 'A-', true],
    ['A-*', 'B-1', false],
    ['*', '', true],
    ['*-XL', 'SHIRT-XL', true],
    ['ab*ba', 'aba', false],
    ['a*b*c', 'a.b.b.c', true],
    ['a*bc*c', 'abc', false],
    ['a.c', 'abc', false],
  ])('%s and %s: %s', (pattern, sku, expected) => expect(matchesPattern(pattern, sku)).toBe(expected));

  const pattern = fc.stringMatching(/^[ab*]{1,8}$/);
  const sku = fc.stringMatching(/^[ab]{0,10}$/);

  test('say the same as a regular expression', () => {
    fc.assert(
      fc.property(pattern, sku, (one, text) => {
        const expression = new RegExp(`^${one.replaceAll('*', '.*')}$`, 's');
        expect(matchesPattern(one, text)).toBe(expression.test(text));
      }),
    );
  });

  test('one that covers another has all of its SKUs', () => {
    fc.assert(
      fc.property(pattern, pattern, sku, (wide, narrow, text) => {
        fc.pre(coversPattern(wide, narrow) && matchesPattern(narrow, text));
        expect(matchesPattern(wide, text)).toBe(true);
      }),
    );
  });
});

describe('what a buyer is told', () => {
  const plain = { lowStockUnits: 3, isDiscontinued: false };
  test.each([
    [4, plain, 'in_stock'],
    [3, plain, 'low_stock'],
    [0, plain, 'out_of_stock'],
    [-2, plain, 'out_of_stock'],
    [1, { ...plain, lowStockUnits: 0 }, 'in_stock'],
    [0, { ...plain, backorder: { maxUnits: 2 } }, 'backorder'],
    [-2, { ...plain, backorder: { maxUnits: 2 } }, 'out_of_stock'],
    [-1, { ...plain, preorder: { maxUnits: 2 } }, 'preorder'],
    [1, { ...plain, isDiscontinued: true }, 'low_stock'],
    [0, { ...plain, isDiscontinued: true }, 'discontinued'],
  ] as const)('%i available: %o is %s', (available, terms, status) => {
    expect(availabilityStatus(available, terms)).toBe(status);
  });

  test('what is promised beyond the stock never exceeds the terms, and consumers are told to stop then', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -100, max: 5 }),
        fc.integer({ min: 1, max: 50 }),
        (available, maxUnits) => {
          const left = laterUnits(available, { maxUnits });
          expect(Math.min(0, available) - left).toBeGreaterThanOrEqual(Math.min(available, -maxUnits));
          const status = availabilityStatus(available, { ...plain, backorder: { maxUnits } });
          if (left === 0 && available <= 0) expect(backpressureOf(status)).toBe('stop');
          else expect(backpressureOf(status)).not.toBe('stop');
        },
      ),
    );
  });
});

describe('the catalogue', () => {
  const catalogue = new Catalogue({
    default: { lowStockUnits: 7, agents: { keepPercent: 10, agentCapUnits: 5 } },
    categories: [
      { name: 'one', skus: ['A-1'], consistency: 'relaxed' },
      { name: 'many', skus: ['A-*', 'B-*'], lowStockUnits: 1, agents: { keepPercent: 50 } },
    ],
    substitutes: new Map([['A-1' as Sku, ['B-1' as Sku]]]),
    bundles: new Map([['KIT' as Sku, [{ sku: 'A-1' as Sku, units: 2 }]]]),
  });

  test('takes the first category that has a pattern, and the default for what it does not say', () => {
    expect(catalogue.termsOf('A-1' as Sku)).toMatchObject({
      category: 'one',
      consistency: 'relaxed',
      lowStockUnits: 7,
      substitutes: ['B-1'],
    });
    expect(catalogue.termsOf('A-2' as Sku)).toMatchObject({
      category: 'many',
      consistency: 'strict',
      lowStockUnits: 1,
      agents: { keepPercent: 50, agentCapUnits: 5 },
    });
    expect(catalogue.termsOf('C' as Sku)).toMatchObject({ category: '', lowStockUnits: 7 });
    expect(new Catalogue(noCatalogue).termsOf('C' as Sku)).toMatchObject({ lowStockUnits: 5 });
  });

  test('knows bundles from both sides', () => {
    expect(catalogue.componentsOf('KIT' as Sku)).toEqual([{ sku: 'A-1', units: 2 }]);
    expect(catalogue.bundlesWith('A-1' as Sku)).toEqual(['KIT']);
    expect(catalogue.componentsOf('A-1' as Sku)).toBeUndefined();
    expect([...catalogue.bundles()]).toEqual(['KIT']);
  });

  test('agents see 900 of 1,000 units when a tenth is kept, however many of them are held', () => {
    const terms = { keepPercent: 10, keepUnits: 0, poolCapUnits: 40, agentCapUnits: 5 };
    expect(agentLimits(terms, 1_000)).toEqual({ keepUnits: 100, poolCapUnits: 40, agentCapUnits: 5 });
    expect(agentLimits(terms, 11).keepUnits).toBe(2);
    expect(agentLimits(terms, -4).keepUnits).toBe(0);
  });

  test('bundles that can be made never need more of a component than there is, and one more would', () => {
    const stock = fc.record({ a: fc.integer({ min: 0, max: 99 }), b: fc.integer({ min: 0, max: 99 }) });
    const need = fc.record({ a: fc.integer({ min: 1, max: 9 }), b: fc.integer({ min: 1, max: 9 }) });
    fc.assert(
      fc.property(stock, need, (there, needed) => {
        const components = (['a', 'b'] as const).map((sku) => ({
          sku: sku as string as Sku,
          units: needed[sku],
        }));
        const made = bundlesIn(components, (sku) => there[sku as 'a' | 'b']);
        const fits = (count: number): boolean =>
          (['a', 'b'] as const).every((sku) => count * needed[sku] <= there[sku]);
        expect(fits(made)).toBe(true);
        expect(fits(made + 1)).toBe(false);
      }),
    );
  });
});
