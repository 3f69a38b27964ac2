import type { ListingPage, ParkedRow, PlatformListing } from '../connector.ts';
import type { PlatformClock } from '../platform-clock.ts';
import { type JsonRecord, isRecord } from '../raw-json.ts';
import type { BulkCatalogue } from './bulk-catalogue.ts';
import { type CatalogueItem, type ListingContext, listingsOf } from './catalogue-item.ts';
import { documents } from './documents.ts';
import { type ShopifyGraphql, failureOf } from './graphql.ts';
import { connectionOf } from './graphql-order.ts';
import type { InactiveLevels } from './levels.ts';
import type { ShopLocations } from './locations.ts';
import type { ShopifySettings } from './options.ts';
import { member } from './order-fields.ts';
import { PageSize, part, restOfConnection, stuck, unreadable } from './pages.ts';

const firstPageSize = 100;
/** Cursor pagination ends at 25,000 objects. */
const maxPagedVariants = 25_000;
const bulkPrefix = 'bulk:';

/**
 * Every listing of the shop: by pages of variants, or from a bulk result when there are too many of them for pages.
 * Cursors: Shopify's own for pages, `bulk:<operation id>` for a bulk result, which can be read again for seven days.
 */
export class Catalogue {
  readonly #graphql: ShopifyGraphql;
  readonly #settings: ShopifySettings;
  readonly #locations: ShopLocations;
  readonly #platformClock: PlatformClock;
  readonly #inactive: InactiveLevels;
  readonly #bulk: BulkCatalogue;
  readonly #pageSize = new PageSize(firstPageSize);

  constructor(parts: {
    readonly graphql: ShopifyGraphql;
    readonly settings: ShopifySettings;
    readonly locations: ShopLocations;
    readonly platformClock: PlatformClock;
    readonly inactive: InactiveLevels;
    readonly bulk: BulkCatalogue;
  }) {
    this.#graphql = parts.graphql;
    this.#settings = parts.settings;
    this.#locations = parts.locations;
    this.#platformClock = parts.platformClock;
    this.#inactive = parts.inactive;
    this.#bulk = parts.bulk;
  }

  async *pages(cursor: string | null, signal: AbortSignal): AsyncGenerator<ListingPage> {
    // A discovery is the moment when a location that was opened or closed meanwhile has to show.
    this.#locations.forget();
    const locations = await this.#locations.all(signal);
    const context = { wanted: this.#settings.locations, locations, inactive: this.#inactive };
    if (cursor?.startsWith(bulkPrefix) === true) {
      yield* this.#bulkPages(cursor.slice(bulkPrefix.length), context, signal);
    } else if (cursor === null && (await this.#isLarge(signal))) {
      yield* this.#bulkPages(undefined, context, signal);
    } else {
      yield* this.#variantPages(cursor, context, signal);
    }
  }

  async #isLarge(signal: AbortSignal): Promise<boolean> {
    const { variantsCount } = documents;
    const outcome = await this.#graphql.tryRead(variantsCount, {}, signal);
    // The count only chooses the cheaper way: pages work without it.
    if (outcome.kind === 'refused' || outcome.kind === 'unknown') return false;
    if (outcome.kind !== 'answer') throw failureOf(variantsCount.name, outcome);
    const counted = outcome.data['productVariantsCount'];
    const count = isRecord(counted) && typeof counted['count'] === 'number' ? counted['count'] : 0;
    const isAtLeast = isRecord(counted) && counted['precision'] === 'AT_LEAST';
    return count > Math.min(this.#settings.bulkFromVariants, maxPagedVariants) || isAtLeast;
  }

  async *#variantPages(
    cursor: string | null,
    context: Omit<ListingContext, 'readAtMs'>,
    signal: AbortSignal,
  ): AsyncGenerator<ListingPage> {
    const operation = documents.variants;
    const usedCursors = new Set<string>();
    for (let after = cursor; ;) {
      const variablesFor = (first: number) => ({ first, after });
      const answer = await this.#pageSize.read(this.#graphql, operation, variablesFor, signal);
      const holder = { productVariants: part(answer.data, 'productVariants', operation.name) };
      const page = connectionOf(holder, 'productVariants');
      if (!page.isReadable) throw unreadable(operation.name, 'productVariants is not a connection');
      const listings: PlatformListing[] = [];
      const parked: ParkedRow[] = [];
      for (const node of page.nodes) {
        const entry = isRecord(node) ? await this.#itemOf(node, signal) : undefined;
        if (entry === undefined) {
          parked.push({ what: 'listing', reference: '', reason: 'a variant cannot be read', content: '' });
          continue;
        }
        const found = listingsOf(entry, { ...context, readAtMs: this.#platformClock.at(answer.sentAtMs) });
        listings.push(...found.listings);
        parked.push(...found.parked);
      }
      yield { listings, parked, cursor: page.next ?? null };
      if (page.next === undefined) return;
      if (usedCursors.has(page.next)) throw stuck(operation.name, 'a cursor came twice');
      usedCursors.add(page.next);
      after = page.next;
    }
  }

  async #itemOf(variant: JsonRecord, signal: AbortSignal): Promise<CatalogueItem | undefined> {
    const item = member(variant, 'inventoryItem');
    if (item === undefined) return undefined;
    const first = connectionOf(item, 'inventoryLevels');
    if (!first.isReadable) return undefined;
    if (first.next === undefined) return { item, variants: [variant], levels: first.nodes };
    const rest = await restOfConnection(
      {
        graphql: this.#graphql,
        operation: documents.itemLevelPage,
        variables: { id: item['id'] },
        holder: (data) => (isRecord(data['inventoryItem']) ? data['inventoryItem'] : null),
        connection: 'inventoryLevels',
        signal,
      },
      first.next,
    );
    return { item, variants: [variant], levels: [...first.nodes, ...(rest ?? [])] };
  }

  async *#bulkPages(
    operationId: string | undefined,
    context: Omit<ListingContext, 'readAtMs'>,
    signal: AbortSignal,
  ): AsyncGenerator<ListingPage> {
    const result = await this.#bulk.result(operationId, signal);
    // The same for all pages: a result is a file, and reading it again from its beginning costs no points.
    const cursor = `${bulkPrefix}${result.operationId}`;
    for await (const batch of this.#bulk.items(result, signal)) {
      const listings: PlatformListing[] = [];
      const parked: ParkedRow[] = [...batch.parked];
      for (const entry of batch.items) {
        const found = listingsOf(entry, { ...context, readAtMs: result.startedAtMs });
        listings.push(...found.listings);
        parked.push(...found.parked);
      }
      yield { listings, parked, cursor: batch.isLast ? null : cursor };
    }
  }
}
