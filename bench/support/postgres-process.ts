import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

export interface PostgresProcess {
  /** Directory of the unix socket: the `host` of a client. */
  readonly socketDir: string;
  readonly user: string;
  readonly version: string;
  stop(): void;
}

/**
 * A throw-away PostgreSQL of the machine's own, with its default durability (`fsync` and `synchronous_commit` on). Returns
 * undefined where none is installed. PostgreSQL refuses to run as root, so root runs it as the user `postgres`.
 */
export function startPostgres(): PostgresProcess | undefined {
  const binaries = findBinaries();
  if (binaries === undefined) return undefined;
  const isRoot = process.getuid?.() === 0;
  const owner = isRoot ? ownerIds('postgres') : undefined;
  if (isRoot && owner === undefined) return undefined;
  const dir = mkdtempSync(join(tmpdir(), 'sm-bench-pg-'));
  if (owner !== undefined) chownSync(dir, owner.uid, owner.gid);
  const user = isRoot ? 'postgres' : userInfo().username;
  const run = (program: string, args: readonly string[]): SpawnSyncReturns<string> =>
    spawnSync(join(binaries, program), args, {
      encoding: 'utf8',
      cwd: dir,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...owner,
    });
  const cluster = join(dir, 'cluster');
  const made = run('initdb', ['-D', cluster, '-A', 'trust', '-U', user, '--no-instructions']);
  const options = `-k ${dir} -c listen_addresses='' -c max_connections=40 -c shared_buffers=256MB`;
  const started =
    made.status === 0
      ? run('pg_ctl', ['-D', cluster, '-w', '-l', join(dir, 'log'), '-o', options, 'start'])
      : made;
  if (started.status !== 0) {
    rmSync(dir, { recursive: true, force: true });
    return undefined;
  }
  return {
    socketDir: dir,
    user,
    version: binaries.split('/').at(-2) ?? 'unknown',
    stop() {
      run('pg_ctl', ['-D', cluster, '-m', 'immediate', 'stop']);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function findBinaries(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)) : [];
  const candidates = [
    ...versions.map((version) => join(root, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(':'),
  ];
  return candidates.find(
    (folder) => folder !== '' && existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'pg_ctl')),
  );
}

function ownerIds(name: string): { readonly uid: number; readonly gid: number } | undefined {
  const id = (flag: string): number =>
    Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout.trim() || Number.NaN);
  const ids = { uid: id('-u'), gid: id('-g') };
  return Number.isInteger(ids.uid) && Number.isInteger(ids.gid) ? ids : undefined;
}
