import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { freePort } from '../support/free-port.ts';

const main = new URL('../../src/main.ts', import.meta.url).pathname;

export interface DaemonSetup {
  readonly shops: readonly SandboxShop[];
  /** Merged over the configuration made for the shops. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Merged over every channel. */
  readonly channel?: Readonly<Record<string, unknown>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StockRow {
  readonly sku: string;
  readonly available: number;
  readonly locations: readonly { readonly onHand: number; readonly committed: number }[];
}

/**
 * The real daemon as a child process on a directory of its own, for tests that kill and restart it.
 *
 *   made --start--> running --kill, stop--> ended --start--> running ...   any --remove--> gone
 */
export class DaemonUnderTest {
  readonly dir: string;
  readonly publicUrl: string;
  readonly privateUrl: string;
  readonly configPath: string;
  #child: ChildProcess | undefined;
  #output = '';

  private constructor(dir: string, configPath: string, publicUrl: string, privateUrl: string) {
    this.dir = dir;
    this.configPath = configPath;
    this.publicUrl = publicUrl;
    this.privateUrl = privateUrl;
  }

  static async make({ shops, config, channel }: DaemonSetup): Promise<DaemonUnderTest> {
    const dir = await mkdtemp(join(tmpdir(), 'sm-e2e-'));
    const secrets = join(dir, 'secrets');
    await mkdir(secrets, { mode: 0o700 });
    const publicPort = await freePort();
    // A port that was free a moment ago may be handed out again.
    let privatePort = await freePort();
    while (privatePort === publicPort) privatePort = await freePort();
    const publicUrl = `http://127.0.0.1:${publicPort}`;
    const privateUrl = `http://127.0.0.1:${privatePort}`;
    const channels = [];
    for (const shop of shops) {
      const secret = join(secrets, shop.name);
      await writeFile(secret, shop.tokens.app.clientSecret, { mode: 0o600 });
      channels.push({
        id: shop.name,
        platform: 'shopify',
        mode: 'live',
        shop: shop.domain,
        baseUrl: shop.baseUrl,
        credentials: {
          kind: 'client-credentials',
          clientId: shop.tokens.app.clientId,
          clientSecret: `file:${secret}`,
        },
        webhookSecrets: [`file:${secret}`],
        // The sandbox shows a change in its order search at once.
        poll: { intervalMs: 1_000, overlapMs: 60_000, indexLagMs: 500 },
        ...channel,
      });
    }
    const whole = {
      merchant: 'e2e',
      dataDir: join(dir, 'state'),
      http: {
        public: { host: '127.0.0.1', port: publicPort },
        private: { host: '127.0.0.1', port: privatePort },
        publicUrl,
      },
      logLevel: 'debug',
      channels,
      ...config,
    };
    const configPath = join(dir, 'stockmesh.yaml');
    // JSON is YAML.
    await writeFile(configPath, JSON.stringify(whole));
    return new DaemonUnderTest(dir, configPath, publicUrl, privateUrl);
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  get output(): string {
    return this.#output;
  }

  async changeConfig(change: (config: Record<string, unknown>) => void): Promise<void> {
    const config = JSON.parse(await readFile(this.configPath, 'utf8')) as Record<string, unknown>;
    change(config);
    await writeFile(this.configPath, JSON.stringify(config));
  }

  /** Starts the process; `ready` waits for it. */
  start(env: Readonly<Record<string, string>> = {}): void {
    const child = spawn(process.execPath, [main, '--config', this.configPath], {
      env: { ...process.env, STOCKMESH_STOP_WITH_PARENT: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-2_000_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    this.#child = child;
  }

  async ready(withinMs = 45_000): Promise<void> {
    await this.until(async () => (await fetch(`${this.privateUrl}/readyz`)).ok, 'ready', withinMs);
  }

  /** Every shop is read, and every listing of it is known for sure. */
  async connected(listings: number, withinMs = 45_000): Promise<void> {
    await this.until(
      async () =>
        (await this.channels()).every(
          // A warehouse has no listings.
          (channel) => channel['platform'] === 'wms' || Number(channel['settled']) >= listings,
        ),
      `${listings} listings settled`,
      withinMs,
    );
  }

  async until(condition: () => Promise<boolean>, what: string, withinMs = 45_000): Promise<void> {
    const untilMs = performance.now() + withinMs;
    let last: unknown;
    while (performance.now() < untilMs) {
      try {
        if (await condition()) return;
      } catch (error) {
        last = error;
      }
      await delay(20);
    }
    throw new Error(`not ${what} within ${withinMs} ms (${String(last)})\n${this.#output.slice(-6_000)}`, {
      cause: new Error(`Timed out in waitFor: ${withinMs} ms`),
    });
  }

  async channels(): Promise<readonly Record<string, unknown>[]> {
    return (await this.get<{ channels: Record<string, unknown>[] }>('/channels')).channels;
  }

  async available(sku: string): Promise<number | undefined> {
    const { skus } = await this.get<{ skus: StockRow[] }>(`/stock?sku=${encodeURIComponent(sku)}`);
    return skus[0]?.available;
  }

  /** What the ledger's own verification finds wrong. */
  async findings(): Promise<readonly unknown[]> {
    const response = await fetch(`${this.privateUrl}/ledger/verify`, { method: 'POST' });
    return ((await response.json()) as { findings: unknown[] }).findings;
  }

  /** The value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.privateUrl}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  }

  async parked(): Promise<
    readonly { readonly id: string; readonly reason: string; readonly what: string }[]
  > {
    return (await this.get<{ rows: { id: string; reason: string; what: string }[] }>('/parked')).rows;
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.privateUrl}${path}`, { signal: AbortSignal.timeout(5_000) });
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** The reader of the log goes away. */
  closeOutput(): void {
    this.#child?.stdout?.destroy();
    this.#child?.stderr?.destroy();
  }

  /** Sends the signal and waits for the end. */
  async kill(signal: NodeJS.Signals): Promise<Exit> {
    this.#child?.kill(signal);
    return this.exited();
  }

  async exited(withinMs = 45_000): Promise<Exit> {
    const child = this.#child;
    if (child === undefined) throw new Error('the daemon was not started');
    if (child.exitCode === null && child.signalCode === null) {
      const late = new Promise<never>((_, reject) => {
        setTimeout(
          () =>
            reject(
              new Error(`still running after ${withinMs} ms\n${this.#output.slice(-6_000)}`, {
                cause: new Error(`Timed out in waitFor: ${withinMs} ms`),
              }),
            ),
          withinMs,
        ).unref();
      });
      await Promise.race([once(child, 'exit'), late]);
    }
    return { code: child.exitCode, signal: child.signalCode };
  }

  /** Ends whatever still runs, the embedded Redis too, and removes the directory. */
  async remove(): Promise<void> {
    if (this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      await this.kill('SIGKILL');
    }
    // A killed daemon leaves its redis-server behind for the next start to find.
    const pid = Number(await readFile(join(this.dir, 'state/redis/redis.pid'), 'utf8').catch(() => '0'));
    if (pid > 0) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    await rm(this.dir, { recursive: true, force: true });
  }
}
