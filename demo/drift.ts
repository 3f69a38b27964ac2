// Long on purpose: one run from its plan to its table, read from top to bottom.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { SeededRandom } from '../sandbox/shopify/random.ts';
import { breaches, isPutOff } from '../sandbox/posting/breaches.ts';
import { readAdjustments } from '../sandbox/wms/adjustments.ts';
import { ledgerStock } from './agreement.ts';
import { DaemonProcess } from './daemon-process.ts';
import { type FoundFinding, faultSkus, hotSku, plannedFaults, type PlantedFault } from './drift-faults.ts';
import { emulateFourPlatforms, type FourPlatforms } from './emulators/four-platforms.ts';
import { askDaemon, type DaemonChannel } from './figures.ts';
import { makeWorkspace } from './workspace.ts';

/**
 * Every fault that reconciliation has a verdict for, planted behind the back of the real daemon on the four emulated
 * platforms, while buyers go on buying. Ends with a table (planted, found, judged right, repaired) and the findings that
 * nobody planted; exit code 0 only when every fault was judged right and put right, and there are none of the others.
 */
const usage = 'node demo/drift.ts [--seed N] [--within SECONDS] [--few] [--keep-log]';
const adjustmentsPath = new URL('./orders/online-retail-adjustments.csv.gz', import.meta.url);
const openingUnits = 200;
const realLosses = 3;
const realFinds = 1;
/** So many that the listing TikTok deletes, the last one, is a product of its own (ten SKUs each). */
const otherSkus = 1 + realLosses + realFinds + faultSkus.length;
const loadSkus = Array.from({ length: 30 - ((otherSkus + 9) % 10) }, (_, n) => `LOAD-${n}`);
/** One of each kind of repair: for a test. */
const few = new Set(['LOST-WEBHOOK', 'MISSED-CANCEL', 'HAND-EDIT', 'TIKTOK-EDIT']);
const saleEveryMs = 120;

const reconcile = {
  mode: 'repair',
  cron: null,
  sweepSharePercent: 30,
  pushGraceMs: 20_000,
  spacingMs: 1_500,
  lookBackMs: 3_600_000,
  maxCorrections: 2,
  policy: { 'edited-on-channel': 're-publish', 'count-differs': 'adopt' },
};

interface Outcome {
  readonly fault: PlantedFault;
  finding: FoundFinding | undefined;
  isJudged: boolean;
  isRight: boolean;
  foundMs: number | undefined;
}

