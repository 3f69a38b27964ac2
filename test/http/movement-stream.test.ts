import { connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tableRoutes } from '../../src/http/api/register-routes.ts';
import { closeListener, createListener, defaultListenerLimits, listenOn } from '../../src/http/listener.ts';
import { MovementFeed } from '../../src/http/movements/movement-feed.ts';
import { type MovementStreamLimits, movementStream } from '../../src/http/movements/movement-stream.ts';
import { LogHistory } from '../../src/ledger/log-history.ts';
import { LogReader } from '../../src/ledger/log-reader.ts';
import { formatPosition } from '../../src/ledger/position.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { receive } from '../support/stock.ts';
import { followEvents, type FollowedEvents } from './support/server-events.ts';

failOnLeakedConnections();

let parts: LedgerParts;
let reader: LogReader;
let history: LogHistory;
let feed: MovementFeed;
let app: FastifyInstance | undefined;
let url: string;
let slow: number;
const following: FollowedEvents[] = [];

beforeEach(async () => {
  parts = ledgerParts();
  slow = 0;
  await parts.caller.open();
  history = new LogHistory(parts.redis, parts.keys);
  reader = new LogReader({ redis: connectTestRedis(), keys: parts.keys, blockMs: 50 });
});
afterEach(async () => {
  for (const events of following.splice(0)) events.close();
  if (app !== undefined) await closeListener(app, 500);
  app = undefined;
  await reader.stop();
  await parts.close();
});

async function serve(limits: Partial<MovementStreamLimits> = {}, recentEntries = 10_000): Promise<void> {
  feed = new MovementFeed({ history, recentEntries });
  reader.add({ onEntries: feed.onEntries });
  reader.start(await history.head());
  app = createListener({ ...defaultListenerLimits, maxBodyBytes: 1_024 }, pino({ level: 'silent' }));
  const stream = movementStream({ feed, limits, onSlow: () => slow++ });
  tableRoutes([stream.route])(app);
  stream.endWith(app);
  const { host, port } = await listenOn(app, { host: '127.0.0.1', port: 0 });
  url = `http://${host}:${port}/inventory/v1/movements`;
}

async function follow(query = '', lastEventId?: string): Promise<FollowedEvents> {
  const events = await followEvents(
    `${url}${query}`,
    lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
  );
  following.push(events);
  return events;
}

async function receiveMany(count: number, of = 'cup'): Promise<void> {
  for (let i = 0; i < count; i++) await receive(parts, of, 1);
}

describe('refusals', () => {
  test.each(['nonsense', '1', '-1', '1-2-3', '1-2\u0000'])('a position %j is refused', async (after) => {
    await serve();
    const response = await fetch(`${url}?after=${encodeURIComponent(after)}`);
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
  });

  test('an unknown parameter is refused', async () => {
    await serve();
    expect((await fetch(`${url}?from=1-1`)).status).toBe(400);
  });

  test('a position that was trimmed, of another epoch or ahead of the ledger is 410 and says where the log begins', async () => {
    await receiveMany(10);
    const head = await history.head();
    await parts.redis.xtrim(parts.keys.log, 'MAXLEN', 3);
    await serve();
    for (const gone of [
      `${head.epoch}-2`,
      `${head.epoch - 1}-${head.seq}`,
      `${head.epoch}-${head.seq + 50}`,
    ]) {
      const response = await fetch(url, { headers: { 'last-event-id': gone } });
      expect(response.status, gone).toBe(410);
      expect(await response.json()).toMatchObject({ code: 'MOVEMENTS_GONE', retryable: false });
    }
  });

  test('more streams than allowed are refused, and a closed one makes room', async () => {
    await serve({ maxStreams: 1 });
    const first = await follow();
    expect((await fetch(url)).status).toBe(503);
    first.close();
    await expect
      .poll(async () => {
        const response = await fetch(url);
        await response.body?.cancel();
        return response.status;
      })
      .toBe(200);
  });
});

