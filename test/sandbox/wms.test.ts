import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../sandbox/shopify/clock.ts';
import { applyAdjustments, readAdjustments } from '../../sandbox/wms/adjustments.ts';
import { CreditBucket, SlidingWindow } from '../../sandbox/wms/limits.ts';
import { type WmsSandbox, startWmsSandbox } from '../../sandbox/wms/server.ts';

let sandbox: WmsSandbox;
let clock: ManualClock;
beforeEach(async () => {
  clock = new ManualClock();
  sandbox = await startWmsSandbox({
    clock,
    isControlEnabled: true,
    warehouses: [
      { name: 'hero', kind: 'shiphero' },
      { name: 'bob', kind: 'shipbob' },
    ],
  });
});
afterEach(() => sandbox.stop());

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${sandbox.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function heroToken(): Promise<Record<string, string>> {
  const { body } = await post('/hero/auth/token', { username: 'user@example.com', password: 'secret' });
  return { authorization: `Bearer ${String(body['access_token'])}` };
}

const stock = (first: string) =>
  `query { warehouse_products { complexity data(${first}) { pageInfo { hasNextPage } edges { node { sku on_hand } } } } }`;

describe('refuses as the platforms do', () => {
  test('a wrong password, no token, and a token that is over', async () => {
    expect((await post('/hero/auth/token', { username: 'user@example.com', password: 'x' })).status).toBe(
      401,
    );
    expect((await post('/hero/graphql', { query: stock('first: 1') })).status).toBe(401);
    const headers = await heroToken();
    clock.advance(29 * 86_400_000);
    expect((await post('/hero/graphql', { query: stock('first: 1') }, headers)).status).toBe(401);
  });

  test('a field that does not exist is a violation', async () => {
    const { body } = await post(
      '/hero/graphql',
      { query: '{ warehouse_products { nonsense } }' },
      await heroToken(),
    );
    expect(body['errors']).toBeDefined();
    expect(sandbox.violations()).toMatchObject([{ kind: 'graphql-invalid' }]);
  });

  test('an operation that its credits do not cover: HTTP 200, code 30, and how long to wait', async () => {
    const headers = await heroToken();
    for (let i = 0; i < 4; i++) await post('/hero/graphql', { query: stock('first: 1000') }, headers);
    const refused = await post('/hero/graphql', { query: stock('first: 1000') }, headers);
    expect(refused).toMatchObject({ status: 200, body: { errors: [{ code: 30, required_credits: 1_001 }] } });
    clock.advance(17_000);
    expect(
      (await post('/hero/graphql', { query: stock('first: 1000') }, headers)).body['data'],
    ).toBeDefined();
    await post('/hero/graphql', { query: stock('after: null') }, headers);
    expect(sandbox.violations()).toMatchObject([{ kind: 'first-missing' }]);
  });

  test('the 151st request of a minute, in any minute; who goes on at once is noted', async () => {
    const get = () =>
      fetch(`${sandbox.url}/bob/2026-01/inventory-level/locations`, {
        headers: { authorization: 'Bearer pat-sandbox' },
      });
    for (let i = 0; i < 150; i++) expect((await get()).status).toBe(200);
    clock.advance(59_000);
    const refused = await get();
    expect([refused.status, refused.headers.get('x-retry-after')]).toEqual([429, '1']);
    for (let i = 0; i < 7; i++) await get();
    expect(sandbox.violations()).toMatchObject([{ kind: 'throttle-ignored' }]);
    clock.advance(1_001);
    expect((await get()).status).toBe(200);
  });

  test('parameters and topics that do not exist', async () => {
    const headers = { authorization: 'Bearer pat-sandbox' };
    await fetch(`${sandbox.url}/bob/2026-01/inventory-level/locations?pageSize=5`, { headers });
    const made = await post(
      '/bob/2026-01/webhook',
      { topics: ['inventory.updated'], url: 'https://x.example' },
      headers,
    );
    expect(made.status).toBe(422);
    expect(sandbox.violations().map(({ kind }) => kind)).toEqual(['unknown-parameter', 'webhook-refused']);
  });

  test('limits by themselves: no span of a window holds more, credits come back at their rate', () => {
    const window = new SlidingWindow(clock, 2, 1_000);
    expect([window.take().kind, window.take().kind, window.take().kind]).toEqual([
      'taken',
      'taken',
      'refused',
    ]);
    clock.advance(1_000);
    expect(window.take().kind).toBe('taken');
    const bucket = new CreditBucket(clock, 100, 10);
    expect(bucket.take(100).kind).toBe('taken');
    expect(bucket.take(20)).toMatchObject({ kind: 'refused', waitS: 2 });
    clock.advance(2_000);
    expect(bucket.take(20).kind).toBe('taken');
  });
});

describe('answers in the published shapes', () => {
  const published = (name: string): unknown =>
    (
      JSON.parse(readFileSync(new URL(`../fixtures/wms/${name}.json`, import.meta.url), 'utf8')) as {
        payload: unknown;
      }
    ).payload;

  test('pages of ShipBob', async () => {
    sandbox.account('bob').warehouse.addItem({ sku: 'a', onHand: 4 });
    const answer = await fetch(`${sandbox.url}/bob/2026-01/inventory-level/locations`, {
      headers: { authorization: 'Bearer pat-sandbox' },
    });
    const body = (await answer.json()) as object;
    const sample = published('shipbob-inventory-level-locations') as object;
    expect(shapeOf(body)).toEqual(expect.arrayContaining([...shapeOf(sample)]));
  });

  test('webhooks of ShipHero', async () => {
    const bodies: unknown[] = [];
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        bodies.push(JSON.parse(Buffer.concat(chunks).toString()));
        response.end('{"code":"200","Status":"Success"}');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { warehouse, desk } = sandbox.account('hero');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    desk.subscribe('Inventory Update', url);
    warehouse.addItem({ sku: 'a', onHand: 4 });
    warehouse.adjust('a', -1);
    clock.advance(0);
    await sandbox.webhooksIdle();
    server.close();
    expect(bodies.map((body) => shapeOf(body))).toEqual([shapeOf(published('shiphero-inventory-update'))]);
  });
});

/** Every key of a document with the type of its value; of a list its first element. */
function shapeOf(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value)) return value.length === 0 ? [] : shapeOf(value[0], `${path}[]`);
  if (typeof value !== 'object' || value === null)
    return [`${path}:${value === null ? 'null' : typeof value}`];
  return Object.entries(value)
    .flatMap(([key, inner]) => shapeOf(inner, `${path}.${key}`))
    .toSorted();
}

