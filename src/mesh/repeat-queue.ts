import type { WriteRecord } from '../ledger/contract.ts';
import { jittered } from './alarm.ts';

/** Requests of unknown outcome, each with the time at which it is sent once more: later each time, bounded. */
export class RepeatQueue {
  readonly #byId = new Map<string, { readonly record: WriteRecord; readonly dueAtMs: number }>();
  readonly #firstMs: number;
  readonly #longestMs: number;

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
  }

  has(writeId: string): boolean {
    return this.#byId.has(writeId);
  }

  clear(): void {
    this.#byId.clear();
  }

  addNow(record: WriteRecord): void {
    this.#byId.set(record.writeId, { record, dueAtMs: 0 });
  }

  addLater(record: WriteRecord): void {
    const backOffMs = this.#firstMs * 2 ** Math.min(record.attempts - 1, 20);
    const waitMs = jittered(Math.min(backOffMs, this.#longestMs));
    this.#byId.set(record.writeId, { record, dueAtMs: performance.now() + waitMs });
  }

  /** The first that is due and may go; it leaves the queue. */
  take(nowMs: number, mayGo: (record: WriteRecord) => boolean): WriteRecord | undefined {
    for (const { record, dueAtMs } of this.#byId.values()) {
      if (dueAtMs > nowMs || !mayGo(record)) continue;
      this.#byId.delete(record.writeId);
      return record;
    }
    return undefined;
  }

  /** What is due and may not go yet is asked again soon. */
  nextMs(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { dueAtMs } of this.#byId.values()) nextMs = Math.min(nextMs, Math.max(dueAtMs, nowMs + 10));
    return nextMs;
  }
}
