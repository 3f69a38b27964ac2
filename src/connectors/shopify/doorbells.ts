import type { ParsedDelivery, WebhookHeaders } from '../connector.ts';
import { ShopifyWebhooks } from './webhook.ts';

/** Plain, so that it can be handed to another thread. */
export interface ShopifyDoorbellOptions {
  readonly shop: string;
  /** As of the connector. */
  readonly webhookSecrets: readonly string[];
}

/**
 * Hears doorbells of one shop and nothing else: a delivery that is genuine and of a topic that only says what to look at
 * is read; undefined for everything else, forgeries included, which the connector has to judge.
 */
export function shopifyDoorbells(
  options: ShopifyDoorbellOptions,
): (raw: Uint8Array, headers: WebhookHeaders) => ParsedDelivery | undefined {
  const settings = { shop: options.shop.toLowerCase(), bypassSources: new Set<string>() };
  const webhooks = new ShopifyWebhooks(settings, options.webhookSecrets);
  return (raw, headers) => {
    // The body of an order is not read here: it is read where it is judged.
    if (!ShopifyWebhooks.isDoorbell(headers)) return undefined;
    const verdict = webhooks.verify(raw, headers);
    return verdict.kind === 'genuine' ? webhooks.parse(raw, headers) : undefined;
  };
}
