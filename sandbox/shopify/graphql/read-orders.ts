import type { GraphQLResolveInfo } from 'graphql';
import { isoSeconds } from '../ids.ts';
import { currentQuantityOf, unfulfilledQuantityOf } from '../model.ts';
import type {
  Fulfillment,
  FulfillmentOrder,
  FulfillmentOrderLine,
  Order,
  OrderLine,
  Refund,
  RefundLine,
} from '../model.ts';
import { paginate } from './connection.ts';
import type { PageArguments } from './connection.ts';
import type { RequestContext, Resolver, TypeResolvers } from './context.ts';
import { requireScope, topLevelError } from './failures.ts';
import { search } from './search.ts';
import type { SearchSpec } from './search.ts';

interface FulfilledLine {
  readonly lineItem: OrderLine;
}

const isoOrNull = (ms: number | null): string | null => (ms === null ? null : isoSeconds(ms));
const lineOrder = { key: (line: OrderLine) => line.number, id: (line: OrderLine) => line.number };

/** Documented by Shopify and answered with an error here rather than with wrong rows. */
const UNEVALUATED_FIELDS = [
  'cart_token',
  'channel',
  'channel_id',
  'chargeback_status',
  'checkout_token',
  'current_total_price',
  'customer_id',
  'delivery_method',
  'discount_code',
  'email',
  'fraud_protection_level',
  'gateway',
  'payment_id',
  'payment_provider_id',
  'po_number',
  'reference_location_id',
  'return_status',
  'risk_level',
  'sales_channel',
  'subtotal_line_items_quantity',
  'tag',
  'tag_not',
  'total_weight',
];

function orderSpec(context: RequestContext): SearchSpec<Order> {
  const now = context.shop.clock.now();
  return {
    fields: {
      ...Object.fromEntries(UNEVALUATED_FIELDS.map((name) => [name, { kind: 'not-emulated' as const }])),
      id: { kind: 'id', of: (order) => [order.number] },
      name: { kind: 'text', of: (order) => [order.name] },
      confirmation_number: { kind: 'text', of: (order) => [`S${order.orderNumber}`] },
      created_at: { kind: 'time', of: (order) => order.createdAt },
      processed_at: { kind: 'time', of: (order) => order.createdAt },
      updated_at: { kind: 'time', of: (order) => order.index.at(now) },
      sku: { kind: 'text', of: (order) => order.lines.map((line) => line.sku ?? '') },
      source_name: { kind: 'text', of: (order) => [order.sourceName] },
      source_identifier: { kind: 'text', of: (order) => [order.sourceIdentifier ?? ''] },
      test: { kind: 'boolean', of: (order) => order.test },
      location_id: { kind: 'id', of: (order) => (order.retailLocation ? [order.retailLocation.number] : []) },
      fulfillment_location_id: {
        kind: 'id',
        of: (order) => order.fulfillmentOrders.map((fulfillmentOrder) => fulfillmentOrder.location.number),
      },
      financial_status: {
        kind: 'choice',
        choices: [
          'paid',
          'pending',
          'authorized',
          'partially_paid',
          'partially_refunded',
          'refunded',
          'voided',
        ],
        of: (order) => [order.financialStatus.toLowerCase()],
      },
      fulfillment_status: {
        kind: 'choice',
        choices: ['unshipped', 'shipped', 'fulfilled', 'partial', 'unfulfilled'],
        of: (order) => {
          const status = displayFulfillmentStatus(order);
          if (status === 'FULFILLED') return ['shipped', 'fulfilled'];
          return status === 'PARTIALLY_FULFILLED' ? ['partial', 'unfulfilled'] : ['unshipped', 'unfulfilled'];
        },
      },
      status: {
        kind: 'choice',
        choices: ['open', 'closed', 'cancelled', 'not_closed'],
        of: (order) => {
          if (order.cancelledAt !== null) return ['cancelled', 'closed'];
          return order.closedAt === null ? ['open', 'not_closed'] : ['closed'];
        },
      },
    },
    text: (order) => [order.name],
    isIndexed: (order) => order.index.at(now) !== null,
  };
}

function displayFulfillmentStatus(order: Order): string {
  if (order.lines.every((line) => line.fulfilled === 0)) return 'UNFULFILLED';
  return order.lines.every((line) => unfulfilledQuantityOf(line) === 0) ? 'FULFILLED' : 'PARTIALLY_FULFILLED';
}

interface OrdersArguments extends PageArguments {
  readonly query?: string | null;
  readonly sortKey?: string | null;
}

