import { createServer, connect, type Server } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { SeededRandom } from '../../sandbox/shopify/random.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { type TiktokSandbox, startTiktokSandbox } from '../../sandbox/tiktok/server.ts';
import type { SandboxTiktokShop } from '../../sandbox/tiktok/shop.ts';
import { freePort } from '../support/free-port.ts';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.ts';
import { DaemonUnderTest } from './daemon.ts';

/** Platforms' requests of at most a second: a lease of five, so that a run fits a test. */
const requestMs = 1_000;
const merchant = 'e2e';
const channelCount = 3;

interface Shelf {
  readonly name: string;
  available(sku: string): number | undefined;
  buy(sku: string): boolean;
}

/**
 * Two real daemons of one merchant on one Redis, behind one address, with two Shopify shops and a TikTok shop that sell
 * the same stock. Whoever uses it kills, stops and restarts them; `settle` waits for agreement.
 */
export class TwoDaemons {
  readonly daemons: readonly [DaemonUnderTest, DaemonUnderTest];
  readonly shopify: ShopifySandbox;
  readonly tiktok: TiktokSandbox;
  readonly t: SandboxTiktokShop;
  readonly shelves: readonly Shelf[];
  readonly skus: readonly string[];
  readonly redis: Redis;
  readonly sold = new Map<string, number>();
  readonly #stock: number;
  readonly #server: PrivateRedis;
  readonly #front: Server;

  private constructor(parts: {
    daemons: readonly [DaemonUnderTest, DaemonUnderTest];
    shopify: ShopifySandbox;
    tiktok: TiktokSandbox;
    shops: readonly SandboxShop[];
    t: SandboxTiktokShop;
    skus: readonly string[];
    stock: number;
    server: PrivateRedis;
    front: Server;
  }) {
    const { t } = parts;
    this.daemons = parts.daemons;
    this.shopify = parts.shopify;
    this.tiktok = parts.tiktok;
    this.t = t;
    this.skus = parts.skus;
    this.#stock = parts.stock;
    this.#server = parts.server;
    this.#front = parts.front;
    this.redis = new Redis(parts.server.path);
    const shops = parts.shops.map((shop) => ({
      name: shop.name,
      available: (sku: string) => shop.available(sku),
      buy: (sku: string) => shop.placeOrder({ lines: [{ sku, quantity: 1 }] }).kind !== 'refused',
    }));
    const last: Shelf = {
      name: 'tiktok',
      available: (sku) => t.available(sku),
      buy: (sku) => t.orders.place({ lines: [{ sku, quantity: 1 }] }).kind !== 'refused',
    };
    this.shelves = [...shops, last];
  }

  static async make({ skus: count, stock }: { skus: number; stock: number }): Promise<TwoDaemons> {
    const redisPort = await freePort();
    const server = await startPrivateRedis({
      extraArgs: ['--port', String(redisPort), '--bind', '127.0.0.1'],
    });
    const shopify = await startShopifySandbox();
    const tiktok = await startTiktokSandbox();
    const shops = ['shop-a', 'shop-b'].map((name) =>
      shopify.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' }),
    );
    const t = tiktok.addShop({ settings: { requestsPerS: 50 } });
    const skus = Array.from({ length: count }, (_, index) => `S${index + 1}`);
    for (const shop of shops) for (const sku of skus) shop.addItem({ sku, quantities: stock });
    for (const sku of skus) t.inventory.addProduct({ skus: [{ sku, quantities: stock }] });
    const frontPort = await freePort();
    const make = async (): Promise<DaemonUnderTest> => {
      const daemon = await DaemonUnderTest.make({
        shops,
        config: { redis: { url: `redis://127.0.0.1:${redisPort}` }, masterKey: 'env:SM_TWO_MASTER_KEY' },
        channel: { timeouts: { requestMs } },
      });
      await writeFile(join(daemon.dir, 'secret'), t.appSecret, { mode: 0o600 });
      await writeFile(join(daemon.dir, 'refresh'), refreshToken, { mode: 0o600 });
      await daemon.changeConfig((config) => {
        (config['http'] as Record<string, unknown>)['publicUrl'] = `http://127.0.0.1:${frontPort}`;
        (config['channels'] as unknown[]).push({
          id: 'tiktok',
          platform: 'tiktok',
          mode: 'live',
          shop: t.id,
          baseUrl: tiktok.url,
          credentials: {
            kind: 'refresh-token',
            appKey: t.appKey,
            appSecret: 'file:secret',
            refreshToken: 'file:refresh',
          },
          timeouts: { requestMs },
          timing: { readLagMs: 100, applyGraceMs: 100, longestApplyMs: 2_000 },
          poll: { intervalMs: 1_000, overlapMs: 60_000, indexLagMs: 0 },
        });
      });
      return daemon;
    };
    const { refreshToken } = t.tokens.issue();
    const daemons = [await make(), await make()] as const;
    const front = frontOf(daemons.map(({ publicUrl }) => Number(new URL(publicUrl).port)));
    await new Promise<void>((resolve) => front.listen(frontPort, '127.0.0.1', resolve));
    return new TwoDaemons({ daemons, shopify, tiktok, shops, t, skus, stock, server, front });
  }

