import { StockmeshError } from '../../domain/errors.ts';
import type { Clock, ConnectorLog } from '../ports.ts';
import { type JsonRecord, isRecord, listOf, textOf } from '../raw-json.ts';
import { documents } from './documents.ts';
import type { ShopifyGraphql } from './graphql.ts';
import { connectionOf } from './graphql-order.ts';
import { idOf, gidOf } from './ids.ts';
import type { ShopLocations } from './locations.ts';
import type { OrderPlaces, PlacedUnits } from './order-facts.ts';
import { member, optionalUnits } from './order-fields.ts';
import { PageSize, restOfConnection } from './pages.ts';

const batchSize = 50;
/** A shop that refuses may be given the scope later; one that fails is asked again soon, and meanwhile not at all. */
const refusedPauseMs = 600_000;
const failedPauseMs = 30_000;
/** Failures in a row that fail the reading of orders with them; after that orders count without their places. */
const patience = 5;
const ended = new Set(['CLOSED', 'CANCELLED']);

/** Readings of one order that changed while its pages were read. */
const maxReadsOfOneOrder = 3;

/**
 * Where the units of orders are, from fulfilment orders. Optional knowledge: the scope may be missing, and orders count
 * without it, so a refusal only stops the asking for a while. A failure fails the reading: an order booked at the wrong
 * place has to be found by its drift later. A shop with one location is never asked.
 *
 *   asking --failure--> asking (the reading fails, `patience` times in a row) --> paused, 30 s
 *   asking --refusal--> paused, 10 min        paused --time is over--> asking
 */
export class CommitLocations {
  readonly #graphql: ShopifyGraphql;
  readonly #locations: ShopLocations;
  readonly #clock: Clock;
  readonly #log: ConnectorLog;
  readonly #isWanted: boolean | undefined;
  #pausedUntilMs = 0;
  #failures = 0;
  readonly #batch = new PageSize(batchSize);

  constructor(parts: {
    readonly graphql: ShopifyGraphql;
    readonly locations: ShopLocations;
    readonly clock: Clock;
    readonly log: ConnectorLog;
    readonly isWanted: boolean | undefined;
  }) {
    this.#graphql = parts.graphql;
    this.#locations = parts.locations;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#isWanted = parts.isWanted;
  }

  /** By order id. An order that is absent is one whose places are not known. */
  async read(orderIds: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, OrderPlaces>> {
    const found = new Map<string, OrderPlaces>();
    if (orderIds.length === 0 || this.#isWanted === false || this.#clock.nowMs() < this.#pausedUntilMs)
      return found;
    try {
      if (this.#isWanted === undefined && !(await this.#hasSeveralLocations(signal))) return found;
      for (let start = 0; start < orderIds.length;) {
        let ids: readonly string[] = [];
        const variablesFor = (size: number) => {
          ids = orderIds.slice(start, start + size).map((id) => gidOf('Order', id));
          return { ids };
        };
        const answer = await this.#batch.read(this.#graphql, documents.commitLocations, variablesFor, signal);
        start += ids.length;
        for (const node of listOf(answer.data['nodes']) ?? []) {
          const orderId = isRecord(node) ? idOf(node['id']) : undefined;
          if (!isRecord(node) || orderId === undefined) continue;
          const places = await this.#placesOf(node, signal);
          if (places !== undefined) found.set(orderId, places);
        }
      }
      this.#failures = 0;
    } catch (error) {
      if (signal.aborted) throw error;
      const mayPass = error instanceof StockmeshError && error.retryable;
      if (mayPass && ++this.#failures <= patience) throw error;
      const pauseMs = mayPass ? failedPauseMs : refusedPauseMs;
      this.#failures = 0;
      this.#pausedUntilMs = this.#clock.nowMs() + pauseMs;
      const reason = error instanceof Error ? error.message : 'unforeseen';
      this.#log.warn(
        { reason, pauseMs },
        'fulfilment orders cannot be read: places of commitment stay unknown',
      );
    }
    return found;
  }

  async #hasSeveralLocations(signal: AbortSignal): Promise<boolean> {
    const locations = await this.#locations.all(signal);
    return [...locations.values()].filter((location) => location.isActive).length > 1;
  }

  /** Undefined when a list cannot be read whole: half of the places would be taken for all of them. */
  async #placesOf(order: JsonRecord, signal: AbortSignal): Promise<OrderPlaces | undefined> {
    let first: JsonRecord | undefined = order;
    for (let reads = 1; reads <= maxReadsOfOneOrder; reads++) {
      const whole = await this.#whole(order['id'], first, signal);
      if (whole === undefined) return undefined;
      if (whole !== 'changed') return placesIn(whole);
      // Units that moved between two pages would be counted at both places, or at none.
      first = undefined;
    }
    return undefined;
  }

  /** Every fulfilment order with all of its lines; `first` is the order with its first page, when that is at hand. */
  async #whole(
    id: unknown,
    first: JsonRecord | undefined,
    signal: AbortSignal,
  ): Promise<readonly PlacedOrder[] | 'changed' | undefined> {
    const page = first === undefined ? undefined : connectionOf(first, 'fulfillmentOrders');
    if (page?.isReadable === false) return undefined;
    const rest =
      page !== undefined && page.next === undefined
        ? []
        : await restOfConnection(
            {
              graphql: this.#graphql,
              operation: documents.fulfillmentOrders,
              variables: { id },
              holder: (data) => (isRecord(data['order']) ? data['order'] : null),
              connection: 'fulfillmentOrders',
              signal,
            },
            page?.next,
          );
    if (rest === null) return undefined;
    const found: PlacedOrder[] = [];
    for (const fulfillmentOrder of [...(page?.nodes ?? []), ...rest]) {
      if (!isRecord(fulfillmentOrder)) return undefined;
      const rows = await this.#rowsOf(fulfillmentOrder, signal);
      if (rows === undefined || rows === 'changed') return rows;
      found.push({ fulfillmentOrder, rows });
    }
    return found;
  }

