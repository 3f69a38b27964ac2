import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../sandbox/shopify/clock.ts';
import { AmazonSandbox } from '../../sandbox/amazon/server.ts';
import type { SandboxSeller } from '../../sandbox/amazon/seller.ts';

const marketplace = 'ATVPDKIKX0DER';
const minute = 60_000;
let clock: ManualClock;
let sandbox: AmazonSandbox;
let seller: SandboxSeller;
let token: string;

beforeEach(async () => {
  clock = new ManualClock();
  sandbox = new AmazonSandbox({ clock, seed: 3 });
  await sandbox.listen(0, '127.0.0.1');
  seller = sandbox.addSeller({ sellerId: 'A1', settings: { rateLimit: false } });
  seller.addListing({ sku: 'MUG', quantity: 10, leadTimeDays: 2 });
  token = await tokenFor({ grant_type: 'refresh_token', refresh_token: 'Atzr|A1' });
});
afterEach(() => sandbox.stop());

async function tokenFor(form: Record<string, string>): Promise<string> {
  const { clientId, clientSecret } = seller.tokens.credentials;
  const response = await fetch(`${sandbox.url}/auth/o2/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_id: clientId, client_secret: clientSecret, ...form }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, never> & {
    errors?: { code: string; message: string; details: string }[];
    orders?: { orderId: string }[];
    pagination?: { nextToken: string };
    status?: string;
    issues?: { message: string }[];
    fulfillmentAvailability?: { quantity?: number }[];
    lastUpdatedBefore?: string;
  };
}

async function ask(path: string, init: RequestInit = {}, accessToken = token): Promise<Answer> {
  const response = await fetch(`${sandbox.url}${path}`, {
    ...init,
    headers: { 'x-amz-access-token': accessToken, 'content-type': 'application/json' },
  });
  const body = (await response.json()) as Answer['body'];
  return { status: response.status, headers: response.headers, body };
}

const kinds = () => sandbox.violations().map((violation) => violation.kind);
const item = `/listings/2021-08-01/items/A1/MUG?marketplaceIds=${marketplace}`;
const orders = (query: string) => ask(`/orders/2026-01-01/orders?${query}`);
const iso = (ms: number) => new Date(ms).toISOString();

function patch(value: object, op = 'merge', path = item): Promise<Answer> {
  const body = {
    productType: 'HOME',
    patches: [{ op, path: '/attributes/fulfillment_availability', value: [value] }],
  };
  return ask(path, { method: 'PATCH', body: JSON.stringify(body) });
}

describe('refused as Amazon refuses', () => {
  test('no token, an old one, one of another kind', async () => {
    expect((await ask(item, {}, 'nonsense')).status).toBe(403);
    clock.advance(3_600_001);
    const old = await ask(item);
    expect(old.body.errors?.[0]).toMatchObject({ code: 'Unauthorized' });
    expect(old.body.errors?.[0]?.details).toContain('expired');
    const grantless = await tokenFor({
      grant_type: 'client_credentials',
      scope: 'sellingpartnerapi::notifications',
    });
    expect((await ask(item, {}, grantless)).status).toBe(403);
    expect(kinds()).toEqual(['token-kind']);
  });

  test('another seller, an unknown parameter, more than twenty identifiers', async () => {
    expect((await ask(item.replace('/A1/', '/A2/'))).status).toBe(403);
    expect((await ask(`${item}&colour=red`)).status).toBe(400);
    const many = Array.from({ length: 21 }, (_sku, index) => `S${index}`).join();
    const search = `/listings/2021-08-01/items/A1?marketplaceIds=${marketplace}&identifiersType=SKU&identifiers=${many}`;
    expect((await ask(search)).status).toBe(400);
    expect(kinds()).toEqual(['foreign-seller', 'unknown-parameter', 'too-many-identifiers']);
  });

  test('more than the published rate', async () => {
    seller.settings.rateLimit = true;
    const statuses = [];
    for (let count = 0; count < 6; count++)
      statuses.push((await patch({ fulfillment_channel_code: 'DEFAULT', quantity: 1 })).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
    clock.advance(200);
    const granted = await patch({ fulfillment_channel_code: 'DEFAULT', quantity: 1 });
    expect(granted.status).toBe(200);
    expect(granted.headers.get('x-amzn-ratelimit-limit')).toBe('5');
  });

  test('without limits every rate is granted, and the one that is told holds nobody back', async () => {
    for (let count = 0; count < 30; count++) {
      const { status, headers } = await patch({ fulfillment_channel_code: 'DEFAULT', quantity: 1 });
      expect(status).toBe(200);
      expect(Number(headers.get('x-amzn-ratelimit-limit'))).toBeGreaterThanOrEqual(100_000);
    }
  });
});

describe('a patch', () => {
  test('without its selector is accepted by HTTP and refused in the answer', async () => {
    const answer = await patch({ quantity: 3 });
    expect(answer).toMatchObject({ status: 200, body: { status: 'INVALID' } });
    expect(answer.body.issues?.[0]?.message).toContain('does not have enough values');
    expect(kinds()).toEqual(['missing-selector']);
  });

  test('is applied late, and sold units come back when it lands', async () => {
    expect((await patch({ fulfillment_channel_code: 'DEFAULT', quantity: 9 })).body.status).toBe('ACCEPTED');
    seller.orders.place({ lines: [{ sku: 'MUG', quantity: 4 }] });
    expect(seller.listings.quantity('MUG')).toBe(6);
    clock.advance(2 * minute);
    expect(seller.listings.quantity('MUG')).toBe(9);
  });

  test('that is lost leaves the number and an issue', async () => {
    seller.settings.applyLossRate = 1;
    await patch({ fulfillment_channel_code: 'DEFAULT', quantity: 9 });
    clock.advance(2 * minute);
    expect(seller.listings.quantity('MUG')).toBe(10);
    expect((await ask(`${item}&includedData=issues`)).body.issues).toHaveLength(1);
  });

  test('the newest accepted one stays, unless Amazon mixes them up', async () => {
    for (const reorderApplies of [false, true]) {
      Object.assign(seller.settings, { reorderApplies, applyDelayMs: { min: 1_000, max: 1_000 } });
      await patch({ fulfillment_channel_code: 'DEFAULT', quantity: 8 });
      seller.settings.applyDelayMs = { min: 10, max: 10 };
      await patch({ fulfillment_channel_code: 'DEFAULT', quantity: 2 });
      clock.advance(minute);
      expect(seller.listings.quantity('MUG')).toBe(reorderApplies ? 8 : 2);
    }
  });

  test('replace wipes the handling time, DEFAULT beside an Amazon warehouse converts the offer: both are recorded', async () => {
    seller.addListing({ sku: 'FBA', channelCode: 'AMAZON_NA', quantity: 5 });
    await patch({ fulfillment_channel_code: 'DEFAULT', quantity: 1 }, 'replace');
    await patch({ fulfillment_channel_code: 'DEFAULT', quantity: 1 }, 'merge', item.replace('MUG', 'FBA'));
    clock.advance(2 * minute);
    expect(kinds()).toEqual(['lead-time-wiped', 'default-on-fba']);
    expect(seller.listings.listings.get('MUG')?.availability.get('DEFAULT')?.leadTimeDays).toBeNull();
    expect([...(seller.listings.listings.get('FBA')?.availability.keys() ?? [])]).toEqual([
      'AMAZON_NA',
      'DEFAULT',
    ]);
  });
});

test('reads show the number of a while ago', async () => {
  seller.settings.readLagMs = 10_000;
  clock.advance(minute);
  seller.listings.edit('MUG', 1);
  const shown = async () =>
    (await ask(`${item}&includedData=fulfillmentAvailability`)).body.fulfillmentAvailability?.[0]?.quantity;
  expect(await shown()).toBe(10);
  clock.advance(10_000);
  expect(await shown()).toBe(1);
});

describe('searches for orders', () => {
  test.each([
    ['neither time', ''],
    ['both times', `createdAfter=2026-01-01T00:00:00Z&lastUpdatedAfter=2026-01-01T00:00:00Z`],
    ['an end of the other kind', `createdAfter=2026-01-01T00:00:00Z&lastUpdatedBefore=2026-01-02T00:00:00Z`],
    ['an end before the beginning', `createdAfter=2026-01-02T00:00:00Z&createdBefore=2026-01-01T00:00:00Z`],
    ['no time at all', 'createdAfter=yesterday'],
    ['101 per page', 'createdAfter=2026-01-01T00:00:00Z&maxResultsPerPage=101'],
    ['unknown data', 'createdAfter=2026-01-01T00:00:00Z&includedData=EVERYTHING'],
  ])('%s is a broken rule', async (_what, query) => {
    expect((await orders(query)).status).toBe(400);
    expect(kinds()).toEqual(['search-rule']);
  });

  test('an end younger than two minutes is a broken rule, and nothing younger is shown', async () => {
    seller.orders.place({ lines: [{ sku: 'MUG', quantity: 1 }] });
    const after = iso(clock.now() - 60 * minute);
    const young = iso(clock.now() - minute);
    expect((await orders(`lastUpdatedAfter=${after}&lastUpdatedBefore=${young}`)).status).toBe(400);
    const hidden = await orders(`lastUpdatedAfter=${after}`);
    expect(hidden.body.orders).toEqual([]);
    expect(hidden.body.lastUpdatedBefore).toBe(iso(clock.now() - 2 * minute));
    clock.advance(2 * minute);
    expect((await orders(`lastUpdatedAfter=${after}`)).body.orders).toHaveLength(1);
  });

  test('a page token is good for a day, with the same parameters only', async () => {
    seller.settings.ordersPerPage = 1;
    for (let count = 0; count < 3; count++) seller.orders.place({ lines: [{ sku: 'MUG', quantity: 1 }] });
    clock.advance(3 * minute);
    const query = `createdAfter=${iso(clock.now() - 60 * minute)}`;
    const first = await orders(query);
    const next = encodeURIComponent(first.body.pagination?.nextToken ?? '');
    const second = await orders(`${query}&paginationToken=${next}&maxResultsPerPage=1`);
    expect(second.body.orders?.[0]?.orderId).not.toBe(first.body.orders?.[0]?.orderId);
    const changed = await orders(`${query}&paginationToken=${next}&fulfilledBy=MERCHANT`);
    expect(changed.body.errors?.[0]?.message).toContain('All parameters must match');
    expect(kinds()).toEqual(['pagination-changed']);
    clock.advance(25 * 60 * minute);
    token = await tokenFor({ grant_type: 'refresh_token', refresh_token: 'Atzr|A1' });
    expect((await orders(`${query}&paginationToken=${next}`)).status).toBe(400);
  });
});

test('an order takes its units at once, a cancellation gives them back by its reason', () => {
  for (const [by, left] of [
    ['BUYER', 10],
    ['MERCHANT', 7],
    ['AMAZON', 7],
  ] as const) {
    const placed = seller.orders.place({ lines: [{ sku: 'MUG', quantity: 3 }] });
    if (placed.kind !== 'accepted') throw new Error(placed.kind);
    seller.orders.cancel(placed.order.orderId, by);
    expect(seller.listings.quantity('MUG')).toBe(left);
  }
  expect(seller.orders.place({ lines: [{ sku: 'MUG', quantity: 99 }] })).toEqual({
    kind: 'sold-out',
    sku: 'MUG',
  });
});

test('an address of a document lives five minutes and takes only what was declared', async () => {
  const created = await ask('/feeds/2021-06-30/documents', {
    method: 'POST',
    body: JSON.stringify({ contentType: 'application/json; charset=UTF-8' }),
  });
  const { url } = created.body as unknown as { url: string };
  const put = (type: string) => fetch(url, { method: 'PUT', headers: { 'content-type': type }, body: '{}' });
  expect((await put('text/plain')).status).toBe(403);
  expect((await put('application/json; charset=UTF-8')).status).toBe(200);
  clock.advance(5 * minute + 1);
  expect((await put('application/json; charset=UTF-8')).status).toBe(403);
  expect(kinds()).toEqual(['document-content-type']);
});

test('remote control, for other processes', async () => {
  await using remote = new AmazonSandbox({ isControlEnabled: true });
  await remote.listen(0, '127.0.0.1');
  const post = async (path: string, body: object) => {
    const response = await fetch(`${remote.url}/_control/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    return (await response.json()) as Record<string, unknown>;
  };
  expect(await post('sellers', { sellerId: 'A9' })).toMatchObject({ refreshToken: 'Atzr|A9' });
  await post('sellers/A9/listings', { listings: [{ sku: 'X', quantity: 5 }] });
  expect(await post('sellers/A9/orders', { lines: [{ sku: 'X', quantity: 2 }] })).toMatchObject({
    kind: 'accepted',
  });
  const levels = await fetch(`${remote.url}/_control/sellers/A9/levels`);
  expect(await levels.json()).toEqual({ levels: [{ sku: 'X', available: 3, codes: ['DEFAULT'] }] });
  expect(await post('sellers/A9/nonsense', {})).toHaveProperty('error');
});
