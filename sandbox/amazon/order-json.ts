import type { Order, OrderItem, OrderStatus } from './orders.ts';
import type { SellerSettings } from './settings.ts';

/** An order in the form of Orders API 2026-01-01. */
export function orderJson(
  order: Order,
  included: readonly string[],
  marketplaceId: string,
  settings: SellerSettings,
): Record<string, unknown> {
  return {
    orderId: order.orderId,
    createdTime: new Date(order.createdAt).toISOString(),
    lastUpdatedTime: new Date(order.updatedAt).toISOString(),
    programs: [],
    salesChannel: { channelName: 'AMAZON', marketplaceId, marketplaceName: 'Amazon.com' },
    ...(included.includes('FULFILLMENT')
      ? {
          fulfillment: {
            fulfillmentStatus: order.status,
            fulfilledBy: order.fulfilledBy,
            fulfillmentServiceLevel: 'STANDARD',
          },
        }
      : {}),
    orderItems: order.items.map((item) => itemJson(order, item, included, settings)),
  };
}

function itemJson(
  order: Order,
  item: OrderItem,
  included: readonly string[],
  settings: SellerSettings,
): Record<string, unknown> {
  const isBlank = item.cancelledBy !== null && settings.zeroQuantityOnCancel;
  const open = item.cancelledBy === null ? item.quantity - item.shipped : 0;
  return {
    orderItemId: item.orderItemId,
    quantityOrdered: isBlank ? item.shipped : item.quantity,
    product: { asin: 'B000000001', title: item.sku, sellerSku: item.sku },
    ...(included.includes('FULFILLMENT') && order.status !== 'PENDING'
      ? { fulfillment: { quantityFulfilled: item.shipped, quantityUnfulfilled: open } }
      : {}),
    ...(included.includes('CANCELLATION') && (item.isCancelRequested || item.cancelledBy !== null)
      ? {
          cancellation: {
            ...(item.isCancelRequested
              ? { cancellationRequest: { requester: 'BUYER', cancelReason: 'Bought by mistake' } }
              : {}),
            ...(item.cancelledBy === null
              ? {}
              : { cancellationExecution: { cancelledBy: item.cancelledBy } }),
          },
        }
      : {}),
  };
}

/** The spelling of the older API, which notifications still use. */
const OLD_STATUS: Readonly<Record<OrderStatus, string>> = {
  PENDING_AVAILABILITY: 'PendingAvailability',
  PENDING: 'Pending',
  UNSHIPPED: 'Unshipped',
  PARTIALLY_SHIPPED: 'PartiallyShipped',
  SHIPPED: 'Shipped',
  CANCELLED: 'Canceled',
};

/** The payload of ORDER_CHANGE. */
export function orderChangePayload(
  order: Order,
  sellerId: string,
  marketplaceId: string,
  isRequest: boolean,
): Record<string, unknown> {
  const open = (item: OrderItem): number => (item.cancelledBy === null ? item.quantity - item.shipped : 0);
  const total = (of: (item: OrderItem) => number): number =>
    order.items.reduce((sum, item) => sum + of(item), 0);
  return {
    OrderChangeNotification: {
      NotificationLevel: 'OrderLevel',
      SellerId: sellerId,
      AmazonOrderId: order.orderId,
      OrderChangeType: isRequest ? 'BuyerRequestedChange' : 'OrderStatusChange',
      OrderChangeTrigger: {
        TimeOfOrderChange: new Date(order.updatedAt).toISOString(),
        ChangeReason: isRequest ? 'Buyer Requested Cancel' : 'Order Status Change',
      },
      Summary: {
        MarketplaceId: marketplaceId,
        OrderStatus: OLD_STATUS[order.status],
        PurchaseDate: new Date(order.createdAt).toISOString(),
        DestinationPostalCode: '48110',
        FulfillmentType: order.fulfilledBy === 'AMAZON' ? 'AFN' : 'MFN',
        OrderType: 'StandardOrder',
        NumberOfItemsShipped: total((item) => item.shipped),
        NumberOfItemsUnshipped: total(open),
        OrderPrograms: [],
        ShippingPrograms: [],
        OrderItems: order.items.map((item) => ({
          OrderItemId: item.orderItemId,
          SellerSKU: item.sku,
          SupplySourceId: null,
          OrderItemStatus: item.shipped === item.quantity ? 'Shipped' : 'Unshipped',
          Quantity: item.quantity,
          QuantityShipped: item.shipped,
          IsBuyerRequestedCancel: item.isCancelRequested,
        })),
      },
    },
  };
}
