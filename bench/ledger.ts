import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startPrivateRedis } from '../test/support/redis.ts';
import type { Contender } from './ledger/contender.ts';
import type { HistoryFigures } from './ledger/history-process.ts';
import { conditionalUpdate, forUpdate } from './ledger/postgres-contenders.ts';
import { bareLimit, redlockContender, setnxContender } from './ledger/redis-contenders.ts';
import { stockmeshContender } from './ledger/stockmesh-contender.ts';
import { closedLoop, type LoopResult, median } from './support/closed-loop.ts';
import { startPostgres } from './support/postgres-process.ts';
import { printConditions, printResult, printTable, printVerdict } from './support/report.ts';

const callers = 64;
const rounds = 3;
const cellMs = 1_500;
const warmupMs = 200;
const uniformSkus = 10_000;
const ampleUnits = 1_000_000;
const fewUnits = 300;

type Load = 'hot' | 'uniform';
type Durability = 'everysec' | 'always';

interface Cell {
  readonly name: string;
  readonly durability: string;
  readonly load: Load;
  readonly callers: number;
  readonly runs: LoopResult[];
  readonly serverMicros: number[];
  lost: number;
}

const cells = new Map<string, Cell>();
let oversold = 0;
let lostUpdates = 0;

async function measure(
  contender: Contender,
  durability: string,
  load: Load,
  withCallers: number,
): Promise<void> {
  const skus = load === 'hot' ? 1 : uniformSkus;
  await contender.fill(skus, ampleUnits);
  const take = (_caller: number, n: number): ReturnType<Contender['take']> => contender.take(n % skus, n);
  const warm = await closedLoop({ callers: withCallers, durationMs: warmupMs }, take);
  const before = await contender.serverMicros?.();
  const run = await closedLoop({ callers: withCallers, durationMs: cellMs }, take);
  const after = await contender.serverMicros?.();
  const key = `${contender.name} ${durability} ${load} ${withCallers}`;
  const cell = cells.get(key) ?? {
    name: contender.name,
    durability,
    load,
    callers: withCallers,
    runs: [],
    serverMicros: [],
    lost: 0,
  };
  cells.set(key, cell);
  cell.runs.push(run);
  if (before !== undefined && after !== undefined) cell.serverMicros.push((after - before) / run.ok);
  if (load === 'hot') {
    const lost = warm.ok + run.ok - (await contender.taken(0));
    cell.lost += lost;
    if (contender.name === ours) lostUpdates += Math.abs(lost);
  }
}

/** Few units, many buyers, until nobody gets any more: every unit once, none twice. */
async function sellOut(contender: Contender): Promise<number> {
  await contender.fill(1, fewUnits);
  const run = await closedLoop({ callers, durationMs: 10_000, maxAttempts: fewUnits * 10 }, () =>
    contender.take(0, 0),
  );
  return Math.max(0, run.ok - fewUnits);
}

const ours = 'stockmesh reserve';

async function measureHistory(): Promise<HistoryFigures> {
  const script = new URL('./ledger/history-process.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 300_000 });
  return JSON.parse(stdout) as HistoryFigures;
}

function perS(name: string, durability: string, load: Load): number {
  const cell = cells.get(`${name} ${durability} ${load} ${callers}`);
  return median(cell?.runs.map((run) => run.perS) ?? []);
}

/** Median of the ratios of the rounds: neighbours in time, so that a slow minute of the machine slows both. */
function ratio(
  name: string,
  durability: Durability,
  load: Load,
  against: string,
  againstDurability: string,
): number {
  const a = cells.get(`${name} ${durability} ${load} ${callers}`)?.runs ?? [];
  const b = cells.get(`${against} ${againstDurability} ${load} ${callers}`)?.runs ?? [];
  return median(a.map((run, i) => run.perS / (b[i]?.perS ?? Number.NaN)));
}

printConditions([
  `${callers} callers in one process and one connection each store (PostgreSQL: a pool of 16), ${rounds} interleaved rounds of ${cellMs} ms after ${warmupMs} ms of warm-up; client and server share the machine`,
  'stockmesh: the whole reserve (idempotency, expiry, deadline, hold, sequence, log, epoch fence); concurrent calls share a script call',
  'limit: HGET + HINCRBY + INCR + XADD, one script call each, nothing else',
  'Redis appendfsync everysec and always; PostgreSQL with its defaults (synchronous_commit on)',
]);

const everysec = await startPrivateRedis({ appendfsync: 'everysec' });
const always = await startPrivateRedis({ appendfsync: 'always' });
const postgres = startPostgres();
if (postgres === undefined)
  console.log('condition: PostgreSQL is not installed here; its rows and ratios are missing');
try {
  const contenders: { readonly durability: string; readonly contender: Contender }[] = [
    { durability: 'everysec', contender: await bareLimit(everysec.path) },
    { durability: 'everysec', contender: await stockmeshContender(everysec.path) },
    { durability: 'always', contender: await bareLimit(always.path) },
    { durability: 'always', contender: await stockmeshContender(always.path) },
    { durability: 'everysec', contender: await redlockContender(everysec.path) },
    { durability: 'everysec', contender: await setnxContender(everysec.path) },
  ];
  if (postgres !== undefined) {
    contenders.push({ durability: 'commit', contender: await forUpdate(postgres) });
    contenders.push({ durability: 'commit', contender: await conditionalUpdate(postgres) });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const load of ['hot', 'uniform'] as const) {
      for (const { durability, contender } of contenders) await measure(contender, durability, load, callers);
    }
    for (const { durability, contender } of contenders.slice(0, 4))
      await measure(contender, durability, 'hot', 1);
  }
  for (const { durability, contender } of contenders) {
    const sold = await sellOut(contender);
    if (contender.name === ours) oversold += sold;
    if (sold > 0) console.log(`oversold by ${contender.name} (${durability}): ${sold} of ${fewUnits}`);
  }
  await Promise.all(contenders.map(({ contender }) => contender.close()));
} finally {
  await Promise.all([everysec.stop(), always.stop()]);
  postgres?.stop();
}

