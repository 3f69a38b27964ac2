import { readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StockmeshError } from '../domain/errors.ts';
import { askRedis } from './redis-socket.ts';

const pollMs = 20;

/**
 * Ends a redis-server that a killed daemon left running in `dir`, and waits until it is gone: two servers on one
 * append-only file would destroy it. Only called by the holder of the directory's lock, so whatever runs there is
 * nobody's. It is stopped rather than adopted, because only a child of ours tells us when and why it ends. Answers
 * whether there was one.
 */
export async function stopOrphan(dir: string, socketPath: string, withinMs = 10_000): Promise<boolean> {
  const untilMs = performance.now() + withinMs;
  const pid = await orphanPid(dir);
  const answers = (await askRedis(socketPath, 'PING', 1_000)) !== undefined;
  if (pid === undefined && !answers) return false;
  // By the socket first: it reaches the server also from another container, where its process id means nothing.
  if (answers) await askRedis(socketPath, 'SHUTDOWN', withinMs / 2);
  else if (pid !== undefined) signal(pid, 'SIGTERM');
  // Its process, not only its pid file: a server that ends removes that file before its socket, and would then remove ours.
  const isThere = async (): Promise<boolean> =>
    (pid !== undefined && (await isServerOf(dir, pid))) ||
    (await orphanPid(dir)) !== undefined ||
    (await askRedis(socketPath, 'PING', 200)) !== undefined;
  while (await isThere()) {
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0) {
      throw new StockmeshError('REDIS_UNAVAILABLE', {
        address: socketPath,
        reason: `the redis-server of an earlier run (process ${pid ?? 'unknown'}) does not end`,
      });
    }
    // It hangs (stopped, or blocked on its disk). The file is safe: Redis writes it before it answers.
    if (leftMs < withinMs / 2 && pid !== undefined) signal(pid, 'SIGKILL');
    await delay(pollMs);
  }
  return true;
}

/** The process that has `dir` as its ledger, by the server's own pid file; guarded against reused process ids. */
async function orphanPid(dir: string): Promise<number | undefined> {
  const text = await readFile(join(dir, 'redis.pid'), 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  if (!Number.isInteger(pid) || pid <= 1 || pid === process.pid) return undefined;
  return (await isServerOf(dir, pid)) ? pid : undefined;
}

async function isServerOf(dir: string, pid: number): Promise<boolean> {
  if (!signal(pid, 0)) return false;
  try {
    if ((await readlink(`/proc/${pid}/cwd`)) !== (await realpath(dir))) return false;
    // A killed process that nobody has waited for yet holds no file any more.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return !/\) [ZX] /.test(stat);
  } catch {
    // No /proc (macOS), or gone since: the pid file alone has to do, and it is removed by a clean stop.
    return process.platform !== 'linux';
  }
}

/** False when there is no such process. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
