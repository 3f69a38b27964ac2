import { createServer } from 'node:http';
import { AxiosError, create as createAxios } from 'axios';
import { describe, expect, test } from 'vitest';
import { StockmeshError } from '../../src/domain/errors.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { Redactor } from '../../src/telemetry/redactor.ts';

const canary = 'canary"8c1e\n77b2';
const token = `shpat_${'0a1b2c3d'.repeat(4)}`;

type Line = Record<string, unknown>;

function capture(): { log: ReturnType<typeof createLogger>; text: () => string; last: () => Line } {
  const lines: string[] = [];
  const log = createLogger({
    level: 'trace',
    merchant: 'acme',
    redactor: new Redactor([new Secret(canary)]),
    destination: { write: (line) => lines.push(line) },
  });
  return {
    log,
    text: () => lines.join(''),
    last: () => JSON.parse(lines.at(-1) ?? '{}') as Line,
  };
}

function withProperties(message: string, properties: object): Error {
  return Object.assign(new Error(message), properties);
}

const cyclic: Record<string, unknown> = { name: 'cyclic', password: canary };
cyclic['self'] = cyclic;

/** Every way a credential has been seen to reach a log. */
const shapes: readonly (readonly [string, unknown])[] = [
  ['a message', new Error(`refused ${canary}`)],
  ['a cause of a cause', new Error('a', { cause: new Error('b', { cause: new Error(canary) }) })],
  ['an aggregate', new AggregateError([new Error(canary), { token: canary }], 'all failed')],
  ['a stack', withProperties('x', { stack: `Error: ${canary}\n    at f` })],
  ['request options', withProperties('x', { config: { headers: { Authorization: `Bearer ${canary}` } } })],
  ['a request object', withProperties('x', { request: { _header: `X-Shopify-Access-Token: ${token}` } })],
  ['a response body', withProperties('x', { response: { status: 401, data: { access_token: canary } } })],
  [
    'a typed error',
    new StockmeshError('REDIS_UNAVAILABLE', { address: `redis://u:${canary}@r`, reason: token }),
  ],
  ['a key that names it', { nested: [{ clientSecret: canary, 'x-shopify-access-token': 'plain-value-1' }] }],
  ['a Secret', { value: new Secret(canary) }],
  ['a header map', { headers: new Map([['authorization', `Basic ${canary}`]]) }],
  ['bytes', { body: Buffer.from(canary) }],
  ['a cycle', cyclic],
  ['a string inside JSON', { body: JSON.stringify({ access_token: 'plain-value-1', note: canary }) }],
  ['an address', { url: 'https://shop.example/x?access_token=plain-value-1&hmac=plain-value-1' }],
  ['a token by its shape', { text: `got ${token} from it` }],
  ['what is no error', canary],
];

function expectClean(text: string): void {
  expect(text).not.toContain('8c1e');
  expect(text).not.toContain('77b2');
  expect(text).not.toContain('0a1b2c3d');
  expect(text).not.toContain('plain-value-1');
}

describe('no planted credential reaches the log, from', () => {
  test.each(shapes)('%s', (_name, shape) => {
    const { log, text } = capture();
    log.error({ err: shape }, 'failed');
    log.error({ deep: { er: shape } });
    log.warn(shape as object);
    log.info(`as text: ${String(shape)}`);
    log.child({ token: canary, secret: 'plain-value-1', headers: { a: 'plain-value-1' } }).info('bound');
    expectClean(text());
    expect(text().trim().split('\n')).toHaveLength(5);
  });

  test('a real HTTP client that failed with its credentials in hand', async () => {
    const server = createServer((_request, response) => {
      response.statusCode = 401;
      response.end(JSON.stringify({ error: 'no', access_token: 'plain-value-1' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { log, text, last } = capture();
    const client = createAxios({ headers: { 'X-Shopify-Access-Token': token } });
    try {
      await client.post(`http://127.0.0.1:${port}/x?token=plain-value-1`, { client_secret: canary });
    } catch (error) {
      expect(error).toBeInstanceOf(AxiosError);
      log.error({ err: error });
    } finally {
      server.close();
    }
    expectClean(text());
    expect(last()).toMatchObject({ err: { type: 'AxiosError', status: 401, code: 'ERR_BAD_REQUEST' } });
  });
});

test('what helps to find a fault stays', () => {
  const { log, last } = capture();
  const cause = new Error('connect ECONNREFUSED');
  log.error(
    {
      err: new StockmeshError('REDIS_UNAVAILABLE', { address: 'r:6379', reason: 'refused' }, { cause }),
      sku: 'a:b',
    },
    'no Redis',
  );
  expect(last()).toMatchObject({
    level: 'error',
    merchant: 'acme',
    msg: 'no Redis',
    sku: 'a:b',
    err: {
      code: 'REDIS_UNAVAILABLE',
      retryable: true,
      fields: { address: 'r:6379' },
      cause: { message: 'connect ECONNREFUSED' },
    },
  });
});

test('a credential learnt at run time is taken out from then on', () => {
  const redactor = new Redactor();
  expect(redactor.scrub('abc renewed-token-9 def')).toContain('renewed-token-9');
  redactor.add(new Secret('renewed-token-9'));
  expect(redactor.scrub('abc renewed-token-9 def')).toBe('abc [redacted] def');
});

test('configured credentials are never forgotten, however many tokens come and go', () => {
  const redactor = new Redactor([new Secret('configured-secret')]);
  for (let at = 0; at < 3_000; at++) {
    redactor.add(new Secret(`token-${at}-of-many`));
    redactor.add(new Secret('token-in-use'));
  }
  const clean = redactor.scrub('configured-secret token-in-use token-2999-of-many token-0-of-many');
  expect(clean).toBe('[redacted] [redacted] [redacted] token-0-of-many');
});

test('lines are bounded, whatever is logged', () => {
  const { log, text } = capture();
  log.info({ list: Array.from({ length: 100_000 }, () => 'x'), long: 'y'.repeat(1_000_000) });
  expect(text().length).toBeLessThan(16_384);
});

test('a hostile key changes no prototype', () => {
  const { log, last } = capture();
  log.info({ body: JSON.parse('{"__proto__": {"polluted": 1}, "a": 1}') as unknown });
  expect(last()).toMatchObject({ body: { a: 1 } });
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});
