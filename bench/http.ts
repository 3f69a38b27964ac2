import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import autocannon, { type Result } from 'autocannon';
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
import { median } from './support/closed-loop.ts';
import { printConditions, printResult, printTable, printVerdict } from './support/report.ts';

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
const cellS = 3;
const fewUnits = 300;

/** Runs of one cell, oldest first. */
const runs = new Map<string, Result[]>();

async function measure(cell: string, url: string, connections: number, body?: object): Promise<void> {
  const result = await autocannon({
    url,
    connections,
    duration: cellS,
    timeout: 20,
    ...(body === undefined
      ? {}
      : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const known = runs.get(cell);
  if (known === undefined) runs.set(cell, [result]);
  else known.push(result);
  await delay(200);
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
    'caller: this machine without a key (no pace); one hot SKU; one hold per request, 300 s',
  ]);
  const reserve = { sku: 'HOT', quantity: 1, ttl_seconds: 300 };
  const ours = `${daemon.privateUrl}/inventory/v1`;
  const theirs = `http://127.0.0.1:${barePort}`;
  for (let round = 0; round < rounds; round++) {
    for (const connections of [64, 1_000]) {
      await measure(`bare reserve ${connections}`, `${theirs}/reserve`, connections, { sku: 'HOT' });
      await measure(`reserve ${connections}`, `${ours}/reservations`, connections, reserve);
    }
    await measure('bare availability 64', `${theirs}/availability`, 64);
    await measure('availability 64', `${ours}/availability?sku=HOT`, 64);
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
      reserveP99MsAt1000: p99('reserve 1000'),
      bareP99MsAt1000: p99('bare reserve 1000'),
      availabilityPerS: perS('availability 64'),
    },
  });
} finally {
  bare.kill('SIGTERM');
  await daemon.remove();
  await bareRedis.stop();
}
