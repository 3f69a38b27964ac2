import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseObject, readBody, sendJson } from '../shopify/http/body.ts';
import { type Answer, answerWith } from './answers.ts';
import { SlidingWindow } from './limits.ts';
import { Tokens } from './tokens.ts';
import type { SandboxWarehouse } from './warehouse.ts';
import type { WebhookDesk } from './webhooks.ts';

const VERSION = '/2026-01';
const USUAL_PAGE = 50;
/** Not documented; chosen here. */
const MAX_PAGE = 250;

/** The topics of the published API; none is about stock. */
const TOPICS: ReadonlySet<string> = new Set([
  'order.shipped',
  'order.shipment.delivered',
  'order.shipment.exception',
  'order.shipment.on_hold',
  'order.shipment.cancelled',
  'return.created',
  'return.updated',
  'return.completed',
  'billing.charge.created',
  'billing.refund.created',
  'billing.credit.created',
]);

/** A ShipBob-like account, API 2026-01: REST pages by a `next` address, 150 requests a minute. */
export class ShipBobApi {
  readonly tokens: Tokens;
  readonly #warehouse: SandboxWarehouse;
  readonly #desk: WebhookDesk;
  readonly #window: SlidingWindow;

  constructor(warehouse: SandboxWarehouse, desk: WebhookDesk) {
    this.#warehouse = warehouse;
    this.#desk = desk;
    this.tokens = new Tokens(warehouse.clock);
    this.tokens.addStatic(warehouse.options.accessToken ?? 'pat-sandbox');
    this.#window = new SlidingWindow(warehouse.clock, 150, 60_000);
  }

  async handle(
    path: string,
    search: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const warehouse = this.#warehouse;
    const read = await readBody(request);
    const body = read.kind === 'read' ? (parseObject(read.text === '' ? '{}' : read.text) ?? {}) : {};
    if (!path.startsWith(`${VERSION}/`)) {
      warehouse.violate('unknown-path', path);
      sendJson(response, 404, { title: 'Not Found' });
      return;
    }
    const what = path.slice(VERSION.length);
    const answer = await answerWith(warehouse, what, response, () => {
      if (!this.tokens.isValid(request.headers.authorization)) {
        return { status: 401, body: { title: 'Unauthorized', status: 401 } };
      }
      return this.#limited(() => this.#route(request.method ?? 'GET', what, search, body));
    });
    warehouse.records.requests.add({
      at: warehouse.clock.now(),
      warehouse: warehouse.name,
      operation: what,
      status: answer?.status ?? 0,
      cost: 1,
    });
  }

  #limited(work: () => Answer): Answer {
    if (this.#warehouse.options.rateLimit === 'none') return work();
    const taken = this.#window.take();
    if (taken.kind === 'refused') {
      if (taken.isIgnored) this.#warehouse.violate('throttle-ignored', 'calls go on after 429');
      return {
        status: 429,
        body: { title: 'Too Many Requests', status: 429 },
        headers: { 'x-retry-after': String(taken.waitS), 'x-remaining-calls': '0' },
      };
    }
    const answer = work();
    return { ...answer, headers: { 'x-remaining-calls': String(this.#window.remaining) } };
  }

  #route(method: string, path: string, search: URLSearchParams, body: Record<string, unknown>): Answer {
    if (method === 'GET' && path === '/inventory-level/locations') return this.#levels(search);
    if (path === '/webhook') {
      return method === 'POST'
        ? this.#subscribe(body)
        : {
            status: 200,
            body: {
              items: this.#desk.subscriptions().map((one) => ({
                id: String(one.id),
                topics: [one.topic],
                url: one.url,
                enabled: one.isEnabled,
                created_at: new Date(one.createdAt).toISOString(),
              })),
              next: null,
              prev: null,
            },
          };
    }
    this.#warehouse.violate('unknown-path', `${method} ${path}`);
    return { status: 404, body: { title: 'Not Found', status: 404 } };
  }

  #levels(search: URLSearchParams): Answer {
    for (const name of search.keys()) {
      const isKnown = [
        'LocationId',
        'SearchBy',
        'InventoryIds',
        'IsActive',
        'IsDigital',
        'PageSize',
        'SortBy',
        'cursor',
      ].includes(name);
      if (!isKnown) this.#warehouse.violate('unknown-parameter', name);
    }
    const asked = Number(search.get('PageSize') ?? USUAL_PAGE);
    if (!Number.isSafeInteger(asked) || asked < 1) {
      return { status: 400, body: { title: 'PageSize is invalid', status: 400 } };
    }
    const size = Math.min(asked, MAX_PAGE);
    const ids = search.get('InventoryIds');
    const place = search.get('LocationId');
    const shelves = this.#warehouse.shelves({
      ...(ids === null ? {} : { inventoryIds: new Set(ids.split(',').map(Number)) }),
      ...(place === null ? {} : { placeId: place }),
    });
    const items = new Map<number, { inventory_id: number; sku: string; name: string; locations: object[] }>();
    for (const shelf of shelves) {
      const { inventoryId, sku } = shelf;
      const item = items.get(inventoryId) ?? { inventory_id: inventoryId, sku, name: sku, locations: [] };
      items.set(inventoryId, item);
      item.locations.push({
        location_id: Number(shelf.placeId),
        name: shelf.place,
        on_hand_quantity: shelf.onHand,
        committed_quantity: shelf.committed,
        fulfillable_quantity: shelf.onHand - shelf.committed,
        awaiting_quantity: 0,
        internal_transfer_quantity: 0,
      });
    }
    const start = Number(search.get('cursor') ?? 0);
    const rows = [...items.values()];
    const isLast = start + size >= rows.length;
    const next = new URLSearchParams(search);
    next.set('cursor', String(start + size));
    return {
      status: 200,
      body: {
        items: rows.slice(start, start + size),
        first: null,
        prev: null,
        // Relative to the host, as published samples show it.
        next: isLast
          ? null
          : `${new URL(this.#warehouse.baseUrl).pathname}${VERSION}/inventory-level/locations?${next.toString()}`,
        last: null,
      },
    };
  }

  #subscribe(body: Record<string, unknown>): Answer {
    const { topics, url, secret } = body;
    const named = Array.isArray(topics) ? topics.map(String) : [];
    if (named.length === 0 || named.some((topic) => !TOPICS.has(topic)) || typeof url !== 'string') {
      this.#warehouse.violate('webhook-refused', JSON.stringify(body).slice(0, 200));
      return { status: 422, body: { title: 'Unprocessable Entity' } };
    }
    const made = named.map((topic) =>
      this.#desk.subscribe(topic, url, typeof secret === 'string' ? secret : undefined),
    );
    return {
      status: 200,
      body: { id: String(made[0]?.id ?? ''), topics: named, url, secret: made[0]?.secret ?? '' },
    };
  }
}
