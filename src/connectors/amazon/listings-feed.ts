import type { BulkProgress, BulkRow, BulkSubmission, BulkWriter } from '../bulk-write.ts';
import type { RowOutcome } from '../connector.ts';
import { type JsonRecord, isRecord, parseJsonText, textOf } from '../raw-json.ts';
import { outcomesOfReport } from './feed-report.ts';
import { defaultChannelCode } from './fields.ts';
import { skuOf } from './listing-item.ts';
import type { ListingMemory } from './listing-memory.ts';
import { type ListingSearch, maxIdentifiers } from './listing-search.ts';
import { operations } from './operations.ts';
import type { AmazonSettings } from './options.ts';
import { quantityPatch, unsendable } from './patch.ts';
import type { SpApi } from './sp-api.ts';
import { failureOf, unreadable } from './sp-api-outcome.ts';
import type { DocumentTransfer } from './transfer.ts';

const feedType = 'JSON_LISTINGS_FEED';
const contentType = 'application/json; charset=UTF-8';
/** Amazon takes 25,000 messages; the size is ours, well below the upload limit. */
const maxMessages = 25_000;
const maxFeedBytes = 10 * 1024 ** 2;
const maxReportLength = 64 * 1024 ** 2;
/** Feeds have been seen to take 40 hours, and one that is stuck holds up those behind it. */
const longestApplyMs = 72 * 3_600_000;

/**
 * JSON_LISTINGS_FEED for a full resync. A feed is no write until its report says so, and it may land after a newer single
 * write: see `BulkWriter` for what its caller owes.
 *
 *   document created --uploaded--> feed created --IN_QUEUE, IN_PROGRESS--> DONE: report tells each row
 *                                               --CANCELLED--> nothing was applied   --FATAL--> not known
 */
export class ListingsFeed implements BulkWriter {
  readonly maxRows = maxMessages;
  readonly longestApplyMs = longestApplyMs;
  readonly #api: SpApi;
  readonly #settings: AmazonSettings;
  readonly #transfer: DocumentTransfer;
  readonly #memory: ListingMemory;
  readonly #search: ListingSearch;

  constructor(parts: {
    readonly api: SpApi;
    readonly settings: AmazonSettings;
    readonly transfer: DocumentTransfer;
    readonly memory: ListingMemory;
    readonly search: ListingSearch;
  }) {
    this.#api = parts.api;
    this.#settings = parts.settings;
    this.#transfer = parts.transfer;
    this.#memory = parts.memory;
    this.#search = parts.search;
  }

