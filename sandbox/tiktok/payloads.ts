import { type Level, type Order, type OrderLine, type Product, secondsOf } from './model.ts';
import type { ShopInventory } from './inventory.ts';

/** Bodies as the official samples show them. Personal information is never made up. */
export function orderBody(order: Order): Record<string, unknown> {
  return {
    id: order.id,
    status: order.status,
    create_time: secondsOf(order.createdAt),
    update_time: secondsOf(order.updatedAt),
    ...(order.paidAt === null ? {} : { paid_time: secondsOf(order.paidAt) }),
    ...(order.collectedAt === null ? {} : { collection_time: secondsOf(order.collectedAt) }),
    ...(order.deliveredAt === null ? {} : { delivery_time: secondsOf(order.deliveredAt) }),
    ...(order.cancelledAt === null ? {} : { cancel_time: secondsOf(order.cancelledAt) }),
    warehouse_id: order.warehouseId,
    fulfillment_type: 'FULFILLMENT_BY_SELLER',
    delivery_type: 'HOME_DELIVERY',
    shipping_type: 'TIKTOK',
    commerce_platform: 'TIKTOK_SHOP',
    is_cod: false,
    is_on_hold_order: order.status === 'ON_HOLD',
    is_buyer_request_cancel: order.isBuyerRequestCancel,
    is_sample_order: false,
    is_replacement_order: false,
    is_exchange_order: false,
    ...order.flags,
    line_items: order.lines.map((line) => lineBody(line)),
  };
}

function lineBody(line: OrderLine): Record<string, unknown> {
  const { sku } = line;
  return {
    id: line.id,
    sku_id: sku.id,
    seller_sku: sku.sellerSku,
    product_id: sku.product.id,
    product_name: sku.product.title,
    display_status: line.status,
    sku_type: 'NORMAL',
    is_gift: false,
    ...(line.packageId === null ? {} : { package_id: line.packageId, package_status: packageStatus(line) }),
    ...(sku.components.length === 0
      ? {}
      : {
          combined_listing_skus: sku.components.map((component) => ({
            sku_id: component.sku.id,
            sku_count: component.count,
            product_id: component.sku.product.id,
            seller_sku: component.sku.sellerSku,
          })),
        }),
  };
}

function packageStatus({ status }: OrderLine): string {
  if (status === 'IN_TRANSIT') return 'FULFILLING';
  if (status === 'DELIVERED' || status === 'COMPLETED') return 'COMPLETED';
  return status === 'CANCELLED' ? 'CANCELLED' : 'PROCESSING';
}

export function productBody(product: Product): Record<string, unknown> {
  return {
    id: product.id,
    title: product.title,
    status: product.status,
    create_time: secondsOf(product.createdAt),
    update_time: secondsOf(product.updatedAt),
    sales_regions: ['GB'],
    skus: product.skus.map((sku) => ({
      id: sku.id,
      seller_sku: sku.sellerSku,
      status_info: { status: 'NORMAL' },
      inventory: [...sku.levels.values()].map((level) => ({
        warehouse_id: level.warehouseId,
        quantity: level.available,
      })),
    })),
  };
}

export function inventoryBody(
  product: Product,
  skuIds: ReadonlySet<string> | undefined,
  inventory: ShopInventory,
): Record<string, unknown> {
  const skus = product.skus.filter((sku) => skuIds?.has(sku.id) ?? true);
  return {
    product_id: product.id,
    skus: skus.map((sku) => {
      const rows = [...sku.levels.values()].map((level: Level) => {
        const shown = inventory.shown(level);
        return {
          warehouse_id: level.warehouseId,
          available_quantity: shown.available,
          committed_quantity: shown.committed,
        };
      });
      const total = rows.reduce((sum, row) => sum + row.available_quantity, 0);
      return {
        id: sku.id,
        seller_sku: sku.sellerSku,
        total_available_quantity: total,
        total_committed_quantity: rows.reduce((sum, row) => sum + row.committed_quantity, 0),
        warehouse_inventory: rows,
        total_available_inventory_distribution: {
          campaign_inventory: [],
          creator_inventory: [],
          in_shop_inventory: { quantity: total },
        },
      };
    }),
  };
}
