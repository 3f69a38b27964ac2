import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LocationId, Sku } from '../../src/domain/ids.ts';
import { bundleTargetOf, showEverything, targetOf } from '../../src/domain/policy.ts';
import {
  PolicyBook,
  type PolicyLayers,
  type PolicyValues,
  compilePolicy,
  conflictsOfBook,
  findPolicyConflicts,
  policySettings,
} from '../../src/domain/policy-book.ts';

const layers: PolicyLayers = {
  general: [
    { path: 'policies.default', values: { sharePercent: 80, bufferUnits: 1 } },
    { path: 'channels[0].policy', values: { bufferUnits: 2, capUnits: 30 } },
  ],
  categories: [{ path: 'catalogue.categories[0].policy', skus: ['A-*'], values: { bufferUnits: 3 } }],
  rules: [{ path: 'channels[0].rules[0].policy', skus: ['A-1'], values: { bufferUnits: 4 } }],
};

describe('the policy of a SKU on a channel', () => {
  test('setting by setting the most particular layer counts: default, channel, category, rule', () => {
    const book = new PolicyBook(layers);
    expect(book.of('B' as Sku).policy).toMatchObject({ sharePercent: 80, bufferUnits: 2, capUnits: 30 });
    expect(book.of('A-2' as Sku).policy.bufferUnits).toBe(3);
    expect(book.of('A-1' as Sku)).toMatchObject({
      policy: { sharePercent: 80, bufferUnits: 4, capUnits: 30, oversellUnits: 0 },
      origins: [
        { setting: 'sharePercent', value: 80, path: 'policies.default' },
        { setting: 'bufferUnits', value: 4, path: 'channels[0].rules[0].policy' },
        { setting: 'capUnits', value: 30, path: 'channels[0].policy' },
      ],
    });
  });

  test('no cap is higher than what the platform can show', () => {
    expect(compilePolicy([], 99).policy.capUnits).toBe(99);
    expect(compilePolicy([{ path: 'x', values: { capUnits: 120 } }], 99).policy.capUnits).toBe(99);
    expect(compilePolicy([{ path: 'x', values: { capUnits: 12 } }], 99).policy.capUnits).toBe(12);
  });

  const largestValue = 100;
  const values: fc.Arbitrary<PolicyValues> = fc.record(
    Object.fromEntries(policySettings.map((name) => [name, fc.nat({ max: largestValue })])),
    { requiredKeys: [] },
  );

  test('every value in force was said by some layer, and by none after it', () => {
    fc.assert(
      fc.property(fc.array(values, { maxLength: 4 }), (said) => {
        const { origins } = compilePolicy(said.map((row, index) => ({ path: String(index), values: row })));
        for (const { setting, value, path } of origins) {
          expect(said[Number(path)]?.[setting]).toBe(value);
          for (const later of said.slice(Number(path) + 1)) expect(later[setting]).toBeUndefined();
        }
        const unsaid = policySettings.filter((name) => !origins.some((origin) => origin.setting === name));
        for (const name of unsaid) for (const row of said) expect(row[name]).toBeUndefined();
      }),
    );
  });

  test('a policy without conflict and with a share shows something when there is enough', () => {
    // The least of all shares, and of that the least a buffer leaves, still has to be more than is kept back in units
    // and more than the listing ends at.
    const enoughUnits = 100 * 100 * (largestValue + largestValue + 1);
    const strictest = {
      sharePercent: 1,
      bufferPercent: 99,
      bufferUnits: largestValue,
      endWhenUnits: largestValue,
    };
    fc.assert(
      fc.property(values, (row) => {
        const compiled = compilePolicy([{ path: 'x', values: row }]);
        const { policy } = compiled;
        fc.pre(
          findPolicyConflicts(compiled).length === 0 && policy.sharePercent > 0 && policy.capUnits !== 0,
        );
        fc.pre((policy.bufferPercent ?? 0) < 100);
        expect(targetOf(policy, [at(enoughUnits)]).units).toBeGreaterThan(0);
      }),
      { examples: [[strictest]] },
    );
    const { policy } = compilePolicy([{ path: 'x', values: strictest }]);
    expect(targetOf(policy, [at(enoughUnits - 1)]).units).toBe(0);
  });
});

describe('a policy that contradicts itself is refused where it was said last', () => {
  test('an end that is never reached', () => {
    const found = conflictsOfBook({
      ...layers,
      rules: [{ path: 'channels[0].rules[0].policy', skus: ['*-9'], values: { endWhenUnits: 30 } }],
    });
    expect(found.map(({ path }) => path)).toEqual(['channels[0].rules[0].policy.endWhenUnits']);
  });

  test('units kept back and sold beyond stock at once, in any combination of layers a SKU can have', () => {
    const oversell = { path: 'catalogue.categories[1].policy', skus: ['B-*'], values: { oversellUnits: 5 } };
    const found = conflictsOfBook({ ...layers, categories: [...layers.categories, oversell] });
    expect(new Set(found.map(({ path }) => path))).toEqual(
      new Set(['catalogue.categories[1].policy.oversellUnits']),
    );
    const free = { ...oversell.values, sharePercent: 100, bufferUnits: 0 };
    const rules = [{ path: 'r', skus: ['A-7'], values: { bufferUnits: 9 } }];
    expect(conflictsOfBook({ ...layers, categories: [{ ...oversell, values: free }], rules })).toEqual([]);
    rules.push({ path: 's', skus: ['*7'], values: { bufferUnits: 9 } });
    expect(conflictsOfBook({ ...layers, categories: [{ ...oversell, values: free }], rules })).toHaveLength(
      1,
    );
  });
});

describe('the target of a bundle', () => {
  test('is what the scarcest component makes, summed over locations, then the policy of the bundle', () => {
    const target = bundleTargetOf({ ...showEverything, bufferUnits: 1 }, [
      { units: 4, locations: [at(9), at(8)] },
      { units: 1, locations: [at(7), at(-1)] },
    ]);
    expect(target.steps).toEqual([
      { rule: 'bundle', setting: 2, units: 4 },
      { rule: 'not-below-zero', setting: 0, units: 4 },
      { rule: 'buffer', setting: 1, units: 3 },
    ]);
  });

  test('can always be packed from what there is', () => {
    const component = fc.record({
      units: fc.integer({ min: 1, max: 5 }),
      there: fc.array(fc.integer({ min: -9, max: 99 }), { minLength: 1, maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(component, { minLength: 1, maxLength: 4 }), (components) => {
        const { units } = bundleTargetOf(
          showEverything,
          components.map((one) => ({ units: one.units, locations: one.there.map(at) })),
        );
        for (const one of components) {
          const sum = Math.max(
            0,
            one.there.reduce((total, value) => total + value, 0),
          );
          expect(units * one.units).toBeLessThanOrEqual(sum);
        }
      }),
    );
  });
});

function at(onHand: number): Parameters<typeof targetOf>[1][number] {
  return { location: 'main' as LocationId, level: { onHand, committed: 0, reserved: 0 }, settlesHere: 0 };
}
