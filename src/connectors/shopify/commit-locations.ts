import { StockmeshError } from '../../domain/errors.ts';
import type { Clock, ConnectorLog } from '../ports.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';
import { documents } from './documents.ts';
import type { ShopifyGraphql } from './graphql.ts';
import { connectionOf } from './graphql-order.ts';
import { idOf, gidOf } from './ids.ts';
import type { ShopLocations } from './locations.ts';
import type { PlacedUnits } from './order-facts.ts';
import { member, optionalUnits } from './order-fields.ts';
import { PageSize } from './pages.ts';

const batchSize = 50;
/** A shop that refuses may be given the scope later; one that fails is asked again soon, and meanwhile not at all. */
const refusedPauseMs = 600_000;
const failedPauseMs = 30_000;
/** Failures in a row that fail the reading of orders with them; after that orders count without their places. */
const patience = 5;
const ended = new Set(['CLOSED', 'CANCELLED']);

/**
 * Where open units are committed, from fulfilment orders. Optional knowledge: the scope may be missing, and orders count
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
  async read(
    orderIds: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly PlacedUnits[]>> {
    const found = new Map<string, readonly PlacedUnits[]>();
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
          const places = isRecord(node) && orderId !== undefined ? placesIn(node) : undefined;
          if (orderId !== undefined && places !== undefined) found.set(orderId, places);
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
}

/** Undefined when a list was cut: half of the places would be taken for all of them. */
function placesIn(order: Readonly<Record<string, unknown>>): readonly PlacedUnits[] | undefined {
  if (!isRecord(order)) return undefined;
  const fulfillmentOrders = connectionOf(order, 'fulfillmentOrders');
  if (!isWhole(order, 'fulfillmentOrders')) return undefined;
  const places: PlacedUnits[] = [];
  for (const fulfillmentOrder of fulfillmentOrders.nodes) {
    if (!isRecord(fulfillmentOrder) || !isWhole(fulfillmentOrder, 'lineItems')) return undefined;
    const status = textOf(fulfillmentOrder['status']);
    if (status !== undefined && ended.has(status)) continue;
    // Null once the location was deleted; the units then have no place that we could name.
    const location = member(fulfillmentOrder, 'assignedLocation');
    const locationId = idOf((location === undefined ? undefined : member(location, 'location'))?.['id']);
    for (const row of connectionOf(fulfillmentOrder, 'lineItems').nodes) {
      const lineId = isRecord(row) ? idOf(member(row, 'lineItem')?.['id']) : undefined;
      const units = isRecord(row) ? optionalUnits(row['remainingQuantity']) : undefined;
      if (lineId === undefined || units === undefined) return undefined;
      if (units > 0) places.push({ lineId, units, locationId });
    }
  }
  return places;
}

function isWhole(parent: Readonly<Record<string, unknown>>, name: string): boolean {
  const connection = parent[name];
  if (!isRecord(connection) || !Array.isArray(connection['nodes'])) return false;
  return member(connection, 'pageInfo')?.['hasNextPage'] !== true;
}
