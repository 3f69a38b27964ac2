import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { setUp } from './shopify-client.ts';

type Answer = Record<string, unknown>;

const controlOf =
  (url: string) =>
  async (path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(`${url}/_control/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (await response.json()) as Answer;
  };

test('the control API is off unless asked for', async () => {
  await using setup = await setUp();
  const response = await fetch(`${setup.sandbox.url}/_control/health`);
  expect(response.status).toBe(404);
});

test('a mistake of the caller is answered with its reason', async () => {
  await using setup = await setUp({}, { isControlEnabled: true });
  const control = controlOf(setup.sandbox.url);
  expect(await control('shops/beta.myshopify.com/orders', {})).toEqual({
    error: 'no shop beta.myshopify.com',
  });
  const order = { lines: [{ sku: 'ghost', quantity: 1 }] };
  expect(await control('shops/alpha.myshopify.com/orders', order)).toEqual({
    error: 'no item has SKU ghost',
  });
});

test('another process seeds a shop, sells, breaks and reads what happened', async () => {
  await using setup = await setUp({}, { isControlEnabled: true });
  const control = controlOf(setup.sandbox.url);
  const created = await control('shops', { domain: 'beta.myshopify.com' });
  expect(created).toMatchObject({
    baseUrl: `${setup.sandbox.url}/beta.myshopify.com`,
    accessToken: expect.any(String),
  });
  const at = (what: string, body?: unknown) => control(`shops/beta.myshopify.com/${what}`, body);
  await at('items', { items: [{ sku: 'a', quantities: 5 }] });
  const placed = await at('orders', { lines: [{ sku: 'a', quantity: 2 }] });
  expect(placed).toMatchObject({
    kind: 'accepted',
    order: { name: '#1001', lines: [{ sku: 'a', quantity: 2 }] },
  });
  expect(await at('orders', { lines: [{ sku: 'a', quantity: 4 }] })).toMatchObject({ kind: 'refused' });
  expect(await at('levels')).toMatchObject({ levels: [{ sku: 'a', available: 3, committed: 2, onHand: 5 }] });
  const order = encodeURIComponent((placed['order'] as { id: string }).id);
  expect(await at(`orders/${order}/cancel`, { restock: true })).toMatchObject({
    cancelledAt: expect.any(Number),
  });
  expect(await at('stock', { sku: 'a', quantity: 9 })).toEqual({ available: 9 });
  await at('faults', { faults: [{ kind: 'status', status: 503 }] });
  const refused = await fetch(`${String(created['baseUrl'])}/admin/api/2026-10/graphql.json`, {
    method: 'POST',
    headers: { 'X-Shopify-Access-Token': String(created['accessToken']) },
    body: JSON.stringify({ query: '{ shop { id } }' }),
  });
  expect(refused.status).toBe(503);
  const { audit } = (await control('audit?shop=beta.myshopify.com')) as {
    audit: { cause: string; name: string }[];
  };
  expect(audit.map((entry) => `${entry.cause} ${entry.name}`)).toEqual([
    'seed available',
    'order available',
    'order committed',
    'cancellation committed',
    'cancellation available',
    'stock-edit available',
  ]);
});

test('the command line starts a shop, says where it is and stops on SIGTERM', async () => {
  const script = new URL('../../sandbox/shopify/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, '--port', '0', '--shop', 'alpha.myshopify.com']);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  try {
    const [line] = await new Promise<string[]>((resolve) =>
      createInterface({ input: child.stdout }).once('line', (text) => resolve([text])),
    );
    const started = JSON.parse(line ?? '{}') as {
      url: string;
      shops: { accessToken: string; baseUrl: string }[];
    };
    expect(await controlOf(started.url)('health')).toEqual({ ok: true });
    expect(started.shops).toMatchObject([{ baseUrl: `${started.url}/alpha.myshopify.com` }]);
  } finally {
    child.kill('SIGTERM');
  }
  expect(await exited).toBe(0);
});
