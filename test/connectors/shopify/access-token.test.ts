import nock from 'nock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { never, rejection, rigFor, shopDomain } from './parts.ts';

const base = `https://${shopDomain}`;
const graphqlPath = '/admin/api/2026-10/graphql.json';
const tokenPath = '/admin/oauth/access_token';
const grant = { kind: 'client-credentials', clientId: 'client-1', clientSecret: 'shpss_secret' } as const;
const offline = {
  kind: 'offline',
  clientId: 'client-1',
  clientSecret: 'shpss_secret',
  refreshToken: 'shprt_0',
} as const;
const json = { 'content-type': 'application/json' };
const name = `shopify:${shopDomain}`;
const probe = {
  data: {
    shop: { id: 'gid://shopify/Shop/1', name: 'Alpha', myshopifyDomain: shopDomain },
    currentAppInstallation: {
      id: 'gid://shopify/AppInstallation/1',
      accessScopes: ['write_inventory', 'read_products', 'read_locations', 'read_orders'].map((handle) => ({
        handle,
      })),
    },
  },
};

/** Answers to the probe when asked with one of the tokens, 401 with any other. */
function shopAccepts(...tokens: string[]): string[] {
  const used: string[] = [];
  nock(base)
    .post(graphqlPath)
    .times(20)
    .reply((request: Request) => {
      const token = request.headers.get('x-shopify-access-token') ?? '';
      used.push(token);
      return tokens.includes(token) ? [200, probe, json] : [401, { errors: 'bad token' }, json];
    });
  return used;
}

function tokenAnswers(...answers: [number, Record<string, unknown>][]): URLSearchParams[] {
  const asked: URLSearchParams[] = [];
  for (const [status, answer] of answers) {
    nock(base)
      .post(tokenPath)
      .reply(async (request: Request) => {
        asked.push(new URLSearchParams(await request.text()));
        return [status, answer, json];
      });
  }
  return asked;
}

beforeEach(() => nock.disableNetConnect());
afterEach(() => {
  nock.cleanAll();
  nock.enableNetConnect();
});

describe('needs attention', () => {
  test('when a static token is refused', async () => {
    shopAccepts();
    const report = await rigFor().connector.checkAccess(never);
    expect(report).toMatchObject({
      kind: 'needs-attention',
      reason: expect.stringContaining('token') as string,
    });
  });

  test('when a fresh token is refused too, after one renewal', async () => {
    const used = shopAccepts();
    const asked = tokenAnswers(
      [200, { access_token: 'shpat_1', expires_in: 86_399 }],
      [200, { access_token: 'shpat_2', expires_in: 86_399 }],
    );
    const report = await rigFor({ credentials: grant }).connector.checkAccess(never);
    expect(report.kind).toBe('needs-attention');
    expect(used).toEqual(['shpat_1', 'shpat_2']);
    expect(asked).toHaveLength(2);
  });

  test('when the client secret is wrong, and the report does not repeat it', async () => {
    tokenAnswers([400, { error: 'application_cannot_be_found', error_description: 'shpss_secret is wrong' }]);
    const report = await rigFor({ credentials: grant }).connector.checkAccess(never);
    expect(report).toMatchObject({
      kind: 'needs-attention',
      reason: expect.stringContaining('application_cannot_be_found') as string,
    });
    expect(JSON.stringify(report)).not.toContain('shpss_secret');
  });
});

describe('an answer of the token endpoint that cannot be used', () => {
  test.each([
    ['no JSON', 200, 'hello', 'CONNECTOR_ANSWER_INVALID'],
    ['no token', 200, { expires_in: 1 }, 'CONNECTOR_ANSWER_INVALID'],
    ['a token that is no header value', 200, { access_token: 'a\r\nb' }, 'CONNECTOR_ANSWER_INVALID'],
    ['a failure of Shopify', 503, {}, 'CONNECTOR_UNREACHABLE'],
    ['a limit', 429, {}, 'CONNECTOR_UNREACHABLE'],
  ])('%s is thrown, not used', async (_name, status, answer, code) => {
    nock(base).post(tokenPath).reply(status, answer);
    const rig = rigFor({ credentials: grant });
    expect((await rejection(rig.connector.checkAccess(never))).code).toBe(code);
    expect(rig.tokens.stored.size).toBe(0);
  });
});

