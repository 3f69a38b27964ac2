import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { z } from 'zod';
import type { Config } from '../config/configuration.ts';
import type { Secret } from '../domain/secret.ts';

/** The running daemon refused, or did not answer; the message is for the operator. */
export class DaemonRefusal extends Error {}

/** A verification reads the whole history. */
const answerWithinMs = 600_000;

const problem = z.object({ code: z.string().optional(), title: z.string().optional() });

/** How a command asks the running daemon: the private listener at the address of the configuration. */
export class DaemonClient {
  readonly #origin: string;

  readonly #token: Secret | undefined;

  /** `token`: of the operator, where the command may read it; the daemon needs it once there are API keys. */
  constructor({ host, port, tls }: Config['http']['private'], token?: Secret) {
    const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    this.#token = token;
    // Its own certificate is as good as any authority's: it is read from where the daemon reads it.
    if (tls !== undefined) setDefaultCACertificates([...getCACertificates('default'), tls.certFile.reveal()]);
    this.#origin = `http${tls === undefined ? '' : 's'}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
  }

  get origin(): string {
    return this.#origin;
  }

  get<T>(path: string): Promise<T> {
    return this.#call('GET', path);
  }

  post<T>(path: string, body?: object): Promise<T> {
    return this.#call('POST', path, body);
  }

  /** A file, as it comes. */
  async stream(path: string): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#fetch('GET', path);
    if (!response.ok) throw refusalOf(response.status, await response.json().catch(() => undefined));
    return response.body ?? emptyStream();
  }

  async #call<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    const response = await this.#fetch(method, path, body);
    const answer: unknown = await response.json().catch(() => undefined);
    if (response.ok) return answer as T;
    throw refusalOf(response.status, answer);
  }

  async #fetch(method: 'GET' | 'POST', path: string, body?: object): Promise<Response> {
    const url = `${this.#origin}${path}`;
    try {
      return await fetch(url, {
        method,
        signal: AbortSignal.timeout(answerWithinMs),
        headers: {
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token.reveal()}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new DaemonRefusal(`the daemon does not answer at ${url}`, { cause: error });
    }
  }
}

async function* emptyStream(): AsyncGenerator<Uint8Array> {}

function refusalOf(status: number, answer: unknown): DaemonRefusal {
  const { code, title } = problem.safeParse(answer).data ?? {};
  return new DaemonRefusal(`${code ?? status}: ${title ?? ''}`);
}
