import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Connector } from '../../src/connectors/connector.ts';
import type { CountOutcome, CountPage, CountRows, PlatformCount } from '../../src/connectors/counts.ts';
import { StockmeshError } from '../../src/domain/errors.ts';
import type { ChannelId, LocationId } from '../../src/domain/ids.ts';
import { LevelCommands } from '../../src/ledger/level-commands.ts';
import { Breaker } from '../../src/mesh/breaker.ts';
import type { CountPollSettings } from '../../src/mesh/count-poll-settings.ts';
import { CountPoll, type CountPollOptions } from '../../src/mesh/count-poll.ts';
import { CountSink } from '../../src/mesh/count-sink.ts';
import { type OrderBench, levelOf, main, orderBench } from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

const wms = 'wms' as ChannelId;
let bench: OrderBench;
let poll: CountPoll | undefined;
beforeEach(async () => {
  bench = orderBench();
  await bench.caller.open();
});
afterEach(async () => {
  await poll?.close();
  poll = undefined;
  await bench.close();
});

function start(
  connector: Pick<Connector, 'pollCounts' | 'fetchCounts' | 'isAllCheaper'>,
  settings: Partial<CountPollSettings> = {},
  more: Partial<CountPollOptions> = {},
): CountPoll {
  const levels = new LevelCommands(bench.caller);
  const log = pino({ level: 'silent' });
  const sink = new CountSink({
    settings: {
      id: wms,
      platform: 'wms',
      mode: 'live',
      locations: [{ location: main, platformLocationId: 'W1', wmsOwned: true }],
      sourceRules: new Map(),
      openingFigure: 'on-hand',
      aliases: new Map(),
    },
    owned: new Map<LocationId, { pickLagMs: number }>([[main, { pickLagMs: 0 }]]),
    ledger: {
      applyCount: (count) => bench.counts.applyCount(count),
      adjust: (request) => bench.counts.adjust(request),
      peek: (skus) => levels.peek(skus),
      nowMs: () => bench.clock.nowMs(),
    },
    mesh: bench.mesh,
    sink: { parkRows: async () => undefined },
    log,
    nowMs: () => bench.clock.nowMs(),
    skewMs: 50,
  });
  poll = new CountPoll({
    channel: wms,
    connector,
    sink,
    mesh: bench.mesh,
    breaker: new Breaker(),
    log,
    settings: { peakIntervalMs: 60_000, retryMs: 10, hintDelayMs: 1, ...settings },
    ...more,
  });
  poll.start();
  return poll;
}

function row(onHand: number, sku = 's', asOfMs = bench.clock.nowMs()): PlatformCount {
  return { sku, itemId: sku, locationId: 'W1', onHand, asOfMs };
}

function page(
  counts: readonly PlatformCount[],
  cursor: string | null,
  more: Partial<CountRows> = {},
): CountRows {
  return { kind: 'changes', source: 'stock', counts, movements: [], hints: [], parked: [], cursor, ...more };
}

test('a reading that breaks off goes on from the last applied page; the cursor moves on quiet pages too', async () => {
  const cursors: (string | null)[] = [];
  let isBroken = true;
  const failures: unknown[] = [];
  start(
    {
      async *pollCounts(cursor) {
        cursors.push(cursor);
        if (cursor === null) yield page([row(5)], 'p1');
        if (cursor === null) yield page([], 'p2');
        if (isBroken) {
          throw new StockmeshError('CONNECTOR_UNREACHABLE', { platform: 'x', operation: 'y', reason: 'z' });
        }
        yield page([row(6)], 'p3');
      },
    },
    {},
    { onFailed: (error) => failures.push(error) },
  );
  await eventually(() => expect(failures.length).toBeGreaterThan(0));
  expect(await bench.mesh.cursor(`counts:${wms}`)).toBe('p2');
  expect(poll?.ageMs).toBeUndefined();
  isBroken = false;
  await eventually(async () => expect(await bench.mesh.cursor(`counts:${wms}`)).toBe('p3'));
  expect(cursors.slice(0, 2)).toEqual([null, 'p2']);
  expect(await levelOf(bench, 's')).toMatchObject({ onHand: 6 });
  await eventually(() => expect(poll?.ageMs).toBeGreaterThanOrEqual(0));
});

test('a held page moves no cursor, is told, and the reading is not complete', async () => {
  const held: string[] = [];
  const complete: number[] = [];
  const outcomes: CountOutcome[] = [];
  const settled = async (outcome: CountOutcome) => void outcomes.push(outcome);
  const pages: CountPage[] = [{ kind: 'held', source: 'stock', reason: 'too old', parked: [], settled }];
  start(
    {
      async *pollCounts() {
        yield* pages;
      },
    },
    {},
    { onHeld: (reason) => held.push(reason), onComplete: (counts) => complete.push(counts) },
  );
  await eventually(() => expect(held).toEqual(['too old']));
  expect(await bench.mesh.cursor(`counts:${wms}`)).toBeNull();
  pages[0] = page([row(3)], 'p1', {
    settled: async (outcome) => {
      // Put away only when the cursor says that it was read.
      expect(await bench.mesh.cursor(`counts:${wms}`)).toBe('p1');
      outcomes.push(outcome);
    },
  });
  poll?.pollNow();
  await eventually(() => expect(complete).toEqual([1]));
  expect(outcomes).toEqual([{ kind: 'held', reason: 'too old' }, { kind: 'applied' }]);
});

