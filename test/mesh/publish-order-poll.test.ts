import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { OrderPage, PlatformOrder } from '../../src/connectors/connector.ts';
import { StockmeshError } from '../../src/domain/errors.ts';
import { Breaker } from '../../src/mesh/breaker.ts';
import { OrderPoll, type OrderPollSettings } from '../../src/mesh/order-poll.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { PublishingRig, type RigChannel } from './support/publishing-rig.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

let rig: PublishingRig | undefined;
let poll: OrderPoll | undefined;
afterEach(async () => {
  await poll?.close();
  await rig?.close();
  [rig, poll] = [undefined, undefined];
});

type Walk = AsyncGenerator<OrderPage>;

/** A rig whose channel is polled by nobody else, and a poll that walks what the test says. */
async function start(
  walk: (cursor: string | null, channel: RigChannel) => Walk,
  settings: Partial<OrderPollSettings> = {},
): Promise<{ mesh: PublishingRig; channel: RigChannel; poll: OrderPoll; cursors: (string | null)[] }> {
  rig = await PublishingRig.start({ stock: { X: 100 }, mode: 'off' });
  const mesh = rig;
  const channel = mesh.channel('shop-a');
  const cursors: (string | null)[] = [];
  channel.platform.pollOrders = ({ cursor }) => {
    cursors.push(cursor);
    return walk(cursor, channel);
  };
  poll = new OrderPoll({
    channel: channel.id,
    connector: channel.platform,
    sink: mesh.ingest,
    mesh: mesh.mesh,
    breaker: new Breaker(),
    log: mesh.log,
    nowMs: () => mesh.ledger.nowMs(),
    sinceMs: 0,
    settings: { intervalMs: 20, minIntervalMs: 10, maxIntervalMs: 60_000, minGapMs: 1, ...settings },
  });
  return { mesh, channel, poll, cursors };
}

const unavailable = () =>
  new StockmeshError('CONNECTOR_UNREACHABLE', {
    platform: 'simulated',
    operation: 'orders',
    reason: 'reset',
  });

function page(cursor: string, orders: readonly PlatformOrder[] = []): OrderPage {
  return { orders, parked: [], cursor };
}

function last(cursor: string, upperBoundMs: number, orders: readonly PlatformOrder[] = []): OrderPage {
  return { orders, parked: [], cursor, walk: { upperBoundMs, cursor } };
}

test('the cursor moves page by page, on quiet pages too; a walk that breaks off goes on from the last applied page', async () => {
  let isBroken = true;
  const {
    mesh,
    poll: orders,
    cursors,
    channel,
  } = await start(async function* (from, { platform }) {
    if (from === null) yield page('p1', [platform.sell('X@L1', 2, 'one')]);
    if (from === null) yield page('p2');
    if (isBroken) throw unavailable();
    yield last('p3', 5_000, [platform.sell('X@L1', 3, 'two')]);
  });
  orders.start();
  await eventually(() => expect(cursors.length).toBeGreaterThan(1));
  expect(cursors.slice(0, 2)).toEqual([null, 'p2']);
  expect(await mesh.mesh.cursor(`walk:${channel.id}`)).toBeNull();
  isBroken = false;
  await eventually(async () => expect(await mesh.mesh.cursor(`walk:${channel.id}`)).toBe('5000'));
  expect(await mesh.mesh.cursor(`poll:${channel.id}`)).toBe('p3');
});

test('a walk is completed when its orders are applied; who asked during it gets the next one', async () => {
  const gate: { open: () => void } = { open: () => undefined };
  let walks = 0;
  const { mesh, poll: orders } = await start(
    async function* (_, { platform }) {
      walks++;
      if (walks === 1) await new Promise<void>((resolve) => (gate.open = resolve));
      yield last(`c${walks}`, walks, [platform.sell('X@L1', 1, `order-${walks}`)]);
    },
    { intervalMs: 60_000, minIntervalMs: 60_000 },
  );
  orders.start();
  await eventually(() => expect(walks).toBe(1));
  await delay(5);
  const asked = orders.pull();
  gate.open();
  const walk = await asked;
  expect(walk?.upperBoundMs).toBe(2);
  expect(walks).toBe(2);
  const order = await mesh.parts.redis.exists(`${mesh.parts.keys.prefix}order:shop-a:order-2`);
  expect(order).toBe(1);
});

