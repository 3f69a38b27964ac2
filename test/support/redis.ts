import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const READY_WITHIN_MS = 10_000;

/** A merchant id no other test uses: the isolation between tests that share one Redis. */
export function uniqueMerchant(): string {
  return `t-${randomBytes(6).toString('hex')}`;
}

export type PrivateRedisOptions = {
  readonly appendonly?: boolean;
  readonly appendfsync?: 'always' | 'everysec';
  /** Kept by `stop()` when given; otherwise a directory is made and removed. */
  readonly dir?: string;
  /** Further redis-server arguments, e.g. `['--requirepass', 'x']`. */
  readonly extraArgs?: readonly string[];
};

export type PrivateRedis = {
  readonly path: string;
  readonly dir: string;
  readonly pid: number;
  /** Sends the signal to redis-server and, unless it is a stop or continue signal, waits for its end. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts redis-server again on the same directory and socket. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

/** A redis-server of a test's own, for tests that kill it or change its settings. Call `stop()` at the end. */
export async function startPrivateRedis(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'sm-redis-')));
  const path = join(dir, 'redis.sock');
  const args = ['--port', '0', '--unixsocket', path, '--unixsocketperm', '700', '--dir', dir, '--save', ''];
  args.push('--appendonly', options.appendonly === false ? 'no' : 'yes');
  args.push('--appendfsync', options.appendfsync ?? 'always', '--maxmemory-policy', 'noeviction');
  args.push('--daemonize', 'no', '--loglevel', 'warning', ...(options.extraArgs ?? []));
  const drop = async (): Promise<void> => {
    if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
  };
  let child: ChildProcess;
  try {
    child = await spawnRedis(args, path);
  } catch (error) {
    await drop();
    throw error;
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    const ended = hasEnded(child) ? undefined : once(child, 'exit');
    child.kill(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await ended;
  }
  return {
    path,
    dir,
    get pid() {
      return child.pid ?? -1;
    },
    kill,
    async restart() {
      if (!hasEnded(child)) await kill('SIGTERM');
      child = await spawnRedis(args, path);
    },
    async stop() {
      // A server that a test left in SIGSTOP would not see SIGTERM; it holds nothing worth a clean stop.
      if (!hasEnded(child)) await kill('SIGKILL');
      await drop();
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function spawnRedis(args: readonly string[], path: string): Promise<ChildProcess> {
  // A socket file left by a killed server must not be taken for the new one.
  await rm(path, { force: true });
  const child = spawn(process.env['STOCKMESH_REDIS_SERVER'] ?? 'redis-server', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4096);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let spawnError: Error | undefined;
  child.on('error', (error) => (spawnError = error));
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await answersPing(path))) {
    if (spawnError !== undefined || hasEnded(child)) {
      throw new Error(`redis-server ended at once: ${spawnError?.message ?? output}`);
    }
    if (Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`redis-server was not ready within ${READY_WITHIN_MS} ms: ${output}`);
    }
    await delay(5);
  }
  return child;
}

function answersPing(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (isReady: boolean): void => {
      socket.destroy();
      resolve(isReady);
    };
    socket.setTimeout(1000, () => end(false));
    socket.on('error', () => end(false));
    socket.on('connect', () => socket.write('PING\r\n'));
    // With a password set the answer is -NOAUTH, which proves just as well that the server serves.
    socket.on('data', (chunk) => end(/^\+PONG|^-NOAUTH/.test(chunk.toString())));
  });
}
