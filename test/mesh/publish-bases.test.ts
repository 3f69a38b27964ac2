import { setTimeout as delay } from 'node:timers/promises';
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
  return rig;
}

test('until a pull that began after the read is applied, the listing may be lowered and not raised', async () => {
  const first = Promise.withResolvers<void>();
  const later = Promise.withResolvers<void>();
  const mesh = await start({
    stock: { X: 10 },
    isOpening: false,
    capabilities: { orderIndexLagMs: 400 },
    beforePoll: (walk) => (walk === 1 ? first.promise : later.promise),
  });
  const { platform } = mesh.channel('shop-a');
  await mesh.move('X', 8);
  await eventually(() => expect(mesh.shows('X')).toBe(8));
  expect((await mesh.state('X')).base?.settled).toBe(false);
  await mesh.move('X', 12);
  // Applied after the read, and begun before it.
  first.resolve();
  await eventually(() => expect(platform.walks).toBe(2));
  await delay(100);
  expect((await mesh.state('X')).base?.settled).toBe(false);
  expect(mesh.shows('X')).toBe(8);
  later.resolve();
  await mesh.agrees();
  expect(mesh.shows('X')).toBe(20);
  expect(platform.requests.map(({ kind }) => kind)).toEqual(['lower', 'raise']);
});

test('first connection beside an unseen sale: the sold unit is not put back on sale', async () => {
  const mesh = await start({ stock: { X: 10 }, isOpening: false, capabilities: { orderIndexLagMs: 200 } });
  const { platform } = mesh.channel('shop-a');
  platform.sell('X@L1', 1);
  await mesh.move('X', 10);
  await mesh.agrees();
  expect(mesh.shows('X')).toBe(9);
  for (const { value } of platform.applied) expect(value).toBeLessThanOrEqual(9);
});

test('two channels that open the same SKU at once open it once', async () => {
  const mesh = await start({ channels: ['shop-a', 'shop-b'], stock: { X: 10 } });
  await mesh.basesSettled();
  await mesh.agrees();
  expect(await mesh.available('X')).toBe(10);
});

test('a listing that sells while its base is judged settled is judged again: nobody else asks for it', async () => {
  let sold = 0;
  const mesh = await start({
    stock: { X: 10 },
    tuning: { poll: { intervalMs: 60_000, maxIntervalMs: 60_000 } },
    settling: async (here) => {
      if (sold++ === 0) await here.sell('X', 1);
    },
  });
  await mesh.basesSettled();
  expect(sold).toBeGreaterThan(1);
  await mesh.agrees();
  expect(mesh.shows('X')).toBe(9);
});

test('a number changed by hand is reported after three reads; lowerings go on, nothing is written over it', async () => {
  const mesh = await start({ stock: { X: 10 } });
  await mesh.basesSettled();
  await mesh.agrees();
  const { platform, publishing } = mesh.channel('shop-a');
  platform.stock.set('X@L1', 25);
  publishing.doorbell(['X']);
  await eventually(async () => {
    const [parked] = await mesh.mesh.parked(5);
    expect(parked?.reason).toBe('edited on the channel: it shows 25, it should show 10');
  });
  expect(platform.requests).toEqual([]);
  expect(platform.reads).toBeGreaterThanOrEqual(3);
  await mesh.move('X', -2);
  await eventually(() => expect(mesh.shows('X')).toBe(23));
});

test('with the policy to repair, a number changed by hand is set back by compare-and-set', async () => {
  const mesh = await start({ stock: { X: 10 }, onEdited: 'repair' });
  await mesh.basesSettled();
  const { platform, publishing } = mesh.channel('shop-a');
  platform.stock.set('X@L1', 25);
  publishing.doorbell(['X']);
  await mesh.agrees();
  expect(platform.requests.map(({ kind, rows }) => [kind, rows[0]?.from, rows[0]?.to])).toEqual([
    ['repair', 25, 10],
  ]);
});

test('a doorbell for a sale that was not told yet finds the order and writes nothing', async () => {
  const mesh = await start({ channels: ['shop-a', 'shop-b'], stock: { X: 10 } });
  await mesh.basesSettled();
  const { platform, publishing } = mesh.channel('shop-a');
  platform.sell('X@L1', 3);
  publishing.doorbell(['X']);
  await mesh.agrees();
  expect(mesh.shows('X', 'shop-b')).toBe(7);
  expect(platform.requests).toEqual([]);
});

