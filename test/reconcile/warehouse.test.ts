import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Connector } from '../../src/connectors/connector.ts';
import type { CountPage, PlatformCount } from '../../src/connectors/counts.ts';
import type { ChannelId, Sku } from '../../src/domain/ids.ts';
import { type DriftAction, defaultDriftPolicy } from '../../src/domain/verdict.ts';
import { RedisLedger } from '../../src/ledger/redis-ledger.ts';
import { RecordCommands } from '../../src/ledger/record-commands.ts';
import { KeptRecords } from '../../src/mesh/kept-records.ts';
import { meshKeys } from '../../src/mesh/mesh-keys.ts';
import { FindingStore } from '../../src/reconcile/finding-store.ts';
import type { Finding } from '../../src/reconcile/finding.ts';
import { ReconcileMetrics } from '../../src/reconcile/reconcile-metrics.ts';
import type { Run } from '../../src/reconcile/run.ts';
import { RunStore } from '../../src/reconcile/run-store.ts';
import { timeId } from '../../src/reconcile/time-id.ts';
import { WarehouseReconciler } from '../../src/reconcile/warehouse-reconciler.ts';
import { eventually } from '../support/eventually.ts';
import { type OrderBench, line, main, order, orderBench, wmsRouting } from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

const wms = 'wms' as ChannelId;
let bench: OrderBench;
let ledger: RedisLedger;
let runs: RunStore;
let findings: FindingStore;
let reconciler: WarehouseReconciler | undefined;
/** What the warehouse counts, and what reconciliation asked of the intake. */
let counted: Map<string, number>;
let doorbells: string[];

beforeEach(async () => {
  bench = orderBench();
  await bench.caller.open();
  ledger = new RedisLedger(bench.caller, bench.clock);
  const keys = meshKeys(bench.keys);
  const records = (key: string) => new KeptRecords(bench.redis, key);
  const nowMs = () => ledger.nowMs();
  runs = new RunStore({
    runs: records(keys.runs),
    requests: new RecordCommands(bench.caller),
    nowMs,
    keepRuns: 100,
    keepMs: 86_400_000,
  });
  findings = new FindingStore({
    open: records(keys.openFindings),
    closed: records(keys.closedFindings),
    nowMs,
    maxOpen: 100,
    keepClosed: 100,
    keepMs: 86_400_000,
  });
  counted = new Map([
    ['X', 10],
    ['Y', 5],
  ]);
  doorbells = [];
  for (const [sku, units] of counted)
    await ledger.adjust({
      operationId: `open-${sku}`,
      movement: 'received',
      sku: sku as Sku,
      location: main,
      units,
      reference: '',
      reason: '',
      actor: 'test',
    });
});

afterEach(async () => {
  await reconciler?.close();
  reconciler = undefined;
  await bench.close();
});

function rows(skus: Iterable<string> = counted.keys()): readonly PlatformCount[] {
  return [...skus].map((sku) => {
    const onHand = counted.get(sku) ?? 0;
    return { sku, itemId: `item-${sku}`, locationId: 'W1', onHand, asOfMs: Date.now() };
  });
}

function page(counts: readonly PlatformCount[]): CountPage {
  return { kind: 'snapshot', source: 'stock', counts, movements: [], hints: [], parked: [], cursor: null };
}

async function* usual(): AsyncGenerator<CountPage> {
  yield page(rows());
}

/** A reading for comparison alone: these pages, one after the other. */
function inPages(...pages: readonly (() => CountPage)[]): NonNullable<Connector['compareCounts']> {
  return async function* () {
    for (const made of pages) yield made();
  };
}

