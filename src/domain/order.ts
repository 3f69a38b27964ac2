import type { ChannelId, ListingId, LocationId, Sku } from './ids.ts';

/**
 * Orders are snapshots, movements are differences. A line is seven monotone counters; rises merge by max whatever
 * arrives first, a fall is accepted only from a fetch that began after the one that set the value, and a line that is
 * absent from a snapshot says nothing.
 *
 * - `ordered`    units the buyer ordered
 * - `cancelled`  units given up before shipping that are sellable again
 * - `writtenOff` units given up before shipping that are lost (refund without restock): they leave on-hand too
 * - `shipped`    units that left
 * - `restocked`  units that came back and are sellable again
 * - `takenOut`   units the platform itself took from the listing for this line
 * - `givenBack`  units the platform itself put back on the listing for this line
 *
 * `taken` of a line is `takenOut - givenBack`. Two counters instead of one signed number keep the merge by max sound
 * when a placing and a cancelling arrive in the wrong order.
 */
export const counterNames = [
  'ordered',
  'cancelled',
  'writtenOff',
  'shipped',
  'restocked',
  'takenOut',
  'givenBack',
] as const;
export type CounterName = (typeof counterNames)[number];
export type LineCounters = Readonly<Record<CounterName, number>>;

export const noUnits: LineCounters = {
  ordered: 0,
  cancelled: 0,
  writtenOff: 0,
  shipped: 0,
  restocked: 0,
  takenOut: 0,
  givenBack: 0,
};

/** Units of a line that are still promised to the buyer. A shipment may be seen before its order, hence the floor. */
export function committedOf(counters: LineCounters): number {
  return Math.max(0, counters.ordered - counters.cancelled - counters.writtenOff - counters.shipped);
}

/** Units of a line at a place, where the platform names it. */
export interface LocatedUnits {
  readonly location: LocationId;
  readonly units: number;
}

export interface LineSnapshot {
  readonly lineId: string;
  readonly sku: Sku;
  readonly counters: LineCounters;
  /** The listing the platform decremented; absent when the platform took from no listing of ours. */
  readonly listingId?: ListingId | undefined;
  /** `false`: what the platform took is not known (the listing must be read before it may be raised). */
  readonly takenIsKnown: boolean;
  /** Where the open units are committed, when the platform says so; otherwise the channel's ordered locations decide. */
  readonly committedAt?: readonly LocatedUnits[] | undefined;
  /** Where shipped units left from, when the platform says so. */
  readonly shippedFrom?: readonly LocatedUnits[] | undefined;
  /** Where written-off units are missing, when the platform says so. */
  readonly lostFrom?: readonly LocatedUnits[] | undefined;
}

export interface OrderSnapshot {
  readonly channel: ChannelId;
  readonly orderId: string;
  /** Platform clock, ms: when the order was placed (baseline and adoption) and last changed (base and `taken`). */
  readonly placedAtMs: number;
  readonly changedAtMs: number;
  /**
   * `fetch`: the platform was asked and `beganAtMs` is when the question was sent, by the ledger's clock.
   * `push`: a delivery; it may be old, so it can raise counters but never lower them; `beganAtMs` is its receipt.
   */
  readonly source: 'fetch' | 'push';
  readonly beganAtMs: number;
  readonly lines: readonly LineSnapshot[];
}
