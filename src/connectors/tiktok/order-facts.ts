import { type LineCounters, noUnits } from '../../domain/order.ts';
import { parseUnits } from '../../domain/quantity.ts';
import type { ParkedRow, PlatformOrder } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, textOf } from '../raw-json.ts';
import { idOf, secondsOf } from './ids.ts';
import { LineSums } from './line-sums.ts';
import type { ShelfMemory } from './shelf-memory.ts';

export interface OrderContext {
  /** `unknown`: TikTok does not say. Counted as taken, and the listing is read. */
  readonly unpaidTakesStock: boolean | 'unknown';
  readonly memory: ShelfMemory;
}

export interface OrderReading {
  /** Undefined: not even its id or its times could be read. */
  readonly order: PlatformOrder | undefined;
  readonly parked: readonly ParkedRow[];
}

type Phase = 'open' | 'shipped' | 'cancelled';

/** The API says CANCELLED, webhooks say CANCEL. TO_SHIP and TO_FULFILL appear in samples only. */
const phases: Readonly<Record<string, Phase>> = {
  UNPAID: 'open',
  ON_HOLD: 'open',
  AWAITING_SHIPMENT: 'open',
  PARTIALLY_SHIPPING: 'open',
  AWAITING_COLLECTION: 'open',
  TO_SHIP: 'open',
  TO_FULFILL: 'open',
  IN_TRANSIT: 'shipped',
  DELIVERED: 'shipped',
  COMPLETED: 'shipped',
  CANCELLED: 'cancelled',
  CANCEL: 'cancelled',
};

/** States of a package that has left. */
const leftPackages = new Set(['FULFILLING', 'IN_TRANSIT', 'DELIVERED', 'COMPLETED']);
/** Kinds of sale of which it is not documented what they take from the available quantity. */
const specialKinds = new Set(['PRE_ORDER', 'MADE_TO_ORDER', 'BACK_ORDER', 'ZERO_LOTTERY']);
const specialFlags = ['is_sample_order', 'is_replacement_order', 'is_exchange_order'] as const;
const maxItems = 2_000;
const maxUnitsPerComponent = 100_000;

/**
 * An order of orders/search or of the order detail. A line item has no quantity: it is one unit, and those of one SKU are
 * one line. Pending cancellations and returns change nothing here; only an item that is cancelled before it left gives its
 * unit back.
 */
export function readOrder(row: unknown, context: OrderContext): OrderReading {
  const orderId = isRecord(row) ? idOf(row['id']) : undefined;
  if (!isRecord(row) || orderId === undefined)
    return { order: undefined, parked: [parkedOrder('', 'the order has no id')] };
  const placedS = secondsOf(row['create_time']) ?? secondsOf(row['update_time']);
  if (placedS === undefined)
    return { order: undefined, parked: [parkedOrder(orderId, 'the order has no time')] };
  const changedS = secondsOf(row['update_time']) ?? placedS;
  const items = listOf(row['line_items']);
  const sums = new LineSums();
  const parked: ParkedRow[] = [];
  if (items !== undefined && items.length > maxItems)
    return { order: undefined, parked: [parkedOrder(orderId, `the order has more than ${maxItems} items`)] };
  // Stock in TikTok's own warehouses is TikTok's to count.
  const isForeign = row['fulfillment_type'] === 'FULFILLMENT_BY_TIKTOK';
  if (!isForeign) {
    const named = new Set<string>();
    for (const item of items ?? []) readItem({ row, orderId, item, context, sums, parked, named });
  }
  const lines = sums.lines();
  const order: PlatformOrder = {
    orderId,
    placedAtMs: placedS * 1_000,
    changedAtMs: changedS * 1_000,
    // Every surface is TikTok's own: a name here would ask the merchant for a rule.
    sourceName: '',
    lines,
    isPartial: items === undefined,
    // An item cancelled on its way says no more that it left: another process may have seen it, and applied it. And one
    // that cannot be read is missing in its line's sum.
    mayLower: parked.length === 0 && !lines.some(({ counters }) => counters.cancelled > 0),
  };
  return { order, parked };
}

interface ItemReading {
  readonly row: JsonRecord;
  readonly orderId: string;
  readonly item: unknown;
  readonly context: OrderContext;
  readonly sums: LineSums;
  readonly parked: ParkedRow[];
  readonly named: Set<string>;
}

