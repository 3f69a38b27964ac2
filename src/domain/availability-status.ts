/**
 * What a buyer, an agent or a feed is told instead of a number. The words are those of agentic commerce (UCP, ACP); `low_stock`
 * is `limited_stock` in an ACP feed.
 */
export const availabilityStatuses = [
  'in_stock',
  'low_stock',
  'out_of_stock',
  'backorder',
  'preorder',
  'discontinued',
] as const;
export type AvailabilityStatus = (typeof availabilityStatuses)[number];

/** Sold before it is there. */
export interface LaterTerms {
  /** Units that may be promised beyond what is there. */
  readonly maxUnits: number;
  /** What a buyer is told: days until it ships, or the day (ISO date) from which it does. */
  readonly shipsInDays?: number | undefined;
  readonly shipsOn?: string | undefined;
}

/** Thresholds of one SKU, compiled from the catalogue. */
export interface StatusTerms {
  /** At or below this many units, and above zero: `low_stock`. 0: never. */
  readonly lowStockUnits: number;
  readonly backorder?: LaterTerms | undefined;
  readonly preorder?: LaterTerms | undefined;
  readonly isDiscontinued: boolean;
}

/** `available` may be negative: what was promised beyond the stock counts against `maxUnits`. */
export function availabilityStatus(available: number, terms: StatusTerms): AvailabilityStatus {
  if (available > 0) return available <= terms.lowStockUnits ? 'low_stock' : 'in_stock';
  if (terms.isDiscontinued) return 'discontinued';
  if (laterUnits(available, terms.preorder) > 0) return 'preorder';
  return laterUnits(available, terms.backorder) > 0 ? 'backorder' : 'out_of_stock';
}

/** Units that may still be promised by such terms. */
export function laterUnits(available: number, terms: LaterTerms | undefined): number {
  return terms === undefined ? 0 : Math.max(0, terms.maxUnits + Math.min(0, available));
}

/**
 * Backpressure: what a consumer that orders by machine ought to do. Near the threshold many of them racing for the last
 * units only produce refusals.
 */
export type Backpressure = 'proceed' | 'slow-down' | 'redirect-to-backorder' | 'stop';

export function backpressureOf(status: AvailabilityStatus): Backpressure {
  switch (status) {
    case 'in_stock':
      return 'proceed';
    case 'low_stock':
      return 'slow-down';
    case 'backorder':
    case 'preorder':
      return 'redirect-to-backorder';
    case 'out_of_stock':
    case 'discontinued':
      return 'stop';
  }
}
