import { setTimeout as delay } from 'node:timers/promises';
import { breaches } from '../sandbox/posting/breaches.ts';
import { compareAll, ledgerStock, type Disagreement } from './agreement.ts';
import { DaemonProcess } from './daemon-process.ts';
import { emulateFourPlatforms, type FourPlatforms } from './emulators/four-platforms.ts';
import { askDaemon, type DaemonChannel, readFigures } from './figures.ts';
import { type DemoOptions, demoUsage, readDemoOptions } from './options.ts';
import { replay, type Tally, watchShelves } from './replay.ts';
import { planReplay, type PlannedChannel, type ReplayPlan } from './replay-plan.ts';
import type { ContractViolation } from './selling-channel.ts';
import { ShelfClock } from './shelf-clock.ts';
import { type DemoFigures, DemoView, channelLines } from './view.ts';
import { makeWorkspace, type Workspace } from './workspace.ts';

const csvPath = new URL('./orders/online-retail-sample.csv', import.meta.url);
const adjustmentsPath = new URL('./orders/online-retail-adjustments.csv.gz', import.meta.url);
const readyWithinMs = 90_000;
const agreeWithinMs = 120_000;
const shops = ['north', 'south'] as const;
/** Wholesale orders of hundreds of lines go to the shops; Amazon takes five writes a second, whatever stands behind it. */
const channels: readonly PlannedChannel[] = [
  ...shops.map((id) => ({ id, weight: 25, maxLines: 2_000, hearsWithinMs: 15_000 })),
  { id: 'amazon', weight: 25, maxLines: 20, hearsWithinMs: 45_000 },
  { id: 'tiktok', weight: 25, maxLines: 20, hearsWithinMs: 30_000 },
];

/**
 * The demo: two Shopify shops, Amazon, TikTok Shop and a warehouse that owns the stock, all emulated; the real daemon as
 * a child process; real orders and real write-offs replayed in compressed time. Exit code 0 only when every channel, the
 * warehouse and the ledger agree on every SKU, nothing was oversold and no platform saw its contract broken.
 */
async function runDemo(options: DemoOptions): Promise<boolean> {
  const view = new DemoView(process.stdout.isTTY);
  const plan = planReplay({
    csvPath,
    adjustmentsPath,
    channels,
    durationMs: options.durationMs,
    maxOrders: options.maxOrders,
    maxAdjustments: 150,
  });
  view.say(
    `stockmesh demo: ${plan.orders.length} real orders, ${plan.adjustments.length} real write-offs and finds, ${plan.openingUnits.size} SKUs (${plan.scarceSkus.size} of them scarce); ${shops.length} Shopify shops, Amazon, TikTok Shop, a ShipHero warehouse; published rate limits ${options.rateLimits === 'none' ? 'off' : 'on'}`,
  );
  const platforms = await emulateFourPlatforms({
    stock: plan.openingUnits,
    seed: 20_111_205,
    rateLimits: options.rateLimits,
    isRough: options.rough,
    shops,
    amazonSkus: plan.soldOn.get('amazon'),
    tiktokSkus: plan.soldOn.get('tiktok'),
  });
  const workspace = await makeWorkspace({
    channels: platforms.config,
    locations: platforms.locations,
    secrets: platforms.secrets,
  });
  const daemon = new DaemonProcess({
    configPath: workspace.configPath,
    logPath: workspace.logPath,
    privateUrl: workspace.privateUrl,
    onRestart: (reason) => view.say(`the daemon ended (${reason}); starting it again`),
  });
  const shelf = new ShelfClock(platforms.selling, new Set(plan.adjustments.map(({ sku }) => sku)));
  const tally: Tally = {
    phase: 'connecting',
    startedMs: performance.now(),
    orders: 0,
    refusedLines: 0,
    cancellations: 0,
    adjustments: 0,
    ordersOf: new Map(),
    sold: new Map(),
  };
  const show = async (isFinal = false): Promise<DemoFigures> => {
    const figures = await readFigures(workspace.privateUrl, platforms, plan, tally, shelf);
    view.show(figures, isFinal);
    return figures;
  };
  const ticker = setInterval(() => void show().catch(() => undefined), 250);
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
  });
  interrupted.catch(() => undefined);
  watchShelves(platforms, shelf);
  try {
    return await Promise.race([interrupted, play()]);
  } finally {
    clearInterval(ticker);
    await daemon.stop();
    await platforms.stop();
    workspace.remove();
  }

  async function play(): Promise<boolean> {
    daemon.start();
    await daemon.ready(readyWithinMs);
    await untilConnected(workspace, platforms, plan);
    view.say(
      `daemon ready after ${((performance.now() - tally.startedMs) / 1000).toFixed(1)} s; replaying ${options.durationMs / 1000} s of compressed trade`,
    );
    tally.phase = 'replaying';
    await replay(platforms, plan, options.durationMs, tally, shelf, () =>
      killPart(options, daemon, workspace, view),
    );
    tally.phase = 'settling';
    const disagreements = await untilAgreed(workspace, platforms, plan, tally);
    tally.phase = 'done';
    clearInterval(ticker);
    const figures = await show(true);
    return summarize(view, platforms.violations(), disagreements, figures, tally, options, workspace);
  }
}

