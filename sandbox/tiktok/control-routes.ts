import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseObject, readBody, sendJson } from '../shopify/http/body.ts';
import type { Fault } from './faults.ts';
import type { NewProduct } from './inventory.ts';
import type { NewOrder } from './order-book.ts';
import { orderBody, productBody } from './payloads.ts';
import type { Records } from './records.ts';
import type { SandboxTiktokShop } from './shop.ts';
import type { ShopOptions, ShopSettings } from './shop-options.ts';

/** What the control API may reach of the sandbox. */
export interface ControlHost {
  readonly records: Records;
  addShop(options: ShopOptions): SandboxTiktokShop;
  shop(id: string): SandboxTiktokShop;
}

type Body = Readonly<Record<string, unknown>>;
type Action = (shop: SandboxTiktokShop, body: Body) => unknown;

const orderSteps = [
  'pay',
  'releaseHold',
  'arrange',
  'deliver',
  'complete',
  'requestCancel',
  'requestReturn',
] as const;

const posts: Readonly<Record<string, Action>> = {
  products: (shop, body) => productBody(shop.inventory.addProduct(body as unknown as NewProduct)),
  warehouses: (shop, body) =>
    shop.inventory.addWarehouse({
      name: textOf(body['name']) ?? 'More',
      status: 'ENABLED',
      type: 'SALES_WAREHOUSE',
    }),
  stock: (shop, body) => {
    shop.editStock(textOf(body['sku']) ?? '', Number(body['available']), textOf(body['warehouseId']));
    return {};
  },
  orders: (shop, body) => {
    const placed = shop.orders.place(body as unknown as NewOrder);
    return placed.kind === 'accepted' ? { kind: 'accepted', order: orderBody(placed.order) } : placed;
  },
  settings: (shop, body) => Object.assign(shop.settings, body as Partial<ShopSettings>),
  faults: (shop, body) => {
    shop.faults.set((body['faults'] ?? []) as readonly Fault[]);
    return {};
  },
  webhooks: (shop, body) => {
    shop.setWebhookBehaviour(body);
    return shop.delivery.behaviour;
  },
  tokens: (shop) => shop.tokens.issue(),
  'expire-tokens': (shop) => {
    shop.tokens.expireAccessTokens();
    return {};
  },
  deauthorise: (shop) => {
    shop.deauthorise();
    return {};
  },
};

const gets: Readonly<Record<string, (shop: SandboxTiktokShop) => unknown>> = {
  orders: (shop) => [...shop.orders.orders.values()].map((order) => orderBody(order)),
  products: (shop) => [...shop.inventory.products.values()].map((product) => productBody(product)),
  deliveries: (shop) => shop.delivery.log,
  subscriptions: (shop) => Object.fromEntries(shop.subscriptions),
};

/** JSON over `/_control/`: what a test in another process does to the shops. */
export async function handleControl(
  sandbox: ControlHost,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const read = await readBody(request);
  const body = read.kind === 'read' && read.text !== '' ? (parseObject(read.text) ?? {}) : {};
  const [, , first = '', id = '', what = '', order = '', step = ''] = url.pathname.split('/');
  try {
    if (first !== 'shops') {
      const records = {
        audit: sandbox.records.audit,
        requests: sandbox.records.requests,
        violations: sandbox.records.violations,
      };
      const log = records[first as keyof typeof records];
      sendJson(response, log === undefined ? 404 : 200, log === undefined ? {} : log.all());
      return;
    }
    if (id === '') {
      const shop = sandbox.addShop(body);
      sendJson(response, 201, credentialsOf(shop));
      return;
    }
    const shop = sandbox.shop(id);
    const done = request.method === 'GET' ? gets[what]?.(shop) : act(shop, { what, order, step }, body);
    sendJson(response, done === undefined ? 404 : 200, done ?? {});
  } catch (error) {
    sendJson(response, 400, { error: error instanceof Error ? error.message : 'failed' });
  }
}

function act(
  shop: SandboxTiktokShop,
  { what, order: orderId, step }: { what: string; order: string; step: string },
  body: Body,
): unknown {
  if (what !== 'orders' || orderId === '') return posts[what]?.(shop, body);
  const order = shop.orders.order(orderId);
  const lineIds = Array.isArray(body['lineIds']) ? body['lineIds'].map(String) : undefined;
  const plain = orderSteps.find((name) => name === step);
  if (plain !== undefined) shop.orders[plain](order);
  else if (step === 'ship') shop.orders.ship(order, lineIds);
  else if (step === 'cancel') shop.orders.cancel(order, lineIds);
  else return undefined;
  return orderBody(order);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function credentialsOf(shop: SandboxTiktokShop): Record<string, unknown> {
  const { id, appKey, appSecret, cipher } = shop;
  const warehouses = [...shop.inventory.warehouses.keys()];
  return { id, appKey, appSecret, cipher, warehouses, ...shop.tokens.issue() };
}
