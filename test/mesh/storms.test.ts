import { expect, test, afterEach } from 'vitest';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';
import { PublishingRig } from './support/publishing-rig.ts';

failOnLeakedConnections();

let rig: PublishingRig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

const skus = Array.from({ length: 60 }, (_, index) => `S${index}`);
const stock = Object.fromEntries(skus.map((sku) => [sku, 100]));
const listingOf = (sku: string): string => `${sku}@L1`;

async function start(): Promise<PublishingRig> {
  rig = await PublishingRig.start({
    channels: ['shop-a', 'shop-b'],
    stock,
    tuning: { publisher: { requestsInFlight: 1, maxPauseMs: 60_000 } },
    capabilities: { lowerBatchSize: 5 },
  });
  await rig.basesSettled();
  await rig.agrees();
  return rig;
}

test('in a throttle storm what is sold out overtakes, and afterwards one write per SKU goes out', async () => {
  const mesh = await start();
  const a = mesh.channel('shop-a').platform;
  const b = mesh.channel('shop-b').platform;
  // Refused for want of budget, again and again, until the storm is over.
  for (let n = 0; n < 10_000; n++) a.faults.push({ kind: 'throttled', forMs: 100 });
  for (let round = 0; round < 5; round++) await Promise.all(skus.map((sku) => mesh.move(sku, -1)));
  const soldOut = ['S57', 'S58', 'S59'];
  await Promise.all(soldOut.map((sku) => mesh.move(sku, -95)));
  // The other channel feels nothing of it.
  await eventually(() => expect(soldOut.map((sku) => mesh.shows(sku, 'shop-b'))).toEqual([0, 0, 0]), 20_000);
  await eventually(
    () =>
      expect(skus.map((sku) => b.stock.get(listingOf(sku)))).toEqual(
        skus.map((sku) => (soldOut.includes(sku) ? 0 : 95)),
      ),
    20_000,
  );
  expect(a.applied).toEqual([]);
  await eventually(() => expect(mesh.channel('shop-a').publishing.backlog).toBe(skus.length));
  a.faults.length = 0;
  await mesh.agrees(30_000);
  // One request may have been under way with what was known before: its listings wait for its answer only.
  const order = a.applied.map(({ listing }) => listing);
  expect(order.slice(0, 10)).toEqual(expect.arrayContaining(soldOut.map(listingOf)));
  expect(order.length - new Set(order).size).toBeLessThanOrEqual(5);
  expect(new Set(order).size).toBe(skus.length);
});

test('a channel that is down for thousands of changes drains by coalescing: memory as flat as its listings', async () => {
  const mesh = await start();
  const a = mesh.channel('shop-a').platform;
  const before = a.applied.length;
  a.isDown = true;
  let most = 0;
  for (let round = 0; round < 40; round++) {
    await Promise.all(skus.map((sku) => mesh.move(sku, round % 4 === 3 ? 1 : -1)));
    most = Math.max(most, mesh.channel('shop-a').publishing.backlog);
  }
  // 2,400 changes, and what waits is listings, never changes.
  expect(most).toBeLessThanOrEqual(skus.length);
  const waiting = await mesh.publisher.pending(mesh.channel('shop-a').id, 10_000);
  expect(waiting.length).toBeLessThanOrEqual(skus.length);
  await eventually(() => expect(mesh.shows('S0', 'shop-b')).toBe(80), 20_000);
  a.isDown = false;
  await mesh.agrees(40_000);
  const writes = a.applied.slice(before).map(({ listing }) => listing);
  expect(new Set(writes).size).toBe(skus.length);
  expect(writes.length - skus.length).toBeLessThanOrEqual(5);
  expect(await mesh.available('S0')).toBe(80);
});

test('what is sold out goes past requests that hold every slot, its own earlier one included; nothing else does', async () => {
  rig = await PublishingRig.start({
    channels: ['shop-a'],
    stock,
    tuning: {
      leaseTtlMs: 65_000,
      publisher: { requestsInFlight: 2, maxSmallRequestsInFlight: 2, overtakeMs: 60_000 },
    },
    capabilities: { lowerBatchSize: 1, requestTimeoutMs: 30_000 },
  });
  const mesh = rig;
  await mesh.basesSettled();
  await mesh.agrees();
  const { platform } = mesh.channel('shop-a');
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  platform.faults.push({ kind: 'held', release: released }, { kind: 'held', release: released });
  await mesh.move('S0', -1);
  await mesh.move('S1', -1);
  await eventually(() => expect(platform.requests.length).toBe(2));
  await mesh.move('S2', -1);
  await mesh.move('S3', -100);
  await mesh.move('S0', -99);
  await eventually(() => expect(platform.stock.get(listingOf('S3'))).toBe(0));
  await eventually(() => expect(platform.stock.get(listingOf('S0'))).toBe(1));
  const sent = platform.requests.flatMap(({ rows }) => rows.map(({ ref }) => ref.key));
  expect(sent.toSorted()).toEqual(['S0', 'S0', 'S1', 'S3'].map(listingOf));
  release();
  await mesh.agrees();
});
