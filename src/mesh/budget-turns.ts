import type { PublishedBudget } from '../connectors/ports.ts';
import { StockmeshError } from '../domain/errors.ts';

export interface TurnWish {
  readonly cost: number;
  readonly maxWaitMs: number;
  readonly signal: AbortSignal;
  readonly budget: PublishedBudget | undefined;
  /** Goes before everything that is not, whoever came first; may become true while it waits. */
  readonly isUrgent: (() => boolean) | undefined;
}

/** What the shared bucket answers to one call. */
export type Grant =
  /** The budget is ours after `waitMs`; `refillPerS` where the bucket has been described. */
  | { readonly kind: 'granted'; readonly waitMs: number; readonly refillPerS: number | undefined }
  /** Nothing was taken: it would be there after `waitMs`. */
  | { readonly kind: 'refused'; readonly waitMs: number };

export type TakeBudget = (
  cost: number,
  longestMs: number,
  budget: PublishedBudget | undefined,
) => Promise<Grant>;

interface Turn extends TurnWish {
  readonly deadlineMs: number;
  readonly go: () => void;
  readonly fail: (error: unknown) => void;
}

interface Group {
  readonly turns: readonly Turn[];
  readonly cost: number;
}

interface Ripening {
  readonly cost: number;
  readonly atMs: number;
}

/** Costs are sums of decimals. */
const rounding = 1e-6;
/** What refills in this time is not worth a call of its own. */
const atOnceMs = 20;

/**
 * Callers of one operation of one platform, waiting for its budget. Budget is taken from the shared bucket first, and
 * who it is for is decided when it is there: a request that still waits gives way to an urgent one that comes later.
 *
 *   waiting, not covered --no call under way: asked for together--> covered by it
 *   call --granted, at once--> held budget --> the first ones go
 *        --granted, later--> ripening; nothing further is asked for meanwhile --ripe--> held budget
 *        --refused--> who cannot wait that long is told so, nothing was taken
 *   waiting --its turn would come too late, aborted--> gone
 */
export class BudgetTurns {
  readonly #operation: string;
  readonly #take: TakeBudget;
  /** In order of arrival. */
  readonly #waiting: Turn[] = [];
  /** Budget that calls under way ask for. */
  #asked = 0;
  /** Budget that is ours and whose time has not come, the earliest first. */
  readonly #ripening: Ripening[] = [];
  #held = 0;
  #refillPerS: number | undefined;
  #isGathering = false;

  constructor(operation: string, take: TakeBudget) {
    this.#operation = operation;
    this.#take = take;
  }

