import { createHmac } from 'node:crypto';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import pino from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ShopifyWebhooks } from '../../src/connectors/shopify/webhook.ts';
import { addressOf, type ListenWish } from '../../src/daemon/webhook-thread/messages.ts';
import { type ListeningAddress, WebhookThread } from '../../src/daemon/webhook-thread/webhook-thread.ts';
import type { StockmeshError } from '../../src/domain/errors.ts';
import type { ChannelId } from '../../src/domain/ids.ts';
import { HttpMetrics } from '../../src/http/http-metrics.ts';
import { defaultListenerLimits } from '../../src/http/listener.ts';
import { Reception } from '../../src/http/reception.ts';
import type { AcceptResult } from '../../src/mesh/inbox.ts';
import type { Delivery } from '../../src/mesh/inbox-job.ts';
import type { LevelNotice } from '../../src/mesh/level-notice.ts';
import { eventually } from '../support/eventually.ts';

/** A real thread, real HTTP and Shopify's signatures; behind it what the daemon would do is written down. */
const north = 'north' as ChannelId;
const shop = 'north.myshopify.com';
const secret = 'secret-of-the-app';
const connector = new ShopifyWebhooks({ shop, bypassSources: new Set() }, [secret]);
const levelBody = JSON.stringify({
  inventory_item_id: 271878346596884000,
  location_id: 24826418,
  available: 6,
  updated_at: '2026-11-30T10:00:00-05:00',
});

let thread: WebhookThread | undefined;
let address: ListeningAddress;
let registry: Registry;
let judged: string[];
let stored: Delivery[];
let rung: [ChannelId, LevelNotice][];
let genuine: number;
let lost: StockmeshError[];
let logged: string[];
let answer: () => Promise<AcceptResult>;

beforeEach(() => {
  registry = new Registry();
  [judged, stored, rung, genuine, lost, logged] = [[], [], [], 0, [], []];
  answer = async () => ({ kind: 'accepted' });
});

afterEach(async () => {
  await thread?.close(0);
  thread = undefined;
});

async function start(wish: Partial<ListenWish> = {}, entry?: URL): Promise<WebhookThread> {
  const log = pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) });
  thread = new WebhookThread(entry);
  address = await thread.listen({
    wish: {
      host: '127.0.0.1',
      port: 0,
      limits: { ...defaultListenerLimits, maxBodyBytes: 10_000 },
      open: new Map([[addressOf('shopify', 'north'), north]]),
      doorbells: [{ channel: north, shop, webhookSecrets: [secret] }],
      ...wish,
    },
    reception: new Reception({
      find: () => ({
        verifyWebhook: (raw, headers) => {
          const verdict = connector.verify(raw, headers);
          judged.push(verdict.kind);
          return verdict;
        },
      }),
      accept: async (delivery) => {
        stored.push(delivery);
        return answer();
      },
      ring: () => false,
      rung: (channel, notice) => rung.push([channel, notice]),
      onGenuine: () => genuine++,
      nowMs: () => 42,
      metrics: new HttpMetrics(registry),
      log,
    }),
    log,
    onLost: (error) => lost.push(error),
  });
  return thread;
}

function post(body: string, change: Record<string, string> = {}, path = '/webhooks/shopify/north') {
  return fetch(`http://${address.host}:${address.port}${path}`, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'x-shopify-topic': 'inventory_levels/update',
      'x-shopify-webhook-id': 'w1',
      'x-shopify-shop-domain': shop,
      'x-shopify-hmac-sha256': createHmac('sha256', secret).update(body).digest('base64'),
      ...change,
    },
  });
}

describe('starting fails', () => {
  test('when the address is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(start({ port })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      fields: { address: `127.0.0.1:${port}`, reason: 'EADDRINUSE' },
    });
    other.close();
  });

  test('when the thread does', async () => {
    await expect(start({ doorbells: 'no list' as never })).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
  });
});

describe('a thread that ends by itself is the end of the daemon', () => {
  const dying = new URL('support/dying-thread.ts', import.meta.url);

  test.each(['throws', 'ends'])('it %s', async (how) => {
    const started = await start({}, dying);
    started.setOpen(new Map([[how, north]]));
    await eventually(() => expect(lost).toMatchObject([{ code: 'LISTEN_FAILED', retryable: true }]));
    expect(logged.some((line) => line.includes('died of a message'))).toBe(how === 'throws');
  });
});

