import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DaemonProcess } from '../../demo/daemon-process.ts';
import { emulateFourPlatforms, type FourPlatforms } from '../../demo/emulators/four-platforms.ts';
import { ledgerStock } from '../../demo/agreement.ts';
import { type DaemonChannel } from '../../demo/figures.ts';
import { makeWorkspace, type Workspace } from '../../demo/workspace.ts';
import { BareReader, type Reading } from './bare-reader.ts';
import { type Held, HeapWatch, heapOption } from './heap-watch.ts';

export interface Cycle extends Reading {
  readonly state: string;
  readonly reason: string;
  readonly requests: number;
  readonly opened: number;
  readonly unjudged: number;
  /** Resident memory of the daemon beyond what it had before the run. */
  readonly grownMb: number;
}

export interface Setting {
  readonly platforms: FourPlatforms;
  readonly channels: readonly string[];
  readonly connectS: number;
  readonly bare: BareReader;
  cycle(channel: string): Promise<Cycle>;
  /** What the daemon keeps alive during one more cycle of each channel, whose time says nothing. */
  held(): Promise<readonly (Held & { readonly channel: string })[]>;
  findings(): Promise<number>;
  stop(): Promise<void>;
}

const ticksPerS = 100;
const connectMaxMs = 900_000;
const runMaxMs = 900_000;
const unitsEach = 100;

/** Four unthrottled emulators with this many SKUs, the daemon in a process of its own, and the bare reader in another. */
export async function openSetting(skus: number): Promise<Setting> {
  const stock = new Map<string, number>();
  for (let n = 0; n < skus; n++) stock.set(`SKU-${String(n).padStart(6, '0')}`, unitsEach);
  const platforms = await emulateFourPlatforms({
    stock,
    seed: 1,
    rateLimits: 'none',
    isRough: false,
    shops: ['north'],
  });
  Object.assign(platforms.amazon.seller.settings, {
    applyDelayMs: { min: 0, max: 0 },
    reportMs: { min: 0, max: 0 },
  });
  // A bulk operation takes no time of its own either: it would only flatter the ratio.
  for (const { bulk } of platforms.shopify.shops)
    Object.assign(bulk.settings, { sliceDelayMs: 0, rowsPerSlice: 5_000 });
  const workspace = await makeWorkspace({
    channels: platforms.config.map((channel) => quiet(channel)),
    locations: platforms.locations,
    secrets: platforms.secrets,
    more: {
      logLevel: 'error',
      reconcile: { cron: null, sweepSharePercent: 0 },
      // Only the first connection writes much: each of its small records would wait for the disk.
      redis: { durability: 'everysec' },
    },
  });
  const { privateUrl } = workspace;
  const daemon = new DaemonProcess({
    configPath: workspace.configPath,
    logPath: workspace.logPath,
    privateUrl,
    onRestart: (reason) => console.error(`the daemon ended: ${reason}`),
  });
  process.env['NODE_OPTIONS'] = [process.env['NODE_OPTIONS'], heapOption].filter(Boolean).join(' ');
  const startedMs = performance.now();
  daemon.start();
  await daemon.ready(90_000);
  await connected(privateUrl, platforms, stock);
  const connectS = (performance.now() - startedMs) / 1_000;
  const bare = new BareReader(bareConfig(workspace, platforms));
  const channels = platforms.config.map(({ id }) => String(id));
  return {
    platforms,
    channels,
    connectS,
    bare,
    cycle: (channel) => cycle(privateUrl, daemon, channel),
    async held() {
      const { pid } = daemon;
      if (pid === undefined) throw new Error('no daemon');
      const watch = await HeapWatch.open(pid, workspace.logPath);
      const all: (Held & { channel: string })[] = [];
      for (const channel of channels)
        all.push({ channel, ...(await watch.during(() => cycle(privateUrl, daemon, channel))) });
      watch.close();
      return all;
    },
    async findings() {
      const [open, resolved] = await Promise.all(
        ['open', 'resolved'].map((state) =>
          ask<{ findings: readonly object[] }>(`${privateUrl}/drift?state=${state}&limit=1000`),
        ),
      );
      return (open?.findings.length ?? 0) + (resolved?.findings.length ?? 0);
    },
    async stop() {
      await bare.stop();
      await daemon.stop();
      await platforms.stop();
      workspace.remove();
    },
  };
}

