import { createHmac } from 'node:crypto';
import type { PostAnswer } from '../posting/post.ts';
import { Poster, maxPosts } from '../posting/poster.ts';
import type { SandboxClock } from '../shopify/clock.ts';
import type { Range, SeededRandom } from '../shopify/random.ts';
import type { ViolationKind } from './records.ts';

/** How the network between the platform and the client behaves. All draws come from the shop's seed. */
export interface DeliveryBehaviour {
  readonly delayMs: Range;
  readonly duplicateProbability: number;
  readonly lossProbability: number;
  readonly reorderProbability: number;
  readonly reorderMs: number;
  /** 1: retries after 2 min, 30 min, 3 h and 12 h. */
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
  timeoutMs: 3_000,
};

export interface Delivery {
  readonly notificationId: string;
  readonly type: number;
  readonly body: string;
  attempts: number;
  outcome: 'waiting' | 'delivered' | 'lost' | 'dropped';
}

interface Job {
  readonly delivery: Delivery;
  readonly address: string;
  readonly isRepeat: boolean;
}

interface DeliveryParts {
  readonly appKey: string;
  readonly secret: () => string;
  readonly clock: SandboxClock;
  readonly random: SeededRandom;
  readonly violate: (kind: ViolationKind, detail: string) => void;
}

const RETRIES_MS = [120_000, 1_800_000, 10_800_000, 43_200_000];
const MAX_QUEUED = 200_000;
const MAX_LOGGED = 50_000;

/**
 * Sends the signed webhooks of one shop: waiting (network delay) -> queued -> sending -> delivered, or retried up to four
 * times, then dropped. Only an EMPTY 200 counts as delivered. At least once, in no promised order.
 */
export class WebhookDelivery {
  behaviour: DeliveryBehaviour = DEFAULT_BEHAVIOUR;
  readonly log: Delivery[] = [];
  readonly #parts: DeliveryParts;
  readonly #poster = new Poster();
  readonly #networkTimers = new Set<() => void>();
  readonly #retryTimers = new Set<() => void>();
  readonly #idleWaiters = new Set<() => void>();
  #queue: Job[] = [];
  #sending = 0;
  #isStopped = false;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  emit(address: string, type: number, notificationId: string, body: string): void {
    const { random } = this.#parts;
    const delivery: Delivery = { notificationId, type, body, attempts: 0, outcome: 'waiting' };
    if (this.log.length < MAX_LOGGED) this.log.push(delivery);
    if (random.chance(this.behaviour.lossProbability)) {
      delivery.outcome = 'lost';
      return;
    }
    this.#plan({ delivery, address, isRepeat: false });
    if (random.chance(this.behaviour.duplicateProbability)) this.#plan({ delivery, address, isRepeat: true });
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
    this.#queue = [];
    this.#poster.close();
    this.#wake();
  }

  #plan(job: Job): void {
    const { random } = this.#parts;
    const held = random.chance(this.behaviour.reorderProbability)
      ? random.next() * this.behaviour.reorderMs
      : 0;
    const delayMs = random.between(this.behaviour.delayMs) + held;
    if (delayMs === 0) this.#enqueue(job);
    else this.#later(this.#networkTimers, delayMs, job);
  }

  #later(timers: Set<() => void>, delayMs: number, job: Job): void {
    const cancel = this.#parts.clock.schedule(delayMs, () => {
      timers.delete(cancel);
      this.#enqueue(job);
      this.#wake();
    });
    timers.add(cancel);
  }

  #enqueue(job: Job): void {
    if (this.#isStopped) return;
    if (this.#queue.length >= MAX_QUEUED) job.delivery.outcome = 'dropped';
    else this.#queue.push(job);
    this.#pump();
  }

  #pump(): void {
    while (this.#sending < Math.min(this.behaviour.concurrency, maxPosts) && this.#queue.length > 0) {
      const job = this.#queue.shift();
      if (!job) return;
      this.#sending += 1;
      void this.#attempt(job).finally(() => {
        this.#sending -= 1;
        this.#pump();
        this.#wake();
      });
    }
  }

  async #attempt(job: Job): Promise<void> {
    const { delivery, address } = job;
    delivery.attempts += 1;
    const answer = await this.#post(address, delivery.body);
    if (this.#isStopped) return;
    if (answer.kind === 'answered' && answer.status === 200 && answer.isEmpty) {
      delivery.outcome = 'delivered';
      return;
    }
    this.#report(answer, delivery);
    if (job.isRepeat) return;
    const pauseMs = RETRIES_MS[delivery.attempts - 1];
    if (pauseMs === undefined) delivery.outcome = 'dropped';
    else this.#later(this.#retryTimers, pauseMs * this.behaviour.retryTimeScale, job);
  }

  #report(answer: PostAnswer, { type, notificationId }: Delivery): void {
    const what = `type ${type} ${notificationId}`;
    // A refused connection is an outage, not an answer: the retries are there for it.
    if (answer.kind === 'unreachable') return;
    if (answer.kind === 'timeout') this.#parts.violate('webhook-timeout', `${what}: no answer in time`);
    else if (answer.status === 200) this.#parts.violate('webhook-not-empty', `${what}: 200 with a body`);
    else this.#parts.violate('webhook-refused', `${what}: ${answer.status}`);
  }

  #post(uri: string, body: string): Promise<PostAnswer> {
    const { appKey, secret } = this.#parts;
    const headers = {
      'Content-Type': 'application/json',
      Authorization: createHmac('sha256', secret()).update(`${appKey}${body}`).digest('hex'),
    };
    return this.#poster.send({ uri, headers, body, timeoutMs: this.behaviour.timeoutMs });
  }

  #isIdle(): boolean {
    return this.#networkTimers.size === 0 && this.#queue.length === 0 && this.#sending === 0;
  }

  #wake(): void {
    if (!this.#isIdle()) return;
    for (const resolve of this.#idleWaiters) resolve();
    this.#idleWaiters.clear();
  }
}
