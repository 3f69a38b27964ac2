import type { Redis } from 'ioredis';

export interface SeenSettings {
  readonly keepMs: number;
  readonly maxEntries: number;
  readonly flushMs: number;
}

/** Longer than any platform repeats a delivery (Shopify 4 h, Standard Webhooks 75 h). */
export const defaultSeenSettings: SeenSettings = {
  keepMs: 8 * 24 * 3_600_000,
  maxEntries: 500_000,
  flushMs: 20,
};

/**
 * Which deliveries have been worked on: it saves the work of a repeat and answers it as such. It is not what keeps a
 * repeat from counting twice (the applied state of the order does that), so marks may be written late and many at once.
 */
export class SeenDeliveries {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #settings: SeenSettings;
  #unwritten = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #writtenSinceTrim = 0;

  constructor(redis: Redis, key: string, settings: SeenSettings = defaultSeenSettings) {
    this.#redis = redis;
    this.#key = key;
    this.#settings = settings;
  }

  async has(jobId: string): Promise<boolean> {
    if (this.#unwritten.has(jobId)) return true;
    return (await this.#redis.zscore(this.#key, jobId)) !== null;
  }

  mark(jobId: string): void {
    this.#unwritten.add(jobId);
    this.#timer ??= setTimeout(() => void this.flush(), this.#settings.flushMs);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const marks = this.#unwritten;
    if (marks.size === 0) return;
    this.#unwritten = new Set();
    const nowMs = Date.now();
    try {
      await this.#redis.zadd(this.#key, ...[...marks].flatMap((jobId) => [nowMs, jobId]));
      this.#writtenSinceTrim += marks.size;
      if (this.#writtenSinceTrim < 1_000) return;
      this.#writtenSinceTrim = 0;
      await this.#redis.zremrangebyscore(this.#key, '-inf', nowMs - this.#settings.keepMs);
      await this.#redis.zremrangebyrank(this.#key, 0, -this.#settings.maxEntries - 1);
    } catch {
      // A lost mark costs one repeated application that changes nothing.
    }
  }
}
