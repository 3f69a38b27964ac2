import { setTimeout as delay } from 'node:timers/promises';
import { compareAll, type Disagreement } from './agreement.ts';
import { DaemonProcess } from './daemon-process.ts';
import { type DemoOptions, demoUsage, readDemoOptions } from './options.ts';
import { replay, type Tally, watchShelves } from './replay.ts';
import { planReplay } from './replay-plan.ts';
import { ShelfClock } from './shelf-clock.ts';
import { type DemoShops, openShops, shopNames } from './shops.ts';
import { type DemoFigures, DemoView } from './view.ts';
import { makeWorkspace, type Workspace } from './workspace.ts';

const samplePath = new URL('./orders/online-retail-sample.csv', import.meta.url);
const readyWithinMs = 60_000;
const agreeWithinMs = 90_000;

/**
 * The demo: two sandbox shops, the real daemon as a child process, and real orders replayed in compressed time. Exit code
 * 0 only when both shops and the ledger agree on every SKU, nothing was oversold and no shop saw its contract broken.
 */
async function runDemo(options: DemoOptions): Promise<boolean> {
  const view = new DemoView(process.stdout.isTTY);
  const plan = planReplay({
    csvPath: samplePath,
    shops: shopNames.length,
    durationMs: options.durationMs,
    maxOrders: options.maxOrders,
  });
  view.say(
    `stockmesh demo: ${plan.orders.length} real orders, ${plan.openingUnits.size} SKUs (${plan.scarceSkus.size} of them scarce), ${shopNames.length} shops`,
  );
  const demo = await openShops(plan, options.rough);
  const workspace = await makeWorkspace(demo.shops);
  const daemon = new DaemonProcess({
    configPath: workspace.configPath,
    logPath: workspace.logPath,
    privateUrl: workspace.privateUrl,
    onRestart: (reason) => view.say(`the daemon ended (${reason}); starting it again`),
  });
  const shelf = new ShelfClock(shopNames.length);
  const tally: Tally = {
    phase: 'connecting',
    startedMs: performance.now(),
    orders: 0,
    refusedLines: 0,
    cancellations: 0,
    sold: new Map(),
  };
  const show = async (isFinal = false): Promise<DemoFigures> => {
    const figures = await readFigures(workspace, plan.orders.length, plan.openingUnits, tally, shelf);
    view.show(figures, isFinal);
    return figures;
  };
  const ticker = setInterval(() => void show().catch(() => undefined), 250);
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
  });
  interrupted.catch(() => undefined);
  watchShelves(demo, shelf);
  try {
    return await Promise.race([interrupted, play()]);
  } finally {
    clearInterval(ticker);
    await daemon.stop();
    await demo.sandbox.stop();
    workspace.remove();
  }

  async function play(): Promise<boolean> {
    daemon.start();
    await daemon.ready(readyWithinMs);
    await untilConnected(workspace, plan.openingUnits.size);
    view.say(
      `daemon ready after ${((performance.now() - tally.startedMs) / 1000).toFixed(1)} s; replaying ${options.durationMs / 1000} s of compressed trade`,
    );
    tally.phase = 'replaying';
    await replay(demo, plan, options.durationMs, tally, shelf, () =>
      killPart(options, daemon, workspace, view),
    );
    tally.phase = 'settling';
    const disagreements = await untilAgreed(workspace, demo, [...plan.openingUnits.keys()]);
    tally.phase = 'done';
    clearInterval(ticker);
    const figures = await show(true);
    return summarize(view, demo, disagreements, figures, tally, options, workspace);
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

async function readFigures(
  workspace: Workspace,
  planned: number,
  openingUnits: ReadonlyMap<string, number>,
  tally: Tally,
  shelf: ShelfClock,
): Promise<DemoFigures> {
  let position = '-';
  let movements = 0;
  try {
    const response = await fetch(`${workspace.privateUrl}/position`, { signal: AbortSignal.timeout(1_000) });
    const body = (await response.json()) as { readonly epoch: number; readonly seq: number };
    position = `${body.epoch}-${body.seq}`;
    movements = body.seq;
  } catch {
    // The daemon is starting, or was just killed: the figures go on without it.
  }
  let oversold = 0;
  for (const [sku, units] of tally.sold) oversold += Math.max(0, units - (openingUnits.get(sku) ?? 0));
  return {
    phase: tally.phase,
    elapsedMs: performance.now() - tally.startedMs,
    ordersIn: tally.orders,
    ordersPlanned: planned,
    linesRefused: tally.refusedLines,
    movements,
    position,
    waiting: shelf.waiting,
    oversold,
    shelfMs: shelf.percentiles(),
  };
}

async function untilConnected(workspace: Workspace, skus: number): Promise<void> {
  const untilMs = performance.now() + readyWithinMs;
  while (performance.now() < untilMs) {
    const response = await fetch(`${workspace.privateUrl}/channels`, { signal: AbortSignal.timeout(2_000) });
    const body = (await response.json()) as {
      readonly channels: readonly { readonly listings: number; readonly settled: number }[];
    };
    if (
      body.channels.length === shopNames.length &&
      body.channels.every((channel) => channel.settled >= skus)
    )
      return;
    await delay(100);
  }
}

async function untilAgreed(
  workspace: Workspace,
  demo: DemoShops,
  skus: readonly string[],
): Promise<readonly Disagreement[]> {
  const untilMs = performance.now() + agreeWithinMs;
  for (;;) {
    try {
      const disagreements = await compareAll(workspace.privateUrl, demo.shops, skus);
      if (disagreements.length === 0 || performance.now() > untilMs) return disagreements;
    } catch (error) {
      if (performance.now() > untilMs) throw error;
    }
    await delay(250);
  }
}

async function summarize(
  view: DemoView,
  { sandbox }: DemoShops,
  disagreements: readonly Disagreement[],
  figures: DemoFigures,
  tally: Tally,
  options: DemoOptions,
  workspace: Workspace,
): Promise<boolean> {
  // With Redis killed the daemon has to answer 503: the platform sends again, which is what its retries are for.
  const violations = sandbox
    .violations()
    .filter(
      ({ kind, detail }) => options.kill !== 'redis' || kind !== 'webhook-refused' || !detail.endsWith('503'),
    );
  for (const { sku, ledger, shops } of disagreements.slice(0, 20))
    view.say(`disagreement on ${sku}: ledger ${ledger ?? 'unknown'}, shops ${shops.join(', ')}`);
  for (const { shop, kind, detail } of violations.slice(0, 20))
    view.say(`contract violation at ${shop}: ${kind}: ${detail}`);
  const isRight = disagreements.length === 0 && violations.length === 0 && figures.oversold === 0;
  view.say(
    isRight
      ? `every SKU agrees in both shops and the ledger; ${tally.cancellations} cancellations given back, ${tally.refusedLines} lines refused as sold out`
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
