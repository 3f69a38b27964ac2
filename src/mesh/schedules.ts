import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { type ScheduledTask, schedule } from 'node-cron';
import type { Logger } from 'pino';
import type { MeshState } from '../ledger/contract.ts';

export interface Task {
  /** Stable and unique, e.g. `access:shop-a`. */
  readonly name: string;
  readonly everyMs: number;
  /** Must be harmless to repeat: a job whose worker dies runs again. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface SchedulesOptions {
  readonly redis: Redis;
  readonly queuePrefix: string;
  readonly mesh: Pick<MeshState, 'takePeriod'>;
  readonly tasks: readonly Task[];
  readonly log: Logger;
  readonly timeoutMs?: number | undefined;
}

const queueName = 'schedule';
const maxWaiting = 1_000;
const defaultTimeoutMs = 120_000;

/**
 * Periodic tasks, each once per period for all daemons of the merchant. Every daemon ticks; whoever takes the period's
 * key in the ledger adds the job, and any daemon's worker runs it. A tick that comes late finds the period open and takes
 * it; a period in which no daemon lived is left out.
 */
export class Schedules {
  readonly #options: SchedulesOptions;
  readonly #queue: Queue<{ readonly task: string }>;
  readonly #tasks: ReadonlyMap<string, Task>;
  readonly #asked = new Map<string, number>();
  readonly #closing = new AbortController();
  #worker: Worker<{ readonly task: string }> | undefined;
  #cron: ScheduledTask | undefined;
  #isTicking = false;

  constructor(options: SchedulesOptions) {
    this.#options = options;
    this.#tasks = new Map(options.tasks.map((task) => [task.name, task]));
    this.#queue = new Queue(queueName, {
      connection: options.redis,
      prefix: options.queuePrefix,
      streams: { events: { maxLen: 100 } },
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: { count: 100, age: 86_400 } },
    });
    this.#queue.on('error', (error) => options.log.warn({ err: error }, 'schedule queue'));
  }

  start(): void {
    const { redis, queuePrefix, log } = this.#options;
    this.#worker = new Worker(queueName, (job) => this.#run(job.data.task), {
      connection: redis,
      prefix: queuePrefix,
      concurrency: 4,
      lockDuration: 10_000,
      stalledInterval: 5_000,
      maxStalledCount: 1,
    });
    this.#worker.on('error', (error) => log.warn({ err: error }, 'schedule worker'));
    this.#worker.on('failed', (job, error) =>
      log.warn({ task: job?.data.task, err: error }, 'a scheduled task failed'),
    );
    // A missed second is nothing: the next tick finds the period open. Its own warnings would go past our log.
    const silent = (): void => undefined;
    this.#cron = schedule('* * * * * *', () => this.tick(Date.now()), {
      suppressMissedWarning: true,
      logger: {
        info: silent,
        debug: silent,
        warn: (message) => log.debug({ message }, 'tick'),
        error: (message) => log.warn({ message: String(message) }, 'tick'),
      },
    });
  }

  /** One look at the clock; called every second. */
  async tick(nowMs: number): Promise<void> {
    if (this.#isTicking || this.#options.redis.status !== 'ready') return;
    this.#isTicking = true;
    try {
      for (const task of this.#tasks.values()) {
        const period = Math.floor(nowMs / task.everyMs);
        if (this.#asked.get(task.name) === period) continue;
        if (await this.#options.mesh.takePeriod(task.name, String(period))) await this.#add(task.name);
        this.#asked.set(task.name, period);
      }
    } catch (error) {
      this.#options.log.warn({ err: error }, 'a scheduled task was not started; the next tick tries again');
    } finally {
      this.#isTicking = false;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#cron?.destroy();
    await this.#worker?.close(true);
    await this.#queue.close();
  }

  async #add(task: string): Promise<void> {
    const counts = await this.#queue.getJobCounts('wait');
    if ((counts['wait'] ?? 0) >= maxWaiting) throw new Error('too many scheduled jobs wait');
    await this.#queue.add('task', { task });
  }

  async #run(name: string): Promise<void> {
    const task = this.#tasks.get(name);
    // Of another version of the configuration.
    if (task === undefined) return;
    // Not AbortSignal.any with AbortSignal.timeout: that pair may be collected before it fires.
    const abort = new AbortController();
    const giveUp = (): void => abort.abort();
    this.#closing.signal.addEventListener('abort', giveUp, { once: true });
    const timer = setTimeout(giveUp, this.#options.timeoutMs ?? defaultTimeoutMs);
    const late = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(new Error(`${name} was given up`)), { once: true });
    });
    try {
      await Promise.race([task.run(abort.signal), late]);
    } finally {
      clearTimeout(timer);
      this.#closing.signal.removeEventListener('abort', giveUp);
    }
  }
}
