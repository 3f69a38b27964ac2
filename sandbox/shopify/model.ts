import type { LaggedTimestamp } from './search-index.ts';

/** States that are stored. `on_hand` is their sum without `incoming` and is never stored. */
export const STORED_QUANTITIES = [
  'available',
  'committed',
  'damaged',
  'incoming',
  'quality_control',
  'reserved',
  'safety_stock',
] as const;
export type QuantityName = (typeof STORED_QUANTITIES)[number];
export type InventoryPolicy = 'DENY' | 'CONTINUE';

export interface Location {
  readonly typename: 'Location';
  readonly id: string;
  readonly number: string;
  readonly name: string;
  /** Shared by every level of this location and unrelated to the location's id. */
  readonly levelNumber: string;
  isActive: boolean;
  fulfillsOnlineOrders: boolean;
  shipsInventory: boolean;
  isFulfillmentService: boolean;
  readonly createdAt: number;
}

export interface Product {
  readonly typename: 'Product';
  readonly id: string;
  readonly number: string;
  readonly title: string;
  status: 'ACTIVE' | 'DRAFT' | 'ARCHIVED';
}

export interface Variant {
  readonly typename: 'ProductVariant';
  readonly id: string;
  readonly number: string;
  readonly title: string;
  readonly barcode: string | null;
  readonly price: string;
  readonly product: Product;
  readonly item: Item;
}

export interface BundleComponent {
  readonly sku: string;
  readonly quantity: number;
}

export interface Item {
  readonly typename: 'InventoryItem';
  readonly id: string;
  readonly number: string;
  sku: string | null;
  tracked: boolean;
  policy: InventoryPolicy;
  readonly requiresShipping: boolean;
  readonly bundle: readonly BundleComponent[];
  readonly createdAt: number;
  updatedAt: number;
  readonly index: LaggedTimestamp;
  readonly levels: Map<string, Level>;
  variant: Variant;
}

export interface Level {
  readonly typename: 'InventoryLevel';
  readonly id: string;
  readonly item: Item;
  readonly location: Location;
  isActive: boolean;
  readonly quantities: Record<QuantityName, number>;
  readonly createdAt: number;
  updatedAt: number;
  readonly index: LaggedTimestamp;
}

export interface OrderLine {
  readonly typename: 'LineItem';
  readonly id: string;
  readonly number: string;
  readonly sku: string | null;
  readonly title: string;
  readonly item: Item | null;
  readonly price: string;
  /** False when the order was imported without claiming inventory. */
  readonly claimsInventory: boolean;
  /** Ordered, including what was removed later. */
  quantity: number;
  /** Removed before fulfilment (cancelled, refunded, edited away). */
  removed: number;
  /** Refunded after fulfilment. */
  returned: number;
  fulfilled: number;
}

export type RestockType = 'CANCEL' | 'RETURN' | 'NO_RESTOCK';

export interface RefundLine {
  readonly id: string;
  readonly number: string;
  readonly line: OrderLine;
  readonly quantity: number;
  readonly restockType: RestockType;
  readonly location: Location | null;
}

export interface Refund {
  readonly typename: 'Refund';
  readonly id: string;
  readonly number: string;
  readonly note: string | null;
  readonly createdAt: number;
  readonly lines: readonly RefundLine[];
  readonly order: Order;
}

export interface Fulfillment {
  readonly typename: 'Fulfillment';
  readonly id: string;
  readonly number: string;
  readonly createdAt: number;
  readonly location: Location;
  readonly lines: readonly { readonly line: OrderLine; readonly quantity: number }[];
  readonly order: Order;
}

export interface FulfillmentOrderLine {
  readonly typename: 'FulfillmentOrderLineItem';
  readonly id: string;
  readonly line: OrderLine;
  total: number;
  /** Units still committed at the order's assigned location. */
  remaining: number;
}

export interface FulfillmentOrder {
  readonly typename: 'FulfillmentOrder';
  readonly id: string;
  readonly number: string;
  location: Location;
  readonly order: Order;
  readonly lines: FulfillmentOrderLine[];
  status: 'OPEN' | 'CLOSED' | 'CANCELLED';
}

export type CancelReason = 'CUSTOMER' | 'DECLINED' | 'FRAUD' | 'INVENTORY' | 'OTHER' | 'STAFF';

export interface Order {
  readonly typename: 'Order';
  readonly id: string;
  readonly number: string;
  readonly orderNumber: number;
  readonly name: string;
  readonly createdAt: number;
  updatedAt: number;
  cancelledAt: number | null;
  cancelReason: CancelReason | null;
  closedAt: number | null;
  edited: boolean;
  readonly test: boolean;
  readonly sourceName: string;
  readonly sourceIdentifier: string | null;
  readonly retailLocation: Location | null;
  financialStatus: 'PAID' | 'PENDING' | 'PARTIALLY_REFUNDED' | 'REFUNDED' | 'VOIDED';
  readonly lines: OrderLine[];
  readonly refunds: Refund[];
  readonly fulfillments: Fulfillment[];
  readonly fulfillmentOrders: FulfillmentOrder[];
  readonly index: LaggedTimestamp;
}

export interface AdjustmentChange {
  readonly name: string;
  readonly delta: number;
  readonly ledgerDocumentUri: string | null;
  readonly item: Item;
  readonly location: Location;
}

export interface AdjustmentGroup {
  readonly typename: 'InventoryAdjustmentGroup';
  readonly id: string;
  readonly createdAt: number;
  readonly reason: string;
  readonly referenceDocumentUri: string | null;
  readonly changes: readonly AdjustmentChange[];
}

export function onHandOf(level: Level): number {
  const { available, committed, damaged, quality_control, reserved, safety_stock } = level.quantities;
  return available + committed + damaged + quality_control + reserved + safety_stock;
}

export const currentQuantityOf = (line: OrderLine): number => line.quantity - line.removed - line.returned;

export const unfulfilledQuantityOf = (line: OrderLine): number =>
  line.quantity - line.removed - line.fulfilled;
