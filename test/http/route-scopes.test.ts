import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { Registry } from 'prom-client';
import { beforeAll, expect, test } from 'vitest';
import { StockmeshError } from '../../src/domain/errors.ts';
import {
  type Caller,
  type CallerClass,
  callerClasses,
  localOperator,
  type Scope,
  scopes,
} from '../../src/http/api/caller.ts';
import { tableRoutes } from '../../src/http/api/register-routes.ts';
import { defaultListenerLimits } from '../../src/http/listener.ts';
import type { PrivateRoutes, RouteScope } from '../../src/http/private-route.ts';
import { createPrivateServer } from '../../src/http/private-server.ts';
import { reservationRoutes } from '../../src/http/reservations/routes.ts';
import { alertRoutes } from '../../src/http/routes/alert-routes.ts';
import { channelRoutes } from '../../src/http/routes/channel-routes.ts';
import { driftRoutes } from '../../src/http/routes/drift-routes.ts';
import { historyRoutes } from '../../src/http/routes/history-routes.ts';
import { keyRoutes } from '../../src/http/routes/key-routes.ts';
import { reservationOperatorRoutes } from '../../src/http/routes/reservation-operator-routes.ts';

/** Every port of it answers that it was reached. */
function reached(): never {
  const answer = () => {
    throw new StockmeshError('HTTP_NOT_FOUND', {});
  };
  return new Proxy({}, { get: () => answer }) as never;
}

/** Routes beside those the listener always has; a part that brings its own joins here. */
const log = pino({ level: 'silent' });
const parts: readonly PrivateRoutes[] = [
  tableRoutes(reservationRoutes(reached())),
  reservationOperatorRoutes(reached(), reached(), reached(), log),
  keyRoutes(reached(), () => 0, log),
  alertRoutes(reached()),
  channelRoutes(reached(), log),
  driftRoutes(reached(), log),
  historyRoutes(reached()),
];

interface Declared {
  readonly method: 'GET' | 'POST';
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
    expect.arrayContaining(['/metrics', '/stock', '/parked/retry', '/inventory/v1/availability']),
  );
  expect(new Set(table.map(({ method, url }) => `${method} ${url}`)).size).toBe(table.length);
});

test('without credentials only open addresses answer', async () => {
  const statuses = await statusesOf(undefined);
  for (const { method, url, scope } of table) {
    if (scope === 'open') expect(statuses.get(`${method} ${url}`), url).not.toBe(401);
    else expect(statuses.get(`${method} ${url}`), url).toBe(401);
  }
  expect(table.filter(({ scope }) => scope === 'open').map(({ url }) => url)).toEqual([
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