describe('client credentials', () => {
  test('one token serves many calls at once, and is asked for in the documented form', async () => {
    shopAccepts('shpat_1');
    const asked = tokenAnswers([200, { access_token: 'shpat_1', scope: 'x', expires_in: 86_399 }]);
    const { connector } = rigFor({ credentials: grant });
    const reports = await Promise.all([1, 2, 3, 4].map(() => connector.checkAccess(never)));
    expect(reports.every((report) => report.kind === 'ok')).toBe(true);
    expect(asked.map((form) => Object.fromEntries(form))).toEqual([
      { grant_type: 'client_credentials', client_id: 'client-1', client_secret: 'shpss_secret' },
    ]);
  });

  test('is renewed in the background at 80 % of its life, while the old one still serves', async () => {
    const used = shopAccepts('shpat_1', 'shpat_2');
    const asked = tokenAnswers(
      [200, { access_token: 'shpat_1', expires_in: 1_000 }],
      [200, { access_token: 'shpat_2', expires_in: 1_000 }],
    );
    const rig = rigFor({ credentials: grant });
    await rig.connector.checkAccess(never);
    rig.advance(790_000);
    await rig.connector.checkAccess(never);
    expect(asked).toHaveLength(1);
    rig.advance(20_000);
    await rig.connector.checkAccess(never);
    await expect.poll(() => rig.tokens.stored.get(name)?.accessToken).toBe('shpat_2');
    await rig.connector.checkAccess(never);
    expect(used).toEqual(['shpat_1', 'shpat_1', 'shpat_1', 'shpat_2']);
  });

  test('a renewal ahead of time that fails does not stop the calls', async () => {
    const used = shopAccepts('shpat_1');
    tokenAnswers([200, { access_token: 'shpat_1', expires_in: 1_000 }], [503, {}]);
    const rig = rigFor({ credentials: grant });
    await rig.connector.checkAccess(never);
    rig.advance(900_000);
    expect((await rig.connector.checkAccess(never)).kind).toBe('ok');
    await expect.poll(() => rig.log.lines.length).toBe(1);
    expect((await rig.connector.checkAccess(never)).kind).toBe('ok');
    expect(used).toHaveLength(3);
  });

  test('an expired one is waited for', async () => {
    const used = shopAccepts('shpat_2');
    tokenAnswers([200, { access_token: 'shpat_2', expires_in: 1_000 }]);
    const rig = rigFor({ credentials: grant });
    rig.tokens.stored.set(name, { accessToken: 'shpat_1', issuedAtMs: 0, expiresAtMs: 1 });
    expect((await rig.connector.checkAccess(never)).kind).toBe('ok');
    expect(used).toEqual(['shpat_2']);
  });

  test('the token another daemon has stored counts as the renewal', async () => {
    const used = shopAccepts('shpat_2');
    const rig = rigFor({ credentials: grant });
    const expiresAtMs = Date.now() + 80_000_000;
    rig.tokens.stored.set(name, { accessToken: 'shpat_1', expiresAtMs });
    // Somebody renews between our loading and the refusal of what we loaded.
    const load = rig.tokens.load.bind(rig.tokens);
    rig.tokens.load = async (key) => {
      const loaded = await load(key);
      rig.tokens.stored.set(name, { accessToken: 'shpat_2', expiresAtMs });
      return loaded;
    };
    expect((await rig.connector.checkAccess(never)).kind).toBe('ok');
    expect(used).toEqual(['shpat_1', 'shpat_2']);
  });
});

