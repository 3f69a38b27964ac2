import { expect, test } from 'vitest';
import type { ListingProblem, PlatformListing } from '../../src/connectors/connector.ts';
import { BulkCheck } from '../../src/reconcile/observe.ts';

function listing(key: string, problems: readonly ListingProblem[] = []): PlatformListing {
  const ref = { key, itemId: key, locationId: 'main' };
  return { ref, sku: 'A', barcode: null, title: null, value: 1, readAtMs: 0, problems };
}

test('a listing that comes twice, or too few of those that are known: nothing is concluded from the reading', () => {
  const shifted = new BulkCheck(0);
  expect(shifted.page([listing('a'), listing('b')])).toBeUndefined();
  expect(shifted.page([listing('b')])).toBe('the listings changed while they were read: b came twice');
  const short = new BulkCheck(0);
  short.page([listing('a')]);
  expect(short.end(3)).toBe('the reading was cut short: 1 listings, 3 are known');
  expect(new BulkCheck(0).end(2)).toBe('the reading was empty, 2 listings are known');
});

test('one that is named again because it shares its SKU with a later one is counted once, and no change', () => {
  const check = new BulkCheck(0);
  expect(check.page([listing('a')])).toBeUndefined();
  expect(check.page([listing('b', ['duplicate-sku']), listing('a', ['duplicate-sku'])])).toBeUndefined();
  expect(check.seen).toBe(2);
  expect(check.end(2)).toBeUndefined();
  expect(check.page([listing('a')])).toBe('the listings changed while they were read: a came twice');
});
