import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localOperator } from '../../src/http/api/caller.ts';
import type { ParkedEntry } from '../../src/ledger/contract.ts';
import { defaultListenerLimits } from '../../src/http/listener.ts';
import { createPrivateServer } from '../../src/http/private-server.ts';
import { checkReadiness, type ReadinessSources } from '../../src/http/readiness.ts';
import type { StockAnswer } from '../../src/http/routes/stock-routes.ts';

let app: FastifyInstance;
let sources: ReadinessSources;
let retried: string[];
let verified = 0;

const rows: readonly ParkedEntry[] = [
  {
    id: 'order-line:shop-a:#1/2',
    channel: '',
    what: 'order-line',
    reference: '#1/2',
    reason: 'sku "X" is not known',
    content: '{"sku":"X"}',
    parkedAtMs: 5,
    times: 2,
  },
];
const stock: StockAnswer = {
  sku: 'a:b',
  available: 3,
  locations: [{ location: 'main', onHand: 5, committed: 1, reserved: 1, available: 3 }],
  foreign: [],
};

beforeEach(() => {
  retried = [];
  sources = {
    pingRedis: async () => undefined,
    redisProblem: () => undefined,
    logReaderSilentMs: () => 10,
    queueSilentMs: () => 10,
    haltedReason: () => undefined,
  };
  app = createPrivateServer({
    limits: { ...defaultListenerLimits, maxBodyBytes: 10_000 },
    host: '127.0.0.1',
    ports: {
      readiness: () => checkReadiness(sources),
      position: () => ({ epoch: 1, seq: 7, ageMs: 3 }),
      stock: (skus) => (skus.includes('a:b') ? [stock] : []),
      stockPage: (after) => (after === undefined ? [stock] : []),
      channels: () => [{ channel: 'shop-a', status: 'ok' }],
      parked: async () => rows,
      parkedCount: async () => 1,
      retryParked: async (id) => {
        retried.push(id);
        return id.startsWith('order') ? 'retried' : 'gone';
      },
      discardParked: async () => undefined,
      ledgerState: async () => ({ epoch: 1, seq: 7, ageMs: 3, halted: null, lost: [] }),
      confirmLoss: async () => [],
      verifyLedger: async () => {
        verified++;
        await new Promise((resolve) => setTimeout(resolve, 20));
        return { findings: [] };
      },
      vaultState: async () => ({ sealingKey: 'k', records: [] }),
      rotateVault: async () => ({ rewrapped: 0 }),
    },
    registry: new Registry(),
    log: pino({ level: 'silent' }),
    version: '0.0.0',
    authenticate: () => localOperator,
  });
});

afterEach(() => app.close());

async function get(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown }> {
  const response = await app.inject({ url, headers: { host: '127.0.0.1:8081', ...headers } });
  return {
    status: response.statusCode,
    body: response.headers['content-type']?.includes('json') ? response.json() : response.body,
  };
}

test('a page of another site, or of a name that was pointed here, is refused', async () => {
  expect((await get('/stock?sku=x', { 'sec-fetch-site': 'cross-site' })).status).toBe(400);
  expect((await get('/stock?sku=x', { host: 'evil.example' })).status).toBe(400);
  expect((await get('/healthz', { host: 'localhost:8081', 'sec-fetch-site': 'none' })).status).toBe(200);
});

test.each(['/parked?limit=0', '/parked?limit=x', '/parked?limit=99999', `/stock?sku=${'x'.repeat(300)}`])(
  'refuses %s with the name of the parameter',
  async (url) => {
    const refused = await get(url);
    expect(refused.status).toBe(400);
    expect(refused.body).toMatchObject({ code: 'HTTP_REQUEST_INVALID' });
  },
);

test('webhooks are not taken here', async () => {
  const response = await app.inject({
    method: 'POST',
    url: '/webhooks/shopify/shop-a',
    payload: {},
    headers: { host: 'localhost' },
  });
  expect(response.statusCode).toBe(404);
});

test.each([
  ['redis', { pingRedis: () => Promise.reject(new Error('no answer')) }],
  ['redis', { redisProblem: () => 'maxmemory-policy is allkeys-lru' }],
  ['logReader', { logReaderSilentMs: () => 60_000 }],
  ['queue', { queueSilentMs: () => Number.POSITIVE_INFINITY }],
  ['ledger', { haltedReason: () => 'entries are missing' }],
] as const)('is not ready when %s fails, and says which', async (name, broken) => {
  sources = { ...sources, ...broken };
  const answer = await get('/readyz');
  expect(answer.status).toBe(503);
  expect(answer.body).toMatchObject({ status: 'not-ready', checks: { [name]: { ok: false } } });
});

test('is ready when work goes through', async () => {
  expect(await get('/readyz')).toMatchObject({ status: 200, body: { status: 'ready' } });
  expect(await get('/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  expect((await get('/metrics')).status).toBe(200);
});

test('stock carries sequence and age, and says what is not known', async () => {
  expect((await get('/stock?sku=a%3Ab&sku=nope')).body).toEqual({
    epoch: 1,
    seq: 7,
    ageMs: 3,
    skus: [stock],
    unknown: ['nope'],
  });
  expect((await get('/stock')).body).toMatchObject({ skus: [stock] });
  expect((await get('/position')).body).toEqual({ epoch: 1, seq: 7, ageMs: 3 });
});

test('a loss is confirmed by name only', async () => {
  expect((await get('/ledger')).body).toEqual({ epoch: 1, seq: 7, ageMs: 3, halted: null, lost: [] });
  const confirm = (payload: object) =>
    app.inject({ method: 'POST', url: '/ledger/confirm-loss', payload, headers: { host: 'localhost' } });
  expect((await confirm({})).statusCode).toBe(400);
  expect((await confirm({ actor: 'ann' })).json()).toEqual({ entries: [] });
});

test('verifications asked for at the same time are one', async () => {
  const verify = () => app.inject({ method: 'POST', url: '/ledger/verify', headers: { host: 'localhost' } });
  const answers = await Promise.all([verify(), verify(), verify()]);
  expect(answers.map((answer) => answer.json())).toEqual(Array.from({ length: 3 }, () => ({ findings: [] })));
  expect(verified).toBe(1);
});

test('parked rows are shown with their reason and can be tried again', async () => {
  expect((await get('/parked')).body).toMatchObject({
    total: 1,
    rows: [{ reason: 'sku "X" is not known', content: { sku: 'X' }, times: 2 }],
  });
  const send = (action: string, id: string) =>
    app.inject({ method: 'POST', url: `/parked/${action}`, payload: { id }, headers: { host: 'localhost' } });
  expect((await send('retry', rows[0]!.id)).statusCode).toBe(200);
  expect((await send('retry', 'delivery:gone')).statusCode).toBe(404);
  expect((await send('discard', rows[0]!.id)).statusCode).toBe(200);
  expect((await send('retry', '')).statusCode).toBe(400);
  expect(retried).toEqual([rows[0]!.id, 'delivery:gone']);
});

test('a route that does not say who may ask is refused when it is registered', async () => {
  expect(() => app.get('/open-by-mistake', async () => 'anything')).toThrow('says no scope');
});
