import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';

export interface WorkloadOptions {
  /** Of the daemon's private listener. */
  readonly url: string;
  readonly shop: SandboxShop;
  readonly skus: readonly string[];
  readonly agents: number;
  readonly atOnce: number;
  readonly seed: number;
}

/** What the agents saw; every answer is counted under one name. */
export type Tally = Record<string, number>;

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** One way to the reservation service. */
interface Door {
  readonly name: 'rest' | 'mcp';
  reserve(lines: readonly object[], agentId: string, key: string): Promise<Answer>;
  act(action: 'extend' | 'commit' | 'release', holdId: string, key: string): Promise<Answer>;
}

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

const ttlSeconds = 2;

function restDoor(url: string): Door {
  const post = async (path: string, body: object, key: string): Promise<Answer> => {
    const response = await fetch(`${url}/inventory/v1/reservations${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return {
    name: 'rest',
    reserve: (lines, agentId, key) =>
      post('', { lines, agent_id: agentId, session_id: key, ttl_seconds: ttlSeconds }, key),
    act: (action, holdId, key) =>
      post(
        `/${holdId}/${action}`,
        action === 'extend' ? { ttl_seconds: ttlSeconds } : {},
        `${key}-${action}`,
      ),
  };
}

async function mcpDoor(url: string): Promise<{ readonly door: Door; readonly client: Client }> {
  const client = new Client({ name: 'synthetic agents', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)));
  const call = async (name: string, args: Record<string, unknown>): Promise<Answer> => {
    const result = await client.callTool({ name, arguments: args });
    return {
      status: result.isError === true ? 400 : 200,
      body: (result.structuredContent ?? {}) as Record<string, unknown>,
    };
  };
  const door: Door = {
    name: 'mcp',
    reserve: (lines, agentId, key) =>
      call('reserve_stock', {
        lines,
        agent_id: agentId,
        session_id: key,
        ttl_seconds: ttlSeconds,
        idempotency_key: key,
      }),
    act: (action, holdId, key) =>
      call(action, {
        hold_id: holdId,
        idempotency_key: `${key}-${action}`,
        ...(action === 'extend' ? { ttl_seconds: ttlSeconds } : {}),
      }),
  };
  return { door, client };
}

/** The classic race: many buyers, one unit, all at once, over both doors. Answers how many got it. */
export async function race(url: string, sku: string, buyers: number): Promise<Tally> {
  const { door: mcp, client } = await mcpDoor(url);
  const rest = restDoor(url);
  try {
    const answers = await Promise.all(
      Array.from({ length: buyers }, (_, i) =>
        (i % 2 === 0 ? rest : mcp).reserve([{ sku, quantity: 1 }], `racer-${i}`, `race-${sku}-${i}`),
      ),
    );
    const tally: Tally = { buyers, held: 0, denied: 0, other: 0 };
    for (const { body } of answers)
      count(tally, body['outcome'] === 'held' || body['outcome'] === 'denied' ? body['outcome'] : 'other');
    return tally;
  } finally {
    await client.close();
  }
}

/**
 * Agents that look for a basket, pay late or not at all, repeat what was not answered, extend, or walk away; and people who
 * buy on the shop meanwhile. Ends when every hold has ended.
 */
export async function runAgents(options: WorkloadOptions): Promise<Tally> {
  const random = randomFrom(options.seed);
  const tally: Tally = {};
  const { door: mcp, client } = await mcpDoor(options.url);
  const rest = restDoor(options.url);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < options.agents) {
      const n = next++;
      if (n % 20 === 0) {
        const sku = options.skus[Math.floor(random() * options.skus.length)] ?? '';
        count(tally, `human ${options.shop.placeOrder({ lines: [{ sku, quantity: 1 }] }).kind}`);
      }
      await oneAgent(random() < 0.7 ? rest : mcp, n, options, random, tally);
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
