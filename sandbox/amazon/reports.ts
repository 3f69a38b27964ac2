import { gzipSync } from 'node:zlib';
import type { SandboxClock } from '../shopify/clock.ts';
import type { SeededRandom } from '../shopify/random.ts';
import type { Documents } from './documents.ts';
import type { ListingShelf } from './listings.ts';
import type { SellerSettings } from './settings.ts';

export interface Report {
  readonly reportId: string;
  readonly reportType: string;
  readonly marketplaceIds: readonly string[];
  readonly createdAt: number;
  status: 'IN_QUEUE' | 'IN_PROGRESS' | 'DONE';
  reportDocumentId: string | null;
}

const COLUMNS = [
  'item-name',
  'listing-id',
  'seller-sku',
  'price',
  'quantity',
  'open-date',
  'asin1',
  'fulfillment-channel',
  'status',
];

/** GET_MERCHANT_LISTINGS_ALL_DATA: tab-separated, with a header line. */
export class Reports {
  readonly reports = new Map<string, Report>();
  readonly #shelf: ListingShelf;
  readonly #documents: Documents;
  readonly #clock: SandboxClock;
  readonly #random: SeededRandom;
  readonly #settings: SellerSettings;

  constructor(parts: {
    readonly shelf: ListingShelf;
    readonly documents: Documents;
    readonly clock: SandboxClock;
    readonly random: SeededRandom;
    readonly settings: SellerSettings;
  }) {
    this.#shelf = parts.shelf;
    this.#documents = parts.documents;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#settings = parts.settings;
  }

  create(reportType: string, marketplaceIds: readonly string[]): Report {
    const report: Report = {
      reportId: String(700_000 + this.reports.size + 1),
      reportType,
      marketplaceIds,
      createdAt: this.#clock.now(),
      status: 'IN_QUEUE',
      reportDocumentId: null,
    };
    this.reports.set(report.reportId, report);
    const finish = (): void => {
      const { reportCharset, gzip } = this.#settings;
      const text = this.#text();
      const bytes = Buffer.from(text, reportCharset === 'utf-8' ? 'utf8' : 'latin1');
      const type = `text/plain; charset=${reportCharset}`;
      report.reportDocumentId = this.#documents.add(type, gzip ? gzipSync(bytes) : bytes, gzip).id;
      report.status = 'DONE';
    };
    const afterMs = this.#random.between(this.#settings.reportMs);
    // A report that takes no time is done when it is asked about first, or the asker waits for its next look.
    if (afterMs <= 0) finish();
    else this.#clock.schedule(afterMs, finish);
    return report;
  }

  #text(): string {
    const lines = [COLUMNS.join('\t')];
    for (const listing of this.#shelf.listings.values()) {
      for (const code of listing.availability.keys()) {
        const quantity = code === 'DEFAULT' ? String(this.#shelf.visibleQuantity(listing) ?? '') : '';
        const opened = new Date(listing.createdAt).toISOString();
        const cells = [listing.title, listing.asin, listing.sku, '9.99', quantity, opened, listing.asin];
        lines.push([...cells, code, 'Active'].join('\t'));
      }
    }
    return `${lines.join('\r\n')}\r\n`;
  }
}
