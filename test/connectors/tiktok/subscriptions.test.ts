import { readFileSync } from 'node:fs';
import nock from 'nock';
import { inventoryBody, orderBody, productBody } from '../../../sandbox/tiktok/payloads.ts';
import { describe, expect, test } from 'vitest';
import { eventTypes } from '../../../src/connectors/tiktok/subscriptions.ts';
import { never } from '../shopify/parts.ts';
import { batchOf, rigFor, sandboxRig } from './parts.ts';

describe('subscriptions', () => {
  const target = { callbackUrl: 'https://hooks.acme.example/webhooks/tiktok/acme' };

  test('are created where they are missing, moved where they go elsewhere, and left alone where they are right', async () => {
    await using rig = await sandboxRig();
    rig.shop.subscribe('ORDER_STATUS_CHANGE', target.callbackUrl);
    rig.shop.subscribe('PACKAGE_UPDATE', 'https://old.example');
    const before = await rig.connector.checkSubscriptions(target, never);
    expect(before.present).toEqual(['ORDER_STATUS_CHANGE']);
    expect(before.problems).toEqual(['PACKAGE_UPDATE goes to another address']);
    expect(before.missing).toHaveLength(eventTypes.length - 2);
    const done = await rig.connector.subscribe(target, never);
    expect(done).toMatchObject({ present: ['ORDER_STATUS_CHANGE'], missing: [], problems: [] });
    const after = await rig.connector.checkSubscriptions(target, never);
    expect(after).toEqual({ present: [...eventTypes], created: [], missing: [], problems: [] });
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test.each([
    ['http://hooks.acme.example/x', 'https'],
    ['https://hooks.acme.example:8443/x', 'port'],
    ['https://203.0.113.7/x', 'domain names'],
  ])('%s is an address TikTok does not take', async (callbackUrl, reason) => {
    await using rig = await sandboxRig();
    const report = await rig.connector.subscribe({ callbackUrl }, never);
    expect(report.missing).toEqual([...eventTypes]);
    expect(report.problems[0]).toContain(reason);
  });
});

interface Sample {
  readonly method: string;
  readonly path: string;
  readonly query_params: readonly { readonly name: string; readonly required: string }[];
  readonly body_params: readonly { readonly name: string; readonly required: string }[];
  readonly response_body: object;
}

const samples = JSON.parse(
  readFileSync(new URL('../../fixtures/tiktok/samples.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Sample>>;

test('every request fits the documented parameters, and every documented answer is understood', async () => {
  const used = new Set<string>();
  const problems: string[] = [];
  const serve = (name: string, method: 'get' | 'post' | 'put', path: RegExp): void => {
    const sample = samples[name];
    if (sample === undefined) throw new Error(name);
    const scope = nock('https://open-api.tiktokglobalshop.com');
    scope[method](path)
      .reply(async (request: Request) => {
        used.add(name);
        const url = new URL(request.url);
        const text = await request.text();
        const body = text === '' ? {} : (JSON.parse(text) as object);
        problems.push(
          ...compare(`${name} query`, sample.query_params, [...url.searchParams.keys()]),
          ...compare(
            `${name} body`,
            sample.body_params.filter(({ name: field }) => !field.startsWith('^')),
            Object.keys(body),
          ),
        );
        if (text === '{}') problems.push(`${name}: an empty object`);
        return [200, sample.response_body as Record<string, unknown>];
      })
      .persist();
  };
  serve('get-authorized-shops', 'get', /^\/authorization\/202309\/shops/);
  serve('get-warehouse-list', 'get', /^\/logistics\/202309\/warehouses/);
  serve('search-products', 'post', /^\/product\/202502\/products\/search/);
  serve('inventory-search', 'post', /^\/product\/202309\/inventory\/search/);
  serve('update-inventory', 'post', /^\/product\/202309\/products\/\w+\/inventory\/update/);
  serve('get-order-list', 'post', /^\/order\/202309\/orders\/search/);
  serve('get-order-detail', 'get', /^\/order\/202309\/orders\?/);
  serve('get-shop-webhooks', 'get', /^\/event\/202309\/webhooks/);
  serve('update-shop-webhook', 'put', /^\/event\/202309\/webhooks/);
  try {
    const sampleShop = '7000714532876273420';
    const { connector } = rigFor({ shop: sampleShop, requestTimeoutMs: 5_000 });
    expect((await connector.checkAccess(never)).kind).toBe('ok');

    const listingPages = connector.readListings(null, never)[Symbol.asyncIterator]();
    const first = await listingPages.next();
    expect(first.value).toMatchObject({
      listings: [{ sku: 'Color-Red-XM01', value: 999, problems: ['inactive'] }],
    });
    await listingPages.return?.();

    const ref = {
      key: '1729388324987897824@7054915283043174149',
      itemId: '1729592969712207008/1729388324987897824',
      locationId: '7054915283043174149',
    };
    expect((await connector.readStock([ref], never)).rows).toMatchObject([{ value: 100 }]);

    // The documented answer of a write refuses another SKU than ours, in a warehouse that does not exist.
    const named = {
      ...ref,
      key: 'k',
      itemId: '1729592969712207008/1729592969712207013',
      locationId: '7068517275539719942',
    };
    const written = await connector.write(batchOf([{ ref, from: 5, to: 4 }]), never);
    expect(written.rows).toEqual([{ kind: 'accepted' }]);
    expect((await connector.write(batchOf([{ ref: named, from: 5, to: 4 }]), never)).rows).toMatchObject([
      { kind: 'rejected' },
    ]);

    const fetched = await connector.fetchOrders(['576461413038785752'], never);
    expect(fetched.orders).toMatchObject([
      { orderId: '576461413038785752', lines: [{ sku: 'red_iphone_256' }, { sku: 'yellow-24-XL' }] },
    ]);
    const pages = connector.pollOrders({ cursor: null, sinceMs: 1, overlapMs: 0, signal: never });
    const walk = pages[Symbol.asyncIterator]();
    expect((await walk.next()).value).toMatchObject({ orders: [{ orderId: '576461413038785752' }] });
    await walk.return?.();
    expect((await connector.subscribe({ callbackUrl: 'https://a.example' }, never)).created).toHaveLength(
      eventTypes.length,
    );
  } finally {
    nock.cleanAll();
  }
  expect(problems).toEqual([]);
  expect(used.size).toBe(9);
});

function compare(
  where: string,
  documented: readonly { readonly name: string; readonly required: string }[],
  given: readonly string[],
): readonly string[] {
  const names = new Set(documented.map(({ name }) => name));
  return [
    ...given.filter((name) => !names.has(name)).map((name) => `${where}: ${name} is not documented`),
    ...documented
      .filter(({ name, required }) => required === 'Y' && !given.includes(name))
      .map(({ name }) => `${where}: ${name} is required`),
  ];
}

test('the emulator answers with the members that the documentation shows', async () => {
  await using rig = await sandboxRig();
  rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 5 }] });
  rig.shop.orders.place({ lines: [{ sku: 'MUG' }] });
  const [product] = rig.shop.inventory.products.values();
  const [order] = rig.shop.orders.orders.values();
  if (product === undefined || order === undefined) throw new Error('nothing to show');
  const answers = {
    'search-products': { data: { products: [productBody(product)] } },
    'get-order-detail': { data: { orders: [orderBody(order)] } },
    'inventory-search': { data: { inventory: [inventoryBody(product, undefined, rig.shop.inventory)] } },
  };
  for (const [name, answer] of Object.entries(answers)) {
    expect(unknownMembers(answer, samples[name]?.response_body, name)).toEqual([]);
  }
});

/** Members that the documented sample does not show, and values of another JSON type. */
function unknownMembers(given: unknown, documented: unknown, path: string): readonly string[] {
  if (Array.isArray(given))
    return given.flatMap((each) =>
      unknownMembers(each, Array.isArray(documented) ? documented[0] : undefined, path),
    );
  if (typeof given !== 'object' || given === null)
    return documented !== undefined && typeof documented !== typeof given ? [`${path}: ${typeof given}`] : [];
  const known = (documented ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(given).flatMap(([name, value]) =>
    documented !== undefined && !(name in known)
      ? [`${path}.${name}`]
      : unknownMembers(value, known[name], `${path}.${name}`),
  );
}
