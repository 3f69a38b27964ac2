import { afterEach, expect, test } from 'vitest';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { PublishingRig, type RigOptions } from './support/publishing-rig.ts';

failOnLeakedConnections();

let rig: PublishingRig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

async function start(options: RigOptions): Promise<PublishingRig> {
  rig = await PublishingRig.start(options);
  return rig;
}

test('a sale on one channel lowers the other, and the channel that sold is not written', async () => {
  const mesh = await start({ channels: ['shop-a', 'shop-b'], stock: { X: 10 } });
  await mesh.basesSettled();
  await mesh.sell('X', 3, 'shop-a');
  await mesh.agrees();
  expect(mesh.shows('X', 'shop-b')).toBe(7);
  expect(mesh.channel('shop-a').platform.requests).toEqual([]);
  expect(mesh.channel('shop-b').platform.applied.map(({ delta }) => delta)).toEqual([-3]);
});
