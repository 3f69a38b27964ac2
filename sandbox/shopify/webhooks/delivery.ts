import { createHmac } from 'node:crypto';
import type { PostAnswer } from '../../posting/post.ts';
import { Poster, maxPosts } from '../../posting/poster.ts';
import type { SandboxClock } from '../clock.ts';
import { uuid } from '../ids.ts';
import type { Range, SeededRandom } from '../random.ts';
import type { Records } from '../records.ts';
import type { Body } from './payloads.ts';
import type { Subscription, Subscriptions } from './subscriptions.ts';
import { TopicTurns } from './topic-turns.ts';

/** How the network between the platform and the client behaves. All draws come from the shop's seed. */
export interface DeliveryBehaviour {
  readonly delayMs: Range;
  readonly duplicateProbability: number;
  readonly lossProbability: number;
  /** A delivery is held back by up to `reorderMs` with this probability. */
  readonly reorderProbability: number;
  readonly reorderMs: number;
  /** 1: eight retries over about four hours; 0.001: over about fifteen seconds. */
  readonly retryTimeScale: number;
  readonly concurrency: number;
  readonly timeoutMs: number;
}

export const DEFAULT_BEHAVIOUR: DeliveryBehaviour = {
  delayMs: { min: 0, max: 0 },
  duplicateProbability: 0,
  lossProbability: 0,
  reorderProbability: 0,
  reorderMs: 1_000,
  retryTimeScale: 1,
  concurrency: 16,
  timeoutMs: 5_000,
};

export interface Delivery {
  readonly webhookId: string;
  readonly eventId: string;
  readonly topic: string;
  readonly subscriptionId: string;
  readonly triggeredAt: string;
  attempts: number;
  outcome: 'waiting' | 'delivered' | 'lost' | 'given-up' | 'dropped';
}

interface Job {
  readonly delivery: Delivery;
  readonly subscription: Subscription;
  readonly build: () => Body;
  readonly isRepeat: boolean;
  /** Set at the first attempt and kept: retries carry the original bytes. */
  body: string | null;
}

export interface DeliveryIdentity {
  readonly domain: string;
  readonly apiVersion: string;
  /** Signs every delivery; changes when the app's secret is rotated. */
  secret(): string;
}

const MAX_RETRIES = 8;
const FIRST_RETRY_MS = 60_000;
const MAX_QUEUED = 200_000;
const MAX_LOGGED = 50_000;

/**
 * Sends signed webhooks of one shop. A job: waiting (network delay) -> queued -> sending -> delivered, or retried up
 * to eight times with doubling pauses and its original body; after the last failure its subscription is removed.
 * At least once, in no promised order.
 */
export class WebhookDelivery {
  behaviour: DeliveryBehaviour = DEFAULT_BEHAVIOUR;
  readonly log: Delivery[] = [];
  readonly #identity: DeliveryIdentity;
  readonly #subscriptions: Subscriptions;
  readonly #clock: SandboxClock;
  readonly #random: SeededRandom;
  readonly #records: Records;
  readonly #poster = new Poster();
  readonly #networkTimers = new Set<() => void>();
  readonly #retryTimers = new Set<() => void>();
  readonly #idleWaiters = new Set<() => void>();
  readonly #queue = new TopicTurns<Job>();
  #sending = 0;
  #isStopped = false;

  constructor(
    identity: DeliveryIdentity,
    subscriptions: Subscriptions,
    clock: SandboxClock,
    random: SeededRandom,
    records: Records,
  ) {
    this.#identity = identity;
    this.#subscriptions = subscriptions;
    this.#clock = clock;
    this.#random = random;
    this.#records = records;
  }

