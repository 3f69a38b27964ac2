import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AvailabilityStatus } from '../../../src/domain/availability-status.ts';
import { availableOf } from '../../../src/domain/movement.ts';
import { Secret } from '../../../src/domain/secret.ts';
import { LedgerProjection } from '../../../src/ledger/projection.ts';
import { RedisProjectionSource } from '../../../src/ledger/projection-snapshot.ts';
import { LogHistory } from '../../../src/ledger/log-history.ts';
import { LogReader } from '../../../src/ledger/log-reader.ts';
import { NoticeCommands } from '../../../src/ledger/notice-commands.ts';
import { PublisherCommands } from '../../../src/ledger/publisher-commands.ts';
import { RecordCommands } from '../../../src/ledger/record-commands.ts';
import { RedisLedger } from '../../../src/ledger/redis-ledger.ts';
import type { DeliverySettings, Endpoint } from '../../../src/mesh/notices/endpoint.ts';
import type { AvailabilityView } from '../../../src/mesh/notices/notice-follower.ts';
import { NoticeMetrics } from '../../../src/mesh/notices/notice-metrics.ts';
import { Notices } from '../../../src/mesh/notices/notices.ts';
import { armFailpoints } from '../../../src/telemetry/failpoint.ts';
import { type LedgerParts, ledgerParts } from '../../support/ledger-parts.ts';
import { connectTestRedis, failOnLeakedConnections } from '../../support/redis-connections.ts';
import { channel, location, receive, sku } from '../../support/stock.ts';
import { Receiver } from './receiver.ts';

failOnLeakedConnections();

const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;
const main = location('main');

/** One daemon's share: its own reader, projection, lease holder and workers, on the shared Redis. */
interface Teller {
  readonly notices: Notices;
  close(): Promise<void>;
}

let parts: LedgerParts;
let ledger: RedisLedger;
let secret: string;
let receiver: Receiver;
let disabled: string[];
const tellers: Teller[] = [];

beforeEach(async () => {
  parts = ledgerParts();
  ledger = new RedisLedger(parts.caller, parts.clock);
  await parts.caller.open();
  secret = newSecret();
  disabled = [];
  receiver = await Receiver.start(() => secret);
});
afterEach(async () => {
  armFailpoints(undefined, false);
  for (const teller of tellers.splice(0)) await teller.close();
  await receiver.close();
  await parts.close();
});

async function tell(
  options: {
    settings?: Partial<DeliverySettings>;
    endpoint?: Partial<Endpoint>;
    holder?: string;
    pageEntries?: number;
  } = {},
): Promise<Teller> {
  const queues = connectTestRedis();
  const reader = new LogReader({ redis: connectTestRedis(), keys: parts.keys, blockMs: 50 });
  const projection = new LedgerProjection(new RedisProjectionSource(parts.redis, parts.keys, []));
  await projection.start(reader);
  const endpoint = { id: 'shop-system', url: receiver.url, secrets: [new Secret(secret)], types: [] };
  const notices = new Notices({
    endpoints: [{ ...endpoint, ...options.endpoint }],
    commands: new NoticeCommands(parts.caller),
    lease: new PublisherCommands(parts.caller),
    holder: options.holder ?? 'daemon',
    history: new LogHistory(parts.redis, parts.keys),
    view: viewOf(projection),
    redis: queues,
    queuePrefix: `${parts.keys.prefix}bull`,
    records: new RecordCommands(parts.caller),
    metrics: new NoticeMetrics(new Registry()),
    nowMs: () => Date.now(),
    log: pino({ level: process.env['RIG_LOG'] ?? 'silent' }),
    version: 'test',
    onDisabled: (id) => disabled.push(id),
    onEnabled: () => undefined,
    settings: { retryMs: [10, 20, 30], timeoutMs: 15_000, ...options.settings },
    leaseSettings: { ttlMs: 600, renewEveryMs: 100, retryEveryMs: 50 },
    pageEntries: options.pageEntries,
  });
  reader.add({ onEntries: notices.onEntries });
  reader.start(projection.position);
  await notices.start();
  const teller = {
    notices,
    async close() {
      await notices.close();
      await reader.stop();
      queues.disconnect();
    },
  };
  tellers.push(teller);
  await expect.poll(() => new NoticeCommands(parts.caller).place()).toBeDefined();
  return teller;
}

