import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { MeshState } from '../ledger/contract.ts';
import { orLate } from '../ledger/or-late.ts';
import {
  type Delivery,
  type InboxJobData,
  encodeDelivery,
  inboxJobId,
  inboxQueueName,
  parkedDeliveryId,
} from './inbox-job.ts';
import { type InboxEvent, InboxWorker, type InboxWorkerSettings } from './inbox-worker.ts';
import { SeenDeliveries } from './seen-deliveries.ts';

export interface InboxSettings extends InboxWorkerSettings {
  readonly maxJobs: number;
  /** Estimated from the mean body: the bound that keeps a flood of large deliveries out of Redis' memory. */
  readonly maxBytes: number;
  /** Deliveries on their way to Redis at once, per daemon. */
  readonly maxAccepting: number;
  readonly acceptTimeoutMs: number;
  readonly backOffMs: number;
  readonly keepFailedMs: number;
  readonly canaryEveryMs: number;
}

export const defaultInboxSettings: InboxSettings = {
  concurrency: 16,
  maxJobs: 20_000,
  maxBytes: 256 * 1024 * 1024,
  maxAccepting: 1_000,
  acceptTimeoutMs: 2_000,
  handleTimeoutMs: 60_000,
  attempts: 6,
  backOffMs: 500,
  maxDeaths: 3,
  lockMs: 3_000,
  stalledIntervalMs: 1_000,
  keepFailedMs: 7 * 24 * 3_600_000,
  keepFailedJobs: 1_000,
  canaryEveryMs: 5_000,
};

export type AcceptResult =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'full'; readonly retryAfterS: number }
  /** Redis did not confirm in time. The delivery may be in the inbox all the same: its repeat is harmless. */
  | { readonly kind: 'unavailable'; readonly retryAfterS: number };

export interface InboxOptions {
  /** A connection of its own is not needed; BullMQ makes its own blocking one from it. */
  readonly redis: Redis;
  /** `sm:{merchant}:bull` */
  readonly queuePrefix: string;
  readonly seenKey: string;
  readonly mesh: Pick<MeshState, 'park' | 'unpark'>;
  readonly log: Logger;
  readonly handle: (delivery: Delivery, signal: AbortSignal) => Promise<void>;
  readonly observe?: ((event: InboxEvent) => void) | undefined;
  readonly settings?: Partial<InboxSettings> | undefined;
}

