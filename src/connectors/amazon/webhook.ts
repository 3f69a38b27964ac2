import { createHash, timingSafeEqual } from 'node:crypto';
import type { ParsedDelivery, WebhookHeaders, WebhookVerdict } from '../connector.ts';
import { headerOf, maxWebhookSecrets } from '../webhook-signature.ts';
import { eventTimeOf, parseNotification, readEnvelope } from './notification.ts';
import type { AmazonSettings } from './options.ts';

const doorbells = new Set(['LISTINGS_ITEM_MFN_QUANTITY_CHANGE', 'FBA_INVENTORY_AVAILABILITY_CHANGES']);

/**
 * Deliveries of an EventBridge API destination. Amazon signs nothing there: the connection sends a fixed header (an API
 * key, `Basic` or `Bearer`), which is the whole proof. Bodies from the queue take the same way through `parse`.
 */
export class AmazonWebhooks {
  readonly #settings: AmazonSettings;
  readonly #secrets: readonly string[];

  constructor(settings: AmazonSettings, secrets: readonly string[]) {
    this.#settings = settings;
    this.#secrets = secrets;
  }

  verify(raw: Uint8Array, headers: WebhookHeaders): WebhookVerdict {
    const name = this.#settings.webhookHeader;
    const given = headerOf(headers, name, 1_024);
    if (given === undefined) return { kind: 'forged', reason: `there is no ${name} header` };
    if (!this.#isSecret(given)) return { kind: 'forged', reason: `the ${name} header does not fit` };
    const reading = readEnvelope(raw);
    if (reading.kind === 'unreadable') return { kind: 'malformed', reason: reading.reason };
    const { envelope } = reading;
    const triggeredAtMs = eventTimeOf(envelope);
    return {
      kind: 'genuine',
      deliveryId: `${envelope.type}|${envelope.id}`,
      topic: envelope.type,
      isDoorbell: doorbells.has(envelope.type),
      ...(triggeredAtMs === undefined ? {} : { triggeredAtMs }),
    };
  }

  parse(raw: Uint8Array): ParsedDelivery {
    return parseNotification(raw, this.#settings);
  }

  /** Digests have one length, so neither length nor content of a secret shows in the time; every form is tried. */
  #isSecret(given: string): boolean {
    const forms = [given];
    const [, scheme = '', credentials = ''] = /^(Bearer|Basic)\s+(\S+)$/i.exec(given) ?? [];
    if (scheme.toLowerCase() === 'bearer') forms.push(credentials);
    if (scheme.toLowerCase() === 'basic') {
      const pair = Buffer.from(credentials, 'base64').toString('utf8');
      forms.push(pair, pair.slice(pair.indexOf(':') + 1));
    }
    let isGenuine = false;
    for (const secret of this.#secrets.slice(0, maxWebhookSecrets)) {
      // An empty secret would let anybody in.
      if (secret.length === 0) continue;
      for (const form of forms) if (timingSafeEqual(digestOf(form), digestOf(secret))) isGenuine = true;
    }
    return isGenuine;
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
