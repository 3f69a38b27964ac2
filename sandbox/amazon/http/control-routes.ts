import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Fault } from '../../shopify/faults.ts';
import { parseObject, readBody, sendJson } from '../../shopify/http/body.ts';
import type { ListingOptions } from '../listings.ts';
import type { EventTarget } from '../notifications.ts';
import type { Canceller, OrderRequest } from '../orders.ts';
import type { LevelChange, Violation } from '../records.ts';
import type { SandboxSeller } from '../seller.ts';
import type { SellerOptions, SellerSettings } from '../settings.ts';

/** What the control API may reach of the sandbox. */
export interface ControlHost {
  readonly sellers: ReadonlyMap<string, SandboxSeller>;
  seller(sellerId: string): SandboxSeller;
  addSeller(options: SellerOptions): SandboxSeller;
  addQueue(name: string): { readonly name: string; readonly arn: string; readonly url: string };
  violations(): readonly Violation[];
  onLevelChange(listener: (change: LevelChange) => void): () => void;
}

type Input = Readonly<Record<string, unknown>>;
type Action = (seller: SandboxSeller, input: Input, id: string) => unknown;

/**
 * Remote control for other processes: trusted input. Paths: `/_control/<what>` and
 * `/_control/sellers/<sellerId>/<what>[/<id>/<action>]`.
 */
export async function handleControl(
  sandbox: ControlHost,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, , ...path] = url.pathname.split('/').map((part) => decodeURIComponent(part));
  if (path[0] === 'level-changes') {
    streamLevelChanges(sandbox, response);
    return;
  }
  const body = await readBody(request);
  const input = body.kind === 'read' ? parseObject(body.text === '' ? '{}' : body.text) : null;
  if (!input) {
    sendJson(response, 400, { error: 'the body must be a JSON object' });
    return;
  }
  try {
    const result = answer(sandbox, request.method ?? 'GET', path, input);
    if (result === undefined) sendJson(response, 404, { error: `no ${request.method} ${url.pathname}` });
    else sendJson(response, 200, result);
  } catch (error) {
    sendJson(response, 400, { error: error instanceof Error ? error.message : String(error) });
  }
}

function answer(sandbox: ControlHost, method: string, path: readonly string[], input: Input): unknown {
  const [what, sellerId, collection, id = '', action] = path;
  if (what === 'health') return { ok: true };
  if (what === 'violations') return { violations: sandbox.violations() };
  if (what === 'queues' && method === 'POST') {
    const { name, arn, url } = sandbox.addQueue(String(input['name']));
    return { name, arn, url };
  }
  if (what !== 'sellers') return undefined;
  if (sellerId === undefined)
    return method === 'POST'
      ? describeSeller(sandbox.addSeller(input as unknown as SellerOptions))
      : { sellers: [...sandbox.sellers.values()].map(describeSeller) };
  const name = [collection, action].filter((part) => part !== undefined).join('/');
  const handler = (method === 'POST' ? COMMANDS : QUERIES)[name];
  return handler?.(sandbox.seller(sellerId), input, id);
}

export function describeSeller(seller: SandboxSeller): Record<string, unknown> {
  const { clientId, clientSecret, refreshToken } = seller.tokens.credentials;
  const { sellerId, marketplaceIds } = seller;
  return { sellerId, marketplaceIds, clientId, clientSecret, refreshToken };
}

const COMMANDS: Readonly<Record<string, Action>> = {
  listings: (seller, input) => {
    const rows = input['listings'] as readonly ListingOptions[];
    for (const row of rows) seller.addListing(row);
    return { added: rows.length };
  },
  stock: (seller, input) => {
    seller.listings.edit(String(input['sku']), Number(input['quantity']));
    return { available: seller.listings.quantity(String(input['sku'])) };
  },
  fba: (seller, input) => {
    seller.setFba(String(input['sku']), Number(input['fulfillable']), input);
    return { ok: true };
  },
  orders: (seller, input) => seller.orders.place(input as unknown as OrderRequest),
  'orders/confirm': (seller, _input, id) => seller.orders.confirm(id),
  'orders/ship': (seller, input, id) =>
    seller.orders.ship(
      id,
      typeof input['sku'] === 'string'
        ? { sku: input['sku'], quantity: Number(input['quantity']) }
        : undefined,
    ),
  'orders/cancel': (seller, input, id) => seller.orders.cancel(id, (input['by'] as Canceller) ?? 'BUYER'),
  'orders/request-cancel': (seller, _input, id) => seller.orders.requestCancel(id),
  settings: (seller, input) => Object.assign(seller.settings, input as Partial<SellerSettings>),
  faults: (seller, input) => {
    seller.setFaults(input['faults'] as readonly Fault[]);
    return { ok: true };
  },
  events: (seller, input) => {
    seller.notifications.eventTarget = input['target'] as EventTarget | null;
    return { ok: true };
  },
  'expire-tokens': (seller) => {
    seller.tokens.expireAll();
    return { ok: true };
  },
  revoke: (seller) => {
    seller.tokens.revoke();
    return { ok: true };
  },
};

const QUERIES: Readonly<Record<string, Action>> = {
  orders: (seller) => ({ orders: [...seller.orders.orders.values()] }),
  levels: (seller) => ({
    levels: [...seller.listings.listings.values()].map((listing) => ({
      sku: listing.sku,
      available: seller.listings.quantity(listing.sku),
      codes: [...listing.availability.keys()],
    })),
  }),
  subscriptions: (seller) => ({ subscriptions: [...seller.notifications.subscriptions.values()] }),
  notifications: (seller) => seller.notifications.counts,
};

/** One JSON line per change until the client goes; a client that does not read is cut off. */
function streamLevelChanges(sandbox: ControlHost, response: ServerResponse): void {
  const maxBufferedBytes = 4 * 1024 * 1024;
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  response.flushHeaders();
  const stopListening = sandbox.onLevelChange((change) => {
    if (response.writableLength > maxBufferedBytes) response.destroy();
    else response.write(`${JSON.stringify(change)}\n`);
  });
  response.on('close', stopListening);
}
