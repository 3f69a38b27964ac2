import { describe, expect, test } from 'vitest';
import type { HttpConnection } from '../../../src/connectors/wms/options.ts';
import { MemoryTokens, never } from '../shopify/parts.ts';
import { plainSource, poll, rigFor, secret } from './parts.ts';
import { scriptedSource } from './scripted-source.ts';

const row = (sku: string) => ({ sku, qty: 1, place: 'A' });

describe('access', () => {
  test.each([
    [
      'basic',
      { kind: 'basic', username: 'u', password: secret('p') },
      { authorization: `Basic ${btoa('u:p')}` },
    ],
    ['bearer', { kind: 'bearer', token: secret('t') }, { authorization: 'Bearer t' }],
    [
      'headers',
      { kind: 'headers', headers: { 'api-account-id': secret('1'), 'api-key': secret('2') } },
      { 'api-account-id': '1', 'api-key': '2' },
    ],
  ] as readonly (readonly [string, HttpConnection['auth'], Record<string, string>])[])(
    'by %s',
    async (_, auth, headers) => {
      const source = await scriptedSource(() => ({ json: { rows: [row('a')] } }));
      await poll(rigFor(plainSource(source.url, { auth })).connector);
      expect(source.seen[0]?.headers).toMatchObject(headers);
    },
  );

  test('client credentials: one token for many requests at once, another one when it is refused', async () => {
    let tokens = 0;
    const source = await scriptedSource(({ path, headers }) => {
      if (path === '/token') return { json: { access_token: `t${++tokens}`, expires_in: 3600 } };
      return headers.authorization === `Bearer t${tokens}` ? { json: { rows: [row('a')] } } : { status: 401 };
    });
    const { connector, tokens: store } = rigFor(
      plainSource(source.url, {
        auth: {
          kind: 'client-credentials',
          tokenUrl: `${source.url}/token`,
          clientId: 'id',
          clientSecret: secret('s'),
          sentIn: 'header',
          format: 'json',
          extra: { user_login_id: '1' },
        },
      }),
    );
    await Promise.all([poll(connector), poll(connector), poll(connector)]);
    expect(tokens).toBe(1);
    const asked = source.seen.find(({ path }) => path === '/token');
    expect(asked?.headers.authorization).toBe(`Basic ${btoa('id:s')}`);
    expect(JSON.parse(asked?.body ?? '')).toEqual({ grant_type: 'client_credentials', user_login_id: '1' });
    tokens++;
    await poll(connector);
    expect(store.stored.get('access')?.accessToken).toBe('t3');
  });

  test('a late refusal of the old token does not renew the new one', async () => {
    let tokens = 0;
    const renewed = Promise.withResolvers<void>();
    const source = await scriptedSource(async ({ path, headers }, count) => {
      if (path === '/token') return { json: { access_token: `t${++tokens}`, expires_in: 3600 } };
      if (headers.authorization === 'Bearer t1') {
        // The second refusal arrives after the first one's renewal.
        if (count > 2) await renewed.promise;
        return { status: 401 };
      }
      renewed.resolve();
      return { json: { rows: [row('a')] } };
    });
    const auth = {
      kind: 'client-credentials',
      tokenUrl: `${source.url}/token`,
      clientId: 'id',
      clientSecret: secret('s'),
      sentIn: 'body',
      format: 'form',
    } as const;
    const { connector, tokens: store } = rigFor(plainSource(source.url, { auth }));
    await Promise.all([poll(connector), poll(connector)]);
    expect(source.seen.filter(({ headers }) => headers.authorization === 'Bearer t1')).toHaveLength(2);
    expect(tokens).toBe(2);
    expect(store.stored.get('access')?.accessToken).toBe('t2');
  });

  test('refresh: the rotated token is the one used next; a refused one falls back to the configured one, then to the login', async () => {
    const valid = new Set(['r1']);
    const source = await scriptedSource(({ path, body }) => {
      const sent = JSON.parse(body || '{}') as { refresh_token?: string; username?: string };
      if (path === '/refresh') {
        if (!valid.delete(sent.refresh_token ?? '')) return { status: 401 };
        valid.add('r2');
        return { json: { access_token: 'a1', refresh_token: 'r2', expires_in: 100 } };
      }
      if (path === '/login') return { json: { access_token: 'a2', refresh_token: 'r3', expires_in: 100 } };
      return { json: { rows: [row('a')] } };
    });
    const auth: HttpConnection['auth'] = {
      kind: 'refresh-token',
      tokenUrl: `${source.url}/refresh`,
      format: 'json',
      refreshToken: secret('r1'),
      login: { url: `${source.url}/login`, username: 'u', password: secret('p') },
    };
    const { connector, tokens, advance } = rigFor(plainSource(source.url, { auth }));
    await poll(connector);
    expect(tokens.stored.get('access')).toMatchObject({ accessToken: 'a1', refreshToken: 'r2' });
    advance(95_000);
    valid.clear();
    await poll(connector);
    expect(source.seen.filter(({ path }) => path !== '/stock').map(({ path }) => path)).toEqual([
      '/refresh',
      '/refresh',
      '/refresh',
      '/login',
    ]);
    expect(tokens.stored.get('access')).toMatchObject({ accessToken: 'a2', refreshToken: 'r3' });
  });

  test('login: parts of its answer become a header', async () => {
    const source = await scriptedSource(({ path }) =>
      path === '/db/' ? { json: { result: [7, 'k3y'] } } : { json: { rows: [row('a')] } },
    );
    const auth: HttpConnection['auth'] = {
      kind: 'login',
      path: '/db/',
      username: 'admin',
      password: secret('pw'),
      body: { method: 'common.db.login', params: ['{{username}}', { password: '{{password}}' }] },
      take: { uid: 'result[0]', key: 'result[1]' },
      header: {
        name: 'Authorization',
        prefix: 'Session ',
        value: '{{username}}:{{uid}}:{{key}}',
        base64: true,
      },
    };
    await poll(rigFor(plainSource(source.url, { auth })).connector);
    expect(JSON.parse(source.seen[0]?.body ?? '')).toEqual({
      method: 'common.db.login',
      params: ['admin', { password: 'pw' }],
    });
    expect(source.seen[1]?.headers.authorization).toBe(`Session ${btoa('admin:7:k3y')}`);
  });

  test('refused for good is one plain line for a person, without any credential', async () => {
    const source = await scriptedSource(() => ({ status: 401, json: { error: 'canary' } }));
    const auth: HttpConnection['auth'] = {
      kind: 'client-credentials',
      tokenUrl: `${source.url}/token`,
      clientId: 'canary',
      clientSecret: secret('canary'),
      sentIn: 'body',
      format: 'form',
    };
    const { connector } = rigFor(plainSource(source.url, { auth }));
    const report = await connector.checkAccess(never);
    expect(report).toMatchObject({ kind: 'needs-attention', reason: 'the token endpoint answered HTTP 401' });
    expect(JSON.stringify(report)).not.toContain('canary');
  });

  test('a token that another daemon renewed is used, not renewed again', async () => {
    let tokens = 0;
    const source = await scriptedSource(({ path }) =>
      path === '/token' ? { json: { access_token: `t${++tokens}` } } : { json: { rows: [row('a')] } },
    );
    const auth: HttpConnection['auth'] = {
      kind: 'client-credentials',
      tokenUrl: `${source.url}/token`,
      clientId: 'i',
      clientSecret: secret('s'),
      sentIn: 'body',
      format: 'form',
    };
    const store = new MemoryTokens();
    await poll(rigFor(plainSource(source.url, { auth }), { tokens: store }).connector);
    await poll(rigFor(plainSource(source.url, { auth }), { tokens: store }).connector);
    expect(tokens).toBe(1);
  });
});
