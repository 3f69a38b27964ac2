import { afterEach, expect, test } from 'vitest';
import type { ListingId } from '../../src/domain/ids.ts';
import type { WriteRecord } from '../../src/ledger/contract.ts';
import { newRequest, repeatedBatch } from '../../src/mesh/write-request.ts';
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

test('killed after the record was stored, before the request left: the next one sends it with the same key, once', async () => {
  const mesh = await start({ stock: { X: 10 } });
  const { platform, id } = mesh.channel('shop-a');
  mesh.killAt('claimed');
  await mesh.move('X', -4);
  await eventually(() => expect(mesh.isKilled()).toBe(true));
  expect(platform.requests).toEqual([]);
  const [record] = await mesh.publisher.openWrites(id);
  await mesh.startAnother();
  await mesh.agrees();
  expect(platform.requests.map(({ key }) => key)).toEqual([record?.writeId]);
  expect(platform.applied.map(({ delta }) => delta)).toEqual([-4]);
});

test('killed after the platform applied it, before it was settled: the repeat is answered, not applied again', async () => {
  const mesh = await start({ stock: { X: 10 } });
  const { platform } = mesh.channel('shop-a');
  mesh.killAt('answered');
  await mesh.move('X', -4);
  await eventually(() => expect(platform.applied.length).toBe(1));
  await eventually(() => expect(mesh.isKilled()).toBe(true));
  await mesh.move('X', -1);
  await mesh.startAnother();
  await mesh.agrees();
  expect(platform.applied.map(({ delta }) => delta)).toEqual([-4, -1]);
  expect(mesh.shows('X')).toBe(5);
});

test('killed with a raise on its way while the stock went: the shelf never ends above the truth', async () => {
  const mesh = await start({ stock: { X: 5 } });
  const { platform } = mesh.channel('shop-a');
  mesh.killAt('claimed');
  await mesh.move('X', 5);
  await eventually(() => expect(mesh.isKilled()).toBe(true));
  await mesh.move('X', -7);
  await mesh.startAnother();
  await mesh.agrees();
  expect(mesh.shows('X')).toBe(3);
  for (const { value } of platform.applied) expect(value).toBeLessThanOrEqual(5);
});

test('killed before the mark: the next one finds the change in the log behind its cursor', async () => {
  const mesh = await start({ stock: { X: 10, Y: 10 } });
  mesh.kill();
  await mesh.move('X', -4);
  await mesh.move('Y', 2);
  await mesh.startAnother();
  await mesh.agrees();
  expect([mesh.shows('X'), mesh.shows('Y')]).toEqual([6, 12]);
});

test('a cursor older than the log leads to a full resync, not to silence', async () => {
  const mesh = await start({ stock: { X: 10, Y: 10 } });
  mesh.kill();
  await mesh.move('X', -4);
  await mesh.move('Y', -1);
  await mesh.parts.redis.xtrim(mesh.parts.keys.log, 'MAXLEN', 0);
  await mesh.startAnother();
  await mesh.agrees();
  expect([mesh.shows('X'), mesh.shows('Y')]).toEqual([6, 9]);
  expect(await mesh.mesh.cursor('full:shop-a')).toBe('');
});

test('a paused holder that comes back late neither sends under its old lease nor settles what it sent', async () => {
  // What the old holder marks when it comes back is found by a reload only.
  const mesh = await start({
    stock: { X: 10 },
    tuning: { leaseTtlMs: 1_500, publisher: { reloadEveryMs: 500 } },
  });
  const { platform } = mesh.channel('shop-a');
  let release = (): void => undefined;
  platform.faults.push({ kind: 'held', release: new Promise((resolve) => (release = resolve)) });
  await mesh.move('X', -4);
  await eventually(() => expect(platform.requests.length).toBe(1));
  const [first] = platform.requests;
  // Its lease ends while it cannot know; another process takes over and resolves the record by its key.
  await mesh.startAnother();
  await eventually(() => expect(platform.requests.length).toBe(2));
  expect(platform.requests[1]?.key).toBe(first?.key);
  await mesh.move('X', -3);
  await eventually(() => expect(mesh.shows('X')).toBe(3));
  release();
  await mesh.agrees();
  expect(platform.applied.map(({ delta }) => delta)).toEqual([-4, -3]);
});

test('a second process waits for the lease and takes over when the first one closes', async () => {
  const mesh = await start({ stock: { X: 10 } });
  const first = mesh.channel('shop-a').publishing;
  await mesh.startAnother('shop-a', true);
  const second = mesh.channel('shop-a').publishing;
  await mesh.move('X', -1);
  await eventually(() => expect(mesh.shows('X')).toBe(9));
  expect([first.isPublishing, second.isPublishing]).toEqual([true, false]);
  await first.close();
  await mesh.move('X', -1);
  await mesh.agrees();
  expect(second.isPublishing).toBe(true);
});

test('closing lets the request under way end and settles it', async () => {
  const mesh = await start({ stock: { X: 10 } });
  const { platform, publishing, id } = mesh.channel('shop-a');
  platform.writeTakesMs = 100;
  await mesh.move('X', -4);
  await eventually(() => expect(platform.requests.length).toBe(1));
  await publishing.close();
  expect(mesh.shows('X')).toBe(6);
  expect(await mesh.publisher.openWrites(id)).toEqual([]);
  expect(await mesh.publisher.pending(id, 10)).toEqual([]);
});

test('after a confirmed loss no base is believed: every listing is read anew', async () => {
  const mesh = await start({ stock: { X: 10 } });
  const { platform, publishing, id } = mesh.channel('shop-a');
  platform.stock.set('X@L1', 4);
  await mesh.move('X', 1);
  await publishing.distrust();
  await mesh.agrees();
  expect(mesh.shows('X')).toBe(11);
  expect(await mesh.mesh.cursor(`distrust:${id}`)).toBe('');
  expect(await mesh.mesh.parkedCount()).toBe(0);
});

test('a record whose rows can be rebuilt is repeated unchanged, any other one never', () => {
  const ref = { key: 'X@L1', itemId: 'X', locationId: 'L1' };
  const { record, batch } = newRequest({
    kind: 'lower',
    rows: [{ listingId: 'X@L1' as ListingId, ref, from: 5, to: 3, takenAt: 0 }],
    position: { epoch: 7, seq: 42 },
    token: 1,
    nowMs: 1,
  });
  const stored = JSON.parse(JSON.stringify(record)) as WriteRecord;
  expect(repeatedBatch(stored, () => ref)).toEqual(batch);
  expect(batch.reference).toBe('7-42');
  expect(repeatedBatch(stored, () => undefined)).toBeUndefined();
  expect(repeatedBatch(stored, () => ({ ...ref, itemId: 'other' }))).toBeUndefined();
});
