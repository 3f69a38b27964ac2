import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ChannelId } from '../../src/domain/ids.ts';
import { StockmeshError } from '../../src/domain/errors.ts';
import type { ParkedEntry } from '../../src/ledger/contract.ts';
import { Inbox, type InboxSettings } from '../../src/mesh/inbox.ts';
import {
  type Delivery,
  inboxJobId,
  inboxQueueName,
  jobOfParked,
  keptHeaders,
} from '../../src/mesh/inbox-job.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { startPrivateRedis, uniqueMerchant } from '../support/redis.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

/** Far longer than a busy machine stops a process: a job whose lock ends while it is in hand is worked on twice. */
const lockMs = 20_000;

const quick: Partial<InboxSettings> = {
  lockMs,
  stalledIntervalMs: 100,
  attempts: 3,
  backOffMs: 10,
  canaryEveryMs: 60_000,
};

let merchant = '';
const closers: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  merchant = uniqueMerchant();
});

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface Opened {
  readonly inbox: Inbox;
  readonly redis: Redis;
  readonly handled: Delivery[];
  readonly parked: Map<string, ParkedEntry>;
  readonly close: (graceMs?: number) => Promise<void>;
}

async function open(
  handle: (delivery: Delivery, signal: AbortSignal) => Promise<void> = async () => undefined,
  settings: Partial<InboxSettings> = {},
  redisPath?: string,
): Promise<Opened> {
  const redis = connectTestRedis(redisPath);
  const handled: Delivery[] = [];
  const parked = new Map<string, ParkedEntry>();
  const inbox = new Inbox({
    redis,
    queuePrefix: `sm:{${merchant}}:bull`,
    seenKey: `sm:{${merchant}}:seen`,
    mesh: {
      park: async (row) => void parked.set(row.id, row),
      unpark: async (id) => void parked.delete(id),
    },
    log: pino({ level: 'silent' }),
    handle: async (received, signal) => {
      await handle(received, signal);
      handled.push(received);
    },
    settings: { ...quick, ...settings },
  });
  await inbox.start();
  let isClosed = false;
  const close = async (graceMs = 1_000): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    await inbox.close(graceMs);
    redis.disconnect();
  };
  closers.push(close);
  return { inbox, redis, handled, parked, close };
}

/** What a worker that died leaves ends its lock by itself; here nobody waits for that. */
async function endLock(deliveryId: string): Promise<void> {
  const redis = connectTestRedis();
  const job = inboxJobId('shop-a' as ChannelId, deliveryId);
  const lock = `sm:{${merchant}}:bull:${inboxQueueName}:${job}:lock`;
  const leftMs = await redis.pttl(lock);
  await redis.del(lock);
  redis.disconnect();
  expect(leftMs).toBeGreaterThan(0);
  expect(leftMs).toBeLessThanOrEqual(lockMs);
}

function delivery(deliveryId: string = randomUUID(), body = '{"id":1}'): Delivery {
  return {
    channel: 'shop-a' as ChannelId,
    deliveryId,
    topic: 'orders/create',
    receivedAtMs: 5,
    headers: {},
    body,
  };
}

test('a full inbox says when to come back', async () => {
  const never = (): Promise<void> => new Promise(() => undefined);
  const { inbox, close } = await open(never, { maxJobs: 3, concurrency: 1 });
  for (let sent = 0; sent < 3; sent++) await inbox.accept(delivery());
  expect(await inbox.accept(delivery())).toEqual({ kind: 'full', retryAfterS: 10 });
  await close(0);
});

test('closes in time although a delivery begins at that very moment', async () => {
  const never = (): Promise<void> => new Promise(() => undefined);
  for (let round = 0; round < 10; round++) {
    const { inbox, close } = await open(never, { concurrency: 1 });
    // The worker is fetching it: not in hand yet, and never finished.
    void inbox.accept(delivery());
    await new Promise((resolve) => setTimeout(resolve, round));
    await close(0);
  }
});

