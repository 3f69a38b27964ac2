import type { ParkedRow, PlatformLine, PlatformOrder, PlatformUnits } from '../connector.ts';
import { type LineFacts, type LineRows, countersOf } from './line-counters.ts';

/** Units of a line at a place, or put back in one way: what refunds, fulfilments and fulfilment orders list. */
export interface RefundRow {
  readonly lineId: string;
  readonly units: number;
  readonly restock: 'cancel' | 'return' | 'none' | 'legacy';
  readonly locationId: string | undefined;
}

export interface PlacedUnits {
  readonly lineId: string;
  readonly units: number;
  readonly locationId: string | undefined;
}

/** What the fulfilment orders of an order say of its units. */
export interface OrderPlaces {
  /** Where units are still to be shipped from. */
  readonly open: readonly PlacedUnits[];
  /** Where units were promised when they were assigned, ended fulfilment orders included. */
  readonly assigned: readonly PlacedUnits[];
  /** The one location of all its fulfilment orders. */
  readonly only: string | undefined;
}

export interface OrderLineFacts extends LineFacts {
  readonly lineId: string;
  readonly sku: string;
  readonly itemId: string | null;
}

/** An order as both of Shopify's forms tell it (webhook bodies, GraphQL): everything behind this point is shared. */
export interface OrderFacts {
  readonly orderId: string;
  readonly placedAtMs: number;
  readonly changedAtMs: number;
  readonly sourceName: string;
  readonly isCancelled: boolean;
  /** Of a cancelled order: its refund is written, so what no refund names was taken off by an edit before. */
  readonly isRefundSettled: boolean;
  /** Shopify claimed inventory for it (`confirmed`). */
  readonly isClaimed: boolean;
  readonly lines: readonly OrderLineFacts[];
  /** Undefined: the form did not carry them, so what is missing from a line is not explained. */
  readonly refunds: readonly RefundRow[] | undefined;
  /** `derived`: not asked for; what left follows from what is still open. */
  readonly shipments: readonly PlacedUnits[] | 'derived' | undefined;
  readonly places?: OrderPlaces | undefined;
  readonly isPartial: boolean;
  /** Lines that could not be read: refunds of them are no sign of a cut list. */
  readonly parkedLineIds: ReadonlySet<string>;
}

export interface OrderReading {
  readonly order: PlatformOrder;
  readonly parked: readonly ParkedRow[];
}

