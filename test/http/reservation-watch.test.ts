import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import pino from 'pino';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createListener, defaultListenerLimits } from '../../src/http/listener.ts';
import { ReservationMetrics } from '../../src/http/reservations/reservation-metrics.ts';
import { ReservationWatch } from '../../src/http/reservations/reservation-watch.ts';

function watched() {
  const metrics = new ReservationMetrics(new Registry());
  const open = new Set<string>();
  const watch = new ReservationWatch(metrics, {
    raise: ({ rule }) => void open.add(rule),
    resolve: (rule) => void open.delete(rule),
  });
  return { metrics, open, watch };
}

test('a share out of its range is told, not before there is enough to say so, and resolved when it is back', () => {
  const { metrics, open, watch } = watched();
  for (let i = 0; i < 99; i++) metrics.holds.push(false);
  watch.check();
  expect([...open]).toEqual([]);
  metrics.holds.push(false);
  watch.check();
  expect([...open]).toEqual(['hold-utilisation']);
  for (let i = 0; i < 100; i++) metrics.holds.push(true);
  watch.check();
  expect([...open]).toEqual([]);
  for (let i = 0; i < 1_000; i++) metrics.holds.push(true);
  watch.check();
  expect([...open]).toEqual(['hold-utilisation']);
});

test('agents that ask again within a minute are counted once per denial, oversold orders once per order', () => {
  const { metrics, open, watch } = watched();
  for (let i = 0; i < 100; i++) metrics.outOfStock(`agent-${i}`, 'S', 1_000);
  for (let i = 0; i < 6; i++) {
    metrics.reserveAsked(`agent-${i}`, 'S', 30_000);
    metrics.reserveAsked(`agent-${i}`, 'S', 31_000);
  }
  metrics.reserveAsked('agent-50', 'S', 70_000);
  expect(metrics.denials.share).toBe(0.06);
  watch.check();
  expect([...open]).toEqual(['agent-retries']);
});

test('the private listener speaks TLS where it is configured', async () => {
  const file = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8');
  const cert = file('cert.pem');
  const app = createListener({ ...defaultListenerLimits, maxBodyBytes: 1_000 }, pino({ level: 'silent' }), {
    cert,
    key: file('key.pem'),
  });
  app.get('/x', async () => ({ ok: true }));
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  try {
    expect(url).toMatch(/^https:/);
    const status = await new Promise((resolve, reject) => {
      get(`${url}/x`, { ca: cert, checkServerIdentity: () => undefined }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    expect(status).toBe(200);
  } finally {
    await app.close();
  }
});
