import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { StockmeshError } from '../domain/errors.ts';
import { orLate } from './or-late.ts';
import { checkRedis, type Durability } from './redis-checks.ts';

export type RedisHealth =
  | { readonly kind: 'unchecked' }
  | { readonly kind: 'right' }
  /** It serves, and would lose or evict what it acknowledges: nothing may be written until it is right again. */
  | { readonly kind: 'wrong'; readonly error: StockmeshError }
  | { readonly kind: 'away'; readonly error: StockmeshError };

export type RedisWatchSettings = {
  readonly redis: Redis;
  readonly durability: Durability;
  readonly intervalMs: number;
  /** Called on every change of kind. */
  readonly onChange: (health: RedisHealth) => void;
  readonly onChecked?: (tookMs: number) => void;
};

const maxCheckMs = 2_000;

/**
 * Repeats the checks of the start while the daemon runs, because a setting of an external Redis can change at any time.
 *
 *   unchecked --all right--> right --a setting is wrong--> wrong --all right--> right
 *   any       --no answer within 2 s--> away --answer--> right | wrong
 */
export class RedisWatch {
  readonly #settings: RedisWatchSettings;
  readonly #stopping = new AbortController();
  #health: RedisHealth = { kind: 'unchecked' };
  #loop: Promise<void> | undefined;

  constructor(settings: RedisWatchSettings) {
    this.#settings = settings;
  }

  get health(): RedisHealth {
    return this.#health;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  /** One round now. */
  async check(): Promise<RedisHealth> {
    const startedAt = performance.now();
    const found = await this.#judge();
    this.#settings.onChecked?.(performance.now() - startedAt);
    if (found.kind !== this.#health.kind) this.#settings.onChange(found);
    this.#health = found;
    return found;
  }

  async #judge(): Promise<RedisHealth> {
    const { redis, durability } = this.#settings;
    try {
      if ((await orLate(checkRedis(redis, durability), maxCheckMs, 'late')) === 'late')
        throw new StockmeshError('REDIS_UNAVAILABLE', { address: 'the ledger', reason: 'no answer' });
      return { kind: 'right' };
    } catch (error) {
      if (!(error instanceof StockmeshError)) throw error;
      return { kind: error.code === 'REDIS_UNAVAILABLE' ? 'away' : 'wrong', error };
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.check();
      await delay(this.#settings.intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
