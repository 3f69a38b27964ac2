import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type SandboxClock, realClock } from '../shopify/clock.ts';
import { sendJson } from '../shopify/http/body.ts';
import type { Account } from './account.ts';
import { handleControl } from './control-routes.ts';
import { Records, type Violation } from './records.ts';
import { ShipBobApi } from './shipbob.ts';
import { ShipHeroApi } from './shiphero.ts';
import { SandboxWarehouse, type WarehouseOptions } from './warehouse.ts';
import { WebhookDesk } from './webhooks.ts';

export interface WmsSandboxOptions {
  readonly port?: number;
  readonly host?: string;
  readonly clock?: SandboxClock;
  readonly warehouses?: readonly WarehouseOptions[];
  readonly isControlEnabled?: boolean;
}

const MAX_ACCOUNTS = 100;

/** Emulated warehouses behind one loopback HTTP server; each answers at `<url>/<name>`. */
export class WmsSandbox {
  readonly records = new Records();
  readonly accounts = new Map<string, Account>();
  readonly #server: Server;
  readonly #clock: SandboxClock;
  readonly #isControlEnabled: boolean;
  #url = '';

  constructor(options: WmsSandboxOptions) {
    this.#clock = options.clock ?? realClock;
    this.#isControlEnabled = options.isControlEnabled ?? false;
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        if (!response.headersSent) sendJson(response, 500, { message: `sandbox: ${String(error)}` });
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

  add(options: WarehouseOptions): Account {
    if (this.accounts.has(options.name)) throw new Error(`the warehouse ${options.name} exists`);
    if (this.accounts.size >= MAX_ACCOUNTS) throw new Error(`more than ${MAX_ACCOUNTS} warehouses`);
    const warehouse = new SandboxWarehouse(options, this.#clock, this.records);
    warehouse.baseUrl = `${this.#url}/${options.name}`;
    const desk = new WebhookDesk(warehouse);
    const account: Account =
      options.kind === 'shiphero'
        ? { kind: 'shiphero', warehouse, desk, api: new ShipHeroApi(warehouse, desk) }
        : { kind: 'shipbob', warehouse, desk, api: new ShipBobApi(warehouse, desk) };
    this.accounts.set(options.name, account);
    return account;
  }

  account(name: string): Account {
    const account = this.accounts.get(name);
    if (!account) throw new Error(`no warehouse ${name}`);
    return account;
  }

  violations(): readonly Violation[] {
    return this.records.violations.all();
  }

  async webhooksIdle(): Promise<void> {
    await Promise.all([...this.accounts.values()].map(({ desk }) => desk.idle()));
  }

  async stop(): Promise<void> {
    for (const { desk } of this.accounts.values()) desk.stop();
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
    const [, name = '', ...rest] = url.pathname.split('/');
    const account = this.accounts.get(name);
    const path = `/${rest.join('/')}`;
    if (!account) {
      request.resume();
      sendJson(response, 404, { message: 'Not Found' });
    } else if (account.kind === 'shiphero') await account.api.handle(path, request, response);
    else await account.api.handle(path, url.searchParams, request, response);
  }
}

export async function startWmsSandbox(options: WmsSandboxOptions = {}): Promise<WmsSandbox> {
  const sandbox = new WmsSandbox(options);
  await sandbox.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  for (const warehouse of options.warehouses ?? []) sandbox.add(warehouse);
  return sandbox;
}
