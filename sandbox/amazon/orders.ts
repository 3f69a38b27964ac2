import type { SandboxClock } from '../shopify/clock.ts';
import type { SeededRandom } from '../shopify/random.ts';
import type { ListingShelf } from './listings.ts';
import type { SellerSettings } from './settings.ts';

export type OrderStatus =
  | 'PENDING_AVAILABILITY'
  | 'PENDING'
  | 'UNSHIPPED'
  | 'PARTIALLY_SHIPPED'
  | 'SHIPPED'
  | 'CANCELLED';

export type Canceller = 'BUYER' | 'MERCHANT' | 'AMAZON';

export interface OrderItem {
  readonly orderItemId: string;
  readonly sku: string;
  readonly quantity: number;
  shipped: number;
  isCancelRequested: boolean;
  cancelledBy: Canceller | null;
}

export interface Order {
  readonly orderId: string;
  readonly createdAt: number;
  updatedAt: number;
  status: OrderStatus;
  readonly fulfilledBy: 'MERCHANT' | 'AMAZON';
  readonly items: readonly OrderItem[];
}

export interface OrderRequest {
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
  readonly fulfilledBy?: 'MERCHANT' | 'AMAZON';
  readonly status?: 'PENDING_AVAILABILITY' | 'PENDING' | 'UNSHIPPED';
  /** Sell what the listing does not show: the units are taken as far as they are there. */
  readonly force?: boolean;
}

export type PlaceResult =
  | { readonly kind: 'accepted'; readonly order: Order }
  | { readonly kind: 'sold-out'; readonly sku: string };

export type OrderEvent = 'placed' | 'status' | 'cancel-requested';

/** Buyers. The listing is lowered the moment an order becomes pending, against the number that is applied then. */
export class OrderBook {
  readonly orders = new Map<string, Order>();
  onChange: (order: Order, event: OrderEvent) => void = () => {};
  readonly #shelf: ListingShelf;
  readonly #clock: SandboxClock;
  readonly #random: SeededRandom;
  readonly #settings: SellerSettings;
  #count = 0;

  constructor(shelf: ListingShelf, clock: SandboxClock, random: SeededRandom, settings: SellerSettings) {
    this.#shelf = shelf;
    this.#clock = clock;
    this.#random = random;
    this.#settings = settings;
  }

  place(request: OrderRequest): PlaceResult {
    const { fulfilledBy = 'MERCHANT', status = 'PENDING', lines } = request;
    const isOwn = fulfilledBy === 'MERCHANT';
    if (isOwn && request.force !== true) {
      const wanted = new Map<string, number>();
      for (const { sku, quantity } of lines) wanted.set(sku, (wanted.get(sku) ?? 0) + quantity);
      for (const [sku, quantity] of wanted)
        if (this.#shelf.quantity(sku) < quantity) return { kind: 'sold-out', sku };
    }
    this.#count += 1;
    const serial = String(this.#count).padStart(7, '0');
    const now = this.#clock.now();
    const order: Order = {
      orderId: `902-${String(1_000_000 + this.#count * 7)}-${serial}`,
      createdAt: now,
      updatedAt: now,
      status,
      fulfilledBy,
      items: lines.map(({ sku, quantity }, index) => ({
        orderItemId: `${30_000_000_000_000 + this.#count * 1_000 + index}`,
        sku,
        quantity,
        shipped: 0,
        isCancelRequested: false,
        cancelledBy: null,
      })),
    };
    this.orders.set(order.orderId, order);
    if (isOwn && status !== 'PENDING_AVAILABILITY') this.#take(order);
    this.onChange(order, 'placed');
    const { pendingMs } = this.#settings;
    if (status === 'PENDING' && pendingMs)
      this.#clock.schedule(this.#random.between(pendingMs), () => {
        if (order.status === 'PENDING') this.confirm(order.orderId);
      });
    return { kind: 'accepted', order };
  }

  order(orderId: string): Order {
    const order = this.orders.get(orderId);
    if (!order) throw new Error(`no order ${orderId}`);
    return order;
  }

  /** A pre-order becomes an order, a pending one is paid. */
  confirm(orderId: string): Order {
    const order = this.order(orderId);
    if (order.status === 'PENDING_AVAILABILITY') {
      order.status = 'PENDING';
      if (order.fulfilledBy === 'MERCHANT') this.#take(order);
    } else order.status = 'UNSHIPPED';
    return this.#changed(order, 'status');
  }

  /** Everything, or some units of one item. */
  ship(orderId: string, part?: { readonly sku: string; readonly quantity: number }): Order {
    const order = this.order(orderId);
    for (const item of order.items) {
      const open = item.cancelledBy === null ? item.quantity - item.shipped : 0;
      if (part === undefined) item.shipped += open;
      else if (item.sku === part.sku) item.shipped += Math.min(open, part.quantity);
    }
    const isWhole = order.items.every((item) => item.cancelledBy !== null || item.shipped === item.quantity);
    order.status = isWhole ? 'SHIPPED' : 'PARTIALLY_SHIPPED';
    return this.#changed(order, 'status');
  }

  cancel(orderId: string, by: Canceller = 'BUYER'): Order {
    const order = this.order(orderId);
    const hadTaken = order.status !== 'PENDING_AVAILABILITY' && order.fulfilledBy === 'MERCHANT';
    for (const item of order.items) {
      if (item.cancelledBy !== null) continue;
      item.cancelledBy = by;
      const open = item.quantity - item.shipped;
      if (hadTaken && open > 0 && this.#restores(by)) this.#shelf.move(item.sku, open, 'cancellation');
    }
    order.status = 'CANCELLED';
    return this.#changed(order, 'status');
  }

  /** Asks the seller to cancel: nothing moves. */
  requestCancel(orderId: string): Order {
    const order = this.order(orderId);
    for (const item of order.items) item.isCancelRequested = true;
    return this.#changed(order, 'cancel-requested');
  }

  #take(order: Order): void {
    for (const { sku, quantity } of order.items) this.#shelf.move(sku, -quantity, 'order');
  }

  #restores(by: Canceller): boolean {
    const { restoreOnCancel } = this.#settings;
    return restoreOnCancel === 'byReason' ? by !== 'MERCHANT' : restoreOnCancel === 'always';
  }

  #changed(order: Order, event: OrderEvent): Order {
    order.updatedAt = this.#clock.now();
    this.onChange(order, event);
    return order;
  }
}