/** TikTok's refresh tokens are good once: the bare reader has one of its own. */
function bareConfig({ configPath, dir }: Workspace, { tiktok }: FourPlatforms): string {
  const file = 'tiktok-bare.refresh';
  writeFileSync(join(dir, file), tiktok.shop.tokens.issue().refreshToken, { mode: 0o600 });
  const path = join(dir, 'bare.yaml');
  const text = readFileSync(configPath, 'utf8').replace('file:tiktok.refresh', `file:${file}`);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** Nothing else reads while a reading is measured; the warehouse's limits are lifted as the emulator's are. */
function quiet(channel: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const poll = channel['poll'] as Record<string, unknown>;
  const isWarehouse = channel['platform'] === 'wms';
  const connection = channel['connection'] as Record<string, unknown>;
  const rates = { creditCapacity: 10_000_000, creditsPerS: 1_000_000, requestsPer5Min: 10_000_000 };
  return {
    ...channel,
    ...(isWarehouse ? { connection: { ...connection, rates } } : {}),
    poll: { ...poll, intervalMs: 3_600_000 },
  };
}

async function connected(
  privateUrl: string,
  platforms: FourPlatforms,
  stock: ReadonlyMap<string, number>,
): Promise<void> {
  const untilMs = performance.now() + connectMaxMs;
  const [first] = stock.keys();
  const last = [...stock.keys()].at(-1);
  let told = 0;
  while (performance.now() < untilMs) {
    await delay(500);
    const { channels } = await ask<{ channels: readonly (DaemonChannel & { backlog: number })[] }>(
      `${privateUrl}/channels`,
    ).catch(() => ({ channels: [] }));
    const settled = new Map(channels.map(({ channel, settled: count }) => [channel, count]));
    if (performance.now() - told > 10_000) {
      told = performance.now();
      console.error(`connecting: ${JSON.stringify(Object.fromEntries(settled))}`);
    }
    if (platforms.selling.some(({ id, skus }) => (settled.get(id) ?? 0) < skus.size)) continue;
    // Whoever publishes may still look at what became known: that is no part of a reconciliation.
    if (channels.some(({ backlog }) => backlog > 0)) continue;
    const ends = [first, last].filter((sku) => sku !== undefined);
    const ledger = await ledgerStock(privateUrl, ends).catch(() => undefined);
    if (ends.every((sku) => ledger?.get(sku)?.onHand === unitsEach)) return;
  }
  throw new Error(`the channels were not read within ${connectMaxMs / 1_000} s`);
}

interface StoredRun {
  readonly state: string;
  readonly reason: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  readonly rows: number;
  readonly requests: number;
  readonly opened: number;
  readonly unjudged: number;
}

/** Asked for as an operator would; its time is its own, from its beginning to its end, verdicts included. */
async function cycle(privateUrl: string, daemon: DaemonProcess, channel: string): Promise<Cycle> {
  const { pid } = daemon;
  if (pid === undefined) throw new Error('no daemon');
  const beforeMb = rssMb(pid);
  const beforeCpuMs = cpuMs(pid);
  const runId = await askForRun(privateUrl, channel);
  let peakRssMb = beforeMb;
  const untilMs = performance.now() + runMaxMs;
  for (let look = 1; performance.now() < untilMs; look++) {
    await delay(50);
    peakRssMb = Math.max(peakRssMb, rssMb(pid));
    // Its time stands in the run: asking all the time would only cost the daemon what is measured.
    if (look % 10 !== 0) continue;
    const list = `${privateUrl}/reconcile/runs?channel=${channel}&limit=5`;
    const { runs } = await ask<{ runs: readonly (StoredRun & { id: string })[] }>(list);
    const run = runs.find(({ id }) => id === runId);
    if (run === undefined || run.endedAtMs === null) continue;
    const { state, reason, rows, requests, opened, unjudged } = run;
    return {
      channel,
      ms: run.endedAtMs - run.startedAtMs,
      cpuMs: cpuMs(pid) - beforeCpuMs,
      rows,
      peakRssMb,
      grownMb: peakRssMb - beforeMb,
      state,
      reason,
      requests,
      opened,
      unjudged,
    };
  }
  throw new Error(`the run on ${channel} did not end`);
}

/** Tried again: a daemon whose heap is being looked at may be too late for its own ledger. */
async function askForRun(privateUrl: string, channel: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`${privateUrl}/reconcile`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ channel, actor: 'bench' }),
    });
    const asked = (await response.json()) as { runs?: readonly { runId: string }[] };
    const runId = asked.runs?.[0]?.runId;
    if (runId !== undefined) return runId;
    if (attempt >= 5) throw new Error(`POST /reconcile answered ${response.status}`);
    await delay(1_000);
  }
}

/** Patient: the daemon is busy with what is measured, and so is its Redis. */
async function ask<Answer>(url: string): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    if (response.ok) return (await response.json()) as Answer;
    if (attempt >= 10) throw new Error(`GET ${url} answered ${response.status}`);
    await delay(500);
  }
}

function rssMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1_024;
}

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerS) * 1_000;
}
