export interface FbaItem {
  readonly sku: string;
  readonly fnSku: string;
  readonly asin: string;
  fulfillable: number;
  pendingOrders: number;
  inbound: number;
  updatedAt: number;
}

/** Stock in Amazon's warehouses: sellers can read it and nothing else. */
export class FbaStock {
  readonly items = new Map<string, FbaItem>();

  set(
    sku: string,
    fulfillable: number,
    nowMs: number,
    more: { pendingOrders?: number; inbound?: number } = {},
  ): void {
    const known = this.items.get(sku);
    const serial = String(this.items.size + 1).padStart(7, '0');
    this.items.set(sku, {
      sku,
      fnSku: known?.fnSku ?? `X00${serial}`,
      asin: known?.asin ?? `B1${serial}0`,
      fulfillable,
      pendingOrders: more.pendingOrders ?? known?.pendingOrders ?? 0,
      inbound: more.inbound ?? known?.inbound ?? 0,
      updatedAt: nowMs,
    });
  }
}

export function summaryJson(item: FbaItem): Record<string, unknown> {
  return {
    asin: item.asin,
    fnSku: item.fnSku,
    sellerSku: item.sku,
    condition: 'NewItem',
    inventoryDetails: {
      fulfillableQuantity: item.fulfillable,
      inboundWorkingQuantity: 0,
      inboundShippedQuantity: item.inbound,
      inboundReceivingQuantity: 0,
      reservedQuantity: {
        totalReservedQuantity: item.pendingOrders,
        pendingCustomerOrderQuantity: item.pendingOrders,
        pendingTransshipmentQuantity: 0,
        fcProcessingQuantity: 0,
      },
    },
    lastUpdatedTime: new Date(item.updatedAt).toISOString(),
    productName: item.sku,
    totalQuantity: item.fulfillable + item.pendingOrders + item.inbound,
    stores: [],
  };
}
