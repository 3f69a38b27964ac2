import { afterEach, expect, test } from 'vitest';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';
import { ReconcileRig, type ReconcileRigOptions } from './support/reconcile-rig.ts';

failOnLeakedConnections();

let all: ReconcileRig | undefined;
afterEach(async () => {
  await all?.close();
  all = undefined;
});

async function start(options: ReconcileRigOptions): Promise<ReconcileRig> {
  all = await ReconcileRig.start(options);
  await all.rig.basesSettled();
  await all.rig.agrees();
  return all;
}

test('a channel that agrees: a run finds nothing and does nothing', async () => {
  const here = await start({ stock: { X: 10, Y: 0, Z: 3 } });
  const run = await here.reconcile();
  expect(run).toMatchObject({ state: 'completed', rows: 3, byVerdict: { agrees: 3 }, opened: 0, actions: 0 });
  expect(await here.open()).toEqual([]);
});

test('a hand edit is found, and waits for a person by default', async () => {
  const here = await start({ stock: { X: 10 } });
  here.rig.channel('shop-a').platform.stock.set('X@L1', 14);
  const run = await here.reconcile();
  expect(run.state).toBe('completed');
  expect(await here.finding('X')).toMatchObject({
    verdict: 'edited-on-channel',
    cause: 'hand-edit',
    state: 'parked',
    shown: 14,
    target: 10,
    units: 4,
  });
  expect(here.rig.shows('X')).toBe(14);
  // Put right by hand, the next run closes it.
  here.rig.channel('shop-a').platform.stock.set('X@L1', 10);
  expect(await here.reconcile()).toMatchObject({ resolved: 1 });
  expect((await here.finding('X'))?.state).toBe('resolved');
});

test('a hand edit is written over where policy says so', async () => {
  const here = await start({
    stock: { X: 10 },
    settings: {
      policy: {
        ...(await import('../../src/domain/verdict.ts')).defaultDriftPolicy,
        'edited-on-channel': 're-publish',
      },
    },
  });
  here.rig.channel('shop-a').platform.stock.set('X@L1', 3);
  await here.reconcile();
  await eventually(() => expect(here.rig.shows('X')).toBe(10));
});

test('an order nobody heard of is found by asking for it', async () => {
  const here = await start({
    stock: { X: 10 },
    tuning: { poll: { intervalMs: 60_000, maxIntervalMs: 60_000, minIntervalMs: 60_000 } },
  });
  here.rig.channel('shop-a').platform.sell('X@L1', 2);
  const run = await here.reconcile();
  expect(run).toMatchObject({ state: 'completed', opened: 1, resolved: 1 });
  expect(await here.finding('X')).toMatchObject({
    verdict: 'missed-order',
    cause: 'order-not-heard',
    state: 'resolved',
    units: -2,
  });
  expect(await here.rig.available('X')).toBe(8);
});
