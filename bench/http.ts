import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { Redis } from 'ioredis';
import { parseMerchantId, parseLocationId, parseSku } from '../src/domain/ids.ts';
import { ledgerKeys } from '../src/ledger/keys.ts';
import { SeenPosition } from '../src/ledger/position.ts';
import { RedisLedger } from '../src/ledger/redis-ledger.ts';
import { ScriptCaller } from '../src/ledger/script-caller.ts';
import { readScripts } from '../src/ledger/script-loader.ts';
import { ServerClock } from '../src/ledger/server-clock.ts';
import { DaemonUnderTest } from '../test/e2e/daemon.ts';
import { freePort } from '../test/support/free-port.ts';
import { startPrivateRedis } from '../test/support/redis.ts';
import { type LoadResult, pacedLoad } from './http/paced-load.ts';
import { untilQuiet } from './http/quiet.ts';
import { median } from './support/closed-loop.ts';
import { printConditions, printResult, printTable, printVerdict } from './support/report.ts';

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
const cellS = Number(process.env['BENCH_CELL_S'] ?? 3);
const fewUnits = 300;
/**
 * Of 1,000 open connections together. A closed loop at saturation measures its own queue: 1,000 connections that each wait for
 * an answer before they ask again make every answer wait for 1,000 / throughput, whatever is behind it.
 */
const arrivalsPerS = Number(process.env['BENCH_ARRIVALS'] ?? 1_000);

/** Runs of one cell, oldest first. */
const runs = new Map<string, LoadResult[]>();

interface Cell {
  readonly name: string;
  readonly url: string;
  readonly connections: number;
  readonly body?: object;
  /** Requests per second of all connections together; absent: each asks again as soon as it is answered. */
  readonly arrivalsPerS?: number;
}

