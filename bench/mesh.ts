import { setTimeout as delay } from 'node:timers/promises';
import type { FourPlatforms } from '../demo/emulators/four-platforms.ts';
import { planReplay } from '../demo/replay-plan.ts';
import type { WantedLine } from '../demo/selling-channel.ts';
import { measureAccept } from './mesh/accept.ts';
import { type LoadResult, runLoad, Shelves } from './mesh/load.ts';
import { type ContenderKind, openSetting, type Setting } from './mesh/setting.ts';
import type { LoopResult } from './support/closed-loop.ts';
import { printConditions, printResult, printTable, printVerdict } from './support/report.ts';

const rates = [5, 20, 60] as const;
const judgedRate = 20;
const loadMs = Number(process.env['BENCH_LOAD_MS'] ?? 6_000);
const warmUpMs = 4_000;
const agreeWithinMs = 10_000;
const serialChanges = 300;
/** Right after a load, while what it wrote is still read back. */
const serialAfterLoad = 60;
const restMs = 10_000;
const burstSkus = 1_000;
/** The sample's mean basket of 23 lines, without its few wholesale orders: TikTok makes a line of every unit. */
const maxLines = 200;
const maxOrderUnits = 1_000;
const ampleUnits = 50_000;
const maxSpread = 2;

const plan = planReplay({
  csvPath: new URL('../demo/orders/online-retail-sample.csv', import.meta.url),
  adjustmentsPath: new URL('../demo/orders/online-retail-adjustments.csv.gz', import.meta.url),
  channels: [{ id: 'any', weight: 1, maxLines: 2_000, hearsWithinMs: 1_000 }],
  durationMs: 60_000,
  maxAdjustments: 0,
});
const unitsOf = (lines: readonly WantedLine[]): number => lines.reduce((sum, { units }) => sum + units, 0);
const baskets: readonly (readonly WantedLine[])[] = plan.orders
  .filter(({ lines }) => lines.length <= maxLines && unitsOf(lines) <= maxOrderUnits)
  .map(({ lines }) => lines);
const lineCount = baskets.reduce((sum, lines) => sum + lines.length, 0);
const skus = [...new Set([...baskets.flat().map(({ sku }) => sku), ...plan.openingUnits.keys()])].slice(
  0,
  Math.max(burstSkus, new Set(baskets.flat().map(({ sku }) => sku)).size),
);
const stock = new Map(skus.map((sku) => [sku, ampleUnits]));

interface Run {
  readonly loads: ReadonlyMap<number, LoadResult>;
  /** By the contender's own count: values equal to what it believed, with nothing open. Undefined: it keeps no such count. */
  readonly needlessWrites: number | undefined;
  /** By the platforms: the number was already there, for instance where an own sale crossed a write. */
  readonly unchangingWrites: number;
  readonly writes: number;
  readonly disagreements: number;
  readonly violations: number;
  /** Units sold beyond what was in the house. */
  readonly oversold: number;
}

function wrongNumbers(platforms: FourPlatforms, { sold }: Shelves): number {
  let wrong = 0;
  for (const sku of skus)
    for (const channel of platforms.selling)
      if (channel.shown(sku) !== ampleUnits - (sold.get(sku) ?? 0)) wrong++;
  return wrong;
}

/** Waits until every number is right; not for ever, because not every contender gets there. */
async function agreed(platforms: FourPlatforms, shelves: Shelves): Promise<void> {
  const untilMs = performance.now() + agreeWithinMs;
  while (wrongNumbers(platforms, shelves) > 0 && performance.now() < untilMs) await delay(250);
}