async function runDrift(seed: number, withinMs: number, isFew: boolean, keepsLog: boolean): Promise<boolean> {
  const losses = realAdjustments();
  const units = new Map<string, number>();
  for (const sku of [...loadSkus, hotSku]) units.set(sku, 20_000);
  for (const sku of [...losses.map((row) => row.sku), ...faultSkus]) units.set(sku, openingUnits);
  const platforms = await emulateFourPlatforms({
    stock: units,
    seed,
    rateLimits: 'none',
    isRough: false,
    shops: ['north', 'south', 'east'],
  });
  platforms.amazon.seller.settings.restoreOnCancel = 'always';
  // The warehouse tells nobody what happens there, and is asked only when reconciliation does.
  Object.assign(platforms.wms.sandbox.accounts.get('wms')?.desk.behaviour ?? {}, { lossProbability: 1 });
  const workspace = await makeWorkspace({
    channels: platforms.config.map((channel) => quiet(channel)),
    locations: platforms.locations,
    secrets: platforms.secrets,
    more: { reconcile },
  });
  const { privateUrl } = workspace;
  const daemon = new DaemonProcess({
    configPath: workspace.configPath,
    logPath: workspace.logPath,
    privateUrl,
    onRestart: (reason) => console.log(`the daemon ended (${reason}); starting it again`),
  });
  const sales = new SalesLoad(platforms, seed);
  const shelf = (sku: string): readonly number[] =>
    platforms.selling
      .filter(({ id, skus }) => skus.has(sku) && !isUnreadable(id, sku))
      .map((channel) => channel.shown(sku));
  // The socket is there once the daemon is ready; nothing is planted before.
  const redis = new Redis(join(workspace.dir, 'state', 'redis', 'redis.sock'), { lazyConnect: true });
  const inside = {
    redis,
    prefix: 'sm:{demo}:',
    post: (path: string, body: object) => post(`${privateUrl}${path}`, body),
  };
  const all = plannedFaults(platforms, losses, shelf, inside);
  const faults = isFew ? all.filter(({ sku }) => few.has(sku) || sku === losses[0]?.sku) : all;
  try {
    daemon.start();
    await daemon.ready(90_000);
    await connected(privateUrl, platforms, units);
    sales.start();
    console.log(
      `drift: seed ${seed}, ${faults.length} faults, ${units.size} SKUs on ${platforms.selling.length} channels and a warehouse, a sale every ${saleEveryMs} ms`,
    );
    // Under load alone nothing may be found.
    await reconciled(privateUrl);
    const before = await findings(privateUrl);
    const outcomes = faults.map((fault): Outcome => ({
      fault,
      finding: undefined,
      isJudged: false,
      isRight: false,
      foundMs: undefined,
    }));
    const plantedMs = performance.now();
    for (const fault of faults) if (fault.isFirst === true) await fault.plant();
    await Promise.all(faults.map(async (fault) => (fault.isFirst === true ? undefined : fault.plant())));
    let found: readonly FoundFinding[] = [];
    while (
      performance.now() - plantedMs < withinMs &&
      outcomes.some(({ isRight, isJudged }) => !isRight || !isJudged)
    ) {
      await reconciled(privateUrl);
      found = await findings(privateUrl);
      for (const outcome of outcomes) look(outcome, found, performance.now() - plantedMs);
    }
    for (const fault of faults) fault.stop?.();
    await sales.stop();
    const planted = new Set(faults.map(({ channel, sku }) => `${channel}/${sku}`));
    const falseOnes = [...before, ...found].filter(({ channel, sku }) => !planted.has(`${channel}/${sku}`));
    const agrees = await agreed(privateUrl, platforms);
    return tell(outcomes, falseOnes, sales.sold, agrees, platforms);
  } finally {
    for (const fault of faults) fault.stop?.();
    await sales.stop();
    redis.disconnect();
    await daemon.stop();
    await platforms.stop();
    if (keepsLog) console.log(`log: ${workspace.logPath}`);
    else workspace.remove();
  }
}

/** Polls are rare, so that what finds a fault is reconciliation. */
function quiet(channel: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const poll = channel['poll'] as Record<string, unknown>;
  const more = channel['id'] === 'amazon' ? { restoreOnCancel: 'never' } : {};
  return {
    ...channel,
    ...more,
    poll: { ...poll, intervalMs: channel['platform'] === 'wms' ? 600_000 : 120_000 },
  };
}

/** Where the fault is that nothing is shown any more. */
function isUnreadable(channel: string, sku: string): boolean {
  return (
    (channel === 'tiktok' && sku === 'TIKTOK-GONE') ||
    (channel === 'north' && (sku === 'DISCONNECTED' || sku === 'UNTRACKED' || sku === 'DUPLICATE'))
  );
}

/** Write-offs and finds of the data set, each of a SKU of its own. */
function realAdjustments() {
  const seen = new Set<string>();
  const some = (sign: 1 | -1, count: number) =>
    readAdjustments(adjustmentsPath)
      .filter(({ sku, units }) => {
        const isUsable = units * sign > 0 && Math.abs(units) < openingUnits / 2 && !seen.has(sku);
        if (isUsable) seen.add(sku);
        return isUsable;
      })
      .slice(0, count);
  return [...some(-1, realLosses), ...some(1, realFinds)];
}

