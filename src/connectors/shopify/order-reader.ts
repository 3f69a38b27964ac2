import type { OrderFetch, ParkedRow, PlatformOrder } from '../connector.ts';
import { type JsonRecord, isRecord, listOf } from '../raw-json.ts';
import type { CommitLocations } from './commit-locations.ts';
import { documents } from './documents.ts';
import type { ShopifyGraphql } from './graphql.ts';
import { readGraphqlOrder } from './graphql-order.ts';
import { gidOf, idOf } from './ids.ts';
import { OrderCompletion } from './order-completion.ts';
import { type OrderFacts, platformOrderOf } from './order-facts.ts';
import { parkedOrder } from './order-fields.ts';
import type { OrderQuery } from './order-query.ts';
import { PageSize, unreadable } from './pages.ts';

const maxReadsOfOneOrder = 4;
export const fetchOrdersBatchSize = 50;

/** Turns order nodes into snapshots: completes them, reads where their open units are, counts their lines. */
export class OrderReader {
  readonly #query: OrderQuery;
  readonly #completion: OrderCompletion;
  readonly #commitLocations: CommitLocations;
  readonly #bypassSources: ReadonlySet<string>;
  readonly #platformNowMs: () => number;
  readonly #batch = new PageSize(fetchOrdersBatchSize);

  constructor(
    graphql: ShopifyGraphql,
    query: OrderQuery,
    commitLocations: CommitLocations,
    bypassSources: ReadonlySet<string>,
    platformNowMs: () => number,
  ) {
    this.#query = query;
    this.#completion = new OrderCompletion(graphql);
    this.#commitLocations = commitLocations;
    this.#bypassSources = bypassSources;
    this.#platformNowMs = platformNowMs;
  }

  async fetch(orderIds: readonly string[], signal: AbortSignal): Promise<OrderFetch> {
    // Hints repeat themselves: one cancellation alone names its order three times.
    const wanted = new Set<string>();
    const parked: ParkedRow[] = [];
    for (const orderId of orderIds) {
      const id = idOf(orderId);
      if (id === undefined) parked.push(parkedOrder(orderId, 'not a Shopify order id'));
      else wanted.add(id);
    }
    const ids = [...wanted];
    const orders: PlatformOrder[] = [];
    for (let start = 0; start < ids.length;) {
      let taken = 0;
      const variablesFor = (size: number) => {
        taken = Math.min(size, ids.length - start);
        return { ids: ids.slice(start, start + taken).map((id) => gidOf('Order', id)) };
      };
      const answer = await this.#query.read(documents.ordersById, this.#batch, variablesFor, signal);
      start += taken;
      const nodes = listOf(answer.data['nodes']);
      if (nodes === undefined) throw unreadable(documents.ordersById.name, 'nodes is no list');
      // Null stands for an id the shop does not know; an empty object for an id of something else.
      const found = nodes.filter((node) => isRecord(node) && node['id'] !== undefined);
      const read = await this.read(found, signal);
      orders.push(...read.orders);
      parked.push(...read.parked);
    }
    return { orders, parked };
  }

  async read(nodes: readonly unknown[], signal: AbortSignal): Promise<OrderFetch> {
    const facts: OrderFacts[] = [];
    const parked: ParkedRow[] = [];
    for (const node of nodes) {
      const reading = isRecord(node)
        ? await this.#facts(node, signal)
        : parkedOrder('', 'an order is not an object');
      if (reading === undefined) continue;
      if ('reason' in reading) parked.push(reading);
      else {
        facts.push(reading.facts);
        parked.push(...reading.parked);
      }
    }
    // Shipments and restocked units name their place themselves.
    const placeless = facts.filter((order) => hasOpenUnits(order) || hasLostUnits(order));
    const places = await this.#commitLocations.read(
      placeless.map((order) => order.orderId),
      signal,
    );
    const orders: PlatformOrder[] = [];
    for (const order of facts) {
      const reading = platformOrderOf({ ...order, places: places.get(order.orderId) }, this.#bypassSources);
      orders.push(reading.order);
      parked.push(...reading.parked);
    }
    return { orders, parked };
  }

  /** Undefined: the order was deleted while it was read. */
  async #facts(
    node: JsonRecord,
    signal: AbortSignal,
  ): Promise<{ readonly facts: OrderFacts; readonly parked: readonly ParkedRow[] } | ParkedRow | undefined> {
    let current = node;
    const reference = idOf(node['id']) ?? '';
    for (let attempt = 1; attempt <= maxReadsOfOneOrder; attempt++) {
      const completion = await this.#completion.complete(current, signal);
      if (completion.kind === 'gone') return undefined;
      if (completion.kind === 'unreadable') return parkedOrder(reference, completion.reason);
      if (completion.kind === 'whole') {
        const reading = readGraphqlOrder({ ...completion.whole, readAtMs: this.#platformNowMs() });
        return reading.kind === 'order'
          ? reading
          : (reading.parked[0] ?? parkedOrder(reference, 'unreadable'));
      }
      const one = new PageSize(1);
      const variablesFor = () => ({ ids: [node['id']] });
      const answer = await this.#query.read(documents.ordersById, one, variablesFor, signal);
      const again = (listOf(answer.data['nodes']) ?? [])[0];
      if (!isRecord(again) || again['id'] === undefined) return undefined;
      // Pages of two different states would add up to an order that never was.
      current = again;
    }
    return parkedOrder(reference, 'the order changed each time while its pages were read');
  }
}

function hasOpenUnits(order: OrderFacts): boolean {
  return !order.isCancelled && order.lines.some((line) => (line.openQuantity ?? 0) > 0);
}

function hasLostUnits(order: OrderFacts): boolean {
  return order.refunds?.some((row) => row.restock === 'none' && row.units > 0) === true;
}
