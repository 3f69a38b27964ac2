import type { OrderFetch, ParkedRow, PlatformOrder } from '../connector.ts';
import { listOf } from '../raw-json.ts';
import type { TiktokApi } from './api.ts';
import { endpoints } from './endpoints.ts';
import { idOf } from './ids.ts';
import { maxOrdersPerFetch } from './options.ts';
import { type OrderContext, parkedOrder, readOrder } from './order-facts.ts';
import { failureOf, unreadable } from './outcome.ts';

/** Order details by id, 50 per request. */
export class OrderFetcher {
  readonly #api: TiktokApi;
  readonly #context: OrderContext;

  constructor(api: TiktokApi, context: OrderContext) {
    this.#api = api;
    this.#context = context;
  }

  async fetch(orderIds: readonly string[], signal: AbortSignal): Promise<OrderFetch> {
    const wanted = [...new Set(orderIds)];
    const orders: PlatformOrder[] = [];
    const parked: ParkedRow[] = [];
    // A comma in an id would ask for another order.
    const usable = wanted.filter((id) => idOf(id) !== undefined);
    for (const id of wanted) if (idOf(id) === undefined) parked.push(parkedOrder(id, 'this is no order id'));
    for (let start = 0; start < usable.length; start += maxOrdersPerFetch)
      await this.#some(usable.slice(start, start + maxOrdersPerFetch), { orders, parked }, signal);
    return { orders, parked };
  }

  async #some(
    ids: readonly string[],
    found: { readonly orders: PlatformOrder[]; readonly parked: ParkedRow[] },
    signal: AbortSignal,
  ): Promise<void> {
    const { name } = endpoints.orderDetail;
    const request = { endpoint: endpoints.orderDetail, query: { ids: ids.join(',') } };
    const outcome = await this.#api.tryRead(request, signal);
    if (outcome.kind === 'refused') {
      // One id that is not the seller's fails the whole request: the others must not wait for it.
      const [only] = ids;
      if (ids.length > 1) {
        const half = Math.ceil(ids.length / 2);
        await this.#some(ids.slice(0, half), found, signal);
        await this.#some(ids.slice(half), found, signal);
      } else if (only !== undefined) found.parked.push(parkedOrder(only, outcome.reason));
      return;
    }
    if (outcome.kind !== 'answer') throw failureOf(name, outcome);
    const rows = listOf(outcome.data['orders']);
    if (rows === undefined && outcome.data['orders'] !== undefined && outcome.data['orders'] !== null)
      throw unreadable(name, 'orders is no list');
    for (const row of rows ?? []) {
      const reading = readOrder(row, this.#context);
      found.parked.push(...reading.parked);
      if (reading.order === undefined) continue;
      if (reading.order.isPartial)
        found.parked.push(parkedOrder(reading.order.orderId, 'the order detail lists no lines'));
      else found.orders.push(reading.order);
    }
  }
}
