import { startShopifySandbox } from '../../sandbox/shopify/server.ts';
import { DaemonUnderTest } from '../../test/e2e/daemon.ts';
import { followEvents } from '../../test/http/support/server-events.ts';
import { ttlSeconds } from './doors.ts';
import { type Judgement, judgeOversells, type ShopSale } from './exposure.ts';
import { race, type RacePath, runAgents, type Tally } from './workload.ts';

export interface AgentsReport {
  readonly seed: number;
  readonly races: Readonly<Record<string, Tally>>;
  readonly tally: Tally;
  /** What the ledger's own verification finds wrong. */
  readonly findings: readonly unknown[];
  /** Below zero at the end, or on the way to it: whose it is. */
  readonly oversold: Judgement;
  /** SKUs that the shop shows otherwise than the ledger has them, half a minute after the last change. */
  readonly different: readonly string[];
}

export interface AgentsOptions {
  readonly agents: number;
  readonly seed: number;
  readonly buyers: number;
  /** How long shop and ledger may not have heard of each other. */
  readonly maxLagMs: number;
}

const skus = Array.from({ length: 20 }, (_, i) => `AGENT-${i}`);
const races: Readonly<Record<string, readonly RacePath[]>> = {
  rest: ['rest'],
  mcp: ['mcp'],
  acp: ['acp'],
  ucp: ['ucp'],
  shop: ['shop'],
  doors: ['rest', 'mcp', 'acp', 'ucp'],
  everything: ['rest', 'mcp', 'acp', 'ucp', 'shop'],
};

/** A real daemon with a sandbox shop, the races first, then the agents, then the invariant checker and the judge. */
export async function agentSession(options: AgentsOptions): Promise<AgentsReport> {
  const { agents, seed, buyers } = options;
  const sandbox = await startShopifySandbox();
  const shop = sandbox.addShop({ domain: 'agents.myshopify.com', plan: 'plus' });
  // Scarce on purpose: most of the workload is about the last units.
  const each = Math.max(20, Math.ceil(agents / 25));
  for (const sku of skus) shop.addItem({ sku, quantities: each });
  for (const name of Object.keys(races)) shop.addItem({ sku: `RACE-${name}`, quantities: 1 });
  const all = [...skus, ...Object.keys(races).map((name) => `RACE-${name}`)];
  const limits = { requestsPerSecond: 10_000, burst: 10_000 };
  const config = {
    logLevel: 'warn',
    reservations: {
      agents: { ...limits, keepPercent: 0 },
      checkouts: limits,
      stages: { checkout: { defaultTtlMs: ttlSeconds * 1_000, maxTtlMs: ttlSeconds * 1_000 } },
    },
  };
  const daemon = await DaemonUnderTest.make({ shops: [shop], config });
  try {
    daemon.start();
    await daemon.ready(60_000);
    const log = await followEvents(`${daemon.privateUrl}/inventory/v1/movements?after=0-0`);
    await daemon.connected(all.length, 60_000);
    const sales: ShopSale[] = [];
    const at = { url: daemon.privateUrl, shop };
    const raced: Record<string, Tally> = {};
    for (const [name, paths] of Object.entries(races))
      raced[name] = await race(at, `RACE-${name}`, buyers, paths, sales);
    const tally = await runAgents({ ...at, skus, agents, atOnce: 64, seed, sales });
    const settled = async (): Promise<boolean> =>
      (await daemon.channels()).every((channel) => Number(channel['backlog']) === 0) &&
      (await daemon.metric('stockmesh_inbox_jobs')) === 0;
    await daemon.until(settled, `${sales.length} orders of people taken in`, 120_000);
    // The shop shows what there is: nothing that was sold went back on sale.
    const different: string[] = [];
    await daemon
      .until(
        async () => {
          different.length = 0;
          for (const sku of all) {
            const [shown, left] = [shop.available(sku), (await daemon.available(sku)) ?? 0];
            if (Math.max(0, shown) !== Math.max(0, left)) different.push(`${sku} shows ${shown} of ${left}`);
          }
          return different.length === 0;
        },
        'the shop shows what the ledger has',
        30_000,
      )
      .catch((error: unknown) => {
        if (different.length === 0) throw error;
      });
    const heard = (): number => log.movements().filter(({ data }) => data['kind'] === 'ordered').length;
    await daemon.until(async () => heard() >= sales.length, 'every order in the stream of movements', 60_000);
    const movements = log.movements().map(({ data }) => ({
      kind: String(data['kind']),
      atMs: Date.parse(String(data['at'])),
      sku: String(data['sku']),
      available: Number(data['available']),
      reference: /\d+$/.exec(String(data['reference']))?.[0] ?? String(data['reference']),
    }));
    log.close();
    return {
      seed,
      races: raced,
      tally,
      findings: await daemon.findings(),
      oversold: judgeOversells(movements, sales, options.maxLagMs),
      different,
    };
  } finally {
    await daemon.remove();
    await sandbox.stop();
  }
}

/** What a run must be; empty: it is. */
export function faultsOf({
  races: raced,
  tally,
  findings,
  oversold,
  different,
}: AgentsReport): readonly string[] {
  const faults = oversold.beyond.map((text) => `oversold beyond what the platform leaves: ${text}`);
  if (findings.length > 0) faults.push(`${findings.length} findings of the ledger's verification`);
  faults.push(...different);
  if (tally['repeat OTHER ANSWER'] !== undefined) faults.push('a repeat was answered differently');
  for (const [name, { held = 0, sold = 0, other = 0 }] of Object.entries(raced)) {
    if (other > 0) faults.push(`race ${name}: ${other} answers that are none`);
    // One winner among those who ask the ledger, one among those who ask the shop; both only while neither heard of the other.
    const isOneEach = held <= 1 && sold <= 1 && held + sold >= 1;
    if (name === 'everything' ? !isOneEach : held + sold !== 1)
      faults.push(`race ${name}: ${held} held, ${sold} sold`);
  }
  return faults;
}