  async #rowsOf(
    fulfillmentOrder: JsonRecord,
    signal: AbortSignal,
  ): Promise<readonly unknown[] | 'changed' | undefined> {
    const page = connectionOf(fulfillmentOrder, 'lineItems');
    if (!page.isReadable) return undefined;
    if (page.next === undefined) return page.nodes;
    let hasChanged = false;
    const rest = await restOfConnection(
      {
        graphql: this.#graphql,
        operation: documents.fulfillmentOrderLines,
        variables: { id: fulfillmentOrder['id'] },
        holder: (data) => (isRecord(data['fulfillmentOrder']) ? data['fulfillmentOrder'] : null),
        connection: 'lineItems',
        signal,
      },
      page.next,
      (holder) => {
        hasChanged ||= holder['updatedAt'] !== fulfillmentOrder['updatedAt'];
      },
    );
    if (rest === null || hasChanged) return 'changed';
    return [...page.nodes, ...rest];
  }
}

interface PlacedOrder {
  readonly fulfillmentOrder: JsonRecord;
  readonly rows: readonly unknown[];
}

function placesIn(fulfillmentOrders: readonly PlacedOrder[]): OrderPlaces | undefined {
  const open: PlacedUnits[] = [];
  const assigned: PlacedUnits[] = [];
  const locations = new Set<string | undefined>();
  for (const { fulfillmentOrder, rows } of fulfillmentOrders) {
    const status = textOf(fulfillmentOrder['status']);
    const hasEnded = status !== undefined && ended.has(status);
    // Null once the location was deleted; the units then have no place that we could name.
    const location = member(fulfillmentOrder, 'assignedLocation');
    const locationId = idOf((location === undefined ? undefined : member(location, 'location'))?.['id']);
    locations.add(locationId);
    for (const row of rows) {
      const lineId = isRecord(row) ? idOf(member(row, 'lineItem')?.['id']) : undefined;
      const remaining = isRecord(row) ? optionalUnits(row['remainingQuantity']) : undefined;
      const total = isRecord(row) ? optionalUnits(row['totalQuantity']) : undefined;
      if (lineId === undefined || remaining === undefined || total === undefined) return undefined;
      if (total > 0) assigned.push({ lineId, units: total, locationId });
      if (remaining > 0 && !hasEnded) open.push({ lineId, units: remaining, locationId });
    }
  }
  return { open, assigned, only: locations.size === 1 ? [...locations][0] : undefined };
}
