import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

export interface Reading {
  readonly channel: string;
  readonly ms: number;
  readonly cpuMs: number;
  readonly rows: number;
  readonly peakRssMb: number;
}

/** The child process that only reads. */
export class BareReader {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #ended: Promise<undefined>;

  constructor(configPath: string) {
    const script = new URL('./bare-process.ts', import.meta.url).pathname;
    this.#child = spawn(process.execPath, [script, configPath], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#ended = once(this.#child, 'exit').then(() => undefined);
    if (this.#child.stdout === null) throw new Error('no output of the bare reader');
    this.#lines = createInterface(this.#child.stdout);
  }

  async read(channel: string): Promise<Reading> {
    const answer = once(this.#lines, 'line');
    this.#child.stdin?.write(`${channel}\n`);
    const line = await Promise.race([answer, this.#ended]);
    if (line === undefined) throw new Error(`the bare reader ended while it read ${channel}`);
    return JSON.parse(String(line[0])) as Reading;
  }

  async stop(): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }
}
