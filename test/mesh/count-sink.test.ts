import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CountRows, PlatformCount, PlatformMovement } from '../../src/connectors/counts.ts';
import type { ParkedRow } from '../../src/connectors/parked-row.ts';
import { defaultCountGuards } from '../../src/domain/count-guard.ts';
import type { ChannelId, LocationId, Sku } from '../../src/domain/ids.ts';
import { LevelCommands } from '../../src/ledger/level-commands.ts';
import type { ChannelSettings } from '../../src/mesh/channel.ts';
import { CountSink, type CountSinkOptions } from '../../src/mesh/count-sink.ts';
import { parkedEntry } from '../../src/mesh/parked-rows.ts';
import {
  type OrderBench,
  back,
  levelOf,
  line,
  main,
  order,
  orderBench,
  receive,
  wmsRouting,
} from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

const wms = 'wms' as ChannelId;
const minute = 60_000;
const hour = 60 * minute;

let bench: OrderBench;
let start: number;
let stepped: number;
beforeEach(async () => {
  bench = orderBench();
  await bench.caller.open();
  start = bench.clock.nowMs();
  stepped = 0;
});
afterEach(async () => {
  await bench.close();
});

/** Moves the ledger's clock to `start + ms`. */
async function at(ms: number): Promise<number> {
  await bench.stepClock(ms - stepped);
  stepped = ms;
  return start + ms;
}

function settings(places: Record<string, LocationId> = { W1: main }): ChannelSettings {
  return {
    id: wms,
    platform: 'wms',
    mode: 'live',
    locations: Object.entries(places).map(([platformLocationId, location]) => ({
      location,
      platformLocationId,
      wmsOwned: true,
    })),
    sourceRules: new Map(),
    openingFigure: 'on-hand',
    aliases: new Map([['OLD', 's' as Sku]]),
  };
}

function sinkOf(more: Partial<CountSinkOptions> = {}, pickLagMs = 0): CountSink {
  const levels = new LevelCommands(bench.caller);
  return new CountSink({
    settings: settings(),
    owned: new Map([[main, { pickLagMs }]]),
    ledger: {
      applyCount: (count) => bench.counts.applyCount(count),
      adjust: (request) => bench.counts.adjust(request),
      peek: (skus) => levels.peek(skus),
      nowMs: () => 0,
    },
    mesh: bench.mesh,
    sink: {
      async parkRows(channel, rows) {
        for (const row of rows) await bench.mesh.park(parkedEntry(channel, row));
      },
    },
    log: pino({ level: 'silent' }),
    nowMs: () => 0,
    skewMs: 0,
    ...more,
  });
}

function counted(onHand: number, asOfMs: number, more: Partial<PlatformCount> = {}): PlatformCount {
  return { sku: 's', itemId: more.sku ?? 's', locationId: 'W1', onHand, asOfMs, ...more };
}

function page(counts: readonly PlatformCount[], more: Partial<CountRows> = {}): CountRows {
  return {
    kind: 'changes',
    source: 'stock',
    counts,
    movements: [],
    hints: [],
    parked: [],
    cursor: null,
    ...more,
  };
}

const snapshot = (counts: readonly PlatformCount[], more: Partial<CountRows> = {}): CountRows =>
  page(counts, { kind: 'snapshot', guards: defaultCountGuards, ...more });

function moved(units: number, more: Partial<PlatformMovement> = {}): PlatformMovement {
  return {
    movementId: 'm1',
    kind: units < 0 ? 'shipped' : 'received',
    sku: 's',
    locationId: 'W1',
    units,
    reference: 'pick-1',
    reason: '',
    ...more,
  };
}

async function parked(): Promise<readonly { readonly reference: string; readonly reason: string }[]> {
  return (await bench.mesh.parked(100)).map(({ reference, reason }) => ({ reference, reason }));
}

const rows = (many: number, onHand: number, asOfMs: number): PlatformCount[] =>
  Array.from({ length: many }, (_, i) => counted(onHand, asOfMs, { sku: `s${i}` }));

