import { type Cycle, openSetting } from './reconcile/setting.ts';
import type { Reading } from './reconcile/bare-reader.ts';
import type { Held } from './reconcile/heap-watch.ts';
import { publishedCycles } from './reconcile/published.ts';
import { printConditions, printResult, printTable, printVerdict } from './support/report.ts';

/** Sizes in SKUs; every one of them is on every channel. */
const sizes = (process.env['BENCH_SKUS'] ?? '10000,100000').split(',').map(Number);
const maxSpread = 2;
const mb = (value: number): number => Math.round(value);

interface Round {
  readonly bare: readonly Reading[];
  readonly cycles: readonly Cycle[];
  readonly control: readonly Reading[];
}

interface SizeResult {
  readonly skus: number;
  readonly connectS: number;
  readonly ratio: number;
  readonly perChannel: ReadonlyMap<string, { readonly bareMs: number; readonly ms: number }>;
  readonly spread: number;
  readonly cpuMsPer1000: number;
  readonly bareCpuMsPer1000: number;
  readonly grownMb: number;
  readonly held: readonly (Held & { readonly channel: string })[];
  readonly heldMb: number;
  readonly peakMb: number;
  readonly bareMb: number;
  readonly seconds: number;
  readonly findings: number;
  readonly unjudged: number;
  readonly aborted: number;
}

async function measure(skus: number): Promise<SizeResult> {
  const setting = await openSetting(skus);
  const rounds: Round[] = [];
  try {
    console.error(`${skus} SKUs: connected in ${setting.connectS.toFixed(0)} s`);
    // Compiled code and warm connections on both sides, where it is cheap.
    const count = skus > 20_000 ? 1 : 3;
    if (count > 1) await oneRound(setting);
    for (let n = 0; n < count; n++) rounds.push(await oneRound(setting));
    const held = await setting.held();
    return resultOf(skus, setting.connectS, rounds, held, await setting.findings());
  } finally {
    await setting.stop();
  }
}

/** The bare reading before and after each cycle: the second says how steady the machine was. */
async function oneRound(setting: Awaited<ReturnType<typeof openSetting>>): Promise<Round> {
  const bare: Reading[] = [];
  const cycles: Cycle[] = [];
  const control: Reading[] = [];
  for (const channel of setting.channels) {
    bare.push(await setting.bare.read(channel));
    const cycle = await setting.cycle(channel);
    cycles.push(cycle);
    control.push(await setting.bare.read(channel));
    const [before, after] = [bare.at(-1)?.ms ?? 0, control.at(-1)?.ms ?? 0].map(Math.round);
    const { ms, rows, state, reason, grownMb } = cycle;
    console.error(
      `${channel}: ${ms} ms, bare ${before} and ${after} ms, ${rows} rows, ${mb(grownMb)} MB more, ${state} ${reason}`,
    );
  }
  return { bare, cycles, control };
}

