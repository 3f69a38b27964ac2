import type { Clock } from '../ports.ts';
import { isRecord } from '../raw-json.ts';
import { documents } from './documents.ts';
import type { ShopifyGraphql } from './graphql.ts';
import { idOf } from './ids.ts';
import { restOfConnection } from './pages.ts';

export interface ShopLocation {
  readonly id: string;
  readonly isActive: boolean;
  /** Its stock is written by the app of a fulfilment service: read-only to us. */
  readonly isForeign: boolean;
}

const maxAgeMs = 600_000;

/** The shop's locations, asked for at most once in ten minutes: they change when a merchant opens a shop. */
export class ShopLocations {
  readonly #graphql: ShopifyGraphql;
  readonly #clock: Clock;
  #known: { readonly atMs: number; readonly locations: ReadonlyMap<string, ShopLocation> } | undefined;
  #timesForgotten = 0;

  constructor(graphql: ShopifyGraphql, clock: Clock) {
    this.#graphql = graphql;
    this.#clock = clock;
  }

  async all(signal: AbortSignal): Promise<ReadonlyMap<string, ShopLocation>> {
    const nowMs = this.#clock.nowMs();
    if (this.#known !== undefined && nowMs - this.#known.atMs < maxAgeMs) return this.#known.locations;
    const epoch = this.#timesForgotten;
    const nodes = await restOfConnection(
      {
        graphql: this.#graphql,
        operation: documents.locations,
        variables: {},
        holder: (data) => (isRecord(data) ? data : null),
        connection: 'locations',
        signal,
      },
      undefined,
    );
    const locations = new Map<string, ShopLocation>();
    for (const node of nodes ?? []) {
      const id = isRecord(node) ? idOf(node['id']) : undefined;
      if (!isRecord(node) || id === undefined) continue;
      // Legacy services count too, hence `includeLegacy`.
      const isForeign = node['isFulfillmentService'] === true;
      locations.set(id, { id, isActive: node['isActive'] !== false, isForeign });
    }
    // Asked before the list was forgotten: it may end after the question that was to bring the new one.
    if (epoch === this.#timesForgotten) this.#known = { atMs: nowMs, locations };
    return locations;
  }

  forget(): void {
    this.#known = undefined;
    this.#timesForgotten++;
  }
}