describe('following', () => {
  test('begins at now, and every movement comes once, in order, with its sequence as id', async () => {
    await receiveMany(3);
    await serve();
    const events = await follow();
    const before = await history.head();
    await receiveMany(20);
    await expect.poll(() => events.movements().length).toBe(20);
    expect(events.movements().map(({ id }) => id)).toEqual(
      Array.from({ length: 20 }, (_, i) => formatPosition({ epoch: before.epoch, seq: before.seq + 1 + i })),
    );
    expect(events.movements().at(-1)?.data).toMatchObject({
      kind: 'received',
      sku: 'cup',
      onHand: 23,
      available: 23,
    });
  });

  test.each([10_000, 4])(
    'resumes after Last-Event-ID without loss or repeat (%i entries in memory)',
    async (recent) => {
      const start = await history.head();
      await serve({ pageEntries: 7 }, recent);
      const first = await follow();
      await receiveMany(25);
      await expect.poll(() => first.movements().length).toBe(25);
      first.close();
      await receiveMany(25);
      const resumed = await follow('', first.movements()[11]!.id);
      await expect.poll(() => resumed.movements().length).toBe(38);
      expect(resumed.movements()[0]?.id).toBe(formatPosition({ epoch: start.epoch, seq: start.seq + 13 }));
      await receiveMany(3);
      await expect.poll(() => resumed.movements().length).toBe(41);
      expect(new Set(resumed.movements().map(({ id }) => id)).size).toBe(41);
    },
  );

  test('Last-Event-ID goes before the query, so that a reconnecting browser does not start over', async () => {
    await receiveMany(10);
    const head = await history.head();
    await serve();
    const events = await follow(`?after=${head.epoch}-1`, formatPosition({ ...head, seq: head.seq - 2 }));
    await expect.poll(() => events.movements().length).toBe(2);
  });

  test('a filter shows its SKUs only, and the place moves on all the same', async () => {
    await serve();
    const events = await follow('?sku=cup&sku=plate');
    await receive(parts, 'cup', 1);
    await receiveMany(5, 'bowl');
    await receive(parts, 'plate', 1);
    await receiveMany(5, 'bowl');
    const head = formatPosition(await history.head());
    await expect.poll(() => events.lastEventId()).toBe(head);
    expect(events.movements().map(({ data }) => data['sku'])).toEqual(['cup', 'plate']);
  });

  test('a heartbeat comes while nothing happens', async () => {
    await serve({ heartbeatMs: 30 });
    const events = await follow();
    await expect.poll(() => events.comments().length).toBeGreaterThan(2);
    expect(events.movements()).toEqual([]);
  });

  test('a stream that falls behind the log is told so and ended', async () => {
    await receiveMany(5);
    const from = await history.head();
    // No reader: the feed knows nothing, every page comes from the log.
    await serve({ heartbeatMs: 30, pageEntries: 2 }, 1);
    await reader.stop();
    const events = await follow('', formatPosition(from));
    // It looks at the log every 30 ms: once it is too late to see them all.
    await expect
      .poll(async () => {
        await receiveMany(10);
        await parts.redis.xtrim(parts.keys.log, 'MAXLEN', 2);
        return events.all().at(-1)?.event;
      })
      .toBe('gone');
    await expect.poll(() => events.isEnded()).toBe(true);
  });

  test('the closing of the listener ends the streams at once', async () => {
    await serve();
    const events = await follow();
    const closing = app!;
    app = undefined;
    await closeListener(closing, 60_000);
    await expect.poll(() => events.isEnded()).toBe(true);
  });
});

test('a client that does not read is cut off, the others go on', async () => {
  await serve({ slowMs: 3_000 });
  const port = Number(new URL(url).port);
  const deaf = connect(port, '127.0.0.1');
  deaf.on('error', () => undefined);
  deaf.write(
    `GET /inventory/v1/movements?after=${formatPosition(await history.head())} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`,
  );
  deaf.pause();
  const events = await follow();
  // More than the socket buffers of both ends take.
  const many = Array.from({ length: 60 }, (_, i) => receiveMany(200, `${'long-name-'.repeat(15)}${i}`));
  await Promise.all(many);
  await expect.poll(() => events.movements().length, { timeout: 20_000 }).toBe(12_000);
  await expect.poll(() => slow, { timeout: 20_000 }).toBe(1);
  deaf.destroy();
});