  /** `build` runs when the first attempt is sent, so a caller decides whether the body is a snapshot or late. */
  emit(topic: string, build: () => Body, eventId: string): void {
    const enumTopic = topic.replace('/', '_').toUpperCase();
    for (const subscription of this.#subscriptions.forTopic(enumTopic)) {
      const delivery: Delivery = {
        webhookId: uuid(),
        eventId,
        topic,
        subscriptionId: subscription.id,
        triggeredAt: new Date(this.#clock.now()).toISOString(),
        attempts: 0,
        outcome: 'waiting',
      };
      if (this.log.length < MAX_LOGGED) this.log.push(delivery);
      if (this.#random.chance(this.behaviour.lossProbability)) {
        delivery.outcome = 'lost';
        continue;
      }
      this.#plan({ delivery, subscription, build, isRepeat: false, body: null });
      if (this.#random.chance(this.behaviour.duplicateProbability))
        this.#plan({ delivery, subscription, build, isRepeat: true, body: null });
    }
  }

  /** Resolves when nothing is on its way; a retry that waits for its time does not count. */
  async idle(): Promise<void> {
    if (!this.#isIdle()) await new Promise<void>((resolve) => this.#idleWaiters.add(resolve));
  }

  stop(): void {
    this.#isStopped = true;
    for (const cancel of [...this.#networkTimers, ...this.#retryTimers]) cancel();
    this.#networkTimers.clear();
    this.#retryTimers.clear();
    this.#queue.clear();
    this.#poster.close();
    this.#wake();
  }

  #plan(job: Job): void {
    const held = this.#random.chance(this.behaviour.reorderProbability)
      ? this.#random.next() * this.behaviour.reorderMs
      : 0;
    const delayMs = this.#random.between(this.behaviour.delayMs) + held;
    if (delayMs === 0) this.#enqueue(job);
    else this.#later(this.#networkTimers, delayMs, job);
  }

  #later(timers: Set<() => void>, delayMs: number, job: Job): void {
    const cancel = this.#clock.schedule(delayMs, () => {
      timers.delete(cancel);
      this.#enqueue(job);
      this.#wake();
    });
    timers.add(cancel);
  }

  #enqueue(job: Job): void {
    if (this.#isStopped) return;
    if (this.#queue.size >= MAX_QUEUED) {
      job.delivery.outcome = 'dropped';
      return;
    }
    this.#queue.add(job.delivery.topic, job);
    this.#pump();
  }

  #pump(): void {
    while (this.#sending < Math.min(this.behaviour.concurrency, maxPosts)) {
      const job = this.#queue.next();
      if (!job) return;
      this.#sending += 1;
      void this.#work(job);
    }
  }

  async #work(job: Job): Promise<void> {
    try {
      await this.#attempt(job);
    } finally {
      this.#sending -= 1;
      this.#pump();
      this.#wake();
    }
  }

  async #attempt(job: Job): Promise<void> {
    const { delivery, subscription } = job;
    if (this.#subscriptions.get(subscription.id) === null) {
      delivery.outcome = 'dropped';
      return;
    }
    job.body ??= JSON.stringify(this.#selected(job.build(), subscription));
    delivery.attempts += 1;
    const answer = await this.#post(subscription.uri, job.body, delivery);
    if (this.#isStopped) return;
    if (answer.kind === 'answered' && answer.status >= 200 && answer.status < 300) {
      delivery.outcome = 'delivered';
      return;
    }
    this.#report(answer, delivery);
    if (job.isRepeat) return;
    const retry = delivery.attempts;
    if (retry > MAX_RETRIES) {
      delivery.outcome = 'given-up';
      this.#subscriptions.delete(subscription.id);
      return;
    }
    const pauseMs = FIRST_RETRY_MS * 2 ** (retry - 1) * this.behaviour.retryTimeScale;
    this.#later(this.#retryTimers, pauseMs, job);
  }

  #report(answer: PostAnswer, delivery: Delivery): void {
    // A refused connection is an outage, not an answer: the retries are there for it.
    if (answer.kind === 'unreachable') return;
    this.#records.violations.add({
      at: this.#clock.now(),
      shop: this.#identity.domain,
      kind: answer.kind === 'timeout' ? 'webhook-timeout' : 'webhook-refused',
      detail: `${delivery.topic} ${delivery.webhookId}: ${answer.kind === 'timeout' ? 'no answer in time' : answer.status}`,
    });
  }

  #selected(body: Body, subscription: Subscription): Body {
    if (subscription.includeFields.length === 0) return body;
    return Object.fromEntries(
      Object.entries(body).filter(([key]) => subscription.includeFields.includes(key)),
    );
  }

  #post(uri: string, body: string, delivery: Delivery): Promise<PostAnswer> {
    const headers = {
      'Content-Type': 'application/json',
      'User-Agent': 'Shopify-Captain-Hook',
      'X-Shopify-Topic': delivery.topic,
      'X-Shopify-Hmac-Sha256': createHmac('sha256', this.#identity.secret()).update(body).digest('base64'),
      'X-Shopify-Shop-Domain': this.#identity.domain,
      'X-Shopify-API-Version': this.#identity.apiVersion,
      'X-Shopify-Webhook-Id': delivery.webhookId,
      'X-Shopify-Event-Id': delivery.eventId,
      'X-Shopify-Triggered-At': delivery.triggeredAt,
    };
    return this.#poster.send({ uri, headers, body, timeoutMs: this.behaviour.timeoutMs });
  }

  #isIdle(): boolean {
    return this.#networkTimers.size === 0 && this.#queue.size === 0 && this.#sending === 0;
  }

  #wake(): void {
    if (!this.#isIdle()) return;
    for (const resolve of this.#idleWaiters) resolve();
    this.#idleWaiters.clear();
  }
}