/** Below 5 is low. Of `set`: as many as there are cups and plates for. */
function viewOf(projection: LedgerProjection): AvailabilityView {
  const sumOf = (of: string): number =>
    [...(projection.levelsOf(sku(of))?.values() ?? [])].reduce((sum, level) => sum + availableOf(level), 0);
  const available = (of: string): number =>
    of === 'set' ? Math.min(sumOf('cup'), sumOf('plate')) : sumOf(of);
  return {
    get position() {
      return projection.position;
    },
    skus: () => [...projection.skus(), sku('set')],
    availableOf: available,
    statusOf: (of): AvailabilityStatus =>
      available(of) <= 0 ? 'out_of_stock' : available(of) < 5 ? 'low_stock' : 'in_stock',
    bundlesWith: (of) => (of === 'cup' || of === 'plate' ? [sku('set')] : []),
  };
}

function hold(holdId: string, units: Readonly<Record<string, number>>, ttlMs = 60_000): Promise<unknown> {
  const lines = Object.entries(units).map(([of, n]) => ({ sku: sku(of), units: n, locations: [main] }));
  return ledger.reserve({ holdId, lines, ttlMs, actor: 'shopper' });
}

describe('what is told', () => {
  test('each end of a hold once, with its lines, and signed as the reference library wants it', async () => {
    await receive(parts, 'cup', 100);
    await receive(parts, 'plate', 100);
    await tell();
    await hold('h-1', { cup: 2, plate: 3 });
    await hold('h-2', { cup: 1 });
    await hold('h-3', { cup: 4 }, 1_000);
    await ledger.commit({
      holdId: 'h-1',
      actor: 'shopper',
      order: { channel: channel('web'), orderId: 'o;7' },
      part: [{ sku: sku('plate'), units: 1 }],
    });
    await ledger.release({ holdId: 'h-2', actor: 'shopper' });
    await parts.stepClock(2_000);
    await ledger.sweep(10);
    await expect
      .poll(() => receiver.received.map(({ type }) => type).toSorted())
      .toEqual(['hold.committed', 'hold.expired', 'hold.released']);
    expect(receiver.unverified).toBe(0);
    const [committed] = receiver.of('hold.committed');
    expect(committed?.data).toMatchObject({
      hold_id: 'h-1',
      order: { channel: 'web', order_id: 'o;7' },
      lines: [
        { sku: 'cup', location: 'main', quantity: 2, outcome: 'released' },
        { sku: 'plate', location: 'main', quantity: 1, outcome: 'committed' },
        { sku: 'plate', location: 'main', quantity: 2, outcome: 'released' },
      ],
    });
    expect(committed?.data['sequence']).toMatch(/^\d+-\d+$/);
    expect(receiver.of('hold.released').map(({ data }) => data['hold_id'])).toEqual(['h-2']);
    expect(receiver.of('hold.expired').map(({ data }) => data['hold_id'])).toEqual(['h-3']);
  });

  test('crossings of SKUs and of the bundles they are in, once each, and not what came back in between', async () => {
    await receive(parts, 'cup', 10);
    await receive(parts, 'plate', 3);
    await tell();
    await hold('h-1', { cup: 7 });
    await expect.poll(() => receiver.of('availability.changed').length).toBe(1);
    expect(receiver.received[0]?.data).toMatchObject({
      sku: 'cup',
      available: 3,
      is_available: true,
      status: 'low_stock',
      previous_status: 'in_stock',
    });
    await receive(parts, 'cup', 20);
    await hold('h-2', { plate: 3 });
    await expect.poll(() => receiver.of('availability.changed').length).toBe(4);
    const told = receiver
      .of('availability.changed')
      .map(({ data }) => `${String(data['sku'])} ${String(data['status'])}`);
    expect(told.slice(1).toSorted()).toEqual(['cup in_stock', 'plate out_of_stock', 'set out_of_stock']);
  });

  test('nothing of the time before notices were configured', async () => {
    await receive(parts, 'cup', 10);
    await hold('h-1', { cup: 1 });
    await ledger.release({ holdId: 'h-1', actor: 'shopper' });
    await tell();
    await hold('h-2', { cup: 1 });
    await ledger.release({ holdId: 'h-2', actor: 'shopper' });
    await expect.poll(() => receiver.received.length).toBe(1);
    expect(receiver.received[0]?.data['hold_id']).toBe('h-2');
  });

  test('what happened while no daemon ran, also across page ends', async () => {
    await receive(parts, 'cup', 1_000);
    await receive(parts, 'plate', 1_000);
    const teller = await tell();
    await teller.close();
    const ids = Array.from({ length: 30 }, (_, i) => `h-${i}`);
    for (const id of ids) {
      await hold(id, { cup: 1, plate: 1 });
      await ledger.release({ holdId: id, actor: 'shopper' });
    }
    await tell({ pageEntries: 7 });
    await expect.poll(() => receiver.of('hold.released').length).toBe(30);
    expect(new Set(receiver.received.map(({ data }) => data['hold_id'])).size).toBe(30);
    for (const { data } of receiver.received) expect(data['lines']).toHaveLength(2);
  });

  test('that notices were skipped, when the log was trimmed past their place', async () => {
    await receive(parts, 'cup', 100);
    const teller = await tell();
    await teller.close();
    for (let i = 0; i < 20; i++) await receive(parts, 'cup', 1);
    await parts.redis.xtrim(parts.keys.log, 'MAXLEN', 3);
    await tell();
    await expect.poll(() => receiver.of('notices.skipped').length).toBe(1);
    await hold('h-1', { cup: 1 });
    await ledger.release({ holdId: 'h-1', actor: 'shopper' });
    await expect.poll(() => receiver.of('hold.released').length).toBe(1);
    expect(receiver.received).toHaveLength(2);
  });
});

