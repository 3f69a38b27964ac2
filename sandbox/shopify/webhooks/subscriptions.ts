import type { SandboxClock } from '../clock.ts';
import { gid, IdSequence } from '../ids.ts';

export interface Subscription {
  readonly typename: 'WebhookSubscription';
  readonly id: string;
  readonly number: string;
  /** GraphQL enum, e.g. INVENTORY_LEVELS_UPDATE. */
  readonly topic: string;
  uri: string;
  includeFields: readonly string[];
  filter: string | null;
  name: string | null;
  readonly createdAt: number;
  updatedAt: number;
}

export interface SubscriptionInput {
  readonly uri: string;
  readonly includeFields: readonly string[];
  readonly filter: string | null;
  readonly name: string | null;
}

const SHOPIFY_HOSTS =
  /(^|\.)(shopify\.com|myshopify\.com|shopifycloud\.com|shopify\.dev|shop\.dev|myshopify\.io)$/i;
const LOOPBACK_HOSTS = new Set(['127.0.0.1', 'localhost', '[::1]']);
const MAX_SUBSCRIPTIONS = 1_000;

/** Messages as recorded from a real shop; every address error points at the deprecated input name. */
export function addressProblem(uri: string, isLoopbackAllowed: boolean): string | null {
  const text = uri.trim();
  if (text === '') return "Address can't be blank";
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'Address is invalid';
  }
  const isLoopback = LOOPBACK_HOSTS.has(url.hostname);
  if (isLoopback && isLoopbackAllowed && /^https?:$/.test(url.protocol)) return null;
  if (url.protocol !== 'https:') return `Address protocol ${url.protocol}// is not supported`;
  if (isLoopback || SHOPIFY_HOSTS.test(url.hostname))
    return 'Address cannot be a Shopify or an internal domain';
  return null;
}

/** Subscriptions an app created through the Admin API on one shop. */
export class Subscriptions {
  readonly #byId = new Map<string, Subscription>();
  readonly #clock: SandboxClock;
  readonly #ids = new IdSequence(1_927_972_356_402n);

  constructor(clock: SandboxClock) {
    this.#clock = clock;
  }

  all(): readonly Subscription[] {
    return [...this.#byId.values()];
  }

  get(id: string): Subscription | null {
    return this.#byId.get(id) ?? null;
  }

  forTopic(topic: string): readonly Subscription[] {
    return this.all().filter((subscription) => subscription.topic === topic);
  }

  /** The refusal, or null when the input may be stored. */
  conflict(
    topic: string,
    input: SubscriptionInput,
    self: Subscription | null,
  ): { field: string; message: string } | null {
    if (self === null && this.#byId.size >= MAX_SUBSCRIPTIONS)
      return { field: 'callbackUrl', message: 'Too many subscriptions' };
    for (const other of this.#byId.values()) {
      if (other === self) continue;
      if (other.topic === topic && other.uri === input.uri && (other.filter ?? '') === (input.filter ?? ''))
        return { field: 'callbackUrl', message: 'Address for this topic has already been taken' };
      if (input.name !== null && other.name === input.name)
        return { field: 'name', message: 'Name already exists, no duplicate allowed' };
    }
    return null;
  }

  create(topic: string, input: SubscriptionInput): Subscription {
    const number = this.#ids.take();
    const now = this.#clock.now();
    const subscription: Subscription = {
      typename: 'WebhookSubscription',
      id: gid('WebhookSubscription', number),
      number,
      topic,
      ...input,
      createdAt: now,
      updatedAt: now,
    };
    this.#byId.set(subscription.id, subscription);
    return subscription;
  }

  update(subscription: Subscription, input: SubscriptionInput): void {
    Object.assign(subscription, input, { updatedAt: this.#clock.now() });
  }

  delete(id: string): boolean {
    return this.#byId.delete(id);
  }

  clear(): void {
    this.#byId.clear();
  }
}
