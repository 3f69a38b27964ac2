import { inspect } from 'node:util';
import nock from 'nock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TiktokConnectorOptions } from '../../../src/connectors/tiktok/options.ts';
import { never, rejection } from '../shopify/parts.ts';
import { type Rig, appKey, appSecret, rigFor, sandboxRig, shopId } from './parts.ts';

const api = 'https://open-api.tiktokglobalshop.com';
const auth = 'https://auth.tiktok-shops.com';
const canary = 'TTR_canary-of-the-refresh-token';
const shops = {
  code: 0,
  message: 'Success',
  data: { shops: [{ id: shopId, name: 'S', region: 'GB', cipher: 'c1' }] },
};
const warehouses = { code: 0, message: 'Success', data: { warehouses: [] } };
const seconds = (ms: number): number => Math.floor(ms / 1_000);
const pair = (name: string, endsAtMs: number) => ({
  code: 0,
  data: {
    access_token: `access-${name}`,
    access_token_expire_in: seconds(endsAtMs),
    refresh_token: `refresh-${name}`,
    refresh_token_expire_in: seconds(endsAtMs) + 86_400 * 300,
  },
});

beforeEach(() => nock.disableNetConnect());
afterEach(() => {
  nock.cleanAll();
  nock.enableNetConnect();
});

interface Asked {
  readonly path: string;
  readonly query: URLSearchParams;
}

