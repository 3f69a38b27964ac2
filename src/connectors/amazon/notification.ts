import { createHash } from 'node:crypto';
import type { ParsedDelivery } from '../connector.ts';
import { type JsonRecord, type JsonValue, isRecord, momentOf, parseRawJson, textOf } from '../raw-json.ts';
import { defaultChannelCode, member, parked } from './fields.ts';
import { fbaItemId } from './listing-item.ts';
import type { AmazonSettings } from './options.ts';
import { readOrderChange } from './order-notification.ts';

/** The envelope of every notification, in either casing, alone or as the detail of an EventBridge event. */
export interface Envelope {
  readonly type: string;
  readonly id: string;
  readonly eventTime: unknown;
  /** All names in PascalCase. */
  readonly payload: JsonRecord;
}

export type EnvelopeReading =
  | { readonly kind: 'envelope'; readonly envelope: Envelope }
  | { readonly kind: 'unreadable'; readonly reason: string };

const nothing: ParsedDelivery = { orders: [], orderHints: [], levelHints: [], listingHints: [], parked: [] };

export function readEnvelope(raw: Uint8Array): EnvelopeReading {
  const parsed = parseRawJson(raw);
  if (parsed.kind === 'bad') return { kind: 'unreadable', reason: parsed.reason };
  if (!isRecord(parsed.value)) return { kind: 'unreadable', reason: 'the body is not an object' };
  const event = parsed.value;
  const isEvent = event['detail-type'] !== undefined && isRecord(event['detail']);
  const body = isEvent ? (member(event, 'detail') ?? {}) : event;
  const type = either(body, 'NotificationType') ?? (isEvent ? event['detail-type'] : undefined);
  const payload = either(body, 'Payload');
  if (typeof type !== 'string' || !/^[A-Z0-9_]{1,100}$/.test(type))
    return { kind: 'unreadable', reason: 'the notification has no type' };
  const metadata = either(body, 'NotificationMetadata');
  const stated = isRecord(metadata) ? textOf(either(metadata, 'NotificationId')) : undefined;
  // The same notification through the queue and through EventBridge has the same id.
  const id =
    stated !== undefined && stated !== '' && stated.length <= 200
      ? stated
      : createHash('sha256').update(raw).digest('hex');
  const eventTime = either(body, 'EventTime');
  return {
    kind: 'envelope',
    envelope: { type, id, eventTime, payload: isRecord(payload) ? inPascalCase(payload) : {} },
  };
}

/** What a notification tells. Never throws: what cannot be read is in `parked`. */
export function parseNotification(raw: Uint8Array, settings: AmazonSettings): ParsedDelivery {
  const reading = readEnvelope(raw);
  if (reading.kind === 'unreadable') return parkedDelivery('', reading.reason);
  const { type, eventTime, payload } = reading.envelope;
  const foreigner = sellerOf(payload);
  // Amazon sends every seller of an application to the queue that is configured, so one queue may carry several.
  if (foreigner !== undefined && foreigner !== settings.sellerId)
    return parkedDelivery(
      type,
      'the notification is for another seller: give each seller a queue of its own',
    );
  switch (type) {
    case 'ORDER_CHANGE':
      return { ...nothing, ...readOrderChange(payload, eventTime, settings.restoreOnCancel) };
    case 'LISTINGS_ITEM_MFN_QUANTITY_CHANGE': {
      const sku = skuOf(payload);
      if (sku === undefined || sku === '') return parkedDelivery(type, 'it names no SKU');
      // Echoes of our own writes come too and nothing says what caused a change: the number in it is not used.
      const code = textOf(payload['FulfillmentChannelCode']) ?? defaultChannelCode;
      return code === defaultChannelCode
        ? { ...nothing, levelHints: [sku] }
        : { ...nothing, listingHints: [sku] };
    }
    case 'LISTINGS_ITEM_STATUS_CHANGE':
    case 'LISTINGS_ITEM_ISSUES_CHANGE': {
      const sku = skuOf(payload);
      return sku === undefined
        ? parkedDelivery(type, 'it names no SKU')
        : { ...nothing, listingHints: [sku] };
    }
    case 'FBA_INVENTORY_AVAILABILITY_CHANGES': {
      const sku = skuOf(payload);
      if (sku === undefined) return parkedDelivery(type, 'it names no SKU');
      return { ...nothing, levelHints: [fbaItemId(sku)] };
    }
    case 'FEED_PROCESSING_FINISHED': {
      const finished = member(payload, 'FeedProcessingFinishedNotification') ?? payload;
      const feedId = textOf(finished['FeedId']);
      if (feedId === undefined) return parkedDelivery(type, 'it names no feed');
      return { ...nothing, bulkWritesFinished: [feedId] };
    }
    default:
      return parkedDelivery(type, 'the type of notification is not one of ours');
  }
}

export function eventTimeOf(envelope: Envelope): number | undefined {
  return momentOf(envelope.eventTime);
}

/** `Name` or `name`. */
function either(record: JsonRecord, name: string): unknown {
  return record[name] ?? record[`${name.charAt(0).toLowerCase()}${name.slice(1)}`];
}

/**
 * Feed and report notifications are written in camelCase, the others in PascalCase, envelope and payload alike; which type
 * is written how has changed before, so one casing is read. The parser has capped depth and size.
 */
function inPascalCase(record: JsonRecord): JsonRecord {
  const renamed: Record<string, JsonValue | undefined> = {};
  for (const [name, value] of Object.entries(record))
    renamed[`${name.charAt(0).toUpperCase()}${name.slice(1)}`] = pascalValue(value);
  return renamed;
}

function pascalValue(value: JsonValue | undefined): JsonValue | undefined {
  if (Array.isArray(value)) return value.map((entry: JsonValue) => pascalValue(entry) ?? null);
  return isRecord(value) ? inPascalCase(value) : value;
}

/** `SKU` in one type, `Sku` in the others. */
function skuOf(payload: JsonRecord): string | undefined {
  return textOf(payload['Sku']) ?? textOf(payload['SKU']);
}

function sellerOf(payload: JsonRecord): string | undefined {
  const inner =
    member(payload, 'OrderChangeNotification') ??
    member(payload, 'FeedProcessingFinishedNotification') ??
    payload;
  return textOf(inner['SellerId']);
}

function parkedDelivery(type: string, reason: string): ParsedDelivery {
  return { ...nothing, parked: [parked('delivery', type, reason)] };
}
