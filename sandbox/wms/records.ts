import { BoundedLog } from '../shopify/bounded-log.ts';

/** Something a client of the real platform must not do. */
export interface Violation {
  readonly at: number;
  readonly warehouse: string;
  readonly kind: string;
  readonly detail: string;
}

export interface RequestRecord {
  readonly at: number;
  readonly warehouse: string;
  readonly operation: string;
  readonly status: number;
  readonly cost: number;
}

/** An applied change of physical stock. */
export interface StockChange {
  readonly id: number;
  readonly at: number;
  readonly warehouse: string;
  readonly sku: string;
  readonly placeId: string;
  readonly before: number;
  readonly change: number;
  readonly reason: string;
}

/** Bounded logs of one sandbox. */
export class Records {
  readonly violations = new BoundedLog<Violation>(10_000);
  readonly requests = new BoundedLog<RequestRecord>(50_000);
  readonly audit = new BoundedLog<StockChange>(200_000);
}
