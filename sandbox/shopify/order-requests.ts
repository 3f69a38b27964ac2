import type { Order, RestockType } from './model.ts';
import type { Shortage } from './order-routing.ts';

export interface OrderLineRequest {
  /** SKU, variant gid or inventory item gid. Null: a custom line without a variant. */
  readonly sku: string | null;
  readonly quantity: number;
}

export interface OrderRequest {
  readonly lines: readonly OrderLineRequest[];
  /** Point of sale, draft or API order: taken even when nothing is left. */
  readonly force?: boolean;
  /** `bypass`: an imported order that claims no inventory. */
  readonly inventory?: 'decrement' | 'bypass';
  readonly sourceName?: string;
  readonly sourceIdentifier?: string;
  readonly test?: boolean;
  readonly paid?: boolean;
  /** Point of sale: units are taken at this location. */
  readonly location?: string;
}

export type PlaceResult =
  | { readonly kind: 'accepted'; readonly order: Order }
  | { readonly kind: 'refused'; readonly shortages: readonly Shortage[] };

export interface RefundRequest {
  readonly note?: string;
  readonly lines: readonly {
    readonly lineId: string;
    readonly quantity: number;
    readonly restockType: RestockType;
    readonly location?: string;
  }[];
}

export interface OrderEditRequest {
  readonly set?: readonly {
    readonly lineId: string;
    readonly quantity: number;
    readonly restock?: boolean;
  }[];
  readonly add?: readonly OrderLineRequest[];
}
