import { setTimeout as delay } from 'node:timers/promises';
import type { LearnedBudget, PublishedBudget, RateLimiter } from '../connectors/ports.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { ScriptReply } from '../ledger/script-reply.ts';

/** The ledger's script caller, as far as the limiter uses it. */
export interface LimitScripts {
  call(command: string, args: readonly (string | number)[]): Promise<ScriptReply>;
}

interface Wish {
  readonly cost: number;
  readonly maxWaitMs: number;
  readonly budget: PublishedBudget | undefined;
}

interface Gathered {
  cost: number;
  maxWaitMs: number;
  readonly waitMs: Promise<number>;
}

/** What an answer said is told to Redis at most this often per operation, unless the platform refused. */
const learnEveryMs = 100;
const aloneEveryMs = 1_000;

/**
 * Budget of one channel's platform, shared by all daemons through one token bucket per operation. One call to Redis
 * grants and says how long to wait; the wait itself is spent here, so a queue of callers costs no polling.
 */
export class SharedRateLimiter implements RateLimiter {
  readonly #scripts: LimitScripts;
  readonly #channel: ChannelId;
  readonly #onFailure: (error: unknown) => void;
  readonly #untold = new Map<string, LearnedBudget>();
  readonly #tookAloneAt = new Map<string, number>();
  readonly #gathering = new Map<string, Gathered>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(scripts: LimitScripts, channel: ChannelId, onFailure: (error: unknown) => void) {
    this.#scripts = scripts;
    this.#channel = channel;
    this.#onFailure = onFailure;
  }

  async acquire(
    operation: string,
    cost: number,
    {
      maxWaitMs,
      signal,
      budget,
    }: {
      readonly maxWaitMs: number;
      readonly signal: AbortSignal;
      readonly budget?: PublishedBudget | undefined;
    },
  ): Promise<void> {
    signal.throwIfAborted();
    const waitMs = await this.#take(operation, { cost, maxWaitMs, budget });
    if (waitMs > maxWaitMs)
      throw new StockmeshError('CONNECTOR_LIMIT_WAIT', { operation, waitMs, maxWaitMs });
    if (waitMs > 0) await delay(waitMs, undefined, { signal });
  }

  /** Requests of one turn of the event loop share a call, as long as half a bucket holds them. */
  #take(operation: string, wish: Wish): Promise<number> {
    const most = wish.budget === undefined ? 1 : Math.max(1, Math.floor(wish.budget.capacity / 2));
    const open = this.#gathering.get(operation);
    if (open !== undefined && open.cost + wish.cost <= most) {
      open.cost += wish.cost;
      open.maxWaitMs = Math.max(open.maxWaitMs, wish.maxWaitMs);
      return open.waitMs;
    }
    const gathered: Gathered = {
      cost: wish.cost,
      maxWaitMs: wish.maxWaitMs,
      waitMs: Promise.resolve().then(() => {
        if (this.#gathering.get(operation) === gathered) this.#gathering.delete(operation);
        return this.#takeNow(operation, gathered.cost, gathered.maxWaitMs, wish.budget);
      }),
    };
    this.#gathering.set(operation, gathered);
    return gathered.waitMs;
  }

  /** How long the request has to wait; more than asked for: it was refused, and nothing was taken. */
  async #takeNow(
    operation: string,
    cost: number,
    maxWaitMs: number,
    budget: PublishedBudget | undefined,
  ): Promise<number> {
    const published = budget === undefined ? [] : [budget.capacity, budget.refillPerS];
    const args = ['take', this.#channel, operation, cost, maxWaitMs, ...published];
    const reply = await this.#scripts.call('rate-limit', args).catch((error: unknown) => {
      this.#takeAlone(operation, error);
      return undefined;
    });
    return reply === undefined ? 0 : Number(reply.fields[0]);
  }

  /**
   * Redis is away, and with it the budget that all daemons share. Asking a shop for its number must still be possible then:
   * one call per second and operation is below any platform's limit. Writes never come here: they are recorded first.
   */
  #takeAlone(operation: string, error: unknown): void {
    const isAway =
      error instanceof StockmeshError &&
      (error.code === 'LEDGER_UNREACHABLE' || error.code === 'LEDGER_UNAVAILABLE');
    const nowMs = performance.now();
    if (!isAway || nowMs - (this.#tookAloneAt.get(operation) ?? -aloneEveryMs) < aloneEveryMs) throw error;
    this.#tookAloneAt.set(operation, nowMs);
  }

  learn(operation: string, budget: LearnedBudget): void {
    this.#untold.set(operation, { ...this.#untold.get(operation), ...budget });
    if (budget.pauseMs !== undefined) this.#tell(operation);
    else if (!this.#timers.has(operation)) {
      this.#timers.set(
        operation,
        setTimeout(() => this.#tell(operation), learnEveryMs),
      );
    }
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #tell(operation: string): void {
    clearTimeout(this.#timers.get(operation));
    this.#timers.delete(operation);
    const budget = this.#untold.get(operation);
    this.#untold.delete(operation);
    if (budget === undefined) return;
    const { capacity = '', available = '', refillPerS = '', pauseMs = '' } = budget;
    const args = ['learn', this.#channel, operation, capacity, available, refillPerS, pauseMs];
    // What was not told is told by the next answer.
    this.#scripts.call('rate-limit', args).catch(this.#onFailure);
  }
}
