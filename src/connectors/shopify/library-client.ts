// oxlint-disable-next-line import/no-unassigned-import -- tells the library that it runs on Node
import '@shopify/shopify-api/adapters/node';
import { ApiVersion, LogSeverity, Session, shopifyApi } from '@shopify/shopify-api';
import { abstractFetch, setAbstractFetchFunc } from '@shopify/shopify-api/runtime';
import { StockmeshError } from '../../domain/errors.ts';
import type { HttpAnswer, HttpClient } from '../http.ts';
import { isRecord } from '../raw-json.ts';
import type { GraphqlOperation } from './documents.ts';
import { LibraryResponse } from './library-response.ts';
import { apiVersion } from './options.ts';

/** What one exchange left behind, whatever the library made of it. */
export interface Exchange {
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
  readonly status: number | undefined;
  /** Lower-case names. */
  readonly headers: HttpAnswer['headers'] | undefined;
  readonly failure: { readonly reason: string; readonly isSent: boolean } | undefined;
  readonly body:
    | { readonly data: unknown; readonly errors: unknown; readonly extensions: unknown }
    | undefined;
}

/** What the library asks of fetch. */
interface LibraryRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
}

export interface LibraryClientOptions {
  readonly shop: string;
  readonly baseUrl: string;
  /** Bounds the size of an answer. */
  readonly http: HttpClient;
  readonly nowMs: () => number;
}

/**
 * One GraphQL request through `@shopify/shopify-api`, with what the library lacks (all measured on 15.0.0):
 * - Its retries take Retry-After as milliseconds and ignore THROTTLED: always 0.
 * - It has no time-out: the caller's signal ends the exchange, the reading of the body included.
 * - Node's fetch, which it uses, takes a third more processor time for a write than the HTTP client of all connectors,
 *   which is its fetch here. Redirects would carry X-Shopify-Access-Token along: that client never follows them.
 * - It accepts only myshopify.com domains and https. The session keeps the shop's domain; our fetch sends the request
 *   to the base URL instead.
 * - It takes its fetch from a process-wide variable when a client is made. Each request makes its own client between
 *   setting and restoring that variable, without an await in between, so shops with different addresses never mix.
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
    setAbstractFetchFunc(
      (_url, init) =>
        recorder.fetch(init as unknown as LibraryRequest) as Promise<unknown> as Promise<Response>,
    );
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
  #answer: HttpAnswer | undefined;
  #failure: Exchange['failure'];

  constructor(options: LibraryClientOptions) {
    this.#options = options;
    this.#sentAtMs = options.nowMs();
  }

  async fetch({ headers, body, signal }: LibraryRequest): Promise<LibraryResponse> {
    const { http, baseUrl, nowMs } = this.#options;
    const url = `${baseUrl}/admin/api/${apiVersion}/graphql.json`;
    try {
      this.#sentAtMs = nowMs();
      this.#answer = await http.send({ method: 'POST', url, operation: 'graphql', headers, body, signal });
      this.#receivedAtMs = nowMs();
      return new LibraryResponse(this.#answer);
    } catch (error) {
      // The library keeps only the message of what is thrown here.
      this.#failure = failureOf(error, signal);
      throw error;
    }
  }

  finish(body: Readonly<Record<string, unknown>> | undefined): Exchange {
    return {
      sentAtMs: this.#sentAtMs,
      receivedAtMs: this.#receivedAtMs,
      status: this.#answer?.status,
      headers: this.#answer?.headers,
      failure: this.#failure,
      body:
        body === undefined
          ? undefined
          : { data: body['data'], errors: body['errors'], extensions: body['extensions'] },
    };
  }
}

function failureOf(error: unknown, signal: AbortSignal): { reason: string; isSent: boolean } {
  const { reason, isSent } = error instanceof StockmeshError ? error.fields : {};
  const ending: unknown = signal.aborted ? signal.reason : undefined;
  return {
    reason: ending instanceof Error ? ending.name : String(reason ?? 'unknown failure'),
    isSent: isSent !== false,
  };
}