  start(which: 0 | 1, env: Readonly<Record<string, string>> = {}): void {
    this.daemons[which].start({ SM_TWO_MASTER_KEY: 'the-same-for-both-0123456789abcdef', ...env });
  }

  async ready(which: 0 | 1): Promise<void> {
    await this.daemons[which].ready(90_000);
  }

  /** Channels the daemon publishes. */
  async holds(which: 0 | 1): Promise<readonly string[]> {
    const channels = await this.daemons[which].channels();
    return channels
      .filter((channel) => channel['isPublishing'] === true)
      .map(({ channel }) => String(channel));
  }

  async untilHoldsAll(which: 0 | 1): Promise<void> {
    const daemon = this.daemons[which];
    await daemon.until(
      async () => (await this.holds(which)).length === channelCount,
      'holder of all',
      90_000,
    );
  }

  buy(shelf: number, sku: string): boolean {
    const isSold = this.shelves[shelf]?.buy(sku) === true;
    if (isSold) this.sold.set(sku, (this.sold.get(sku) ?? 0) + 1);
    return isSold;
  }

  /** Every shelf and the ledger show what is left; answers what does not, when time is over. */
  async settle(by: 0 | 1, withinMs = 90_000): Promise<readonly string[]> {
    const untilMs = performance.now() + withinMs;
    for (;;) {
      const wrong = await this.#disagreements(by).catch((error: unknown) => [String(error)]);
      if (wrong.length === 0 || performance.now() > untilMs) return wrong;
      await delay(100);
    }
  }

  async #disagreements(by: 0 | 1): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const sku of this.skus) {
      const left = this.#stock - (this.sold.get(sku) ?? 0);
      const ledger = await this.daemons[by].available(sku);
      if (ledger !== left) wrong.push(`${sku}: ledger ${ledger}, sold down to ${left}`);
      for (const shelf of this.shelves) {
        const shown = shelf.available(sku);
        if (shown !== Math.max(0, left)) wrong.push(`${sku}: ${shelf.name} ${shown} instead of ${left}`);
      }
    }
    return wrong;
  }

  /** Write records of the channel without an outcome. */
  openRequests(channel: string): Promise<number> {
    return this.redis.hlen(`sm:{${merchant}}:writes:${channel}`);
  }

  get oversold(): number {
    return [...this.sold.values()].reduce((sum, sold) => sum + Math.max(0, sold - this.#stock), 0);
  }

  get orders(): number {
    return [...this.sold.values()].reduce((sum, sold) => sum + sold, 0);
  }

  /** What the platforms would not have allowed. That a dead daemon answers no webhook is the purpose of the run. */
  violations(): readonly unknown[] {
    const all = [...this.shopify.violations(), ...this.tiktok.violations()];
    return all.filter(({ kind }) => !kind.startsWith('webhook'));
  }

  async remove(): Promise<void> {
    for (const { pid } of this.daemons) if (pid > 0) send(pid, 'SIGCONT');
    await Promise.all(this.daemons.map((daemon) => daemon.remove()));
    this.redis.disconnect();
    await Promise.all([this.shopify.stop(), this.tiktok.stop()]);
    this.#front.close();
    await this.#server.stop();
  }
}

export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** What stands before several daemons: each connection goes to the next one that takes it. */
function frontOf(ports: readonly number[]): Server {
  let turn = 0;
  return createServer((client) => {
    client.on('error', () => undefined);
    const first = turn++;
    const attempt = (tried: number): void => {
      const port = ports[(first + tried) % ports.length];
      if (port === undefined || tried >= ports.length) {
        client.destroy();
        return;
      }
      let isConnected = false;
      const upstream = connect(port, '127.0.0.1', () => {
        isConnected = true;
        client.pipe(upstream).pipe(client);
      });
      upstream.on('error', () => (isConnected ? client.destroy() : attempt(tried + 1)));
      client.on('close', () => upstream.destroy());
    };
    attempt(0);
  });
}

const lateCallTurns = 3;

export interface TwoDaemonsResult {
  readonly seed: number;
  readonly orders: number;
  readonly oversold: number;
  readonly lost: number;
  readonly disagreements: readonly string[];
  readonly findings: number;
  readonly violations: number;
  /** The late call of the stopped daemon put sold stock back on the shelf, and the other took it away again. */
  readonly lateCall: 'undone' | 'left' | 'not-seen';
}

/**
 * One run, repeatable by its seed: buyers buy all the time; one daemon is killed and started again, the holder is stopped
 * past its lease with a request in hand and goes on, both are restarted one after the other.
 */
export async function runTwoDaemons(options: {
  readonly seed: number;
  readonly buyMs: number;
  readonly withRollingRestart: boolean;
  readonly say: (line: string) => void;
}): Promise<TwoDaemonsResult> {
  const { seed, buyMs, withRollingRestart, say } = options;
  const random = new SeededRandom(seed);
  const world = await TwoDaemons.make({ skus: 6, stock: 500 });
  const closed = new AbortController();
  const buying = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      // The last SKU is kept for the late call.
      const sku = world.skus[Math.floor(random.next() * (world.skus.length - 1))];
      if (sku !== undefined) world.buy(Math.floor(random.next() * world.shelves.length), sku);
      await delay(20 + random.next() * 180);
    }
  };
  try {
    world.start(0);
    await world.ready(0);
    await world.daemons[0].connected(world.skus.length, 90_000);
    await world.untilHoldsAll(0);
    world.start(1);
    await world.ready(1);
    const buyers = buying();

    say('SIGKILL of the daemon that publishes all channels; the other takes over');
    await delay(buyMs * (0.5 + random.next()));
    await world.daemons[0].kill('SIGKILL');
    await world.untilHoldsAll(1);
    world.start(0);
    await world.ready(0);

    if (withRollingRestart) say('rolling restart: SIGTERM of one, then of the other');
    for (const which of withRollingRestart ? ([1, 0] as const) : []) {
      await delay(buyMs * (0.5 + random.next()));
      const exit = await world.daemons[which].kill('SIGTERM');
      if (exit.code !== 0) throw new Error(`SIGTERM ended with ${JSON.stringify(exit)}`);
      await world.untilHoldsAll(which === 0 ? 1 : 0);
      world.start(which);
      await world.ready(which);
    }

    closed.abort();
    await buyers;
    await world.settle(0);
    let lateCall: TwoDaemonsResult['lateCall'] = 'not-seen';
    // The limit that both share may refuse the late call: then there was none, and nothing to undo.
    for (let turn = 1; turn <= lateCallTurns && lateCall === 'not-seen'; turn++) {
      say('SIGSTOP of the daemon with a request in hand; the other writes 0; then SIGCONT');
      lateCall = await stopWithRequestInHand(world, world.skus.at(-turn) ?? '', say);
    }
    const disagreements = await world.settle(0);
    const findings = await world.daemons[0].findings();
    for (const line of disagreements) say(`WRONG ${line}`);
    return {
      seed,
      orders: world.orders,
      oversold: world.oversold,
      lost: disagreements.filter((line) => line.includes('ledger')).length,
      disagreements,
      findings: findings.length,
      violations: world.violations().length,
      lateCall,
    };
  } finally {
    closed.abort();
    await world.remove();
  }
}