describe('refuses', () => {
  test('rows that cannot be tied to a level of this authority, one parked row per place', async () => {
    const sink = sinkOf({ settings: settings({ W1: main, W2: back }) });
    const result = await sink.apply(
      page([
        counted(5, start, { locationId: 'W9' }),
        counted(6, start, { locationId: 'W9', sku: 't' }),
        counted(7, start, { locationId: 'W2' }),
        counted(8, start, { sku: '' }),
        counted(0.5, start, { sku: 'half' }),
        counted(9, start),
      ]),
    );
    expect(result).toMatchObject({ kind: 'applied', counted: 1, changed: 1 });
    const reasons = await parked();
    expect(reasons.map(({ reference }) => reference).toSorted()).toEqual([
      '@W1',
      'half@W1',
      'place:W2',
      'place:W9',
    ]);
    expect(reasons.find(({ reference }) => reference === 'place:W2')?.reason).toContain('authority');
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 9 });
    expect(await levelOf(bench, 's', back)).toMatchObject({ onHand: 0 });
  });

  test('a page in which two places of the WMS would be one location, also when they come one after the other', async () => {
    const sink = sinkOf({ settings: settings({ '*': main }) });
    await sink.apply(page([counted(9, start)]));
    const second = await sink.apply(page([counted(4, start + 1, { locationId: 'W2' })]));
    expect(second).toMatchObject({ kind: 'held' });
    expect(second.reason).toContain('W1 and W2 are both main');
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 9 });
  });

  test('two items of the WMS with one SKU: neither is the figure', async () => {
    await sinkOf().apply(page([counted(5, start, { itemId: '1' }), counted(7, start, { itemId: '2' })]));
    expect(await parked()).toMatchObject([{ reference: 's@main' }]);
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 0 });
  });

  test('a movement told again with other content, and applies the same one once', async () => {
    const sink = sinkOf();
    await sink.apply(page([counted(10, start - hour)]));
    await sink.apply(page([], { movements: [moved(-2, { effectiveAtMs: start })] }));
    await sink.apply(page([], { movements: [moved(-2, { effectiveAtMs: start })] }));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8 });
    await sink.apply(page([], { movements: [moved(-5, { effectiveAtMs: start })] }));
    expect(await parked()).toMatchObject([{ reference: 'm1' }]);
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8 });
    await bench.audit();
  });
});

test('one row that the ledger cannot take is parked, the others flow; a clerk’s words stop nothing', async () => {
  const sink = sinkOf();
  const words = `gebrochen\u001f\n${'ä'.repeat(250)}`;
  const movements = [
    moved(4, { movementId: 'm1', reason: words, reference: '' }),
    moved(3, { movementId: 'm2', effectiveAtMs: -5 }),
    moved(2, { movementId: 'm3' }),
  ];
  expect(await sink.apply(page([], { movements }))).toMatchObject({ kind: 'applied', changed: 2, parked: 1 });
  expect(await parked()).toMatchObject([{ reference: 'm2' }]);
  expect(await levelOf(bench, 's')).toMatchObject({ onHand: 6 });
  await bench.audit();
});