async function load(
  { url, connections, body, arrivalsPerS: rate }: Cell,
  seconds: number,
): Promise<LoadResult> {
  if (rate !== undefined && body !== undefined)
    return pacedLoad({ url, body, connections, arrivalsPerS: rate, seconds });
  return autocannon({
    url,
    connections,
    duration: seconds,
    timeout: 20,
    ...(body === undefined
      ? {}
      : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
}

async function measure(cell: Cell, pids: readonly number[]): Promise<void> {
  await untilQuiet(pids);
  const result = await load(cell, cellS);
  const known = runs.get(cell.name);
  if (known === undefined) runs.set(cell.name, [result]);
  else known.push(result);
}

function perS(cell: string): number {
  return median((runs.get(cell) ?? []).map((run) => run['2xx'] / run.duration));
}

function p99(cell: string): number {
  return median((runs.get(cell) ?? []).map((run) => run.latency.p99));
}

function ok<T>(
  parsed: { readonly kind: 'ok'; readonly value: T } | { readonly kind: 'bad'; readonly reason: string },
): T {
  if (parsed.kind === 'bad') throw new Error(parsed.reason);
  return parsed.value;
}

async function stock(socket: string, units: Readonly<Record<string, number>>): Promise<void> {
  const redis = new Redis({ path: socket });
  const clock = new ServerClock();
  const keys = ledgerKeys(ok(parseMerchantId('e2e')));
  const caller = new ScriptCaller({
    redis,
    keys,
    source: readScripts(),
    seen: new SeenPosition(),
    clock,
    actor: 'bench',
  });
  const ledger = new RedisLedger(caller, clock);
  for (const [sku, n] of Object.entries(units)) {
    const common = {
      reference: 'bench',
      reason: 'bench',
      actor: 'bench',
      location: ok(parseLocationId('main')),
    };
    await ledger.adjust({
      ...common,
      operationId: `bench-${sku}`,
      movement: 'received',
      sku: ok(parseSku(sku)),
      units: n,
    });
  }
  await redis.quit();
}

const daemon = await DaemonUnderTest.make({ shops: [], config: { logLevel: 'warn' } });
const bareRedis = await startPrivateRedis({ appendfsync: 'always' });
const barePort = await freePort();
const bare = fork(new URL('http/bare-server.ts', import.meta.url), [bareRedis.path, String(barePort)]);
try {
  await once(bare, 'message');
  daemon.start();
  await daemon.ready(60_000);
  await stock(join(daemon.dir, 'state/redis/redis.sock'), { HOT: 100_000_000, FEW: fewUnits });
  await daemon.until(async () => (await daemon.available('FEW')) === fewUnits, 'stocked');
  printConditions([
    `both ends on loopback, load from this process (autocannon), ${rounds} interleaved rounds of ${cellS} s per cell, medians`,
    'both Redis with appendonly yes, appendfsync always; the daemon whole: log reader, sweeps, audit log, idempotency look-up',
    'the bare route is sent the same requests and answers JSON of the same size',
    'caller: this machine without a key (no pace); one hot SKU; one hold per request, 300 s',
    `64 and 1000: closed loop, each connection asks again when it is answered (saturation); 1000 paced: ${arrivalsPerS} requests/s, evenly, over 1,000 open connections, each answer counted from when its request was due`,
    'contenders take turns; before each cell until both are quiet',
  ]);
  const reserve = { sku: 'HOT', quantity: 1, ttl_seconds: 300 };
  const ours = `${daemon.privateUrl}/inventory/v1`;
  const theirs = `http://127.0.0.1:${barePort}`;
  const bareReserve = { url: `${theirs}/reserve`, body: reserve };
  const ourReserve = { url: `${ours}/reservations`, body: reserve };
  const pairs: readonly (readonly [Cell, Cell])[] = [
    ...[64, 1_000].map((connections): [Cell, Cell] => [
      { name: `bare reserve ${connections}`, connections, ...bareReserve },
      { name: `reserve ${connections}`, connections, ...ourReserve },
    ]),
    [
      { name: 'bare reserve 1000 paced', connections: 1_000, arrivalsPerS, ...bareReserve },
      { name: 'reserve 1000 paced', connections: 1_000, arrivalsPerS, ...ourReserve },
    ],
    [
      { name: 'bare availability 64', url: `${theirs}/availability?sku=HOT`, connections: 64 },
      { name: 'availability 64', url: `${ours}/availability?sku=HOT`, connections: 64 },
    ],
  ];
  const pids = [daemon.pid, bare.pid ?? 0];
  // Both compile their code before anything counts.
  for (const cell of pairs.flat()) if (cell.connections === 64) await load(cell, 1);
  for (let round = 0; round < rounds; round++) {
    // Whoever comes second meets what the first left in the machine: they take turns.
    for (const pair of pairs)
      for (const cell of round % 2 === 0 ? pair : pair.toReversed()) await measure(cell, pids);
  }
  const few = await autocannon({
    url: `${ours}/reservations`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...reserve, sku: 'FEW' }),
    connections: 64,
    amount: fewUnits * 4,
  });
  const findings = await daemon.findings();
  printTable(
    ['cell', 'accepted/s', 'p50 ms', 'p99 ms', 'max ms', 'refused', 'errors'],
    [...runs].map(([cell, list]) => [
      cell,
      perS(cell),
      median(list.map(({ latency }) => latency.p50)),
      p99(cell),
      Math.max(...list.map(({ latency }) => latency.max)),
      list.reduce((sum, { non2xx }) => sum + non2xx, 0),
      list.reduce((sum, { errors, timeouts }) => sum + errors + timeouts, 0),
    ]),
  );
  const bareRates = (runs.get('bare reserve 64') ?? []).map((run) => run['2xx'] / run.duration);
  printVerdict(
    'fastest over slowest round of the bare route at 64 connections',
    Math.max(...bareRates) / Math.min(...bareRates),
    1.5,
  );
  console.log(
    'not established: anything over a network, with TLS, with API keys, or with the load on another machine; 1,000 connections share two cores with their own load generator',
  );
  printResult({
    bench: 'http',
    ratios: {
      reserveToBareRoute: perS('reserve 64') / perS('bare reserve 64'),
      reserveToBareRouteAt1000: perS('reserve 1000') / perS('bare reserve 1000'),
      availabilityToBareRoute: perS('availability 64') / perS('bare availability 64'),
    },
    counts: {
      oversold: Math.max(0, few['2xx'] - fewUnits),
      ledgerFindings: findings.length,
      soldOfFew: few['2xx'],
    },
    figures: {
      reservePerSAt64: perS('reserve 64'),
      reservePerSAt1000: perS('reserve 1000'),
      reserveP99MsAt64: p99('reserve 64'),
      reserveP99MsAt1000: p99('reserve 1000 paced'),
      bareP99MsAt1000: p99('bare reserve 1000 paced'),
      pacedPerS: perS('reserve 1000 paced'),
      saturatedP99MsAt1000: p99('reserve 1000'),
      bareSaturatedP99MsAt1000: p99('bare reserve 1000'),
      leastMsAt1000Saturated: 1_000_000 / perS('reserve 1000'),
      availabilityPerS: perS('availability 64'),
      bareAvailabilityPerS: perS('bare availability 64'),
    },
  });
} finally {
  bare.kill('SIGTERM');
  await daemon.remove();
  await bareRedis.stop();
}
