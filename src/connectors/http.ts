import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { type AxiosAdapter, AxiosHeaders, getAdapter, isAxiosError } from 'axios';
import { StockmeshError } from '../domain/errors.ts';
import { withDeadline } from './deadline.ts';

/**
 * HTTP for connectors. Every request ends within its time, no answer is read past its size, redirects are never
 * followed (they would carry credentials to wherever the answer points), and what is thrown has lost the request:
 * an axios error holds the headers and the body it sent, tokens included.
 */
export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  /** Names the request in errors. */
  readonly operation: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface HttpStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** At most `maxStreamBytes`; must be read to its end or destroyed. */
  readonly body: Readable;
}

export interface HttpClientOptions {
  readonly platform: string;
  readonly timeoutMs: number;
  readonly maxBodyBytes: number;
  readonly maxSockets?: number | undefined;
}

export interface HttpClient {
  /** Any status is an answer. Throws CONNECTOR_UNREACHABLE when there is none. */
  send(request: HttpRequest): Promise<HttpAnswer>;
  /** The body as it comes; its time is bounded by `signal` alone. */
  stream(request: HttpRequest): Promise<HttpStream>;
  close(): void;
}

/**
 * More than a publisher ever has writes under way: a request that waits for a connection waits where nothing knows how
 * urgent it is, and reads, orders and what has sold out go beside the writes.
 */
export const defaultMaxSockets = 256;

type AdapterConfig = Parameters<AxiosAdapter>[0];
type BaseConfig = Omit<AdapterConfig, 'headers'>;

/** Failures from before the first byte was sent: nothing can have been applied. */
const notSentCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

export function isNeverSent(code: string | undefined): boolean {
  return code !== undefined && notSentCodes.has(code);
}

export function createHttpClient(options: HttpClientOptions): HttpClient {
  // As many are kept as a burst uses: a new one costs a TLS handshake, two round trips before the request.
  const maxSockets = options.maxSockets ?? defaultMaxSockets;
  const agentOptions = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets };
  const httpAgent = keptAliveOnce(new HttpAgent(agentOptions));
  const httpsAgent = keptAliveOnce(new HttpsAgent(agentOptions));
  // The adapter itself: what an axios instance does around it for each request (merging defaults, interceptors, transforms)
  // costs a third of the request's processor time, and nothing of it is used here.
  const adapter = getAdapter(['http']);
  const base: BaseConfig = {
    httpAgent,
    httpsAgent,
    timeout: options.timeoutMs,
    maxRedirects: 0,
    maxContentLength: options.maxBodyBytes,
    maxBodyLength: options.maxBodyBytes,
    // The environment's proxy variables would send tokens through whatever they name.
    proxy: false,
    validateStatus: () => true,
  };
  const exchange = { adapter, base };
  return {
    async send(request) {
      // axios's own time-out does not cover a connection that is never accepted.
      const answer = await withDeadline(request.signal, options.timeoutMs, (bounded) =>
        perform(exchange, options.platform, request, 'arraybuffer', bounded),
      );
      return { status: answer.status, headers: answer.headers, body: answer.data as Uint8Array };
    },
    async stream(request) {
      const answer = await perform(exchange, options.platform, request, 'stream', request.signal);
      return { status: answer.status, headers: answer.headers, body: answer.data as Readable };
    },
    close() {
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
}

/** Node's agent switches TCP keep-alive on after every answer, each time with a system call: once a connection is enough. */
function keptAliveOnce<A extends HttpAgent>(agent: A): A {
  const keepSocketAlive = agent.keepSocketAlive.bind(agent);
  agent.keepSocketAlive = (socket) => {
    const isKept = keepSocketAlive(socket);
    if (socket instanceof Socket) socket.setKeepAlive = () => socket;
    return isKept;
  };
  return agent;
}

async function perform(
  { adapter, base }: { readonly adapter: AxiosAdapter; readonly base: BaseConfig },
  platform: string,
  request: HttpRequest,
  responseType: 'arraybuffer' | 'stream',
  signal: AbortSignal | undefined,
): Promise<{ status: number; headers: HttpAnswer['headers']; data: unknown }> {
  const { method, url, body, headers } = request;
  try {
    // In one literal: a spread for each property that may be absent was a twentieth of a request's garbage.
    const config = {
      ...base,
      method,
      url,
      responseType,
      // The signal of a request that is read whole has its time, from before the connection on.
      timeout: responseType === 'stream' ? base.timeout : 0,
      // A stream's reader counts for itself.
      maxContentLength: responseType === 'stream' ? Number.POSITIVE_INFINITY : base.maxContentLength,
      headers: new AxiosHeaders(headers).set('accept', 'application/json, text/plain, */*', false),
      data: body,
      signal,
    };
    const response = await adapter(config as AdapterConfig);
    // Node's names are in lower case; what it gives as a list, set-cookie, is nobody's here.
    const { status, data } = response;
    return { status, headers: response.headers as HttpAnswer['headers'], data };
  } catch (error) {
    throw unreachable(platform, request.operation, error);
  }
}

/** No `cause`: it would bring the request, and its credentials, back. */
function unreachable(platform: string, operation: string, error: unknown): StockmeshError {
  const code = isAxiosError(error) ? error.code : undefined;
  const reason = code ?? (error instanceof Error ? error.name : 'unknown failure');
  return new StockmeshError('CONNECTOR_UNREACHABLE', {
    platform,
    operation,
    reason,
    isSent: !isNeverSent(code),
  });
}
