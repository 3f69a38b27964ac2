import { createHash } from 'node:crypto';
import type { WebhookHeaders } from '../connectors/connector.ts';
import type { ChannelId } from '../domain/ids.ts';

/** One push of a platform as it was received: proven genuine, not yet parsed. */
export interface Delivery {
  readonly channel: ChannelId;
  readonly deliveryId: string;
  readonly topic: string;
  /** Ledger clock. */
  readonly receivedAtMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Well-formed UTF-8 text, byte for byte what was signed. */
  readonly body: string;
}

/** Short names: the record is kept once per delivery in Redis. */
export interface InboxJobData {
  readonly c: string;
  readonly i: string;
  readonly t: string;
  readonly at: number;
  readonly h: Readonly<Record<string, string>>;
  readonly b: string;
}

export const inboxQueueName = 'inbox';

const maxHeaders = 32;
const maxHeaderBytes = 1_024;

/**
 * Id of the job: the same delivery always makes the same job. A platform's own id may hold ':' or be all digits, which
 * BullMQ refuses; the leading letter keeps a hash of digits only from being refused too.
 */
export function inboxJobId(channel: ChannelId, deliveryId: string): string {
  return `d${createHash('sha256').update(`${channel}\u001f${deliveryId}`).digest('hex').slice(0, 39)}`;
}

export function encodeDelivery(delivery: Delivery): InboxJobData {
  return {
    c: delivery.channel,
    i: delivery.deliveryId,
    t: delivery.topic,
    at: delivery.receivedAtMs,
    h: delivery.headers,
    b: delivery.body,
  };
}

export function decodeDelivery(job: InboxJobData): Delivery {
  return {
    channel: job.c as ChannelId,
    deliveryId: job.i,
    topic: job.t,
    receivedAtMs: job.at,
    headers: job.h,
    body: job.b,
  };
}

/** What a parser may need later: the platform's own headers, few and short; never cookies or authorization. */
export function keptHeaders(headers: WebhookHeaders): Record<string, string> {
  const kept: Record<string, string> = {};
  let count = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (!/^(x-|webhook-|content-type$)/.test(name) || name.startsWith('x-forwarded')) continue;
    const text = typeof value === 'string' ? value : value?.[0];
    if (text === undefined || text.length > maxHeaderBytes || count >= maxHeaders) continue;
    kept[name] = text;
    count++;
  }
  return kept;
}

export function payloadHash(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

/** Id of the parked entry of a delivery, and back. */
export function parkedDeliveryId(jobId: string): string {
  return `delivery:${jobId}`;
}

export function jobOfParked(parkedId: string): string | undefined {
  return /^delivery:(d[0-9a-f]{39})$/.exec(parkedId)?.[1];
}
