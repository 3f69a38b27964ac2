import { randomUUID } from 'node:crypto';
import type { SandboxClock } from '../shopify/clock.ts';
import type { SeededRandom } from '../shopify/random.ts';
import type { SellerSettings } from './settings.ts';
import type { SqsEndpoint } from './sqs/endpoint.ts';

export interface Destination {
  readonly destinationId: string;
  readonly name: string;
  readonly resource: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface Subscription {
  readonly subscriptionId: string;
  readonly type: string;
  readonly payloadVersion: string;
  readonly destinationId: string;
  readonly processingDirective?: unknown;
}

/** Where the rule of the event bus sends what Amazon puts on it. */
export type EventTarget =
  | { readonly kind: 'queue'; readonly arn: string }
  | {
      readonly kind: 'endpoint';
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
    };

/** Delivered through EventBridge; everything else through SQS. */
const EVENT_TYPES = new Set([
  'LISTINGS_ITEM_MFN_QUANTITY_CHANGE',
  'LISTINGS_ITEM_STATUS_CHANGE',
  'LISTINGS_ITEM_ISSUES_CHANGE',
]);
/** The types whose envelope is in camelCase. */
const CAMEL_TYPES = new Set(['FEED_PROCESSING_FINISHED', 'REPORT_PROCESSING_FINISHED']);

/** Destinations, subscriptions and the way of a notification to its receiver. */
export class Notifications {
  readonly destinations = new Map<string, Destination>();
  readonly subscriptions = new Map<string, Subscription>();
  eventTarget: EventTarget | null = null;
  /** Of what was sent, losses and repeats included. */
  readonly counts = { sent: 0, dropped: 0, duplicated: 0, refused: 0 };
  readonly #sqs: SqsEndpoint;
  readonly #clock: SandboxClock;
  readonly #random: SeededRandom;
  readonly #settings: SellerSettings;

  constructor(sqs: SqsEndpoint, clock: SandboxClock, random: SeededRandom, settings: SellerSettings) {
    this.#sqs = sqs;
    this.#clock = clock;
    this.#random = random;
    this.#settings = settings;
  }

  isEventType(type: string): boolean {
    return EVENT_TYPES.has(type);
  }

  /** To whoever subscribed; nobody: nothing happens. */
  emit(type: string, payload: Readonly<Record<string, unknown>>): void {
    const subscription = this.subscriptions.get(type);
    const destination = subscription && this.destinations.get(subscription.destinationId);
    if (!subscription || !destination) return;
    const envelope = this.#envelope(type, payload, subscription);
    const isEvent = EVENT_TYPES.has(type);
    const body = JSON.stringify(isEvent ? this.#event(type, envelope) : envelope);
    if (this.#random.chance(this.#settings.notificationDropRate)) {
      this.counts.dropped += 1;
      return;
    }
    const isTwice = this.#random.chance(this.#settings.notificationDuplicateRate);
    if (isTwice) this.counts.duplicated += 1;
    for (let copy = 0; copy < (isTwice ? 2 : 1); copy++)
      this.#clock.schedule(this.#random.between(this.#settings.notificationDelayMs), () =>
        this.#deliver(isEvent, destination, body),
      );
  }

  #deliver(isEvent: boolean, destination: Destination, body: string): void {
    this.counts.sent += 1;
    const target = this.eventTarget;
    if (isEvent && target?.kind === 'endpoint') {
      void this.#post(target, body);
      return;
    }
    const ruleArn = target?.kind === 'queue' ? target.arn : undefined;
    const arn = isEvent ? ruleArn : destination.resource['sqs']?.['arn'];
    const queue = arn === undefined ? undefined : this.#sqs.byArn(arn);
    if (queue) queue.send(body);
    else this.counts.refused += 1;
  }

  async #post(target: EventTarget & { kind: 'endpoint' }, body: string): Promise<void> {
    const headers = { 'content-type': 'application/json; charset=utf-8', ...target.headers };
    try {
      const response = await fetch(target.url, { method: 'POST', headers, body });
      if (!response.ok) this.counts.refused += 1;
    } catch {
      this.counts.refused += 1;
    }
  }

  #envelope(
    type: string,
    payload: Readonly<Record<string, unknown>>,
    subscription: Subscription,
  ): Record<string, unknown> {
    const now = new Date(this.#clock.now()).toISOString();
    const metadata = {
      ApplicationId: 'amzn1.sellerapps.app.sandbox',
      SubscriptionId: subscription.subscriptionId,
      PublishTime: now,
      NotificationId: randomUUID(),
    };
    const envelope = {
      NotificationVersion: '1.0',
      NotificationType: type,
      PayloadVersion: subscription.payloadVersion,
      EventTime: now,
      Payload: payload,
      NotificationMetadata: metadata,
    };
    return CAMEL_TYPES.has(type)
      ? { ...camel(envelope), payload, notificationMetadata: camel(metadata) }
      : envelope;
  }

  #event(type: string, detail: Record<string, unknown>): Record<string, unknown> {
    return {
      version: '0',
      id: randomUUID(),
      'detail-type': type,
      source: 'aws.partner/sellingpartnerapi.amazon.com/123456789012/amzn1.sellerapps.app.sandbox',
      account: '123456789012',
      time: new Date(this.#clock.now()).toISOString(),
      region: 'us-east-1',
      resources: [],
      detail,
    };
  }
}

function camel(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name.charAt(0).toLowerCase() + name.slice(1), value]),
  );
}
