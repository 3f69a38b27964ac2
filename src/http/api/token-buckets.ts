/** How much one caller may ask: on average, and at once. */
export interface Pace {
  readonly perSecond: number;
  readonly burst: number;
}

interface Bucket {
  left: number;
  atMs: number;
}

const maxBuckets = 50_000;

/**
 * Token buckets by name, in the memory of one daemon: a caller that spreads over N daemons gets N times its pace, and no
 * request pays a round trip for being counted. Names are bounded; one that was forgotten starts full.
 */
export class TokenBuckets {
  readonly #buckets = new Map<string, Bucket>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** 0: go on; otherwise milliseconds until there is room. */
  take(name: string, { perSecond, burst }: Pace): number {
    const nowMs = this.#nowMs();
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      if (this.#buckets.size >= maxBuckets) this.#forgetOldest();
      bucket = { left: burst, atMs: nowMs };
      this.#buckets.set(name, bucket);
    }
    bucket.left = Math.min(burst, bucket.left + ((nowMs - bucket.atMs) * perSecond) / 1_000);
    bucket.atMs = nowMs;
    if (bucket.left >= 1) {
      bucket.left--;
      return 0;
    }
    return Math.ceil(((1 - bucket.left) * 1_000) / perSecond);
  }

  #forgetOldest(): void {
    for (const name of this.#buckets.keys()) {
      this.#buckets.delete(name);
      if (this.#buckets.size < maxBuckets * 0.9) return;
    }
  }
}
