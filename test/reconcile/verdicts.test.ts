import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { ChannelId, LocationId, Sku } from '../../src/domain/ids.ts';
import { defaultDriftPolicy } from '../../src/domain/verdict.ts';
import type { OwnedCount } from '../../src/mesh/count-rows.ts';
import type { CountWitness } from '../../src/reconcile/three-way.ts';
import { eventually } from '../support/eventually.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { ReconcileRig, type ReconcileRigOptions } from './support/reconcile-rig.ts';

failOnLeakedConnections();

/** Each test plants one fault behind the back of the mesh; what orders and polls would put right by themselves waits. */
const noPolls = { poll: { intervalMs: 60_000, maxIntervalMs: 60_000, minIntervalMs: 60_000 } };
const repairing = { policy: { ...defaultDriftPolicy, 'edited-on-channel': 're-publish' as const } };

let all: ReconcileRig | undefined;
afterEach(async () => {
  await all?.close();
  all = undefined;
});

async function start(options: ReconcileRigOptions): Promise<ReconcileRig> {
  all = await ReconcileRig.start({ tuning: noPolls, ...options });
  await all.rig.basesSettled();
  await quiet(all);
  return all;
}

/** Nothing reads or pulls of its own accord any more: what is planted now is there for reconciliation to find. */
async function quiet({ rig }: ReconcileRig): Promise<void> {
  await rig.agrees();
  const seen = () => rig.channels.map(({ platform: { reads, walks } }) => `${reads}/${walks}`).join();
  await eventually(async () => {
    const before = seen();
    await delay(250);
    expect(seen()).toBe(before);
  });
}

test('a lost mark: nothing is under way for a listing that ought to show another number', async () => {
  const here = await start({ channels: ['shop-a', 'shop-b'], stock: { X: 10 } });
  const { rig } = here;
  await here.losePublication();
  expect(rig.shows('X')).toBe(10);
  await here.reconcile();
  expect(await here.finding('X')).toMatchObject({
    verdict: 'lost-publication',
    cause: 'not-published',
    shown: 10,
    target: 7,
  });
  await eventually(() => expect(rig.shows('X')).toBe(7));
  await here.reconcile();
  expect((await here.finding('X'))?.state).toBe('resolved');
});

test('a confirmed write that was not kept', async () => {
  const here = await start({ channels: ['shop-a', 'shop-b'], stock: { X: 10 } });
  await here.rig.sell('X', 3, 'shop-b');
  await quiet(here);
  here.rig.channel('shop-a').platform.stock.set('X@L1', 10);
  await here.reconcile();
  expect(await here.finding('X')).toMatchObject({ verdict: 'lost-publication', cause: 'write-not-applied' });
  await eventually(() => expect(here.rig.shows('X')).toBe(7));
});

test('a cancellation nobody heard of', async () => {
  const here = await start({ stock: { X: 10 } });
  const { platform } = here.rig.channel('shop-a');
  await here.rig.sell('X', 4);
  await quiet(here);
  platform.cancel('order-1', true);
  await here.reconcile();
  expect(await here.finding('X')).toMatchObject({
    verdict: 'missed-order',
    cause: 'cancellation-not-heard',
    odd: 'ledger',
    state: 'resolved',
    units: 4,
  });
  expect(await here.rig.available('X')).toBe(10);
});

test('a channel that restores cancelled units although it says that it keeps them', async () => {
  const here = await start({ stock: { X: 10 } });
  const { platform } = here.rig.channel('shop-a');
  await here.rig.sell('X', 4);
  const order = platform.cancel('order-1', false);
  await here.rig.ingest.applyPlatformOrders('shop-a' as ChannelId, [order], 'push', here.rig.ledger.nowMs());
  await quiet(here);
  platform.stock.set('X@L1', 14);
  await here.reconcile();
  expect(await here.finding('X')).toMatchObject({
    verdict: 'edited-on-channel',
    cause: 'restored-on-cancel',
    units: 4,
    state: 'parked',
  });
});

test.each([
  ['missing-sku', 'unmapped', 'sku-unknown'],
  ['duplicate-sku', 'unmapped', 'sku-unknown'],
  ['untracked', 'untracked', 'not-tracked'],
] as const)('a listing with the problem %s is %s', async (problem, verdict, cause) => {
  const here = await start({ stock: { X: 10, Y: 5 } });
  const { platform } = here.rig.channel('shop-a');
  const readListings = platform.readListings.bind(platform);
  Object.assign(platform, {
    async *readListings() {
      for await (const page of readListings()) {
        const listings = page.listings.map((one) =>
          one.sku === 'X' ? { ...one, problems: [problem] } : one,
        );
        yield { ...page, listings };
      }
    },
  });
  await here.reconcile();
  expect(await here.finding('X')).toMatchObject({ verdict, cause, state: 'open' });
  // Told once, however often it is read.
  expect(await here.reconcile()).toMatchObject({ opened: 0 });
  expect(here.rig.shows('X')).toBe(10);
});

test('on a platform of plain numbers a hand edit is written over by the mesh itself, and told', async () => {
  const here = await start({
    capabilities: { writes: 'absolute', idempotencyKey: false, longestApplyMs: 200, applyGraceMs: 30 },
    stock: { X: 10 },
    settings: repairing,
  });
  here.rig.channel('shop-a').platform.stock.set('X@L1', 4);
  await eventually(async () => {
    await here.reconcile();
    expect(await here.finding('X')).toMatchObject({ verdict: 'edited-on-channel', cause: 'hand-edit' });
    expect(here.rig.shows('X')).toBe(10);
  }, 30_000);
});