function resultOf(
  skus: number,
  connectS: number,
  rounds: readonly Round[],
  held: SizeResult['held'],
  findings: number,
): SizeResult {
  const perChannel = new Map<string, { bareMs: number; ms: number }>();
  const channels = rounds[0]?.cycles.map(({ channel }) => channel) ?? [];
  const of = (all: readonly Reading[], channel: string): number =>
    all.find((one) => one.channel === channel)?.ms ?? 0;
  for (const channel of channels) {
    perChannel.set(channel, {
      // Of the two beside the cycle, the mean.
      bareMs: median(rounds.map(({ bare, control }) => (of(bare, channel) + of(control, channel)) / 2)),
      ms: median(rounds.map(({ cycles }) => of(cycles, channel))),
    });
  }
  const sum = (pick: (one: { bareMs: number; ms: number }) => number): number =>
    [...perChannel.values()].reduce((total, one) => total + pick(one), 0);
  const cycles = rounds.flatMap((round) => round.cycles);
  const bare = rounds.flatMap((round) => [...round.bare, ...round.control]);
  const rowsOf = (all: readonly Reading[]): number => all.reduce((total, { rows }) => total + rows, 0);
  const cpuOf = (all: readonly Reading[]): number => all.reduce((total, { cpuMs }) => total + cpuMs, 0);
  const totals = rounds.map(({ bare: first, control }) =>
    [first, control].map((all) => all.reduce((total, { ms }) => total + ms, 0)),
  );
  return {
    skus,
    connectS,
    ratio: sum(({ ms }) => ms) / sum(({ bareMs }) => bareMs),
    perChannel,
    spread: Math.max(...totals.map(([a = 0, b = 0]) => Math.max(a, b) / Math.min(a, b))),
    cpuMsPer1000: (cpuOf(cycles) / rowsOf(cycles)) * 1_000,
    bareCpuMsPer1000: (cpuOf(bare) / rowsOf(bare)) * 1_000,
    grownMb: Math.max(...cycles.map(({ grownMb }) => grownMb)),
    held,
    heldMb: Math.max(...held.map(({ beforeMb, mostMb }) => mostMb - beforeMb)),
    peakMb: Math.max(...cycles.map(({ peakRssMb }) => peakRssMb)),
    bareMb: Math.max(...bare.map(({ peakRssMb }) => peakRssMb)),
    seconds: sum(({ ms }) => ms) / 1_000,
    findings,
    unjudged: cycles.reduce((total, { unjudged }) => total + unjudged, 0),
    aborted: cycles.filter(({ state }) => state !== 'completed').length,
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

printConditions([
  'a Shopify shop, Amazon, TikTok Shop and a ShipHero warehouse, emulated in this process without limits; the daemon is one process, the bare reader another; everything shares the machine',
  `${sizes.map((size) => size.toLocaleString('en')).join(' and ')} SKUs, all of them on every channel, nothing is sold`,
  'cycle: `POST /reconcile` for one channel after the other, from the beginning of the run to its end: pages read, every row judged, nothing left to decide',
  'bare: the same connectors read the same pages without limits and forget them; before and after each cycle, their mean counts',
]);
const results: SizeResult[] = [];
for (const skus of sizes) results.push(await measure(skus));

printTable(
  ['SKUs', 'channel', 'bare ms', 'cycle ms', 'ratio'],
  results.flatMap(({ skus, perChannel }) =>
    [...perChannel].map(([channel, { bareMs, ms }]) => [skus, channel, bareMs, ms, ms / bareMs]),
  ),
);
console.log('alive in the daemon, garbage collected before each look, in a cycle whose time is not counted:');
printTable(
  ['SKUs', 'channel', 'before MB', 'more at most MB', 'looks'],
  results.flatMap(({ skus, held }) =>
    held.map(({ channel, beforeMb, mostMb, looks }) => [skus, channel, beforeMb, mostMb - beforeMb, looks]),
  ),
);
printTable(
  ['SKUs', 'ratio', 'cycle s', 'CPU ms/1,000', 'bare', 'grown MB', 'peak MB', 'bare MB', 'connect s'],
  results.map((one) => [
    one.skus,
    one.ratio,
    one.seconds,
    one.cpuMsPer1000,
    one.bareCpuMsPer1000,
    mb(one.grownMb),
    mb(one.peakMb),
    mb(one.bareMb),
    one.connectS,
  ]),
);
console.log('computed: one complete reading under published limits (a peer states 25 hours for 10,000 SKUs)');
printTable(
  ['SKUs', 'platform', 'minutes', 'because'],
  sizes.flatMap((skus) =>
    publishedCycles(skus).map(({ platform, seconds, because }) => [skus, platform, seconds / 60, because]),
  ),
);
printVerdict(
  'the bare readings before and after the cycles, as a whole',
  Math.max(...results.map(({ spread }) => spread)),
  maxSpread,
);
console.log(
  'not established: platforms that take time of their own over a network, sales during the run (test/reconcile has those), several daemons',
);

const at = (skus: number): SizeResult | undefined => results.find((one) => one.skus === skus);
const [small, large] = [results[0], results.at(-1)];
printResult({
  bench: 'reconcile',
  ratios: {
    cycleToBareRead10k: at(10_000)?.ratio ?? null,
    cycleToBareRead100k: at(100_000)?.ratio ?? null,
    ...(at(10_000) === undefined && small !== undefined ? { cycleToBareReadSmall: small.ratio } : {}),
  },
  counts: {
    falseFindings: results.reduce((sum, { findings }) => sum + findings, 0),
    abortedRuns: results.reduce((sum, { aborted }) => sum + aborted, 0),
    unjudgedRows: results.reduce((sum, { unjudged }) => sum + unjudged, 0),
  },
  figures: {
    cycleS10k: at(10_000)?.seconds ?? null,
    cycleS100k: at(100_000)?.seconds ?? null,
    heldMbSmall: small?.heldMb ?? null,
    heldMbLarge: large?.heldMb ?? null,
    grownMbSmall: small?.grownMb ?? null,
    grownMbLarge: large?.grownMb ?? null,
    cpuMsPer1000Rows: large?.cpuMsPer1000 ?? null,
    bareCpuMsPer1000Rows: large?.bareCpuMsPer1000 ?? null,
    connectSLarge: large?.connectS ?? null,
  },
});