function start(
  action: DriftAction,
  pollCounts: NonNullable<Connector['pollCounts']> = usual,
  threeWay?: ConstructorParameters<typeof WarehouseReconciler>[0]['threeWay'],
  compareCounts?: NonNullable<Connector['compareCounts']>,
): WarehouseReconciler {
  const started = new WarehouseReconciler({
    warehouse: {
      id: wms,
      channel: {
        id: wms,
        platform: 'wms',
        mode: 'live',
        locations: ['W1', 'W9'].map((platformLocationId) => ({
          location: main,
          platformLocationId,
          wmsOwned: true,
        })),
        sourceRules: new Map(),
        openingFigure: 'on-hand',
        aliases: new Map(),
      },
      owned: new Map([[main, { pickLagMs: 0 }]]),
      connector: {
        pollCounts,
        ...(compareCounts === undefined ? {} : { compareCounts }),
        fetchCounts: async (items) => page(rows(items.map((item) => item.replace('item-', '')))),
        capabilities: { readStockBatchSize: 10 } as Connector['capabilities'],
      },
      intake: {
        isReading: true,
        pollNow: () => undefined,
        doorbell: (items) => void doorbells.push(...items),
      },
      settings: { mode: 'repair', policy: { ...defaultDriftPolicy, 'count-differs': action }, spacingMs: 20 },
    },
    runs,
    findings,
    ledger,
    threeWay,
    metrics: new ReconcileMetrics(new Registry()),
    log: pino({ level: 'silent' }),
  });
  started.start();
  reconciler = started;
  return started;
}

async function reconcile(more: { readonly isDryRun?: boolean } = {}): Promise<Run> {
  const runId = timeId(ledger.nowMs());
  const askedAtMs = ledger.nowMs();
  const request = { runId, kind: 'full', cause: 'operator', actor: 'test', skus: [], askedAtMs } as const;
  await runs.ask(wms, { ...request, isDryRun: more.isDryRun ?? false });
  let run: Run | undefined;
  await eventually(async () => {
    run = await runs.run(runId);
    expect(run?.state ?? 'running').not.toBe('running');
  }, 20_000);
  if (run === undefined) throw new Error('no run');
  return run;
}

const open = async (): Promise<readonly Finding[]> => findings.listOpen(100);

test.each<[string, NonNullable<Connector['pollCounts']>, string]>([
  [
    'held by its own guard',
    async function* () {
      yield { kind: 'held', source: 'stock', reason: 'half of the rows are missing', parked: [] };
    },
    'half of the rows are missing',
  ],
  [
    'empty',
    async function* () {
      yield page([]);
    },
    'empty',
  ],
  [
    'broken off in the middle',
    async function* () {
      yield page(rows(['X']));
      throw new Error('socket hang up');
    },
    'socket hang up',
  ],
  [
    'of two places that are one location',
    async function* () {
      const [first] = rows(['X']);
      if (first !== undefined) yield page([first, { ...first, sku: 'Y', locationId: 'W9' }]);
    },
    'W1 and W9 are both main',
  ],
])('an answer that is %s repairs nothing', async (_what, pollCounts, reason) => {
  counted.set('X', 3);
  start('adopt', pollCounts);
  const run = await reconcile();
  expect(run).toMatchObject({ state: 'aborted', reason: expect.stringContaining(reason) });
  expect(await open()).toEqual([]);
  expect(doorbells).toEqual([]);
});

test.each<[string, readonly (() => CountPage)[], string]>([
  [
    'held at its end',
    [() => page(rows()), () => ({ kind: 'held', source: 'stock', reason: '9 of 10 rows', parked: [] })],
    'held: 9 of 10 rows',
  ],
  [
    'broken off behind a page',
    [
      () => page(rows()),
      () => {
        throw new Error('two pages in a row are the same');
      },
    ],
    'two pages in a row are the same',
  ],
  [
    'of two places that are one location, on two pages',
    [() => page(rows(['X'])), () => page(rows(['Y']).map((one) => ({ ...one, locationId: 'W9' })))],
    'W1 and W9 are both main',
  ],
])('pages of a reading that is %s repair and resolve nothing', async (_what, pages, reason) => {
  counted.set('X', 7);
  start('park', usual);
  await reconcile();
  await reconciler?.close();
  expect(await open()).toMatchObject([{ sku: 'X', state: 'parked' }]);
  counted.set('X', 10);
  counted.set('Y', 2);
  start('adopt', usual, undefined, inPages(...pages));
  const run = await reconcile();
  expect(run).toMatchObject({ state: 'aborted', reason: expect.stringContaining(reason), resolved: 0 });
  // X seemed to agree again and Y to differ: neither counts.
  expect(await open()).toMatchObject([{ sku: 'X', state: 'parked' }]);
  expect(doorbells).toEqual([]);
});

