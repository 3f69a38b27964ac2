import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type SandboxClock, realClock } from '../shopify/clock.ts';
import { sendJson } from '../shopify/http/body.ts';
import { handleApi, handleToken } from './api-routes.ts';
import { handleControl } from './control-routes.ts';
import { type LevelChange, Records, type Violation } from './records.ts';
import { SandboxTiktokShop } from './shop.ts';
import type { ShopOptions } from './shop-options.ts';

export interface TiktokSandboxOptions {
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

/** Emulated TikTok shops behind one loopback HTTP server; each has an app of its own, named by `app_key`. */
export class TiktokSandbox {
  readonly records = new Records();
  readonly shops = new Map<string, SandboxTiktokShop>();
  readonly #server: Server;
  readonly #clock: SandboxClock;
  readonly #seed: number;
  readonly #isControlEnabled: boolean;
  #url = '';

  constructor(options: TiktokSandboxOptions) {
    this.#clock = options.clock ?? realClock;
    this.#seed = options.seed ?? 1;
    this.#isControlEnabled = options.isControlEnabled ?? false;
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        // A defect of the sandbox itself: visible to the caller, never a hang.
        if (!response.headersSent) sendJson(response, 500, { error: `sandbox: ${String(error)}` });
      });
    });
    this.#server.keepAliveTimeout = 60_000;
  }

  /** Base URL of the API and of the token endpoint. */
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

  addShop(options: ShopOptions = {}): SandboxTiktokShop {
    if (this.shops.size >= MAX_SHOPS) throw new Error(`more than ${MAX_SHOPS} shops`);
    const shop = new SandboxTiktokShop(options, this.#clock, this.records, this.#seed + this.shops.size);
    if (this.shops.has(shop.id)) throw new Error(`shop ${shop.id} exists`);
    this.shops.set(shop.id, shop);
    return shop;
  }

  shop(id: string): SandboxTiktokShop {
    const shop = this.shops.get(id);
    if (!shop) throw new Error(`no shop ${id}`);
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
    // The platform's clock, also when a test owns it.
    response.setHeader('Date', new Date(this.#clock.now()).toUTCString());
    if (this.#isControlEnabled && url.pathname.startsWith('/_control/')) {
      await handleControl(this, url, request, response);
      return;
    }
    const shop = [...this.shops.values()].find(({ appKey }) => appKey === url.searchParams.get('app_key'));
    if (shop === undefined) {
      request.resume();
      sendJson(response, 400, { code: 36009004, message: 'invalid app_key', request_id: '' });
      return;
    }
    if (url.pathname.startsWith('/api/v2/token/')) {
      request.resume();
      await handleToken(shop, url, response);
      return;
    }
    await handleApi(shop, url, request, response);
  }
}

export async function startTiktokSandbox(options: TiktokSandboxOptions = {}): Promise<TiktokSandbox> {
  const sandbox = new TiktokSandbox(options);
  await sandbox.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  for (const shop of options.shops ?? []) sandbox.addShop(shop);
  return sandbox;
}