  /** Rejects with CONNECTOR_LIMIT_WAIT as soon as it is known that the turn would come too late. */
  wait(wish: TurnWish): Promise<void> {
    return new Promise((resolve, reject) => {
      const deadlineMs = performance.now() + wish.maxWaitMs;
      const onAbort = (): void => this.#leave(turn, wish.signal.reason);
      const turn: Turn = {
        ...wish,
        deadlineMs,
        go: () => {
          wish.signal.removeEventListener('abort', onAbort);
          resolve();
        },
        fail: (error) => {
          wish.signal.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      wish.signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(turn);
      if (this.#ripening.length > 0) this.#dropLate();
      this.#gather();
    });
  }

  /** Urgent ones first, each in order of arrival. */
  #inOrder(): readonly Turn[] {
    const isUrgent = (turn: Turn): boolean => turn.isUrgent?.() === true;
    return this.#waiting.toSorted((a, b) => Number(isUrgent(b)) - Number(isUrgent(a)));
  }

  /**
   * Callers of one turn of the event loop share a call, and so do all that come while one is under way: at hundreds of
   * requests a second a call for each was nearly half of all calls to Redis.
   */
  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    queueMicrotask(() => {
      this.#isGathering = false;
      if (this.#ripening.length > 0 || this.#asked > 0) return;
      const group = this.#uncovered();
      if (group.turns.length > 0) void this.#ask(group);
    });
  }

  /**
   * The next ones that nothing was asked for, as many as half a bucket holds, or as come into it at once: a call never
   * empties it at a stroke.
   */
  #uncovered(): Group {
    let covered = this.#asked + this.#held;
    let cost = 0;
    const turns: Turn[] = [];
    for (const turn of this.#inOrder()) {
      const open = turn.cost - covered;
      covered = Math.max(0, -open);
      if (open <= rounding) continue;
      const most = Math.max(
        1,
        (turn.budget?.capacity ?? 0) / 2,
        ((this.#refillPerS ?? 0) * atOnceMs) / 1_000,
      );
      if (turns.length > 0 && cost + open > most) break;
      cost += open;
      turns.push(turn);
    }
    return { turns, cost };
  }

  async #ask({ turns, cost }: Group): Promise<void> {
    const nowMs = performance.now();
    const longestMs = Math.ceil(Math.max(...turns.map(({ deadlineMs }) => Math.max(0, deadlineMs - nowMs))));
    this.#asked += cost;
    let grant: Grant;
    try {
      grant = await this.#take(cost, longestMs, turns[0]?.budget);
    } catch (error) {
      this.#asked -= cost;
      for (const turn of turns) this.#leave(turn, error);
      this.#gather();
      return;
    }
    this.#asked -= cost;
    if (grant.kind === 'refused') {
      for (const turn of turns) this.#leave(turn, this.#tooLong(turn, grant.waitMs));
      this.#gather();
      return;
    }
    this.#refillPerS = grant.refillPerS ?? this.#refillPerS;
    if (grant.waitMs <= 0) return this.#ripe(cost);
    const ripening = { cost, atMs: performance.now() + grant.waitMs };
    const place = this.#ripening.findIndex(({ atMs }) => atMs > ripening.atMs);
    this.#ripening.splice(place < 0 ? this.#ripening.length : place, 0, ripening);
    this.#dropLate();
    setTimeout(() => {
      this.#ripening.splice(this.#ripening.indexOf(ripening), 1);
      this.#ripe(cost);
    }, grant.waitMs).unref();
  }

  #ripe(cost: number): void {
    this.#held += cost;
    for (const first of this.#inOrder()) {
      if (first.cost > this.#held + rounding) break;
      this.#held -= first.cost;
      this.#waiting.splice(this.#waiting.indexOf(first), 1);
      first.go();
    }
    // What nobody wants any more is not saved up: it would be spent beside what the bucket holds by then.
    if (this.#waiting.length === 0) this.#held = 0;
    else if (this.#ripening.length > 0) this.#dropLate();
    this.#gather();
  }

  /** Tells those whose turn cannot come in time, while what is ripening says when it can. */
  #dropLate(): void {
    const nowMs = performance.now();
    const later = [...this.#ripening];
    let there = this.#held + this.#asked;
    let thereAtMs = nowMs;
    let needed = 0;
    const late: [Turn, number][] = [];
    for (const turn of this.#inOrder()) {
      needed += turn.cost;
      while (there + rounding < needed) {
        const next = later.shift();
        if (next === undefined) break;
        there += next.cost;
        thereAtMs = Math.max(nowMs, next.atMs);
      }
      const missing = needed - there;
      const furtherMs = missing <= rounding ? 0 : (missing * 1_000) / (this.#refillPerS ?? Infinity);
      // A millisecond more: the deadline and the ripening were taken from the clock one after the other.
      if (thereAtMs + furtherMs <= turn.deadlineMs + 1) continue;
      late.push([turn, Math.ceil(thereAtMs + furtherMs - nowMs)]);
      needed -= turn.cost;
    }
    for (const [turn, waitMs] of late) this.#leave(turn, this.#tooLong(turn, waitMs));
  }

  #tooLong({ maxWaitMs }: Turn, waitMs: number): StockmeshError {
    return new StockmeshError('CONNECTOR_LIMIT_WAIT', { operation: this.#operation, waitMs, maxWaitMs });
  }

  #leave(turn: Turn, reason: unknown): void {
    const place = this.#waiting.indexOf(turn);
    if (place < 0) return;
    this.#waiting.splice(place, 1);
    turn.fail(reason);
  }
}