test('large bodies fill the inbox before the number of jobs does', async () => {
  const never = (): Promise<void> => new Promise(() => undefined);
  const { inbox, close } = await open(never, { maxBytes: 100_000, concurrency: 1 });
  const body = 'x'.repeat(60_000);
  const results = [];
  for (let sent = 0; sent < 30; sent++) results.push((await inbox.accept(delivery(randomUUID(), body))).kind);
  expect(results).toContain('full');
  expect(results[0]).toBe('accepted');
  await close(0);
});

test('while Redis is away deliveries are refused in time, and taken again when it is back', async () => {
  const server = await startPrivateRedis();
  closers.push(() => server.stop());
  const { inbox, handled, close } = await open(undefined, { acceptTimeoutMs: 200 }, server.path);
  await server.kill('SIGKILL');
  await eventually(async () => expect((await inbox.accept(delivery())).kind).toBe('unavailable'));
  await server.restart();
  await eventually(
    async () => expect((await inbox.accept(delivery('later'))).kind).not.toBe('unavailable'),
    10_000,
  );
  await eventually(() => expect(handled.map((found) => found.deliveryId)).toContain('later'));
  await close();
});

test('a delivery waits out a short restart of Redis', async () => {
  const server = await startPrivateRedis();
  closers.push(() => server.stop());
  const { inbox, redis, handled, close } = await open(undefined, { acceptTimeoutMs: 30_000 }, server.path);
  await eventually(() => expect(inbox.depth).toBe(0));
  await server.kill('SIGKILL');
  // A client that has not noticed yet would keep the commands by itself.
  await eventually(() => expect(redis.status).not.toBe('ready'));
  const waiting = inbox.accept(delivery('patient'));
  await delay(100);
  await server.restart();
  expect((await waiting).kind).toBe('accepted');
  await eventually(() => expect(handled).toHaveLength(1));
  await close();
});

test('a Redis that does not answer costs the sender no more than the time limit', async () => {
  const server = await startPrivateRedis();
  closers.push(() => server.stop());
  const { inbox, close } = await open(undefined, { acceptTimeoutMs: 100 }, server.path);
  await server.kill('SIGSTOP');
  const result = await inbox.accept(delivery());
  await server.kill('SIGCONT');
  expect(result.kind).toBe('unavailable');
  await close();
});

test('ten copies at once are worked on once, and a later one is called a duplicate', async () => {
  const { inbox, handled } = await open();
  const copies = await Promise.all(Array.from({ length: 10 }, () => inbox.accept(delivery('same'))));
  expect(copies.map((copy) => copy.kind).every((kind) => kind === 'accepted' || kind === 'duplicate')).toBe(
    true,
  );
  await eventually(() => expect(handled).toHaveLength(1));
  expect(await inbox.accept(delivery('same'))).toEqual({ kind: 'duplicate' });
  await delay(50);
  expect(await inbox.accept(delivery('same'))).toEqual({ kind: 'duplicate' });
  expect(handled).toHaveLength(1);
});

test('the same delivery id of another channel is another delivery', () => {
  expect(inboxJobId('a' as ChannelId, '1')).not.toBe(inboxJobId('b' as ChannelId, '1'));
  expect(inboxJobId('a' as ChannelId, '1:2')).toMatch(/^d[0-9a-f]{39}$/);
});

test('the body and the kept headers arrive byte for byte', async () => {
  const { inbox, handled } = await open();
  const body = '\ufeff{"a":"é\\u0000 \u2028 😀","b":1.10}';
  const headers = keptHeaders({
    'x-shopify-topic': 'orders/create',
    'x-forwarded-for': '10.0.0.1',
    cookie: 'secret',
    authorization: 'secret',
    'x-long': 'y'.repeat(5_000),
    'content-type': 'application/json',
  });
  await inbox.accept({ ...delivery('b', body), headers });
  await eventually(() => expect(handled).toHaveLength(1));
  expect(handled[0]).toEqual({
    ...delivery('b', body),
    headers: { 'x-shopify-topic': 'orders/create', 'content-type': 'application/json' },
  });
});

