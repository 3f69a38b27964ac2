import type { SandboxClock } from './clock.ts';
import { gid, IdSequence, idNumber } from './ids.ts';
import type { InventoryState } from './inventory-state.ts';
import { unfulfilledQuantityOf } from './model.ts';
import type {
  CancelReason,
  Fulfillment,
  FulfillmentOrder,
  Item,
  Location,
  Order,
  OrderLine,
  Refund,
  RefundLine,
  RestockType,
} from './model.ts';
import { shortagesOf, wholeOrderLocation } from './order-routing.ts';
import { OrderAllocations } from './order-allocations.ts';
import type {
  OrderEditRequest,
  OrderLineRequest,
  OrderRequest,
  PlaceResult,
  RefundRequest,
} from './order-requests.ts';
import type { Wanted } from './order-routing.ts';
import { LaggedTimestamp } from './search-index.ts';

export interface OrderEvents {
  emit(topics: readonly string[], order: Order): void;
  refunded(refund: Refund): void;
  fulfilled(fulfillment: Fulfillment): void;
  moved(order: Order): void;
  lagMs(): number;
}

/** Orders of one shop and what they do to its quantities. */
export class OrderBook {
  readonly orders = new Map<string, Order>();
  readonly #clock: SandboxClock;
  readonly #inventory: InventoryState;
  readonly #events: OrderEvents;
  readonly #allocations: OrderAllocations;
  readonly #ids: Record<'order' | 'line' | 'refund' | 'fulfillment', IdSequence>;
  #number = 1000;

