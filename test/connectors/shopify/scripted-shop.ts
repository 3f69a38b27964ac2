import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface GraphqlCall {
  readonly operation: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

type Answer = Readonly<Record<string, unknown>>;

/** A GraphQL endpoint whose answers the test writes itself: for what no emulator of Shopify would do. */
export class ScriptedShop {
  readonly calls: GraphqlCall[] = [];
  readonly #server: Server;

  constructor(answer: (call: GraphqlCall) => Answer) {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as {
          query: string;
          variables?: Record<string, unknown>;
        };
        const operation = /(?:query|mutation) (\w+)/.exec(body.query)?.[1] ?? '';
        const call = { operation, variables: body.variables ?? {} };
        this.calls.push(call);
        const text = JSON.stringify(answer(call));
        // Not Node's own date, which may be of the second before.
        const date = new Date().toUTCString();
        response.writeHead(200, { 'content-type': 'application/json', date });
        response.end(text);
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export interface ListedOrder {
  readonly id: string;
  readonly createdAtMs: number;
  /** What the order shows. */
  updatedAtMs: number;
  /** Where the search index has it; undefined: nowhere yet. */
  indexedAtMs: number | undefined;
}

export function orderNode(order: ListedOrder): Answer {
  const none = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } };
  const iso = (ms: number) => new Date(Math.floor(ms / 1_000) * 1_000).toISOString().replace('.000Z', 'Z');
  return {
    id: `gid://shopify/Order/${order.id}`,
    createdAt: iso(order.createdAtMs),
    updatedAt: iso(order.updatedAtMs),
    cancelledAt: null,
    confirmed: true,
    sourceName: 'web',
    lineItems: none,
    refunds: [],
    fulfillments: [],
  };
}

/**
 * The search of an index that is behind, with the worst cursors allowed: positions in the result of the moment. A row
 * that moves to the end shifts every later row one place forward.
 */
export function searchPage(
  orders: readonly ListedOrder[],
  variables: Readonly<Record<string, unknown>>,
  pageSize: number,
): Answer {
  const sinceMs = Date.parse(/updated_at:>='([^']+)'/.exec(String(variables['query']))?.[1] ?? '');
  const place = (order: ListedOrder) => order.indexedAtMs ?? Number.POSITIVE_INFINITY;
  const found = orders
    .filter((order) => order.indexedAtMs !== undefined && order.indexedAtMs >= sinceMs)
    .toSorted((a, b) => place(a) - place(b) || (a.id < b.id ? -1 : 1));
  const start = variables['after'] === null ? 0 : Number(variables['after']);
  const end = Math.min(found.length, start + pageSize);
  return {
    data: {
      orders: {
        nodes: found.slice(start, end).map(orderNode),
        pageInfo: { hasNextPage: end < found.length, endCursor: end < found.length ? String(end) : null },
      },
    },
  };
}
