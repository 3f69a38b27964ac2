import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { setUp } from './shopify-client.ts';
import type { Setup } from './shopify-client.ts';

interface RecordedCase {
  readonly case: string;
  readonly variables: Record<string, unknown>;
  readonly response: Record<string, unknown>;
}

const { cases } = JSON.parse(
  readFileSync(new URL('../fixtures/shopify/recorded-responses-2026-04.json', import.meta.url), 'utf8'),
) as { cases: readonly RecordedCase[] };

const recorded = (name: string): RecordedCase => {
  const found = cases.find((candidate) => candidate.case === name);
  if (!found) throw new Error(`no recorded case ${name}`);
  return found;
};

const CHANGES = 'changes { name delta quantityAfterChange item { id } location { id name } }';
const GROUP = `inventoryAdjustmentGroup { id createdAt reason referenceDocumentUri ${CHANGES} }`;
const SHORT_GROUP =
  'inventoryAdjustmentGroup { reason referenceDocumentUri changes { name delta item { id } location { id name } } }';
const ZERO_GROUP =
  'inventoryAdjustmentGroup { reason referenceDocumentUri changes { name delta quantityAfterChange item { id } location { id } } }';
const ERRORS = 'userErrors { field message code }';

const mutation = (
  field: string,
  input: string,
  selection: string,
  directive = '@idempotent(key: $idempotencyKey)',
) =>
  `mutation M($input: ${input}!${directive === '' ? '' : ', $idempotencyKey: String!'}) {
  ${field}(input: $input) ${directive} { ${selection} ${ERRORS} }
}`;

const SET = (selection: string) =>
  mutation('inventorySetQuantities', 'InventorySetQuantitiesInput', selection);
const ADJUST = (selection: string) =>
  mutation('inventoryAdjustQuantities', 'InventoryAdjustQuantitiesInput', selection);

/** Recorded ids become the ids of the sandbox's items, in order of appearance; unknown ids stay unknown. */
function translated(setup: Setup, value: unknown): unknown {
  const [location] = setup.shop.inventory.locations.keys();
  const items = [...setup.shop.inventory.items.keys()];
  const known = new Map<string, string>();
  const text = JSON.stringify(value).replace(
    /gid:\/\/shopify\/(InventoryItem|Location)\/(\d+)/g,
    (id, kind) => {
      if (id.endsWith('999999999999')) return id;
      if (kind === 'Location') return location ?? id;
      if (!known.has(id)) known.set(id, items[known.size] ?? id);
      return known.get(id) ?? id;
    },
  );
  return JSON.parse(text);
}

/** Everything but ids and times of groups, error positions and what is left in the bucket. */
function comparable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, inner: unknown) => {
      if (key === 'createdAt' || key === 'currentlyAvailable' || key === 'locations') return undefined;
      return typeof inner === 'string' ? inner.replace(/(InventoryAdjustmentGroup)\/\d+/, '$1/n') : inner;
    }),
  );
}

const RUNS: readonly (readonly [name: string, document: string, available: number])[] = [
  ['inventorySetQuantities', SET(GROUP), 0],
  ['missingSetChangeFromQuantity', SET(GROUP), 0],
  ['inventoryAdjustQuantities', ADJUST(GROUP), 5],
  ['legacySetShape', SET(GROUP), 0],
  ['cases/onHandNegative', SET(GROUP), 0],
  ['cases/availableTooLow', SET(GROUP), 0],
  ['cases/availableNegativeWithinBounds', SET(SHORT_GROUP), 0],
  ['cases/damaged', SET(GROUP), 0],
  ['cases/onHand', SET(SHORT_GROUP), 0],
  ['cases/availableTooHigh', SET(GROUP), 0],
  ['cases/duplicatePair', SET(GROUP), 0],
  ['allZero', ADJUST(ZERO_GROUP), 0],
  ['mixedZeroAndNonzero', ADJUST(ZERO_GROUP), 0],
];