describe('a warehouse', () => {
  test('ships and throws away no more than it has, and keeps an audit', () => {
    const { warehouse } = sandbox.account('hero');
    warehouse.addItem({ sku: 'a', onHand: 3 });
    warehouse.ship([{ sku: 'a', units: 2 }]);
    warehouse.adjust('a', -5, { reason: 'thrown away' });
    expect(warehouse.onHand('a')).toBe(0);
    expect(sandbox.records.audit.all().map(({ change }) => change)).toEqual([-2, -1]);
  });

  test('replays the real write-offs and finds of a year', () => {
    const { warehouse } = sandbox.account('bob');
    const rows = readAdjustments(
      new URL('../../demo/orders/online-retail-adjustments.csv.gz', import.meta.url),
    );
    expect(rows).toHaveLength(2_452);
    expect(
      rows.every(({ atMs, units }) => Number.isFinite(atMs) && Number.isInteger(units) && units !== 0),
    ).toBe(true);
    const moved = applyAdjustments(warehouse, rows);
    expect(moved).toBeGreaterThan(50_000);
    for (const { sku } of rows) expect(warehouse.onHand(sku)).toBeGreaterThanOrEqual(0);
  });

  test('is driven from another process', async () => {
    await post('/_control/warehouses/hero/items', { items: [{ sku: 'a', onHand: 4 }] });
    await post('/_control/warehouses/hero/adjust', { sku: 'a', change: -1, reason: 'damaged' });
    const answer = await fetch(`${sandbox.url}/_control/warehouses/hero/stock`);
    expect(await answer.json()).toMatchObject({ stock: [{ sku: 'a', onHand: 3 }] });
    expect((await fetch(`${sandbox.url}/_control/warehouses/nobody/stock`)).status).toBe(400);
  });
});