printTable(
  ['way', 'durability', 'SKUs', 'callers', 'ok/s', 'p50 ms', 'p99 ms', 'server us', 'lost'],
  [...cells.values()].map((cell) => [
    cell.name,
    cell.durability,
    cell.load === 'hot' ? '1' : String(uniformSkus),
    String(cell.callers),
    median(cell.runs.map((run) => run.perS)),
    median(cell.runs.map((run) => run.p50Ms)),
    median(cell.runs.map((run) => run.p99Ms)),
    cell.serverMicros.length > 0 ? median(cell.serverMicros) : '-',
    cell.load === 'hot' ? String(cell.lost) : '-',
  ]),
);

const { replay, memory } = await measureHistory();
console.log(
  `log replay: ${Math.round(replay.entriesPerS).toLocaleString('en')} entries/s read and coalesced (${replay.entries} entries)`,
);
console.log(
  `memory, measured on a tenth (${memory.skus} SKUs, ${memory.entries} entries) and extrapolated: ${memory.bytesPerEntry.toFixed(0)} B an entry, ${memory.bytesPerSku.toFixed(0)} B a SKU, 10M entries + 1M SKUs = ${memory.extrapolatedGiB.toFixed(2)} GiB`,
);

const limitRuns = cells.get(`bare script (limit) everysec hot ${callers}`)?.runs.map((run) => run.perS) ?? [];
printVerdict(
  'the slowest round of the limit is at most 2.5 times slower than its fastest',
  Math.max(...limitRuns) / Math.min(...limitRuns),
  2.5,
);
console.log(
  'not established: network round trips, Cluster, several writing processes, power loss, Redis 8, Valkey',
);
const microsCell = cells.get(`${ours} everysec hot ${callers}`);
printResult({
  bench: 'ledger',
  ratios: {
    hotReserveToLimit: ratio(ours, 'everysec', 'hot', 'bare script (limit)', 'everysec'),
    uniformReserveToLimit: ratio(ours, 'everysec', 'uniform', 'bare script (limit)', 'everysec'),
    hotReserveToForUpdate:
      postgres === undefined ? null : ratio(ours, 'everysec', 'hot', 'PostgreSQL FOR UPDATE', 'commit'),
    hotReserveAlwaysToForUpdate:
      postgres === undefined ? null : ratio(ours, 'always', 'hot', 'PostgreSQL FOR UPDATE', 'commit'),
    hotReserveAlwaysToLimit: ratio(ours, 'always', 'hot', 'bare script (limit)', 'always'),
    hotReserveToOneStatement:
      postgres === undefined ? null : ratio(ours, 'everysec', 'hot', 'PostgreSQL one statement', 'commit'),
    hotReserveToRedlock: ratio(ours, 'everysec', 'hot', 'redlock', 'everysec'),
    hotReserveToSetNx: ratio(ours, 'everysec', 'hot', 'SET NX with TTL', 'everysec'),
    oneCallerToLimit: median(
      (cells.get(`${ours} everysec hot 1`)?.runs ?? []).map(
        (run, i) => run.perS / (cells.get('bare script (limit) everysec hot 1')?.runs[i]?.perS ?? Number.NaN),
      ),
    ),
  },
  counts: { oversold, lostUpdates },
  figures: {
    serverMicrosPerReserve: median(microsCell?.serverMicros ?? []),
    replayEntriesPerS: replay.entriesPerS,
    reservePerS: perS(ours, 'everysec', 'hot'),
    reserveAlwaysPerS: perS(ours, 'always', 'hot'),
    extrapolatedGiB: memory.extrapolatedGiB,
  },
});