function killPart(options: DemoOptions, daemon: DaemonProcess, workspace: Workspace, view: DemoView): void {
  if (options.kill === 'daemon') {
    view.say('kill -9 daemon');
    daemon.kill('SIGKILL');
  } else if (options.kill === 'redis') {
    view.say('kill -9 redis-server');
    workspace.killRedis();
  }
}

/** Every listing of every channel is known for sure, and the warehouse has counted everything. */
async function untilConnected(
  { privateUrl }: Workspace,
  platforms: FourPlatforms,
  plan: ReplayPlan,
): Promise<void> {
  const skus = [...plan.openingUnits.keys()];
  const untilMs = performance.now() + readyWithinMs;
  while (performance.now() < untilMs) {
    await delay(200);
    try {
      const answer = await askDaemon<{ readonly channels: readonly DaemonChannel[] }>(
        privateUrl,
        '/channels',
      );
      const settled = new Map(answer.channels.map(({ channel, settled: count }) => [channel, count]));
      if (platforms.selling.some((channel) => (settled.get(channel.id) ?? 0) < channel.skus.size)) continue;
      const ledger = await ledgerStock(privateUrl, skus);
      if (skus.every((sku) => ledger.get(sku)?.onHand === plan.openingUnits.get(sku))) return;
    } catch {
      // Busy with its first readings.
    }
  }
  throw new Error(`the channels were not read within ${readyWithinMs / 1_000} s`);
}

async function untilAgreed(
  { privateUrl }: Workspace,
  { selling, wms }: FourPlatforms,
  plan: ReplayPlan,
  { sold }: Tally,
): Promise<readonly Disagreement[]> {
  const untilMs = performance.now() + agreeWithinMs;
  const onHand = new Map([...plan.openingUnits.keys()].map((sku) => [sku, wms.warehouse.onHand(sku)]));
  for (;;) {
    try {
      const disagreements = await compareAll(privateUrl, selling, onHand, sold);
      if (disagreements.length === 0 || performance.now() > untilMs) return disagreements;
    } catch (error) {
      if (performance.now() > untilMs) throw error;
    }
    await delay(250);
  }
}

async function summarize(
  view: DemoView,
  seen: readonly ContractViolation[],
  disagreements: readonly Disagreement[],
  figures: DemoFigures,
  tally: Tally,
  options: DemoOptions,
  workspace: Workspace,
): Promise<boolean> {
  const violations = breaches(seen);
  const putOff = seen.length - violations.length;
  if (putOff > 0) view.say(`${putOff} deliveries were answered 503, or late, and came again`);
  for (const { sku, detail } of disagreements.slice(0, 20)) view.say(`disagreement on ${sku}: ${detail}`);
  for (const { where, kind, detail } of violations.slice(0, 20))
    view.say(`contract violation at ${where}: ${kind}: ${detail}`);
  for (const line of channelLines(figures)) view.say(line);
  const isRight = disagreements.length === 0 && violations.length === 0 && figures.oversold === 0;
  view.say(
    isRight
      ? `every SKU agrees on every channel, in the warehouse and the ledger; ${tally.cancellations} cancellations given back, ${tally.refusedLines} lines refused as sold out`
      : `NOT RIGHT: ${disagreements.length} SKUs disagree, ${violations.length} violations, ${figures.oversold} units oversold`,
  );
  if (options.keep) {
    view.say(
      `left running: ${workspace.privateUrl}  (configuration ${workspace.configPath}, log ${workspace.logPath}); Ctrl-C ends it`,
    );
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
    });
  }
  const { ordersIn: orders, movements, oversold, shelfMs } = figures;
  console.log(
    JSON.stringify({
      demo: {
        orders,
        movements,
        oversold,
        disagreements: disagreements.length,
        violations: violations.length,
        saleToShelfMs: shelfMs,
      },
    }),
  );
  return isRight;
}

try {
  const options = readDemoOptions(process.argv.slice(2));
  process.exitCode = (await runDemo(options)) ? 0 : 1;
} catch (error) {
  const isUsage = error instanceof RangeError || (error instanceof TypeError && 'code' in error);
  console.error(isUsage ? `${error.message}\n${demoUsage}` : error);
  process.exitCode = isUsage ? 2 : 1;
}