async function contend(
  kind: ContenderKind,
  rounds: readonly number[],
  after?: (setting: Setting, shelves: Shelves) => Promise<void>,
): Promise<Run> {
  const setting = await openSetting(kind, stock, 'none');
  try {
    const { platforms } = setting;
    const shelves = new Shelves(platforms);
    const channels = platforms.selling.map(({ id }) => id);
    // Connections, caches and compiled code: the same for every contender.
    await runLoad(shelves, channels, baskets, 10, warmUpMs, () => 0, 20_000);
    // What is still to be corrected from one load would be counted as missing in the next.
    await agreed(platforms, shelves);
    shelves.unchangingWrites = 0;
    const loads = new Map<number, LoadResult>();
    const quietMs = kind === 'stockmesh' ? 20_000 : 8_000;
    for (const rate of rounds) {
      const load = await runLoad(shelves, channels, baskets, rate, loadMs, setting.cpuS, quietMs);
      loads.set(rate, load);
      await agreed(platforms, shelves);
      console.error(`${kind} ${rate}/s: p50 ${load.all.p50} p99 ${load.all.p99} ms, ${load.lost} not shown`);
    }
    await after?.(setting, shelves);
    // Numbers that were accepted late, and what the contender still wants to say.
    await delay(2_000);
    const disagreements = wrongNumbers(platforms, shelves);
    let oversold = 0;
    for (const sku of skus) oversold += Math.max(0, (shelves.sold.get(sku) ?? 0) - ampleUnits);
    const { unchangingWrites, writes } = shelves;
    return {
      loads,
      needlessWrites: await setting.needlessWrites(),
      unchangingWrites,
      writes,
      disagreements,
      violations: platforms.violations().length,
      oversold,
    };
  } finally {
    await setting.stop();
  }
}

interface OwnFigures {
  readonly serialAfterLoadMs: readonly number[];
  readonly serialMs: readonly number[];
  readonly burstMs: number;
  readonly accept: LoopResult;
}

/** What the closest rival was measured by (one change at a time; a thousand SKUs at once; webhooks). */
async function ownFigures(setting: Setting, shelves: Shelves): Promise<OwnFigures> {
  const serialAfterLoadMs = await oneAtATime(shelves, serialAfterLoad);
  // The rival had nothing else to do either.
  await delay(restMs);
  const serialMs = await oneAtATime(shelves, serialChanges);
  shelves.begin();
  const burstMs = performance.now();
  for (let start = 0; start < burstSkus; start += 100)
    shelves.buy(
      0,
      skus.slice(start, start + 100).map((sku) => ({ sku, units: 1 })),
    );
  await shelves.quiet(60_000);
  const lastMs = shelves.lastWriteMs - burstMs;
  const shop = setting.platforms.shopify.shops[0];
  if (shop === undefined) throw new Error('no shop');
  const accept = await measureAccept(setting.publicUrl, 'north', shop, 32, 4_000);
  console.error(
    `burst ${lastMs} ms; accept ${accept.perS}/s p99 ${accept.p99Ms} ms; one at a time ${serialMs.join(' ')}`,
  );
  return { serialAfterLoadMs, serialMs, burstMs: lastMs, accept };
}

/** What each change took until every other channel showed it, sorted. */
async function oneAtATime(shelves: Shelves, changes: number): Promise<readonly number[]> {
  const tookMs: number[] = [];
  for (let n = 0; n < changes; n++) {
    shelves.begin();
    const startedMs = performance.now();
    shelves.buy(0, [{ sku: skus[n % skus.length] ?? '', units: 1 }]);
    while (shelves.clock.waiting() > 0 && performance.now() - startedMs < 10_000) await delay(1);
    tookMs.push(Math.round(performance.now() - startedMs));
  }
  return tookMs.toSorted((a, b) => a - b);
}

printConditions([
  `two Shopify shops, Amazon, TikTok Shop and a ShipHero warehouse, emulated in this process; the contender is one process of its own; everything shares the machine`,
  `${skus.length} SKUs, all of them on every channel; ${baskets.length} real baskets of the shipped sample with at most ${maxLines} lines and ${maxOrderUnits} units, ${(lineCount / baskets.length).toFixed(1)} on average, over and over; channels take turns; ${loadMs} ms per rate`,
  'sale-to-shelf: from the order at one channel to the write at another one that makes it show the sale; all lines of all orders, to three channels each',
  `one change at a time: ${serialAfterLoad} right after the load of ${rates.at(-1)} orders/s, then ${serialChanges} after ${restMs} ms of rest; the second are serialChange*`,
  'limits of platforms off, their delays 0; stockmesh with appendfsync always',
  'relay: webhook in, one request per channel and product out, number in memory, nothing durable; jobs: one BullMQ job per channel and line on Redis with appendfsync always, absolute numbers, 8 workers a channel',
]);

