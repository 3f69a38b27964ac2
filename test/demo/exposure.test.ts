import { describe, expect, test } from 'vitest';
import { judgeOversells, type SeenMovement, type ShopSale } from '../../demo/agents/exposure.ts';

function entry(kind: string, atMs: number, available: number, reference = 'h'): SeenMovement {
  return { kind, atMs, sku: 'S', available, reference };
}
const sale: ShopSale = { sku: 'S', order: '7', atMs: 100 };
const opened = entry('counted', 0, 1);

describe('is an oversell of ours', () => {
  test.each([
    ['a hold', [opened, entry('held', 10, 0), entry('held', 20, -1, 'h2')]],
    ['a commit', [opened, entry('held', 10, 0), entry('hold-committed', 20, -1)]],
    ['an order that no shop placed', [opened, entry('held', 10, 0), entry('ordered', 120, -1, '8')]],
    ['more below than before', [opened, entry('ordered', 120, -1, '7'), entry('held', 130, -2)]],
  ])('%s that leaves less than nothing', (_what, movements) => {
    const { beyond } = judgeOversells(movements, [sale], 1_000);
    expect(beyond).toHaveLength(1);
  });

  test('a shop that was not told for longer than may be', () => {
    const movements = [opened, entry('held', 10, 0), entry('ordered', 120, -1, '7')];
    expect(judgeOversells(movements, [sale], 89).beyond).toHaveLength(1);
    expect(judgeOversells(movements, [sale], 90).beyond).toEqual([]);
  });
});

test('the shop still showed what an agent held: named, with its lag', () => {
  const movements = [opened, entry('held', 60, 0), entry('ordered', 120, -1, '7')];
  expect(judgeOversells(movements, [sale], 1_000)).toEqual({
    exposed: [{ sku: 'S', order: '7', units: 1, why: 'shop-had-not-heard', lagMs: 40 }],
    beyond: [],
  });
});

test('an agent took what the shop had sold before its order was heard of', () => {
  const movements = [opened, entry('held', 110, 0), entry('ordered', 130, -1, '7')];
  expect(judgeOversells(movements, [sale], 1_000)).toEqual({
    exposed: [{ sku: 'S', order: '7', units: 1, why: 'ledger-had-not-heard', lagMs: 30 }],
    beyond: [],
  });
});

test('what comes back and goes again is no second oversell; nothing below zero is nothing', () => {
  const movements = [
    opened,
    entry('held', 60, 0),
    entry('ordered', 120, -1, '7'),
    entry('released', 130, 0),
    entry('held', 140, 0, 'h2'),
  ];
  expect(judgeOversells(movements, [sale], 1_000).exposed).toHaveLength(1);
  expect(judgeOversells([opened, entry('held', 1, 0)], [], 1_000)).toEqual({ exposed: [], beyond: [] });
});
