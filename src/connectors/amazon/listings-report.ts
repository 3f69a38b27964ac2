import { setTimeout as delay } from 'node:timers/promises';
import { StockmeshError } from '../../domain/errors.ts';
import type { Clock } from '../ports.ts';
import { textOf } from '../raw-json.ts';
import { operations } from './operations.ts';
import { type AmazonSettings, platform } from './options.ts';
import type { SpApi } from './sp-api.ts';
import { unreadable } from './sp-api-outcome.ts';
import type { DocumentTransfer } from './transfer.ts';

const reportType = 'GET_MERCHANT_LISTINGS_ALL_DATA';
const maxLineLength = 1024 ** 2;
const maxRows = 5_000_000;
const skuColumn = 'seller-sku';

/** The seller's whole catalogue by report: the only way past the 1,000 SKUs that a search pages through. */
export class ListingsReport {
  readonly #api: SpApi;
  readonly #settings: AmazonSettings;
  readonly #transfer: DocumentTransfer;
  readonly #clock: Clock;

  constructor(api: SpApi, settings: AmazonSettings, transfer: DocumentTransfer, clock: Clock) {
    this.#api = api;
    this.#settings = settings;
    this.#transfer = transfer;
    this.#clock = clock;
  }

  async request(signal: AbortSignal): Promise<string> {
    const operation = operations.createReport;
    const body = { reportType, marketplaceIds: [this.#settings.marketplaceId] };
    const answer = await this.#api.read(operation, { body }, signal);
    const reportId = textOf(answer.body['reportId']);
    if (reportId === undefined) throw unreadable(operation.name, 'the answer holds no reportId');
    return reportId;
  }

  /** Every SKU of a report that `request` named, once it is done. */
  async *skus(reportId: string, signal: AbortSignal): AsyncGenerator<string> {
    const documentId = await this.#documentOf(reportId, signal);
    const operation = operations.getReportDocument;
    const answer = await this.#api.read(operation, { path: { reportDocumentId: documentId } }, signal);
    const url = textOf(answer.body['url']);
    if (url === undefined) throw unreadable(operation.name, 'the answer holds no url');
    const link = { url, isGzip: answer.body['compressionAlgorithm'] === 'GZIP' };
    let column: number | undefined;
    let count = 0;
    for await (const line of linesOf(this.#transfer.text(link, undefined, signal))) {
      const cells = line.split('\t');
      if (column === undefined) {
        // The columns differ by marketplace, their names do not; a byte order mark may stand before the first.
        column = cells.findIndex((cell) => cell.replace(/^\uFEFF/, '').trim() === skuColumn);
        if (column === -1) throw failed(`the report has no column ${skuColumn}`);
        continue;
      }
      if (++count > maxRows) throw failed(`the report has more than ${maxRows} rows`);
      const sku = cells[column];
      if (sku !== undefined && sku !== '') yield sku;
    }
    if (column === undefined) throw failed('the report is empty');
  }

  async #documentOf(reportId: string, signal: AbortSignal): Promise<string> {
    const operation = operations.getReport;
    const deadlineMs = this.#clock.nowMs() + this.#settings.reportMaxMs;
    for (;;) {
      const { body } = await this.#api.read(operation, { path: { reportId } }, signal);
      const status = textOf(body['processingStatus']);
      if (status === 'DONE') {
        const documentId = textOf(body['reportDocumentId']);
        if (documentId === undefined) throw unreadable(operation.name, 'a finished report has no document');
        return documentId;
      }
      if (status !== 'IN_QUEUE' && status !== 'IN_PROGRESS')
        throw failed(`the listings report ended as ${status ?? 'nothing'}`);
      if (this.#clock.nowMs() >= deadlineMs)
        throw failed(`the listings report was not ready in ${this.#settings.reportMaxMs} ms`);
      await delay(this.#settings.reportPollMs, undefined, { signal });
    }
  }
}

async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineLength) throw failed(`a line is longer than ${maxLineLength} characters`);
    for (const line of lines) yield line.replace(/\r$/, '');
  }
  if (rest !== '') yield rest.replace(/\r$/, '');
}

function failed(reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_BULK_FAILED', { platform, reason });
}
