import { DelayedError, type Job, type Queue, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { StockmeshError } from '../domain/errors.ts';
import type { MeshState } from '../ledger/contract.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import {
  type Delivery,
  type InboxJobData,
  decodeDelivery,
  inboxQueueName,
  parkedDeliveryId,
  payloadHash,
} from './inbox-job.ts';
import type { SeenDeliveries } from './seen-deliveries.ts';
import { stopWorker } from './stop-worker.ts';

export interface InboxWorkerSettings {
  readonly concurrency: number;
  readonly handleTimeoutMs: number;
  readonly attempts: number;
  /** A delivery during whose handling the process died this often is poison. */
  readonly maxDeaths: number;
  readonly lockMs: number;
  readonly stalledIntervalMs: number;
  readonly keepFailedJobs: number;
}

export type InboxEvent =
  | { readonly kind: 'depth'; readonly jobs: number }
  | { readonly kind: 'started'; readonly waitedMs: number }
  | { readonly kind: 'done' | 'retried' | 'parked' | 'stalled' };

export interface InboxWorkerOptions {
  readonly queue: Queue<InboxJobData>;
  readonly redis: Redis;
  readonly queuePrefix: string;
  readonly seen: SeenDeliveries;
  readonly mesh: Pick<MeshState, 'park'>;
  readonly log: Logger;
  readonly handle: (delivery: Delivery, signal: AbortSignal) => Promise<void>;
  readonly observe: (event: InboxEvent) => void;
  readonly settings: InboxWorkerSettings;
}

/** Works on the jobs of the inbox; the states of a job are told at `Inbox`. */
export class InboxWorker {
  readonly #options: InboxWorkerOptions;
  #worker: Worker<InboxJobData>;
  #lastProgressAtMs = 0;
  #inHand = 0;
  #isSuspectRunning = false;

  constructor(options: InboxWorkerOptions) {
    this.#options = options;
    this.#worker = this.#make();
  }

  get sinceProgressMs(): number {
    return this.#lastProgressAtMs === 0 ? Number.POSITIVE_INFINITY : Date.now() - this.#lastProgressAtMs;
  }

  async rebuild(): Promise<void> {
    const old = this.#worker;
    this.#worker = this.#make();
    await old.close(true);
  }

  close(graceMs: number): Promise<void> {
    return stopWorker(this.#worker, this.#options.queue, () => this.#inHand, graceMs);
  }

  #make(): Worker<InboxJobData> {
    const { concurrency, lockMs, stalledIntervalMs, maxDeaths } = this.#options.settings;
    const { redis, queuePrefix, log } = this.#options;
    const worker = new Worker<InboxJobData>(inboxQueueName, (job, token) => this.#counted(job, token), {
      connection: redis,
      prefix: queuePrefix,
      concurrency,
      lockDuration: lockMs,
      stalledInterval: stalledIntervalMs,
      // Poison is judged in #run, where it can be parked with its reason; this is only the outer bound.
      maxStalledCount: maxDeaths * 2,
      drainDelay: 2,
    });
    worker.on('error', (error) => log.warn({ err: error }, 'inbox worker'));
    worker.on('stalled', (jobId) => {
      this.#options.observe({ kind: 'stalled' });
      log.warn({ jobId }, 'a delivery was left by a dead or blocked worker and starts again');
    });
    worker.on('failed', (job, error) => {
      if (job === undefined) void this.parkFailed();
      else if (job.finishedOn !== undefined) void this.#park(job, error.message).catch(() => undefined);
      else this.#options.observe({ kind: 'retried' });
    });
    return worker;
  }

  async #counted(job: Job<InboxJobData>, token: string | undefined): Promise<void> {
    this.#inHand++;
    try {
      await this.#run(job, token);
    } finally {
      this.#inHand--;
    }
  }

  async #run(job: Job<InboxJobData>, token: string | undefined): Promise<void> {
    this.#lastProgressAtMs = Date.now();
    if (job.name === 'canary') return;
    this.#options.observe({ kind: 'started', waitedMs: Math.max(0, Date.now() - job.timestamp) });
    if (job.stalledCounter >= this.#options.settings.maxDeaths) {
      // Unrecoverable, not done: the job is kept for a person who wants it tried again.
      const reason = `the process died or was blocked ${job.stalledCounter} times while handling it`;
      throw new UnrecoverableError(reason);
    }
    // Of the jobs that were in hand when the process died only one is to blame: they are tried one at a time, so that
    // the guilty one does not count its deaths onto the others.
    const isSuspect = job.stalledCounter > 0;
    if (isSuspect && this.#isSuspectRunning) return this.#postpone(job, token, 500);
    if (isSuspect) this.#isSuspectRunning = true;
    await failpoint('job-started');
    try {
      await this.#handleInTime(decodeDelivery(job.data));
    } catch (error) {
      if (isWorthWaiting(error, job)) return await this.#postpone(job, token, 2_000);
      throw error;
    } finally {
      if (isSuspect) this.#isSuspectRunning = false;
    }
    this.#options.seen.mark(job.id ?? '');
    this.#lastProgressAtMs = Date.now();
    this.#options.observe({ kind: 'done' });
  }

  /** Later, without counting an attempt. */
  async #postpone(job: Job<InboxJobData>, token: string | undefined, aboutMs: number): Promise<never> {
    this.#options.observe({ kind: 'retried' });
    await job.moveToDelayed(Date.now() + aboutMs * (0.5 + Math.random()), token);
    throw new DelayedError();
  }

  /** A handler that hangs would keep its lock, and its place in the worker, for ever. */
  async #handleInTime(delivery: Delivery): Promise<void> {
    const abort = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        abort.abort();
        reject(new Error(`not handled within ${this.#options.settings.handleTimeoutMs} ms`));
      }, this.#options.settings.handleTimeoutMs);
    });
    try {
      await Promise.race([this.#options.handle(delivery, abort.signal), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #park(job: Job<InboxJobData>, reason: string): Promise<void> {
    const { channel, deliveryId, topic, body } = decodeDelivery(job.data);
    this.#options.log.error({ channel, deliveryId, topic, reason }, 'a delivery is parked');
    this.#options.observe({ kind: 'parked' });
    await this.#options.mesh.park({
      id: parkedDeliveryId(job.id ?? ''),
      channel,
      what: 'delivery',
      reference: deliveryId,
      reason: reason.slice(0, 500),
      content: JSON.stringify({ topic, bytes: body.length, sha256: payloadHash(body), job: job.id }),
      parkedAtMs: Date.now(),
      times: 1,
    });
  }

  /** A process that died between the last failure and the parking leaves a failed job nobody sees. */
  async parkFailed(): Promise<void> {
    try {
      for (const job of await this.#options.queue.getFailed(0, this.#options.settings.keepFailedJobs - 1)) {
        await this.#park(job, job.failedReason);
      }
    } catch (error) {
      this.#options.log.warn({ err: error }, 'failed deliveries could not be listed');
    }
  }
}

/** An outage is not the delivery's fault, nor is a ledger that waits for a person; a day tells them from a defect. */
function isWorthWaiting(error: unknown, job: Job<InboxJobData>): boolean {
  if (!(error instanceof StockmeshError) || Date.now() - job.timestamp > 24 * 3_600_000) return false;
  return error.retryable || error.code === 'LEDGER_HALTED';
}
