import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SandboxShop } from '../sandbox/shopify/shop.ts';
import { freePort } from '../test/support/free-port.ts';

export interface Workspace {
  readonly dir: string;
  readonly configPath: string;
  readonly logPath: string;
  readonly privateUrl: string;
  /** SIGKILL for the daemon's embedded redis-server. */
  killRedis(): void;
  remove(): void;
}

/** The daemon's directory and configuration, as a merchant with these two shops would write it. */
export async function makeWorkspace(shops: readonly SandboxShop[]): Promise<Workspace> {
  const dir = mkdtempSync(join(tmpdir(), 'stockmesh-demo-'));
  mkdirSync(join(dir, 'secrets'), { mode: 0o700 });
  const [publicPort, privatePort] = await Promise.all([freePort(), freePort()]);
  const channels = shops.map((shop) => {
    const secretFile = join(dir, 'secrets', `${shop.name}.secret`);
    writeFileSync(secretFile, shop.tokens.app.clientSecret, { mode: 0o600 });
    return {
      id: shop.name,
      platform: 'shopify',
      mode: 'live',
      shop: shop.domain,
      baseUrl: shop.baseUrl,
      credentials: {
        kind: 'client-credentials',
        clientId: shop.tokens.app.clientId,
        clientSecret: `file:${secretFile}`,
      },
      webhookSecrets: [`file:${secretFile}`],
      poll: { intervalMs: 5_000, overlapMs: 60_000, indexLagMs: 2_000 },
    };
  });
  const config = {
    merchant: 'demo',
    dataDir: join(dir, 'state'),
    http: {
      public: { host: '127.0.0.1', port: publicPort },
      private: { host: '127.0.0.1', port: privatePort },
      publicUrl: `http://127.0.0.1:${publicPort}`,
    },
    channels,
  };
  const configPath = join(dir, 'stockmesh.yaml');
  // JSON is YAML; the file is there to be looked at with --keep.
  writeFileSync(configPath, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return {
    dir,
    configPath,
    logPath: join(dir, 'daemon.log'),
    privateUrl: `http://127.0.0.1:${privatePort}`,
    killRedis: () =>
      void process.kill(
        Number(readFileSync(join(dir, 'state', 'redis', 'redis.pid'), 'utf8').trim()),
        'SIGKILL',
      ),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