  async submit(rows: readonly BulkRow[], signal: AbortSignal): Promise<BulkSubmission> {
    const refusal = await this.#refusalOf(rows, signal);
    if (refusal !== undefined) return { kind: 'not-submitted', reason: refusal };
    const body = Buffer.from(JSON.stringify(this.#feedOf(rows)));
    if (body.length > maxFeedBytes)
      return { kind: 'not-submitted', reason: `the feed is larger than ${maxFeedBytes} bytes` };
    const created = operations.createFeedDocument;
    const document = await this.#api.read(created, { body: { contentType } }, signal);
    const inputFeedDocumentId = textOf(document.body['feedDocumentId']);
    const url = textOf(document.body['url']);
    if (inputFeedDocumentId === undefined || url === undefined)
      throw unreadable(created.name, 'the answer holds no document');
    await this.#transfer.upload(url, body, contentType, signal);
    return await this.#create(inputFeedDocumentId, signal);
  }

  /** The one step that counts: until here nothing can be applied, and a lost answer leaves a feed nobody can name. */
  async #create(inputFeedDocumentId: string, signal: AbortSignal): Promise<BulkSubmission> {
    const operation = operations.createFeed;
    const body = { feedType, marketplaceIds: [this.#settings.marketplaceId], inputFeedDocumentId };
    const outcome = await this.#api.mutate(operation, { body }, signal);
    if (outcome.kind === 'throttled')
      return {
        kind: 'not-submitted',
        reason: 'the limit of feeds is used up',
        retryInMs: Math.ceil(outcome.waitMs),
      };
    if (outcome.kind === 'unknown') return { kind: 'unknown', reason: outcome.reason };
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    const bulkId = textOf(outcome.body['feedId']);
    return bulkId === undefined
      ? { kind: 'unknown', reason: 'the answer holds no feedId' }
      : { kind: 'submitted', bulkId };
  }

  async check(bulkId: string, rows: readonly BulkRow[], signal: AbortSignal): Promise<BulkProgress> {
    const operation = operations.getFeed;
    const { body } = await this.#api.read(operation, { path: { feedId: bulkId } }, signal);
    const all = (outcome: RowOutcome): BulkProgress => ({ kind: 'finished', rows: rows.map(() => outcome) });
    const status = textOf(body['processingStatus']) ?? 'nothing';
    switch (status) {
      case 'IN_QUEUE':
      case 'IN_PROGRESS':
        return { kind: 'running' };
      case 'CANCELLED':
        return all({ kind: 'not-applied' });
      case 'DONE':
        break;
      default:
        // FATAL: some, all or none of it may have been carried out.
        return all({ kind: 'unknown', reason: `the feed ended as ${status.slice(0, 40)}` });
    }
    const documentId = textOf(body['resultFeedDocumentId']);
    if (documentId === undefined) return all({ kind: 'unknown', reason: 'the feed has no report' });
    const report = await this.#report(documentId, signal);
    return { kind: 'finished', rows: outcomesOfReport(report, bulkId, rows.length) };
  }

  async #report(documentId: string, signal: AbortSignal): Promise<JsonRecord> {
    const operation = operations.getFeedDocument;
    const answer = await this.#api.read(operation, { path: { feedDocumentId: documentId } }, signal);
    const url = textOf(answer.body['url']);
    if (url === undefined) throw unreadable(operation.name, 'the answer holds no url');
    const link = { url, isGzip: answer.body['compressionAlgorithm'] === 'GZIP' };
    let text = '';
    for await (const piece of this.#transfer.text(link, undefined, signal)) {
      text += piece;
      if (text.length > maxReportLength) throw unreadable(operation.name, 'the report is too large');
    }
    const parsed = parseJsonText(text.replace(/^\uFEFF/, ''));
    if (parsed.kind === 'bad' || !isRecord(parsed.value))
      throw unreadable(operation.name, 'the report is no JSON object');
    return parsed.value;
  }

  #feedOf(rows: readonly BulkRow[]) {
    return {
      header: { sellerId: this.#settings.sellerId, version: '2.0', issueLocale: 'en_US' },
      messages: rows.map(({ ref, to }, index) => {
        const sku = skuOf(ref);
        const messageId = index + 1;
        const patch = quantityPatch(this.#memory.productTypeOf(sku), to);
        return { messageId, sku, operationType: 'PATCH', ...patch };
      }),
    };
  }

  /** One bad row refuses the feed: the caller decides without it, instead of Amazon applying the rest. */
  async #refusalOf(rows: readonly BulkRow[], signal: AbortSignal): Promise<string | undefined> {
    if (rows.length === 0) return 'the feed is empty';
    if (rows.length > maxMessages) return `${rows.length} rows, at most ${maxMessages} are allowed`;
    const skus = rows.map(({ ref }) => skuOf(ref));
    if (new Set(skus).size !== skus.length) return 'a SKU comes twice';
    for (const { ref, to } of rows) {
      if (ref.locationId !== defaultChannelCode) return `${ref.key}: stock in Amazon warehouses`;
      const reason = unsendable(skuOf(ref), to);
      if (reason !== undefined) return `${ref.key}: ${reason}`;
    }
    const unknown = skus.filter((sku) => this.#memory.isForeign(sku) === undefined);
    for (let start = 0; start < unknown.length; start += maxIdentifiers)
      await this.#search.bySku(unknown.slice(start, start + maxIdentifiers), signal);
    const wrong = skus.find((sku) => this.#memory.isForeign(sku) !== false);
    return wrong === undefined ? undefined : `${wrong}: not known, or fulfilled by Amazon`;
  }
}
