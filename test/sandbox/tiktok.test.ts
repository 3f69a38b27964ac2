import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../sandbox/shopify/clock.ts';
import type { Order } from '../../sandbox/tiktok/model.ts';
import { type TiktokSandbox, startTiktokSandbox } from '../../sandbox/tiktok/server.ts';
import type { SandboxTiktokShop } from '../../sandbox/tiktok/shop.ts';
import type { ShopOptions } from '../../sandbox/tiktok/shop-options.ts';

interface Answer {
  readonly status: number;
  readonly code: number;
  readonly message: string;
  readonly data: Record<string, unknown>;
  readonly headers: Headers;
}

interface CallOptions {
  readonly method?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** How far ahead of the clock its timestamp is. */
  readonly aheadS?: number;
  readonly token?: string;
  readonly withoutCipher?: boolean;
  readonly sign?: string;
}

/** A client written from the documentation, so that the emulator is not only tested with its own counterpart. */
class Client {
  readonly sandbox: TiktokSandbox;
  readonly shop: SandboxTiktokShop;
  token: string;
  readonly #nowMs: () => number;

  constructor(sandbox: TiktokSandbox, shop: SandboxTiktokShop, nowMs: () => number) {
    this.sandbox = sandbox;
    this.shop = shop;
    this.token = shop.tokens.issue().accessToken;
    this.#nowMs = nowMs;
  }