  constructor(clock: SandboxClock, inventory: InventoryState, events: OrderEvents, idBase: bigint) {
    this.#clock = clock;
    this.#inventory = inventory;
    this.#events = events;
    this.#allocations = new OrderAllocations(inventory, idBase);
    this.#ids = {
      order: new IdSequence(6_525_950_329_008n + idBase),
      line: new IdSequence(15_885_687_455_920n + idBase),
      refund: new IdSequence(974_007_468_312n + idBase),
      fulfillment: new IdSequence(5_255_003_111_600n + idBase),
    };
  }

  /** By gid, number or name. */
  order(ref: string): Order {
    const found = this.orders.get(ref) ?? this.orders.get(gid('Order', ref));
    if (found) return found;
    for (const order of this.orders.values()) if (order.name === ref) return order;
    throw new Error(`no order ${ref}`);
  }

  place(request: OrderRequest): PlaceResult {
    const claims = request.inventory !== 'bypass';
    const requested = this.#expandBundles(request.lines);
    const wanted = requested.filter((line): line is Wanted => line.item !== null);
    const isOnline = request.location === undefined;
    if (claims && isOnline && request.force !== true) {
      const shortages = shortagesOf(wanted);
      if (shortages.length > 0) return { kind: 'refused', shortages };
    }
    const now = this.#clock.now();
    const number = this.#ids.order.take();
    this.#number += 1;
    const retailLocation = request.location === undefined ? null : this.#inventory.location(request.location);
    const order: Order = {
      typename: 'Order',
      id: gid('Order', number),
      number,
      orderNumber: this.#number,
      name: `#${this.#number}`,
      createdAt: now,
      updatedAt: now,
      cancelledAt: null,
      cancelReason: null,
      closedAt: null,
      edited: false,
      test: request.test ?? false,
      sourceName: request.sourceName ?? (retailLocation ? 'pos' : 'web'),
      sourceIdentifier: request.sourceIdentifier ?? null,
      retailLocation,
      financialStatus: request.paid === false ? 'PENDING' : 'PAID',
      lines: [],
      refunds: [],
      fulfillments: [],
      fulfillmentOrders: [],
      index: new LaggedTimestamp(),
    };
    this.orders.set(order.id, order);
    this.#addLines(order, requested, claims, retailLocation ?? wholeOrderLocation(wanted));
    order.index.touch(now, now + this.#events.lagMs());
    this.#events.emit(request.paid === false ? ['orders/create'] : ['orders/create', 'orders/paid'], order);
    return { kind: 'accepted', order };
  }

  cancel(ref: string, options: { readonly restock?: boolean; readonly reason?: CancelReason } = {}): Order {
    const order = this.order(ref);
    if (order.cancelledAt !== null) throw new Error(`${order.name} is already cancelled`);
    if (order.lines.some((line) => line.fulfilled > 0)) throw new Error(`${order.name} has fulfilled lines`);
    const restockType: RestockType = (options.restock ?? true) ? 'CANCEL' : 'NO_RESTOCK';
    const lines: RefundLine[] = [];
    for (const line of order.lines) {
      const quantity = unfulfilledQuantityOf(line);
      if (quantity > 0)
        lines.push(...this.#allocations.takeBack(order, line, quantity, restockType, 'cancellation'));
    }
    order.cancelledAt = this.#clock.now();
    order.closedAt = order.cancelledAt;
    order.cancelReason = options.reason ?? 'CUSTOMER';
    order.financialStatus = order.financialStatus === 'PAID' ? 'REFUNDED' : 'VOIDED';
    for (const fulfillmentOrder of order.fulfillmentOrders) fulfillmentOrder.status = 'CANCELLED';
    const refund = this.#addRefund(order, lines, 'Order canceled');
    this.#touch(order);
    this.#events.emit(['orders/cancelled', 'orders/updated'], order);
    if (refund) this.#events.refunded(refund);
    return order;
  }

  refund(ref: string, request: RefundRequest): Refund {
    const order = this.order(ref);
    const lines: RefundLine[] = [];
    for (const wanted of request.lines) {
      const line = this.#line(order, wanted.lineId);
      const unfulfilled = Math.min(wanted.quantity, unfulfilledQuantityOf(line));
      // Units that have left the shelf can only be returned; units that have not can only be cancelled.
      if (wanted.restockType !== 'RETURN' && unfulfilled > 0)
        lines.push(...this.#allocations.takeBack(order, line, unfulfilled, wanted.restockType, 'refund'));
      const rest = wanted.quantity - (wanted.restockType === 'RETURN' ? 0 : unfulfilled);
      if (rest > 0) lines.push(this.#allocations.giveBack(line, rest, wanted.restockType, wanted.location));
    }
    const refund = this.#addRefund(order, lines, request.note ?? null);
    if (!refund) throw new Error('a refund needs lines');
    order.financialStatus = order.lines.every((line) => line.quantity === line.removed + line.returned)
      ? 'REFUNDED'
      : 'PARTIALLY_REFUNDED';
    this.#touch(order);
    this.#events.refunded(refund);
    this.#events.emit(['orders/updated'], order);
    return refund;
  }

  /** Ships everything that is open, or the given lines; one fulfilment per location. */
  fulfil(
    ref: string,
    options: { readonly lines?: readonly { readonly lineId: string; readonly quantity: number }[] } = {},
  ): readonly Fulfillment[] {
    const order = this.order(ref);
    const limits =
      options.lines && new Map(options.lines.map((line) => [idNumber(line.lineId), line.quantity]));
    const created = this.#allocations.ship(order, limits).map(({ location, lines }): Fulfillment => {
      const number = this.#ids.fulfillment.take();
      const createdAt = this.#clock.now();
      return {
        typename: 'Fulfillment',
        id: gid('Fulfillment', number),
        number,
        createdAt,
        location,
        lines,
        order,
      };
    });
    order.fulfillments.push(...created);
    if (created.length === 0) throw new Error(`${order.name} has nothing to fulfil`);
    this.#touch(order);
    for (const fulfillment of created) this.#events.fulfilled(fulfillment);
    const complete = order.lines.every((line) => unfulfilledQuantityOf(line) === 0);
    this.#events.emit(
      ['orders/updated', complete ? 'orders/fulfilled' : 'orders/partially_fulfilled'],
      order,
    );
    return created;
  }

  /** Assigns a fulfilment order to another location: its units are committed there instead. */
  moveFulfilmentOrder(ref: string, locationRef: string): FulfillmentOrder {
    const fulfillmentOrder = this.fulfilmentOrder(ref);
    const target = this.#inventory.location(locationRef);
    this.#allocations.reassign(fulfillmentOrder, target);
    this.#touch(fulfillmentOrder.order);
    this.#events.moved(fulfillmentOrder.order);
    this.#events.emit(['orders/updated'], fulfillmentOrder.order);
    return fulfillmentOrder;
  }

  fulfilmentOrder(ref: string): FulfillmentOrder {
    for (const order of this.orders.values())
      for (const candidate of order.fulfillmentOrders)
        if (candidate.id === ref || candidate.number === ref) return candidate;
    throw new Error(`no fulfilment order ${ref}`);
  }

  edit(ref: string, request: OrderEditRequest): Order {
    const order = this.order(ref);
    for (const change of request.set ?? []) {
      const line = this.#line(order, change.lineId);
      const current = line.quantity - line.removed - line.returned;
      const restockType: RestockType = (change.restock ?? true) ? 'CANCEL' : 'NO_RESTOCK';
      if (change.quantity < current) {
        if (current - change.quantity > unfulfilledQuantityOf(line)) throw new Error('fulfilled units stay');
        this.#allocations.takeBack(order, line, current - change.quantity, restockType, 'order-edit');
      } else if (change.quantity > current) {
        line.quantity += change.quantity - current;
        this.#allocations.allocate(order, line, change.quantity - current, null, 'order-edit');
      }
    }
    if (request.add) this.#addLines(order, this.#expandBundles(request.add), true, null);
    order.edited = true;
    this.#touch(order);
    this.#events.emit(['orders/updated', 'orders/edited'], order);
    return order;
  }

  #expandBundles(lines: readonly OrderLineRequest[]): { item: Item | null; quantity: number }[] {
    return lines.flatMap<{ item: Item | null; quantity: number }>((line) => {
      if (!Number.isSafeInteger(line.quantity) || line.quantity <= 0)
        throw new Error(`quantity ${line.quantity} is not a positive integer`);
      if (line.sku === null) return [{ item: null, quantity: line.quantity }];
      const item = this.#inventory.item(line.sku);
      // Shopify's order lines show a bundle's components, not the parent.
      if (item.bundle.length === 0) return [{ item, quantity: line.quantity }];
      return item.bundle.map((part) => ({
        item: this.#inventory.item(part.sku),
        quantity: part.quantity * line.quantity,
      }));
    });
  }

  #addLines(
    order: Order,
    requested: readonly { item: Item | null; quantity: number }[],
    claimsInventory: boolean,
    preferred: Location | null,
  ): void {
    for (const { item, quantity } of requested) {
      const number = this.#ids.line.take();
      const line: OrderLine = {
        typename: 'LineItem',
        id: gid('LineItem', number),
        number,
        sku: item?.sku ?? null,
        title: item?.variant.product.title ?? 'Custom item',
        item,
        price: item?.variant.price ?? '10.00',
        claimsInventory,
        quantity,
        removed: 0,
        returned: 0,
        fulfilled: 0,
      };
      order.lines.push(line);
      this.#allocations.allocate(order, line, quantity, preferred, order.edited ? 'order-edit' : 'order');
    }
  }

  #addRefund(order: Order, lines: readonly RefundLine[], note: string | null): Refund | null {
    if (lines.length === 0) return null;
    const number = this.#ids.refund.take();
    const refund: Refund = {
      typename: 'Refund',
      id: gid('Refund', number),
      number,
      note,
      createdAt: this.#clock.now(),
      lines,
      order,
    };
    order.refunds.push(refund);
    return refund;
  }

  #line(order: Order, ref: string): OrderLine {
    const number = idNumber(ref);
    const line = order.lines.find((candidate) => candidate.number === number);
    if (!line) throw new Error(`${order.name} has no line ${ref}`);
    return line;
  }

  #touch(order: Order): void {
    order.updatedAt = this.#clock.now();
    order.index.touch(order.updatedAt, order.updatedAt + this.#events.lagMs());
  }
}
