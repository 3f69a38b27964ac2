import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type SkuOwner, SkuOwners } from '../../../src/connectors/tiktok/sku-owners.ts';

const id = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 70n }).map(String),
  fc.constantFrom('0', '007', 'abc', String(2n ** 64n - 1n), String(2n ** 64n)),
);
const claim = fc.record({ sku: fc.constantFrom('A', 'B', 'a', 'A '), productId: id, skuId: id });

test('the first claim of a seller SKU is told to every other SKU that makes it, ids as they were', () => {
  fc.assert(
    fc.property(fc.array(claim, { maxLength: 40 }), (claims) => {
      const owners = new SkuOwners();
      const model = new Map<string, SkuOwner>();
      for (const { sku, ...owner } of claims) {
        const first = model.get(sku) ?? owner;
        model.set(sku, first);
        const isSame = first.skuId === owner.skuId && first.productId === owner.productId;
        expect(owners.claim(sku, owner)).toEqual(isSame ? undefined : first);
      }
    }),
  );
});

test('ids of thousands of SKUs stay apart', () => {
  const owners = new SkuOwners();
  const owner = (n: number): SkuOwner => ({ productId: `17${n}`, skuId: `1729384756${n}` });
  for (let n = 0; n < 5_000; n++) expect(owners.claim(`SKU-${n}`, owner(n))).toBeUndefined();
  for (let n = 0; n < 5_000; n += 97) expect(owners.claim(`SKU-${n}`, owner(n + 1))).toEqual(owner(n));
});
