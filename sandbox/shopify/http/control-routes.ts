import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Fault } from '../faults.ts';
import type { ItemOptions, LocationOptions } from '../inventory-state.ts';
import { currentQuantityOf, onHandOf, unfulfilledQuantityOf } from '../model.ts';
import type { Order } from '../model.ts';
import type { OrderRequest, RefundRequest } from '../order-requests.ts';
import type { Records } from '../records.ts';
import type { SandboxShop } from '../shop.ts';
import type { ShopOptions, ShopSettings } from '../shop-options.ts';
import { parseObject, readBody, sendJson } from './body.ts';

/** What the control API may reach of the sandbox. */
export interface ControlHost {
  readonly records: Records;
  readonly shops: ReadonlyMap<string, SandboxShop>;
  addShop(options: ShopOptions): SandboxShop;
}

type Input = Record<string, unknown>;
type Action = (shop: SandboxShop, input: Input, id: string) => unknown;

/**
 * Remote control for other processes: the programmatic API over HTTP, trusted input. Paths: `/_control/<what>` and
 * `/_control/shops/<domain>/<what>[/<id>/<action>]`.
 */
export async function handleControl(
  host: ControlHost,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, , ...path] = url.pathname.split('/').map((part) => decodeURIComponent(part));
  const body = await readBody(request);
  const input = body.kind === 'read' ? (parseObject(body.text === '' ? '{}' : body.text) ?? null) : null;
  if (!input) {
    sendJson(response, 400, { error: 'the body must be a JSON object' });
    return;
  }
  if (path.length === 1 && path[0] === 'level-changes') {
    streamLevelChanges(host.records, response);
    return;
  }
  try {
    const result = answer(host, request.method ?? 'GET', path, url.searchParams, input);
    if (result === undefined) sendJson(response, 404, { error: `no ${request.method} ${url.pathname}` });
    else sendJson(response, 200, result);
  } catch (error) {
    sendJson(response, 400, { error: error instanceof Error ? error.message : String(error) });
  }
}

function answer(
  host: ControlHost,
  method: string,
  path: readonly string[],
  search: URLSearchParams,
  input: Input,
): unknown {
  const [what, domain, collection, id, action] = path;
  if (what === 'health') return { ok: true };
  if (what === 'audit' || what === 'requests' || what === 'violations') {
    const shop = search.get('shop');
    const rows: readonly { readonly shop: string }[] = host.records[what].all();
    return { [what]: shop === null ? rows : rows.filter((row) => row.shop === shop) };
  }
  if (what !== 'shops') return undefined;
  if (domain === undefined)
    return method === 'POST'
      ? describeShop(host.addShop(input as unknown as ShopOptions), true)
      : { shops: [...host.shops.values()].map((shop) => describeShop(shop, false)) };
  const shop = host.shops.get(domain);
  if (!shop) throw new Error(`no shop ${domain}`);
  const name = [collection, action].filter((part) => part !== undefined).join('/');
  const handler = (method === 'POST' ? COMMANDS : QUERIES)[name];
  return handler?.(shop, input, id ?? '');
}

const describeShop = (shop: SandboxShop, withToken: boolean) => ({
  domain: shop.domain,
  baseUrl: shop.baseUrl,
  clientId: shop.tokens.app.clientId,
  clientSecret: shop.tokens.app.clientSecret,
  ...(withToken ? { accessToken: shop.tokens.issueStatic() } : {}),
  locations: [...shop.inventory.locations.values()].map(({ id, name, isActive }) => ({ id, name, isActive })),
});

export const describeOrder = (order: Order) => ({
  id: order.id,
  name: order.name,
  createdAt: order.createdAt,
  updatedAt: order.updatedAt,
  cancelledAt: order.cancelledAt,
  lines: order.lines.map((line) => ({
    id: line.id,
    sku: line.sku,
    quantity: line.quantity,
    currentQuantity: currentQuantityOf(line),
    unfulfilledQuantity: unfulfilledQuantityOf(line),
  })),
  fulfillmentOrders: order.fulfillmentOrders.map(({ id, location, status }) => ({
    id,
    location: location.id,
    status,
  })),
});

const COMMANDS: Readonly<Record<string, Action>> = {
  locations: (shop, input) => {
    const { id, name } = shop.addLocation(input as unknown as LocationOptions);
    return { id, name };
  },
  items: (shop, input) => ({
    items: (input['items'] as readonly ItemOptions[]).map((options) => {
      const item = shop.addItem(options);
      return { id: item.id, variantId: item.variant.id, sku: item.sku };
    }),
  }),
  stock: (shop, input) => {
    const { sku, quantity, ...options } = input as { sku: string; quantity: number };
    return { available: shop.editStock(sku, quantity, options).quantities.available };
  },
  orders: (shop, input) => {
    const result = shop.placeOrder(input as unknown as OrderRequest);
    return result.kind === 'accepted' ? { kind: result.kind, order: describeOrder(result.order) } : result;
  },
  'orders/cancel': (shop, input, id) => describeOrder(shop.cancelOrder(id, input)),
  'orders/refund': (shop, input, id) => ({ id: shop.refund(id, input as unknown as RefundRequest).id }),
  'orders/fulfil': (shop, input, id) => ({
    fulfillments: shop.fulfil(id, input).map((fulfillment) => fulfillment.id),
  }),
  'orders/edit': (shop, input, id) => describeOrder(shop.editOrder(id, input)),
  'fulfilment-orders/move': (shop, input, id) => {
    const moved = shop.moveFulfilmentOrder(id, String(input['location']));
    return { id: moved.id, location: moved.location.id };
  },
  faults: (shop, input) => {
    shop.setFaults(input['faults'] as readonly Fault[]);
    return { ok: true };
  },
  webhooks: (shop, input) => {
    shop.setWebhookBehaviour(input);
    return shop.delivery.behaviour;
  },
  settings: (shop, input) => Object.assign(shop.settings, input as Partial<ShopSettings>),
  bulk: (shop, input) => Object.assign(shop.bulk.settings, input),
  tokens: (shop) => ({ accessToken: shop.tokens.issueStatic() }),
  'expire-tokens': (shop) => {
    shop.tokens.expireAccessTokens();
    return { ok: true };
  },
  'drain-bucket': (shop) => {
    shop.bucket.drain();
    return shop.bucket.status();
  },
  uninstall: (shop) => {
    shop.uninstallApp();
    return { ok: true };
  },
};

const QUERIES: Readonly<Record<string, Action>> = {
  orders: (shop) => ({ orders: shop.orders().map((order) => describeOrder(order)) }),
  deliveries: (shop) => ({ deliveries: shop.delivery.log }),
  subscriptions: (shop) => ({ subscriptions: shop.subscriptions.all() }),
  levels: (shop) => ({
    levels: [...shop.inventory.items.values()].flatMap((item) =>
      [...item.levels.values()].map((level) => ({
        sku: item.sku,
        tracked: item.tracked,
        inventoryItemId: item.id,
        locationId: level.location.id,
        location: level.location.name,
        isActive: level.isActive,
        available: level.quantities.available,
        committed: level.quantities.committed,
        onHand: onHandOf(level),
      })),
    ),
  }),
};

/** One JSON line per change until the client goes; a client that does not read is cut off. */
function streamLevelChanges(records: Records, response: ServerResponse): void {
  const maxBufferedBytes = 4 * 1024 * 1024;
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  response.flushHeaders();
  const stopListening = records.onLevelChange((change) => {
    if (response.writableLength > maxBufferedBytes) response.destroy();
    else response.write(`${JSON.stringify(change)}\n`);
  });
  response.on('close', stopListening);
}