test('a hint reads its items alone, in batches; a hint for nobody knows what reads everything', async () => {
  let readings = 0;
  const fetched: (readonly string[])[] = [];
  const running = start(
    {
      async *pollCounts() {
        readings++;
        yield page([], 'p');
      },
      async fetchCounts(itemIds) {
        fetched.push(itemIds);
        return page(
          itemIds.map((sku) => row(4, sku)),
          null,
        );
      },
    },
    { hintsPerFetch: 2 },
  );
  await eventually(() => expect(readings).toBe(1));
  running.doorbell(['a', 'b', 'c', 'a']);
  await eventually(() => expect(fetched.flat().toSorted()).toEqual(['a', 'b', 'c']));
  expect(Math.max(...fetched.map((items) => items.length))).toBe(2);
  await eventually(async () => expect(await levelOf(bench, 'c')).toMatchObject({ onHand: 4 }));
  expect(readings).toBe(1);
  running.doorbell([]);
  await eventually(() => expect(readings).toBe(2));
});

test('an item the ledger cannot place in time is read again once the clock skew has passed', async () => {
  let asks = 0;
  const running = start({
    async *pollCounts() {
      yield page([row(10)], 'p');
    },
    async fetchCounts() {
      asks++;
      return page([row(7)], null);
    },
  });
  await eventually(async () => expect(await levelOf(bench, 's')).toMatchObject({ onHand: 10 }));
  await running.applied(
    page([], null, {
      movements: [
        {
          movementId: 'm',
          kind: 'shipped',
          sku: 's',
          locationId: 'W1',
          units: -1,
          reference: 'r',
          reason: '',
        },
      ],
    }),
  );
  // Too close to that shipment to say whether it contains it.
  expect(await running.applied(page([row(10)], null))).toMatchObject({ counted: 0, again: ['s'] });
  await eventually(async () => expect(await levelOf(bench, 's')).toMatchObject({ onHand: 7 }));
  expect(asks).toBeGreaterThan(0);
});

test('hints wait while the platform fails, and are not lost', async () => {
  let isBroken = true;
  let asked = 0;
  const running = start({
    async *pollCounts() {
      yield page([], 'p');
    },
    async fetchCounts(itemIds) {
      asked++;
      if (isBroken) throw new Error('down');
      return page(
        itemIds.map((sku) => row(2, sku)),
        null,
      );
    },
  });
  await eventually(() => expect(running.ageMs).toBeDefined());
  running.doorbell(['s']);
  await eventually(() => expect(asked).toBeGreaterThan(0));
  isBroken = false;
  await eventually(async () => expect(await levelOf(bench, 's')).toMatchObject({ onHand: 2 }));
});

test('the cursor waits until the items that a page only named were read; a crash begins where none is lost', async () => {
  const cursors: (string | null)[] = [];
  let isBroken = true;
  const connector = {
    async *pollCounts(cursor: string | null) {
      cursors.push(cursor);
      yield page([], cursor === null ? 'p1' : 'p2', { hints: cursor === null ? ['s'] : [] });
    },
    async fetchCounts(itemIds: readonly string[]) {
      if (isBroken) throw new Error('down');
      return page(
        itemIds.map((sku) => row(9, sku)),
        null,
      );
    },
  };
  const settings = { peakIntervalMs: 20 };
  start(connector, settings);
  // This process goes on from what it has read ...
  await eventually(() => expect(cursors).toContain('p1'));
  expect(await bench.mesh.cursor(`counts:${wms}`)).toBeNull();
  // ... the next one from where nothing is owed.
  await poll?.close();
  cursors.length = 0;
  start(connector, settings);
  await eventually(() => expect(cursors.length).toBeGreaterThan(0));
  expect(cursors[0]).toBeNull();
  isBroken = false;
  await eventually(async () => expect(await bench.mesh.cursor(`counts:${wms}`)).toBe('p2'));
  expect(await levelOf(bench, 's')).toMatchObject({ onHand: 9 });
});

