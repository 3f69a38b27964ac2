import { expect, test } from 'vitest';
import { SeenRows } from '../../src/reconcile/seen-rows.ts';

test('a key that two owners claim stays claimed, and the others are left alone by it', () => {
  const seen = new SeenRows();
  expect([seen.note('a', '1'), seen.note('b', '2'), seen.note('a', '1')]).toEqual(['new', 'new', 'again']);
  expect([seen.note('a', '2'), seen.note('a', '1'), seen.note('a', '2')]).toEqual([
    'other',
    'other',
    'other',
  ]);
  expect(seen.note('b', '2')).toBe('again');
  expect(seen.size).toBe(2);
});

test('keys without an owner are new once', () => {
  const seen = new SeenRows();
  expect([seen.note('a'), seen.note('a'), seen.note('b')]).toEqual(['new', 'again', 'new']);
  expect([seen.has('b'), seen.has('c')]).toEqual([true, false]);
});
