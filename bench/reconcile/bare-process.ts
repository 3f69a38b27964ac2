import { readFileSync } from 'node:fs';
import { loadConfig } from '../../src/config/load-config.ts';
import { createConnector } from '../../src/daemon/connectors.ts';
import { barePorts } from '../support/bare-ports.ts';

/**
 * What a reconciliation is measured against, as a process of its own like the daemon: the same connectors read the same
 * pages over the same wire, and nothing is kept of them.
 *
 * Argument: configuration file. One line of JSON per channel named on stdin: {channel, ms, cpuMs, rows, pages, peakRssMb}.
 */
const config = loadConfig(process.argv[2] ?? '');
const readMaxMs = 1_800_000;

const connectors = new Map(
  config.channels.map((channel) => [channel.id as string, createConnector(channel, barePorts())]),
);

async function read(channel: string): Promise<object> {
  const connector = connectors.get(channel);
  if (connector === undefined) throw new Error(`no channel ${channel}`);
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const signal = AbortSignal.timeout(readMaxMs);
  let rows = 0;
  let pages = 0;
  let peakRssMb = rssMb();
  if (connector.pollCounts === undefined) {
    for await (const page of connector.readListings(null, signal)) {
      rows += page.listings.length;
      pages++;
      peakRssMb = Math.max(peakRssMb, rssMb());
    }
  } else {
    for await (const page of connector.compareCounts?.(signal) ?? connector.pollCounts(null, signal)) {
      if (page.kind === 'held') throw new Error(`${channel} is held: ${page.reason}`);
      rows += page.counts.length;
      pages++;
      peakRssMb = Math.max(peakRssMb, rssMb());
    }
  }
  const ms = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(cpu);
  return { channel, ms, cpuMs: (user + system) / 1_000, rows, pages, peakRssMb };
}

function rssMb(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1_024;
}

for await (const chunk of process.stdin) {
  for (const channel of String(chunk).split('\n').filter(Boolean))
    process.stdout.write(`${JSON.stringify(await read(channel))}\n`);
}
