import { type Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { BookedNotice } from '../../ledger/notice-commands.ts';
import { failpoint } from '../../telemetry/failpoint.ts';
import type { DeliverySettings, Endpoint } from './endpoint.ts';
import { stopWorker } from '../stop-worker.ts';
import type { EndpointStates } from './endpoint-states.ts';
import type { NoticeMetrics } from './notice-metrics.ts';
import { noticeTypeOf } from './notice.ts';
import { createNoticeSender, type NoticeSender } from './send-notice.ts';

export interface EndpointQueueOptions {
  readonly endpoint: Endpoint;
  readonly redis: Redis;
  readonly queuePrefix: string;
  readonly states: EndpointStates;
  readonly settings: DeliverySettings;
  readonly metrics: NoticeMetrics;
  readonly log: Logger;
  readonly version: string;
  /** The endpoint is not called any more until a person says so. */
  readonly onDisabled: (endpoint: string, reason: string) => void;
}

export interface DeadLetter {
  readonly id: string;
  readonly type: string;
  readonly reason: string;
  readonly attempts: number;
  readonly bookedAt: string;
}

interface NoticeJob {
  readonly body: string;
}

/** How long a receiver asked to be left alone, carried to the back-off. */
class NotTaken extends Error {
  readonly retryAfterMs: number;

  constructor(reason: string, retryAfterMs: number) {
    super(reason);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Deliveries to one endpoint, apart from every other one's: a receiver that hangs holds up itself alone.
 *
 *   added (durable) -> waiting -> sent --2xx--> gone
 *                                   sent --anything else--> delayed by the schedule --attempts used up--> dead
 *                                   endpoint disabled, 410 --> dead
 *   dead --retry--> waiting
 *
 * A process that dies between the receiver's answer and the end of the job sends once more, with the same webhook-id.
 */
export class EndpointQueue {
  readonly #options: EndpointQueueOptions;
  readonly #queue: Queue<NoticeJob>;
  readonly #sender: NoticeSender;
  readonly #attempts: number;
  #worker: Worker<NoticeJob> | undefined;
  #inHand = 0;

  constructor(options: EndpointQueueOptions) {
    this.#options = options;
    const { endpoint, redis, queuePrefix, settings, log } = options;
    this.#attempts = settings.retryMs.length + 1;
    this.#sender = createNoticeSender(endpoint, settings.timeoutMs, options.version);
    this.#queue = new Queue(`notices-${endpoint.id}`, {
      connection: redis,
      prefix: queuePrefix,
      streams: { events: { maxLen: 100 } },
      defaultJobOptions: {
        attempts: this.#attempts,
        backoff: { type: 'custom' },
        // Kept for a while: whoever hands the notice on a second time, after a crash, finds it.
        removeOnComplete: { age: 3_600, count: 1_000 },
        removeOnFail: { age: settings.keepDeadMs / 1_000, count: settings.maxDead },
        stackTraceLimit: 0,
      },
    });
    this.#queue.on('error', (error) => log.warn({ err: error, endpoint: endpoint.id }, 'notice queue'));
  }

  get endpoint(): Endpoint {
    return this.#options.endpoint;
  }

  start(): void {
    const { endpoint, redis, queuePrefix, settings, log } = this.#options;
    const worker = new Worker<NoticeJob>(this.#queue.name, (job) => this.#counted(job), {
      connection: redis,
      prefix: queuePrefix,
      concurrency: settings.concurrency,
      // Renewed while a request is under way; this is only how long a dead daemon's deliveries wait.
      lockDuration: 5_000,
      stalledInterval: 2_000,
      // A restart of the daemon is no fault of the notice.
      maxStalledCount: 20,
      drainDelay: 2,
      settings: {
        backoffStrategy: (attemptsMade, _type, error) => {
          const pause = settings.retryMs[Math.min(attemptsMade, settings.retryMs.length) - 1] ?? 0;
          return Math.max(pause, error instanceof NotTaken ? error.retryAfterMs : 0);
        },
      },
    });
    worker.on('error', (error) => log.warn({ err: error, endpoint: endpoint.id }, 'notice worker'));
    this.#worker = worker;
  }

  wants(notice: BookedNotice): boolean {
    const { types } = this.#options.endpoint;
    return types.length === 0 || types.includes(noticeTypeOf(notice.body));
  }

  /** Adding a notice that is there already changes nothing. */
  async add(notices: readonly BookedNotice[]): Promise<void> {
    if (notices.length === 0) return;
    await this.#queue.addBulk(
      notices.map(({ id, body }) => ({ name: 'notice', data: { body }, opts: { jobId: id } })),
    );
  }

  async counts(): Promise<{ readonly waiting: number; readonly dead: number }> {
    const counts = await this.#queue.getJobCounts('wait', 'active', 'delayed', 'failed');
    const waiting = (counts['wait'] ?? 0) + (counts['active'] ?? 0) + (counts['delayed'] ?? 0);
    return { waiting, dead: counts['failed'] ?? 0 };
  }

  async dead(limit: number): Promise<readonly DeadLetter[]> {
    const jobs = await this.#queue.getFailed(0, limit - 1);
    return jobs.map((job) => ({
      id: job.id ?? '',
      type: noticeTypeOf(job.data.body),
      reason: job.failedReason,
      attempts: job.attemptsMade,
      bookedAt: new Date(job.timestamp).toISOString(),
    }));
  }

  /** The endpoint is called again; what could not be delivered meanwhile is sent, at most `limit` of it per call. */
  async enable(limit = 1_000): Promise<number> {
    await this.#options.states.enable(this.endpoint.id);
    const jobs = await this.#queue.getFailed(0, limit - 1);
    for (const job of jobs)
      await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
    return jobs.length;
  }

  /** Waits at most `graceMs` for what is being sent; the rest is sent again by whoever runs next, with the same id. */
  async close(graceMs: number): Promise<void> {
    if (this.#worker !== undefined) await stopWorker(this.#worker, this.#queue, () => this.#inHand, graceMs);
    await this.#queue.close();
    this.#sender.close();
  }

  async #counted(job: Job<NoticeJob>): Promise<void> {
    this.#inHand++;
    try {
      await this.#deliver(job);
    } finally {
      this.#inHand--;
    }
  }

  async #deliver(job: Job<NoticeJob>): Promise<void> {
    const { endpoint, states, settings, metrics, log, onDisabled } = this.#options;
    const { id } = endpoint;
    if (await states.isDisabled(id)) {
      metrics.deliveries.inc({ endpoint: id, outcome: 'dead' });
      throw new UnrecoverableError('the endpoint is disabled');
    }
    const result = await this.#sender.send({ id: job.id ?? '', body: job.data.body }, Date.now());
    await failpoint('notice-answered');
    if (result.kind === 'delivered') {
      metrics.deliveries.inc({ endpoint: id, outcome: 'delivered' });
      metrics.deliverySeconds.observe({ endpoint: id }, (Date.now() - job.timestamp) / 1_000);
      await states.succeeded(id, Date.now());
      return;
    }
    const isGone = result.kind === 'gone';
    const reason = isGone ? 'HTTP 410: the receiver does not want them' : result.reason;
    const isNowDisabled = await states.failed(id, Date.now(), reason, isGone, settings.disableAfterMs);
    if (isNowDisabled) onDisabled(id, reason);
    const isLast = isGone || job.attemptsMade + 1 >= this.#attempts;
    metrics.deliveries.inc({ endpoint: id, outcome: isLast ? 'dead' : 'retried' });
    if (isLast) log.error({ endpoint: id, notice: job.id, reason }, 'a notice could not be delivered');
    if (isGone) throw new UnrecoverableError(reason);
    throw new NotTaken(reason, result.retryAfterMs);
  }
}
