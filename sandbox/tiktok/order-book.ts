import type { SandboxClock } from '../shopify/clock.ts';
import type { SeededRandom } from '../shopify/random.ts';
import type { ShopInventory } from './inventory.ts';
import type { Level, Order, OrderFlags, OrderLine, OrderStatus, Sku } from './model.ts';
import type { ChangeCause } from './records.ts';
import type { ShopSettings } from './shop-options.ts';

export interface NewOrder {
  readonly lines: readonly { readonly sku: string; readonly quantity?: number }[];
  /** Where the order starts; UNPAID is what buyers do, the others save the steps. */
  readonly status?: 'UNPAID' | 'ON_HOLD' | 'AWAITING_SHIPMENT';
  readonly warehouseId?: string;
  readonly flags?: OrderFlags;
}

export type Placed =
  | { readonly kind: 'accepted'; readonly order: Order }
  | { readonly kind: 'refused'; readonly shortages: readonly string[] };

export interface OrderEvents {
  statusChanged(order: Order): void;
  cancellation(order: Order, status: string): void;
  returnRequested(order: Order): void;
}

interface OrderBookParts {
  readonly inventory: ShopInventory;
  readonly clock: SandboxClock;
  readonly random: SeededRandom;
  readonly settings: ShopSettings;
  readonly newId: () => string;
  readonly events: OrderEvents;
}

type Needs = ReadonlyMap<Sku, number>;

/**
 * Buyers. An order takes its units off `available` into `committed` (at once, or when it is paid: a switch), a cancelled
 * line gives them back, a shipped one takes them out of `committed`. Returns move nothing.
 */
export class OrderBook {
  readonly orders = new Map<string, Order>();
  readonly #parts: OrderBookParts;

  constructor(parts: OrderBookParts) {
    this.#parts = parts;
  }

  order(id: string): Order {
    const order = this.orders.get(id);
    if (!order) throw new Error(`no order ${id}`);
    return order;
  }

  place(wanted: NewOrder): Placed {
    const { inventory, clock, settings, newId } = this.#parts;
    const units = wanted.lines.flatMap(({ sku, quantity = 1 }) =>
      Array.from({ length: quantity }, () => inventory.sku(sku)),
    );
    const needs = this.#needs(units);
    const warehouseId = this.#warehouseFor(needs, wanted.warehouseId);
    if (typeof warehouseId !== 'string') return { kind: 'refused', shortages: warehouseId };
    const now = clock.now();
    const status = wanted.status ?? 'UNPAID';
    const order: Order = {
      id: newId(),
      status,
      warehouseId,
      lines: units.map((sku): OrderLine => ({ id: newId(), sku, status, packageId: null, taken: [] })),
      flags: wanted.flags ?? {},
      createdAt: now,
      updatedAt: now,
      paidAt: status === 'UNPAID' ? null : now,
      collectedAt: null,
      deliveredAt: null,
      cancelledAt: null,
      isBuyerRequestCancel: false,
      index: [],
    };
    this.orders.set(order.id, order);
    if (settings.takesStockAt === 'order' || status !== 'UNPAID') this.#take(order, 'order-placed');
    this.#changed(order, status);
    return { kind: 'accepted', order };
  }

  pay(order: Order): void {
    if (order.status !== 'UNPAID') return;
    order.paidAt = this.#parts.clock.now();
    this.#take(order, 'order-paid');
    const next: OrderStatus = this.#parts.settings.hasRemorsePeriod ? 'ON_HOLD' : 'AWAITING_SHIPMENT';
    this.#setLines(order.lines, next);
    this.#changed(order, next);
  }

  /** The remorse period is over. */
  releaseHold(order: Order): void {
    if (order.status !== 'ON_HOLD') return;
    this.#setLines(open(order), 'AWAITING_SHIPMENT');
    this.#changed(order, 'AWAITING_SHIPMENT');
  }

  arrange(order: Order): void {
    const packageId = this.#parts.newId();
    for (const line of open(order)) {
      line.packageId = packageId;
      line.status = 'AWAITING_COLLECTION';
    }
    this.#changed(order, 'AWAITING_COLLECTION');
  }

  /** The carrier collected the parcel of these lines (default: of all that are open). */
  ship(order: Order, lineIds?: readonly string[]): void {
    const { inventory, clock, newId } = this.#parts;
    const packageId = newId();
    order.collectedAt = clock.now();
    for (const line of open(order)) {
      if (lineIds && !lineIds.includes(line.id)) continue;
      line.packageId ??= packageId;
      line.status = 'IN_TRANSIT';
      for (const { level, units } of line.taken)
        inventory.set(level, { committed: Math.max(0, level.committed - units) }, 'order-shipped', order.id);
    }
    // Shipping answers a pending cancellation request with no.
    order.isBuyerRequestCancel = false;
    this.#changed(order, open(order).length > 0 ? 'PARTIALLY_SHIPPING' : 'IN_TRANSIT');
  }

