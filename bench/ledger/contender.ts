import type { Attempt } from '../support/closed-loop.ts';

/** One way to take a unit of stock under concurrency. */
export interface Contender {
  readonly name: string;
  /** Sets every SKU `sku-0` … to `units`. */
  fill(skus: number, units: number): Promise<void>;
  /** Takes one unit. */
  take(sku: number, n: number): Promise<Attempt>;
  /** Units its own books say were taken from the SKU since it was filled. */
  taken(sku: number): Promise<number>;
  /** Server time spent in its calls since the last question, microseconds; undefined where it cannot be told. */
  serverMicros?(): Promise<number>;
  close(): Promise<void>;
}