function tokensAnswer(...answers: [number, object, Record<string, string>?][]): Asked[] {
  const asked: Asked[] = [];
  for (const [status, body, headers] of answers) {
    nock(auth)
      .get(/^\/api\/v2\/token\//)
      .reply((request: Request) => {
        const url = new URL(request.url);
        asked.push({ path: url.pathname, query: url.searchParams });
        return [status, body, headers ?? {}];
      });
  }
  return asked;
}

function apiAccepts(): string[] {
  const used: string[] = [];
  const reply = (body: object) => (request: Request) => {
    used.push(request.headers.get('x-tts-access-token') ?? '');
    return [200, body] as [number, object];
  };
  nock(api)
    .get(/^\/authorization/)
    .reply(reply(shops))
    .persist();
  nock(api)
    .get(/^\/logistics/)
    .reply(reply(warehouses))
    .persist();
  return used;
}

const credentials = (extra: object = {}): Partial<TiktokConnectorOptions> => ({
  credentials: { appKey, appSecret, refreshToken: canary, ...extra },
});
const access = ({ connector }: Rig) => connector.checkAccess(never);

describe('refused', () => {
  test.each([
    [400, { code: 36004005, message: `bad ${canary}` }],
    [200, { code: 36004001, message: 'invalid app secret' }],
    [403, {}],
  ])('with HTTP %i: needs attention, and nothing of the request is told', async (status, body) => {
    tokensAnswer([status, body]);
    const rig = rigFor(credentials());
    const report = await access(rig);
    expect(report).toMatchObject({
      kind: 'needs-attention',
      remedy: expect.stringContaining('Authorise') as string,
    });
    const told = inspect([report, rig.log.lines], { depth: 9 });
    expect(told).not.toContain(canary);
    expect(told).not.toContain(appSecret);
  });

  test.each([
    ['HTTP 500', 500, {}],
    ['HTTP 429', 429, {}],
    ['an internal error', 200, { code: 36009003, message: 'x' }],
  ])('%s is no verdict on the credentials', async (_name, status, body) => {
    tokensAnswer([status, body]);
    const error = await rejection(access(rigFor(credentials())));
    expect(error.code).toBe('CONNECTOR_UNREACHABLE');
    expect(inspect(error, { depth: 9 })).not.toContain(canary);
  });

  test.each([
    ['no token', { code: 0, data: {} }],
    ['a token that is no header value', { code: 0, data: { access_token: 'a\r\nb' } }],
    ['no envelope', { access_token: 'x' }],
  ])('%s is an answer that cannot be read', async (_name, body) => {
    tokensAnswer([200, body]);
    expect((await rejection(access(rigFor(credentials())))).code).toBe('CONNECTOR_ANSWER_INVALID');
  });

  test('a connection that breaks tells neither URL nor secret', async () => {
    nock(auth)
      .get(/^\/api/)
      .replyWithError(Object.assign(new Error(`${auth}?app_secret=${appSecret}`), { code: 'ECONNRESET' }));
    const error = await rejection(access(rigFor(credentials())));
    expect(inspect(error, { depth: 9 })).not.toContain(appSecret);
  });
});

test('the refresh is asked for as documented, and the rotated pair is kept', async () => {
  const endsAtMs = Date.now() + 7 * 86_400_000;
  const asked = tokensAnswer([200, pair('2', endsAtMs)]);
  const used = apiAccepts();
  const rig = rigFor(credentials());
  expect(await access(rig)).toMatchObject({ kind: 'ok', account: `S (${shopId}, GB)` });
  expect(asked[0]?.path).toBe('/api/v2/token/refresh');
  expect(Object.fromEntries(asked[0]?.query ?? [])).toEqual({
    app_key: appKey,
    app_secret: appSecret,
    refresh_token: canary,
    grant_type: 'refresh_token',
  });
  expect(new Set(used)).toEqual(new Set(['access-2']));
  // `..._expire_in` is a moment.
  expect(rig.tokens.stored.get(`tiktok:${shopId}`)).toMatchObject({
    accessToken: 'access-2',
    refreshToken: 'refresh-2',
    expiresAtMs: seconds(endsAtMs) * 1_000,
  });
});

test('an authorisation code is exchanged once, then the pair it brought is refreshed', async () => {
  const asked = tokensAnswer([200, pair('1', Date.now() + 10_000)], [200, pair('2', Date.now() + 8_000_000)]);
  const used = apiAccepts();
  const rig = rigFor({ credentials: { appKey, appSecret, authCode: 'TTC_code' } });
  await access(rig);
  rig.advance(20_000);
  await access(rig);
  expect(
    asked.map(({ path, query }) => [
      path,
      query.get('grant_type'),
      query.get('auth_code') ?? query.get('refresh_token'),
    ]),
  ).toEqual([
    ['/api/v2/token/get', 'authorized_code', 'TTC_code'],
    ['/api/v2/token/refresh', 'refresh_token', 'refresh-1'],
  ]);
  expect(used.at(-1)).toBe('access-2');
});

test("the end of a token is meant by TikTok's clock", async () => {
  const date = new Date(Date.now() + 3_600_000).toUTCString();
  tokensAnswer([200, pair('2', Date.now() + 2 * 3_600_000), { date }]);
  apiAccepts();
  const rig = rigFor(credentials());
  await access(rig);
  const endsInMs = (rig.tokens.stored.get(`tiktok:${shopId}`)?.expiresAtMs ?? 0) - Date.now();
  expect(endsInMs).toBeLessThan(3_605_000);
  expect(endsInMs).toBeGreaterThan(3_590_000);
});

test('many callers, one refresh; ahead of the end nobody waits for it', async () => {
  const asked = tokensAnswer(
    [200, pair('2', Date.now() + 1_000_000)],
    [200, pair('3', Date.now() + 9_000_000)],
  );
  apiAccepts();
  const rig = rigFor(credentials());
  await Promise.all(Array.from({ length: 8 }, () => access(rig)));
  expect(asked).toHaveLength(1);
  rig.advance(900_000);
  await access(rig);
  await expect.poll(() => rig.tokens.stored.get(`tiktok:${shopId}`)?.accessToken).toBe('access-3');
  expect(asked).toHaveLength(2);
});

test('a stored pair that no longer works gives way to what is configured', async () => {
  const asked = tokensAnswer([200, { code: 36004005 }], [200, pair('9', Date.now() + 9_000_000)]);
  apiAccepts();
  const rig = rigFor(credentials());
  rig.tokens.stored.set(`tiktok:${shopId}`, { accessToken: 'old', refreshToken: 'spent', expiresAtMs: 1 });
  expect((await access(rig)).kind).toBe('ok');
  expect(asked.map(({ query }) => query.get('refresh_token'))).toEqual(['spent', canary]);
});

describe('over the sandbox', () => {
  test('a refused token is renewed once, and two connectors of one store rotate once', async () => {
    nock.enableNetConnect();
    await using rig = await sandboxRig();
    rig.shop.tokens.expireAccessTokens();
    const reports = await Promise.all([access(rig), access(rig), access(rig)]);
    expect(reports.map(({ kind }) => kind)).toEqual(['ok', 'ok', 'ok']);
    expect(rig.sandbox.violations()).toEqual([]);
    const exchanges = rig.sandbox.records.requests.all().filter(({ operation }) => operation === 'token');
    expect(exchanges).toHaveLength(1);
  });

  test('an ended authorisation needs a person', async () => {
    nock.enableNetConnect();
    await using rig = await sandboxRig();
    rig.shop.deauthorise();
    expect(await access(rig)).toMatchObject({
      kind: 'needs-attention',
      remedy: expect.stringContaining('Authorise the app') as string,
    });
  });

  test.each([
    ['36009004 by its message', { code: 36009004, message: 'invalid x-tts-access-token' }, 1],
    ['a missing scope', { code: 105005, message: 'scope' }, 0],
    ['a signature', { code: 106001, message: 'sign is invalid' }, 0],
    ['an IP address', { code: 36009033, message: 'ip' }, 0],
  ])('%s', async (_name, fault, renewals) => {
    nock.enableNetConnect();
    await using rig = await sandboxRig();
    rig.shop.faults.set([{ kind: 'code', operation: 'warehouses', count: 1, ...fault }]);
    const report = await access(rig);
    expect(rig.tokens.renewals).toBe(renewals);
    expect(report.kind).toBe(renewals > 0 ? 'ok' : 'needs-attention');
  });

  test('another cipher is asked for when the shop got a new one', async () => {
    nock.enableNetConnect();
    await using rig = await sandboxRig();
    rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 3 }] });
    await rig.listings();
    Object.assign(rig.shop, { cipher: 'ROW_new' });
    expect((await rig.put(rig.row('MUG', 2))).rows).toEqual([{ kind: 'accepted' }]);
  });

  test.each([-3_600_000, 3_600_000])(
    'a clock that is %d ms off signs by the time TikTok tells',
    async (ms) => {
      nock.enableNetConnect();
      await using rig = await sandboxRig();
      rig.advance(ms);
      expect((await access(rig)).kind).toBe('ok');
      rig.sandbox.records.violations.clear();
      expect((await access(rig)).kind).toBe('ok');
      expect(rig.sandbox.violations()).toEqual([]);
    },
  );

  test('a shop that the authorisation does not cover is named with those it covers', async () => {
    nock.enableNetConnect();
    await using rig = await sandboxRig();
    const { appKey: key, appSecret: secret, tokens } = rig.shop;
    const other = rigFor({
      shop: '42',
      baseUrl: rig.sandbox.url,
      credentials: { appKey: key, appSecret: secret, ...tokens.issue() },
    });
    expect(await access(other)).toMatchObject({
      kind: 'needs-attention',
      reason: expect.stringContaining('42') as string,
      remedy: expect.stringContaining(shopId) as string,
    });
  });

  test('a configured warehouse that the shop does not have is named with those it has', async () => {
    nock.enableNetConnect();
    await using rig = await sandboxRig({}, { warehouses: ['404'] });
    expect(await access(rig)).toMatchObject({
      kind: 'needs-attention',
      remedy: expect.stringContaining(rig.warehouseId) as string,
    });
  });
});

test('a refused token is renewed once, whatever code the HTTP status 401 comes with', async () => {
  tokensAnswer([200, pair('second', Date.now() + 7 * 86_400_000)]);
  const used: string[] = [];
  nock(api)
    .persist()
    .get(/^\/authorization/)
    .reply((request: Request) => {
      const token = request.headers.get('x-tts-access-token') ?? '';
      used.push(token);
      return token === 'access-second'
        ? [200, shops]
        : [401, { code: 105010, message: 'token is not valid' }];
    });
  nock(api)
    .persist()
    .get(/^\/logistics/)
    .reply(200, warehouses);
  expect(await rigFor().connector.checkAccess(never)).toMatchObject({ kind: 'ok' });
  expect(used.slice(0, 2)).toEqual(['TTP_first', 'access-second']);
  expect(used.filter((token) => token === 'TTP_first')).toHaveLength(1);
});
