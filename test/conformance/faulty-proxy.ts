import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request as send,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ProxiedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

export interface ProxiedAnswer {
  readonly request: ProxiedRequest;
  readonly status: number;
  readonly body: string;
}

export type Strike = {
  /** Which requests it may hit; all when absent. */
  readonly on?: (request: ProxiedRequest) => boolean;
  /** How often; once when absent. */
  readonly times?: number;
} & (
  | { readonly kind: 'reset' | 'lose-reply' | 'hang' | 'hang-after' }
  | { readonly kind: 'redirect'; readonly to: string }
  /** As often as asked within `forMs` of the first refusal; the header says to wait for a second. */
  | { readonly kind: 'refuse'; readonly status: number; readonly waitHeader: string; readonly forMs: number }
  | { readonly kind: 'rewrite'; readonly body: (text: string) => string }
  /** The platform has answered and the client does not have it yet. */
  | { readonly kind: 'meanwhile'; readonly happens: () => void }
);

interface Armed {
  readonly strike: Strike;
  left: number;
  /** On the clock of `performance`; no end before a refusal has begun. */
  endsAtMs: number;
}

const maxKept = 10_000;

/**
 * Stands between a connector and its platform's emulator, over real HTTP, and does to any platform what networks do: breaks
 * before the request arrives, loses the answer, never answers, sends elsewhere, garbles; and lets a test act between
 * two requests.
 */
export class FaultyProxy {
  readonly answers: ProxiedAnswer[] = [];
  /** How long the client waited on each request that was never answered, before it gave up. */
  readonly waitedMs: number[] = [];
  readonly #upstream: URL;
  readonly #server: Server;
  readonly #hung = new Set<ServerResponse>();
  #armed: Armed[] = [];

  private constructor(upstream: string) {
    this.#upstream = new URL(upstream);
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  static async start(upstream: string): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(upstream);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Requests that hang at this moment. */
  get hanging(): number {
    return this.#hung.size;
  }

  strike(strike: Strike): void {
    const times = strike.kind === 'refuse' ? Number.POSITIVE_INFINITY : 1;
    this.#armed.push({ strike, left: strike.times ?? times, endsAtMs: Number.POSITIVE_INFINITY });
  }

  calm(): void {
    this.#armed = [];
    for (const response of this.#hung) response.destroy();
  }

  async stop(): Promise<void> {
    this.calm();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    const request: ProxiedRequest = {
      method: incoming.method ?? '',
      path: incoming.url ?? '/',
      headers: incoming.headers,
      body: bytes.toString(),
    };
    const strike = this.#draw(request);
    if (strike?.kind === 'reset') response.destroy();
    else if (strike?.kind === 'hang') this.#hang(response);
    else if (strike?.kind === 'redirect') {
      response.writeHead(307, { location: `${strike.to}${request.path}` }).end();
    } else if (strike?.kind === 'refuse') this.#refuse(request, strike, response);
    else await this.#forward(request, bytes, strike, response);
  }

  async #forward(
    request: ProxiedRequest,
    bytes: Buffer,
    strike: Strike | undefined,
    response: ServerResponse,
  ): Promise<void> {
    const { hostname, port, host } = this.#upstream;
    const { method, path } = request;
    const outgoing = send({ hostname, port, method, path, headers: { ...request.headers, host } as never });
    outgoing.end(bytes);
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const status = answer.statusCode ?? 0;
    if (this.answers.length < maxKept) this.answers.push({ request, status, body: body.toString() });
    if (strike?.kind === 'lose-reply') response.destroy();
    else if (strike?.kind === 'hang-after') this.#hang(response);
    else {
      if (strike?.kind === 'meanwhile') strike.happens();
      const shown = strike?.kind === 'rewrite' ? Buffer.from(strike.body(body.toString())) : body;
      const { 'transfer-encoding': _chunked, 'content-length': _length, ...headers } = answer.headers;
      response.writeHead(status, { ...headers, 'content-length': shown.length }).end(shown);
    }
  }

  #refuse(
    request: ProxiedRequest,
    { status, waitHeader }: Extract<Strike, { readonly kind: 'refuse' }>,
    response: ServerResponse,
  ): void {
    this.answers.push({ request, status, body: '' });
    response.writeHead(status, { [waitHeader]: '1' }).end('{}');
  }

  #hang(response: ServerResponse): void {
    const startedMs = performance.now();
    const over = (): void => {
      this.#hung.delete(response);
      this.waitedMs.push(performance.now() - startedMs);
    };
    // After a pause of this process the client may have given up before its request got here.
    if (response.destroyed) return over();
    this.#hung.add(response);
    response.on('close', over);
  }

  #draw(request: ProxiedRequest): Strike | undefined {
    const nowMs = performance.now();
    const armed = this.#armed.find(
      ({ strike, left, endsAtMs }) => left > 0 && nowMs < endsAtMs && (strike.on?.(request) ?? true),
    );
    if (armed === undefined) return undefined;
    armed.left--;
    if (armed.strike.kind === 'refuse') armed.endsAtMs = Math.min(armed.endsAtMs, nowMs + armed.strike.forMs);
    return armed.strike;
  }
}
