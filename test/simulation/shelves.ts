export interface SimRequest {
  /** Idempotency key. */
  readonly key: string;
  readonly kind: 'lower' | 'raise' | 'repair' | 'put';
  readonly from: number;
  readonly to: number;
  /** Lease token of the publisher that sends it. */
  readonly token: number;
}

export type ShelfAnswer =
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'accepted' }
  /** Shopify tells the present number beside the refusal; a careful publisher does not use it. */
  | { readonly kind: 'stale'; readonly shows: number };

/** What one channel's platform shows, and what its own orders do to it at once. */
export interface Shelf {
  readonly value: number;
  take(units: number, nowMs: number): void;
  giveBack(units: number, nowMs: number): void;
  edit(to: number, nowMs: number): void;
}

/** Shopify: deltas, compare-and-set, idempotency keys that are remembered for a while. */
export class DeltaShelf implements Shelf {
  value: number;
  readonly #keyWindowMs: number;
  readonly #keys = new Map<string, { readonly answer: ShelfAnswer; readonly untilMs: number }>();

  constructor(value: number, keyWindowMs: number) {
    this.value = value;
    this.#keyWindowMs = keyWindowMs;
  }

  take(units: number): void {
    this.value -= units;
  }

  giveBack(units: number): void {
    this.value += units;
  }

  edit(to: number): void {
    this.value = to;
  }

  write(request: SimRequest, nowMs: number): ShelfAnswer {
    const known = this.#keys.get(request.key);
    if (known !== undefined && nowMs < known.untilMs) return known.answer;
    const answer = this.#execute(request);
    this.#keys.set(request.key, { answer, untilMs: nowMs + this.#keyWindowMs });
    return answer;
  }

  #execute({ kind, from, to }: SimRequest): ShelfAnswer {
    if (kind !== 'lower' && this.value !== from) return { kind: 'stale', shows: this.value };
    this.value += to - from;
    return { kind: 'confirmed' };
  }
}

/** Amazon, TikTok: plain numbers, accepted now and applied when the world says so; reads may be old. */
export class AbsoluteShelf implements Shelf {
  #history: { readonly atMs: number; readonly value: number }[];

  constructor(value: number) {
    this.#history = [{ atMs: Number.NEGATIVE_INFINITY, value }];
  }

  get value(): number {
    return this.#history.at(-1)?.value ?? 0;
  }

  take(units: number, nowMs: number): void {
    this.#become(this.value - units, nowMs);
  }

  giveBack(units: number, nowMs: number): void {
    this.#become(this.value + units, nowMs);
  }

  edit(to: number, nowMs: number): void {
    this.#become(to, nowMs);
  }

  apply(to: number, nowMs: number): void {
    this.#become(to, nowMs);
  }

  valueAt(atMs: number): number {
    for (let index = this.#history.length - 1; index >= 0; index--) {
      const moment = this.#history[index];
      if (moment !== undefined && moment.atMs <= atMs) return moment.value;
    }
    return 0;
  }

  #become(value: number, nowMs: number): void {
    this.#history.push({ atMs: nowMs, value: Math.max(0, value) });
    if (this.#history.length > 200) this.#history = this.#history.slice(100);
  }
}