/** Sorting works on whole seconds too: orders of one second are told apart by id alone. */
function orderBy(sortKey: string, context: RequestContext) {
  const now = context.shop.clock.now();
  const id = (order: Order) => order.number;
  switch (sortKey) {
    case 'UPDATED_AT':
      return { id, key: (order: Order) => Math.floor((order.index.at(now) ?? order.updatedAt) / 1000) };
    case 'CREATED_AT':
    case 'PROCESSED_AT':
      return { id, key: (order: Order) => Math.floor(order.createdAt / 1000) };
    case 'ID':
    case 'ORDER_NUMBER':
      return { id, key: (order: Order) => order.number };
    default:
      throw topLevelError('NOT_EMULATED', `The sandbox does not sort orders by ${sortKey}`);
  }
}

function requireFulfillmentOrderScope(context: RequestContext, info: GraphQLResolveInfo): void {
  requireScope(
    context,
    info,
    'read_merchant_managed_fulfillment_orders',
    'read_assigned_fulfillment_orders',
    'read_third_party_fulfillment_orders',
  );
}

export const ORDER_QUERIES: TypeResolvers = {
  orders: ((_source, args, context, info) => {
    requireScope(context, info, 'read_orders');
    const rows = search(context.shop.orders(), args.query, orderSpec(context), context, info);
    return paginate(rows, args, orderBy(args.sortKey ?? 'PROCESSED_AT', context), context, info);
  }) satisfies Resolver<unknown, OrdersArguments>,
  ordersCount: ((_source, args, context, info) => {
    requireScope(context, info, 'read_orders');
    const count = search(context.shop.orders(), args.query, orderSpec(context), context, info).length;
    const limit = Math.min(args.limit ?? 10_000, 25_001);
    return { count: Math.min(count, limit), precision: count > limit ? 'AT_LEAST' : 'EXACT' };
  }) satisfies Resolver<unknown, { query?: string | null; limit?: number | null }>,
  order: ((_source, { id }, context, info) => {
    requireScope(context, info, 'read_orders');
    return context.shop.orderBook.orders.get(id) ?? null;
  }) satisfies Resolver<unknown, { id: string }>,
  fulfillmentOrder: ((_source, { id }, context, info) => {
    requireFulfillmentOrderScope(context, info);
    for (const order of context.shop.orders()) {
      const found = order.fulfillmentOrders.find((candidate) => candidate.id === id);
      if (found) return found;
    }
    return null;
  }) satisfies Resolver<unknown, { id: string }>,
};

