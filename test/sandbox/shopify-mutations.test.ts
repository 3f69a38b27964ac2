import { expect, test } from 'vitest';
import { codesOf, setUp } from './shopify-client.ts';
import type { Setup } from './shopify-client.ts';

const HEADER = { name: 'available', reason: 'correction' };

function changes(
  setup: Setup,
  rows: readonly (readonly [sku: string, delta: number, from?: number | null])[],
) {
  const [locationId] = setup.shop.inventory.locations.keys();
  return rows.map(([sku, delta, from]) => ({
    inventoryItemId: setup.shop.item(sku).id,
    locationId,
    delta,
    changeFromQuantity: from ?? null,
  }));
}

const kindsOf = (setup: Setup) => setup.sandbox.violations().map((violation) => violation.kind);

test('a batch with one stale row changes nothing', async () => {
  await using setup = await setUp();
  for (const sku of ['a', 'b', 'c']) setup.shop.addItem({ sku, quantities: 10 });
  const input = {
    ...HEADER,
    changes: changes(setup, [
      ['a', -1],
      ['b', -1, 9],
      ['c', -1],
    ]),
  };
  const { data } = await setup.client.run('AdjustAvailable', { input, idempotencyKey: 'k' });
  expect(data['inventoryAdjustQuantities']).toEqual({
    inventoryAdjustmentGroup: null,
    userErrors: [
      {
        code: 'CHANGE_FROM_QUANTITY_STALE',
        field: ['input', 'changes', '1', 'changeFromQuantity'],
        message: 'The changeFromQuantity argument no longer matches the persisted quantity.',
      },
    ],
  });
  expect(['a', 'b', 'c'].map((sku) => setup.shop.available(sku))).toEqual([10, 10, 10]);
});

test('more than 250 rows are refused as a whole, before execution', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  const rows = Array.from({ length: 251 }, () => ['a', -1] as const);
  const { raw } = await setup.client.run('AdjustAvailable', {
    input: { ...HEADER, changes: changes(setup, rows) },
    idempotencyKey: 'k',
  });
  expect(raw).toMatchObject({
    errors: [
      {
        message: 'The input array size of 251 is greater than the maximum allowed of 250.',
        path: ['inventoryAdjustQuantities', 'input', 'changes'],
        extensions: { code: 'MAX_INPUT_SIZE_EXCEEDED' },
      },
    ],
  });
  expect(raw).not.toHaveProperty('data');
  expect(setup.shop.available('a')).toBe(10);
  expect(kindsOf(setup)).toEqual(['over-limit-array']);
});

test('250 rows of one call are applied', async () => {
  await using setup = await setUp();
  const skus = Array.from({ length: 250 }, (_, index) => `s${index}`);
  for (const sku of skus) setup.shop.addItem({ sku, quantities: 10 });
  const rows = skus.map((sku) => [sku, -2] as const);
  const { data } = await setup.client.run('AdjustAvailable', {
    input: { ...HEADER, changes: changes(setup, rows) },
    idempotencyKey: 'k',
  });
  expect(codesOf(data['inventoryAdjustQuantities'])).toEqual([]);
  expect(skus.every((sku) => setup.shop.available(sku) === 8)).toBe(true);
});

test('a bundle parent cannot be changed', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'part', quantities: 10 });
  setup.shop.addItem({ sku: 'bundle', bundle: [{ sku: 'part', quantity: 2 }] });
  const { data } = await setup.client.adjust('bundle', -1, 'k');
  expect(codesOf(data['inventoryAdjustQuantities'])).toEqual(['NON_MUTABLE_INVENTORY_ITEM']);
});

test.each(['on_hand', 'committed', 'sellable'])('adjusting %s is refused', async (name) => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  const rows = changes(setup, [['a', 1]]).map((row) => ({ ...row, ledgerDocumentUri: 'gid://app/Entry/1' }));
  const { data } = await setup.client.run('AdjustAvailable', {
    input: { name, reason: 'correction', changes: rows },
    idempotencyKey: 'k',
  });
  expect(data['inventoryAdjustQuantities']?.['userErrors']).toMatchObject([
    {
      field: ['input', 'name'],
      message:
        'The specified quantity name is invalid. Valid values are: available, damaged, incoming, quality_control, reserved, safety_stock.',
    },
  ]);
});

test.each([
  ['damaged', undefined, 'INVALID_QUANTITY_DOCUMENT'],
  ['available', 'https://example.com/1', 'INVALID_AVAILABLE_DOCUMENT'],
  ['reserved', 'gid://shopify/Order/123', 'INTERNAL_LEDGER_DOCUMENT'],
] as const)('a ledger document of %s: %s answers %s', async (name, ledgerDocumentUri, code) => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  const rows = changes(setup, [['a', 1]]).map((row) => ({ ...row, ledgerDocumentUri }));
  const { data } = await setup.client.run('AdjustAvailable', {
    input: { name, reason: 'correction', changes: rows },
    idempotencyKey: 'k',
  });
  expect(codesOf(data['inventoryAdjustQuantities'])).toEqual([code]);
});

