import { z } from 'zod';
import type { Config } from '../config/configuration.ts';

/** The running daemon refused, or did not answer; the message is for the operator. */
export class DaemonRefusal extends Error {}

/** A verification reads the whole history. */
const answerWithinMs = 600_000;

const problem = z.object({ code: z.string().optional(), title: z.string().optional() });

/** How a command asks the running daemon: the private listener at the address of the configuration. */
export class DaemonClient {
  readonly #origin: string;

  constructor({ host, port }: Config['http']['private']) {
    const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    this.#origin = `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
  }

  get<T>(path: string): Promise<T> {
    return this.#call('GET', path);
  }

  post<T>(path: string, body?: object): Promise<T> {
    return this.#call('POST', path, body);
  }

  async #call<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    const url = `${this.#origin}${path}`;
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        signal: AbortSignal.timeout(answerWithinMs),
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
    } catch (error) {
      throw new DaemonRefusal(`the daemon does not answer at ${url}`, { cause: error });
    }
    const answer: unknown = await response.json().catch(() => undefined);
    if (response.ok) return answer as T;
    const { code, title } = problem.safeParse(answer).data ?? {};
    throw new DaemonRefusal(`${code ?? response.status}: ${title ?? ''}`);
  }
}
