import { afterEach, expect, test } from 'vitest';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { PublishingRig, type RigOptions } from './support/publishing-rig.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

let rig: PublishingRig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

async function start(options: RigOptions): Promise<PublishingRig> {
  rig = await PublishingRig.start(options);
  await rig.basesSettled();
  await rig.agrees();
  return rig;
}

test.each(['lost-answer', 'lost-request'] as const)(
  'a lowering with %s is repeated with its key and applied exactly once',
  async (kind) => {
    const mesh = await start({ stock: { X: 10 } });
    const { platform } = mesh.channel('shop-a');
    platform.faults.push({ kind }, { kind });
    await mesh.move('X', -4);
    await mesh.agrees();
    expect(mesh.shows('X')).toBe(6);
    expect(new Set(platform.requests.map(({ key }) => key)).size).toBe(1);
    expect(platform.requests.length).toBe(3);
    expect(new Set(platform.requests.map(({ rows }) => JSON.stringify(rows))).size).toBe(1);
    expect(platform.applied.map(({ delta }) => delta)).toEqual([-4]);
  },
);

test('a raise of unknown outcome counts as applied: the lowering goes at once and the end is never above the truth', async () => {
  const mesh = await start({
    stock: { X: 5 },
    tuning: { publisher: { repeatMs: 5_000, maxRepeatMs: 5_000 } },
  });
  const { platform } = mesh.channel('shop-a');
  platform.faults.push({ kind: 'lost-request' });
  await mesh.move('X', 5);
  await eventually(() => expect(platform.requests.length).toBe(1));
  await mesh.move('X', -5);
  await mesh.agrees();
  expect(platform.requests.slice(0, 2).map(({ kind }) => kind)).toEqual(['raise', 'lower']);
  for (const { value } of platform.applied) expect(value).toBeLessThanOrEqual(5);
  expect(mesh.shows('X')).toBe(5);
});

test('a stale raise moves no base: the orders are pulled, and a sale nobody told us of is found', async () => {
  // A regular walk would find the sale before the raise does.
  const mesh = await start({
    stock: { X: 10 },
    tuning: { poll: { intervalMs: 60_000, maxIntervalMs: 60_000 } },
  });
  const { platform } = mesh.channel('shop-a');
  platform.sell('X@L1', 2);
  await mesh.move('X', 5);
  await mesh.agrees();
  expect(mesh.shows('X')).toBe(13);
  const raises = platform.requests.filter(({ kind }) => kind === 'raise');
  expect(raises[0]?.rows[0]).toMatchObject({ from: 10, to: 15 });
  expect(raises.at(-1)?.rows[0]).toMatchObject({ from: 8, to: 13 });
  expect(raises[0]?.key).not.toBe(raises.at(-1)?.key);
});

test('a refused row is parked with its reason, the other rows of its batch go out', async () => {
  const mesh = await start({ stock: { A: 10, B: 10, C: 10 } });
  const { platform } = mesh.channel('shop-a');
  platform.poisoned.add('B@L1');
  await Promise.all(['A', 'B', 'C'].map((sku) => mesh.move(sku, -1)));
  await eventually(() => {
    expect(mesh.shows('A')).toBe(9);
    expect(mesh.shows('C')).toBe(9);
  });
  await eventually(async () => {
    const parked = await mesh.mesh.parked(10);
    expect(parked).toMatchObject([
      { what: 'listing', reference: 'B@L1', reason: 'the item cannot be changed' },
    ]);
  });
  expect(mesh.shows('B')).toBe(10);
  const sent = platform.requests.length;
  await mesh.move('A', -1);
  await eventually(() => expect(mesh.shows('A')).toBe(8));
  expect(platform.requests.length).toBe(sent + 1);
});