test('a reference document must be a URI', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  const input = { ...HEADER, referenceDocumentUri: 'entry 1', changes: changes(setup, [['a', 1]]) };
  const { data } = await setup.client.run('AdjustAvailable', { input, idempotencyKey: 'k' });
  expect(codesOf(data['inventoryAdjustQuantities'])).toEqual(['INVALID_REFERENCE_DOCUMENT']);
});

test('a write to a location that does not stock the item lands silently on an inactive level', async () => {
  await using setup = await setUp();
  const { shop, client } = setup;
  const other = shop.addLocation({ name: 'Elsewhere' });
  const item = shop.addItem({ sku: 'a', quantities: 3 });
  const row = { inventoryItemId: item.id, locationId: other.id, quantity: 9, changeFromQuantity: null };
  const { data } = await client.run('SetAvailable', {
    input: { ...HEADER, quantities: [row] },
    idempotencyKey: 'k',
  });
  expect(codesOf(data['inventorySetQuantities'])).toEqual([]);
  expect(shop.level('a', 'Elsewhere')).toMatchObject({ isActive: false, quantities: { available: 9 } });
  expect(shop.placeOrder({ lines: [{ sku: 'a', quantity: 4 }] }).kind).toBe('refused');
  expect(kindsOf(setup)).toEqual(['inactive-level-write']);
});

test('a write to an untracked item succeeds and is reported', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 3, tracked: false });
  const { data } = await setup.client.adjust('a', -1, 'k');
  expect(codesOf(data['inventoryAdjustQuantities'])).toEqual([]);
  expect(kindsOf(setup)).toEqual(['untracked-item-write']);
});

test('a move between parts of on_hand leaves on_hand alone', async () => {
  await using setup = await setUp();
  const item = setup.shop.addItem({ sku: 'a', quantities: 5 });
  const [locationId] = setup.shop.inventory.locations.keys();
  const input = {
    reason: 'correction',
    referenceDocumentUri: 'gid://app/Move/1',
    changes: [
      {
        inventoryItemId: item.id,
        quantity: 2,
        from: { locationId, name: 'available', changeFromQuantity: 5 },
        to: { locationId, name: 'damaged', changeFromQuantity: 0, ledgerDocumentUri: 'gid://app/Move/1' },
      },
    ],
  };
  const { data } = await setup.client.run('MoveQuantities', { input, idempotencyKey: 'k' });
  const group = data['inventoryMoveQuantities']?.['inventoryAdjustmentGroup'];
  expect(group?.['changes']).toMatchObject([
    { name: 'available', delta: -2, ledgerDocumentUri: null },
    { name: 'damaged', delta: 2, ledgerDocumentUri: 'gid://app/Move/1' },
  ]);
  expect([setup.shop.available('a'), setup.shop.onHand('a')]).toEqual([3, 5]);
});

test('setting on_hand is a contract violation of a client that sells', async () => {
  await using setup = await setUp();
  const item = setup.shop.addItem({ sku: 'a', quantities: 5 });
  const [locationId] = setup.shop.inventory.locations.keys();
  const row = { inventoryItemId: item.id, locationId, quantity: 9, changeFromQuantity: 5 };
  await setup.client.run('SetAvailable', {
    input: { name: 'on_hand', reason: 'correction', quantities: [row] },
    idempotencyKey: 'k',
  });
  expect(setup.shop.available('a')).toBe(9);
  expect(kindsOf(setup)).toEqual(['on-hand-mutation']);
});

test('every applied change is in the audit with its key, reference and both values', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  const input = {
    ...HEADER,
    referenceDocumentUri: 'gid://app/Entry/7',
    changes: changes(setup, [['a', -2, 5]]),
  };
  await setup.client.run('AdjustAvailable', { input, idempotencyKey: 'key-7' });
  expect(setup.sandbox.records.audit.all().at(-1)).toMatchObject({
    sku: 'a',
    name: 'available',
    from: 5,
    to: 3,
    delta: -2,
    cause: 'api',
    idempotencyKey: 'key-7',
    reference: 'gid://app/Entry/7',
  });
});

test('an app without the scope is refused', async () => {
  await using setup = await setUp({ scopes: ['read_inventory', 'read_products'] });
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  const { errors } = await setup.client.adjust('a', -1, 'k');
  expect(errors?.[0]?.extensions['code']).toBe('ACCESS_DENIED');
  expect(setup.shop.available('a')).toBe(5);
});
