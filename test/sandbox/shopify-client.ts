import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { ShopifySandbox, ShopifySandboxOptions } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import type { ShopOptions } from '../../sandbox/shopify/shop-options.ts';

/** Answers are checked field by field in tests, so their shape stays open here. */
export interface Json {
  readonly [key: string]: Json;
}

/** One field of every row of a connection that the test knows to be there. */
export function fieldOfNodes(connection: Json | undefined, field: string): unknown[] {
  const nodes: unknown = connection?.['nodes'];
  if (!Array.isArray(nodes)) throw new TypeError('no connection');
  return nodes.map((node: Json) => node[field]);
}

/** The scalar that the test knows to be there. */
export function textOf(value: Json | undefined): string {
  const text: unknown = value;
  if (typeof text !== 'string') throw new TypeError('no text');
  return text;
}

export interface GraphqlResult {
  readonly status: number;
  readonly data: Json;
  readonly errors:
    | readonly { readonly message: string; readonly extensions: Record<string, unknown> }[]
    | undefined;
  readonly extensions: Json;
  readonly raw: unknown;
}

export const documentText = (name: string): string =>
  readFileSync(new URL(`../fixtures/shopify/documents/${name}.graphql`, import.meta.url), 'utf8');

export class ShopClient {
  readonly #shop: SandboxShop;
  token: string;

  constructor(shop: SandboxShop) {
    this.#shop = shop;
    this.token = shop.tokens.issueStatic();
  }

  fetch(body: unknown, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.#shop.baseUrl}/admin/api/2026-10/graphql.json`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Shopify-Access-Token': this.token },
      body: JSON.stringify(body),
      ...(signal ? { signal } : {}),
    });
  }

  async query(query: string, variables: Record<string, unknown> = {}): Promise<GraphqlResult> {
    const response = await this.fetch({ query, variables });
    const raw = (await response.json()) as Record<string, never>;
    return {
      status: response.status,
      data: raw['data'] ?? {},
      errors: raw['errors'],
      extensions: raw['extensions'] ?? {},
      raw,
    };
  }

  run(name: string, variables: Record<string, unknown> = {}): Promise<GraphqlResult> {
    return this.query(documentText(name), variables);
  }

  /** inventoryAdjustQuantities of available; `from` is the precondition. */
  async adjust(sku: string, delta: number, key: string, from: number | null = null): Promise<GraphqlResult> {
    const item = this.#shop.item(sku);
    const locationId = [...this.#shop.inventory.locations.keys()][0];
    const changes = [{ inventoryItemId: item.id, locationId, delta, changeFromQuantity: from }];
    return this.run('AdjustAvailable', {
      idempotencyKey: key,
      input: { name: 'available', reason: 'correction', changes },
    });
  }
}

export interface Setup extends AsyncDisposable {
  readonly sandbox: ShopifySandbox;
  readonly shop: SandboxShop;
  readonly client: ShopClient;
}

/** One shop with one location, no rate limit unless asked for. */
export async function setUp(
  shopOptions: Partial<ShopOptions> = {},
  options: ShopifySandboxOptions = {},
): Promise<Setup> {
  const sandbox = await startShopifySandbox(options);
  const shop = sandbox.addShop({ domain: 'alpha.myshopify.com', rateLimit: false, ...shopOptions });
  return { sandbox, shop, client: new ShopClient(shop), [Symbol.asyncDispose]: () => sandbox.stop() };
}

export const codesOf = (payload: Json | undefined): unknown[] =>
  ((payload?.['userErrors'] ?? []) as unknown as { code: unknown }[]).map((error) => error.code);

export interface ReceivedWebhook {
  readonly topic: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: Buffer;
  readonly body: Record<string, unknown>;
}

export interface WebhookReceiver extends AsyncDisposable {
  readonly url: string;
  readonly received: ReceivedWebhook[];
  /** Status of the next answers; 200 by default. */
  answerWith: number | 'never';
  topics(): string[];
}

export async function receiveWebhooks(): Promise<WebhookReceiver> {
  const received: ReceivedWebhook[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      received.push({
        topic: String(request.headers['x-shopify-topic']),
        headers: request.headers,
        raw,
        body: JSON.parse(raw.toString()) as Record<string, unknown>,
      });
      if (receiver.answerWith === 'never') return;
      response.statusCode = receiver.answerWith;
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: WebhookReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`,
    received,
    answerWith: 200,
    topics: () => received.map((webhook) => webhook.topic),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return receiver;
}

export async function subscribe(client: ShopClient, topic: string, uri: string): Promise<string> {
  const { data } = await client.run('WebhookCreate', { topic, sub: { uri, format: 'JSON' } });
  return textOf(data['webhookSubscriptionCreate']?.['webhookSubscription']?.['id']);
}