describe('a snapshot is held as a whole', () => {
  const held = async (sink: CountSink, next: CountRows): Promise<string> => {
    const before = (await bench.movements()).length;
    const result = await sink.apply(next);
    expect(result).toMatchObject({ kind: 'held', counted: 0, changed: 0 });
    expect((await bench.movements()).length).toBe(before);
    expect(await parked()).toMatchObject([{ reference: 'stock' }]);
    return result.reason ?? '';
  };

  test('when it is empty', async () => {
    expect(await held(sinkOf(), snapshot([]))).toContain('no rows');
  });

  test('when a fifth of the rows of the last one is missing; one row less may be', async () => {
    const sink = sinkOf();
    await sink.apply(snapshot(rows(10, 5, start)));
    expect(await held(sink, snapshot(rows(7, 6, start + 1)))).toContain('7 rows, the one before held 10');
    // Whoever reads it next, another daemon or this one after a restart, knows the last one too.
    expect(await held(sinkOf(), snapshot(rows(7, 6, start + 1)))).toContain('the one before held 10');
    expect(await sink.apply(snapshot(rows(8, 6, start + 2)))).toMatchObject({ kind: 'applied', changed: 8 });
    expect(await parked()).toEqual([]);
  });

  test('when too many rows with units to sell would become zero', async () => {
    const sink = sinkOf();
    await sink.apply(snapshot(rows(10, 5, start)));
    const zeroed = rows(10, 5, start + 1).map((row, i) => (i < 3 ? { ...row, onHand: 0 } : row));
    expect(await held(sink, snapshot(zeroed))).toContain('zeroes 3 of 10 rows');
    const fewer = rows(10, 5, start + 1).map((row, i) => (i < 2 ? { ...row, onHand: 0 } : row));
    expect(await sink.apply(snapshot(fewer))).toMatchObject({ kind: 'applied', changed: 2 });
    await bench.audit();
  });

  test('but never because of units that orders were promised: their shipment zeroes the shelf', async () => {
    const sink = sinkOf();
    await sink.apply(snapshot(rows(4, 2, start)));
    for (let i = 0; i < 4; i++) {
      const sold = line('a', `s${i}`, { ordered: 2, shipped: 2 });
      await bench.orders.applyOrder(order(`${i}`, [sold]), wmsRouting);
    }
    const after = rows(4, 0, await at(minute));
    expect(await sink.apply(snapshot(after))).toMatchObject({ kind: 'applied', changed: 4 });
    expect(await levelOf(bench, 's0')).toEqual({ onHand: 0, committed: 0, reserved: 0 });
    await bench.audit();
  });

  test('when the connector will not vouch for it', async () => {
    const parkedRow: ParkedRow = { what: 'count', reference: 'r', reason: 'x', content: '{}' };
    const result = await sinkOf().apply({
      kind: 'held',
      source: 'stock',
      reason: 'too old',
      parked: [parkedRow],
    });
    expect(result).toMatchObject({ kind: 'held', reason: 'too old' });
    expect((await parked()).map(({ reference }) => reference).toSorted()).toEqual(['r', 'stock']);
  });
});

describe('rows missing from snapshots', () => {
  test('keep their figure by default', async () => {
    const sink = sinkOf({ stocked: () => ['s', 's0'] as Sku[] });
    await sink.apply(snapshot([counted(5, start), ...rows(9, 5, start)]));
    for (let i = 1; i < 5; i++) await sink.apply(snapshot(rows(9, 5, start + i)));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 5 });
  });

  test('are zero after so many complete snapshots in a row, not after so many in all', async () => {
    const sink = sinkOf({ stocked: () => ['s'] as Sku[] });
    const without = (ms: number) => snapshot(rows(9, 5, start + ms), { zeroMissingAfter: 3 });
    const withIt = (ms: number) =>
      snapshot([counted(5, start + ms), ...rows(9, 5, start + ms)], { zeroMissingAfter: 3 });
    await sink.apply(withIt(0));
    await sink.apply(without(1));
    await sink.apply(without(2));
    await sink.apply(withIt(3));
    await sink.apply(without(4));
    await sink.apply(without(5));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 5 });
    await sink.apply(without(6));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 0 });
    await bench.audit();
  });

  test('keep it when the whole location was not read', async () => {
    const places = settings({ W1: main, W2: back });
    const sink = sinkOf({
      settings: places,
      owned: new Map([
        [main, { pickLagMs: 0 }],
        [back, { pickLagMs: 0 }],
      ]),
      stocked: () => ['s'] as Sku[],
    });
    await receive(bench, 's', 5, back);
    await sink.apply(snapshot(rows(9, 5, start), { zeroMissingAfter: 1 }));
    expect(await levelOf(bench, 's', back)).toMatchObject({ onHand: 5 });
  });
});

