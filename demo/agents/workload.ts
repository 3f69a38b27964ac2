import { setTimeout as delay } from 'node:timers/promises';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { acpDoor, type Door, mcpDoor, restDoor, ttlSeconds, ucpDoor } from './doors.ts';
import type { ShopSale } from './exposure.ts';

export interface WorkloadOptions {
  /** Of the daemon's private listener. */
  readonly url: string;
  readonly shop: SandboxShop;
  readonly skus: readonly string[];
  readonly agents: number;
  readonly atOnce: number;
  readonly seed: number;
  /** What people bought is added to it. */
  readonly sales: ShopSale[];
}

/** What the agents saw; every answer is counted under one name. */
export type Tally = Record<string, number>;

/** Mulberry32: the same seed, the same agents. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type RacePath = 'rest' | 'mcp' | 'acp' | 'ucp' | 'shop';

/**
 * The classic race: many buyers, one unit, all at once, over the paths in turn. `shop`: people, who ask the shop and not the
 * ledger. Answers how many got it.
 */
export async function race(
  { url, shop }: Pick<WorkloadOptions, 'url' | 'shop'>,
  sku: string,
  buyers: number,
  paths: readonly RacePath[],
  sales: ShopSale[],
): Promise<Tally> {
  const { door: mcp, client } = await mcpDoor(url);
  const doors = { rest: restDoor(url), mcp, acp: acpDoor(url), ucp: ucpDoor(url) };
  const tally: Tally = { buyers, held: 0, sold: 0, denied: 0, other: 0 };
  const one = async (i: number): Promise<void> => {
    const path = paths[i % paths.length] ?? 'rest';
    if (path === 'shop') {
      // Not before the others are on their way: a sale here is a call of a function.
      await delay(0);
      count(tally, buyOnShop(shop, sku, sales) === 'accepted' ? 'sold' : 'denied');
      return;
    }
    const { body } = await doors[path].reserve([{ sku, quantity: 1 }], `racer-${i}`, `race-${sku}-${i}`);
    const { outcome } = body;
    count(tally, outcome === 'held' || outcome === 'denied' ? outcome : 'other');
  };
  try {
    await Promise.all(Array.from({ length: buyers }, (_, i) => one(i)));
    return tally;
  } finally {
    await client.close();
  }
}

function buyOnShop(shop: SandboxShop, sku: string, sales: ShopSale[]): string {
  const placed = shop.placeOrder({ lines: [{ sku, quantity: 1 }] });
  // By the platform's own clock, as its orders and webhooks tell it.
  if (placed.kind === 'accepted')
    sales.push({ sku, order: /\d+$/.exec(placed.order.id)?.[0] ?? '', atMs: placed.order.createdAt });
  return placed.kind;
}

/**
 * Agents that look for a basket, pay late or not at all, repeat what was not answered, extend, or walk away; and people who
 * buy on the shop meanwhile. Ends when every hold has ended.
 */
export async function runAgents(options: WorkloadOptions): Promise<Tally> {
  const random = randomFrom(options.seed);
  const tally: Tally = {};
  const { door: mcp, client } = await mcpDoor(options.url);
  const doors: readonly Door[] = [restDoor(options.url), mcp, acpDoor(options.url), ucpDoor(options.url)];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < options.agents) {
      const n = next++;
      if (n % 20 === 0) {
        const sku = options.skus[Math.floor(random() * options.skus.length)] ?? '';
        count(tally, `human ${buyOnShop(options.shop, sku, options.sales)}`);
      }
      const door = doors[Math.max(0, Math.floor(random() * 8) - 4)];
      if (door !== undefined) await oneAgent(door, n, options, random, tally);
    }
  };
  try {
    await Promise.all(Array.from({ length: options.atOnce }, worker));
  } finally {
    await client.close();
  }
  await delay(ttlSeconds * 1_000);
  return tally;
}

async function oneAgent(
  door: Door,
  n: number,
  { skus, seed }: WorkloadOptions,
  random: () => number,
  tally: Tally,
): Promise<void> {
  const key = `${seed}-${n}`;
  const basket = new Set(
    Array.from({ length: 1 + Math.floor(random() * 3) }, () => skus[Math.floor(random() * skus.length)]),
  );
  const lines = [...basket].map((sku) => ({ sku, quantity: 1 + Math.floor(random() * 2) }));
  const fate = random();
  const isRepeated = random() < 0.2;
  const payMs = random() * 60;
  const first = await door.reserve(lines, `agent-${n}`, key);
  count(tally, `${door.name} ${String(first.body['outcome'] ?? first.body['code'])}`);
  if (isRepeated) {
    const again = await door.reserve(lines, `agent-${n}`, key);
    count(
      tally,
      again.body['hold_id'] === first.body['hold_id'] ? 'repeat same answer' : 'repeat OTHER ANSWER',
    );
  }
  const holdId = first.body['hold_id'];
  if (typeof holdId !== 'string' || first.body['outcome'] !== 'held') return;
  await delay(payMs);
  if (fate < 0.15) return count(tally, 'walked away');
  if (fate < 0.3)
    return count(
      tally,
      `payment failed, ${String((await door.act('release', holdId, key)).body['outcome'])}`,
    );
  if (fate < 0.45) count(tally, `extend ${String((await door.act('extend', holdId, key)).body['outcome'])}`);
  const bought = await door.act('commit', holdId, key);
  count(tally, `commit ${String(bought.body['outcome'] ?? bought.body['code'])}`);
}

function count(tally: Tally, name: string): void {
  tally[name] = (tally[name] ?? 0) + 1;
}
