import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { breaches } from '../../sandbox/posting/breaches.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { DaemonUnderTest } from './daemon.ts';

// Two starts, a stop and the pause before a redelivery, each at the pace of a machine that does much else.
vi.setConfig({ testTimeout: 150_000 });

const opening = 1_000;
const sku = 'X';
let sandbox: ShopifySandbox;
let shops: readonly SandboxShop[];
let daemon: DaemonUnderTest;
let sold = 0;

/** The order poll is out of order for as long as a test wants to see what the webhook alone does. */
const pollFails = [{ kind: 'status' as const, operation: 'OrdersUpdatedSince', status: 500 }];

beforeAll(async () => {
  sandbox = await startShopifySandbox({ seed: 7 });
  shops = ['shop-a', 'shop-b'].map((name) => {
    const shop = sandbox.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' });
    shop.addItem({ sku, quantities: opening });
    // Redelivered after 0.24 s, 0.5 s, 1 s ... for a minute instead of hours. A shop that gives up removes its subscription:
    // the slowest restart that a test waits for has to be over before that.
    shop.setWebhookBehaviour({ retryTimeScale: 0.004 });
    return shop;
  });
  daemon = await DaemonUnderTest.make({ shops });
  daemon.start();
  await daemon.ready();
  await daemon.connected(1);
  await stopQuiet();
});

/** Each test goes on from what the one before left: after a failure the others would say nothing of their own. */
let isBroken = false;

beforeEach((context) => context.skip(isBroken, 'an earlier test failed'));

afterEach((context) => {
  isBroken ||= context.task.result?.state === 'fail';
  for (const shop of shops) {
    shop.setFaults([]);
    shop.setWebhookBehaviour({ lossProbability: 0 });
  }
});

afterAll(async () => {
  await daemon.remove();
  await sandbox.stop();
});

function sell(shop: SandboxShop, quantity: number): void {
  const placed = shop.placeOrder({ lines: [{ sku, quantity }] });
  if (placed.kind === 'refused') throw new Error('refused');
  sold += quantity;
}

function outcomes(): readonly string[] {
  return shops.flatMap((shop) => shop.delivery.log.map(({ outcome }) => outcome));
}

/** Of the newest sale. */
function orderOutcome(): string | undefined {
  const sales = shops.flatMap((shop) => shop.delivery.log.filter(({ topic }) => topic === 'orders/create'));
  return sales.toSorted((a, b) => a.triggeredAt.localeCompare(b.triggeredAt)).at(-1)?.outcome;
}

/** Nothing is left that could set off the next test's failpoint before its own cause does. */
async function stopQuiet(): Promise<void> {
  await sandbox.webhooksIdle();
  // One that still waits for its next attempt could use up its last one while the next daemon is starting, and the next
  // sale would be told to nobody.
  await daemon.until(async () => outcomes().every((outcome) => outcome !== 'waiting'), 'delivered');
  expect(outcomes()).not.toContain('given-up');
  await daemon.until(async () => (await daemon.metric('stockmesh_inbox_jobs')) === 0, 'quiet');
  expect(await daemon.findings()).toEqual([]);
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
}

/** Both shops and the ledger, and no unit twice: the exact number can only be reached by applying each sale once. */
async function agreed(): Promise<void> {
  const right = opening - sold;
  await daemon.until(
    async () =>
      (await daemon.available(sku)) === right && shops.every((shop) => shop.available(sku) === right),
    `agreed on ${right}`,
  );
}

async function killedAt(failpoint: string, cause: () => void): Promise<void> {
  daemon.start({ STOCKMESH_FAILPOINT: `${failpoint}@1=kill` });
  await daemon.ready();
  cause();
  expect(await daemon.exited()).toEqual({ code: null, signal: 'SIGKILL' });
}

test.each([
  ['A1', 'webhook-read', 'before the delivery is stored: no answer, it comes again'],
  ['A2', 'inbox-added', 'stored and not answered: it comes again and is a duplicate'],
  ['A3', 'webhook-answered', 'answered and not worked on: the inbox has it'],
  ['A3', 'job-started', 'taken from the inbox: its lock ends, it starts again'],
  ['A4', 'ledger-applied', 'applied and still in the inbox: applying it again changes nothing'],
])('%s: killed at %s, %s', async (_point, failpoint) => {
  const [a] = shops;
  a?.setFaults(pollFails);
  await killedAt(failpoint, () => sell(a!, 2));
  // Answered is answered: from here on nobody but the inbox knows of the sale.
  if (failpoint === 'webhook-answered') await expect.poll(orderOutcome, { timeout: 5_000 }).toBe('delivered');
  if (failpoint === 'webhook-read' || failpoint === 'inbox-added') expect(orderOutcome()).toBe('waiting');
  daemon.start();
  await daemon.ready();
  // Only the inbox or a repeated delivery can bring the sale: the poll fails.
  await daemon.until(async () => (await daemon.available(sku)) === opening - sold, 'applied');
  a?.setFaults([]);
  await agreed();
  await stopQuiet();
});

test.each([
  ['A5', 'poll-page-fetched', 'fetched and not applied: the page is fetched again'],
  ['A6', 'poll-page-applied', 'applied before the cursor moved: the page comes again and changes nothing'],
])('%s: killed at %s, %s', async (_point, failpoint) => {
  const [a] = shops;
  a?.setWebhookBehaviour({ lossProbability: 1 });
  sell(a!, 3);
  daemon.start({ STOCKMESH_FAILPOINT: `${failpoint}@1=kill` });
  expect(await daemon.exited()).toEqual({ code: null, signal: 'SIGKILL' });
  daemon.start();
  await daemon.ready();
  await agreed();
  await stopQuiet();
});

test.each([
  ['A7', 'publish-claimed', 'recorded and not sent: sent after the restart'],
  ['A8', 'publish-sent', 'sent without an answer: repeated under its own key'],
  ['A9', 'publish-answered', 'answered and not noted: repeated under its own key'],
])('%s: killed at %s, %s', async (_point, failpoint) => {
  const [a, b] = shops;
  const before = b!.available(sku);
  await killedAt(failpoint, () => sell(a!, 4));
  daemon.start();
  await daemon.ready();
  await agreed();
  // A lowering applied twice would have been seen lower than this at some moment, and repaired since.
  expect(b!.available(sku)).toBe(before - 4);
  await stopQuiet();
});

test('killed again and again under load, everything is applied once', async () => {
  const [a, b] = shops;
  daemon.start();
  await daemon.ready();
  for (let round = 0; round < 3; round++) {
    for (let sale = 0; sale < 10; sale++) {
      sell(sale % 2 === 0 ? a! : b!, 1);
      if (sale === 5) await daemon.kill('SIGKILL');
    }
    daemon.start();
    await daemon.ready();
  }
  await agreed();
  expect(await daemon.parked()).toEqual([]);
  expect(breaches(sandbox.violations())).toEqual([]);
  await stopQuiet();
});
