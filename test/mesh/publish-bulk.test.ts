import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { PublishingRig } from './support/publishing-rig.ts';
import type { SimulatedBulk } from './support/simulated-bulk.ts';

failOnLeakedConnections();

let rig: PublishingRig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

const skus = Array.from({ length: 8 }, (_none, index) => `SKU-${index}`);

/** Every SKU was lowered by hand on the channel: a resync has to raise all of them again. */
async function withRaisesDue(more: { minRows?: number; isLowering?: boolean } = {}) {
  rig = await PublishingRig.start({
    takesBulk: true,
    stock: Object.fromEntries([...skus, 'LOWER', 'ZERO'].map((sku) => [sku, 20])),
    capabilities: {
      writes: 'absolute',
      readLagMs: 5,
      applyGraceMs: 40,
      longestApplyMs: 200,
      requestTimeoutMs: 400,
    },
    tuning: {
      publisher: {
        bulk: {
          minRows: more.minRows ?? 5,
          quietMs: 150,
          gatherMs: 20_000,
          checkEveryMs: 25,
          listedAfterMs: 300,
        },
      },
    },
  });
  const mesh = rig;
  await mesh.basesSettled();
  await mesh.agrees();
  const channel = mesh.channel('shop-a');
  const bulk = channel.platform.bulk;
  if (bulk === undefined) throw new Error('no bulk');
  channel.mayPublish = false;
  for (const sku of skus) await mesh.move(sku, 30);
  if (more.isLowering !== false) {
    await mesh.move('LOWER', -5);
    await mesh.move('ZERO', -20);
  }
  return { mesh, channel, bulk };
}

type Due = Awaited<ReturnType<typeof withRaisesDue>>;

async function submitted({ channel, bulk }: Due): Promise<void> {
  await channel.publishing.resync();
  channel.mayPublish = true;
  await eventually(() => expect(bulk.documents).toHaveLength(1));
}

const ended = (bulk: SimulatedBulk): void => {
  bulk.apply();
  bulk.report();
};

test('the raises of a full resync go in one document; lowerings, zeros above all, go at once in requests', async () => {
  const due = await withRaisesDue();
  const { mesh, bulk, channel } = due;
  await submitted(due);
  await eventually(() => expect([mesh.shows('LOWER'), mesh.shows('ZERO')]).toEqual([15, 0]));
  expect(bulk.documents[0]?.rows.map(({ ref, to }) => `${ref.itemId} ${to}`).toSorted()).toEqual(
    skus.map((sku) => `${sku} 50`),
  );
  expect(channel.platform.requests.filter(({ rows }) => rows.some(({ to }) => to > 20))).toEqual([]);
  // Open until its report is read, whatever is seen before.
  bulk.apply();
  await channel.publishing.pull();
  channel.publishing.doorbell(skus);
  const { reads } = channel.platform;
  await eventually(() => expect(channel.platform.reads).toBeGreaterThan(reads + 1));
  expect((await mesh.state('SKU-0')).openWrites).toMatchObject([{ kind: 'bulk', outcome: 'sent' }]);
  bulk.report();
  await mesh.agrees();
});

test('a sale overtakes the document, and what the document put back is lowered again after it', async () => {
  const due = await withRaisesDue();
  const { mesh, bulk } = due;
  await submitted(due);
  await mesh.move('SKU-0', -50);
  await eventually(() => expect(mesh.shows('SKU-0')).toBe(0));
  await mesh.move('SKU-1', -2);
  await mesh.sell('SKU-2', 3);
  ended(bulk);
  expect(mesh.shows('SKU-0')).toBe(50);
  await mesh.agrees();
  expect([mesh.shows('SKU-0'), mesh.shows('SKU-1'), mesh.shows('SKU-2')]).toEqual([0, 48, 47]);
});

test('the platform’s push is only a hint to ask sooner', async () => {
  const due = await withRaisesDue();
  const { mesh, bulk, channel } = due;
  await submitted(due);
  channel.publishing.bulkFinished(['document-1', 'somebody-else']);
  await eventually(() => expect(bulk.checks).toBeGreaterThan(1));
  expect((await mesh.state('SKU-0')).openWrites).toHaveLength(1);
  ended(bulk);
  channel.publishing.bulkFinished(['document-1']);
  await mesh.agrees();
});

test('a document of unknown end is settled by what the listings show', async () => {
  const due = await withRaisesDue();
  const { mesh, bulk } = due;
  await submitted(due);
  bulk.report({ kind: 'unknown', reason: 'the feed ended as FATAL' });
  await mesh.agrees(20_000);
});

test('a cancelled one was never written: the rows go out again', async () => {
  const due = await withRaisesDue();
  const { mesh, bulk } = due;
  await submitted(due);
  bulk.report({ kind: 'not-applied' });
  await mesh.agrees();
});

test.each(['refused', 'lost-request'] as const)(
  '%s: nothing was taken, and the rows go out alone',
  async (fate) => {
    const { mesh, bulk, channel } = await withRaisesDue();
    bulk.fate = fate;
    await channel.publishing.resync();
    channel.mayPublish = true;
    await mesh.agrees(20_000);
    expect(bulk.documents).toEqual([]);
  },
);

test('few raises go out alone', async () => {
  const { mesh, bulk, channel } = await withRaisesDue({ minRows: 100 });
  await channel.publishing.resync();
  channel.mayPublish = true;
  await mesh.agrees(20_000);
  expect(bulk.documents).toEqual([]);
});

test('killed while the document is worked through: the next holder reads its report and ends it', async () => {
  const due = await withRaisesDue();
  const { mesh, bulk, channel } = due;
  await submitted(due);
  await eventually(async () => {
    const [record] = await mesh.publisher.openWrites(channel.id);
    expect(record?.bulk?.bulkId).toBe('document-1');
  });
  mesh.kill();
  await mesh.startAnother();
  await mesh.move('SKU-3', -50);
  await eventually(() => expect(mesh.shows('SKU-3')).toBe(0));
  expect((await mesh.state('SKU-0')).openWrites).toHaveLength(1);
  ended(bulk);
  await mesh.agrees();
  expect(mesh.shows('SKU-3')).toBe(0);
  expect(bulk.documents).toHaveLength(1);
});

test('killed before anything left: the next holder knows that nothing was sent, and sends it', async () => {
  const { mesh, bulk, channel } = await withRaisesDue({ isLowering: false });
  mesh.killAt('claimed');
  await channel.publishing.resync();
  channel.mayPublish = true;
  await eventually(() => expect(mesh.isKilled()).toBe(true));
  expect(await mesh.publisher.openWrites(channel.id)).toMatchObject([{ bulk: { step: 'claimed' } }]);
  expect(bulk.documents).toEqual([]);
  await mesh.startAnother();
  await eventually(() => expect(bulk.documents).toHaveLength(1));
  expect(bulk.documents[0]?.rows).toHaveLength(skus.length);
  ended(bulk);
  await mesh.agrees(20_000);
});

test('a name that nobody heard: open until the platform lists the document as ended', async () => {
  const due = await withRaisesDue();
  const { mesh, bulk } = due;
  bulk.fate = 'lost-answer';
  await submitted(due);
  await eventually(async () => expect((await mesh.state('SKU-0')).openWrites).toHaveLength(1));
  ended(bulk);
  await mesh.agrees(20_000);
});