test('a delivery that always fails is parked with its hash and reason while others flow, and can be tried again', async () => {
  let isBroken = true;
  const { inbox, handled, parked } = await open(async ({ deliveryId }) => {
    if (deliveryId === 'bad' && isBroken) throw new Error('cannot be read');
  });
  await inbox.accept(delivery('bad'));
  for (let sent = 0; sent < 20; sent++) await inbox.accept(delivery());
  await eventually(() => expect(parked.size).toBe(1));
  await eventually(() => expect(handled).toHaveLength(20));
  const row = [...parked.values()][0]!;
  expect(row).toMatchObject({
    channel: 'shop-a',
    what: 'delivery',
    reference: 'bad',
    reason: 'cannot be read',
  });
  expect(row.content).toMatch(/"sha256":"[0-9a-f]{64}"/);
  isBroken = false;
  const jobId = jobOfParked(row.id)!;
  expect(await inbox.retry(jobId)).toBe('retried');
  await eventually(() => expect(handled.map((found) => found.deliveryId)).toContain('bad'));
  expect(parked.size).toBe(0);
  expect(await inbox.retry(jobId)).toBe('gone');
});

test('an outage of the ledger uses up no attempt', async () => {
  let failures = 2;
  const { inbox, handled, parked } = await open(
    async () => {
      if (failures-- > 0) throw new StockmeshError('REDIS_UNAVAILABLE', { address: 'x', reason: 'gone' });
    },
    { attempts: 1 },
  );
  await inbox.accept(delivery());
  await eventually(() => expect(handled).toHaveLength(1));
  expect(parked.size).toBe(0);
});

test('a handler that hangs gives its place back', async () => {
  const aborted: boolean[] = [];
  const { inbox, parked } = await open(
    (_, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          aborted.push(signal.aborted);
          setTimeout(resolve, 5_000).unref();
        });
      }),
    { handleTimeoutMs: 50, attempts: 2 },
  );
  await inbox.accept(delivery());
  await eventually(() => expect(parked.size).toBe(1));
  expect(aborted).toEqual([true, true]);
});

test('what a dead worker left starts again soon, and what keeps killing is parked; the count is in Redis', async () => {
  const never = (): Promise<void> => new Promise(() => undefined);
  let parked = new Map<string, ParkedEntry>();
  for (let life = 0; life < 3; life++) {
    let isTaken = false;
    const dying = await open(
      (found) => {
        isTaken = true;
        return found.deliveryId === 'killer' ? never() : Promise.resolve();
      },
      { maxDeaths: 2 },
    );
    if (life === 0) await dying.inbox.accept(delivery('killer'));
    // In its last life the job is not handed to the handler any more.
    if (life < 2) await eventually(() => expect(isTaken).toBe(true));
    else await eventually(() => expect(dying.parked.size).toBe(1));
    parked = dying.parked;
    await dying.close(0);
    if (life < 2) await endLock('killer');
  }
  expect([...parked.values()][0]).toMatchObject({ reference: 'killer' });
  expect([...parked.values()][0]!.reason).toMatch(/died or was blocked 2 times/);
});

test('a failed delivery that nobody parked before the process ended is parked at the next start', async () => {
  const first = await open(() => Promise.reject(new Error('broken')), { attempts: 1 });
  await first.inbox.accept(delivery('bad'));
  await eventually(() => expect(first.parked.size).toBe(1));
  await first.close();
  const second = await open();
  expect([...second.parked.values()].map((row) => row.reference)).toEqual(['bad']);
});

test('a canary job shows that the queue flows', async () => {
  const { inbox } = await open(undefined, { canaryEveryMs: 50 });
  await eventually(() => expect(inbox.sinceProgressMs).toBeLessThan(1_000));
  await inbox.rebuildWorker();
  const rebuiltAtMs = performance.now();
  await eventually(() => expect(performance.now() - inbox.sinceProgressMs).toBeGreaterThan(rebuiltAtMs));
});
