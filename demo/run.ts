import { setTimeout as delay } from 'node:timers/promises';
import { compareAll, type Disagreement } from './agreement.ts';
import { DaemonProcess } from './daemon-process.ts';
import { type DemoOptions, demoUsage, readDemoOptions } from './options.ts';
import { type PlannedCancellation, type PlannedOrder, planReplay } from './replay-plan.ts';
import { ShelfClock } from './shelf-clock.ts';
import { buy, type DemoShops, giveBack, openShops, shopNames } from './shops.ts';
import { type DemoFigures, DemoView } from './view.ts';
import { makeWorkspace, type Workspace } from './workspace.ts';

const samplePath = new URL('./orders/online-retail-sample.csv', import.meta.url);
const readyWithinMs = 60_000;
const agreeWithinMs = 90_000;

type PlannedEvent =
  | { readonly kind: 'order'; readonly order: PlannedOrder }
  | { readonly kind: 'cancellation'; readonly cancellation: PlannedCancellation };

interface Tally {
  phase: string;
  startedMs: number;
  orders: number;
  refusedLines: number;
  cancellations: number;
  readonly sold: Map<string, number>;
}

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
    await replay(demo, eventsOf(plan), options, tally, shelf, () =>
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

function eventsOf(plan: {
  readonly orders: readonly PlannedOrder[];
  readonly cancellations: readonly PlannedCancellation[];
}) {
  const events: { readonly atMs: number; readonly event: PlannedEvent }[] = [
    ...plan.orders.map((order) => ({ atMs: order.atMs, event: { kind: 'order', order } as const })),
    ...plan.cancellations.map((cancellation) => ({
      atMs: cancellation.atMs,
      event: { kind: 'cancellation', cancellation } as const,
    })),
  ];
  return events.toSorted((a, b) => a.atMs - b.atMs);
}

function watchShelves({ sandbox, shops }: DemoShops, shelf: ShelfClock): void {
  const shown = new Map<string, number>();
  const indexOf = new Map(shops.map((shop, index) => [shop.domain, index]));
  sandbox.onLevelChange((change) => {
    const shop = indexOf.get(change.shop);
    if (shop === undefined || change.sku === null) return;
    const key = `${shop} ${change.sku}`;
    const before = shown.get(key);
    shown.set(key, change.available);
    if (change.cause === 'api' && before !== undefined)
      shelf.written(shop, change.sku, change.available - before, performance.now());
  });
  for (const [index, shop] of shops.entries()) {
    for (const item of shop.inventory.items.values())
      if (item.sku !== null) shown.set(`${index} ${item.sku}`, shop.available(item.sku));
  }
}

async function replay(
  { shops }: DemoShops,
  events: readonly { readonly atMs: number; readonly event: PlannedEvent }[],
  options: DemoOptions,
  tally: Tally,
  shelf: ShelfClock,
  disturb: () => void,
): Promise<void> {
  tally.phase = 'replaying';
  const startedMs = performance.now();
  let isDisturbed = options.kill === undefined;
  for (const { atMs, event } of events) {
    const waitMs = startedMs + atMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    if (!isDisturbed && atMs > options.durationMs / 2) {
      isDisturbed = true;
      disturb();
    }
    if (event.kind === 'cancellation') {
      if (giveBack(shops, event.cancellation)) {
        tally.cancellations += 1;
        tally.sold.set(
          event.cancellation.sku,
          (tally.sold.get(event.cancellation.sku) ?? 0) - event.cancellation.units,
        );
      }
      continue;
    }
    const shop = shops[event.order.shopIndex];
    if (shop === undefined) continue;
    const soldAtMs = performance.now();
    const { sales, refusedLines } = buy(shop, event.order);
    tally.refusedLines += refusedLines;
    if (sales.length > 0) tally.orders += 1;
    for (const { sku, units } of sales) {
      tally.sold.set(sku, (tally.sold.get(sku) ?? 0) + units);
      shelf.sold(event.order.shopIndex, sku, units, soldAtMs);
    }
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
  const violations = sandbox.violations();
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