/** A warehouse that counts what it is told to. */
function warehouse(counts: ReadonlyMap<string, number>): CountWitness {
  const main = 'main' as LocationId;
  return {
    owned: new Set([main]),
    async countsOf(sku) {
      const onHand = counts.get(sku);
      if (onHand === undefined) return undefined;
      const row = { itemId: sku, sku, location: main, place: 'W1', onHand, asOfMs: Date.now() };
      return [{ ...row, pickLagMs: 0, version: undefined } satisfies OwnedCount];
    },
  };
}

test.each([
  [10, 'channel'],
  [14, 'ledger'],
  [12, 'unclear'],
] as const)('a channel shows 14, the ledger says 10, the warehouse counts %i: %s', async (counted, odd) => {
  const here = await start({ stock: { X: 10 }, witnesses: [warehouse(new Map([['X', counted]]))] });
  here.rig.channel('shop-a').platform.stock.set('X@L1', 14);
  await here.reconcile();
  expect(await here.finding('X')).toMatchObject({ shown: 14, target: 10, odd });
});

test('goods promised to orders may have left the warehouse: its lower count is no contradiction', async () => {
  const here = await start({ stock: { X: 10 }, witnesses: [warehouse(new Map([['X', 7]]))] });
  await here.rig.sell('X', 3);
  await quiet(here);
  here.rig.channel('shop-a').platform.stock.set('X@L1', 9);
  await here.reconcile();
  expect(await here.finding('X')).toMatchObject({ shown: 9, target: 7, odd: 'channel' });
});

test('without the word of a warehouse nobody can say who stands alone', async () => {
  const here = await start({ stock: { X: 10 }, witnesses: [warehouse(new Map())] });
  here.rig.channel('shop-a').platform.stock.set('X@L1', 14);
  await here.reconcile();
  expect((await here.finding('X'))?.odd).toBe('unclear');
});

test('a count that differs: the channels say whether the warehouse or the ledger stands alone', async () => {
  const here = await start({ channels: ['shop-a', 'shop-b'], stock: { X: 10 } });
  const { platform } = here.rig.channel('shop-a');
  const other = here.rig.channel('shop-b').platform;
  const ten = { lowest: 10, highest: 10 };
  const count = { sku: 'X' as Sku, location: 'main' as LocationId, onHand: 7 } as OwnedCount;
  expect(await here.threeWay.ofCount(count, ten)).toBe('warehouse');
  platform.stock.set('X@L1', 7);
  // Two channels that contradict each other are no second voice.
  expect(await here.threeWay.ofCount(count, ten)).toBe('unclear');
  other.stock.set('X@L1', 7);
  expect(await here.threeWay.ofCount(count, ten)).toBe('ledger');
  platform.isDown = true;
  other.isDown = true;
  expect(await here.threeWay.ofCount(count, ten)).toBe('unclear');
});

const limits = { windowMs: 600_000, maxZeroedPercent: 20, minZeroedListings: 3, maxMovedUnits: 40 };

test('corrections that come to too much are held until a person confirms, and after a restart too', async () => {
  const stock = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`S${n}`, 10]));
  const here = await start({ stock, settings: repairing, corrections: limits });
  const { platform } = here.rig.channel('shop-a');
  // All of them at once: likelier an answer that is wrong than so many hands.
  for (const sku of Object.keys(stock)) platform.stock.set(`${sku}@L1`, 20);
  await here.reconcile();
  const shown = () => Object.keys(stock).filter((sku) => here.rig.shows(sku) === 20).length;
  await eventually(() => expect(shown()).toBe(4));
  const { guard } = here.of('shop-a');
  expect(guard?.view()).toMatchObject({ heldListings: 4, reason: 'it would move 50 units' });
  const rules = (await here.open()).map(({ rule }) => rule).filter((rule) => rule.includes('held'));
  expect(rules).toHaveLength(4);
  expect(rules[0]).toContain('see `stockmesh guard`');
  // Further runs hold them as well, and the next process knows.
  await here.reconcile();
  expect(shown()).toBe(4);
  await guard?.load();
  expect(guard?.view()?.reason).toBe('it would move 50 units');

  const held = await guard?.confirm();
  expect(held?.map(({ listingId }) => listingId)).toHaveLength(4);
  here.rig.channel('shop-a').publishing.allow(held?.map(({ listingId }) => listingId) ?? []);
  expect(guard?.view()).toBeUndefined();
  await here.reconcile();
  await eventually(() => expect(shown()).toBe(0), 20_000);
}, 60_000);

test('what was put right by hand is no longer held, and the guard opens by itself', async () => {
  const stock = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`S${n}`, 10]));
  const here = await start({ stock, settings: repairing, corrections: limits });
  const { platform } = here.rig.channel('shop-a');
  for (const sku of Object.keys(stock)) platform.stock.set(`${sku}@L1`, 25);
  await here.reconcile();
  expect(here.of('shop-a').guard?.view()?.heldListings).toBe(4);
  for (const sku of Object.keys(stock)) platform.stock.set(`${sku}@L1`, 10);
  await here.reconcile();
  await eventually(() => expect(here.of('shop-a').guard?.view()).toBeUndefined());
}, 60_000);
