import type { SubscriptionReport, SubscriptionTarget } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, textOf } from '../raw-json.ts';
import { documents, type GraphqlOperation } from './documents.ts';
import { type ShopifyGraphql, type Variables, failureOf } from './graphql.ts';
import { restOfConnection } from './pages.ts';

export const webhookTopics = [
  'ORDERS_CREATE',
  'ORDERS_UPDATED',
  'ORDERS_EDITED',
  'ORDERS_CANCELLED',
  'REFUNDS_CREATE',
  'FULFILLMENTS_CREATE',
  'FULFILLMENTS_UPDATE',
  'INVENTORY_LEVELS_UPDATE',
  'INVENTORY_LEVELS_CONNECT',
  'INVENTORY_LEVELS_DISCONNECT',
  'INVENTORY_ITEMS_UPDATE',
  'INVENTORY_ITEMS_DELETE',
  'LOCATIONS_ACTIVATE',
  'LOCATIONS_DEACTIVATE',
  'LOCATIONS_DELETE',
  'APP_UNINSTALLED',
  'APP_SCOPES_UPDATE',
  'BULK_OPERATIONS_FINISH',
] as const;

interface Subscription {
  readonly id: string;
  readonly topic: string;
  readonly uri: string;
  /** JSON, whole bodies, every event. */
  readonly isPlain: boolean;
}

type Findings = { present: string[]; created: string[]; missing: string[]; problems: string[] };

/**
 * Webhook subscriptions of the app on the shop. Shopify deletes a subscription after eight failed deliveries in a row,
 * and one made by another version of the app may point elsewhere or leave fields out: the list is compared, not trusted.
 */
export class Subscriptions {
  readonly #graphql: ShopifyGraphql;
  /** Start and timer ask at their own times: two passes at once would each make what the other is making. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(graphql: ShopifyGraphql) {
    this.#graphql = graphql;
  }

  async check(target: SubscriptionTarget, signal: AbortSignal): Promise<SubscriptionReport> {
    const found = await this.#list(signal);
    const findings: Findings = { present: [], created: [], missing: [], problems: [] };
    for (const topic of webhookTopics) {
      const { kept, extra, isRight } = choose(found, topic, target.callbackUrl);
      if (kept === undefined) findings.missing.push(topic);
      else if (isRight) findings.present.push(topic);
      else findings.problems.push(`${topic} goes to another address or is filtered`);
      if (extra.length > 0) findings.problems.push(`${topic} is subscribed ${extra.length + 1} times`);
    }
    return findings;
  }

  subscribe(target: SubscriptionTarget, signal: AbortSignal): Promise<SubscriptionReport> {
    const pass = this.#last.then(() => this.#subscribe(target, signal));
    this.#last = pass.catch(() => undefined);
    return pass;
  }

  async #subscribe(target: SubscriptionTarget, signal: AbortSignal): Promise<SubscriptionReport> {
    const found = await this.#list(signal);
    const findings: Findings = { present: [], created: [], missing: [], problems: [] };
    const refusals = new Map<string, string>();
    for (const topic of webhookTopics) {
      const { kept, extra, isRight } = choose(found, topic, target.callbackUrl);
      const refusal = await this.#bring(topic, kept, isRight, target, signal);
      // One refused topic (a scope, an address) must not cost the others.
      if (refusal !== undefined) refusals.set(topic, refusal);
      else if (isRight) findings.present.push(topic);
      else findings.created.push(topic);
      for (const { id } of extra) {
        const failure = await this.#change(
          documents.webhookDelete,
          { id },
          'webhookSubscriptionDelete',
          signal,
        );
        if (failure !== undefined) findings.problems.push(`${topic}: a duplicate stays: ${failure}`);
      }
    }
    // Another daemon may have made it since the list was read: Shopify refuses the second one.
    const now = refusals.size === 0 ? [] : await this.#list(signal);
    for (const [topic, refusal] of refusals) {
      if (choose(now, topic, target.callbackUrl).isRight) findings.present.push(topic);
      else {
        findings.missing.push(topic);
        findings.problems.push(`${topic}: ${refusal}`);
      }
    }
    return findings;
  }

  async #bring(
    topic: string,
    kept: Subscription | undefined,
    isRight: boolean,
    target: SubscriptionTarget,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (isRight) return undefined;
    const sub = { uri: target.callbackUrl, format: 'JSON' };
    if (kept === undefined)
      return await this.#change(documents.webhookCreate, { topic, sub }, 'webhookSubscriptionCreate', signal);
    // Left-out members keep their value, so what narrows the deliveries is emptied by name.
    const repaired = { ...sub, includeFields: [], filter: '' };
    const variables = { id: kept.id, sub: repaired };
    return await this.#change(documents.webhookUpdate, variables, 'webhookSubscriptionUpdate', signal);
  }

  /** Why it was refused; undefined when it was done. */
  async #change(
    operation: GraphqlOperation,
    variables: Variables,
    field: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const outcome = await this.#graphql.tryRead(operation, variables, signal);
    // A scope that is missing for one topic must not keep the others from being subscribed.
    if (outcome.kind === 'denied' || outcome.kind === 'refused') return outcome.reason;
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    const payload = outcome.data[field];
    const errors = isRecord(payload) ? (listOf(payload['userErrors']) ?? []) : [undefined];
    if (errors.length === 0) return undefined;
    const first = errors[0];
    return (isRecord(first) ? textOf(first['message']) : undefined) ?? 'no reason was given';
  }

  async #list(signal: AbortSignal): Promise<readonly Subscription[]> {
    const nodes = await restOfConnection(
      {
        graphql: this.#graphql,
        operation: documents.webhookList,
        variables: {},
        holder: (data) => (isRecord(data) ? data : null),
        connection: 'webhookSubscriptions',
        signal,
      },
      undefined,
    );
    return (nodes ?? []).filter(isRecord).flatMap((node) => subscriptionOf(node));
  }
}

function subscriptionOf(node: JsonRecord): readonly Subscription[] {
  const id = textOf(node['id']);
  const topic = textOf(node['topic']);
  if (id === undefined || topic === undefined) return [];
  const isWhole = (listOf(node['includeFields']) ?? []).length === 0 && (textOf(node['filter']) ?? '') === '';
  return [
    { id, topic, uri: textOf(node['uri']) ?? '', isPlain: isWhole && (node['format'] ?? 'JSON') === 'JSON' },
  ];
}

/** The subscription of a topic that stays (the right one if there is one) and those that are too many. */
function choose(
  found: readonly Subscription[],
  topic: string,
  uri: string,
): { kept: Subscription | undefined; extra: readonly Subscription[]; isRight: boolean } {
  const all = found.filter((subscription) => subscription.topic === topic);
  const right = all.find((subscription) => subscription.uri === uri && subscription.isPlain);
  const kept = right ?? all.find((subscription) => subscription.uri === uri) ?? all[0];
  return { kept, extra: all.filter((subscription) => subscription !== kept), isRight: right !== undefined };
}
