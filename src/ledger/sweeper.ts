import { setTimeout as delay } from 'node:timers/promises';
import type { Ledger } from './contract.ts';

const mostPerSweep = 100;

export interface SweeperOptions {
  readonly ledger: Pick<Ledger, 'sweep'>;
  readonly everyMs?: number;
  readonly onError?: (error: unknown) => void;
}

/**
 * Ends due holds on time: every 250 ms, at once again while a sweep was full, and at the next deadline when it is
 * sooner. Every daemon runs one; a sweep that finds nothing costs a few microseconds, so no leader is needed.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #everyMs: number;
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? 250;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const pauseMs = await this.#sweepOnce();
      await delay(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #sweepOnce(): Promise<number> {
    try {
      const { expired, nextDueInMs } = await this.#options.ledger.sweep(mostPerSweep);
      if (expired >= mostPerSweep) return 1;
      return Math.min(this.#everyMs, Math.max(1, nextDueInMs ?? this.#everyMs));
    } catch (error) {
      this.#options.onError?.(error);
      return this.#everyMs * 4;
    }
  }
}
