import { afterEach, expect, test } from 'vitest';
import type { ListingId, Sku } from '../../src/domain/ids.ts';
import { eventually } from '../support/eventually.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { PublishingRig } from './support/publishing-rig.ts';

failOnLeakedConnections();

let rig: PublishingRig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

test('A8: a place that only travels along is told with what we believe, and is read again, because it was written too', async () => {
  rig = await PublishingRig.start({
    channels: ['shop-a', 'shop-b'],
    stock: { X: 10 },
    otherPlaces: ['L2'],
    capabilities: { writes: 'absolute', readLagMs: 5, applyGraceMs: 60, longestApplyMs: 200 },
  });
  const mesh = rig;
  const { platform, id } = mesh.channel('shop-b');
  for (const channel of mesh.channels) channel.platform.writesWholeItems = true;
  await mesh.basesSettled();
  await eventually(async () => expect(await mesh.available('X')).toBe(20));
  // Sold at the second place while its webhook is lost; then something lowers the first one.
  const total = (): number => (platform.stock.get('X@L1') ?? 0) + (platform.stock.get('X@L2') ?? 0);
  platform.appliesAfterMs = 60;
  await mesh.move('X', -3);
  await eventually(() => expect(platform.requests.some(({ beside }) => beside !== undefined)).toBe(true));
  platform.sell('X@L2', 2);
  await eventually(() => expect(platform.applied.length).toBeGreaterThan(0));
  const travelled = platform.requests.flatMap(({ beside }) => beside ?? []);
  for (const { believed } of travelled) expect(believed).toBeLessThanOrEqual(10);
  // The write put the two sold units back: only the read that follows it can tell, and the order, when it is found.
  await eventually(async () => {
    expect(await mesh.available('X')).toBe(15);
    expect(total()).toBe(15);
    expect(await mesh.publisher.pending(id, 10)).toEqual([]);
  }, 15_000);
  const { rows } = await mesh.publisher.readListings(id, [
    { listingId: 'X@L2' as ListingId, sku: 'X' as Sku },
  ]);
  expect(rows[0]?.state.suspect).toBe(false);
});