describe('faults', () => {
  test('an endpoint that fails is tried again by the schedule, always under the same id', async () => {
    await receive(parts, 'cup', 10);
    await tell();
    receiver.answers.push(500, 302, 429);
    await hold('h-1', { cup: 1 });
    await ledger.release({ holdId: 'h-1', actor: 'shopper' });
    await expect.poll(() => receiver.received.length).toBe(1);
    expect(receiver.requests).toBe(4);
    expect(disabled).toEqual([]);
  });

  test('a redirect is not followed', async () => {
    await receive(parts, 'cup', 10);
    const elsewhere = await Receiver.start(() => secret);
    try {
      await tell();
      receiver.answers.push({ status: 307, headers: { location: elsewhere.url } });
      await hold('h-1', { cup: 1 });
      await ledger.release({ holdId: 'h-1', actor: 'shopper' });
      await expect.poll(() => receiver.received.length).toBe(1);
      expect(elsewhere.requests).toBe(0);
    } finally {
      await elsewhere.close();
    }
  });

  test('what cannot be delivered is a dead letter, and is sent when a person enables the endpoint', async () => {
    await receive(parts, 'cup', 10);
    const { notices } = await tell();
    receiver.answers.push(500, 500, 500, 500);
    await hold('h-1', { cup: 1 });
    await ledger.release({ holdId: 'h-1', actor: 'shopper' });
    await expect.poll(async () => (await notices.view())[0]?.dead).toBe(1);
    expect(await notices.view()).toMatchObject([{ id: 'shop-system', status: 'failing', waiting: 0 }]);
    const [letter] = (await notices.dead('shop-system', 10)) ?? [];
    expect(letter).toMatchObject({ type: 'hold.released', reason: 'HTTP 500', attempts: 4 });
    expect(await notices.enable('shop-system')).toBe(1);
    await expect.poll(() => receiver.received.length).toBe(1);
    expect(receiver.received[0]?.id).toBe(letter?.id);
    expect(await notices.enable('nobody')).toBeUndefined();
  });

  test.each([
    ['says that it is gone', { answers: [410], settings: {} }],
    ['has failed for too long', { answers: [500], settings: { disableAfterMs: 0 } }],
  ])('an endpoint that %s is disabled, and nothing for it is lost', async (_what, { answers, settings }) => {
    await receive(parts, 'cup', 10);
    const { notices } = await tell({ settings });
    receiver.answers.push(...answers);
    for (const id of ['h-1', 'h-2', 'h-3']) {
      await hold(id, { cup: 1 });
      await ledger.release({ holdId: id, actor: 'shopper' });
      await expect.poll(() => disabled).toContain('shop-system');
    }
    await expect
      .poll(async () => (await notices.view())[0])
      .toMatchObject({ status: 'disabled', dead: 3, waiting: 0 });
    expect(receiver.requests).toBe(1);
    await notices.enable('shop-system');
    await expect.poll(() => receiver.received.length).toBe(3);
    expect(await notices.view()).toMatchObject([{ status: 'fine', dead: 0 }]);
  });

  test('what one daemon enables is not given up by another that has not heard of it yet', async () => {
    await receive(parts, 'cup', 100);
    const [one, other] = [await tell(), await tell({ holder: 'other' })];
    // Dead at once: a second attempt could be made by the daemon that has not heard of the first.
    receiver.answers.push(410);
    const happens = async (name: string): Promise<void> => {
      await hold(name, { cup: 1 });
      await ledger.release({ holdId: name, actor: 'shopper' });
    };
    const bothSee = async (dead: number): Promise<void> => {
      for (const { notices } of [one, other])
        await expect.poll(async () => (await notices.view())[0]).toMatchObject({ status: 'disabled', dead });
    };
    await happens('first');
    await bothSee(1);
    for (let n = 1; n < 20; n++) await happens(`h-${n}`);
    await bothSee(20);
    await one.notices.enable('shop-system');
    await expect.poll(() => receiver.received.length).toBe(20);
    expect(await other.notices.view()).toMatchObject([{ status: 'fine', dead: 0 }]);
  });

  test('a receiver that hangs is given up in time', async () => {
    await receive(parts, 'cup', 10);
    await tell({ settings: { timeoutMs: 500 } });
    receiver.answers.push('hang');
    await hold('h-1', { cup: 1 });
    await ledger.release({ holdId: 'h-1', actor: 'shopper' });
    await expect.poll(() => receiver.received.length).toBe(1);
  });

  test('a fault between handing on and dropping tells nothing twice', async () => {
    await receive(parts, 'cup', 10);
    await tell();
    armFailpoints('notices-handed-on@1=throw,notices-handed-on@2=throw', false);
    await hold('h-1', { cup: 1 });
    await ledger.release({ holdId: 'h-1', actor: 'shopper' });
    await expect.poll(() => parts.redis.zcard(parts.keys.notices)).toBe(0);
    await expect.poll(() => receiver.received.length).toBe(1);
  });

  test('an answer whose job did not end is repeated under the same id', async () => {
    await receive(parts, 'cup', 10);
    await tell();
    armFailpoints('notice-answered@1=throw', false);
    await hold('h-1', { cup: 1 });
    await ledger.release({ holdId: 'h-1', actor: 'shopper' });
    await expect.poll(() => receiver.received.length).toBe(2);
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
  });
});

