import type { ShopifyDoorbellOptions } from '../../connectors/shopify/doorbells.ts';
import type { ChannelId } from '../../domain/ids.ts';
import type { WebhookOutcome } from '../../http/http-metrics.ts';
import type { ListenerLimits } from '../../http/listener.ts';
import type { DeliveryAnswer, RawDelivery } from '../../http/public-server.ts';
import type { Ring } from '../../http/reception.ts';

/** Channels of which the thread itself hears doorbells, and what it takes to prove one. */
export type DoorbellSource = { readonly channel: ChannelId } & ShopifyDoorbellOptions;

/** What the thread needs to listen. */
export interface ListenWish {
  readonly host: string;
  readonly port: number;
  readonly limits: ListenerLimits;
  readonly open: OpenAddresses;
  readonly doorbells: readonly DoorbellSource[];
}

/** `platform/channel` of each channel that takes deliveries, to its id. */
export type OpenAddresses = ReadonlyMap<string, ChannelId>;

export function addressOf(platform: string, channelId: string): string {
  return `${platform}/${channelId}`;
}

export type ToThread =
  | { readonly kind: 'listen'; readonly wish: ListenWish }
  | { readonly kind: 'open'; readonly open: OpenAddresses }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: DeliveryAnswer }
  /** The last notes were read: the next ones may come. */
  | { readonly kind: 'noted' }
  | { readonly kind: 'close'; readonly graceMs: number };

export type FromThread =
  | { readonly kind: 'listening'; readonly host: string; readonly port: number }
  | { readonly kind: 'failed'; readonly address: string; readonly reason: string }
  | ({ readonly kind: 'delivery'; readonly id: number } & RawDelivery)
  | ({ readonly kind: 'notes' } & Notes)
  | { readonly kind: 'defect'; readonly requestId: string; readonly what: string }
  | { readonly kind: 'closed' };

export interface Refusals {
  readonly channel: string;
  readonly outcome: WebhookOutcome;
  readonly reason: string;
  readonly count: number;
}

/** What nobody waits for an answer to, collected while the daemon is busy. */
export interface Notes {
  readonly rings: readonly Ring[];
  readonly refusals: readonly Refusals[];
  readonly tookMs: readonly number[];
}
