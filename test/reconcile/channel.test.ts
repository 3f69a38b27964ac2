import { afterEach, expect, test } from 'vitest';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { defaultDriftPolicy } from '../../src/domain/verdict.ts';
import type { StockRead } from '../../src/connectors/connector.ts';
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
  await eventually(async () => expect((await here.finding('X'))?.state).toBe('parked'));
  expect(await here.finding('X')).toMatchObject({
    verdict: 'edited-on-channel',
    cause: 'hand-edit',
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
  let left = 10;
  // A walk that the opening asked for may still be due, and bring the first sale before the run asks.
  await eventually(async () => {
    here.rig.channel('shop-a').platform.sell('X@L1', 1);
    left--;
    const run = await here.reconcile();
    expect(run).toMatchObject({ state: 'completed', opened: 1, resolved: 1 });
  });
  expect(await here.finding('X')).toMatchObject({
    verdict: 'missed-order',
    cause: 'order-not-heard',
    state: 'resolved',
    units: -1,
  });
  expect(await here.rig.available('X')).toBe(left);
});

const repairing = { policy: { ...defaultDriftPolicy, 'edited-on-channel': 're-publish' as const } };

test('two programs that correct each other: after so many corrections a person is told of both', async () => {
  const here = await start({ stock: { X: 10 }, settings: { ...repairing, maxCorrections: 2 } });
  const { platform } = here.rig.channel('shop-a');
  const stubborn = setInterval(() => {
    if (platform.stock.get('X@L1') === 10) platform.stock.set('X@L1', 17);
  }, 100);
  try {
    await eventually(async () => {
      await here.reconcile();
      expect((await here.finding('X'))?.state).toBe('parked');
    }, 60_000);
  } finally {
    clearInterval(stubborn);
  }
  const finding = await here.finding('X');
  expect(finding).toMatchObject({ cause: 'second-writer', corrections: 2 });
  expect(finding?.rule).toContain('stockmesh (shop-a) and somebody else on shop-a');
  const writes = platform.requests.length;
  await here.reconcile();
  expect(platform.requests.length).toBe(writes);
});

test('a listing that is gone is inactive after three reads; back again, it is resolved', async () => {
  const here = await start({ stock: { X: 10, Y: 5, Z: 1 } });
  const { platform } = here.rig.channel('shop-a');
  platform.stock.delete('X@L1');
  platform.inactive.add('Y@L1');
  await here.reconcile('shop-a', 'sku', { skus: ['X', 'Y'] });
  expect(await here.finding('X')).toMatchObject({ verdict: 'inactive', cause: 'listing-gone', reads: 3 });
  expect(await here.finding('Y')).toMatchObject({ verdict: 'inactive', cause: 'deactivated' });
  platform.stock.set('X@L1', 10);
  platform.inactive.clear();
  await here.reconcile('shop-a', 'sku', { skus: ['X', 'Y'] });
  expect((await here.open()).length).toBe(0);
});

test.each<[string, (read: StockRead) => StockRead, string]>([
  ['cut short', (read) => ({ ...read, rows: read.rows.slice(0, 1) }), 'cut short'],
  ['empty', (read) => ({ rows: [], parked: [], missing: read.rows.map(({ key }) => key) }), 'empty'],
  [
    'of something else',
    (read) => ({ ...read, rows: read.rows.map((row) => ({ ...row, key: `${row.key}!` })) }),
    'not asked for',
  ],
  ['with a row twice', (read) => ({ ...read, rows: [...read.rows, ...read.rows] }), 'twice'],
])('an answer that is %s ends the sweep and proves nothing', async (_what, spoil, reason) => {
  const here = await start({ stock: { X: 10, Y: 5, Z: 1 }, settings: { ...repairing, sweepShare: 1 } });
  const { platform } = here.rig.channel('shop-a');
  const readStock = platform.readStock.bind(platform);
  platform.readStock = async (refs) => spoil(await readStock(refs));
  platform.stock.set('X@L1', 99);
  await eventually(async () => {
    const runs = await here.runs.list(20);
    expect(runs.some((run) => run.state === 'aborted' && run.reason.includes(reason))).toBe(true);
  });
  await delay(300);
  expect(await here.open()).toEqual([]);
  expect(platform.requests).toEqual([]);
});