test.each(RUNS)('answers as recorded: %s', async (name, document, available) => {
  await using setup = await setUp({ rateLimit: true });
  setup.shop.addItem({ sku: 'one', quantities: available });
  setup.shop.addItem({ sku: 'two', quantities: available });
  const wanted = translated(setup, recorded(name)) as RecordedCase;
  const result = await setup.client.query(document, wanted.variables);
  expect(comparable(result.raw)).toEqual(comparable(wanted.response));
});

// The recorded documents of these refusals select less, so only their errors are compared.
test.each([
  ['missingSetIdempotency', 'inventorySetQuantities', 'InventorySetQuantitiesInput'],
  ['missingAdjustIdempotency', 'inventoryAdjustQuantities', 'InventoryAdjustQuantitiesInput'],
  ['missingAdjustChangeFromQuantity', 'inventoryAdjustQuantities', 'InventoryAdjustQuantitiesInput'],
] as const)('refuses as recorded: %s', async (name, field, input) => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'one', quantities: 5 });
  const wanted = recorded(name);
  const { input: given } = translated(setup, wanted.variables) as { input: unknown };
  const result = await setup.client.query(mutation(field, input, GROUP, ''), { input: given });
  expect(comparable(result.errors)).toEqual(comparable(wanted.response['errors']));
  expect(result.data).toEqual(wanted.response['data']);
});

test.each(['unknownIdValidation/setUnknownInventoryItem', 'unknownIdValidation/setUnknownLocation'])(
  'refuses as recorded: %s',
  async (name) => {
    await using setup = await setUp();
    setup.shop.addItem({ sku: 'one', quantities: 0 });
    const wanted = recorded(name);
    const result = await setup.client.query(
      SET('inventoryAdjustmentGroup { id }'),
      translated(setup, wanted.variables) as Record<string, unknown>,
    );
    expect(result.data).toEqual(wanted.response['data']);
  },
);

test('refuses an unknown reason as recorded', async () => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'one', quantities: 0 });
  const wanted = recorded('unknownIdValidation/setOnHandInvalidReason');
  const document = mutation(
    'inventorySetOnHandQuantities',
    'InventorySetOnHandQuantitiesInput',
    'inventoryAdjustmentGroup { id }',
  );
  const variables = translated(setup, { ...wanted.variables }) as Record<string, unknown>;
  const result = await setup.client.query(
    document,
    JSON.parse(JSON.stringify(variables).replace(/("changeFromQuantity"):9/, '$1:0')),
  );
  expect(result.data).toEqual(wanted.response['data']);
});

test('an inactive level keeps its quantity, counts nowhere and comes back with it, as recorded', async () => {
  await using setup = await setUp();
  const { shop, client } = setup;
  shop.addLocation({ name: 'My Custom Location' });
  const item = shop.addItem({ sku: 'one', quantities: { 'Shop location': 5, 'My Custom Location': 7 } });
  const level = shop.level('one', 'My Custom Location');
  const deactivate =
    'mutation D($id: ID!) { inventoryDeactivate(inventoryLevelId: $id) @idempotent(key: "d") { userErrors { message } } }';
  const deactivated = await client.query(deactivate, { id: level?.id });
  expect(deactivated.data).toEqual(recorded('inventoryInactiveLifecycleDeactivate').response['data']);

  const read =
    'query R($id: ID!) { inventoryItem(id: $id) { variants(first: 1) { nodes { inventoryQuantity product { totalInventory } } } inventoryLevels(first: 5, includeInactive: true) { nodes { isActive quantities(names: ["available"]) { quantity } } } } }';
  const before = await client.query(read, { id: item.id });
  expect(before.data['inventoryItem']).toEqual({
    variants: { nodes: [{ inventoryQuantity: 5, product: { totalInventory: 0 } }] },
    inventoryLevels: {
      nodes: [
        { isActive: true, quantities: [{ quantity: 5 }] },
        { isActive: false, quantities: [{ quantity: 7 }] },
      ],
    },
  });
  await client.run('ActivateLevel', { itemId: item.id, locationId: level?.location.id, idempotencyKey: 'e' });
  const after = await client.query(read, { id: item.id });
  expect(after.data['inventoryItem']?.['variants']).toEqual({
    nodes: [{ inventoryQuantity: 12, product: { totalInventory: 0 } }],
  });
});
