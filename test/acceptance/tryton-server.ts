import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../support/free-port.ts';

const run = promisify(execFile);

export const database = 'acme';
export const username = 'admin';
export const password = 'stockmesh-acceptance';

const startWithinMs = 60_000;

export async function hasTryton(): Promise<boolean> {
  return run('trytond-admin', ['--version']).then(
    () => true,
    () => false,
  );
}

/** A Tryton server of the test's own: SQLite in a directory that goes with it, the stock module, one company. */
export class TrytonServer {
  readonly url: string;
  readonly #directory: string;
  readonly #process: ChildProcess;
  #session = '';
  #context: Record<string, unknown> = {};

  private constructor(directory: string, port: number) {
    this.#directory = directory;
    this.url = `http://127.0.0.1:${port}`;
    this.#process = spawn('trytond', ['-c', join(directory, 'trytond.conf'), '-d', database], {
      stdio: 'ignore',
    });
  }

  static async start(): Promise<TrytonServer> {
    const directory = await mkdtemp(join(tmpdir(), 'sm-tryton-'));
    const port = await freePort();
    const files = join(directory, 'db');
    await mkdir(files);
    const settings = [
      '[database]',
      'uri = sqlite://',
      `path = ${files}`,
      '[web]',
      `listen = 127.0.0.1:${port}`,
    ];
    await writeFile(join(directory, 'trytond.conf'), `${settings.join('\n')}\n`);
    await writeFile(join(directory, 'password'), password);
    // Tryton takes a database file that is there, even an empty one; it makes none.
    await writeFile(join(files, `${database}.sqlite`), '');
    const admin = (args: readonly string[]) =>
      run('trytond-admin', ['-c', join(directory, 'trytond.conf'), '-d', database, ...args], {
        env: { ...process.env, TRYTONPASSFILE: join(directory, 'password') },
        timeout: 120_000,
      });
    await admin(['--all', '--email', 'admin@example.com']);
    await admin(['-u', 'stock', '--activate-dependencies']);
    const server = new TrytonServer(directory, port);
    try {
      await server.#login();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** One JSON-RPC call; the context goes last, as Tryton wants it. */
  async call<Result>(method: string, ...params: readonly unknown[]): Promise<Result> {
    const response = await fetch(`${this.url}/${database}/`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.#session === '' ? {} : { authorization: `Session ${this.#session}` }),
      },
      body: JSON.stringify({
        id: 0,
        method,
        params: method.startsWith('common.') ? params : [...params, this.#context],
      }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method}: HTTP ${response.status}`);
    const answer = JSON.parse(text) as { result?: Result; error?: unknown };
    if (answer.error !== undefined)
      throw new Error(`${method}: ${JSON.stringify(answer.error).slice(0, 500)}`);
    return answer.result as Result;
  }

  async create(model: string, values: Record<string, unknown>): Promise<number> {
    const [id] = await this.call<number[]>(`model.${model}.create`, [values]);
    if (id === undefined) throw new Error(`${model} was not created`);
    return id;
  }

  async find(model: string, domain: readonly unknown[]): Promise<number> {
    const [id] = await this.call<number[]>(`model.${model}.search`, domain, 0, 1, null);
    if (id === undefined) throw new Error(`${model} has no ${JSON.stringify(domain)}`);
    return id;
  }

  useContext(context: Record<string, unknown>): void {
    this.#context = context;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      const ended = new Promise((resolve) => this.#process.once('exit', resolve));
      this.#process.kill('SIGKILL');
      await ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #login(): Promise<void> {
    const deadline = performance.now() + startWithinMs;
    for (;;) {
      try {
        const [uid, key] = await this.call<[number, string]>('common.db.login', username, { password });
        this.#session = Buffer.from(`${username}:${uid}:${key}`).toString('base64');
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await delay(200);
      }
    }
  }
}