test('a pull for a moment still to come waits for it instead of walking in between', async () => {
  let walks = 0;
  const { mesh, poll: orders } = await start(
    async function* () {
      walks++;
      yield last(`c${walks}`, walks);
    },
    { intervalMs: 60_000, minIntervalMs: 60_000 },
  );
  orders.start();
  await eventually(() => expect(walks).toBe(1));
  const afterMs = mesh.ledger.nowMs() + 80;
  const walk = await orders.pull(afterMs);
  expect(walk?.beganAtMs).toBeGreaterThan(afterMs);
  expect(walks).toBe(2);
});

test('an order whose line list was cut is fetched whole before the walk counts as completed', async () => {
  const {
    mesh,
    poll: orders,
    channel,
  } = await start(async function* (_, { platform }) {
    const whole = platform.sell('X@L1', 7, 'cut');
    yield last('c1', 1, [{ ...whole, lines: [], isPartial: true }]);
  });
  let fetches = 0;
  let isAway = true;
  const fetchOrders = channel.platform.fetchOrders.bind(channel.platform);
  channel.platform.fetchOrders = async (ids) => {
    fetches++;
    if (isAway) throw unavailable();
    return fetchOrders(ids);
  };
  orders.start();
  await eventually(() => expect(fetches).toBeGreaterThan(0));
  expect(await mesh.mesh.cursor(`walk:${channel.id}`)).toBeNull();
  isAway = false;
  await orders.pull();
  expect(await mesh.mesh.cursor(`walk:${channel.id}`)).toBe('1');
  expect(await mesh.available('X')).toBe(-7);
});

test('quiet walks rest longer each time, walks that bring what no push brought rest shorter, a failing platform is left alone', async () => {
  const count = async (walk: Parameters<typeof start>[0], forMs: number): Promise<number> => {
    const {
      mesh,
      poll: orders,
      cursors,
    } = await start(walk, { intervalMs: 20, minIntervalMs: 5, maxIntervalMs: 60_000 });
    orders.start();
    await delay(forMs);
    await orders.close();
    await mesh.close();
    [rig, poll] = [undefined, undefined];
    return cursors.length;
  };
  let n = 0;
  const news = (agoMs: number) =>
    count(async function* (_, { platform }) {
      const order = platform.sell('X@L1', 1, `news-${++n}`);
      yield last(`n${n}`, n, [{ ...order, changedAtMs: order.changedAtMs - agoMs }]);
    }, 1_000);
  // Measured again when the machine paused in the middle.
  await eventually(async () => {
    const quiet = await count(async function* () {
      yield last(`q${n++}`, n);
    }, 1_000);
    const missed = await news(60_000);
    // Its push may still be on its way: the walk was only first.
    const fresh = await news(0);
    expect(missed).toBeGreaterThan(3 * quiet);
    expect(missed).toBeGreaterThan(3 * fresh);
  }, 60_000);
  let asked = 0;
  await count(async function* () {
    asked++;
    yield* [];
    throw unavailable();
  }, 500);
  expect(asked).toBeLessThan(10);
});

test('while pushes arrive the rests grow past the interval; when they fall silent polls come often again', async () => {
  let n = 0;
  const { poll: orders, cursors } = await start(
    async function* () {
      yield last(`s${n++}`, n);
    },
    { intervalMs: 20, minIntervalMs: 5, maxIntervalMs: 600_000, pushSilenceMs: 600 },
  );
  const pushes = setInterval(() => orders.pushSeen(), 10);
  orders.start();
  // The rest has grown to many times the interval.
  await eventually(async () => {
    const before = cursors.length;
    await delay(400);
    expect(cursors.length).toBe(before);
  }, 30_000);
  clearInterval(pushes);
  const before = cursors.length;
  await eventually(() => expect(cursors.length).toBeGreaterThan(before + 20), 30_000);
});

test('closing ends a pull that waits', async () => {
  const { poll: orders } = await start(async function* () {
    await new Promise(() => undefined);
    yield last('never', 1);
  });
  orders.start();
  const asked = orders.pull();
  await delay(20);
  expect(await Promise.race([orders.close().then(() => asked), delay(20_000, 'late')])).toBeUndefined();
});
