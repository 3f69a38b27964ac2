import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StockmeshError } from '../domain/errors.ts';
import { askRedis } from './redis-socket.ts';

export const socketName = 'redis.sock';

const keptOutputBytes = 8 * 1024;
const pollMs = 5;
const corruptFile =
  /Bad file format|Unrecoverable error|Wrong signature|Invalid AOF manifest|append only file .*(?:doesn't exist|not exist)|AOF loading aborted|CRC error|Unexpected end of file reading the append only|Error reading the append only|Short read or OOM/i;
// A short write is how a full disk shows first; Redis then cannot say why it could not write.
const diskFull =
  /No space left on device|Disk quota exceeded|Short write while writing to the AOF|Can't recover from AOF write error/i;

export type RedisProcessSettings = {
  /** Directory of the append-only file and the socket. */
  readonly dir: string;
  readonly serverPath: string;
  readonly durability: 'always' | 'everysec';
  /** The socket as we reach it. */
  readonly socketPath: string;
  /** Longest time without any sign of life; a server that loads its file says so and may take longer. */
  readonly readyWithinMs: number;
};

/** One run of redis-server, from spawn to exit. It ends when this process ends, also by SIGKILL, where Linux allows. */
export class RedisProcess {
  readonly #settings: RedisProcessSettings;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #output = '';
  #spawnError: Error | undefined;

  constructor(settings: RedisProcessSettings) {
    this.#settings = settings;
    const [command, ...prefix] = [...deathSignalPrefix(), settings.serverPath];
    const child = spawn(
      command ?? settings.serverPath,
      [...prefix, ...serverArguments(settings.durability)],
      {
        cwd: settings.dir,
        stdio: ['ignore', 'pipe', 'pipe'],
        // In a process group of its own: Ctrl-C would stop it under a daemon that is still finishing its work.
        detached: true,
      },
    );
    this.#child = child;
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString('utf8')).slice(-keptOutputBytes);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#spawnError = error;
        resolve();
      });
      child.once('close', () => resolve());
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves when the process is gone and its last words are read. */
  get exited(): Promise<void> {
    return this.#exited;
  }

  get hasExited(): boolean {
    return this.#spawnError !== undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves when the server serves; throws why it does not. */
  async ready(): Promise<void> {
    const { socketPath, readyWithinMs } = this.#settings;
    let untilMs = performance.now() + readyWithinMs;
    for (;;) {
      const answer = this.hasExited ? undefined : await askRedis(socketPath, 'PING', 1_000);
      if (this.hasExited) {
        await this.#exited;
        throw this.failure();
      }
      if (answer === '+PONG') return;
      // Reading a large file takes its time; that is progress, not a hang.
      if (answer?.startsWith('-LOADING') === true) untilMs = performance.now() + readyWithinMs;
      if (performance.now() > untilMs) {
        await this.stop(0);
        throw new StockmeshError('REDIS_UNAVAILABLE', {
          address: socketPath,
          reason: `not ready within ${readyWithinMs} ms: ${answer === undefined || answer === '' ? this.#lastLines() : answer}`,
        });
      }
      await delay(pollMs);
    }
  }

  /** What its end means, by its last words. */
  failure(): StockmeshError {
    const { dir, serverPath, socketPath } = this.#settings;
    const notStarted =
      this.#spawnError?.message ?? /^setpriv: (failed to execute.*)/m.exec(this.#output)?.[1];
    if (notStarted !== undefined) {
      return new StockmeshError('REDIS_NOT_INSTALLED', { path: serverPath, reason: notStarted });
    }
    const detail = this.#lastLines();
    // A full disk can look like a damaged file, and is far more likely to pass: it is judged first.
    if (diskFull.test(this.#output)) return new StockmeshError('LEDGER_DISK_FULL', { dir, detail });
    if (corruptFile.test(this.#output)) return new StockmeshError('LEDGER_FILE_CORRUPT', { dir, detail });
    const how = this.#child.signalCode ?? `exit code ${this.#child.exitCode ?? 'unknown'}`;
    return new StockmeshError('REDIS_UNAVAILABLE', { address: socketPath, reason: `${how}: ${detail}` });
  }

  /** Asks it to end, then forces it. Nothing acknowledged is lost either way: the file is written before the answer. */
  async stop(graceMs: number): Promise<void> {
    if (!this.hasExited && graceMs > 0) {
      this.#child.kill('SIGTERM');
      const force = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
      await this.#exited;
      clearTimeout(force);
    }
    if (!this.hasExited) {
      this.#child.kill('SIGKILL');
      await this.#exited;
    }
    // A killed server leaves these behind; a clean one has removed them.
    await Promise.all(
      ['redis.pid', socketName].map((name) => rm(join(this.#settings.dir, name), { force: true })),
    );
  }

  /** For the last moment of our own process, when nothing can be waited for. */
  stopAtOnce(): void {
    this.#child.kill('SIGTERM');
  }

  #lastLines(): string {
    const lines = this.#output.split('\n').filter((line) => line.trim() !== '' && !line.includes('oO0OoO0O'));
    return lines.slice(-3).join(' | ').trim() || 'it said nothing';
  }
}

function serverArguments(durability: 'always' | 'everysec'): readonly string[] {
  const settings = {
    // No TCP at all: whoever may enter the directory (mode 0700) may speak to it, nobody else.
    port: '0',
    unixsocket: socketName,
    unixsocketperm: '700',
    dir: '.',
    pidfile: 'redis.pid',
    daemonize: 'no',
    appendonly: 'yes',
    appendfsync: durability,
    'no-appendfsync-on-rewrite': 'no',
    // A torn last record is an unfinished call that nobody was told about: dropping it whole is right.
    'aof-load-truncated': 'yes',
    save: '',
    maxmemory: '0',
    'maxmemory-policy': 'noeviction',
    logfile: '',
    loglevel: 'notice',
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

let foundPrefix: readonly string[] | undefined;

/** Linux can end a child with its parent, also when the parent is killed; util-linux's setpriv asks for it. */
function deathSignalPrefix(): readonly string[] {
  if (foundPrefix === undefined) {
    const prefix = ['setpriv', '--pdeathsig', 'TERM'];
    const trial = spawnSync(prefix[0] ?? '', [...prefix.slice(1), 'true'], { stdio: 'ignore' });
    foundPrefix = trial.status === 0 ? prefix : [];
  }
  return foundPrefix;
}