test('what seemed over is resolved at the end of a complete reading', async () => {
  counted.set('X', 7);
  start('park', usual);
  await reconcile();
  await reconciler?.close();
  counted.set('X', 10);
  start(
    'park',
    usual,
    undefined,
    inPages(
      () => page(rows(['X'])),
      () => page(rows(['Y'])),
    ),
  );
  expect(await reconcile()).toMatchObject({ state: 'completed', rows: 2, resolved: 1 });
  expect(await open()).toEqual([]);
});

test('a row that moved over the border of a page counts by its later look', async () => {
  const late = (units: number) => (): CountPage => {
    counted.set('X', units);
    return page(rows(['X']));
  };
  start(
    'park',
    usual,
    undefined,
    inPages(late(7), () => page(rows(['Y'])), late(10)),
  );
  expect(await reconcile()).toMatchObject({ rows: 3, opened: 0, byVerdict: { agrees: 3 } });
  await reconciler?.close();
  start(
    'park',
    usual,
    undefined,
    inPages(late(10), () => page(rows(['Y'])), late(7)),
  );
  expect(await reconcile()).toMatchObject({ opened: 1, driftUnits: 3 });
});

test('two items with one SKU at one place, on two pages: neither is judged by', async () => {
  const other = (): CountPage =>
    page(rows(['X']).map((one) => ({ ...one, itemId: 'item-other', onHand: 1 })));
  start(
    'adopt',
    usual,
    undefined,
    inPages(
      () => page(rows()),
      other,
      () => page(rows(['X'])),
    ),
  );
  expect(await reconcile()).toMatchObject({ state: 'completed', opened: 0, unjudged: 2 });
  expect(await open()).toEqual([]);
});

test('a count that changes while it is read is no finding', async () => {
  counted.set('X', 7);
  const changing = async function* (): AsyncGenerator<CountPage> {
    yield page(rows());
    counted.set('X', 10);
  };
  start('adopt', changing);
  expect(await reconcile()).toMatchObject({ state: 'completed', opened: 0, byVerdict: { agrees: 2 } });
  expect(doorbells).toEqual([]);
});

test('physical loss: three counts, a word of the channels, and the warehouse is asked to apply its own count', async () => {
  counted.set('X', 7);
  start('adopt', usual, { ofCount: async () => 'warehouse' });
  expect(await reconcile()).toMatchObject({ state: 'completed', opened: 1, actions: 1, driftUnits: 3 });
  expect(await open()).toMatchObject([
    {
      sku: 'X',
      location: main,
      verdict: 'count-differs',
      cause: 'warehouse-lost',
      odd: 'warehouse',
      shown: 7,
      units: -3,
      reads: 3,
      state: 'acted',
    },
  ]);
  expect(doorbells).toEqual(['item-X']);
  // The ledger is not touched by reconciliation; the intake applies the count.
  expect((await ledger.peek(['X' as Sku])).levels.get('X' as Sku)?.get(main)?.onHand).toBe(10);
  counted.set('X', 10);
  expect(await reconcile()).toMatchObject({ resolved: 1 });
  expect(await open()).toEqual([]);
});

test('found goods wait for a person by default, and a dry run only tells', async () => {
  counted.set('Y', 9);
  start('park');
  expect(await reconcile({ isDryRun: true })).toMatchObject({ opened: 1, actions: 0 });
  expect(await open()).toMatchObject([{ state: 'open', cause: 'warehouse-found', odd: 'unclear' }]);
  await reconcile();
  expect(await open()).toMatchObject([{ sku: 'Y', state: 'parked', units: 4 }]);
});

test('goods promised to orders may have left already', async () => {
  await bench.orders.applyOrder(order('1', [line('1', 'X', { ordered: 2 })]), wmsRouting);
  counted.set('X', 8);
  start('adopt');
  expect(await reconcile()).toMatchObject({ opened: 0, byVerdict: { agrees: 2 } });
});

test('asked for one SKU it says what it counts now, after it has read its items once', async () => {
  const witness = start('park');
  expect(await witness.countsOf('X' as Sku)).toBeUndefined();
  await reconcile();
  counted.set('X', 4);
  expect(await witness.countsOf('X' as Sku)).toMatchObject([{ sku: 'X', location: main, onHand: 4 }]);
  // Every question costs the platform's budget: so many a minute, and no more.
  for (let n = 0; n < 59; n++) await witness.countsOf('Y' as Sku);
  expect(await witness.countsOf('X' as Sku)).toBeUndefined();
});