function readItem({ row, orderId, item, context, sums, parked, named }: ItemReading): void {
  const ownId = isRecord(item) ? idOf(item['id']) : undefined;
  if (!isRecord(item) || ownId === undefined || named.has(ownId)) {
    parked.push(parkedLine(`${orderId}/${ownId ?? ''}`, 'the line has no id of its own', item));
    return;
  }
  named.add(ownId);
  const { memory } = context;
  const statuses = [textOf(item['display_status']), textOf(row['status'])];
  const [own, whole] = statuses.map((status) => (status === undefined ? undefined : phases[status]));
  if (own === undefined && whole === undefined) {
    // Its units stay promised; a person has to see what the new state means.
    parked.push(parkedLine(`${orderId}/${ownId}`, `the state ${statuses.join(' of ')} is not known`, item));
  }
  const isCancelled = own === 'cancelled' || whole === 'cancelled';
  const hasLeft = isCancelled
    ? memory.wasShipped(ownId) || showsDeparture(row, item, whole === 'cancelled')
    : own === 'shipped' || whole === 'shipped';
  if (hasLeft) memory.noteShipped(ownId);
  const phase: Phase = hasLeft ? 'shipped' : isCancelled ? 'cancelled' : 'open';

  const isUnpaid = !isPaid(row, own ?? whole, isCancelled);
  const takes = context.unpaidTakesStock !== false || !isUnpaid;
  const isUnsure = context.unpaidTakesStock === 'unknown' && isUnpaid;
  const takenIsKnown = !(hasLeft && isCancelled) && !isSpecial(row, item) && !isUnsure;
  const place = { warehouseId: idOf(row['warehouse_id']), phase };
  const itemId = idOf(item['sku_id']) ?? null;
  const lineId = itemId ?? `line:${ownId}`;
  const sku = textOf(item['seller_sku']) ?? '';
  const components = listOf(item['combined_listing_skus']) ?? [];
  if (components.length === 0) {
    const counters = countersOf(phase, 1, takes);
    sums.add({ lineId, sku, itemId, counters, takenIsKnown, ...place, units: 1 });
    return;
  }
  // A bundle: TikTok counts it on the bundle's own listing, the goods are its components.
  if (itemId !== null) memory.noteBundle(itemId);
  if (sku !== '') {
    const { takenOut, givenBack } = countersOf(phase, 1, takes);
    const counters = { ...noUnits, takenOut, givenBack };
    sums.add({ lineId, sku, itemId, counters, takenIsKnown, ...place, units: 1 });
  }
  for (const [componentId, component] of componentsOf(components, `${orderId}/${ownId}`, parked)) {
    sums.add({
      lineId: `${lineId}:${componentId}`,
      sku: component.sku,
      itemId: componentId,
      counters: countersOf(phase, component.units, false),
      // Whether the component's own listing follows is not documented: it is read before it is raised.
      takenIsKnown: false,
      ...place,
      units: component.units,
    });
  }
}

function countersOf(phase: Phase, units: number, takes: boolean): LineCounters {
  const takenOut = takes ? units : 0;
  switch (phase) {
    case 'open':
      return { ...noUnits, ordered: units, takenOut };
    case 'shipped':
      return { ...noUnits, ordered: units, shipped: units, takenOut };
    case 'cancelled':
      return { ...noUnits, ordered: units, cancelled: units, takenOut, givenBack: takenOut };
  }
}

/** A cancelled line whose goods are on their way: they come back to the warehouse, or never. */
function showsDeparture(row: JsonRecord, item: JsonRecord, isWhole: boolean): boolean {
  if (leftPackages.has(textOf(item['package_status']) ?? '')) return true;
  // The order's own times may be those of another package while only this line is cancelled.
  if (!isWhole || idOf(item['package_id']) === undefined) return false;
  return secondsOf(row['collection_time']) !== undefined || secondsOf(row['delivery_time']) !== undefined;
}

function isPaid(row: JsonRecord, phase: Phase | undefined, isCancelled: boolean): boolean {
  if (secondsOf(row['paid_time']) !== undefined || row['is_cod'] === true) return true;
  return !isCancelled && phase !== undefined && row['status'] !== 'UNPAID';
}

function isSpecial(row: JsonRecord, item: JsonRecord): boolean {
  return (
    specialFlags.some((flag) => row[flag] === true) ||
    specialKinds.has(textOf(row['order_type']) ?? '') ||
    specialKinds.has(textOf(item['sku_type']) ?? '')
  );
}

function componentsOf(
  components: readonly unknown[],
  reference: string,
  parked: ParkedRow[],
): ReadonlyMap<string, { sku: string; units: number }> {
  const found = new Map<string, { sku: string; units: number }>();
  for (const component of components) {
    const id = isRecord(component) ? idOf(component['sku_id']) : undefined;
    const bounds = { min: 1, max: maxUnitsPerComponent };
    const units = parseUnits(isRecord(component) ? component['sku_count'] : undefined, bounds);
    if (!isRecord(component) || id === undefined || units.kind === 'bad') {
      const reason = units.kind === 'bad' ? units.reason : 'it has no SKU id';
      parked.push(parkedLine(reference, `a component of the bundle cannot be read: ${reason}`, component));
      continue;
    }
    // Samples show a trailing space that the SKU itself does not have.
    const sku = (textOf(component['seller_sku']) ?? '').trim();
    found.set(id, { sku, units: (found.get(id)?.units ?? 0) + units.value });
  }
  return found;
}

export function parkedOrder(orderId: string, reason: string): ParkedRow {
  return { what: 'order', reference: orderId, reason, content: '' };
}

/** Ids, SKU and states only: the rest of a line is the buyer's. */
function parkedLine(reference: string, reason: string, item: unknown): ParkedRow {
  const record = isRecord(item) ? item : {};
  const printable = (value: unknown): string =>
    typeof value === 'string' ? value.slice(0, 100) : (idOf(value) ?? typeof value);
  const names = ['sku_id', 'seller_sku', 'display_status', 'package_status', 'sku_count'];
  const kept = names.flatMap((name) => (record[name] === undefined ? [] : [[name, printable(record[name])]]));
  const content = JSON.stringify(Object.fromEntries(kept));
  return { what: 'order-line', reference, reason, content };
}