const relay = await contend('relay', rates);
const jobs = await contend('jobs', rates);
let own: OwnFigures | undefined;
const ours = await contend('stockmesh', rates, async (setting, shelves) => {
  own = await ownFigures(setting, shelves);
});
const control = await contend('relay', [judgedRate]);

const rows: (string | number)[][] = [];
for (const [name, run] of Object.entries({ relay, jobs, stockmesh: ours, 'relay again': control })) {
  for (const [rate, load] of run.loads) {
    rows.push([
      name,
      rate,
      load.lines,
      load.all.p50,
      load.all.p95,
      load.all.p99,
      load.lost,
      load.backlogSlopePerS,
      load.cpuMsPerOrder,
    ]);
    for (const [channel, { p50, p95, p99 }] of load.byChannel)
      rows.push([`  ${channel}`, rate, '', p50, p95, p99, '', '', '']);
  }
}
printTable(
  ['contender', 'orders/s', 'lines', 'p50 ms', 'p95 ms', 'p99 ms', 'not shown', 'backlog/s', 'cpu ms/order'],
  rows,
);
for (const [name, run] of Object.entries({ relay, jobs, stockmesh: ours }))
  console.log(
    `${name}: ${run.writes} writes, ${run.unchangingWrites} that changed nothing, ${run.disagreements} numbers wrong at the end, ${run.violations} broken contracts`,
  );

const p99 = (run: Run, rate: number): number => run.loads.get(rate)?.all.p99 ?? Number.NaN;
const at = (sorted: readonly number[], share: number): number | null =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
const first = p99(relay, judgedRate);
const second = p99(control, judgedRate);
printVerdict(
  `the bare relay is measured at the beginning and at the end: its p99 at ${judgedRate} orders/s must not differ by more than this factor`,
  Math.max(first, second) / Math.max(1, Math.min(first, second)),
  maxSpread,
);
console.log(
  'not established: latency over the internet, the platforms’ own delays, other machines, several daemons',
);
printResult({
  bench: 'mesh',
  ratios: {
    saleToShelfP99ToBareRelay: p99(ours, judgedRate) / Math.min(first, second),
    saleToShelfP99ToJobPerChange: p99(ours, judgedRate) / p99(jobs, judgedRate),
    saleToShelfP99ToJobPerChange5: p99(ours, 5) / p99(jobs, 5),
    saleToShelfP99ToJobPerChange60: p99(ours, 60) / p99(jobs, 60),
  },
  counts: {
    lost: [...ours.loads.values()].reduce((sum, { lost }) => sum + lost, 0) + ours.disagreements,
    needlessWrites: ours.needlessWrites ?? -1,
    oversold: ours.oversold,
  },
  figures: {
    backlogSlopePerS: ours.loads.get(judgedRate)?.backlogSlopePerS ?? null,
    webhookAcceptP99Ms: own?.accept.p99Ms ?? null,
    webhookAcceptP50Ms: own?.accept.p50Ms ?? null,
    webhookAcceptPerS32: own?.accept.perS ?? null,
    serialChangeP50Ms: at(own?.serialMs ?? [], 0.5),
    serialChangeP99Ms: at(own?.serialMs ?? [], 0.99),
    serialAfterLoadP50Ms: at(own?.serialAfterLoadMs ?? [], 0.5),
    serialAfterLoadMaxMs: at(own?.serialAfterLoadMs ?? [], 1),
    burst1000LastMs: own?.burstMs ?? null,
    saleToShelfP99Ms5: p99(ours, 5),
    saleToShelfP99Ms20: p99(ours, 20),
    saleToShelfP99Ms60: p99(ours, 60),
    unchangingWritesShare: ours.unchangingWrites / ours.writes,
    cpuMsPerOrder: ours.loads.get(judgedRate)?.cpuMsPerOrder ?? null,
  },
});