class SalesLoad {
  readonly #platforms: FourPlatforms;
  readonly #random: SeededRandom;
  #timer: NodeJS.Timeout | undefined;
  sold = 0;

  constructor(platforms: FourPlatforms, seed: number) {
    this.#platforms = platforms;
    this.#random = new SeededRandom(seed);
  }

  start(): void {
    this.#timer = setInterval(() => {
      const { selling } = this.#platforms;
      const channel = selling[Math.floor(this.#random.next() * selling.length)];
      const load = loadSkus[Math.floor(this.#random.next() * loadSkus.length)] ?? hotSku;
      const sku = this.#random.chance(0.3) ? hotSku : load;
      const bought = channel?.buy([{ sku, units: 1 + Math.floor(this.#random.next() * 3) }]);
      this.sold += bought?.sales.reduce((sum, { units }) => sum + units, 0) ?? 0;
    }, saleEveryMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }
}

async function connected(
  privateUrl: string,
  platforms: FourPlatforms,
  units: ReadonlyMap<string, number>,
): Promise<void> {
  const untilMs = performance.now() + 120_000;
  while (performance.now() < untilMs) {
    await delay(250);
    try {
      const { channels } = await askDaemon<{ channels: readonly DaemonChannel[] }>(privateUrl, '/channels');
      const settled = new Map(channels.map(({ channel, settled: count }) => [channel, count]));
      if (platforms.selling.some(({ id, skus }) => (settled.get(id) ?? 0) < skus.size)) continue;
      const ledger = await ledgerStock(privateUrl, [...units.keys()]);
      if ([...units].every(([sku, onHand]) => ledger.get(sku)?.onHand === onHand)) return;
    } catch {
      // Busy with its first readings.
    }
  }
  throw new Error('the channels were not read within two minutes');
}

/** A run over everything, asked for as the operator would; waits for its end. */
async function reconciled(privateUrl: string): Promise<void> {
  const asked = await post(`${privateUrl}/reconcile`, { actor: 'drift' });
  const { runs } = asked as { runs: readonly { runId: string; channel: string }[] };
  for (const { runId, channel } of runs) {
    const untilMs = performance.now() + 300_000;
    for (;;) {
      const answer = await fetch(`${privateUrl}/reconcile/runs/${runId}`);
      if (answer.ok) {
        const { run } = (await answer.json()) as { run: { state: string; reason: string } };
        if (run.state === 'aborted') console.log(`run on ${channel} aborted: ${run.reason}`);
        if (run.state !== 'running') break;
      }
      if (performance.now() > untilMs) throw new Error(`the run on ${channel} did not end`);
      await delay(200);
    }
  }
}

async function findings(privateUrl: string): Promise<readonly FoundFinding[]> {
  const [open, resolved] = await Promise.all(
    ['open', 'resolved'].map((state) =>
      ask<{ findings: readonly FoundFinding[] }>(`${privateUrl}/drift?state=${state}&limit=1000`),
    ),
  );
  return [...(open?.findings ?? []), ...(resolved?.findings ?? [])];
}

async function post(url: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`POST ${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}

/** Patient: the machine has all of the platforms, the daemon and the buyers on it. */
async function ask<Answer>(url: string): Promise<Answer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(20_000) });
  if (!response.ok) throw new Error(`GET ${url} answered ${response.status}`);
  return (await response.json()) as Answer;
}

function look(outcome: Outcome, all: readonly FoundFinding[], afterMs: number): void {
  const { fault } = outcome;
  const own = all.filter(({ channel, sku }) => channel === fault.channel && sku === fault.sku);
  // A second writer is an edit until it comes again.
  outcome.finding =
    own.find(({ verdict, cause }) => verdict === fault.verdict && cause === fault.cause) ?? own[0];
  if (outcome.finding !== undefined) outcome.foundMs ??= afterMs;
  const isHeard = fault.isPolled === true && outcome.finding === undefined && fault.isRight(undefined);
  outcome.isJudged =
    fault.verdict === 'none' || isHeard
      ? outcome.finding === undefined
      : outcome.finding?.verdict === fault.verdict &&
        outcome.finding.cause === fault.cause &&
        (fault.odd === undefined || outcome.finding.odd === fault.odd);
  outcome.isRight = fault.isRight(outcome.finding);
}

/** What sold under load is the same everywhere once the buyers have gone. */
async function agreed(privateUrl: string, { selling }: FourPlatforms): Promise<boolean> {
  const skus = [...loadSkus, hotSku];
  const untilMs = performance.now() + 60_000;
  while (performance.now() < untilMs) {
    const ledger = await ledgerStock(privateUrl, skus);
    if (skus.every((sku) => selling.every((channel) => channel.shown(sku) === ledger.get(sku)?.available)))
      return true;
    await delay(250);
  }
  return false;
}

function tell(
  outcomes: readonly Outcome[],
  falseOnes: readonly FoundFinding[],
  sold: number,
  agrees: boolean,
  platforms: FourPlatforms,
): boolean {
  const mark = (is: boolean): string => (is ? 'yes' : 'NO');
  console.log(
    `\n${'planted'.padEnd(56)} ${'where'.padEnd(7)} ${'found as'.padEnd(46)} ${'alone'.padEnd(9)} ${'after s'.padStart(7)}  judged  right again`,
  );
  for (const { fault, finding, isJudged, isRight, foundMs } of outcomes) {
    const as =
      finding === undefined
        ? 'nothing (the mesh copes)'
        : `${finding.verdict}: ${finding.cause}, ${finding.state}`;
    const after = foundMs === undefined ? '-' : (foundMs / 1_000).toFixed(1);
    console.log(
      `${fault.name.slice(0, 56).padEnd(56)} ${fault.channel.padEnd(7)} ${as.padEnd(46)} ${(finding?.odd ?? '').padEnd(9)} ${after.padStart(7)}  ${mark(isJudged).padEnd(6)}  ${mark(isRight)}`,
    );
  }
  for (const { channel, sku, verdict, cause, units } of falseOnes)
    console.log(`FALSE: ${channel} ${sku} ${verdict}: ${cause} (${units})`);
  // A machine that is too slow for its buyers is no fault of the daemon's; the platforms send again.
  const violations = breaches(platforms.violations());
  for (const { where, kind, detail } of violations.slice(0, 10))
    console.log(`contract violation at ${where}: ${kind}: ${detail}`);
  const figures = {
    planted: outcomes.length,
    found: outcomes.filter(({ finding, fault }) => finding !== undefined || fault.verdict === 'none').length,
    judgedRight: outcomes.filter(({ isJudged }) => isJudged).length,
    repaired: outcomes.filter(({ isRight }) => isRight).length,
    falseFindings: falseOnes.length,
    unitsSold: sold,
    loadAgrees: agrees,
    putOff: platforms.violations().filter(isPutOff).length,
    violations: violations.length,
  };
  console.log(JSON.stringify({ drift: figures }));
  const { planted, judgedRight, repaired } = figures;
  return (
    judgedRight === planted &&
    repaired === planted &&
    falseOnes.length === 0 &&
    agrees &&
    violations.length === 0
  );
}

try {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      within: { type: 'string' },
      few: { type: 'boolean', default: false },
      'keep-log': { type: 'boolean', default: false },
    },
  });
  const isRight = await runDrift(
    Number(values.seed ?? 20_111_205),
    Number(values.within ?? 420) * 1_000,
    values.few,
    values['keep-log'],
  );
  process.exitCode = isRight ? 0 : 1;
} catch (error) {
  console.error(error instanceof TypeError && 'code' in error ? `${error.message}\n${usage}` : error);
  process.exitCode = 2;
}