/**
 * Durable inbox of everything platforms push. A delivery is answered only when its job is in Redis; what happens to it:
 *
 *   accepted -> waiting -> active --handled--> gone (marked as seen)
 *                            active --throws--> delayed, back-off, at most `attempts` --> parked
 *                            active --ledger or platform away (retryable)--> delayed, no attempt counted
 *                            active --process dies--> waiting again after the lock, at most `maxDeaths` --> parked
 *
 * All counts live in the job, so they survive what kills the process. A parked delivery keeps its failed job for
 * `parked retry`. Two jobs of one order may run at once: the ledger merges their counters in any order.
 */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #settings: InboxSettings;
  readonly #queue: Queue<InboxJobData>;
  readonly #seen: SeenDeliveries;
  #worker: InboxWorker | undefined;
  #timers: NodeJS.Timeout[] = [];
  #jobs = 0;
  #accepted = 0;
  #meanBytes = 4_096;
  #accepting = 0;
  #isPolling = false;
  #closing = false;

  constructor(options: InboxOptions) {
    this.#options = options;
    this.#settings = { ...defaultInboxSettings, ...options.settings };
    this.#seen = new SeenDeliveries(options.redis, options.seenKey);
    const { attempts, backOffMs, keepFailedMs, keepFailedJobs } = this.#settings;
    this.#queue = new Queue(inboxQueueName, {
      connection: options.redis,
      prefix: options.queuePrefix,
      streams: { events: { maxLen: 1_000 } },
      defaultJobOptions: {
        attempts,
        backoff: { type: 'exponential', delay: backOffMs },
        // Deliveries carry personal data: gone as soon as they are applied.
        removeOnComplete: true,
        removeOnFail: { age: keepFailedMs / 1_000, count: keepFailedJobs },
        stackTraceLimit: 3,
      },
    });
    this.#queue.on('error', (error) => options.log.warn({ err: error }, 'inbox queue'));
  }

  async start(): Promise<void> {
    await this.#poll();
    this.#worker = new InboxWorker({
      queue: this.#queue,
      redis: this.#options.redis,
      queuePrefix: this.#options.queuePrefix,
      seen: this.#seen,
      mesh: this.#options.mesh,
      log: this.#options.log,
      handle: this.#options.handle,
      observe: (event) => this.#options.observe?.(event),
      settings: this.#settings,
    });
    this.#timers = [
      setInterval(() => void this.#poll().catch(() => undefined), 250),
      setInterval(() => void this.#sendCanary(), this.#settings.canaryEveryMs),
    ];
    await this.#sendCanary();
    await this.#worker.parkFailed();
  }

  get depth(): number {
    return this.#jobs;
  }

  /** Ms since this daemon's worker last took or finished a job; a canary job runs every few seconds. */
  get sinceProgressMs(): number {
    return this.#worker?.sinceProgressMs ?? Number.POSITIVE_INFINITY;
  }

  async accept(delivery: Delivery): Promise<AcceptResult> {
    const { maxJobs, maxBytes, maxAccepting, acceptTimeoutMs } = this.#settings;
    if (this.#closing || this.#accepting >= maxAccepting) return { kind: 'unavailable', retryAfterS: 2 };
    if (this.#jobs >= maxJobs || this.#jobs * this.#meanBytes >= maxBytes) {
      return { kind: 'full', retryAfterS: 10 };
    }
    this.#accepting++;
    const adding = this.#add(delivery, performance.now() + acceptTimeoutMs).finally(() => this.#accepting--);
    try {
      return await orLate(adding, acceptTimeoutMs, { kind: 'unavailable', retryAfterS: 2 });
    } catch (error) {
      this.#options.log.warn({ err: error, channel: delivery.channel }, 'the inbox did not take a delivery');
      return { kind: 'unavailable', retryAfterS: 2 };
    }
  }

  /** Puts a parked delivery back to work; `gone`: its job is no longer kept. */
  async retry(jobId: string): Promise<'retried' | 'gone'> {
    const job = await this.#queue.getJob(jobId);
    if (job === undefined || !(await job.isFailed())) return 'gone';
    await this.#options.mesh.unpark(parkedDeliveryId(jobId));
    await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
    return 'retried';
  }

  async discard(jobId: string): Promise<void> {
    await this.#queue.remove(jobId);
    await this.#options.mesh.unpark(parkedDeliveryId(jobId));
  }

  /** For a worker that stopped taking jobs although Redis answers (seen with BullMQ after long outages). */
  async rebuildWorker(): Promise<void> {
    await this.#worker?.rebuild();
  }

  /** Takes no more jobs, waits at most `graceMs` for those in hand; the rest starts again when their locks end. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#worker?.close(graceMs);
    await this.#seen.flush();
    await this.#queue.close();
  }

  async #add(delivery: Delivery, deadlineMs: number): Promise<AcceptResult> {
    // A restart of Redis is shorter than a platform's patience. Its client would keep the commands meanwhile, and send
    // them after we have given up.
    while (this.#options.redis.status !== 'ready') {
      if (performance.now() >= deadlineMs) return { kind: 'unavailable', retryAfterS: 2 };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const jobId = inboxJobId(delivery.channel, delivery.deliveryId);
    const jobKey = `${this.#options.queuePrefix}:${inboxQueueName}:${jobId}`;
    const [isSeen, kept] = await Promise.all([this.#seen.has(jobId), this.#options.redis.exists(jobKey)]);
    if (isSeen || kept === 1) return { kind: 'duplicate' };
    await this.#queue.add('delivery', encodeDelivery(delivery), { jobId });
    this.#jobs++;
    this.#accepted++;
    this.#meanBytes += (delivery.body.length - this.#meanBytes) / 64;
    return { kind: 'accepted' };
  }

  async #poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    const acceptedBefore = this.#accepted;
    try {
      const counts = await this.#queue.getJobCounts('wait', 'active', 'delayed');
      // What was accepted meanwhile may not be counted yet: rather twice, until the next poll, than not at all.
      const meanwhile = this.#accepted - acceptedBefore;
      this.#jobs = (counts['wait'] ?? 0) + (counts['active'] ?? 0) + (counts['delayed'] ?? 0) + meanwhile;
      this.#options.observe?.({ kind: 'depth', jobs: this.#jobs });
    } finally {
      this.#isPolling = false;
    }
  }

  async #sendCanary(): Promise<void> {
    if (this.#options.redis.status !== 'ready') return;
    try {
      await this.#queue.add('canary', { c: '', i: '', t: '', at: 0, h: {}, b: '' }, { attempts: 1 });
    } catch (error) {
      this.#options.log.warn({ err: error }, 'canary job');
    }
  }
}
