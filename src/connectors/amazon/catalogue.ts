import { StockmeshError } from '../../domain/errors.ts';
import type { ListingPage, ParkedRow, PlatformListing } from '../connector.ts';
import type { ConnectorLog } from '../ports.ts';
import type { FbaInventory, FbaStock } from './fba-inventory.ts';
import { parked } from './fields.ts';
import { foreignListing, ownListing } from './listing-item.ts';
import { type ListingSearch, type SearchPage, maxIdentifiers, maxPagedSkus } from './listing-search.ts';
import type { ListingsReport } from './listings-report.ts';
import { operations } from './operations.ts';
import { stuck } from './sp-api-outcome.ts';

const reportPrefix = 'report:';
const foreignPageSize = 500;

interface ForeignOffer {
  readonly sku: string;
  readonly code: string;
  readonly title: string | null;
}

/**
 * Every listing of the seller: by pages of a search, or, beyond the 1,000 SKUs it pages through, by the SKUs of a report,
 * whose numbers are then read 20 at a time (the report itself is hours old at times). Last come the listings of
 * Amazon's own warehouses. Cursor: `report:<id>`, good as long as Amazon keeps the document.
 */
export class Catalogue {
  readonly #search: ListingSearch;
  readonly #report: ListingsReport;
  readonly #fba: FbaInventory;
  readonly #readFba: boolean;
  readonly #log: ConnectorLog;

  constructor(parts: {
    readonly search: ListingSearch;
    readonly report: ListingsReport;
    readonly fba: FbaInventory;
    readonly readFba: boolean;
    readonly log: ConnectorLog;
  }) {
    this.#search = parts.search;
    this.#report = parts.report;
    this.#fba = parts.fba;
    this.#readFba = parts.readFba;
    this.#log = parts.log;
  }

  async *pages(cursor: string | null, signal: AbortSignal): AsyncGenerator<ListingPage> {
    const foreign: ForeignOffer[] = [];
    if (cursor?.startsWith(reportPrefix) === true) {
      yield* this.#reportPages(cursor.slice(reportPrefix.length), foreign, signal);
    } else {
      const first = await this.#search.page(undefined, signal);
      if (first.total > maxPagedSkus)
        yield* this.#reportPages(await this.#report.request(signal), foreign, signal);
      else yield* this.#searchPages(first, foreign, signal);
    }
    yield* this.#foreignPages(foreign, signal);
    // Only now is the reading complete.
    yield { listings: [], parked: [], cursor: null };
  }

  async *#searchPages(
    first: SearchPage,
    foreign: ForeignOffer[],
    signal: AbortSignal,
  ): AsyncGenerator<ListingPage> {
    const operation = operations.searchListingsItems.name;
    const seen = new Set<string>();
    const usedTokens = new Set<string>();
    for (let page = first; ;) {
      for (const item of page.items) seen.add(item.kind === 'listing' ? item.facts.sku : item.sku);
      yield { ...pageOf([page], foreign), cursor: null };
      if (page.next === undefined) {
        // Pages that shifted under the walk would make known listings look gone.
        if (seen.size < page.total)
          throw stuck(operation, `${seen.size} of ${page.total} listings were shown`);
        return;
      }
      if (usedTokens.has(page.next)) throw stuck(operation, 'a token came twice');
      usedTokens.add(page.next);
      page = await this.#search.page(page.next, signal);
    }
  }

  async *#reportPages(
    reportId: string,
    foreign: ForeignOffer[],
    signal: AbortSignal,
  ): AsyncGenerator<ListingPage> {
    const cursor = `${reportPrefix}${reportId}`;
    let batch = new Set<string>();
    for await (const sku of this.#report.skus(reportId, signal)) {
      batch.add(sku);
      if (batch.size < maxIdentifiers) continue;
      yield { ...pageOf(await this.#search.bySku([...batch], signal, 'discover'), foreign), cursor };
      batch = new Set();
    }
    if (batch.size > 0)
      yield { ...pageOf(await this.#search.bySku([...batch], signal, 'discover'), foreign), cursor };
  }

  async *#foreignPages(foreign: readonly ForeignOffer[], signal: AbortSignal): AsyncGenerator<ListingPage> {
    if (foreign.length === 0) return;
    const rows: ParkedRow[] = [];
    const stock = await this.#foreignStock(rows, signal);
    for (let start = 0; start < foreign.length; start += foreignPageSize) {
      const listings = foreign.slice(start, start + foreignPageSize).map((offer) => {
        const value = stock?.units.get(offer.sku) ?? null;
        return foreignListing(offer, value, stock?.readAtMs ?? 0);
      });
      yield { listings, parked: rows.splice(0), cursor: null };
    }
  }

  /** A seller may not have granted the role for it: the listings are then shown without a number. */
  async #foreignStock(rows: ParkedRow[], signal: AbortSignal): Promise<FbaStock | undefined> {
    if (!this.#readFba) return undefined;
    try {
      const stock = await this.#fba.read(undefined, signal);
      for (const { sku, reason } of stock.unreadable) rows.push(parked('listing', `fba:${sku}`, reason));
      return stock;
    } catch (error) {
      if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_ACCESS_DENIED') throw error;
      this.#log.warn({ code: error.code }, 'the stock in Amazon warehouses may not be read');
      // Of the listings: the next complete reading takes the row away again when the role was granted.
      rows.push(parked('listing', 'fba', String(error.fields['reason'])));
      return undefined;
    }
  }
}

function pageOf(
  pages: readonly SearchPage[],
  foreign: ForeignOffer[],
): { listings: readonly PlatformListing[]; parked: readonly ParkedRow[] } {
  const listings: PlatformListing[] = [];
  const rows: ParkedRow[] = [];
  for (const page of pages) {
    for (const item of page.items) {
      if (item.kind === 'bad') {
        rows.push(parked('listing', item.sku, item.reason));
        continue;
      }
      const { sku, title, foreignCodes } = item.facts;
      for (const code of foreignCodes) foreign.push({ sku, code, title });
      const own = ownListing(item.facts, page.readAtMs);
      if (own !== undefined) listings.push(own);
    }
  }
  return { listings, parked: rows };
}