  deliver(order: Order): void {
    order.deliveredAt = this.#parts.clock.now();
    this.#setLines(
      order.lines.filter((line) => line.status === 'IN_TRANSIT'),
      'DELIVERED',
    );
    this.#changed(order, 'DELIVERED');
  }

  complete(order: Order): void {
    this.#setLines(
      order.lines.filter((line) => line.status === 'DELIVERED'),
      'COMPLETED',
    );
    this.#changed(order, 'COMPLETED');
  }

  /** The whole order turns CANCELLED only when all of its lines are. */
  cancel(order: Order, lineIds?: readonly string[]): void {
    const { inventory, clock, settings } = this.#parts;
    for (const line of order.lines) {
      if ((lineIds && !lineIds.includes(line.id)) || line.status === 'CANCELLED') continue;
      const hasLeft = ['IN_TRANSIT', 'DELIVERED', 'COMPLETED'].includes(line.status);
      for (const { level, units } of hasLeft ? [] : line.taken) {
        const available = level.available + (settings.cancelGivesBack ? units : 0);
        const committed = Math.max(0, level.committed - units);
        inventory.set(level, { available, committed }, 'order-cancelled', order.id);
      }
      line.status = 'CANCELLED';
    }
    order.isBuyerRequestCancel = false;
    const isWhole = order.lines.every((line) => line.status === 'CANCELLED');
    if (isWhole) order.cancelledAt = clock.now();
    this.#changed(order, isWhole ? 'CANCELLED' : order.status);
    this.#parts.events.cancellation(order, 'CANCELLATION_REQUEST_SUCCESS');
  }

  /** A buyer asks; nothing moves until the seller agrees. */
  requestCancel(order: Order): void {
    order.isBuyerRequestCancel = true;
    this.#changed(order, order.status);
    this.#parts.events.cancellation(order, 'CANCELLATION_REQUEST_PENDING');
  }

  requestReturn(order: Order): void {
    this.#changed(order, order.status);
    this.#parts.events.returnRequested(order);
  }

  #needs(units: readonly Sku[]): Needs {
    const needs = new Map<Sku, number>();
    const add = (sku: Sku, count: number): unknown => needs.set(sku, (needs.get(sku) ?? 0) + count);
    for (const sku of units) {
      if (sku.components.length === 0 || this.#parts.settings.bundleTakesFrom === 'bundle') add(sku, 1);
      else for (const component of sku.components) add(component.sku, component.count);
    }
    return needs;
  }

  #warehouseFor(needs: Needs, wanted: string | undefined): string | readonly string[] {
    const { inventory } = this.#parts;
    const selling = [...inventory.warehouses.values()].filter(
      ({ type, status }) => type === 'SALES_WAREHOUSE' && status === 'ENABLED',
    );
    const candidates = wanted === undefined ? selling.map(({ id }) => id) : [wanted];
    let shortages: readonly string[] = [];
    for (const id of candidates) {
      const missing = [...needs].filter(([sku, units]) => {
        const isLive = sku.product.status === 'ACTIVATE';
        return !isLive || (sku.levels.get(id)?.available ?? 0) < units;
      });
      if (missing.length === 0) return id;
      shortages = missing.map(([sku]) => sku.sellerSku);
    }
    return shortages;
  }

  #take(order: Order, cause: ChangeCause): void {
    const { inventory } = this.#parts;
    for (const line of order.lines) {
      if (line.taken.length > 0) continue;
      const taken: { level: Level; units: number }[] = [];
      for (const [sku, units] of this.#needs([line.sku])) {
        const level = sku.levels.get(order.warehouseId);
        if (!level) continue;
        const available = Math.max(0, level.available - units);
        inventory.set(level, { available, committed: level.committed + units }, cause, order.id);
        taken.push({ level, units });
      }
      line.taken = taken;
    }
  }

  #setLines(lines: readonly OrderLine[], status: OrderStatus): void {
    for (const line of lines) if (line.status !== 'CANCELLED') line.status = status;
  }

  #changed(order: Order, status: OrderStatus): void {
    const { clock, random, settings, events } = this.#parts;
    order.status = status;
    order.updatedAt = clock.now();
    const visibleAt = order.updatedAt + random.between(settings.searchLagMs);
    order.index.push({ updatedAt: order.updatedAt, visibleAt });
    if (order.index.length > 64) order.index.shift();
    events.statusChanged(order);
  }
}

function open(order: Order): readonly OrderLine[] {
  return order.lines.filter(({ status }) =>
    ['UNPAID', 'ON_HOLD', 'AWAITING_SHIPMENT', 'AWAITING_COLLECTION'].includes(status),
  );
}
