// oxlint-disable-next-line import/no-unassigned-import -- tells the library that it runs on Node
import '@shopify/shopify-api/adapters/node';
import { ApiVersion, LogSeverity, Session, shopifyApi } from '@shopify/shopify-api';
import { abstractFetch, setAbstractFetchFunc } from '@shopify/shopify-api/runtime';
import { isNeverSent } from '../http.ts';
import { isRecord } from '../raw-json.ts';
import type { GraphqlOperation } from './documents.ts';
import { apiVersion } from './options.ts';

/** What one exchange left behind, whatever the library made of it. */
export interface Exchange {
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
  readonly status: number | undefined;
  readonly headers: Headers | undefined;
  readonly failure: { readonly reason: string; readonly isSent: boolean } | undefined;
  readonly body:
    | { readonly data: unknown; readonly errors: unknown; readonly extensions: unknown }
    | undefined;
}

export interface LibraryClientOptions {
  readonly shop: string;
  readonly baseUrl: string;
  readonly maxAnswerBytes: number;
  readonly nowMs: () => number;
}

/** Status codes whose answers may carry no body. */
const bodiless = new Set([204, 205, 304]);

/**
 * One GraphQL request through `@shopify/shopify-api`, with what the library lacks (all measured on 15.0.0):
 * - Its retries take Retry-After as milliseconds and ignore THROTTLED: always 0.
 * - It has no time-out: the caller's signal ends the exchange, the reading of the body included.
 * - It accepts only myshopify.com domains and https. The session keeps the shop's domain; our fetch sends the request
 *   to the base URL instead.
 * - It takes its fetch from a process-wide variable when a client is made. Each request makes its own client between
 *   setting and restoring that variable, without an await in between, so shops with different addresses never mix.
 * - fetch would follow redirects and carry X-Shopify-Access-Token along: they are answers here.
 */
export class LibraryClient {
  readonly #options: LibraryClientOptions;
  readonly #shopify;

  constructor(options: LibraryClientOptions) {
    this.#options = options;
    this.#shopify = shopifyApi({
      apiKey: 'stockmesh',
      // Required, but used for nothing we ask of the library: webhooks and tokens are handled outside it.
      apiSecretKey: 'not-used',
      hostName: 'localhost',
      apiVersion: ApiVersion.October26,
      isEmbeddedApp: false,
      userAgentPrefix: 'stockmesh',
      logger: { level: LogSeverity.Error, httpRequests: false, log: () => undefined },
    });
  }

  async exchange(
    operation: GraphqlOperation,
    variables: Readonly<Record<string, unknown>>,
    accessToken: string,
    signal: AbortSignal,
  ): Promise<Exchange> {
    const recorder = new Recorder(this.#options);
    const client = this.#clientWith(recorder, accessToken);
    try {
      const answer: unknown = await client.request(operation.document, { variables, retries: 0, signal });
      return recorder.finish(isRecord(answer) ? answer : {});
    } catch (error) {
      const body = isRecord(error) ? (error as { readonly body?: unknown }).body : undefined;
      const errors = isRecord(body) && isRecord(body['errors']) ? body['errors']['graphQLErrors'] : undefined;
      return recorder.finish(isRecord(body) ? { ...body, errors } : undefined);
    }
  }

  #clientWith(recorder: Recorder, accessToken: string) {
    const session = new Session({
      id: 'stockmesh',
      shop: this.#options.shop,
      state: '',
      isOnline: false,
      accessToken,
    });
    const before = abstractFetch;
    setAbstractFetchFunc((_url: unknown, init?: unknown) => recorder.fetch(init as RequestInit));
    try {
      return new this.#shopify.clients.Graphql({ session });
    } finally {
      setAbstractFetchFunc(before);
    }
  }
}

class Recorder {
  readonly #options: LibraryClientOptions;
  #sentAtMs: number;
  #receivedAtMs = 0;
  #status: number | undefined;
  #headers: Headers | undefined;
  #failure: Exchange['failure'];

  constructor(options: LibraryClientOptions) {
    this.#options = options;
    this.#sentAtMs = options.nowMs();
  }

  async fetch(init: RequestInit): Promise<Response> {
    const url = `${this.#options.baseUrl}/admin/api/${apiVersion}/graphql.json`;
    try {
      this.#sentAtMs = this.#options.nowMs();
      const response = await fetch(url, { ...init, redirect: 'manual' });
      this.#receivedAtMs = this.#options.nowMs();
      const body = await readCapped(response, this.#options.maxAnswerBytes);
      this.#status = response.status;
      this.#headers = response.headers;
      return new Response(bodiless.has(response.status) ? null : body, {
        status: response.status,
        statusText: response.statusText,
        headers: response.headers,
      });
    } catch (error) {
      // The library keeps only the message of what is thrown here.
      this.#failure = failureOf(error);
      throw error;
    }
  }

  finish(body: Readonly<Record<string, unknown>> | undefined): Exchange {
    return {
      sentAtMs: this.#sentAtMs,
      receivedAtMs: this.#receivedAtMs,
      status: this.#status,
      headers: this.#headers,
      failure: this.#failure,
      body:
        body === undefined
          ? undefined
          : { data: body['data'], errors: body['errors'], extensions: body['extensions'] },
    };
  }
}

async function readCapped(response: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new RangeError(`the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, size));
}

function failureOf(error: unknown): { reason: string; isSent: boolean } {
  if (error instanceof RangeError) return { reason: error.message, isSent: true };
  const name = error instanceof Error || error instanceof DOMException ? error.name : 'unknown failure';
  if (name === 'TimeoutError' || name === 'AbortError') return { reason: name, isSent: true };
  const cause = error instanceof Error ? error.cause : undefined;
  const codes = causesOf(cause);
  const isSent = codes.length === 0 || !codes.every((code) => isNeverSent(code));
  return { reason: codes[0] ?? name, isSent };
}

/** Several addresses of one host fail together as an AggregateError: unsent only when every one of them is. */
function causesOf(cause: unknown): readonly string[] {
  if (cause instanceof AggregateError) return cause.errors.flatMap((error: unknown) => causesOf(error));
  const code =
    isRecord(cause) || cause instanceof Error ? (cause as { readonly code?: unknown }).code : undefined;
  return typeof code === 'string' ? [code] : [];
}