test('more hints than everything costs are answered by everything; while that is held, one by one', async () => {
  const wanted: (string | undefined)[] = [];
  const fetched: string[] = [];
  let isHeld = false;
  const running = start(
    {
      async *pollCounts(_cursor, _signal, want) {
        wanted.push(want);
        if (isHeld) yield { kind: 'held', source: 'stock', reason: 'too few', parked: [] };
        else yield page([row(1, 'a'), row(2, 'b'), row(3, 'c')], 'p', { kind: 'snapshot' });
      },
      async fetchCounts(itemIds) {
        fetched.push(...itemIds);
        return page(
          itemIds.map((sku) => row(7, sku)),
          null,
        );
      },
      isAllCheaper: (items) => items >= 3,
    },
    { hintsPerFetch: 1, hintDelayMs: 20 },
  );
  await eventually(() => expect(wanted).toEqual([undefined]));
  running.doorbell(['a', 'b', 'c']);
  await eventually(() => expect(wanted).toEqual([undefined, 'all']));
  running.doorbell(['a', 'b']);
  await eventually(() => expect(fetched).toEqual(['a', 'b']));
  isHeld = true;
  running.doorbell(['a', 'b', 'c']);
  await eventually(() => expect(fetched).toEqual(['a', 'b', 'a', 'b', 'c']));
  expect(wanted).toEqual([undefined, 'all', 'all']);
});

test('while a snapshot is held, changes go on; after a while it is tried again', async () => {
  const wanted: (string | undefined)[] = [];
  let isHeld = true;
  start(
    {
      async *pollCounts(_cursor, _signal, want) {
        wanted.push(want);
        if (want === 'changes') yield page([row(5, 'changed')], `p${wanted.length}`);
        else if (isHeld) yield { kind: 'held', source: 'stock', reason: 'too many zeros', parked: [] };
        else yield page([row(6, 'whole')], 'whole', { kind: 'snapshot' });
      },
    },
    { peakIntervalMs: 10, heldRetryMs: 3_000 },
  );
  await eventually(async () => expect(await levelOf(bench, 'changed')).toMatchObject({ onHand: 5 }));
  expect(wanted.slice(0, 2)).toEqual([undefined, 'changes']);
  isHeld = false;
  await eventually(async () => expect(await levelOf(bench, 'whole')).toMatchObject({ onHand: 6 }));
});

test('hints that are too many to remember become one whole reading', async () => {
  const wanted: (string | undefined)[] = [];
  const running = start(
    {
      async *pollCounts(_cursor, _signal, want) {
        wanted.push(want);
        yield page([row(1, 'a'), row(2, 'b'), row(3, 'c')], 'p', { kind: 'snapshot' });
      },
      fetchCounts: async () => page([], null),
    },
    { maxHints: 2 },
  );
  await eventually(() => expect(wanted).toEqual([undefined]));
  running.doorbell(['a', 'b', 'c']);
  await eventually(() => expect(wanted).toEqual([undefined, 'all']));
  expect(await levelOf(bench, 'c')).toMatchObject({ onHand: 3 });
});

test('hints that are lost during a whole reading are not made up for by it', async () => {
  const wanted: (string | undefined)[] = [];
  let goOn = (): void => undefined;
  const isRung = new Promise<void>((resolve) => (goOn = resolve));
  const running = start(
    {
      async *pollCounts(_cursor, _signal, want) {
        wanted.push(want);
        await isRung;
        yield page([row(1, 'a'), row(2, 'b'), row(3, 'c')], 'p', { kind: 'snapshot' });
      },
      fetchCounts: async () => page([], null),
    },
    { maxHints: 2 },
  );
  await eventually(() => expect(wanted).toEqual([undefined]));
  running.doorbell(['a', 'b', 'c']);
  goOn();
  await eventually(() => expect(wanted).toEqual([undefined, 'all']));
});

test('off-peak readings come at the longer interval', async () => {
  let readings = 0;
  let isPeak = true;
  const connector = {
    async *pollCounts() {
      readings++;
      yield page([], 'p');
    },
  };
  const intervals = { peakIntervalMs: 5, offPeakIntervalMs: 3_600_000 };
  const running = start(connector, intervals, { isPeak: () => isPeak });
  await eventually(() => expect(readings).toBeGreaterThan(3));
  isPeak = false;
  running.pollNow();
  await eventually(() => expect(running.ageMs).toBeGreaterThan(50));
});

test('close does not wait for a connector that hangs', async () => {
  let isAsked = false;
  const running = start({
    // eslint-disable-next-line require-yield
    async *pollCounts() {
      isAsked = true;
      await new Promise(() => undefined);
    },
  });
  await eventually(() => expect(isAsked).toBe(true));
  await running.close();
  expect(running.ageMs).toBeUndefined();
});

test('close does not wait for the rows of a large page: they come again', async () => {
  const rows = Array.from({ length: 20_000 }, (_, index) => row(1, `s${index}`));
  const running = start({
    async *pollCounts() {
      yield page(rows, 'p', { kind: 'snapshot' });
    },
  });
  await eventually(async () => expect(await levelOf(bench, 's40')).toMatchObject({ onHand: 1 }));
  await running.close();
  expect(await bench.mesh.cursor(`counts:${wms}`)).toBeNull();
  expect((await levelOf(bench, 's19999')).onHand).toBe(0);
});