test('when the platform names no row the culprit is found by halving', async () => {
  const stock = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`SKU-${n}`, 10]));
  const mesh = await start({ stock });
  const { platform } = mesh.channel('shop-a');
  platform.refusesUnnamed.add('SKU-11@L1');
  await Promise.all(Object.keys(stock).map((sku) => mesh.move(sku, -1)));
  await eventually(() => {
    for (const sku of Object.keys(stock)) expect(mesh.shows(sku)).toBe(sku === 'SKU-11' ? 10 : 9);
  });
  await eventually(async () => {
    expect(await mesh.mesh.parked(10)).toMatchObject([{ reference: 'SKU-11@L1' }]);
  });
  expect(platform.requests.length).toBeLessThan(40);
});

test('a throttled channel waits as long as it was told and then sends one write per listing', async () => {
  const mesh = await start({ stock: { X: 10 } });
  const { platform } = mesh.channel('shop-a');
  platform.faults.push({ kind: 'throttled', forMs: 3_000 });
  const startedMs = performance.now();
  await mesh.move('X', -1);
  await eventually(() => expect(platform.requests.length).toBe(1));
  for (let n = 0; n < 5; n++) await mesh.move('X', -1);
  await mesh.agrees();
  expect(performance.now() - startedMs).toBeGreaterThan(3_000);
  expect(platform.applied.map(({ delta }) => delta)).toEqual([-6]);
});

test('a key that is spent is never used again: a new base is read and the truth written', async () => {
  const mesh = await start({ stock: { X: 10 } });
  const { platform } = mesh.channel('shop-a');
  platform.faults.push({ kind: 'key-spent' });
  await mesh.move('X', -4);
  await mesh.agrees();
  expect(mesh.shows('X')).toBe(6);
  expect(new Set(platform.requests.map(({ key }) => key)).size).toBe(platform.requests.length);
});

test('a platform that is down opens the circuit; the backlog goes out when it is back, and the other channel never waited', async () => {
  const mesh = await start({
    channels: ['shop-a', 'shop-b'],
    stock: { X: 50 },
    tuning: { breaker: { pauseMs: 50, maxPauseMs: 200, minCalls: 3 } },
  });
  const down = mesh.channel('shop-a').platform;
  down.isDown = true;
  const downSinceMs = performance.now();
  for (let n = 1; n <= 10; n++) {
    await mesh.move('X', -1);
    // The first channel is down until later: one that waited for it would never get there.
    await eventually(() => expect(mesh.shows('X', 'shop-b')).toBe(50 - n));
  }
  await eventually(() => expect(mesh.channel('shop-a').publishing.circuit).not.toBe('closed'));
  const asked = down.requests.length;
  const downForMs = performance.now() - downSinceMs;
  down.isDown = false;
  await mesh.agrees();
  expect(down.applied.map(({ delta }) => delta)).toEqual([-10]);
  // Each failure is followed by a pause of 500 ms, so a slow machine leaves time for more of them.
  expect(asked).toBeLessThan(Math.max(10, downForMs / 250));
});

test('no answer at all: the slot is freed by our own limit, and the key makes the repeat harmless', async () => {
  const mesh = await start({ stock: { X: 10 }, capabilities: { requestTimeoutMs: 150 } });
  const { platform } = mesh.channel('shop-a');
  let release = (): void => undefined;
  platform.faults.push({ kind: 'held', release: new Promise((resolve) => (release = resolve)) });
  await mesh.move('X', -4);
  await eventually(() => expect(platform.requests.length).toBeGreaterThan(1));
  release();
  await mesh.agrees();
  expect(platform.applied.map(({ delta }) => delta)).toEqual([-4]);
});

test('a refused access stops publishing and says why', async () => {
  const mesh = await start({ stock: { X: 10 } });
  const { platform, accessLost } = mesh.channel('shop-a');
  platform.faults.push({ kind: 'denied' });
  await mesh.move('X', -4);
  await eventually(() => expect(accessLost.length).toBe(1));
  expect(accessLost[0]).toContain('token was revoked');
  expect(mesh.shows('X')).toBe(10);
  // The record is closed after the channel was told, not before.
  await eventually(async () =>
    expect(await mesh.publisher.openWrites(mesh.channel('shop-a').id)).toEqual([]),
  );
});
