import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type FourPlatforms, emulateFourPlatforms } from '../../demo/emulators/four-platforms.ts';
import { DaemonProcess } from '../../demo/daemon-process.ts';
import { askDaemon, type DaemonChannel } from '../../demo/figures.ts';
import { makeWorkspace } from '../../demo/workspace.ts';
import { type PrivateRedis, startPrivateRedis } from '../../test/support/redis.ts';

export type ContenderKind = 'stockmesh' | 'relay' | 'jobs';

export interface Setting {
  readonly platforms: FourPlatforms;
  readonly privateUrl: string;
  readonly publicUrl: string;
  /** Seconds of processor time of the contender's own process so far. */
  readonly cpuS: () => number;
  /** What the contender itself counts as needless; undefined: it keeps no count. */
  readonly needlessWrites: () => Promise<number | undefined>;
  stop(): Promise<void>;
}

const ticksPerS = 100;

function cpuOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerS;
}

async function needlessIn(metricsUrl: string): Promise<number> {
  const text = await (await fetch(metricsUrl, { signal: AbortSignal.timeout(10_000) })).text();
  const counts = text.matchAll(/^stockmesh_publish_needless_total\{[^}]*\} (\d+)/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Fresh emulators with this stock, and one contender that serves them. */
export async function openSetting(
  kind: ContenderKind,
  stock: ReadonlyMap<string, number>,
  rateLimits: 'published' | 'none',
): Promise<Setting> {
  const platforms = await emulateFourPlatforms({
    stock,
    seed: 1,
    rateLimits,
    isRough: false,
    shops: ['north', 'south'],
  });
  // A rate benchmark: what the platforms add of their own is kept out of it.
  Object.assign(platforms.amazon.seller.settings, {
    applyDelayMs: { min: 0, max: 0 },
    notificationDelayMs: { min: 0, max: 0 },
    pendingMs: null,
    reportMs: { min: 0, max: 0 },
  });
  Object.assign(platforms.tiktok.shop.settings, { applyDelayMs: { min: 0, max: 0 } });
  const workspace = await makeWorkspace({
    channels: platforms.config,
    locations: platforms.locations,
    secrets: platforms.secrets,
    more: { logLevel: 'error' },
  });
  const publicUrl = (
    JSON.parse(readFileSync(workspace.configPath, 'utf8')) as { http: { publicUrl: string } }
  ).http.publicUrl;
  const common = { platforms, privateUrl: workspace.privateUrl, publicUrl };
  if (kind === 'stockmesh') {
    const daemon = new DaemonProcess({
      configPath: workspace.configPath,
      logPath: workspace.logPath,
      privateUrl: workspace.privateUrl,
      onRestart: (reason) => console.log(`the daemon ended: ${reason}`),
    });
    daemon.start();
    await daemon.ready(90_000);
    await settled(workspace.privateUrl, stock.size);
    return {
      ...common,
      cpuS: () => cpuOf(daemon.pid),
      needlessWrites: () => needlessIn(`${workspace.privateUrl}/metrics`),
      async stop() {
        await daemon.stop();
        await platforms.stop();
        workspace.remove();
      },
    };
  }
  const redis: PrivateRedis | undefined =
    kind === 'jobs' ? await startPrivateRedis({ appendfsync: 'always' }) : undefined;
  const script = new URL('./rival-process.ts', import.meta.url).pathname;
  const child: ChildProcess = spawn(
    process.execPath,
    [script, kind, workspace.configPath, redis?.path ?? ''],
    { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
  );
  const isReady = await Promise.race([
    once(child.stdout ?? child, 'data').then(() => true),
    once(child, 'exit').then(() => false),
    delay(60_000, false, { ref: false }),
  ]);
  if (!isReady) throw new Error(`the ${kind} did not start`);
  return {
    ...common,
    cpuS: () => cpuOf(child.pid),
    needlessWrites: () => Promise.resolve(undefined),
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      await redis?.stop();
      await platforms.stop();
      workspace.remove();
    },
  };
}

async function settled(privateUrl: string, listings: number): Promise<void> {
  const untilMs = performance.now() + 120_000;
  while (performance.now() < untilMs) {
    const { channels } = await askDaemon<{ channels: readonly DaemonChannel[] }>(privateUrl, '/channels');
    const selling = channels.filter(({ channel }) => channel !== 'wms');
    if (selling.every((channel) => channel.settled >= listings)) return;
    await delay(100);
  }
  throw new Error('the daemon did not know every listing within two minutes');
}