describe('order of rows', () => {
  test('a page fetched before a delivery was applied does not overwrite it', async () => {
    const sink = sinkOf();
    await sink.apply(page([counted(7, start + 1_000)]));
    // Before `start`: the delivery is dated back to the ledger's clock, which may not have moved since.
    const late = counted(9, start - 1);
    expect(await sink.apply(page([late]))).toMatchObject({ counted: 0, stale: 1, again: ['s'] });
    expect(await sink.apply(snapshot([late]))).toMatchObject({
      counted: 0,
      stale: 1,
      again: [],
    });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 7 });
    expect(await sink.apply(page([counted(6, start + 2_000)]))).toMatchObject({ counted: 1 });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 6 });
  });

  test('by version, whatever its date, and also for the next daemon', async () => {
    await sinkOf().apply(page([counted(7, start, { version: '10' })]));
    const late = counted(9, start + 1_000, { version: '9' });
    expect(await sinkOf().apply(page([late]))).toMatchObject({ stale: 1 });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 7 });
    // The same version once more is the same figure at a later moment.
    const again = counted(7, start + 2_000, { version: '10' });
    expect(await sinkOf().apply(page([again]))).toMatchObject({ counted: 1, changed: 0 });
  });

  test('within clock skew of a movement the row is asked for again, or parked where that cannot be', async () => {
    const sink = sinkOf({ skewMs: 2_000 });
    await sink.apply(page([counted(10, start - hour)]));
    await sink.apply(page([], { movements: [moved(-1, { effectiveAtMs: start })] }));
    const near = counted(9, start + 500);
    expect(await sink.apply(page([near]))).toMatchObject({ counted: 0, again: ['s'] });
    expect(await sink.apply(page([near], { isOnce: true }))).toMatchObject({
      counted: 0,
      again: [],
      parked: 1,
    });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 9 });
    await at(minute);
    expect(await sink.apply(page([counted(9, start + minute)]))).toMatchObject({ counted: 1, changed: 0 });
    await bench.audit();
  });

  test('an alias of the configuration is our SKU', async () => {
    await sinkOf().apply(page([counted(4, start, { sku: 'OLD' })]));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 4 });
  });
});

describe('where the WMS owns on-hand', () => {
  const fulfil = (shipped: number) =>
    bench.orders.applyOrder(order('1', [line('a', 's', { ordered: shipped, shipped })]), wmsRouting);
  const available = async (): Promise<number> => {
    const { onHand, committed, reserved } = await levelOf(bench, 's');
    return onHand - committed - reserved;
  };

  test('a label at ten, a count at noon that still holds the unit, the pick at six', async () => {
    const sink = sinkOf({}, 8 * hour);
    await sink.apply(snapshot([counted(10, start)]));
    await at(hour);
    await fulfil(1);
    await sink.apply(snapshot([counted(10, await at(3 * hour))]));
    expect(await available()).toBe(9);
    await sink.apply(snapshot([counted(9, await at(10 * hour))]));
    expect(await levelOf(bench, 's')).toEqual({ onHand: 9, committed: 0, reserved: 0 });
    await bench.audit();
  });

  test('pick, count, then the fulfilment is seen: lowered once', async () => {
    const sink = sinkOf();
    await sink.apply(snapshot([counted(10, start)]));
    await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 1 })]), wmsRouting);
    await sink.apply(snapshot([counted(9, await at(2 * minute))]));
    await at(5 * minute);
    await fulfil(1);
    await sink.apply(snapshot([counted(9, await at(hour))]));
    expect(await levelOf(bench, 's')).toEqual({ onHand: 9, committed: 0, reserved: 0 });
    await bench.audit();
  });

  test.each(['damage first', 'count first'])(
    'damage after the moment of a count stays: %s',
    async (first) => {
      const sink = sinkOf();
      await sink.apply(page([counted(20, start - hour)]));
      const damage = page([], {
        movements: [moved(-3, { kind: 'adjusted', effectiveAtMs: start - minute + 10_000 })],
      });
      const count = page([counted(18, start - minute)]);
      for (const next of first === 'damage first' ? [damage, count] : [count, damage]) await sink.apply(next);
      expect(await levelOf(bench, 's')).toMatchObject({ onHand: 15 });
      await bench.audit();
    },
  );

  test.each(['shipment first', 'fulfilment first'])(
    "the WMS's own shipment and the channel's fulfilment are one: %s",
    async (first) => {
      const sink = sinkOf();
      await sink.apply(page([counted(10, start - hour)]));
      await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 2 })]), wmsRouting);
      expect(await available()).toBe(8);
      const ship = () => sink.apply(page([], { movements: [moved(-2)] }));
      if (first === 'shipment first') {
        await ship();
        await fulfil(2);
      } else {
        await fulfil(2);
        await ship();
      }
      await sink.apply(snapshot([counted(8, await at(hour))]));
      expect(await levelOf(bench, 's')).toEqual({ onHand: 8, committed: 0, reserved: 0 });
      await bench.audit();
    },
  );
});
