import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import {
  type DocumentNode,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  TypeInfo,
  buildASTSchema,
  getVariableValues,
  parse,
  validate,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { breaches } from '../../sandbox/posting/breaches.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { FaultyProxy, type ProxiedRequest } from '../conformance/faulty-proxy.ts';
import { DaemonUnderTest } from './daemon.ts';

/**
 * What the daemon really sends to Shopify, recorded on its way and judged by the official schema and the published limits
 * alone: an error that our emulator shares with our connector does not pass here.
 */
const schema: GraphQLSchema = buildASTSchema(
  parse(gunzipSync(readFileSync('sandbox/shopify/schema/admin_2026-10.graphql.gz')).toString()),
  { assumeValid: true, assumeValidSDL: true },
);
const skus = Array.from({ length: 260 }, (_, index) => `S${index}`);
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Of the page "Manage inventory quantities": others are refused. */
const reasons = new Set([
  'correction',
  'cycle_count_available',
  'damaged',
  'movement_created',
  'other',
  'received',
  'restock',
]);

interface Sent {
  readonly request: ProxiedRequest;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly variables: Readonly<Record<string, unknown>>;
}

interface Change {
  readonly delta: number;
  readonly inventoryItemId: string;
  readonly locationId: string;
  readonly changeFromQuantity: number | null;
}

let sandbox: ShopifySandbox;
let shops: readonly [SandboxShop, SandboxShop];
let proxy: FaultyProxy;
let daemon: DaemonUnderTest;
let sent: readonly Sent[] = [];

beforeAll(async () => {
  sandbox = await startShopifySandbox({ seed: 5 });
  const add = (name: string): SandboxShop => {
    const shop = sandbox.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' });
    for (const sku of skus) shop.addItem({ sku, quantities: 20 });
    return shop;
  };
  shops = [add('shop-a'), add('shop-b')];
  proxy = await FaultyProxy.start(sandbox.url);
  daemon = await DaemonUnderTest.make({ shops });
  await daemon.changeConfig((config) => {
    for (const channel of config['channels'] as Record<string, unknown>[])
      channel['baseUrl'] = `${proxy.url}/${String(channel['shop'])}`;
  });
  daemon.start();
  await daemon.ready();
  await daemon.connected(skus.length);
  await trade();
  sent = proxy.answers
    .map(({ request }) => request)
    .filter(isGraphql)
    .map(read);
}, 180_000);

afterAll(async () => {
  await daemon.remove();
  await proxy.stop();
  await sandbox.stop();
});

/** Lowerings of more rows than one request takes, raises, single sales, and a restart in between. */
async function trade(): Promise<void> {
  const [a, b] = shops;
  const agreed = (units: number): Promise<void> =>
    daemon.until(
      async () => skus.every((sku) => a.available(sku) === units && b.available(sku) === units),
      `every SKU at ${units}`,
      90_000,
    );
  const placed = a.placeOrder({ lines: skus.map((sku) => ({ sku, quantity: 2 })) });
  if (placed.kind !== 'accepted') throw new Error('refused');
  await agreed(18);
  a.cancelOrder(placed.order.id, { restock: true, reason: 'CUSTOMER' });
  await agreed(20);
  await daemon.kill('SIGTERM');
  daemon.start();
  await daemon.ready();
  for (const sku of skus.slice(0, 3)) b.placeOrder({ lines: [{ sku, quantity: 1 }] });
  await daemon.until(async () => skus.slice(0, 3).every((sku) => a.available(sku) === 19), 'single sales');
}

function isGraphql({ path }: ProxiedRequest): boolean {
  return path.endsWith('/graphql.json');
}

function read(request: ProxiedRequest): Sent {
  const body = JSON.parse(request.body) as { query: string; variables?: Record<string, unknown> };
  const document = parse(body.query);
  const operations = document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  const [operation] = operations;
  if (operation === undefined || operations.length > 1) throw new Error('not one operation');
  return { request, document, operation, variables: body.variables ?? {} };
}

function called(field: string): readonly Sent[] {
  return sent.filter(({ operation }) =>
    operation.selectionSet.selections.some((node) => node.kind === Kind.FIELD && node.name.value === field),
  );
}

function changesOf({ variables }: Sent): readonly Change[] {
  return (variables['input'] as { readonly changes: readonly Change[] }).changes;
}

function lists(value: unknown): readonly (readonly unknown[])[] {
  if (Array.isArray(value)) return [value, ...value.flatMap(lists)];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(lists) : [];
}

test('the addresses, the version and the place of the token are the published ones', () => {
  expect(sent.length).toBeGreaterThan(20);
  for (const { request } of proxy.answers.map((answer) => ({ request: answer.request }))) {
    expect(request.path).toMatch(
      /^\/shop-[ab]\.myshopify\.com\/(admin\/api\/2026-10\/graphql\.json|admin\/oauth\/access_token|.*\.jsonl.*)$/,
    );
    if (!isGraphql(request)) continue;
    expect(request.method).toBe('POST');
    expect(request.headers['content-type']).toMatch(/^application\/json/);
    expect(request.headers['x-shopify-access-token']).toEqual(expect.any(String));
  }
});

test('every document and its variables are valid by the official schema, and nothing in them is deprecated', () => {
  const names = new Set<string>();
  for (const { document, operation, variables } of sent) {
    names.add(operation.name?.value ?? '');
    expect(validate(schema, document).map((error) => error.message)).toEqual([]);
    const definitions = operation.variableDefinitions ?? [];
    expect(getVariableValues(schema, definitions, variables).errors ?? []).toEqual([]);
    expect(
      Object.keys(variables).filter((name) => !definitions.some((one) => one.variable.name.value === name)),
    ).toEqual([]);
    const info = new TypeInfo(schema);
    const old: string[] = [];
    visit(
      document,
      visitWithTypeInfo(info, {
        Field: (node) => {
          if (typeof info.getFieldDef()?.deprecationReason === 'string')
            old.push(`${operation.name?.value}.${node.name.value}`);
        },
      }),
    );
    expect(old).toEqual([]);
  }
  expect(names.has('')).toBe(false);
});

test('no list is longer than 250, no page larger', () => {
  for (const { document, variables } of sent) {
    for (const list of lists(variables)) expect(list.length).toBeLessThanOrEqual(250);
    visit(document, {
      Argument: ({ name, value }) => {
        if (name.value !== 'first' && name.value !== 'last') return;
        const size =
          value.kind === Kind.VARIABLE
            ? variables[value.name.value]
            : value.kind === Kind.INT && Number(value.value);
        expect(size).toBeGreaterThan(0);
        expect(size).toBeLessThanOrEqual(250);
      },
    });
  }
});

test('adjustments: idempotent, of available, each row once, lowerings without a condition and raises with one', () => {
  const adjustments = called('inventoryAdjustQuantities');
  const byKey = new Map<unknown, string>();
  let largest = 0;
  let raises = 0;
  for (const adjustment of adjustments) {
    const { operation, variables } = adjustment;
    const [field] = operation.selectionSet.selections;
    expect(field?.directives?.map(({ name }) => name.value)).toEqual(['idempotent']);
    const key = variables['idempotencyKey'];
    expect(key).toMatch(uuid);
    // Repeated under its key only with the very same content.
    expect(byKey.get(key) ?? JSON.stringify(variables)).toBe(JSON.stringify(variables));
    byKey.set(key, JSON.stringify(variables));
    const input = variables['input'] as { name: string; reason: string; referenceDocumentUri?: string };
    expect(input.name).toBe('available');
    expect(reasons).toContain(input.reason);
    if (input.referenceDocumentUri !== undefined)
      expect(input.referenceDocumentUri).toMatch(/^[a-z][a-z0-9+.-]*:\/\/[^\s]+$/);
    const changes = changesOf(adjustment);
    largest = Math.max(largest, changes.length);
    expect(
      new Set(changes.map(({ inventoryItemId, locationId }) => `${inventoryItemId}@${locationId}`)).size,
    ).toBe(changes.length);
    for (const change of changes) {
      expect(Object.hasOwn(change, 'changeFromQuantity')).toBe(true);
      expect(
        Number.isSafeInteger(change.delta) && change.delta !== 0 && Math.abs(change.delta) <= 2_000_000_000,
      ).toBe(true);
      if (change.delta < 0) expect(change.changeFromQuantity).toBeNull();
      else expect(change.changeFromQuantity).toEqual(expect.any(Number));
      if (change.delta > 0) raises++;
    }
    expect(new Set(changes.map(({ delta }) => Math.sign(delta))).size).toBe(1);
  }
  // More than one request's worth of rows went out in large batches, and raises did go out.
  expect(largest).toBeGreaterThan(100);
  expect(raises).toBeGreaterThanOrEqual(skus.length);
});

test('nothing was set, moved or written on hand: the numbers of others are not ours to replace', () => {
  const mutations = sent.filter(({ operation }) => operation.operation === OperationTypeNode.MUTATION);
  const fields = new Set(
    mutations.flatMap(({ operation }) =>
      operation.selectionSet.selections.map((node) => (node.kind === Kind.FIELD ? node.name.value : '')),
    ),
  );
  expect([...fields].toSorted().filter((name) => !/^(webhookSubscription|bulkOperation)/.test(name))).toEqual(
    ['inventoryAdjustQuantities'],
  );
  for (const { variables } of mutations) expect(JSON.stringify(variables)).not.toContain('on_hand');
  expect(breaches(sandbox.violations())).toEqual([]);
});
