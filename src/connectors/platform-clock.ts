import type { Clock } from './ports.ts';

interface Sample {
  /** The platform's clock minus ours lies between the two. */
  readonly leastMs: number;
  readonly mostMs: number;
}

const maxSamples = 32;
/** A `Date` header drops the fraction of the second. */
const headerStepMs = 1_000;
const implausibleOffsetMs = 400 * 86_400_000;

/**
 * The platform's clock, estimated from the `Date` headers of its answers. A header only bounds the difference to our
 * clock: it was written after the request was sent and before the answer arrived. The bounds of recent answers are
 * intersected; while "no difference" fits them, that is the answer, since both sides usually keep NTP time and one
 * second of header resolution is worse than that. Otherwise the earliest moment that fits is used: a read dated too
 * early is only judged once more, one dated too late would claim orders that it did not contain.
 */
export class PlatformClock {
  readonly #clock: Clock;
  #samples: Sample[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True once an answer carried a usable date. */
  get isKnown(): boolean {
    return this.#samples.length > 0;
  }

  learn(dateHeader: string | null | undefined, sentAtMs: number, receivedAtMs: number): void {
    const dateMs = dateHeader === null || dateHeader === undefined ? Number.NaN : Date.parse(dateHeader);
    if (!Number.isFinite(dateMs) || Math.abs(dateMs - receivedAtMs) > implausibleOffsetMs) return;
    this.#samples.push({ leastMs: dateMs - receivedAtMs, mostMs: dateMs + headerStepMs - sentAtMs });
    if (this.#samples.length > maxSamples) this.#samples.shift();
  }

  /** A moment of our clock, by the platform's clock. */
  at(ourMs: number): number {
    return ourMs + this.#offsetMs();
  }

  nowMs(): number {
    return this.at(this.#clock.nowMs());
  }

  #offsetMs(): number {
    if (this.#samples.length === 0) return 0;
    let leastMs = Math.max(...this.#samples.map((sample) => sample.leastMs));
    let mostMs = Math.min(...this.#samples.map((sample) => sample.mostMs));
    const newest = this.#samples.at(-1);
    if (leastMs > mostMs && newest !== undefined) {
      // One of the clocks was set meanwhile: only the newest answer says anything about now.
      this.#samples = [newest];
      ({ leastMs, mostMs } = newest);
    }
    return leastMs <= 0 && mostMs >= 0 ? 0 : leastMs;
  }
}
