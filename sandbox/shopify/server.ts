import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { realClock } from './clock.ts';
import type { SandboxClock } from './clock.ts';
import { readBulkSlice } from './graphql/execute.ts';
import { adminSchema } from './graphql/schema.ts';
import { handleAdmin } from './http/admin-routes.ts';
import { sendJson } from './http/body.ts';
import { handleControl } from './http/control-routes.ts';
import { Records } from './records.ts';
import type { LevelChange, Violation } from './records.ts';
import { SandboxShop } from './shop.ts';
import type { ShopOptions } from './shop-options.ts';

export interface ShopifySandboxOptions {
  /** Defaults to any free port. */
  readonly port?: number;
  readonly host?: string;
  readonly clock?: SandboxClock;
  /** Every delay, loss, duplicate and fault is drawn from it. */
  readonly seed?: number;
  readonly shops?: readonly ShopOptions[];
  /** Serves `/_control/*`; off unless asked for. */
  readonly isControlEnabled?: boolean;
}

const MAX_SHOPS = 1_000;

/** Emulated shops behind one loopback HTTP server. */
export class ShopifySandbox {
  readonly records = new Records();
  readonly shops = new Map<string, SandboxShop>();
  readonly #server: Server;
  readonly #clock: SandboxClock;
  readonly #seed: number;
  readonly #isControlEnabled: boolean;
  #url = '';

  constructor(options: ShopifySandboxOptions) {
    this.#clock = options.clock ?? realClock;
    this.#seed = options.seed ?? 1;
    this.#isControlEnabled = options.isControlEnabled ?? false;
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        // A defect of the sandbox itself: visible to the caller, never a hang.
        if (!response.headersSent) sendJson(response, 500, { errors: `sandbox: ${String(error)}` });
      });
    });
    this.#server.keepAliveTimeout = 60_000;
  }

  get url(): string {
    return this.#url;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(port: number, host: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    this.#url = `http://${host}:${this.port}`;
  }

  /** A shop answers at `<url>/<domain>`, or under its own name when the Host or X-Forwarded-Host header says so. */
  addShop(options: ShopOptions): SandboxShop {
    if (this.shops.has(options.domain)) throw new Error(`shop ${options.domain} exists`);
    if (this.shops.size >= MAX_SHOPS) throw new Error(`more than ${MAX_SHOPS} shops`);
    const shop = new SandboxShop(
      options,
      this.#clock,
      this.records,
      this.#seed + this.shops.size,
      readBulkSlice,
    );
    shop.baseUrl = `${this.#url}/${shop.domain}`;
    shop.bulk.baseUrl = this.#url;
    this.shops.set(shop.domain, shop);
    return shop;
  }

  shop(domain: string): SandboxShop {
    const shop = this.shops.get(domain);
    if (!shop) throw new Error(`no shop ${domain}`);
    return shop;
  }

  violations(): readonly Violation[] {
    return this.records.violations.all();
  }

  /** Called at once for every applied change of a level, in every shop. Returns the function that stops it. */
  onLevelChange(listener: (change: LevelChange) => void): () => void {
    return this.records.onLevelChange(listener);
  }

  /** Resolves when no webhook is on its way, apart from retries that wait for their time. */
  async webhooksIdle(): Promise<void> {
    await Promise.all([...this.shops.values()].map((shop) => shop.delivery.idle()));
  }

  async stop(): Promise<void> {
    for (const shop of this.shops.values()) shop.stop();
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
    const [, first = '', ...rest] = url.pathname.split('/');
    if (first === '_bulk') {
      this.#sendBulkResult(rest[0] ?? '', rest[1] ?? '', response);
      return;
    }
    const forwarded = request.headers['x-forwarded-host'] ?? request.headers.host ?? '';
    const named = this.shops.get(String(forwarded).split(':')[0] ?? '');
    const shop = named ?? this.shops.get(first);
    const path = named ? url.pathname.replace(`/${named.domain}/`, '/') : `/${rest.join('/')}`;
    if (!shop) {
      request.resume();
      sendJson(response, 404, { errors: 'Not Found' });
      return;
    }
    await handleAdmin(shop, path, request, response);
  }

  #sendBulkResult(domain: string, file: string, response: ServerResponse): void {
    const body = this.shops.get(domain)?.bulk.result(file) ?? null;
    if (body === null) {
      sendJson(response, 404, { errors: 'Not Found' });
      return;
    }
    response.writeHead(200, { 'Content-Type': 'application/jsonl', 'Content-Length': body.length });
    response.end(body);
  }
}

/** Starts a sandbox on loopback. The official schema is built before it answers, so no first call is slow. */
export async function startShopifySandbox(options: ShopifySandboxOptions = {}): Promise<ShopifySandbox> {
  adminSchema();
  const sandbox = new ShopifySandbox(options);
  await sandbox.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  for (const shop of options.shops ?? []) sandbox.addShop(shop);
  return sandbox;
}