test('two daemons tell everything once between them, also when they change in the middle', async () => {
  await receive(parts, 'cup', 1_000);
  const first = await tell({ holder: 'a' });
  await tell({ holder: 'b' });
  for (let i = 0; i < 40; i++) {
    await hold(`h-${i}`, { cup: 1 });
    await ledger.release({ holdId: `h-${i}`, actor: 'shopper' });
    if (i === 20) await first.close();
  }
  await expect.poll(() => receiver.received.length).toBe(40);
  expect(new Set(receiver.received.map(({ data }) => data['hold_id'])).size).toBe(40);
});

test('while a secret is replaced, a receiver that knows either accepts', async () => {
  await receive(parts, 'cup', 10);
  const next = newSecret();
  await tell({ endpoint: { secrets: [new Secret(next), new Secret(secret)] } });
  await hold('h-1', { cup: 1 });
  await ledger.release({ holdId: 'h-1', actor: 'shopper' });
  await expect.poll(() => receiver.received.length).toBe(1);
  secret = next;
  await hold('h-2', { cup: 1 });
  await ledger.release({ holdId: 'h-2', actor: 'shopper' });
  await expect.poll(() => receiver.received.length).toBe(2);
  secret = newSecret();
  await hold('h-3', { cup: 1 });
  await ledger.release({ holdId: 'h-3', actor: 'shopper' });
  await expect.poll(() => receiver.unverified).toBeGreaterThan(0);
});

test('an endpoint is told the types it asked for only', async () => {
  await receive(parts, 'cup', 6);
  await tell({ endpoint: { types: ['availability.changed'] } });
  await hold('h-1', { cup: 4 });
  await expect.poll(() => receiver.received.length).toBe(1);
  await ledger.release({ holdId: 'h-1', actor: 'shopper' });
  await expect.poll(() => receiver.received.length).toBe(2);
  await expect.poll(() => parts.redis.zcard(parts.keys.notices)).toBe(0);
  expect(receiver.of('hold.released')).toEqual([]);
});
