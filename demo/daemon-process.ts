import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * The daemon as a child process, kept alive as a supervisor would.
 *
 *   stopped --start--> running --ready--> ready --dies--> (back-off) --> running
 *                         \---------------stop---------------> stopped
 */
export class DaemonProcess {
  readonly #configPath: string;
  readonly #logPath: string;
  readonly #privateUrl: string;
  readonly #onRestart: (reason: string) => void;
  #child: ChildProcess | undefined;
  #isStopping = false;
  #restarts = 0;

  constructor(options: {
    readonly configPath: string;
    readonly logPath: string;
    readonly privateUrl: string;
    readonly onRestart: (reason: string) => void;
  }) {
    this.#configPath = options.configPath;
    this.#logPath = options.logPath;
    this.#privateUrl = options.privateUrl;
    this.#onRestart = options.onRestart;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const log = createWriteStream(this.#logPath, { flags: 'a' });
    const main = new URL('../src/main.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [main, '--config', this.#configPath], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A demo or bench that crashes leaves no daemon behind.
      env: { ...process.env, STOCKMESH_STOP_WITH_PARENT: '1' },
    });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#child = child;
    child.once('exit', (code, signal) => {
      log.end();
      if (!this.#isStopping) void this.#startAgain(signal ?? `exit code ${code ?? 'unknown'}`);
    });
  }

  /** Resolves when `/readyz` says so. */
  async ready(withinMs: number): Promise<void> {
    const untilMs = performance.now() + withinMs;
    let answer = 'no answer';
    while (performance.now() < untilMs) {
      try {
        const response = await fetch(`${this.#privateUrl}/readyz`, { signal: AbortSignal.timeout(1_000) });
        if (response.ok) return;
        answer = `${response.status} ${(await response.text()).slice(0, 300)}`;
      } catch {
        answer = 'not listening yet';
      }
      await delay(50);
    }
    throw new Error(
      `the daemon did not become ready within ${withinMs} ms: ${answer} (log: ${this.#logPath})`,
    );
  }

  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async stop(): Promise<number | null> {
    this.#isStopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const isLate = delay(12_000, true, { ref: false });
    if (await Promise.race([ended.then(() => false), isLate])) child.kill('SIGKILL');
    await ended;
    return child.exitCode;
  }

  async #startAgain(reason: string): Promise<void> {
    this.#restarts += 1;
    if (this.#restarts > 10)
      throw new Error(`the daemon died ${this.#restarts} times, last by ${reason} (log: ${this.#logPath})`);
    this.#onRestart(reason);
    await delay(Math.min(2_000, 50 * 2 ** this.#restarts));
    if (!this.#isStopping) this.start();
  }
}
