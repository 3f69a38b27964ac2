import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { RowIndex } from '../../src/domain/row-index.ts';

test('numbers every key it was told in their order and knows no other, whatever the size it was made for', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), fc.nat(200), (told, asked, expected) => {
      const index = new RowIndex(expected);
      const model = new Map<string, number>();
      for (const key of told) {
        if (!model.has(key)) model.set(key, model.size);
        expect(index.add(key)).toBe(model.get(key));
      }
      expect(index.size).toBe(model.size);
      for (const key of [...told, ...asked]) expect(index.rowOf(key)).toBe(model.get(key));
    }),
  );
});

test('a catalogue of keys that differ in a digit or two: none is taken for another', () => {
  const index = new RowIndex();
  let wrong = 0;
  for (let n = 0; n < 200_000; n++) if (index.add(`gid://shopify/Item/${n}@1`) !== n) wrong++;
  expect(wrong).toBe(0);
  expect(index.rowOf('gid://shopify/Item/200000@1')).toBeUndefined();
});
