import type { SubscriptionReport, SubscriptionTarget } from '../connector.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';
import type { TiktokApi } from './api.ts';
import { endpoints } from './endpoints.ts';
import { failureOf, unreadable } from './outcome.ts';

/** What the event API offers and we use. Inventory alerts (27) can only be switched on in Partner Center. */
export const eventTypes = [
  'ORDER_STATUS_CHANGE',
  'CANCELLATION_STATUS_CHANGE',
  'RETURN_STATUS_CHANGE',
  'PACKAGE_UPDATE',
  'PRODUCT_STATUS_CHANGE',
  'PRODUCT_INFORMATION_CHANGE',
  'PRODUCT_CREATION',
  'SELLER_DEAUTHORIZATION',
  'UPCOMING_AUTHORIZATION_EXPIRATION',
] as const;

const maxAddressLength = 255;

type Findings = { present: string[]; created: string[]; missing: string[]; problems: string[] };

/** One address per shop and event type: setting it creates it or moves it. */
export class Subscriptions {
  readonly #api: TiktokApi;

  constructor(api: TiktokApi) {
    this.#api = api;
  }

  async check(target: SubscriptionTarget, signal: AbortSignal): Promise<SubscriptionReport> {
    const found = await this.#list(signal);
    const findings: Findings = { present: [], created: [], missing: [], problems: [...problemsOf(target)] };
    for (const type of eventTypes) {
      const address = found.get(type);
      if (address === undefined) findings.missing.push(type);
      else if (address === target.callbackUrl) findings.present.push(type);
      else findings.problems.push(`${type} goes to another address`);
    }
    return findings;
  }

  async subscribe(target: SubscriptionTarget, signal: AbortSignal): Promise<SubscriptionReport> {
    const found = await this.#list(signal);
    const findings: Findings = { present: [], created: [], missing: [], problems: [...problemsOf(target)] };
    for (const type of eventTypes) {
      if (found.get(type) === target.callbackUrl) {
        findings.present.push(type);
        continue;
      }
      const { webhookSet } = endpoints;
      const body = { event_type: type, address: target.callbackUrl };
      const outcome = await this.#api.tryRead({ endpoint: webhookSet, body }, signal);
      if (outcome.kind === 'answer') findings.created.push(type);
      else if (outcome.kind === 'refused' || outcome.kind === 'denied') {
        // A scope that is missing for one type must not keep the others from being set.
        findings.missing.push(type);
        findings.problems.push(`${type}: ${outcome.reason}`);
      } else throw failureOf(webhookSet.name, outcome);
    }
    return findings;
  }

  async #list(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const { webhookList } = endpoints;
    const { data } = await this.#api.read({ endpoint: webhookList }, signal);
    const rows = listOf(data['webhooks']);
    if (rows === undefined && (data['webhooks'] ?? null) !== null)
      throw unreadable(webhookList.name, 'webhooks is no list');
    const addresses = new Map<string, string>();
    for (const row of rows ?? []) {
      const type = isRecord(row) ? textOf(row['event_type']) : undefined;
      const address = isRecord(row) ? textOf(row['address']) : undefined;
      if (type !== undefined && address !== undefined) addresses.set(type, address);
    }
    return addresses;
  }
}

/** TikTok's own conditions for an address; it refuses the others, or never calls them. */
function problemsOf({ callbackUrl }: SubscriptionTarget): readonly string[] {
  const url = new URL(callbackUrl);
  // An emulator on this machine takes what TikTok would not.
  if (/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)) return [];
  const problems: string[] = [];
  if (url.protocol !== 'https:') problems.push('TikTok delivers to https addresses only');
  if (url.port !== '')
    problems.push('TikTok delivers to addresses without a port only: put a proxy in front');
  if (/^[\d.]+$|^\[/.test(url.hostname)) problems.push('TikTok delivers to domain names only');
  if (callbackUrl.length > maxAddressLength) problems.push(`the address is longer than ${maxAddressLength}`);
  return problems;
}
