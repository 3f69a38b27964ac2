import type { OrderFetch, ParkedRow, PlatformOrder } from '../connector.ts';
import { operations } from './operations.ts';
import type { RestorePolicy } from './options.ts';
import { includedOrderData, readOrders } from './order.ts';
import type { SpApi } from './sp-api.ts';
import { failureOf, unreadable } from './sp-api-outcome.ts';

/** One request per order, two seconds apart once the burst is used up: a batch stays within a minute. */
export const fetchOrdersBatchSize = 10;

/** Orders by id, one request each: the search has no filter by id. An order Amazon does not know is absent. */
export async function fetchOrders(
  api: SpApi,
  policy: RestorePolicy,
  orderIds: readonly string[],
  signal: AbortSignal,
): Promise<OrderFetch> {
  const operation = operations.getOrder;
  const orders: PlatformOrder[] = [];
  const parked: ParkedRow[] = [];
  for (const orderId of new Set(orderIds)) {
    const request = { path: { orderId }, query: { includedData: includedOrderData } };
    const outcome = await api.tryRead(operation, request, signal);
    if (outcome.kind === 'not-found') continue;
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    const node = outcome.body['order'];
    if (node === undefined) throw unreadable(operation.name, 'the answer holds no order');
    const read = readOrders([node], policy);
    orders.push(...read.orders);
    parked.push(...read.parked);
  }
  return { orders, parked };
}
