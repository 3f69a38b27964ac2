import type { Histogram, Registry } from 'prom-client';

export interface TalliedHistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Of the one label. */
  readonly label: string;
  /** Upper bounds, lowest first. */
  readonly buckets: readonly number[];
  readonly registry: Registry;
}

/** One label value's figures: observing is a short loop over numbers. */
export class Tallied {
  readonly counts: number[];
  readonly #bounds: readonly number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] ?? 0)) at++;
    if (at < bounds.length) this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sum += value;
    this.count++;
  }

  reset(): void {
    this.counts.fill(0);
    this.sum = 0;
    this.count = 0;
  }
}

/**
 * A histogram for what is observed at every request: prom-client checks and hashes the labels of each observation and
 * keeps counts under texts, which costs more than some of the answers it measures. Shown as its own are.
 */
export class TalliedHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #label: string;
  readonly #buckets: readonly number[];
  readonly #known = new Map<string, Tallied>();

  constructor({ name, help, label, buckets, registry }: TalliedHistogramOptions) {
    this.name = name;
    this.help = help;
    this.#label = label;
    this.#buckets = buckets;
    // What a registry calls of a metric is `get` and `reset`; its type asks for one of its own classes.
    registry.registerMetric(this as unknown as Histogram);
  }

  /** Asked for once, kept by whoever observes. */
  of(value: string): Tallied {
    let tallied = this.#known.get(value);
    if (tallied === undefined) {
      tallied = new Tallied(this.#buckets);
      this.#known.set(value, tallied);
    }
    return tallied;
  }

  async get(): Promise<object> {
    const values: object[] = [];
    for (const [value, { counts, sum, count }] of this.#known) {
      if (count === 0) continue;
      const labels = { [this.#label]: value };
      let total = 0;
      for (const [at, le] of this.#buckets.entries()) {
        total += counts[at] ?? 0;
        values.push({ labels: { le, ...labels }, value: total, metricName: `${this.name}_bucket` });
      }
      values.push({ labels: { le: '+Inf', ...labels }, value: count, metricName: `${this.name}_bucket` });
      values.push({ labels, value: sum, metricName: `${this.name}_sum` });
      values.push({ labels, value: count, metricName: `${this.name}_count` });
    }
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values };
  }

  reset(): void {
    for (const tallied of this.#known.values()) tallied.reset();
  }
}