test('bulk readings that repeat a listing, or show far too few, are aborted', async () => {
  const here = await start({ stock: { X: 10, Y: 5, Z: 1 } });
  const { platform } = here.rig.channel('shop-a');
  const readListings = platform.readListings.bind(platform);
  platform.readListings = async function* () {
    for await (const page of readListings())
      yield { ...page, listings: [...page.listings, ...page.listings] };
  };
  expect(await here.reconcile()).toMatchObject({
    state: 'aborted',
    reason: expect.stringContaining('came twice'),
  });
  platform.readListings = async function* () {
    for await (const page of readListings()) yield { ...page, listings: [] };
  };
  expect(await here.reconcile()).toMatchObject({
    state: 'aborted',
    reason: expect.stringContaining('empty'),
  });
  expect(await here.open()).toEqual([]);
});

test('a dry run and mode observe find it and touch nothing', async () => {
  const here = await start({ stock: { X: 10 }, settings: { ...repairing, mode: 'observe' } });
  const { platform } = here.rig.channel('shop-a');
  platform.stock.set('X@L1', 4);
  await here.reconcile('shop-a', 'full', { isDryRun: true });
  await delay(200);
  expect(platform.requests).toEqual([]);
  expect((await here.finding('X'))?.rule).toBe('dry run, would be edited-on-channel: re-publish');
});

test('a full load of sales on channels that lose nothing: ten runs and a sweep, no finding', async () => {
  const stock = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`SKU-${n}`, 5_000]));
  const here = await start({
    channels: ['shop-a', 'shop-b'],
    stock,
    settings: { ...repairing, sweepShare: 0.5, pushGraceMs: 2_000, spacingMs: 100 },
  });
  const skus = Object.keys(stock);
  const till = { isOpen: true };
  let sold = 0;
  const selling = async (id: string): Promise<void> => {
    while (till.isOpen) {
      // Half of it is one SKU: the hottest is judged as well.
      const sku = sold % 2 === 0 ? 'SKU-0' : (skus[sold % skus.length] ?? '');
      await here.rig.sell(sku, 1 + (sold % 3), id);
      sold++;
      await delay(3);
    }
  };
  const sales = [selling('shop-a'), selling('shop-b')];
  const runs = [];
  for (let n = 0; n < 10; n++) runs.push(await here.reconcile(n % 2 === 0 ? 'shop-a' : 'shop-b'));
  till.isOpen = false;
  await Promise.all(sales);
  expect(sold).toBeGreaterThan(200);
  for (const run of runs) expect(run).toMatchObject({ state: 'completed', rows: 12, opened: 0 });
  expect([...(await here.open()), ...(await here.closed())]).toEqual([]);
  await here.rig.agrees(20_000);
}, 120_000);

test('the hottest SKU is judged: a hand edit in the middle of its sales is found, and named exactly', async () => {
  const here = await start({ channels: ['shop-a', 'shop-b'], stock: { X: 100_000 } });
  const till = { isOpen: true };
  const selling = (async () => {
    while (till.isOpen) {
      await here.rig.sell('X', 1, 'shop-b');
      await here.rig.sell('X', 2, 'shop-a');
      await delay(5);
    }
  })();
  try {
    const { platform } = here.rig.channel('shop-a');
    platform.stock.set('X@L1', (platform.stock.get('X@L1') ?? 0) + 40);
    await eventually(async () => {
      await here.reconcile();
      expect(await here.finding('X')).toMatchObject({ verdict: 'edited-on-channel', units: 40 });
    }, 60_000);
  } finally {
    till.isOpen = false;
    await selling;
  }
}, 120_000);
