import { type AddressInfo, connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { JsonText } from '../../src/http/api/json-text.ts';
import { closeListener, createListener, defaultListenerLimits } from '../../src/http/listener.ts';

let app: FastifyInstance;
let url: string;
let release: () => void;
let closing: Promise<void>;
let isHeld: boolean;

beforeEach(async () => {
  app = createListener({ ...defaultListenerLimits, maxBodyBytes: 1_000 }, pino({ level: 'silent' }));
  const held = new Promise<void>((resolve) => (release = resolve));
  closing = new Promise((resolve) => app.addHook('preClose', async () => resolve()));
  app.get('/ok', async (request) => ({ id: request.id }));
  app.get('/text', async () => new JsonText('{"made":"before"}'));
  isHeld = false;
  app.get('/held', async () => {
    isHeld = true;
    await held;
    return { held: true };
  });
  app.get('/raw', (request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, 'Fine', Object.freeze({ 'x-own': request.id }));
    reply.raw.end('raw');
  });
  url = await app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => closeListener(app, 1_000));

test.each(['/ok', '/nowhere', '/%zz', '/raw'])('%s says what every answer says', async (path) => {
  const response = await fetch(url + path);
  const id = response.headers.get('x-request-id');
  expect([response.headers.get('x-content-type-options'), response.headers.get('cache-control')]).toEqual([
    'nosniff',
    'no-store',
  ]);
  expect(id).not.toBeNull();
  const text = await response.text();
  if (path === '/ok') expect(JSON.parse(text)).toEqual({ id });
  if (path === '/raw') expect(response.headers.get('x-own')).toBe(id);
});

test('an answer that is text already is sent as JSON', async () => {
  const response = await fetch(`${url}/text`);
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(await response.json()).toEqual({ made: 'before' });
});

test('a connection that was busy when the closing began ends with its answer', async () => {
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  let said = '';
  socket.on('data', (chunk) => (said += chunk.toString()));
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.write('GET /held HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await expect.poll(() => isHeld, { timeout: 20_000 }).toBe(true);
  const closed = closeListener(app, 20_000);
  await closing;
  release();
  await ended;
  await closed;
  expect(said).toMatch(/connection: close/i);
  expect(said).toContain('{"held":true}');
});
