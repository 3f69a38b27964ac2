import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ManualClock } from '../../sandbox/shopify/clock.ts';
import { setUp } from './shopify-client.ts';
import type { Setup } from './shopify-client.ts';

const exchange = async (setup: Setup, parameters: Record<string, string>, isForm = false) => {
  const { app } = setup.shop.tokens;
  const body = { client_id: app.clientId, client_secret: app.clientSecret, ...parameters };
  const response = await fetch(`${setup.shop.baseUrl}/admin/oauth/access_token`, {
    method: 'POST',
    headers: { 'Content-Type': isForm ? 'application/x-www-form-urlencoded' : 'application/json' },
    body: isForm ? new URLSearchParams(body).toString() : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
};

test('a wrong secret gets no token', async () => {
  await using setup = await setUp();
  const answer = await exchange(setup, { grant_type: 'client_credentials', client_secret: 'guess' });
  expect(answer).toEqual({ status: 400, body: { error: 'application_cannot_be_found' } });
});

test.each([true, false])('client credentials buy a token that expires (form: %s)', async (isForm) => {
  const clock = new ManualClock();
  await using setup = await setUp({}, { clock });
  const { body } = await exchange(setup, { grant_type: 'client_credentials' }, isForm);
  expect(body['expires_in']).toBe(86_399);
  setup.client.token = String(body['access_token']);
  expect((await setup.client.query('{ shop { id } }')).status).toBe(200);
  clock.advance(86_399_000);
  expect((await setup.client.query('{ shop { id } }')).status).toBe(401);
  expect(setup.sandbox.violations()).toEqual([]);
});

test('a refresh token rotates, and the old one works until the new one was used', async () => {
  await using setup = await setUp();
  const { refreshToken } = setup.shop.tokens.issueExpiring();
  const refresh = (token: string) => exchange(setup, { grant_type: 'refresh_token', refresh_token: token });
  const lost = await refresh(refreshToken);
  const second = await refresh(refreshToken);
  expect([lost.status, second.status]).toEqual([200, 200]);
  const third = await refresh(String(second.body['refresh_token']));
  expect(third.status).toBe(200);
  expect((await refresh(refreshToken)).status).toBe(401);
});

test('an unknown token, shop or version is refused', async () => {
  await using setup = await setUp();
  setup.client.token = 'shpat_guess';
  expect((await setup.client.query('{ shop { id } }')).status).toBe(401);
  const other = await fetch(`${setup.sandbox.url}/beta.myshopify.com/admin/api/2026-10/graphql.json`, {
    method: 'POST',
  });
  expect(other.status).toBe(404);
  const old = await fetch(`${setup.shop.baseUrl}/admin/api/2025-01/graphql.json`, { method: 'POST' });
  expect(old.status).toBe(404);
  expect(setup.sandbox.violations().map((violation) => violation.kind)).toEqual(['unsupported-api-version']);
});

test('a shop also answers by its host name', async () => {
  await using setup = await setUp();
  const response = await fetch(`${setup.sandbox.url}/admin/api/2026-10/graphql.json`, {
    method: 'POST',
    headers: { 'X-Forwarded-Host': 'alpha.myshopify.com', 'X-Shopify-Access-Token': setup.client.token },
    body: JSON.stringify({ query: '{ shop { myshopifyDomain } }' }),
  });
  expect(await response.json()).toMatchObject({ data: { shop: { myshopifyDomain: 'alpha.myshopify.com' } } });
});

test.each(['', '[]', '{"query": 5}', '{"query'])('the body %s is a bad request', async (body) => {
  await using setup = await setUp();
  const response = await fetch(`${setup.shop.baseUrl}/admin/api/2026-10/graphql.json`, {
    method: 'POST',
    headers: { 'X-Shopify-Access-Token': setup.client.token },
    body,
  });
  expect(response.status).toBe(400);
  expect(setup.sandbox.violations().map((violation) => violation.kind)).toEqual(['malformed-request']);
});

test.each([
  ['status', 10],
  ['reset', 10],
  ['html', 10],
  ['status-after', 9],
  ['lose-response', 9],
  ['truncate', 9],
] as const)('after the accident %s the quantity is %i', async (kind, available) => {
  await using setup = await setUp();
  setup.shop.addItem({ sku: 'a', quantities: 10 });
  setup.shop.setFaults([
    { kind, operation: 'AdjustAvailable', count: 1, status: kind === 'html' ? 200 : 502 },
  ]);
  const outcome = await setup.client.adjust('a', -1, 'k').then(
    (result) => result.status,
    () => 'no answer',
  );
  expect(outcome).toBe(kind.startsWith('status') ? 502 : 'no answer');
  expect(setup.shop.available('a')).toBe(available);
  expect((await setup.client.adjust('a', -1, 'k')).errors).toBeUndefined();
  expect(setup.shop.available('a')).toBe(9);
});

test.each([
  ['hang', 10],
  ['hang-after', 9],
] as const)('%s never answers and leaves %i', async (kind, available) => {
  await using setup = await setUp();
  const item = setup.shop.addItem({ sku: 'a', quantities: 10 });
  const [locationId] = setup.shop.inventory.locations.keys();
  setup.shop.setFaults([{ kind, count: 1 }]);
  const changes = `[{ inventoryItemId: "${item.id}", locationId: "${locationId}", delta: -1, changeFromQuantity: null }]`;
  const query = `mutation { inventoryAdjustQuantities(input: { name: "available", reason: "other", changes: ${changes} }) @idempotent(key: "k") { userErrors { code } } }`;
  const client = new AbortController();
  const outcome = setup.client.fetch({ query }, client.signal).then(
    ({ status }) => status,
    (error: unknown) => error,
  );
  await expect.poll(() => setup.sandbox.records.requests.all()).toHaveLength(1);
  // An answer would be on its way by now.
  await delay(100);
  client.abort('gave up');
  expect(await outcome).toBe('gave up');
  expect(setup.shop.available('a')).toBe(available);
});

test('429 says when to come back', async () => {
  await using setup = await setUp();
  setup.shop.setFaults([{ kind: 'status', status: 429, retryAfterSeconds: 2, count: 1 }]);
  const response = await setup.client.fetch({ query: '{ shop { id } }' });
  expect([response.status, response.headers.get('retry-after')]).toEqual([429, '2.0']);
});

test('a fault strikes only its operation, after the calls it skips', async () => {
  await using setup = await setUp();
  setup.shop.setFaults([{ kind: 'status', status: 503, operation: 'ShopProbe', skip: 1, count: 1 }]);
  const statuses = [];
  for (const name of ['Locations', 'ShopProbe', 'ShopProbe', 'ShopProbe'])
    statuses.push((await setup.client.fetch({ query: documentOf(name) })).status);
  expect(statuses).toEqual([200, 200, 503, 200]);
});

const documentOf = (name: string) => `query ${name} { shop { id } }`;
