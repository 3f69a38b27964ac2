import type { LineCounters } from '../../domain/order.ts';

/** What Shopify says of a line itself; how it got there is in the refunds and fulfilments. */
export interface LineFacts {
  /** Ordered, removed units included. */
  readonly quantity: number;
  /** Without refunded and removed units; undefined where the form lacks it. */
  readonly currentQuantity: number | undefined;
  /** Still to be shipped; undefined where the form lacks it. */
  readonly openQuantity: number | undefined;
  /** Shopify counts the item. */
  readonly isTracked: boolean;
  /** The variant still exists. */
  readonly hasVariant: boolean;
  readonly isGiftCard: boolean;
}

export interface LineRows {
  readonly refunds: readonly {
    readonly units: number;
    readonly restock: 'cancel' | 'return' | 'none' | 'legacy';
    readonly locationId: string | undefined;
  }[];
  readonly shipments:
    | readonly { readonly units: number; readonly locationId: string | undefined }[]
    | 'derived';
  readonly areRefundsKnown: boolean;
}

export interface OrderFlags {
  readonly isCancelled: boolean;
  readonly isRefundSettled: boolean;
  readonly isClaimed: boolean;
  readonly isBypass: boolean;
}

export type CountedLine =
  | {
      readonly kind: 'counted';
      readonly counters: LineCounters;
      readonly takenIsKnown: boolean;
      /** False: units of a cancelled order that no refund names: their refund is not written yet, or an edit took them. */
      readonly isExplained: boolean;
    }
  | { readonly kind: 'bad'; readonly reason: string };

/**
 * The seven counters of a line (table in docs/connectors/shopify.md). Refunds say how units came back, so they decide:
 * a cancelled order whose refunds are not written yet keeps its units committed until they are, because only the
 * refund knows whether they go back on sale (CANCEL) or are lost (NO_RESTOCK).
 */
export function countersOf(line: LineFacts, rows: LineRows, order: OrderFlags): CountedLine {
  const refunded = { cancel: 0, return: 0, none: 0, legacy: 0 };
  for (const row of rows.refunds) refunded[row.restock] += row.units;
  const ordered = line.quantity;

  // An order edit takes units off a line; where it wrote no refund for them, nothing says whether they were restocked.
  // A cancellation shows the same until its refund is written.
  const explained = refunded.cancel + refunded.return + refunded.none + refunded.legacy;
  const unexplained = rows.areRefundsKnown
    ? Math.max(0, ordered - (line.currentQuantity ?? ordered) - explained)
    : 0;
  const edited = order.isCancelled && !order.isRefundSettled ? 0 : unexplained;

  const shipped =
    rows.shipments === 'derived'
      ? shippedOf(line, order, { ...refunded, edited })
      : rows.shipments.reduce((sum, row) => sum + row.units, 0);

  // LEGACY_RESTOCK tells neither a cancellation nor a return: units that have not shipped cannot have returned.
  const unshipped = Math.max(0, ordered - shipped - refunded.cancel - edited);
  const legacyCancelled = Math.min(refunded.legacy, unshipped);
  const cancelled = refunded.cancel + edited + legacyCancelled;
  const restocked = refunded.return + refunded.legacy - legacyCancelled;
  const writtenOff = writtenOffOf(line, refunded.none, { ordered, shipped, cancelled, restocked });

  const isTaken = line.isTracked && line.hasVariant && order.isClaimed && !order.isBypass;
  const counters: LineCounters = {
    ordered,
    cancelled,
    writtenOff,
    shipped,
    restocked,
    takenOut: isTaken ? ordered : 0,
    // CANCEL and RETURN both raise `available`.
    givenBack: isTaken ? cancelled + restocked : 0,
  };
  for (const [name, units] of Object.entries(counters)) {
    if (!Number.isSafeInteger(units))
      return { kind: 'bad', reason: `${name} is not a safe whole number: ${units}` };
  }
  const takenIsKnown =
    rows.areRefundsKnown &&
    !order.isBypass &&
    order.isClaimed &&
    edited === 0 &&
    line.hasVariant &&
    !isRestockedElsewhere(rows);
  return { kind: 'counted', counters, takenIsKnown, isExplained: !order.isCancelled || unexplained === 0 };
}

/**
 * Without fulfilments: what is neither open nor given up has left. A cancelled order shows nothing open before its refunds
 * are written, so of its units only the returned ones are known to have left.
 */
function shippedOf(
  line: LineFacts,
  order: OrderFlags,
  refunded: { cancel: number; return: number; none: number; legacy: number; edited: number },
): number {
  if (line.openQuantity === undefined || order.isCancelled) return refunded.return;
  const gone = line.quantity - line.openQuantity - refunded.cancel - refunded.edited - refunded.legacy;
  // Paid back without restock before shipping, unless more units were returned or left than that leaves room for.
  return Math.max(refunded.return, gone - refunded.none, 0);
}

/**
 * NO_RESTOCK is written for units that will never ship (lost: on-hand falls with committed) and for units that shipped
 * long ago and are only paid back (no effect). The sums leave little room; inside it, Shopify's figure of units
 * still to ship decides.
 */
function writtenOffOf(
  line: LineFacts,
  withoutRestock: number,
  sums: { ordered: number; shipped: number; cancelled: number; restocked: number },
): number {
  const room = Math.max(0, sums.ordered - sums.shipped - sums.cancelled);
  const shippedAndKept = Math.max(0, sums.shipped - sums.restocked);
  const most = Math.min(withoutRestock, room);
  const least = Math.min(most, Math.max(0, withoutRestock - shippedAndKept));
  if (line.openQuantity === undefined) return most;
  return Math.min(most, Math.max(least, room - line.openQuantity));
}

/** A return may be put on another shelf than the one it left: the listing it was taken from did not get it back. */
function isRestockedElsewhere(rows: LineRows): boolean {
  if (rows.shipments === 'derived') return false;
  const left = new Set(rows.shipments.map((row) => row.locationId));
  if (left.size === 0 || left.has(undefined)) return false;
  return rows.refunds.some(
    (row) => row.restock === 'return' && row.locationId !== undefined && !left.has(row.locationId),
  );
}
