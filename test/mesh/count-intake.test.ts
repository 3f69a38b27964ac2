import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Connector } from '../../src/connectors/connector.ts';
import type { CountPage, PlatformCount } from '../../src/connectors/counts.ts';
import { StockmeshError } from '../../src/domain/errors.ts';
import type { ChannelId } from '../../src/domain/ids.ts';
import { LevelCommands } from '../../src/ledger/level-commands.ts';
import { CountIntake } from '../../src/mesh/count-intake.ts';
import { CountMetrics } from '../../src/mesh/count-metrics.ts';
import {
  type OrderBench,
  levelOf,
  line,
  main,
  order,
  orderBench,
  wmsRouting,
} from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

const wms = 'wms' as ChannelId;
let bench: OrderBench;
let registry: Registry;
const started: CountIntake[] = [];
/** Redis runs on this machine. The estimate of its clock is behind by as long as a reply waited to be noticed. */
const nowMs = (): number => Date.now();
beforeEach(async () => {
  bench = orderBench();
  await bench.caller.open();
  registry = new Registry();
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((intake) => intake.close()));
  await bench.close();
});

type Reads = Pick<Connector, 'pollCounts'> & Partial<Pick<Connector, 'fetchCounts'>>;

function daemon(
  name: string,
  reads: Reads,
  onAccessLost: (reason: string) => void = () => undefined,
  metrics = new CountMetrics(new Registry()),
): CountIntake {
  const levels = new LevelCommands(bench.caller);
  const intake = new CountIntake({
    settings: {
      id: wms,
      platform: 'wms',
      mode: 'live',
      locations: [{ location: main, platformLocationId: 'W1', wmsOwned: true }],
      sourceRules: new Map(),
      openingFigure: 'on-hand',
      aliases: new Map(),
    },
    owned: new Map([[main, { pickLagMs: 100 }]]),
    connector: { ...reads, capabilities: { requestTimeoutMs: 100 } } as unknown as Connector,
    ledger: {
      applyCount: (count) => bench.counts.applyCount(count),
      adjust: (request) => bench.counts.adjust(request),
      peek: (skus) => levels.peek(skus),
      nowMs,
    },
    leases: bench.publisher,
    mesh: bench.mesh,
    sink: { parkRows: async () => undefined },
    stocked: () => [],
    metrics,
    onCircuit: () => undefined,
    log: pino({ level: 'silent' }),
    holder: name,
    nowMs,
    skewMs: 20,
    isPeak: () => true,
    onComplete: () => undefined,
    onAccessLost,
    poll: { peakIntervalMs: 20, retryMs: 10, hintDelayMs: 1 },
    // No test waits for its end: a process that is stopped for a moment must not lose it.
    leaseTtlMs: 20_000,
  });
  started.push(intake);
  intake.start();
  return intake;
}

const row = (onHand: number): PlatformCount => ({
  sku: 's',
  itemId: 's',
  locationId: 'W1',
  onHand,
  asOfMs: nowMs(),
});

function page(...counts: readonly PlatformCount[]): CountPage {
  return {
    kind: 'changes',
    source: 'stock',
    counts,
    movements: [],
    hints: [],
    parked: [],
    cursor: null,
  };
}

test('one of two daemons reads; when it stops the other goes on', async () => {
  const readings = { one: 0, two: 0 };
  const reads = (name: 'one' | 'two'): Reads => ({
    async *pollCounts() {
      readings[name]++;
      yield page(row(7));
    },
  });
  const one = daemon('one', reads('one'));
  await eventually(() => expect(readings.one).toBeGreaterThan(2));
  const two = daemon('two', reads('two'));
  const before = readings.one;
  await eventually(() => expect(readings.one).toBeGreaterThan(before + 5));
  expect([one.isReading, two.isReading, readings.two]).toEqual([true, false, 0]);
  await one.close();
  await eventually(() => expect(readings.two).toBeGreaterThan(0));
  expect(await levelOf(bench, 's')).toMatchObject({ onHand: 7 });
});