test('a doorbell that says what is believed spares the read; any other one is read', async () => {
  const mesh = await start({ stock: { X: 10, Y: 10 } });
  await mesh.basesSettled();
  await mesh.agrees();
  const { platform, publishing } = mesh.channel('shop-a');
  const told = (value: number, atS: number) => [{ listingKey: 'X@L1', value, changedAtMs: atS * 1_000 }];
  const readOf = async (key: string, ring: () => void): Promise<readonly string[]> => {
    const before = platform.readKeys.length;
    ring();
    await eventually(() => expect(platform.readKeys.slice(before)).toContain(key));
    return platform.readKeys.slice(before);
  };
  // A read that the opening left behind may come between: it is not for the doorbell.
  await eventually(async () => {
    const read = await readOf('Y@L1', () => {
      publishing.doorbell(['X'], told(12, 1));
      publishing.doorbell(['X'], told(10, 2));
      publishing.doorbell(['X'], told(11, 1));
      publishing.doorbell(['Y']);
    });
    expect(read).toEqual(['Y@L1']);
  });
  // Two numbers of one second: which is the later one cannot be told.
  await readOf('X@L1', () => {
    publishing.doorbell(['X'], told(12, 3));
    publishing.doorbell(['X'], told(10, 3));
  });
  // A read that is asked for without a word of doorbells is not spared by one that comes later.
  await readOf('X@L1', () => {
    publishing.readAgain([...mesh.channel('shop-a').map.ofItem('X')]);
    publishing.doorbell(['X'], told(10, 4));
  });
  platform.stock.set('X@L1', 25);
  publishing.doorbell(['X'], told(25, 5));
  await eventually(async () => {
    const [parked] = await mesh.mesh.parked(5);
    expect(parked?.reason).toBe('edited on the channel: it shows 25, it should show 10');
  });
});

test('a number that was changed by hand beside a sale is found: the doorbell told another one than is believed after the sale', async () => {
  const mesh = await start({ stock: { X: 10 } });
  await mesh.basesSettled();
  await mesh.agrees();
  const { platform, publishing } = mesh.channel('shop-a');
  const order = platform.sell('X@L1', 1);
  platform.stock.set('X@L1', 10);
  await mesh.ingest.applyPlatformOrders(mesh.channel('shop-a').id, [order], 'push', mesh.ledger.nowMs());
  publishing.doorbell(['X'], [{ listingKey: 'X@L1', value: 10, changedAtMs: 1_000 }]);
  await eventually(async () => {
    const [parked] = await mesh.mesh.parked(5);
    expect(parked?.reason).toBe('edited on the channel: it shows 10, it should show 9');
  });
});

test('a doorbell that rings while our own write is under way provisions and writes nothing', async () => {
  const mesh = await start({ stock: { X: 10 } });
  await mesh.basesSettled();
  const { platform, publishing } = mesh.channel('shop-a');
  platform.writeTakesMs = 80;
  await mesh.move('X', -1);
  await eventually(() => expect(platform.requests.length).toBe(1));
  publishing.doorbell(['X']);
  await mesh.agrees();
  await delay(100);
  expect(await mesh.available('X')).toBe(9);
  expect(platform.requests.length).toBe(1);
});

test('a listing the platform does not sell from is parked, not written', async () => {
  const mesh = await start({ stock: { X: 10 }, isOpening: false });
  mesh.channel('shop-a').platform.inactive.add('X@L1');
  await mesh.move('X', 4);
  await eventually(async () => {
    const [parked] = await mesh.mesh.parked(5);
    expect(parked).toMatchObject({ reference: 'X@L1', reason: 'it is not active' });
  });
  expect(mesh.channel('shop-a').platform.requests).toEqual([]);
});

test("stock in the platform's own warehouse is neither parked nor written", async () => {
  const mesh = await start({ stock: { X: 10, Y: 10 }, isOpening: false });
  const { platform, publishing, map } = mesh.channel('shop-a');
  for (const key of ['X@L1', 'Y@L1']) platform.inactive.add(key);
  for await (const { listings } of platform.readListings())
    map.learn(
      listings.filter(({ sku }) => sku === 'X').map((found) => ({ ...found, problems: ['foreign-stock'] })),
    );
  await mesh.move('X', 4);
  publishing.doorbell(['X', 'Y']);
  // Read in the same request: what became of one tells that the other was looked at too.
  await eventually(async () => {
    const parked = await mesh.mesh.parked(5);
    expect(parked.map(({ reference }) => reference)).toContain('Y@L1');
  });
  await delay(50);
  expect((await mesh.mesh.parked(5)).map(({ reference }) => reference)).toEqual(['Y@L1']);
  expect(platform.requests).toEqual([]);
});

test('a channel of which hardly anything is known yet is read with shorter rests than one that trades', async () => {
  const stock = Object.fromEntries(Array.from({ length: 2_300 }, (_none, n) => [`SKU-${n}`, 5]));
  const mesh = await start({
    stock,
    isOpening: false,
    // With rests of an hour the second request would not come.
    tuning: { baseBuilder: { readGapMs: 3_600_000, bulkReadGapMs: 5, doorbellDelayMs: 20 } },
  });
  const { platform } = mesh.channel('shop-a');
  await eventually(() => expect(platform.reads).toBeGreaterThan(1));
});
