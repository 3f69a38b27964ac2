import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebhookHeaders, WebhookVerdict } from '../../src/connectors/connector.ts';
import type { ChannelId } from '../../src/domain/ids.ts';
import { HttpMetrics } from '../../src/http/http-metrics.ts';
import {
  type ListenerLimits,
  closeListener,
  defaultListenerLimits,
  listenOn,
} from '../../src/http/listener.ts';
import { createPublicServer } from '../../src/http/public-server.ts';
import { Reception } from '../../src/http/reception.ts';
import type { AcceptResult } from '../../src/mesh/inbox.ts';
import type { Delivery } from '../../src/mesh/inbox-job.ts';
import { eventually } from '../support/eventually.ts';

const secret = 'secret-of-the-shop';
const maxBodyBytes = 10_000;
let app: FastifyInstance;
let port: number;
let received: Delivery[];
let genuine: string[];
let answer: () => Promise<AcceptResult>;
let metrics: HttpMetrics;
const logged: string[] = [];
let rung: string[] = [];
let acknowledgement: string | undefined;
let isOff = false;

beforeEach(async () => {
  received = [];
  genuine = [];
  rung = [];
  acknowledgement = undefined;
  logged.length = 0;
  answer = async () => ({ kind: 'accepted' });
  metrics = new HttpMetrics(new Registry());
  isOff = false;
  await listen({});
});

/** The public listener, with other limits where the test is about them. */
async function listen(
  requestLimits: Partial<Pick<ListenerLimits, 'headersTimeoutMs' | 'requestTimeoutMs'>>,
): Promise<void> {
  const log = pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) });
  const reception = new Reception({
    find: (channel) => (channel === 'shop-a' && !isOff ? { verifyWebhook, acknowledgement } : undefined),
    accept: async (delivery) => {
      received.push(delivery);
      return answer();
    },
    ring: (_channel, raw) => {
      const text = Buffer.from(raw).toString();
      if (text.includes('more')) return false;
      rung.push(text);
      return true;
    },
    rung: () => undefined,
    onGenuine: (channel) => genuine.push(channel),
    nowMs: () => 42,
    metrics,
    log,
  });
  app = createPublicServer({
    limits: { ...defaultListenerLimits, maxBodyBytes, ...requestLimits },
    find: (platform, channelId) =>
      platform === 'shopify' && channelId === 'shop-a' ? ('shop-a' as ChannelId) : undefined,
    hear: ({ raw }) => {
      const isHeard = Buffer.from(raw).toString() === '{"heard":1}';
      if (isHeard) rung.push('heard');
      return isHeard;
    },
    receive: (delivery) => reception.receive(delivery),
    refused: (channel, outcome, reason) => reception.refused(channel, outcome, reason),
    answered: (tookMs) => reception.answered(tookMs),
    log,
  });
  ({ port } = await listenOn(app, { host: '127.0.0.1', port: 0 }));
}

afterEach(() => closeListener(app, 0));

/** A platform that signs like Shopify. */
function verifyWebhook(raw: Uint8Array, headers: WebhookHeaders): WebhookVerdict {
  const signature = Buffer.from(String(headers['x-test-hmac'] ?? ''), 'base64');
  const expected = createHmac('sha256', secret).update(raw).digest();
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
    return { kind: 'forged', reason: 'signature does not match' };
  }
  const deliveryId = headers['x-test-id'];
  if (typeof deliveryId !== 'string') return { kind: 'malformed', reason: 'x-test-id is missing' };
  return {
    kind: 'genuine',
    deliveryId,
    topic: 'orders/create',
    isDoorbell: headers['x-test-bell'] !== undefined,
  };
}

function sign(body: string | Buffer): string {
  return createHmac('sha256', secret).update(body).digest('base64');
}

async function post(
  body: string | Buffer,
  headers: Record<string, string> = {},
  path = '/webhooks/shopify/shop-a',
): Promise<{ status: number; code: unknown; body: Record<string, unknown>; headers: Headers }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'x-test-hmac': sign(body), 'x-test-id': 'd1', ...headers },
  });
  const parsed = (await response.json()) as Record<string, unknown>;
  return { status: response.status, code: parsed['code'], body: parsed, headers: response.headers };
}

test('unknown addresses, channels and platforms are not found', async () => {
  for (const path of [
    '/',
    '/healthz',
    '/metrics',
    '/webhooks/shopify',
    '/webhooks/shopify/other',
    '/webhooks/amazon/shop-a',
  ]) {
    expect(await post('{}', {}, path)).toMatchObject({ status: 404, code: 'HTTP_NOT_FOUND' });
  }
  const read = await fetch(`http://127.0.0.1:${port}/webhooks/shopify/shop-a`);
  expect(read.status).toBe(404);
  expect(received).toEqual([]);
});

