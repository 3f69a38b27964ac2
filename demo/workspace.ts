import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

export interface WorkspaceContent {
  readonly channels: readonly object[];
  /** Absent: one location whose figures are the ledger's. */
  readonly locations?: readonly object[] | undefined;
  /** File name -> credential; `channels` name them as `file:NAME`. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Further keys of the configuration. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
}

/** The daemon's directory and configuration, as a merchant with these channels would write it. */
export async function makeWorkspace({
  channels,
  locations,
  secrets,
  more,
}: WorkspaceContent): Promise<Workspace> {
  const dir = mkdtempSync(join(tmpdir(), 'stockmesh-demo-'));
  for (const [name, text] of Object.entries(secrets)) writeFileSync(join(dir, name), text, { mode: 0o600 });
  const [publicPort, privatePort] = await Promise.all([freePort(), freePort()]);
  const config = {
    merchant: 'demo',
    dataDir: join(dir, 'state'),
    http: {
      public: { host: '127.0.0.1', port: publicPort },
      private: { host: '127.0.0.1', port: privatePort },
      publicUrl: `http://127.0.0.1:${publicPort}`,
    },
    ...(locations === undefined ? {} : { locations }),
    channels,
    ...more,
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