export const ORDER_TYPES: Readonly<Record<string, TypeResolvers>> = {
  Order: {
    legacyResourceId: ((order) => order.number) satisfies Resolver<Order>,
    createdAt: ((order) => isoSeconds(order.createdAt)) satisfies Resolver<Order>,
    processedAt: ((order) => isoSeconds(order.createdAt)) satisfies Resolver<Order>,
    updatedAt: ((order) => isoSeconds(order.updatedAt)) satisfies Resolver<Order>,
    cancelledAt: ((order) => isoOrNull(order.cancelledAt)) satisfies Resolver<Order>,
    closedAt: ((order) => isoOrNull(order.closedAt)) satisfies Resolver<Order>,
    closed: ((order) => order.closedAt !== null) satisfies Resolver<Order>,
    confirmed: (() => true) satisfies Resolver,
    displayFinancialStatus: ((order) => order.financialStatus) satisfies Resolver<Order>,
    displayFulfillmentStatus: ((order) => displayFulfillmentStatus(order)) satisfies Resolver<Order>,
    returnStatus: (() => 'NO_RETURN') satisfies Resolver,
    lineItems: ((order, args, context, info) =>
      paginate(order.lines, args, lineOrder, context, info)) satisfies Resolver<Order, PageArguments>,
    refunds: ((order, { first }) => order.refunds.slice(0, first ?? undefined)) satisfies Resolver<
      Order,
      { first?: number | null }
    >,
    fulfillments: ((order, { first }) => order.fulfillments.slice(0, first ?? undefined)) satisfies Resolver<
      Order,
      { first?: number | null }
    >,
    returns: ((_order, args, context, info) => {
      requireScope(context, info, 'read_returns');
      const rows: { number: string }[] = [];
      return paginate(rows, args, { key: (row) => row.number, id: (row) => row.number }, context, info);
    }) satisfies Resolver<Order, PageArguments>,
    fulfillmentOrders: ((order, args, context, info) => {
      requireFulfillmentOrderScope(context, info);
      const byNumber = {
        key: (row: FulfillmentOrder) => row.number,
        id: (row: FulfillmentOrder) => row.number,
      };
      return paginate(order.fulfillmentOrders, args, byNumber, context, info);
    }) satisfies Resolver<Order, PageArguments>,
  },
  LineItem: {
    currentQuantity: ((line) => currentQuantityOf(line)) satisfies Resolver<OrderLine>,
    unfulfilledQuantity: ((line) => unfulfilledQuantityOf(line)) satisfies Resolver<OrderLine>,
    fulfillableQuantity: ((line) => unfulfilledQuantityOf(line)) satisfies Resolver<OrderLine>,
    refundableQuantity: ((line) => currentQuantityOf(line)) satisfies Resolver<OrderLine>,
    nonFulfillableQuantity: ((line) => line.removed) satisfies Resolver<OrderLine>,
    name: ((line) => line.title) satisfies Resolver<OrderLine>,
    requiresShipping: ((line) => line.item?.requiresShipping ?? true) satisfies Resolver<OrderLine>,
    isGiftCard: (() => false) satisfies Resolver,
    restockable: ((line) => line.item !== null) satisfies Resolver<OrderLine>,
    variant: ((line) => line.item?.variant ?? null) satisfies Resolver<OrderLine>,
    product: ((line) => line.item?.variant.product ?? null) satisfies Resolver<OrderLine>,
  },
  Refund: {
    legacyResourceId: ((refund) => refund.number) satisfies Resolver<Refund>,
    createdAt: ((refund) => isoSeconds(refund.createdAt)) satisfies Resolver<Refund>,
    processedAt: ((refund) => isoSeconds(refund.createdAt)) satisfies Resolver<Refund>,
    updatedAt: ((refund) => isoSeconds(refund.createdAt)) satisfies Resolver<Refund>,
    return: (() => null) satisfies Resolver,
    refundLineItems: ((refund, args, context, info) => {
      const byNumber = { key: (row: RefundLine) => row.number, id: (row: RefundLine) => row.number };
      return paginate(refund.lines, args, byNumber, context, info);
    }) satisfies Resolver<Refund, PageArguments>,
  },
  RefundLineItem: {
    lineItem: ((row) => row.line) satisfies Resolver<RefundLine>,
    restocked: ((row) => row.restockType !== 'NO_RESTOCK') satisfies Resolver<RefundLine>,
  },
  Fulfillment: {
    legacyResourceId: ((fulfillment) => fulfillment.number) satisfies Resolver<Fulfillment>,
    createdAt: ((fulfillment) => isoSeconds(fulfillment.createdAt)) satisfies Resolver<Fulfillment>,
    updatedAt: ((fulfillment) => isoSeconds(fulfillment.createdAt)) satisfies Resolver<Fulfillment>,
    status: (() => 'SUCCESS') satisfies Resolver,
    totalQuantity: ((fulfillment) =>
      fulfillment.lines.reduce((sum, row) => sum + row.quantity, 0)) satisfies Resolver<Fulfillment>,
    fulfillmentLineItems: ((fulfillment, args, context, info) => {
      const rows = fulfillment.lines.map((row) => ({
        typename: 'FulfillmentLineItem',
        id: `gid://shopify/FulfillmentLineItem/${fulfillment.number}${row.line.number}`,
        lineItem: row.line,
        quantity: row.quantity,
      }));
      const byLine = {
        key: (row: FulfilledLine) => row.lineItem.number,
        id: (row: FulfilledLine) => row.lineItem.number,
      };
      return paginate(rows, args, byLine, context, info);
    }) satisfies Resolver<Fulfillment, PageArguments>,
  },
  FulfillmentOrder: {
    requestStatus: (() => 'UNSUBMITTED') satisfies Resolver,
    updatedAt: ((row) => isoSeconds(row.order.updatedAt)) satisfies Resolver<FulfillmentOrder>,
    assignedLocation: ((row) => ({
      location: row.location,
      name: row.location.name,
    })) satisfies Resolver<FulfillmentOrder>,
    orderId: ((row) => row.order.id) satisfies Resolver<FulfillmentOrder>,
    lineItems: ((row, args, context, info) => {
      const byLine = {
        key: (part: FulfillmentOrderLine) => part.line.number,
        id: (part: FulfillmentOrderLine) => part.id,
      };
      return paginate(row.lines, args, byLine, context, info);
    }) satisfies Resolver<FulfillmentOrder, PageArguments>,
  },
  FulfillmentOrderLineItem: {
    lineItem: ((part) => part.line) satisfies Resolver<FulfillmentOrderLine>,
    remainingQuantity: ((part) => part.remaining) satisfies Resolver<FulfillmentOrderLine>,
    totalQuantity: ((part) => part.total) satisfies Resolver<FulfillmentOrderLine>,
    sku: ((part) => part.line.sku) satisfies Resolver<FulfillmentOrderLine>,
    inventoryItemId: ((part) => part.line.item?.id ?? null) satisfies Resolver<FulfillmentOrderLine>,
  },
};