test('a missing, cut or wrong signature is refused and says nothing about why', async () => {
  const right = sign('{"a":1}');
  for (const hmac of [
    '',
    'x',
    right.slice(0, 20),
    sign('{"a":2}'),
    createHmac('sha256', 'other').update('{"a":1}').digest('base64'),
  ]) {
    const refused = await post('{"a":1}', { 'x-test-hmac': hmac });
    expect(refused).toMatchObject({ status: 401, code: 'WEBHOOK_FORGED' });
    expect(JSON.stringify(refused.body)).not.toContain('match');
  }
  expect(await post('', {})).toMatchObject({ status: 400 });
  expect(received).toEqual([]);
  expect(genuine).toEqual([]);
  const values = (await metrics.webhooks.get()).values;
  expect(values.find(({ labels }) => labels.outcome === 'forged')?.value).toBe(5);
});

test('a flood of forgeries is one line of the log, with a hint at a changed body', async () => {
  const startedMs = performance.now();
  for (let sent = 0; sent < 20; sent++) await post('{"a":1}', { 'x-test-hmac': 'AAAA' });
  // One per second.
  expect(logged.length).toBeLessThanOrEqual(1 + (performance.now() - startedMs) / 1_000);
  expect(logged[0]).toContain('a proxy changed the raw body');
  expect(logged[0]).not.toContain('AAAA');
});

test('any flipped bit of the body or the signature is refused', async () => {
  const body = Buffer.from('{"id":820982911946154508,"line_items":[{"quantity":1}]}');
  await fc.assert(
    fc.asyncProperty(fc.nat(body.length * 8 - 1), async (bit) => {
      const changed = Buffer.from(body);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect((await post(changed, { 'x-test-hmac': sign(body) })).status).toBe(401);
    }),
    { numRuns: 60 },
  );
  expect(received).toEqual([]);
});

test('a genuine delivery without its id is malformed', async () => {
  const response = await fetch(`http://127.0.0.1:${port}/webhooks/shopify/shop-a`, {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json', 'x-test-hmac': sign('{}') },
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ code: 'WEBHOOK_MALFORMED' });
});

test.each([
  ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
  ['not JSON', Buffer.from('{"a":')],
  ['nested too deeply', Buffer.from(`${'['.repeat(200)}${']'.repeat(200)}`)],
])('a genuine body that is %s has no effect', async (_, body) => {
  expect(await post(body)).toMatchObject({ status: 400, code: 'WEBHOOK_MALFORMED' });
  expect(received).toEqual([]);
});

test('a forged body that is nested deeply is only forged', async () => {
  expect((await post('['.repeat(5_000), { 'x-test-hmac': 'AAAA' })).status).toBe(401);
});

test('brackets inside text do not count as nesting, and odd keys pass as they are', async () => {
  const body = JSON.stringify({ note: `"${'['.repeat(500)}\\`, ['__proto__']: { admin: true } });
  expect((await post(body)).status).toBe(200);
  expect(received[0]?.body).toBe(body);
});

test.each([
  ['too large with its length', {}],
  ['too large in chunks', { 'transfer-encoding': 'chunked' }],
])('a body %s is refused', async (_, headers) => {
  const body = `{"a":"${'x'.repeat(maxBodyBytes)}"}`;
  const socket = await rawPost(
    { 'content-length': 'transfer-encoding' in headers ? undefined : String(body.length), ...headers },
    'transfer-encoding' in headers ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body,
  );
  expect(await answerOf(socket)).toMatch(/^HTTP\/1\.1 413 /);
  expect(received).toEqual([]);
});

test.each([
  [{ 'content-type': 'text/plain' }],
  [{ 'content-type': 'application/x-www-form-urlencoded' }],
  [{ 'content-encoding': 'gzip' }],
])('%j is an unsupported media type', async (headers) => {
  expect(await post('{}', headers)).toMatchObject({ status: 415, code: 'HTTP_MEDIA_TYPE_UNSUPPORTED' });
});

test('a sender of one byte per second is cut off; others are answered meanwhile', async () => {
  await app.close();
  await listen({ headersTimeoutMs: 1_000, requestTimeoutMs: 1_500 });
  const slow = await rawPost({ 'content-length': '100' }, '{');
  const closed = once(slow, 'close');
  slow.on('error', () => undefined).resume();
  expect((await post('{}')).status).toBe(200);
  await closed;
  const silent = connect(port, '127.0.0.1');
  silent.on('error', () => undefined).resume();
  silent.write('POST /webhooks/shopify/shop-a HTTP/1.1\r\n');
  await once(silent, 'close');
});

