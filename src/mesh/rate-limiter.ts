import type { LearnedBudget, PublishedBudget, RateLimiter } from '../connectors/ports.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { ScriptReply } from '../ledger/script-reply.ts';
import { BudgetTurns, type Grant } from './budget-turns.ts';

/** The ledger's script caller, as far as the limiter uses it. */
export interface LimitScripts {
  call(command: string, args: readonly (string | number)[]): Promise<ScriptReply>;
}

/** What an answer said is told to Redis at most this often per operation, unless the platform refused. */
const learnEveryMs = 100;
const aloneEveryMs = 1_000;

/**
 * Budget of one channel's platform, shared by all daemons through one token bucket per operation. One call to Redis
 * grants and says how long to wait; the wait itself is spent here, so a queue of callers costs no polling, and who of
 * them goes when it is over is decided then.
 */
export class SharedRateLimiter implements RateLimiter {
  readonly #scripts: LimitScripts;
  readonly #channel: ChannelId;
  readonly #onFailure: (error: unknown) => void;
  readonly #untold = new Map<string, LearnedBudget>();
  readonly #tookAloneAt = new Map<string, number>();
  readonly #turns = new Map<string, BudgetTurns>();
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
      isUrgent,
    }: {
      readonly maxWaitMs: number;
      readonly signal: AbortSignal;
      readonly budget?: PublishedBudget | undefined;
      readonly isUrgent?: (() => boolean) | undefined;
    },
  ): Promise<void> {
    signal.throwIfAborted();
    let turns = this.#turns.get(operation);
    if (turns === undefined) {
      turns = new BudgetTurns(operation, (...wish) => this.#take(operation, ...wish));
      this.#turns.set(operation, turns);
    }
    await turns.wait({ cost, maxWaitMs, signal, budget, isUrgent });
  }

  async #take(
    operation: string,
    cost: number,
    longestMs: number,
    budget: PublishedBudget | undefined,
  ): Promise<Grant> {
    const published = budget === undefined ? [] : [budget.capacity, budget.refillPerS];
    const args = ['take', this.#channel, operation, cost, longestMs, ...published];
    const reply = await this.#scripts.call('rate-limit', args).catch((error: unknown) => {
      this.#takeAlone(operation, error);
      return undefined;
    });
    if (reply === undefined) return { kind: 'granted', waitMs: 0, refillPerS: undefined };
    const waitMs = Number(reply.fields[0]);
    if (reply.outcome === 'refused') return { kind: 'refused', waitMs };
    return { kind: 'granted', waitMs, refillPerS: Number(reply.fields[1]) || undefined };
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
