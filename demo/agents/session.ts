import { startShopifySandbox } from '../../sandbox/shopify/server.ts';
import { DaemonUnderTest } from '../../test/e2e/daemon.ts';
import { race, runAgents, type Tally } from './workload.ts';

export interface AgentsReport {
  readonly seed: number;
  readonly races: readonly Tally[];
  readonly tally: Tally;
  /** What the ledger's own verification finds wrong. */
  readonly findings: readonly unknown[];
  /** SKUs of which the ledger promised more than there is. */
  readonly oversold: readonly string[];
}

const skus = Array.from({ length: 20 }, (_, i) => `AGENT-${i}`);
const races = ['RACE-0', 'RACE-1', 'RACE-2'];

/** A real daemon with a sandbox shop, the race first, then the agents, then the invariant checker. */
export async function agentSession(agents: number, seed: number, buyers = 100): Promise<AgentsReport> {
  const sandbox = await startShopifySandbox();
  const shop = sandbox.addShop({ domain: 'agents.myshopify.com', plan: 'plus' });
  // Scarce on purpose: most of the workload is about the last units.
  const each = Math.max(20, Math.ceil(agents / 25));
  for (const sku of skus) shop.addItem({ sku, quantities: each });
  for (const sku of races) shop.addItem({ sku, quantities: 1 });
  const limits = { requestsPerSecond: 10_000, burst: 10_000 };
  const config = {
    logLevel: 'warn',
    reservations: { agents: { ...limits, keepPercent: 0 }, checkouts: limits },
  };
  const daemon = await DaemonUnderTest.make({ shops: [shop], config });
  try {
    daemon.start();
    await daemon.ready(60_000);
    await daemon.connected(skus.length + races.length, 60_000);
    const raced: Tally[] = [];
    for (const sku of races) raced.push(await race(daemon.privateUrl, sku, buyers));
    const tally = await runAgents({ url: daemon.privateUrl, shop, skus, agents, atOnce: 64, seed });
    const humans = tally['human accepted'] ?? 0;
    const settled = async (): Promise<boolean> =>
      (await daemon.channels()).every((channel) => Number(channel['backlog']) === 0) &&
      (await daemon.metric('stockmesh_inbox_jobs')) === 0;
    await daemon.until(settled, `${humans} orders of people taken in`, 60_000);
    const oversold: string[] = [];
    for (const sku of [...skus, ...races]) if (((await daemon.available(sku)) ?? 0) < 0) oversold.push(sku);
    return { seed, races: raced, tally, findings: await daemon.findings(), oversold };
  } finally {
    await daemon.remove();
    await sandbox.stop();
  }
}