test('a full inbox or an unreachable Redis asks the platform to come back', async () => {
  answer = async () => ({ kind: 'full', retryAfterS: 10 });
  const full = await post('{}');
  expect(full).toMatchObject({ status: 503, code: 'INBOX_FULL' });
  expect(full.headers.get('retry-after')).toBe('10');
  answer = async () => ({ kind: 'unavailable', retryAfterS: 2 });
  expect(await post('{}')).toMatchObject({ status: 503, code: 'INBOX_UNAVAILABLE' });
});

test('a failure inside is a 500 without its cause', async () => {
  answer = () => Promise.reject(new Error('password=hunter2'));
  const failed = await post('{}');
  expect(failed).toMatchObject({ status: 500, code: 'INTERNAL_ERROR' });
  expect(JSON.stringify(failed.body)).not.toContain('hunter2');
  expect(failed.body['requestId']).toBe(failed.headers.get('x-request-id'));
  // Under which the log has what the answer does not say.
  expect(logged.join('')).toContain(`"requestId":"${String(failed.body['requestId'])}"`);
});

test('a genuine delivery is stored byte for byte before it is answered; a repeat is told apart', async () => {
  const body = '{"id": 820982911946154508 , "note":"\u00e9\u2028\ud83d\ude00"}';
  let isStored = false;
  answer = async () => {
    await delay(30);
    isStored = true;
    return { kind: 'accepted' };
  };
  expect(
    await post(
      body,
      { 'x-shopify-topic': 'orders/create', cookie: 'a=b' },
      '/webhooks/shopify/shop-a/orders',
    ),
  ).toMatchObject({
    status: 200,
    body: { status: 'accepted' },
  });
  expect(isStored).toBe(true);
  expect(received).toEqual([
    expect.objectContaining({
      channel: 'shop-a',
      deliveryId: 'd1',
      topic: 'orders/create',
      receivedAtMs: 42,
      body,
    }),
  ]);
  expect(received[0]?.headers).not.toHaveProperty('cookie');
  expect(genuine).toEqual(['shop-a']);
  answer = async () => ({ kind: 'duplicate' });
  expect(await post(body)).toMatchObject({ status: 200, body: { status: 'duplicate' } });
});

test('a platform that insists on the words of its answer gets them', async () => {
  acknowledgement = '{"code":"200","Status":"Success"}';
  expect((await post('{"a":1}')).body).toEqual({ code: '200', Status: 'Success' });
  expect((await post('{"a":1}', { 'x-test-hmac': 'x' })).status).toBe(401);
});

test('closing answers what is under way and takes nothing new', async () => {
  answer = async () => {
    await delay(200);
    return { kind: 'accepted' };
  };
  const underWay = post('{}');
  await eventually(() => expect(received).toHaveLength(1));
  const closing = app.close();
  expect((await underWay).status).toBe(200);
  await closing;
  await expect(post('{}')).rejects.toThrow();
});

test('closing cuts off what takes too long', async () => {
  answer = () => new Promise(() => undefined);
  const underWay = post('{}');
  const cut = expect(underWay).rejects.toThrow();
  await eventually(() => expect(received).toHaveLength(1));
  await closeListener(app, 50);
  await cut;
});

test('a channel that was switched off while the delivery was on its way is not found', async () => {
  isOff = true;
  expect(await post('{"a":1}')).toMatchObject({ status: 404, code: 'HTTP_NOT_FOUND' });
  expect(received).toEqual([]);
});

describe('doorbells', () => {
  test('that are heard where they come in are answered, and nobody else sees them', async () => {
    expect((await post('{"heard":1}', { 'x-test-hmac': 'never looked at here' })).status).toBe(200);
    expect(rung).toEqual(['heard']);
    expect(genuine).toEqual([]);
    expect(received).toEqual([]);
  });

  test('are rung and answered without being stored', async () => {
    expect((await post('{"item":1}', { 'x-test-bell': '1' })).status).toBe(200);
    expect(rung).toEqual(['{"item":1}']);
    expect(received).toEqual([]);
  });

  test('that say more than which level changed are stored like any delivery', async () => {
    expect((await post('{"more":1}', { 'x-test-bell': '1' })).status).toBe(200);
    expect(rung).toEqual([]);
    expect(received).toHaveLength(1);
  });

  test('with a forged signature ring nothing', async () => {
    expect((await post('{"item":1}', { 'x-test-bell': '1', 'x-test-hmac': sign('other') })).status).toBe(401);
    expect(rung).toEqual([]);
  });
});

async function rawPost(headers: Record<string, string | undefined>, body: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const lines = Object.entries({ host: 'x', 'content-type': 'application/json', ...headers }).flatMap(
    ([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]),
  );
  socket.write(`POST /webhooks/shopify/shop-a HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
  return socket;
}

async function answerOf(socket: Socket): Promise<string> {
  socket.on('error', () => undefined);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return chunk.toString();
}