test('what a delivery brings is applied by a daemon that does not read, and repeats change nothing', async () => {
  const reader = daemon('one', {
    async *pollCounts() {
      yield page();
    },
  });
  await eventually(() => expect(reader.isReading).toBe(true));
  const other = daemon('two', {
    async *pollCounts() {
      yield page();
    },
  });
  const received = {
    movementId: 'r1',
    kind: 'received' as const,
    sku: 's',
    locationId: 'W1',
    units: 4,
    effectiveAtMs: nowMs(),
    reference: 'PO 1',
    reason: '',
  };
  await other.deliver({ movements: [received] });
  await other.deliver({ movements: [received] });
  await reader.deliver({ movements: [received] });
  expect(other.isReading).toBe(false);
  expect(await levelOf(bench, 's')).toMatchObject({ onHand: 4 });
});

test('refused access is told once per reading, counted as failed, and reading goes on when it is granted again', async () => {
  let isRefused = true;
  const lost: string[] = [];
  const metrics = new CountMetrics(registry);
  daemon(
    'one',
    {
      async *pollCounts() {
        if (isRefused) {
          throw new StockmeshError('CONNECTOR_ACCESS_DENIED', {
            platform: 'wms',
            operation: 'stock',
            reason: 'the token is revoked',
            remedy: 'make a new one',
          });
        }
        yield page(row(3));
      },
    },
    (reason) => lost.push(reason),
    metrics,
  );
  await eventually(() => expect(lost.length).toBeGreaterThan(0));
  expect(lost[0]).toContain('revoked');
  isRefused = false;
  await eventually(async () => expect(await levelOf(bench, 's')).toMatchObject({ onHand: 3 }));
  await eventually(async () => {
    const text = await registry.metrics();
    expect(text).toMatch(/stockmesh_count_readings_total\{channel="wms",outcome="failed"\} [1-9]/);
    expect(text).toMatch(/stockmesh_count_readings_total\{channel="wms",outcome="complete"\} [1-9]/);
    expect(text).toMatch(/stockmesh_count_rows_total\{channel="wms",outcome="changed"\} 1\n/);
    expect(text).toMatch(/stockmesh_count_age_seconds\{channel="wms"\} \d/);
  });
});

test('units marked shipping are given free soon after the lag, though the warehouse tells of no change', async () => {
  const asked: string[] = [];
  let isFirst = true;
  const intake = daemon('one', {
    async *pollCounts() {
      yield isFirst ? page(row(8)) : page();
      isFirst = false;
    },
    async fetchCounts(itemIds) {
      asked.push(...itemIds);
      return page(row(8));
    },
  });
  await eventually(async () => expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8 }));
  // The warehouse has picked and counted before the label is seen here.
  await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 2, shipped: 2 })]), wmsRouting);
  expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8, committed: 2 });
  intake.onEntries(await bench.movements());
  await eventually(async () => expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8, committed: 0 }));
  expect(asked).toContain('s');
});

test('units marked shipping before the lease changes hands are asked for by the next reader', async () => {
  let isFirst = true;
  const source: Parameters<typeof daemon>[1] = {
    async *pollCounts() {
      yield isFirst ? page(row(8)) : page();
      isFirst = false;
    },
    fetchCounts: async () => page(row(8)),
  };
  const one = daemon('one', source);
  await eventually(async () => expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8 }));
  const two = daemon('two', source);
  // It knows the item from a delivery.
  await two.deliver({ counts: [row(8)] });
  await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 2, shipped: 2 })]), wmsRouting);
  // Only the daemon that does not read hears of it: the other one is about to go.
  two.onEntries(await bench.movements());
  expect([one.isReading, two.isReading]).toEqual([true, false]);
  await one.close();
  await eventually(async () => expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8, committed: 0 }));
});
