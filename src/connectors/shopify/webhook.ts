import type { ParkedRow, ParsedDelivery, ToldLevel, WebhookHeaders, WebhookVerdict } from '../connector.ts';
import {
  type JsonRecord,
  type ParsedJson,
  isRecord,
  listOf,
  momentOf,
  parseRawJson,
  textOf,
} from '../raw-json.ts';
import { headerOf, isSignedBy } from '../webhook-signature.ts';
import { idOf, listingRef } from './ids.ts';
import type { ShopifySettings } from './options.ts';
import { platformOrderOf } from './order-facts.ts';
import { readRestOrder } from './rest-order.ts';
import { missingScopes } from './scopes.ts';

const scheme = { algorithm: 'sha256', encoding: 'base64' } as const;

const doorbellTopic = 'inventory_levels/update';

const keptBodyBytes = 2_048;

const nothing: ParsedDelivery = { orders: [], orderHints: [], levelHints: [], listingHints: [], parked: [] };

export type WebhookSettings = Pick<ShopifySettings, 'shop' | 'bypassSources'>;

/** Deliveries of one shop: proves them over their raw bytes, then reads what they tell. */
export class ShopifyWebhooks {
  readonly #settings: WebhookSettings;
  readonly #secrets: readonly string[];
  /** The body that was read last: a doorbell is verified and heard in one turn. */
  #lastRead: { readonly raw: Uint8Array; readonly parsed: ParsedJson } | undefined;

  constructor(settings: WebhookSettings, secrets: readonly string[]) {
    this.#settings = settings;
    this.#secrets = secrets;
  }

  /** By what it calls itself, before it is proven. */
  static isDoorbell(headers: WebhookHeaders): boolean {
    return topicOf(headers) === doorbellTopic;
  }

