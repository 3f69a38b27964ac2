import { StockmeshError } from '../../domain/errors.ts';
import type { PlatformClock } from '../platform-clock.ts';
import { listOf, textOf } from '../raw-json.ts';
import { member } from './fields.ts';
import { type ItemReading, readItem } from './listing-item.ts';
import type { ListingMemory } from './listing-memory.ts';
import { operations } from './operations.ts';
import type { AmazonSettings } from './options.ts';
import type { SpApi } from './sp-api.ts';
import { failureOf, stuck, unreadable } from './sp-api-outcome.ts';

/** Of one request: identifiers, and items on a page. */
export const maxIdentifiers = 20;
/** Amazon pages through no more SKUs than this. */
export const maxPagedSkus = 1_000;

const includedData = ['summaries', 'fulfillmentAvailability'] as const;
/** Attributes are long, and only a discovery needs one of them: the barcode. */
const discoveredData = [...includedData, 'attributes'] as const;
const maxPagesOfSkus = 4;

export interface SearchPage {
  readonly items: readonly ItemReading[];
  readonly total: number;
  readonly next: string | undefined;
  /** Platform clock, when the question was sent. */
  readonly readAtMs: number;
}

/** Listings of the seller, by page or by SKU. Every answer also feeds the memory of which SKU may be written. */
export class ListingSearch {
  readonly #api: SpApi;
  readonly #settings: AmazonSettings;
  readonly #platformClock: PlatformClock;
  readonly #memory: ListingMemory;

  constructor(api: SpApi, settings: AmazonSettings, platformClock: PlatformClock, memory: ListingMemory) {
    this.#api = api;
    this.#settings = settings;
    this.#platformClock = platformClock;
    this.#memory = memory;
  }

  /** In the order of their SKUs: pages by the time of the last update would shift with every sale. */
  async page(pageToken: string | undefined, signal: AbortSignal): Promise<SearchPage> {
    const query = { sortBy: 'sku', sortOrder: 'ASC', pageToken, includedData: discoveredData };
    return await this.#search(query, signal, pageToken !== undefined);
  }

  /** At most `maxIdentifiers` SKUs; one that Amazon does not know is absent. `discover`: with their barcodes. */
  async bySku(
    skus: readonly string[],
    signal: AbortSignal,
    what: 'numbers' | 'discover' = 'numbers',
  ): Promise<readonly SearchPage[]> {
    const included = what === 'discover' ? discoveredData : includedData;
    // Identifiers are one comma-separated value, so a SKU that holds a comma is asked for by its address.
    const [alone, together] = [skus.filter(holdsComma), skus.filter((sku) => !holdsComma(sku))];
    const pages: SearchPage[] = [];
    for (const sku of alone) pages.push(await this.one(sku, signal, included));
    if (together.length > 0) pages.push(...(await this.#together(together, signal, included)));
    return pages;
  }

  /** An identifier that Amazon refuses fails the request of all: it is found and told as bad, the others are read. */
  async #together(
    skus: readonly string[],
    signal: AbortSignal,
    included: readonly string[],
  ): Promise<readonly SearchPage[]> {
    try {
      return await this.#pagesOf(skus, signal, included);
    } catch (error) {
      const isRefusal = error instanceof StockmeshError && error.code === 'CONNECTOR_REQUEST_REFUSED';
      if (!isRefusal || skus.length === 1) throw error;
      const half = Math.ceil(skus.length / 2);
      const pages: SearchPage[] = [];
      const refused: SearchPage[] = [];
      for (const part of [skus.slice(0, half), skus.slice(half)]) {
        try {
          pages.push(...(await this.#together(part, signal, included)));
        } catch (inner) {
          if (!(inner instanceof StockmeshError) || inner.code !== 'CONNECTOR_REQUEST_REFUSED') throw inner;
          const reason = String(inner.fields['reason']);
          const items = part.map((sku): ItemReading => ({ kind: 'bad', sku, reason }));
          refused.push({
            items,
            total: items.length,
            next: undefined,
            readAtMs: this.#platformClock.nowMs(),
          });
        }
      }
      // Every one of them refused: it is not about a SKU.
      if (pages.length === 0) throw error;
      return [...pages, ...refused];
    }
  }

  async #pagesOf(
    skus: readonly string[],
    signal: AbortSignal,
    included: readonly string[],
  ): Promise<readonly SearchPage[]> {
    const pages: SearchPage[] = [];
    let pageToken: string | undefined;
    for (let count = 0; count < maxPagesOfSkus; count++) {
      const query = { identifiersType: 'SKU', identifiers: skus, pageToken, includedData: included };
      // A discovery walks through the whole catalogue, twenty SKUs at a time.
      const page = await this.#search(query, signal, included === discoveredData);
      pages.push(page);
      pageToken = page.next;
      if (pageToken === undefined) return pages;
    }
    throw stuck(operations.searchListingsItems.name, 'more pages than SKUs were asked for');
  }

  async one(
    sku: string,
    signal: AbortSignal,
    included: readonly string[] = includedData,
  ): Promise<SearchPage> {
    const operation = operations.getListingsItem;
    const { sellerId, marketplaceId } = this.#settings;
    const request = {
      path: { sellerId, sku },
      query: { marketplaceIds: [marketplaceId], includedData: included },
    };
    const outcome = await this.#api.tryRead(operation, request, signal);
    if (outcome.kind === 'not-found')
      return { items: [], total: 0, next: undefined, readAtMs: this.#platformClock.nowMs() };
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    const readAtMs = this.#platformClock.at(outcome.sentAtMs);
    return { items: [this.#noted(outcome.body)], total: 1, next: undefined, readAtMs };
  }

  async #search(
    query: Readonly<Record<string, string | readonly string[] | undefined>>,
    signal: AbortSignal,
    isOneOfMany: boolean,
  ): Promise<SearchPage> {
    const operation = operations.searchListingsItems;
    const { sellerId, marketplaceId } = this.#settings;
    const { body, sentAtMs } = await this.#api.read(
      operation,
      {
        path: { sellerId },
        // One marketplace: of several, only the first is answered (selling-partner-api-docs issue 2362).
        query: { marketplaceIds: [marketplaceId], pageSize: maxIdentifiers, ...query },
      },
      signal,
      isOneOfMany,
    );
    const nodes = listOf(body['items']);
    if (nodes === undefined) throw unreadable(operation.name, 'items is no list');
    const total = body['numberOfResults'];
    return {
      items: nodes.map((node) => this.#noted(node)),
      total: typeof total === 'number' ? total : nodes.length,
      next: textOf(member(body, 'pagination')?.['nextToken']) || undefined,
      readAtMs: this.#platformClock.at(sentAtMs),
    };
  }

  #noted(node: unknown): ItemReading {
    const reading = readItem(node, this.#settings.marketplaceId);
    if (reading.kind === 'listing') this.#memory.note(reading.facts);
    else this.#memory.forget(reading.sku);
    return reading;
  }
}

function holdsComma(sku: string): boolean {
  return sku.includes(',');
}
