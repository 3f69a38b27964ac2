import { assert, integer, property } from 'fast-check';
import pino from 'pino';
import { Registry } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import type { ChannelId, LocationId } from '../../src/domain/ids.ts';
import { type DataAge, type Staleness, fresh, stalenessOf } from '../../src/domain/staleness.ts';
import type { ChannelView } from '../../src/mesh/channel-state.ts';
import { StalenessWatch } from '../../src/mesh/staleness-watch.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';
import { PublishingRig, type RigOptions } from './support/publishing-rig.ts';

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

const because: DataAge = { source: 'wms', what: 'counts', ageMs: 7_200_000, everyMs: 30_000 };

async function become(mesh: PublishingRig, staleness: Staleness): Promise<void> {
  mesh.staleness = staleness;
  for (const { publishing } of mesh.channels) await publishing.stalenessChanged();
}

test('stale and told to stop: lowerings go, raises wait, and go when the data is fresh, also after a restart', async () => {
  const mesh = await start({ stock: { X: 10, Y: 10 } });
  await become(mesh, { kind: 'stale', stopsRaises: true, bufferUnits: 0, because });
  await mesh.move('X', 5);
  await mesh.move('Y', -3);
  await eventually(() => expect(mesh.shows('Y')).toBe(7));
  await eventually(async () => expect(await mesh.publisher.pending('shop-a' as ChannelId, 10)).toEqual([]));
  expect(mesh.shows('X')).toBe(10);
  mesh.kill();
  mesh.staleness = fresh;
  await mesh.startAnother();
  await mesh.agrees();
  expect(mesh.shows('X')).toBe(15);
});

test('stale with a buffer: it is kept back from every listing, and given back', async () => {
  const mesh = await start({ stock: { X: 10, Y: 1 } });
  await become(mesh, { kind: 'stale', stopsRaises: false, bufferUnits: 2, because });
  await eventually(() => expect([mesh.shows('X'), mesh.shows('Y')]).toEqual([8, 0]));
  await mesh.move('X', 5);
  await eventually(() => expect(mesh.shows('X')).toBe(13));
  await become(mesh, fresh);
  await mesh.agrees();
});

test('nothing is old before its own fourth reading was due, nor when it is never to be', () => {
  assert(
    property(
      integer({ min: 0, max: 10_000 }),
      integer({ min: 1, max: 5_000 }),
      integer({ min: 1, max: 10_000 }),
      (afterMs, everyMs, ageMs) => {
        const age: DataAge = { source: 'a', what: 'orders', ageMs, everyMs };
        const found = stalenessOf({ afterMs, raises: 'stop', bufferUnits: 1 }, [age]);
        return (found.kind === 'stale') === (afterMs > 0 && ageMs > Math.max(afterMs, 4 * everyMs));
      },
    ),
  );
});

test('a channel is as old as the worst of what its locations are sold and counted by', () => {
  const hour = 3_600_000;
  const ages = new Map<string, number | undefined>();
  const channel = (id: string, at: string, what: DataAge['what'] = 'orders') => ({
    id: id as ChannelId,
    rule: { afterMs: hour, raises: 'stop', bufferUnits: 0 } as const,
    locations: new Set([at as LocationId]),
    what,
    everyMs: 1_000,
  });
  const told: string[] = [];
  let nowMs = 10 * hour;
  const watch = new StalenessWatch({
    channels: [
      channel('east', 'E'),
      channel('other', 'E'),
      channel('west', 'W'),
      channel('wms', 'W', 'counts'),
    ],
    view: (id) => ({ mode: id === 'off' ? 'off' : 'live', lastPollAtMs: ages.get(id) }) as ChannelView,
    registry: new Registry(),
    log: pino({ level: 'silent' }),
    nowMs: () => nowMs,
  });
  watch.onChanged((id, { kind }) => told.push(`${id} ${kind}`));
  watch.look();
  expect(told).toEqual([]);
  for (const id of ['east', 'other', 'west', 'wms']) ages.set(id, nowMs);
  nowMs += 2 * hour;
  for (const id of ['east', 'west']) ages.set(id, nowMs);
  watch.look();
  expect(told).toEqual(['east stale', 'other stale', 'west stale', 'wms stale']);
  expect(watch.of('west' as ChannelId)).toMatchObject({ because: { source: 'wms', what: 'counts' } });
  ages.set('wms', nowMs);
  watch.look();
  expect(told.slice(4)).toEqual(['west fresh', 'wms fresh']);
  expect(watch.of('east' as ChannelId).kind).toBe('stale');
});