  verify(raw: Uint8Array, headers: WebhookHeaders): WebhookVerdict {
    const signature = headerOf(headers, 'x-shopify-hmac-sha256');
    if (signature === undefined) return { kind: 'forged', reason: 'there is no signature' };
    if (!isSignedBy(scheme, this.#secrets, { raw, signature }))
      return { kind: 'forged', reason: 'the signature does not fit the body' };
    const topic = topicOf(headers);
    const webhookId = headerOf(headers, 'x-shopify-webhook-id', 128);
    const shop = headerOf(headers, 'x-shopify-shop-domain', 255)?.toLowerCase();
    if (topic === undefined) return { kind: 'malformed', reason: 'there is no topic' };
    if (webhookId === undefined) return { kind: 'malformed', reason: 'there is no webhook id' };
    // One app secret signs for all of its shops.
    if (shop !== this.#settings.shop)
      return { kind: 'malformed', reason: 'the delivery is for another shop' };
    // Parsed once here and once by the worker: a body that no worker could read must not be answered with 2xx.
    const parsed = this.#read(raw);
    if (parsed.kind === 'bad') return { kind: 'malformed', reason: parsed.reason };
    const triggeredAtMs = momentOf(headerOf(headers, 'x-shopify-triggered-at'));
    return {
      kind: 'genuine',
      // The webhook id is stable over the retries of one delivery; the event id is shared by several topics.
      deliveryId: `${shop}|${topic}|${webhookId}`,
      topic,
      isDoorbell: topic === doorbellTopic,
      isJson: true,
      ...(triggeredAtMs === undefined ? {} : { triggeredAtMs }),
    };
  }

  parse(raw: Uint8Array, headers: WebhookHeaders): ParsedDelivery {
    const topic = topicOf(headers) ?? '';
    const parsed = this.#read(raw);
    if (parsed.kind === 'bad') return parkedDelivery(topic, parsed.reason);
    if (!isRecord(parsed.value)) return parkedDelivery(topic, 'the body is not an object');
    const body = parsed.value;
    switch (topic) {
      case 'orders/create':
      case 'orders/updated':
      case 'orders/cancelled':
      case 'orders/paid':
      case 'orders/fulfilled':
      case 'orders/partially_fulfilled':
        return this.#order(topic, body);
      // Its body describes the edit, not the order.
      case 'orders/edited':
        return orderHint(
          topic,
          isRecord(body['order_edit']) ? body['order_edit']['order_id'] : body['order_id'],
        );
      case 'orders/delete':
      case 'refunds/create':
      case 'fulfillments/create':
      case 'fulfillments/update':
        return orderHint(topic, topic === 'orders/delete' ? body['id'] : body['order_id']);
      // Assembled late: two changes in a row both carry the second value, so its number is never taken for the change.
      case doorbellTopic:
        return levelHint(topic, body, false);
      case 'inventory_levels/connect':
      case 'inventory_levels/disconnect':
        return levelHint(topic, body, true);
      case 'inventory_items/create':
      case 'inventory_items/update':
      case 'inventory_items/delete':
        return listingHint(topic, [idOf(body['admin_graphql_api_id']) ?? idOf(body['id'])]);
      case 'products/update':
        return listingHint(
          topic,
          (listOf(body['variants']) ?? []).map((variant) =>
            isRecord(variant) ? idOf(variant['inventory_item_id']) : undefined,
          ),
        );
      case 'locations/create':
      case 'locations/update':
      case 'locations/activate':
      case 'locations/deactivate':
      case 'locations/delete': {
        const location = idOf(body['admin_graphql_api_id']) ?? idOf(body['id']);
        return listingHint(topic, [location === undefined ? undefined : `location:${location}`]);
      }
      case 'app/uninstalled':
        return { ...nothing, accessLost: 'the app was uninstalled from the shop' };
      case 'app/scopes_update':
        return scopesUpdate(topic, body);
      case 'bulk_operations/finish':
        // Whoever waits for the operation polls its status: a delivery may come late, twice or never.
        return nothing;
      default:
        return parkedDelivery(topic, 'the topic is not one of ours');
    }
  }

  #read(raw: Uint8Array): ParsedJson {
    if (this.#lastRead?.raw === raw) return this.#lastRead.parsed;
    const parsed = parseRawJson(raw);
    // Orders are read again by a worker, from other bytes: only small bodies are worth keeping.
    this.#lastRead = raw.length <= keptBodyBytes ? { raw, parsed } : undefined;
    return parsed;
  }

  #order(topic: string, body: JsonRecord): ParsedDelivery {
    const reading = readRestOrder(body);
    if (reading.kind === 'unreadable') return { ...nothing, parked: reading.parked };
    if (reading.kind === 'hint') {
      const parked = reading.parked.map((row) => ({ ...row, reason: `${topic}: ${row.reason}` }));
      return { ...nothing, orderHints: [reading.orderId], parked };
    }
    const { order, parked } = platformOrderOf(reading.facts, this.#settings.bypassSources);
    return {
      ...nothing,
      orders: [order],
      // What the body leaves open is asked for.
      orderHints: order.isPartial ? [order.orderId] : [],
      parked: [...reading.parked, ...parked],
    };
  }
}

function topicOf(headers: WebhookHeaders): string | undefined {
  const topic = headerOf(headers, 'x-shopify-topic', 128)?.toLowerCase();
  return topic !== undefined && /^[a-z0-9_]+\/[a-z0-9_]+$/.test(topic) ? topic : undefined;
}

function orderHint(topic: string, value: unknown): ParsedDelivery {
  const orderId = idOf(value);
  if (orderId === undefined) return parkedDelivery(topic, 'the body names no order');
  return { ...nothing, orderHints: [orderId] };
}

function levelHint(topic: string, body: JsonRecord, isListingChange: boolean): ParsedDelivery {
  const itemId = idOf(body['inventory_item_id']);
  if (itemId === undefined) return parkedDelivery(topic, 'the body names no inventory item');
  if (isListingChange) return { ...nothing, levelHints: [itemId], listingHints: [itemId] };
  return { ...nothing, levelHints: [itemId], toldLevels: toldLevels(itemId, body) };
}

function toldLevels(itemId: string, body: JsonRecord): readonly ToldLevel[] {
  const locationId = idOf(body['location_id']);
  const value = body['available'];
  const changedAtMs = momentOf(body['updated_at']);
  if (locationId === undefined || !Number.isSafeInteger(value) || changedAtMs === undefined) return [];
  return [{ listingKey: listingRef(itemId, locationId).key, value: Number(value), changedAtMs }];
}

function listingHint(topic: string, ids: readonly (string | undefined)[]): ParsedDelivery {
  const known = ids.filter((id): id is string => id !== undefined);
  if (known.length === 0) return parkedDelivery(topic, 'the body names nothing that we know');
  return { ...nothing, listingHints: [...new Set(known)] };
}

function scopesUpdate(topic: string, body: JsonRecord): ParsedDelivery {
  const current = listOf(body['current']);
  if (current === undefined) return parkedDelivery(topic, 'the body lists no scopes');
  const missing = missingScopes(current.filter((scope): scope is string => typeof scope === 'string'));
  if (missing.length === 0) return nothing;
  return { ...nothing, accessLost: `the app lost the scopes ${missing.join(', ')}` };
}

function parkedDelivery(topic: string, reason: string): ParsedDelivery {
  const row: ParkedRow = { what: 'delivery', reference: textOf(topic) ?? '', reason, content: '' };
  return { ...nothing, parked: [row] };
}
