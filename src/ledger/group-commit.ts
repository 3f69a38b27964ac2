import { StockmeshError } from '../domain/errors.ts';

export interface GroupCommitLimits {
  readonly maxBatch: number;
  /** Calls on their way at a time; more than one keeps the server busy while replies are read. */
  readonly maxInFlight: number;
  readonly maxWaiting: number;
  /** The first call waits for the end of the event-loop turn too: for callers that come in groups. */
  readonly gathers?: boolean;
  /**
   * A call leaves beside the one on its way, at the end of the turn, once at least as many wait as that one carries: the
   * server works while answers are told, and no call is smaller for it than the one before.
   */
  readonly pairs?: boolean;
}

interface Waiting<Request, Answer> {
  readonly request: Request;
  readonly weight: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends the concurrent calls of one daemon as one: what arrives while calls are on their way waits and leaves together.
 *
 *   idle --add--> sending (a batch of one, at once) --add--> waiting --a call returns, or as many wait as it carries--> sending (all that waits)
 *
 * One caller at a time pays nothing (unless it gathers: one turn of the loop). After a batch of several the next one leaves at the end of the event-loop turn, so
 * that the callers just answered can join it instead of waiting a whole round behind a batch of one.
 */
export class GroupCommit<Request, Answer> {
  readonly #command: string;
  readonly #send: (requests: readonly Request[]) => Promise<readonly Answer[]>;
  readonly #weigh: (request: Request) => number;
  readonly #limits: GroupCommitLimits;
  #waiting: Waiting<Request, Answer>[] = [];
  #inFlight = 0;
  /** Requests of the newest call. */
  #lastSize = 0;
  #isScheduled = false;

  constructor(
    command: string,
    limits: GroupCommitLimits,
    weigh: (request: Request) => number,
    send: (requests: readonly Request[]) => Promise<readonly Answer[]>,
  ) {
    this.#command = command;
    this.#limits = limits;
    this.#weigh = weigh;
    this.#send = send;
  }

  add(request: Request): Promise<Answer> {
    if (this.#waiting.length >= this.#limits.maxWaiting) {
      return Promise.reject(
        new StockmeshError('LEDGER_OVERLOADED', { limit: this.#limits.maxWaiting, command: this.#command }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, weight: this.#weigh(request), resolve, reject });
      if (this.#isScheduled) return;
      if (this.#limits.gathers === true) {
        if (this.#inFlight < this.#limits.maxInFlight) this.#schedule();
      } else if (this.#inFlight === 0) this.#sendBatch();
      else if (this.#isPair()) this.#schedule();
    });
  }

  #isPair(): boolean {
    const { pairs, maxInFlight } = this.#limits;
    return pairs === true && this.#inFlight < maxInFlight && this.#waiting.length >= this.#lastSize;
  }

  #sendWaiting(): void {
    this.#isScheduled = false;
    while (this.#waiting.length > 0 && this.#inFlight < this.#limits.maxInFlight) this.#sendBatch();
  }

  #sendBatch(): void {
    const batch = this.#takeBatch();
    this.#inFlight++;
    this.#lastSize = batch.length;
    void this.#settle(batch);
  }

  async #settle(batch: readonly Waiting<Request, Answer>[]): Promise<void> {
    try {
      const answers = await this.#send(batch.map((waiting) => waiting.request));
      for (const [index, waiting] of batch.entries()) waiting.resolve(answers[index] as Answer);
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    }
    this.#inFlight--;
    this.#afterBatch(batch.length);
  }

  /** As many as fit; at least one, however heavy. */
  #takeBatch(): readonly Waiting<Request, Answer>[] {
    let count = 0;
    for (let weight = 0; count < this.#waiting.length; count++) {
      weight += this.#waiting[count]?.weight ?? 0;
      if (count > 0 && weight > this.#limits.maxBatch) break;
    }
    return this.#waiting.splice(0, count);
  }

  #afterBatch(size: number): void {
    if (size === 1 && this.#waiting.length === 0) return;
    if (!this.#isScheduled) this.#schedule();
  }

  #schedule(): void {
    this.#isScheduled = true;
    setImmediate(() => this.#sendWaiting());
  }
}