/** A9 of the catalogue of interleavings, through real processes. */
async function stopWithRequestInHand(
  world: TwoDaemons,
  sku: string,
  say: (line: string) => void,
): Promise<TwoDaemonsResult['lateCall']> {
  const [first, second] = world.daemons;
  await second.kill('SIGTERM');
  await first.kill('SIGTERM');
  // It holds each request for a while between the last look at its lease and the call itself.
  world.start(0, { STOCKMESH_FAILPOINT: 'publish-sent@*=delay:10000' });
  await world.ready(0);
  await world.untilHoldsAll(0);
  if (!world.buy(0, sku)) throw new Error('refused');
  const untilMs = performance.now() + 30_000;
  // Its TikTok write is recorded and not yet sent.
  while ((await world.openRequests('tiktok')) === 0) {
    if (performance.now() > untilMs) throw new Error('no request was recorded');
    await delay(5);
  }
  // Stopped before it has the answer it would look at its lease once more, and send nothing.
  await delay(4_000);
  send(first.pid, 'SIGSTOP');
  say(`stopped with a TikTok request in hand; the shelf shows ${world.t.available(sku)}`);
  world.start(1);
  await world.ready(1);
  await world.untilHoldsAll(1);
  while ((world.shelves[0]?.available(sku) ?? 0) > 0) world.buy(0, sku);
  await second.until(async () => world.t.available(sku) === 0, 'sold out on TikTok', 60_000);
  send(first.pid, 'SIGCONT');
  const isSeen = await seen(() => (world.t.available(sku) ?? 0) > 0, 30_000);
  say(
    `continued: the late call ${isSeen ? `put ${world.t.available(sku)} back on the shelf` : 'was not seen'}`,
  );
  const isUndone = await seen(() => world.t.available(sku) === 0, 60_000);
  if (!isUndone) return 'left';
  return isSeen ? 'undone' : 'not-seen';
}

async function seen(condition: () => boolean, withinMs: number): Promise<boolean> {
  const untilMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > untilMs) return false;
    await delay(2);
  }
  return true;
}
