import { gid, IdSequence } from './ids.ts';
import type { InventoryState } from './inventory-state.ts';
import type {
  FulfillmentOrder,
  FulfillmentOrderLine,
  Location,
  Order,
  OrderLine,
  RefundLine,
  RestockType,
} from './model.ts';
import { routeLine } from './order-routing.ts';
import type { ChangeCause } from './records.ts';

export interface Shipment {
  readonly location: Location;
  readonly lines: readonly { readonly line: OrderLine; readonly quantity: number }[];
}

/**
 * The units of order lines at locations. Open units of a line are the `remaining` of its fulfilment order lines and
 * nothing else, so `committed` of a level is always the sum of those that point at it.
 */
export class OrderAllocations {
  readonly #inventory: InventoryState;
  readonly #fulfillmentOrderIds: IdSequence;
  readonly #refundLineIds: IdSequence;

  constructor(inventory: InventoryState, idBase: bigint) {
    this.#inventory = inventory;
    this.#fulfillmentOrderIds = new IdSequence(6_931_004_719_280n + idBase);
    this.#refundLineIds = new IdSequence(586_381_361_432n + idBase);
  }

  allocate(
    order: Order,
    line: OrderLine,
    quantity: number,
    preferred: Location | null,
    cause: ChangeCause,
  ): void {
    const fallback = [...this.#inventory.locations.values()][0];
    if (!fallback) throw new Error('the shop has no location');
    const parts =
      line.item === null
        ? [{ location: preferred ?? fallback, quantity }]
        : order.retailLocation
          ? [{ location: order.retailLocation, quantity }]
          : routeLine({ item: line.item, quantity }, preferred, fallback);
    for (const part of parts) {
      const deltas = { available: -part.quantity, committed: part.quantity };
      this.move(line, part.location, deltas, cause, order.id);
      const fulfillmentOrder = this.#openFulfilmentOrder(order, part.location);
      const existing = fulfillmentOrder.lines.find((candidate) => candidate.line === line);
      if (existing) {
        existing.total += part.quantity;
        existing.remaining += part.quantity;
      } else {
        const created: FulfillmentOrderLine = {
          typename: 'FulfillmentOrderLineItem',
          id: gid('FulfillmentOrderLineItem', this.#fulfillmentOrderIds.take()),
          line,
          total: part.quantity,
          remaining: part.quantity,
        };
        fulfillmentOrder.lines.push(created);
      }
    }
  }

  #openFulfilmentOrder(order: Order, location: Location): FulfillmentOrder {
    const open = order.fulfillmentOrders.find(
      (known) => known.location === location && known.status === 'OPEN',
    );
    if (open) return open;
    const number = this.#fulfillmentOrderIds.take();
    const created: FulfillmentOrder = {
      typename: 'FulfillmentOrder',
      id: gid('FulfillmentOrder', number),
      number,
      location,
      order,
      lines: [],
      status: 'OPEN',
    };
    order.fulfillmentOrders.push(created);
    return created;
  }

  /** Removes unfulfilled units from a line, location by location. */
  takeBack(
    order: Order,
    line: OrderLine,
    quantity: number,
    restockType: RestockType,
    cause: ChangeCause,
  ): RefundLine[] {
    const lines: RefundLine[] = [];
    let missing = quantity;
    for (const fulfillmentOrder of order.fulfillmentOrders) {
      for (const part of fulfillmentOrder.lines) {
        if (part.line !== line) continue;
        const taken = Math.min(part.remaining, missing);
        if (taken <= 0) continue;
        part.remaining -= taken;
        missing -= taken;
        // NO_RESTOCK takes the commitment away without giving the units back: they leave on_hand too.
        const deltas =
          restockType === 'CANCEL' ? { committed: -taken, available: taken } : { committed: -taken };
        this.move(line, fulfillmentOrder.location, deltas, cause, order.id);
        lines.push(this.#refundLine(line, taken, restockType, fulfillmentOrder.location));
      }
    }
    if (missing > 0) throw new Error(`only ${quantity - missing} of ${quantity} units are unfulfilled`);
    line.removed += quantity;
    return lines;
  }

  giveBack(
    line: OrderLine,
    quantity: number,
    restockType: RestockType,
    locationRef: string | undefined,
  ): RefundLine {
    if (line.fulfilled - line.returned < quantity) throw new Error('more units than were fulfilled');
    const fallback = [...this.#inventory.locations.values()][0];
    const location = locationRef === undefined ? fallback : this.#inventory.location(locationRef);
    if (!location) throw new Error('the shop has no location');
    line.returned += quantity;
    if (restockType === 'RETURN') this.move(line, location, { available: quantity }, 'refund', line.id);
    return this.#refundLine(line, quantity, restockType, location);
  }

  #refundLine(line: OrderLine, quantity: number, restockType: RestockType, location: Location): RefundLine {
    const number = this.#refundLineIds.take();
    return {
      id: gid('RefundLineItem', number),
      number,
      line,
      quantity,
      restockType,
      location: restockType === 'NO_RESTOCK' ? null : location,
    };
  }

  /** Ships open units, at most `limits` per line number; what left, by location. */
  ship(order: Order, limits: Map<string | null, number> | undefined): Shipment[] {
    const shipments: Shipment[] = [];
    for (const fulfillmentOrder of order.fulfillmentOrders) {
      const lines: { line: OrderLine; quantity: number }[] = [];
      for (const part of fulfillmentOrder.lines) {
        const limit = limits ? (limits.get(part.line.number) ?? 0) : part.remaining;
        const quantity = Math.min(part.remaining, limit);
        if (quantity <= 0) continue;
        limits?.set(part.line.number, limit - quantity);
        part.remaining -= quantity;
        part.line.fulfilled += quantity;
        this.move(part.line, fulfillmentOrder.location, { committed: -quantity }, 'fulfilment', order.id);
        lines.push({ line: part.line, quantity });
      }
      if (lines.length > 0) shipments.push({ location: fulfillmentOrder.location, lines });
      if (fulfillmentOrder.lines.every((part) => part.remaining === 0)) fulfillmentOrder.status = 'CLOSED';
    }
    return shipments;
  }

  /** The open units of a fulfilment order are committed at another location instead. */
  reassign(fulfillmentOrder: FulfillmentOrder, target: Location): void {
    const reference = fulfillmentOrder.order.id;
    const cause = 'fulfilment-order-move';
    for (const { line, remaining } of fulfillmentOrder.lines) {
      const source = fulfillmentOrder.location;
      this.move(line, source, { committed: -remaining, available: remaining }, cause, reference);
      this.move(line, target, { committed: remaining, available: -remaining }, cause, reference);
    }
    fulfillmentOrder.location = target;
  }

  move(
    line: OrderLine,
    location: Location,
    deltas: { available?: number; committed?: number },
    cause: ChangeCause,
    reference: string,
  ): void {
    if (!line.item?.tracked || !line.claimsInventory) return;
    const level = this.#inventory.openLevel(line.item, location, true);
    this.#inventory.change(level, deltas, { cause, reference });
  }
}
