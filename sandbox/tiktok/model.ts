export type ProductStatus =
  | 'DRAFT'
  | 'PENDING'
  | 'FAILED'
  | 'ACTIVATE'
  | 'SELLER_DEACTIVATED'
  | 'PLATFORM_DEACTIVATED'
  | 'FREEZE'
  | 'DELETED';

export interface Warehouse {
  readonly id: string;
  readonly name: string;
  status: 'ENABLED' | 'DISABLED' | 'RESTRICTED';
  readonly type: 'SALES_WAREHOUSE' | 'RETURN_WAREHOUSE';
  readonly isDefault: boolean;
}

export interface Product {
  readonly id: string;
  readonly title: string;
  status: ProductStatus;
  readonly skus: Sku[];
  readonly createdAt: number;
  updatedAt: number;
}

export interface Component {
  readonly sku: Sku;
  readonly count: number;
}

export interface Sku {
  readonly id: string;
  readonly product: Product;
  sellerSku: string;
  /** By warehouse id. */
  readonly levels: Map<string, Level>;
  readonly components: readonly Component[];
}

export interface Level {
  readonly sku: Sku;
  readonly warehouseId: string;
  /** What buyers can still take; what an update sets. */
  available: number;
  /** Taken by orders that are not shipped; not part of `available`. */
  committed: number;
  /** Older figures, for reads that lag. */
  readonly history: { readonly until: number; readonly available: number; readonly committed: number }[];
}

export type OrderStatus =
  | 'UNPAID'
  | 'ON_HOLD'
  | 'AWAITING_SHIPMENT'
  | 'PARTIALLY_SHIPPING'
  | 'AWAITING_COLLECTION'
  | 'IN_TRANSIT'
  | 'DELIVERED'
  | 'COMPLETED'
  | 'CANCELLED';

/** One unit: TikTok's lines have no quantity. */
export interface OrderLine {
  readonly id: string;
  readonly sku: Sku;
  status: OrderStatus;
  packageId: string | null;
  /** What the platform took for it, and from where. */
  taken: readonly { readonly level: Level; readonly units: number }[];
}

export interface OrderFlags {
  readonly is_sample_order?: boolean;
  readonly is_replacement_order?: boolean;
  readonly is_exchange_order?: boolean;
  readonly order_type?: string;
  readonly fulfillment_type?: string;
}

export interface Order {
  readonly id: string;
  status: OrderStatus;
  readonly warehouseId: string;
  readonly lines: OrderLine[];
  readonly flags: OrderFlags;
  readonly createdAt: number;
  updatedAt: number;
  paidAt: number | null;
  collectedAt: number | null;
  deliveredAt: number | null;
  cancelledAt: number | null;
  isBuyerRequestCancel: boolean;
  /** Search finds it by the newest entry that is visible already. */
  readonly index: { readonly updatedAt: number; readonly visibleAt: number }[];
}

export const secondsOf = (ms: number): number => Math.floor(ms / 1_000);