test('a token that is loaded late does not take the place of one that was renewed meanwhile', async () => {
  const used = shopAccepts('shpat_2');
  const rig = rigFor({ credentials: grant });
  const expiresAtMs = Date.now() + 80_000_000;
  const load = rig.tokens.load.bind(rig.tokens);
  const { promise: isRenewed, resolve: goOn } = Promise.withResolvers<void>();
  let loads = 0;
  rig.tokens.load = async (key) => {
    const loaded = await load(key);
    if (++loads === 1) await isRenewed;
    return loaded;
  };
  rig.tokens.stored.set(name, { accessToken: 'shpat_1', expiresAtMs });
  const early = rig.connector.checkAccess(never);
  // This call loads the same, is refused with it and has it renewed.
  tokenAnswers([200, { access_token: 'shpat_2', expires_in: 80_000 }]);
  expect((await rig.connector.checkAccess(never)).kind).toBe('ok');
  expect(used).toEqual(['shpat_1', 'shpat_2']);
  goOn();
  expect((await early).kind).toBe('ok');
  expect((await rig.connector.checkAccess(never)).kind).toBe('ok');
  expect(used).toEqual(['shpat_1', 'shpat_2', 'shpat_2', 'shpat_2']);
});

describe('rotating refresh token', () => {
  const rotated = (number: number) =>
    [
      200,
      {
        access_token: `shpat_${number}`,
        expires_in: 3_600,
        refresh_token: `shprt_${number}`,
        refresh_token_expires_in: 7_776_000,
      },
    ] as [number, Record<string, unknown>];

  test('each use is stored before the new token is used', async () => {
    shopAccepts('shpat_1', 'shpat_2');
    const asked = tokenAnswers(rotated(1), rotated(2));
    const rig = rigFor({ credentials: offline });
    await rig.connector.checkAccess(never);
    expect(rig.tokens.stored.get(name)).toMatchObject({ accessToken: 'shpat_1', refreshToken: 'shprt_1' });
    rig.advance(3_600_000);
    await rig.connector.checkAccess(never);
    expect(asked.map((form) => form.get('refresh_token'))).toEqual(['shprt_0', 'shprt_1']);
    expect(rig.tokens.stored.get(name)?.refreshToken).toBe('shprt_2');
  });

  test('a stored token that died is replaced by the pair of a new authorisation', async () => {
    shopAccepts('shpat_9');
    const asked = tokenAnswers([401, { error: 'invalid_request' }], rotated(9));
    const rig = rigFor({ credentials: offline });
    rig.tokens.stored.set(name, { accessToken: 'shpat_old', refreshToken: 'shprt_dead', expiresAtMs: 1 });
    expect((await rig.connector.checkAccess(never)).kind).toBe('ok');
    expect(asked.map((form) => form.get('refresh_token'))).toEqual(['shprt_dead', 'shprt_0']);
  });

  test('a lost answer is asked for again with the same refresh token', async () => {
    shopAccepts('shpat_1');
    nock(base).post(tokenPath).replyWithError('socket hang up');
    const asked = tokenAnswers(rotated(1));
    const rig = rigFor({ credentials: offline });
    await rejection(rig.connector.checkAccess(never));
    expect((await rig.connector.checkAccess(never)).kind).toBe('ok');
    expect(asked[0]?.get('refresh_token')).toBe('shprt_0');
  });
});

test('no credential reaches an error or the log', async () => {
  nock(base).post(tokenPath).times(5).reply(400, 'shpss_secret shprt_0');
  nock(base).post(graphqlPath).times(5).replyWithError('shpat_static leaked');
  for (const credentials of [grant, offline, { kind: 'static', accessToken: 'shpat_static' } as const]) {
    const rig = rigFor({ credentials });
    const told = await rig.connector.readStock([{ key: '1@2', itemId: '1', locationId: '2' }], never).then(
      () => 'nothing',
      (error: unknown) => error as Error & { fields: unknown },
    );
    const text =
      typeof told === 'string'
        ? told
        : JSON.stringify([told.message, told.stack, told.fields, String(told.cause)]);
    expect(text).toContain('shopify');
    expect(text + JSON.stringify(rig.log.lines)).not.toMatch(/shpss_|shprt_|shpat_/);
  }
});
