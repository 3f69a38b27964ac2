import type { ReservationMetrics } from './reservation-metrics.ts';

export type QueueResult<Result> =
  | { readonly kind: 'served'; readonly result: Result }
  | { readonly kind: 'full' | 'timeout'; readonly last: Result };

interface Waiter {
  wake: () => void;
}

/** A turn is taken again after that long even when nothing was heard: a change may have been missed. */
const lookAgainMs = 250;

/**
 * Short queues of sold-out SKUs, in the memory of one daemon: whoever waits is served in the order of arrival as units come
 * back, and nobody who comes later overtakes. Across daemons the ledger decides, first come first served.
 *
 *   asked --no queue, got it--> served        asked --sold out, or others wait--> waiting (bounded in number and time)
 *   waiting --first in line and stock moved--> asks again --got it--> served     waiting --time is up--> timeout
 */
export class HotQueue {
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #maxWaiting: number;
  readonly #metrics: Pick<ReservationMetrics, 'queueWaiting' | 'queueSeconds'>;

  constructor(maxWaiting: number, metrics: Pick<ReservationMetrics, 'queueWaiting' | 'queueSeconds'>) {
    this.#maxWaiting = maxWaiting;
    this.#metrics = metrics;
  }

  isQueued(sku: string): boolean {
    return this.#waiting.has(sku);
  }

  /** The stock of these SKUs moved. */
  moved(skus: Iterable<string>): void {
    if (this.#waiting.size === 0) return;
    for (const sku of skus) this.#waiting.get(sku)?.[0]?.wake();
  }

  /** Waits for at most `waitMs`; `ask` is called when it is its turn, `isServed` says whether that ends it. */
  async wait<Result>(
    sku: string,
    waitMs: number,
    denied: Result,
    ask: () => Promise<Result>,
    isServed: (result: Result) => boolean,
    signal?: AbortSignal,
  ): Promise<QueueResult<Result>> {
    const line = this.#waiting.get(sku) ?? [];
    if (line.length >= this.#maxWaiting) return { kind: 'full', last: denied };
    const waiter: Waiter = { wake: () => undefined };
    line.push(waiter);
    this.#waiting.set(sku, line);
    this.#metrics.queueWaiting.inc();
    const startedMs = performance.now();
    let last = denied;
    let outcome = 'timeout';
    try {
      for (;;) {
        const leftMs = waitMs - (performance.now() - startedMs);
        if (leftMs <= 0 || signal?.aborted === true) return { kind: 'timeout', last };
        await new Promise<void>((resolve) => {
          waiter.wake = resolve;
          const timer = setTimeout(resolve, Math.min(leftMs, lookAgainMs));
          timer.unref();
        });
        if (line[0] !== waiter) continue;
        last = await ask();
        if (!isServed(last)) continue;
        outcome = 'served';
        return { kind: 'served', result: last };
      }
    } finally {
      line.splice(line.indexOf(waiter), 1);
      if (line.length === 0) this.#waiting.delete(sku);
      // There may be enough for the next one too.
      else line[0]?.wake();
      this.#metrics.queueWaiting.dec();
      this.#metrics.queueSeconds.observe({ outcome }, (performance.now() - startedMs) / 1_000);
    }
  }
}
