import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { StockmeshError } from '../domain/errors.ts';
import { stopOrphan } from './redis-orphan.ts';
import { RedisProcess, socketName } from './redis-process.ts';
import { shortSocketPath, type SocketPath } from './redis-socket.ts';

export type EmbeddedRedisSettings = {
  /** Its own directory, below the locked data directory. */
  readonly dir: string;
  readonly serverPath?: string | undefined;
  readonly durability: 'always' | 'everysec';
  readonly log: Logger;
  /** It cannot go on without a person (damaged file, program gone). The daemon ends with the error's exit code. */
  readonly onFailed: (error: StockmeshError) => void;
  /** It ended unasked and is being started again. */
  readonly onRestart?: (reason: StockmeshError) => void;
  readonly readyWithinMs?: number;
  readonly stopWithinMs?: number;
};

type State = 'stopped' | 'starting' | 'running' | 'pausing' | 'stopping' | 'failed';

const firstPauseMs = 100;
const maxPauseMs = 5_000;
/** After this long without an end, the next end counts as the first one again. */
const stableAfterMs = 30_000;

/**
 * The redis-server of a daemon that has no Redis of its own.
 *
 *   stopped  --start--> starting --serves--> running --ends unasked--> pausing --pause over--> starting
 *   starting --cannot start, first time--> stopped (start() throws)      --cannot, later--> pausing
 *   starting, pausing --damaged file, no program--> failed (onFailed)
 *   any      --stop--> stopping --gone--> stopped
 *
 * The pause doubles from 0.1 s to 5 s with jitter and its count of tries is not limited: a full disk or a killer of
 * processes passes, and nothing acknowledged is lost meanwhile. The caller holds the lock of the data directory.
 */
export class EmbeddedRedis {
  readonly #settings: EmbeddedRedisSettings;
  readonly #stopping = new AbortController();
  readonly #stopAtExit = (): void => this.#process?.stopAtOnce();
  #state: State = 'stopped';
  #socket: SocketPath | undefined;
  #process: RedisProcess | undefined;
  #supervision: Promise<void> | undefined;

  constructor(settings: EmbeddedRedisSettings) {
    this.#settings = settings;
  }

  get state(): State {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Where clients connect; stays the same over restarts. Only after `start()`. */
  get socketPath(): string {
    if (this.#socket === undefined) throw new Error('the embedded Redis has not been started');
    return this.#socket.path;
  }

  /** Resolves when Redis serves. Throws LEDGER_FILE_CORRUPT, LEDGER_DISK_FULL, REDIS_NOT_INSTALLED, REDIS_UNAVAILABLE. */
  async start(): Promise<void> {
    const { dir, log } = this.#settings;
    this.#state = 'starting';
    await mkdir(dir, { recursive: true, mode: 0o700 });
    this.#socket = await shortSocketPath(dir, socketName);
    try {
      if (await stopOrphan(dir, this.#socket.path)) log.warn('stopped the redis-server of an earlier run');
      await this.#spawn();
    } catch (error) {
      this.#state = 'stopped';
      await this.#socket.release();
      throw error;
    }
    process.once('exit', this.#stopAtExit);
    this.#supervision = this.#supervise();
  }

  /** Ends Redis; the last thing a daemon does. Bounded by `stopWithinMs`. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopping';
    this.#stopping.abort();
    await this.#process?.stop(this.#settings.stopWithinMs ?? 5_000);
    await this.#supervision;
    process.off('exit', this.#stopAtExit);
    await this.#socket?.release();
    this.#state = 'stopped';
  }

  async #spawn(): Promise<void> {
    const { dir, serverPath, durability, readyWithinMs, log } = this.#settings;
    this.#process = new RedisProcess({
      dir,
      serverPath: serverPath ?? 'redis-server',
      durability,
      socketPath: this.socketPath,
      readyWithinMs: readyWithinMs ?? 30_000,
    });
    await this.#process.ready();
    if (this.#isStopping) return;
    this.#state = 'running';
    log.info({ redisPid: this.#process.pid, dir, durability }, 'redis-server serves');
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #supervise(): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!this.#isStopping) {
      const startedAt = performance.now();
      await this.#process?.exited;
      if (this.#isStopping) return;
      if (performance.now() - startedAt > stableAfterMs) pauseMs = firstPauseMs;
      let failure = this.#process?.failure();
      // Tries until it serves again; each further failure is judged like the first.
      while (failure !== undefined && !this.#isStopping) {
        this.#settings.onRestart?.(failure);
        this.#settings.log.error({ err: failure, pauseMs }, 'redis-server ended, starting it again');
        if (this.#isHopeless(failure)) return;
        this.#state = 'pausing';
        await this.#pause(pauseMs);
        pauseMs = Math.min(pauseMs * 2, maxPauseMs);
        failure = await this.#tryAgain();
      }
    }
  }

  async #tryAgain(): Promise<StockmeshError | undefined> {
    if (this.#isStopping) return undefined;
    this.#state = 'starting';
    try {
      await this.#spawn();
      // stop() may have come while the new process was not yet known to it.
      if (this.#isStopping) await this.#process?.stop(this.#settings.stopWithinMs ?? 5_000);
      return undefined;
    } catch (error) {
      if (error instanceof StockmeshError) return error;
      const reason = error instanceof Error ? error.message : String(error);
      return new StockmeshError('REDIS_UNAVAILABLE', { address: this.socketPath, reason }, { cause: error });
    }
  }

  #isHopeless(failure: StockmeshError): boolean {
    if (failure.code !== 'LEDGER_FILE_CORRUPT' && failure.code !== 'REDIS_NOT_INSTALLED') return false;
    this.#state = 'failed';
    this.#settings.onFailed(failure);
    return true;
  }

  async #pause(ms: number): Promise<void> {
    const jittered = ms * (0.5 + Math.random() / 2);
    await delay(jittered, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
