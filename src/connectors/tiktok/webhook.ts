import { createHash } from 'node:crypto';
import type { ParkedRow, ParsedDelivery, WebhookHeaders, WebhookVerdict } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, parseRawJson, textOf } from '../raw-json.ts';
import { headerOf, isSignedBy } from '../webhook-signature.ts';
import { idOf, secondsOf } from './ids.ts';
import type { TiktokSettings } from './options.ts';

const scheme = { algorithm: 'sha256', encoding: 'hex', template: '{appKey}{body}' } as const;

const nothing: ParsedDelivery = { orders: [], orderHints: [], levelHints: [], listingHints: [], parked: [] };

/** Types that concern neither orders nor stock of ours (24 is stock in TikTok's own warehouses). */
const silent = new Set([3, 13, 14, 17, 18, 19, 20, 21, 22, 23, 24, 25, 33, 35, 36, 38, 39, 46, 51, 52, 55]);
const maxHints = 1_000;

/**
 * Deliveries of one shop. The signature covers app key and raw body but no time, so an old delivery can be played again:
 * its notification id makes it a duplicate, and what it says is a hint only, followed by a question to the API.
 */
export class TiktokWebhooks {
  readonly #settings: TiktokSettings;
  readonly #secrets: readonly string[];

  constructor(settings: TiktokSettings, secrets: readonly string[]) {
    this.#settings = settings;
    this.#secrets = secrets;
  }

  verify(raw: Uint8Array, headers: WebhookHeaders): WebhookVerdict {
    const signature = headerOf(headers, 'authorization');
    if (signature === undefined) return { kind: 'forged', reason: 'there is no signature' };
    // Decoding hex stops silently at the first other character.
    const isHex = /^[0-9a-f]{64}$/i.test(signature);
    const parts = { appKey: this.#settings.appKey };
    if (!isHex || !isSignedBy(scheme, this.#secrets, { raw, signature, parts }))
      return { kind: 'forged', reason: 'the signature does not fit the body' };
    const parsed = parseRawJson(raw);
    if (parsed.kind === 'bad') return { kind: 'malformed', reason: parsed.reason };
    if (!isRecord(parsed.value)) return { kind: 'malformed', reason: 'the body is not an object' };
    const body = parsed.value;
    const type = idOf(body['type']);
    if (type === undefined) return { kind: 'malformed', reason: 'there is no type' };
    // One app secret signs for all of its shops; some events name the seller instead of a shop.
    const shop = body['shop_id'] === undefined ? this.#settings.shop : idOf(body['shop_id']);
    if (shop !== this.#settings.shop)
      return { kind: 'malformed', reason: 'the delivery is for another shop' };
    const triggeredS = secondsOf(body['timestamp']);
    // Older events have no id of their own.
    const id =
      idOf(body['tts_notification_id']) ?? `sha256-${createHash('sha256').update(raw).digest('hex')}`;
    return {
      kind: 'genuine',
      deliveryId: `${shop}|${type}|${id}`,
      topic: type,
      wantsEmptyAnswer: true,
      // Alerts of low stock come with the order that caused them.
      isDoorbell: type === '27',
      ...(triggeredS === undefined ? {} : { triggeredAtMs: triggeredS * 1_000 }),
    };
  }

  parse(raw: Uint8Array): ParsedDelivery {
    const parsed = parseRawJson(raw);
    if (parsed.kind === 'bad') return parkedDelivery('', parsed.reason);
    if (!isRecord(parsed.value)) return parkedDelivery('', 'the body is not an object');
    const body = parsed.value;
    const type = Number(idOf(body['type']) ?? Number.NaN);
    const content = isRecord(body['data']) ? body['data'] : {};
    switch (type) {
      // Order status, reverse status (legacy), cancellation, return: the order itself says what became of its units.
      case 1:
      case 2:
      case 11:
      case 12:
        return orderHints(type, [content['order_id']]);
      case 4:
        return orderHints(type, packageOrders(content));
      case 5:
      case 15:
      case 16:
      case 37:
        return listingHints(type, [content['product_id']]);
      case 42:
        return listingHints(type, combinedProducts(content));
      case 6:
        return { ...nothing, accessLost: 'the seller ended the authorisation of the app' };
      case 7:
        return expiring(content);
      case 27: {
        const skuId = idOf(content['sku_id']);
        if (skuId === undefined) return parkedDelivery('27', 'the body names no SKU');
        return { ...nothing, levelHints: [skuId] };
      }
      default:
        if (silent.has(type)) return nothing;
        return parkedDelivery(String(type), 'the type is not one we know');
    }
  }
}

function orderHints(type: number, values: readonly unknown[]): ParsedDelivery {
  const ids = known(values);
  if (ids.length === 0) return parkedDelivery(String(type), 'the body names no order');
  return { ...nothing, orderHints: ids };
}

function listingHints(type: number, values: readonly unknown[]): ParsedDelivery {
  const ids = known(values);
  if (ids.length === 0) return parkedDelivery(String(type), 'the body names no product');
  return { ...nothing, listingHints: ids };
}

function packageOrders(content: JsonRecord): readonly unknown[] {
  return (listOf(content['package_list']) ?? []).flatMap((entry) =>
    isRecord(entry) ? (listOf(entry['order_id_list']) ?? []) : [],
  );
}

function combinedProducts(content: JsonRecord): readonly unknown[] {
  const listed = (listOf(content['products']) ?? []).map((entry) =>
    isRecord(entry) ? entry['id'] : undefined,
  );
  return [
    ...listed,
    ...(listOf(content['added_product_ids']) ?? []),
    ...(listOf(content['removed_product_ids']) ?? []),
  ];
}

function known(values: readonly unknown[]): readonly string[] {
  const ids = values.flatMap((value) => {
    const id = idOf(value);
    return id === undefined ? [] : [id];
  });
  return [...new Set(ids)].slice(0, maxHints);
}

/** Daily from 30 days before the end: one parked row, which a person sees until the shop is authorised again. */
function expiring(content: JsonRecord): ParsedDelivery {
  const endsS = secondsOf(content['expiration_time']);
  const when = endsS === undefined ? 'soon' : `on ${new Date(endsS * 1_000).toISOString().slice(0, 10)}`;
  return parkedDelivery('authorisation', `the authorisation of the app ends ${when}: authorise it again`);
}

function parkedDelivery(reference: string, reason: string): ParsedDelivery {
  const row: ParkedRow = { what: 'delivery', reference: textOf(reference) ?? '', reason, content: '' };
  return { ...nothing, parked: [row] };
}
