import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { Registry } from 'prom-client';
import { beforeAll, expect, test } from 'vitest';
import { type PrivateRoutePorts, privateRoutes } from '../../src/daemon/private-routes.ts';
import { StockmeshError } from '../../src/domain/errors.ts';
import {
  type Caller,
  type CallerClass,
  callerClasses,
  localOperator,
  type Scope,
  scopes,
} from '../../src/http/api/caller.ts';
import { defaultListenerLimits } from '../../src/http/listener.ts';
import type { PrivateRoutes, RouteScope } from '../../src/http/private-route.ts';
import { createPrivateServer } from '../../src/http/private-server.ts';

/** Every port of it answers that it was reached. */
function reached(): never {
  const answer = () => {
    throw new StockmeshError('HTTP_NOT_FOUND', {});
  };
  return new Proxy({}, { get: () => answer }) as never;
}

const log = pino({ level: 'silent' });
/** What the daemon itself registers, over parts that only say they were reached. */
const parts: readonly PrivateRoutes[] = privateRoutes(
  { ...portsThatAreReached(), movements: { feed: reached() } },
  '0',
  log,
);

/** A proxy has no own keys to spread: every port by its name. */
function portsThatAreReached(): Omit<PrivateRoutePorts, 'movements'> {
  return {
    service: reached(),
    desk: reached(),
    answers: reached(),
    payments: reached(),
    audit: reached(),
    keys: reached(),
    nowMs: () => 0,
    alerts: reached(),
    history: reached(),
    drift: reached(),
    reports: reached(),
    channels: reached(),
    notices: reached(),
    reviews: reached(),
    mapping: reached(),
  };
}

interface Declared {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly scope: RouteScope;
}

function serve(caller: Caller | undefined, table: Declared[] = []): FastifyInstance {
  return createPrivateServer({
    limits: { ...defaultListenerLimits, maxBodyBytes: 10_000 },
    host: '127.0.0.1',
    ports: reached(),
    registry: new Registry(),
    log,
    version: '0',
    authenticate: () => {
      if (caller === undefined) throw new StockmeshError('HTTP_UNAUTHENTICATED', { reason: 'no key' });
      return caller;
    },
    routes: [
      (app) =>
        app.addHook('onRoute', ({ method, url, config }) => {
          if (method !== 'HEAD') table.push({ method: method as 'GET', url, scope: config?.scope ?? 'open' });
        }),
      ...parts,
    ],
  });
}

let table: readonly Declared[];
beforeAll(async () => {
  const found: Declared[] = [];
  await serve(localOperator, found).close();
  table = found;
});

async function statusesOf(caller: Caller | undefined): Promise<ReadonlyMap<string, number>> {
  const app = serve(caller);
  const statuses = new Map<string, number>();
  for (const { method, url } of table) {
    const { statusCode } = await app.inject({
      method,
      url: url.replace(/:\w+/g, 'x'),
      headers: { host: '127.0.0.1' },
      ...(method === 'GET' ? {} : { payload: {} }),
    });
    statuses.set(`${method} ${url}`, statusCode);
  }
  await app.close();
  return statuses;
}

test('the table is the whole listener, and no address is in it twice', () => {
  expect(table.map(({ url }) => url)).toEqual(
    expect.arrayContaining([
      '/metrics',
      '/stock',
      '/parked/retry',
      '/inventory/v1/availability',
      '/inventory/v1/movements',
      '/mcp',
      '/openapi.json',
      '/docs',
      '/endpoints',
      '/acp/checkout_sessions',
      '/ucp/checkout-sessions',
    ]),
  );
  expect(new Set(table.map(({ method, url }) => `${method} ${url}`)).size).toBe(table.length);
});

test('every file that declares a route is registered where this test looks', async () => {
  const folder = new URL('../../src/', import.meta.url);
  const registering = await Promise.all(
    ['daemon/private-routes.ts', 'http/private-server.ts'].map((file) =>
      readFile(new URL(file, folder), 'utf8'),
    ),
  );
  const files = (await readdir(new URL('http/', folder), { recursive: true })).filter((file) =>
    file.endsWith('.ts'),
  );
  let found = 0;
  for (const file of files) {
    const text = await readFile(new URL(`http/${file}`, folder), 'utf8');
    // The public listener has routes of its own, without scopes.
    const declares = /\bscoped\('|\broute\(\{/.test(text) && !/private-route\.ts$|api\/r.*\.ts$/.test(file);
    if (!declares) continue;
    found++;
    expect(
      registering.some((by) => by.includes(`/${basename(file)}'`)),
      file,
    ).toBe(true);
  }
  expect(found).toBeGreaterThan(10);
});

test('without credentials only open addresses answer', async () => {
  const statuses = await statusesOf(undefined);
  for (const { method, url, scope } of table) {
    if (scope === 'open') expect(statuses.get(`${method} ${url}`), url).not.toBe(401);
    else expect(statuses.get(`${method} ${url}`), url).toBe(401);
  }
  expect(table.filter(({ scope }) => scope === 'open').map(({ url }) => url)).toEqual([
    '/openapi.json',
    '/docs',
    '/healthz',
    '/readyz',
  ]);
});

test('the local operator may do everything', async () => {
  for (const [url, status] of await statusesOf(localOperator)) expect([401, 403], url).not.toContain(status);
});

test.each(callerClasses.flatMap((kind) => scopes.map((scope): [CallerClass, Scope] => [kind, scope])))(
  'a key of class %s with the scope %s reaches exactly what the scope names',
  async (kind, scope) => {
    const statuses = await statusesOf({ keyId: 'k', class: kind, scopes: new Set([scope]) });
    const mayNot = kind === 'agent' && scope !== 'availability' && scope !== 'reserve';
    for (const declared of table) {
      const status = statuses.get(`${declared.method} ${declared.url}`);
      const isOpen = declared.scope === 'open' || (declared.scope === scope && !mayNot);
      if (isOpen) expect([401, 403], declared.url).not.toContain(status);
      else expect(status, declared.url).toBe(403);
    }
  },
);

test('an agent never moves stock by hand, whatever its key was given', async () => {
  const statuses = await statusesOf({ keyId: 'k', class: 'agent', scopes: new Set(scopes) });
  for (const { method, url, scope } of table) {
    if (scope !== 'open' && scope !== 'availability' && scope !== 'reserve')
      expect(statuses.get(`${method} ${url}`), url).toBe(403);
  }
});