export function platformOrderOf(facts: OrderFacts, bypassSources: ReadonlySet<string>): OrderReading {
  const refunds = byLine(facts.refunds ?? []);
  const shipments = byLine(facts.shipments === 'derived' ? [] : (facts.shipments ?? []));
  const open = facts.places === undefined ? undefined : byLine(facts.places.open);
  const assigned = facts.places === undefined ? undefined : byLine(facts.places.assigned);
  const lines: PlatformLine[] = [];
  const parked: ParkedRow[] = [];
  const named = new Set<string>(facts.parkedLineIds);
  let mayLower = true;
  for (const line of facts.lines) {
    named.add(line.lineId);
    // A gift card is a payment means; one that is made of plastic and counted is tracked like any goods.
    if (line.isGiftCard && !line.isTracked) continue;
    const rows: LineRows = {
      refunds: refunds.get(line.lineId) ?? [],
      shipments: facts.shipments === 'derived' ? 'derived' : (shipments.get(line.lineId) ?? []),
      areRefundsKnown: facts.refunds !== undefined,
    };
    const counted = countersOf(line, rows, {
      isCancelled: facts.isCancelled,
      isRefundSettled: facts.isRefundSettled,
      isClaimed: facts.isClaimed,
      isBypass: bypassSources.has(facts.sourceName),
    });
    if (counted.kind === 'bad') {
      const reference = `${facts.orderId}/${line.lineId}`;
      parked.push({ what: 'order-line', reference, reason: counted.reason, content: contentOf(line) });
      continue;
    }
    mayLower &&= counted.isExplained;
    const committedAt = placesOf(open?.get(line.lineId));
    const shippedFrom = placesOf(shipments.get(line.lineId));
    const restockedAt = placesOf(rows.refunds.filter((row) => row.restock !== 'none'));
    const lostFrom =
      facts.places === undefined
        ? undefined
        : placesOf(
            lostRows(counted.counters.writtenOff, facts.places.only, {
              assigned: assigned?.get(line.lineId) ?? [],
              left: [
                ...(open?.get(line.lineId) ?? []),
                ...(shipments.get(line.lineId) ?? []),
                ...rows.refunds.filter((row) => row.restock === 'cancel'),
              ],
            }),
          );
    lines.push({
      lineId: line.lineId,
      sku: line.sku,
      itemId: line.isTracked ? line.itemId : null,
      counters: counted.counters,
      takenIsKnown: counted.takenIsKnown,
      ...(committedAt === undefined ? {} : { committedAt }),
      ...(shippedFrom === undefined ? {} : { shippedFrom }),
      ...(restockedAt === undefined ? {} : { restockedAt }),
      ...(lostFrom === undefined ? {} : { lostFrom }),
    });
  }
  // A refund or a shipment of a line that is not listed: the list of lines was cut.
  const isCut = [...refunds.keys(), ...shipments.keys()].some((lineId) => !named.has(lineId));
  const isPartial = facts.isPartial || isCut || facts.refunds === undefined || facts.shipments === undefined;
  const { orderId, placedAtMs, changedAtMs, sourceName } = facts;
  return { order: { orderId, placedAtMs, changedAtMs, sourceName, lines, isPartial, mayLower }, parked };
}

function contentOf(line: OrderLineFacts): string {
  return JSON.stringify({ sku: line.sku.slice(0, 255), quantity: line.quantity }).slice(0, 500);
}

function byLine<Row extends { readonly lineId: string }>(rows: readonly Row[]): Map<string, Row[]> {
  const grouped = new Map<string, Row[]>();
  for (const row of rows) {
    const found = grouped.get(row.lineId);
    if (found === undefined) grouped.set(row.lineId, [row]);
    else found.push(row);
  }
  return grouped;
}

interface Placed {
  readonly units: number;
  readonly locationId: string | undefined;
}

/**
 * A refund without restock names no place. Units assigned to a place that neither are open there nor shipped nor went back
 * on its shelf were lost there; where that does not add up, only an order of one place tells.
 */
function lostRows(
  writtenOff: number,
  only: string | undefined,
  rows: { readonly assigned: readonly Placed[]; readonly left: readonly Placed[] },
): readonly Placed[] | undefined {
  if (writtenOff === 0) return undefined;
  const units = new Map<string | undefined, number>();
  for (const row of rows.assigned) units.set(row.locationId, (units.get(row.locationId) ?? 0) + row.units);
  for (const row of rows.left) units.set(row.locationId, (units.get(row.locationId) ?? 0) - row.units);
  const counts = [...units.values()];
  const isWhole = counts.every((count) => count >= 0) && sum(counts) === writtenOff && !units.has(undefined);
  if (isWhole) return [...units].map(([locationId, count]) => ({ locationId, units: count }));
  return only === undefined ? undefined : [{ locationId: only, units: writtenOff }];
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** Undefined as soon as one place is not named: half a vector would route units to the wrong shelf. */
function placesOf(
  rows: readonly { readonly units: number; readonly locationId: string | undefined }[] | undefined,
): readonly PlatformUnits[] | undefined {
  if (rows === undefined || rows.length === 0) return undefined;
  const units = new Map<string, number>();
  for (const row of rows) {
    if (row.locationId === undefined) return undefined;
    if (row.units > 0) units.set(row.locationId, (units.get(row.locationId) ?? 0) + row.units);
  }
  if (units.size === 0) return undefined;
  return [...units]
    .map(([locationId, count]) => ({ locationId, units: count }))
    .toSorted((a, b) => (a.locationId < b.locationId ? -1 : 1));
}