  async call(path: string, options: CallOptions = {}): Promise<Answer> {
    const body = options.body === undefined ? '' : JSON.stringify(options.body);
    const query: Record<string, string> = {
      ...options.query,
      app_key: this.shop.appKey,
      timestamp: String(Math.floor(this.#nowMs() / 1_000) + (options.aheadS ?? 0)),
      ...(options.withoutCipher === true ? {} : { shop_cipher: this.shop.cipher }),
    };
    const parameters = Object.keys(query)
      .toSorted()
      .map((name) => `${name}${query[name]}`)
      .join('');
    const { appSecret } = this.shop;
    const signed = `${appSecret}${path}${parameters}${body}${appSecret}`;
    query['sign'] = options.sign ?? createHmac('sha256', appSecret).update(signed).digest('hex');
    const method = options.method ?? (options.body === undefined ? 'GET' : 'POST');
    const response = await fetch(
      `${this.sandbox.url}${path}?${new URLSearchParams(query).toString().replaceAll('+', '%20')}`,
      {
        method,
        headers: { 'content-type': 'application/json', 'x-tts-access-token': options.token ?? this.token },
        ...(body === '' ? {} : { body }),
      },
    );
    const answer = (await response.json()) as Omit<Answer, 'status' | 'headers'>;
    return { ...answer, status: response.status, headers: response.headers };
  }

  update(product: string, skus: readonly object[]): Promise<Answer> {
    return this.call(`/product/202309/products/${product}/inventory/update`, { body: { skus } });
  }
}

async function open(options: ShopOptions & { clock?: ManualClock } = {}) {
  const { clock, ...shopOptions } = options;
  const sandbox = await startTiktokSandbox({ shops: [shopOptions], ...(clock ? { clock } : {}) });
  const [shop] = sandbox.shops.values();
  if (!shop) throw new Error('no shop');
  const client = new Client(sandbox, shop, () => clock?.now() ?? Date.now());
  const add = (sku: string, quantities: number | Record<string, number> = 10) =>
    shop.inventory.addProduct({ skus: [{ sku, quantities }] });
  return { sandbox, shop, client, add, [Symbol.asyncDispose]: () => sandbox.stop() };
}

function placed(shop: SandboxTiktokShop, sku: string, quantity = 1): Order {
  const result = shop.orders.place({ lines: [{ sku, quantity }] });
  if (result.kind === 'refused') throw new Error('refused');
  return result.order;
}

const kinds = ({ sandbox }: { sandbox: TiktokSandbox }) => sandbox.violations().map(({ kind }) => kind);
const warehousesPath = '/logistics/202309/warehouses';

describe('the gateway refuses and notes', () => {
  test.each([
    ['a wrong signature', { sign: '0'.repeat(64) }, 106001, ['wrong-sign']],
    ['a timestamp 301 s old', { aheadS: -301 }, 36009004, ['stale-timestamp']],
    ['a timestamp 31 s ahead', { aheadS: 31 }, 36009004, ['stale-timestamp']],
    ['an unknown token', { token: 'x' }, 36009004, []],
    ['a missing cipher', { withoutCipher: true }, 106013, ['missing-cipher']],
    ['a wrong method', { method: 'DELETE' }, 36009010, ['unknown-endpoint']],
  ] as const)('%s', async (_name, options, code, violations) => {
    await using rig = await open({ clock: new ManualClock() });
    expect((await rig.client.call(warehousesPath, options)).code).toBe(code);
    expect(kinds(rig)).toEqual(violations);
  });

  test.each([-300, 30])('but not a timestamp %i s off', async (aheadS) => {
    await using rig = await open({ clock: new ManualClock() });
    expect((await rig.client.call(warehousesPath, { aheadS })).code).toBe(0);
    expect(kinds(rig)).toEqual([]);
  });

  test('a path that is not there, and a cipher that is not wanted', async () => {
    await using rig = await open();
    expect((await rig.client.call('/order/190001/orders')).code).toBe(36009009);
    expect((await rig.client.call('/authorization/202309/shops')).message).toBe('unexpected identifier');
    expect(kinds(rig)).toEqual(['unknown-endpoint', 'unexpected-cipher']);
  });

  test('an empty object, an unknown parameter, a body that is no object', async () => {
    await using rig = await open();
    const path = '/product/202309/inventory/search';
    expect((await rig.client.call(path, { body: {} })).code).toBe(0);
    expect((await rig.client.call(path, { body: { skus: ['1'] } })).code).toBe(0);
    expect((await rig.client.call(path, { body: [] })).code).toBe(36009004);
    expect(kinds(rig)).toEqual(['empty-object-body', 'unknown-parameter', 'malformed-request']);
  });

  test('an expired token', async () => {
    await using rig = await open();
    rig.shop.tokens.expireAccessTokens();
    expect(await rig.client.call(warehousesPath)).toMatchObject({ status: 401, code: 105002 });
  });

  test('more requests than the limit, and notes those that ignore Retry-After', async () => {
    const clock = new ManualClock();
    await using rig = await open({ clock, settings: { requestsPerS: 3, sendsRetryAfter: true } });
    const codes: number[] = [];
    for (let request = 0; request < 5; request++) codes.push((await rig.client.call(warehousesPath)).code);
    expect(codes).toEqual([0, 0, 0, 36009002, 36009002]);
    expect(kinds(rig)).toEqual(['ignored-throttle']);
    // Each endpoint has its own limit.
    expect((await rig.client.call('/authorization/202309/shops', { withoutCipher: true })).code).toBe(0);
    clock.advance(1_000);
    expect((await rig.client.call(warehousesPath)).code).toBe(0);
  });

  test.each([
    [
      '/product/202309/inventory/search',
      { body: { sku_ids: Array.from({ length: 601 }, () => '1') } },
      12019015,
    ],
    [
      '/product/202309/inventory/search',
      { body: { product_ids: Array.from({ length: 101 }, () => '1') } },
      12019120,
    ],
    ['/order/202309/orders', { query: { ids: Array.from({ length: 51 }, () => '1').join(',') } }, 36009004],
    ['/order/202309/orders/search', { body: { update_time_ge: 1 }, query: { page_size: '101' } }, 36009004],
    ['/product/202502/products/search', { body: { status: 'ALL' }, query: { page_size: '101' } }, 12019109],
  ] as const)('%s above its limit', async (path, options, code) => {
    await using rig = await open();
    expect((await rig.client.call(path, options)).code).toBe(code);
    expect(kinds(rig)).toEqual(['over-limit']);
  });
});

describe('the token endpoint', () => {
  const exchange = async (
    rig: { sandbox: TiktokSandbox; shop: SandboxTiktokShop },
    kind: string,
    more: Record<string, string>,
  ) => {
    const { appKey, appSecret } = rig.shop;
    const query = new URLSearchParams({ app_key: appKey, app_secret: appSecret, ...more });
    const response = await fetch(`${rig.sandbox.url}/api/v2/token/${kind}?${query.toString()}`);
    return (await response.json()) as { code: number; data?: Record<string, unknown> };
  };

  test('rotates: the second use of a refresh token loses', async () => {
    await using rig = await open();
    const { refreshToken } = rig.shop.tokens.issue();
    const more = { refresh_token: refreshToken, grant_type: 'refresh_token' };
    const first = await exchange(rig, 'refresh', more);
    expect(first.code).toBe(0);
    // A moment, not a span.
    expect(Number(first.data?.['access_token_expire_in'])).toBeGreaterThan(Date.now() / 1_000);
    expect((await exchange(rig, 'refresh', more)).code).not.toBe(0);
    expect(kinds(rig)).toEqual(['refresh-token-reused']);
    expect((await exchange(rig, 'refresh', { ...more, grant_type: 'authorized_code' })).code).not.toBe(0);
  });

  test('takes a code once, and nothing with a wrong secret', async () => {
    await using rig = await open();
    const more = { auth_code: rig.shop.tokens.issueCode(), grant_type: 'authorized_code' };
    expect((await exchange(rig, 'get', { ...more, app_secret: 'x' })).code).not.toBe(0);
    expect((await exchange(rig, 'get', more)).code).toBe(0);
    expect((await exchange(rig, 'get', more)).code).not.toBe(0);
  });
});

describe('inventory/update', () => {
  test('sets what is available and overwrites what was sold since: the race is the platform’s', async () => {
    await using rig = await open();
    const product = rig.add('MUG', 10);
    const [sku] = product.skus;
    const inventory = [{ warehouse_id: rig.shop.inventory.defaultWarehouse.id, quantity: 9 }];
    placed(rig.shop, 'MUG', 3);
    expect([rig.shop.available('MUG'), rig.shop.committed('MUG')]).toEqual([7, 3]);
    expect((await rig.client.update(product.id, [{ id: sku?.id, inventory }])).code).toBe(0);
    expect([rig.shop.available('MUG'), rig.shop.committed('MUG')]).toEqual([9, 3]);
    const causes = rig.sandbox.records.audit
      .all()
      .map(({ name, from, to, cause }) => [name, from, to, cause]);
    expect(causes).toEqual([
      ['available', 10, 9, 'order-placed'],
      ['committed', 0, 1, 'order-placed'],
      ['available', 9, 8, 'order-placed'],
      ['committed', 1, 2, 'order-placed'],
      ['available', 8, 7, 'order-placed'],
      ['committed', 2, 3, 'order-placed'],
      ['available', 7, 9, 'inventory-update'],
    ]);
  });

  test('wants every warehouse, and SKUs of this product only', async () => {
    await using rig = await open();
    const two = rig.shop.inventory.addWarehouse({ name: 'Two', status: 'ENABLED', type: 'SALES_WAREHOUSE' });
    const home = rig.shop.inventory.defaultWarehouse.id;
    const product = rig.add('MUG', { [home]: 1, [two.id]: 2 });
    const other = rig.add('CUP', 1);
    const id = product.skus[0]?.id;
    const one = { warehouse_id: home, quantity: 5 };
    expect((await rig.client.update(product.id, [{ id, inventory: [one] }])).code).toBe(12019028);
    expect((await rig.client.update(product.id, [{ id: other.skus[0]?.id, inventory: [one] }])).code).toBe(
      12052556,
    );
    expect(kinds(rig)).toEqual(['missing-warehouse', 'other-product']);
    const all = [one, { warehouse_id: two.id, quantity: 6 }];
    expect(
      (
        await rig.client.update(product.id, [
          { id, inventory: [...all, { warehouse_id: '404', quantity: 1 }] },
        ])
      ).data,
    ).toMatchObject({
      errors: [
        { code: 12052990, detail: { sku_id: id, extra_errors: [{ warehouse_id: '404', code: 12052097 }] } },
      ],
    });
    expect(rig.shop.available('MUG')).toBe(1);
    expect((await rig.client.update(product.id, [{ id, inventory: all }])).data).toEqual({});
    expect([rig.shop.available('MUG'), rig.shop.available('MUG', two.id)]).toEqual([5, 6]);
  });

  test.each([
    [0, true, undefined],
    [0, false, 12052055],
    [99_999, true, undefined],
    [100_000, true, 12052055],
    [-1, true, 12052055],
    [1.5, true, 12052055],
  ])('quantity %d with zeroAllowed %s', async (quantity, zeroAllowed, code) => {
    await using rig = await open({ settings: { zeroAllowed } });
    const product = rig.add('MUG', 10);
    const inventory = [{ warehouse_id: rig.shop.inventory.defaultWarehouse.id, quantity }];
    const { data } = await rig.client.update(product.id, [{ id: product.skus[0]?.id, inventory }]);
    const errors = (data['errors'] ?? []) as { detail: { extra_errors: { code: number }[] } }[];
    expect(errors[0]?.detail.extra_errors[0]?.code).toBe(code);
    expect(rig.shop.available('MUG')).toBe(code === undefined ? quantity : 10);
  });

  test('of a product that is not on sale, of none, of too many SKUs, is refused whole', async () => {
    await using rig = await open();
    const product = rig.add('MUG');
    expect((await rig.client.update('404', [])).code).toBe(12052032);
    expect((await rig.client.update(product.id, [])).code).toBe(12052902);
    expect(
      (
        await rig.client.update(
          product.id,
          Array.from({ length: 101 }, () => ({})),
        )
      ).code,
    ).toBe(12052050);
    rig.shop.setProductStatus(product, 'SELLER_DEACTIVATED');
    expect((await rig.client.update(product.id, [{}])).code).toBe(12052901);
  });

  test('may land late, in the order in which it lands', async () => {
    const clock = new ManualClock();
    await using rig = await open({ clock, settings: { applyDelayMs: { min: 5_000, max: 5_000 } } });
    const product = rig.add('MUG', 10);
    const inventory = [{ warehouse_id: rig.shop.inventory.defaultWarehouse.id, quantity: 2 }];
    await rig.client.update(product.id, [{ id: product.skus[0]?.id, inventory }]);
    expect(rig.shop.available('MUG')).toBe(10);
    clock.advance(5_000);
    expect(rig.shop.available('MUG')).toBe(2);
  });
});

describe('orders', () => {
  test.each(['order', 'payment'] as const)('take stock at the %s', async (takesStockAt) => {
    await using rig = await open({ settings: { takesStockAt, hasRemorsePeriod: true } });
    rig.add('MUG', 10);
    const order = placed(rig.shop, 'MUG', 2);
    expect(rig.shop.available('MUG')).toBe(takesStockAt === 'order' ? 8 : 10);
    rig.shop.orders.pay(order);
    expect([order.status, rig.shop.available('MUG'), rig.shop.committed('MUG')]).toEqual(['ON_HOLD', 8, 2]);
    rig.shop.orders.releaseHold(order);
    rig.shop.orders.ship(order, [order.lines[0]?.id ?? '']);
    expect([order.status, rig.shop.committed('MUG')]).toEqual(['PARTIALLY_SHIPPING', 1]);
    rig.shop.orders.ship(order);
    rig.shop.orders.deliver(order);
    rig.shop.orders.complete(order);
    expect([order.status, rig.shop.available('MUG'), rig.shop.committed('MUG')]).toEqual(['COMPLETED', 8, 0]);
    rig.shop.orders.requestReturn(order);
    expect(rig.shop.available('MUG')).toBe(8);
  });

  test('are refused when there is too little, and cancelled line by line', async () => {
    await using rig = await open();
    rig.add('MUG', 3);
    const order = placed(rig.shop, 'MUG', 3);
    expect(rig.shop.orders.place({ lines: [{ sku: 'MUG' }] })).toEqual({
      kind: 'refused',
      shortages: ['MUG'],
    });
    rig.shop.orders.requestCancel(order);
    expect(rig.shop.available('MUG')).toBe(0);
    rig.shop.orders.cancel(order, [order.lines[0]?.id ?? '']);
    expect([order.status, rig.shop.available('MUG')]).toEqual(['UNPAID', 1]);
    rig.shop.orders.cancel(order);
    expect([order.status, rig.shop.available('MUG'), rig.shop.committed('MUG')]).toEqual(['CANCELLED', 3, 0]);
  });

  test('are searched by pages whose tokens belong to their search', async () => {
    await using rig = await open();
    rig.add('MUG', 100);
    const ids = Array.from({ length: 5 }, () => placed(rig.shop, 'MUG').id);
    const path = '/order/202309/orders/search';
    const search = (token: string, body: object = { update_time_ge: 1 }) =>
      rig.client.call(path, {
        body,
        query: { page_size: '2', sort_field: 'update_time', sort_order: 'ASC', page_token: token },
      });
    const found: string[] = [];
    let token = '';
    do {
      const { data } = await search(token);
      found.push(...(data['orders'] as { id: string }[]).map(({ id }) => id));
      token = String(data['next_page_token']);
    } while (token !== '');
    expect(found).toEqual(ids);
    const first = String((await search('')).data['next_page_token']);
    expect(first).toMatch(/[+/]/);
    expect((await search(first, { update_time_ge: 2 })).code).not.toBe(0);
    expect((await search(`${first}x`)).code).not.toBe(0);
    expect(kinds(rig)).toEqual(['page-token', 'page-token']);
  });
});

describe('webhooks', () => {
  let receiver: Server | undefined;
  afterEach(() => receiver?.close());

  async function receive(answer: { status: number; body?: string }) {
    const got: { body: string; authorization: string }[] = [];
    receiver = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        got.push({ body, authorization: request.headers.authorization ?? '' });
        response.writeHead(answer.status);
        response.end(answer.body);
      });
    });
    await new Promise<void>((resolve) => receiver?.listen(0, '127.0.0.1', resolve));
    return { got, url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/` };
  }

  test('are signed over key and body, and name the new state as events do', async () => {
    const { got, url } = await receive({ status: 200 });
    await using rig = await open({ settings: { numericIds: true } });
    rig.shop.consoleAddress = url;
    rig.add('MUG', 2);
    const order = placed(rig.shop, 'MUG');
    rig.shop.orders.cancel(order);
    await rig.sandbox.webhooksIdle();
    for (const { body, authorization } of got) {
      const expected = createHmac('sha256', rig.shop.appSecret)
        .update(`${rig.shop.appKey}${body}`)
        .digest('hex');
      expect(authorization).toBe(expected);
    }
    const texts = got.map(({ body }) => body).join();
    expect(texts).toContain(`"order_id":${order.id}`);
    expect(texts).toContain('"order_status":"CANCEL"');
    expect(new Set(got.map(({ body }) => (JSON.parse(body) as { type: number }).type))).toEqual(
      new Set([1, 11, 27]),
    );
    expect(kinds(rig)).toEqual([]);
  });

  test.each([
    [{ status: 200, body: '{}' }, 'webhook-not-empty'],
    [{ status: 401 }, 'webhook-refused'],
    [{ status: 204 }, 'webhook-refused'],
  ])('answered %o come again after 2 min, 30 min, 3 h and 12 h, then never', async (answer, violation) => {
    const { got, url } = await receive(answer);
    const clock = new ManualClock();
    await using rig = await open({ clock });
    rig.shop.subscribe('ORDER_STATUS_CHANGE', url);
    rig.add('MUG', 100);
    placed(rig.shop, 'MUG');
    await rig.sandbox.webhooksIdle();
    for (const minutes of [2, 30, 180, 720, 3_000]) {
      clock.advance(minutes * 60_000);
      await rig.sandbox.webhooksIdle();
    }
    expect(got).toHaveLength(5);
    expect(new Set(got.map(({ body }) => body)).size).toBe(1);
    expect(new Set(kinds(rig))).toEqual(new Set([violation]));
    expect(rig.shop.delivery.log[0]?.outcome).toBe('dropped');
  });
});

test('the documented bodies of the signature page are signed as the page says', () => {
  const { vectors } = JSON.parse(
    readFileSync(new URL('../fixtures/tiktok/sign-vectors.json', import.meta.url), 'utf8'),
  ) as {
    vectors: {
      id: string;
      secret: string;
      path: string;
      query: Record<string, string>;
      body: string;
      expected_sign: string;
    }[];
  };
  const vector = vectors.find(({ id }) => id === 'doc-get-authorized-shops');
  const parameters = Object.keys(vector?.query ?? {})
    .toSorted()
    .map((name) => `${name}${vector?.query[name]}`)
    .join('');
  const signed = `${vector?.secret}${vector?.path}${parameters}${vector?.secret}`;
  expect(
    createHmac('sha256', vector?.secret ?? '')
      .update(signed)
      .digest('hex'),
  ).toBe(vector?.expected_sign);
});

test('the control API does what the methods do', async () => {
  await using sandbox = await startTiktokSandbox({ isControlEnabled: true, shops: [{ id: '77' }] });
  const control = async (path: string, body?: object): Promise<Record<string, unknown>> => {
    const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    return (await (await fetch(`${sandbox.url}/_control/${path}`, init)).json()) as Record<string, unknown>;
  };
  await control('shops/77/products', { skus: [{ sku: 'MUG', quantities: 4 }] });
  const { order } = (await control('shops/77/orders', { lines: [{ sku: 'MUG', quantity: 2 }] })) as {
    order: { id: string };
  };
  await control(`shops/77/orders/${order.id}/cancel`, {});
  expect(await control('shops/77/orders')).toMatchObject([{ id: order.id, status: 'CANCELLED' }]);
  await control('shops/77/stock', { sku: 'MUG', available: 9 });
  await control('shops/77/settings', { zeroAllowed: false });
  expect(sandbox.shop('77').settings.zeroAllowed).toBe(false);
  expect(await control('shops/77/products')).toMatchObject([{ skus: [{ inventory: [{ quantity: 9 }] }] }]);
  expect((await control('audit')).length).toBeGreaterThan(4);
  expect(await control('shops', { id: '78' })).toMatchObject({
    id: '78',
    accessToken: expect.any(String) as string,
  });
  expect(await control('shops/404/orders')).toMatchObject({
    error: expect.stringContaining('no shop') as string,
  });
});