test('what is no genuine doorbell is judged by the daemon, forgeries included', async () => {
  await start();
  expect((await post(levelBody, { 'x-shopify-hmac-sha256': 'AAAA' })).status).toBe(401);
  expect((await post(levelBody, { 'x-shopify-shop-domain': 'south.myshopify.com' })).status).toBe(400);
  expect((await post('{"cut', {})).status).toBe(400);
  expect(judged).toEqual(['forged', 'malformed', 'malformed']);
  const order = await post('{"id":1}', { 'x-shopify-topic': 'orders/create', cookie: 'a=b' });
  expect([order.status, await order.json()]).toEqual([200, { status: 'accepted' }]);
  expect(stored).toMatchObject([
    { channel: 'north', topic: 'orders/create', body: '{"id":1}', receivedAtMs: 42 },
  ]);
  expect(Object.keys(stored[0]?.headers ?? {})).not.toContain('cookie');
  // A doorbell that names no item says nothing that could be heard: it is kept for the worker to park.
  expect((await post('{"available":1}')).status).toBe(200);
  expect(stored).toHaveLength(2);
  expect(rung).toEqual([]);
});

test('a genuine doorbell is answered at once and heard, with what it tells, digits and all', async () => {
  await start();
  const answers = await Promise.all(Array.from({ length: 40 }, () => post(levelBody)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  await eventually(() => expect(rung).toHaveLength(40));
  expect(rung[0]).toEqual([
    'north',
    {
      itemIds: ['271878346596884000'],
      told: [
        {
          listingKey: expect.stringContaining('24826418'),
          value: 6,
          changedAtMs: Date.parse('2026-11-30T15:00:00Z'),
        },
      ],
    },
  ]);
  expect(judged).toEqual([]);
  expect(stored).toEqual([]);
  expect(genuine).toBeGreaterThan(0);
  await eventually(async () => {
    const text = await registry.metrics();
    expect(text).toContain('stockmesh_webhooks_total{channel="north",outcome="doorbell"} 40');
    expect(text).toContain('stockmesh_webhook_answer_seconds_count 40');
  });
});

test('a large body changes hands whole, and beside many small ones', async () => {
  await start();
  const bodies = Array.from({ length: 50 }, (_, n) => JSON.stringify({ n, text: 'x'.repeat(n * 190) }));
  await Promise.all(bodies.map((body) => post(body, { 'x-shopify-topic': 'orders/create' })));
  expect(new Set(stored.map(({ body }) => body))).toEqual(new Set(bodies));
  expect((await post(`"${'x'.repeat(10_000)}"`)).status).toBe(413);
  await eventually(async () =>
    expect(await registry.metrics()).toContain('{channel="north",outcome="too-large"} 1'),
  );
});

test('a failure on either side of the threads is a 500, and the log has its request', async () => {
  const started = await start();
  answer = () => Promise.reject(new Error('behind'));
  const behind = await post('{"id":1}', { 'x-shopify-topic': 'orders/create' });
  started.setOpen(undefined as never);
  const infront = await post(levelBody);
  expect([behind.status, infront.status]).toEqual([500, 500]);
  for (const { headers } of [behind, infront])
    await eventually(() =>
      expect(logged.join('')).toContain(`"requestId":"${String(headers.get('x-request-id'))}"`),
    );
});

test('a channel that is switched off is not found, until it is switched on', async () => {
  const started = await start();
  started.setOpen(new Map());
  await eventually(async () => expect((await post(levelBody)).status).toBe(404));
  started.setOpen(new Map([[addressOf('shopify', 'north'), north]]));
  await eventually(async () => expect((await post(levelBody)).status).toBe(200));
  await eventually(async () =>
    expect(await registry.metrics()).toMatch(/\{channel="",outcome="unknown-channel"\} [1-9]/),
  );
});

test('closing answers what is under way and takes nothing new; it is not the loss of the thread', async () => {
  const started = await start();
  answer = async () => {
    await delay(300);
    return { kind: 'accepted' };
  };
  const underWay = post('{"id":1}', { 'x-shopify-topic': 'orders/create' });
  await eventually(() => expect(stored).toHaveLength(1));
  const closing = started.close(5_000);
  expect((await underWay).status).toBe(200);
  await closing;
  await expect(post(levelBody)).rejects.toThrow();
  expect(lost).toEqual([]);
});

test('closing cuts off what takes too long', async () => {
  const started = await start();
  answer = () => new Promise(() => undefined);
  const underWay = expect(post('{"id":1}', { 'x-shopify-topic': 'orders/create' })).rejects.toThrow();
  await eventually(() => expect(stored).toHaveLength(1));
  await started.close(50);
  await underWay;
});
