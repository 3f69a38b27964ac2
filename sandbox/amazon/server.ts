import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type SandboxClock, realClock } from '../shopify/clock.ts';
import { parseObject, readBody, sendJson } from '../shopify/http/body.ts';
import { handleApi } from './http/api-routes.ts';
import { handleControl } from './http/control-routes.ts';
import { handleDocument } from './http/document-transfer.ts';
import { type Exchange, type LevelChange, Records, type Violation } from './records.ts';
import { SandboxSeller } from './seller.ts';
import type { SellerOptions } from './settings.ts';
import { SqsEndpoint } from './sqs/endpoint.ts';
import { Queue } from './sqs/queue.ts';

export interface AmazonSandboxOptions {
  /** Defaults to any free port. */
  readonly port?: number;
  readonly host?: string;
  readonly clock?: SandboxClock;
  /** Every delay, loss, duplicate and fault is drawn from it. */
  readonly seed?: number;
  readonly sellers?: readonly SellerOptions[];
  readonly queues?: readonly string[];
  /** Serves `/_control/*`; off unless asked for. */
  readonly isControlEnabled?: boolean;
}

const MAX_SELLERS = 1_000;
const ACCOUNT = '123456789012';
const REGION = 'us-east-1';

/**
 * Emulated selling accounts behind one loopback HTTP server: Login with Amazon, the Selling Partner API, the storage of
 * its documents and SQS, told apart by path and headers, so that one base URL serves them all.
 */
export class AmazonSandbox {
  readonly records = new Records();
  readonly sellers = new Map<string, SandboxSeller>();
  readonly sqs: SqsEndpoint;
  readonly #server: Server;
  readonly #clock: SandboxClock;
  readonly #seed: number;
  readonly #isControlEnabled: boolean;
  #url = '';

  constructor(options: AmazonSandboxOptions) {
    this.#clock = options.clock ?? realClock;
    this.#seed = options.seed ?? 1;
    this.#isControlEnabled = options.isControlEnabled ?? false;
    this.sqs = new SqsEndpoint(this.#clock);
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        // A defect of the sandbox itself: visible to the caller, never a hang.
        if (!response.headersSent)
          sendJson(response, 500, {
            errors: [{ code: 'InternalFailure', message: `sandbox: ${String(error)}` }],
          });
      });
    });
    this.#server.keepAliveTimeout = 60_000;
  }

  get url(): string {
    return this.#url;
  }

  async listen(port: number, host: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    this.#url = `http://${host}:${(this.#server.address() as AddressInfo).port}`;
  }

  addSeller(options: SellerOptions): SandboxSeller {
    if (this.sellers.has(options.sellerId)) throw new Error(`seller ${options.sellerId} exists`);
    if (this.sellers.size >= MAX_SELLERS) throw new Error(`more than ${MAX_SELLERS} sellers`);
    const seed = this.#seed + this.sellers.size;
    const seller = new SandboxSeller(options, this.#clock, this.records, this.sqs, seed);
    seller.documents.baseUrl = this.#url;
    this.sellers.set(seller.sellerId, seller);
    return seller;
  }

  seller(sellerId: string): SandboxSeller {
    const seller = this.sellers.get(sellerId);
    if (!seller) throw new Error(`no seller ${sellerId}`);
    return seller;
  }

  addQueue(name: string): Queue {
    const arn = `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`;
    const queue = new Queue({ name, url: `${this.#url}/${ACCOUNT}/${name}`, arn, clock: this.#clock });
    this.sqs.queues.set(name, queue);
    return queue;
  }

  violations(): readonly Violation[] {
    return this.records.violations.all();
  }

  /** Called at once for every applied change of a seller's own number. Returns the function that stops it. */
  onLevelChange(listener: (change: LevelChange) => void): () => void {
    return this.records.onLevelChange(listener);
  }

  /** Called for every request to the API with its answer. Returns the function that stops it. */
  onExchange(listener: (exchange: Exchange) => void): () => void {
    return this.records.onExchange(listener);
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.#url);
    if (this.#isControlEnabled && url.pathname.startsWith('/_control/')) {
      await handleControl(this, url, request, response);
      return;
    }
    if (String(request.headers['x-amz-target'] ?? '').startsWith('AmazonSQS.')) {
      await this.sqs.handle(request, response);
      return;
    }
    if (url.pathname === '/auth/o2/token' && request.method === 'POST') {
      await this.#token(request, response);
      return;
    }
    if (url.pathname.startsWith('/_documents/')) {
      const key = url.pathname.slice('/_documents/'.length);
      const owner = [...this.sellers.values()].find((seller) => seller.documents.follow(key));
      const seller = owner ?? this.#first();
      if (seller) await handleDocument(seller, key, request, response);
      return;
    }
    const host = {
      findSeller: (token: string | undefined) => this.#ownerOf(token),
      fallback: () => this.#first(),
    };
    await handleApi(host, url, request, response);
  }

  /** Form or JSON, as Amazon takes both. */
  async #token(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const text = body.kind === 'read' ? body.text : '';
    const isJson = (request.headers['content-type'] ?? '').includes('json');
    const parsed = isJson ? (parseObject(text) ?? {}) : Object.fromEntries(new URLSearchParams(text));
    const form = Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, String(value)]));
    const all = [...this.sellers.values()];
    const owner =
      all.find((seller) => seller.tokens.credentials.refreshToken === form['refresh_token']) ??
      all.find((seller) => seller.tokens.credentials.clientId === form['client_id']) ??
      this.#first();
    const fault = owner?.faults.draw('token');
    if (fault?.kind === 'reset') response.socket?.resetAndDestroy();
    else if (fault) sendJson(response, fault.status ?? 503, { error: 'server_error' });
    else {
      const answer = owner?.tokens.exchange(form) ?? { status: 401, body: { error: 'invalid_client' } };
      sendJson(response, answer.status, answer.body);
    }
  }

  #ownerOf(token: string | undefined): ReturnType<Parameters<typeof handleApi>[0]['findSeller']> {
    for (const seller of this.sellers.values()) {
      const grant = seller.tokens.kindOf(token);
      if (grant !== null) return { seller, grant };
    }
    return undefined;
  }

  #first(): SandboxSeller | undefined {
    return this.sellers.values().next().value;
  }
}

/** Starts a sandbox on loopback. */
export async function startAmazonSandbox(options: AmazonSandboxOptions = {}): Promise<AmazonSandbox> {
  const sandbox = new AmazonSandbox(options);
  await sandbox.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  for (const seller of options.sellers ?? []) sandbox.addSeller(seller);
  for (const name of options.queues ?? []) sandbox.addQueue(name);
  return sandbox;
}
