import { StockmeshError } from '../../domain/errors.ts';
import { zeroes } from '../../domain/urgency.ts';
import type { RowOutcome, WriteBatch, WriteResult, WriteRow } from '../connector.ts';
import { deadlineWithin } from '../deadline.ts';
import { type JsonRecord, isRecord, listOf, textOf } from '../raw-json.ts';
import { defaultChannelCode } from './fields.ts';
import { skuOf } from './listing-item.ts';
import type { ListingMemory } from './listing-memory.ts';
import type { ListingSearch } from './listing-search.ts';
import { operations } from './operations.ts';
import { type AmazonSettings, platform } from './options.ts';
import { quantityPatch, unsendable } from './patch.ts';
import type { SpApi } from './sp-api.ts';
import { type SpApiOutcome, failureOf } from './sp-api-outcome.ts';

const operation = operations.patchListingsItem;

/**
 * The quantity of one SKU per request: a plain number that Amazon accepts now and applies within seconds or minutes. One
 * marketplace is named, and the quantity moves in all of the region. Accepted is never applied: only a read tells.
 */
export class StockWriter {
  readonly #api: SpApi;
  readonly #settings: AmazonSettings;
  readonly #memory: ListingMemory;
  readonly #search: ListingSearch;

  constructor(api: SpApi, settings: AmazonSettings, memory: ListingMemory, search: ListingSearch) {
    this.#api = api;
    this.#settings = settings;
    this.#memory = memory;
    this.#search = search;
  }

  async write(batch: WriteBatch, signal: AbortSignal): Promise<WriteResult> {
    const [row] = batch.rows;
    if (row === undefined || batch.rows.length !== 1) throw refused('a request holds exactly one row');
    if (batch.kind === 'repair') throw refused('Amazon has no compare-and-set');
    const sku = skuOf(row.ref);
    const reason = refusalOf(row, sku);
    if (reason !== undefined) return rejected(reason, true);
    // Guard and write share the time of one request: nothing is sent after the caller's lease has run out.
    const deadline = deadlineWithin(signal, this.#settings.requestTimeoutMs);
    try {
      const foreign = await this.#foreignReason(sku, deadline.signal);
      if (foreign !== undefined) return rejected(foreign, true);
      return resultOf(await this.#patch(sku, row.to, zeroes(batch.rows), deadline.signal), sku);
    } catch (error) {
      if (error instanceof StockmeshError) return throttledBy(error, this.#settings.maxWriteWaitMs);
      if (!deadline.signal.aborted) throw error;
      // A patch that had left would be answered as unknown: the time ran out while waiting or reading.
      const fields = { platform, operation: operation.name, reason: 'no turn in time', isSent: false };
      throw new StockmeshError('CONNECTOR_UNREACHABLE', fields);
    } finally {
      deadline.end();
    }
  }

  #patch(sku: string, quantity: number, isUrgent: boolean, signal: AbortSignal): Promise<SpApiOutcome> {
    const { sellerId, marketplaceId } = this.#settings;
    const request = {
      path: { sellerId, sku },
      query: { marketplaceIds: [marketplaceId], includedData: ['issues'], issueLocale: 'en_US' },
      body: quantityPatch(this.#memory.productTypeOf(sku), quantity),
    };
    return this.#api.mutate(operation, request, signal, isUrgent);
  }

  /** A SKU that was never read by this process is read first: writing DEFAULT onto an FBA offer converts it. */
  async #foreignReason(sku: string, signal: AbortSignal): Promise<string | undefined> {
    if (this.#memory.isForeign(sku) === undefined) {
      const [item] = (await this.#search.one(sku, signal)).items;
      if (item === undefined) return 'Amazon does not know the SKU';
      if (item.kind === 'bad') return item.reason;
    }
    return this.#memory.isForeign(sku) === true
      ? 'the SKU is fulfilled by Amazon: a quantity would convert its offer'
      : undefined;
  }
}

function refusalOf(row: WriteRow, sku: string): string | undefined {
  if (row.ref.locationId !== defaultChannelCode) return 'stock in Amazon warehouses cannot be written';
  return unsendable(sku, row.to);
}

function resultOf(outcome: SpApiOutcome, sku: string): WriteResult {
  switch (outcome.kind) {
    case 'answer':
      return resultOfSubmission(outcome.body, sku);
    case 'throttled':
      return { rows: [{ kind: 'not-applied' }], throttledForMs: Math.ceil(outcome.waitMs) };
    case 'unknown':
      return { rows: [{ kind: 'unknown', reason: outcome.reason }] };
    case 'not-found':
      return rejected(outcome.reason, true);
    case 'conflict':
    case 'denied':
    case 'not-sent':
    case 'refused':
    case 'unauthorized':
      break;
  }
  throw failureOf(operation.name, outcome);
}

/** HTTP 200 is no success: only the status ACCEPTED is. */
function resultOfSubmission(body: JsonRecord, sku: string): WriteResult {
  const platformReference = textOf(body['submissionId']);
  const reference = platformReference === undefined ? {} : { platformReference };
  const row = outcomeOfSubmission(body, sku);
  return { rows: [row], ...reference };
}

function outcomeOfSubmission(body: JsonRecord, sku: string): RowOutcome {
  if (textOf(body['sku']) !== sku) return { kind: 'unknown', reason: 'the answer is about another SKU' };
  const status = textOf(body['status']);
  if (status === 'ACCEPTED') return { kind: 'accepted' };
  if (status !== 'INVALID')
    return { kind: 'unknown', reason: `the status is ${(status ?? 'missing').slice(0, 40)}` };
  return { kind: 'rejected', reason: issuesText(listOf(body['issues'])), isPermanent: true };
}

/** The errors that Amazon names, short. */
export function issuesText(issues: readonly unknown[] | undefined): string {
  const errors = (issues ?? []).filter(isRecord).filter((issue) => issue['severity'] === 'ERROR');
  const texts = errors.map((issue) => `${textOf(issue['code']) ?? ''}: ${textOf(issue['message']) ?? ''}`);
  return texts.length === 0 ? 'INVALID without a stated error' : texts.join('; ').slice(0, 300);
}

function rejected(reason: string, isPermanent: boolean): WriteResult {
  return { rows: [{ kind: 'rejected', reason, isPermanent }] };
}

function throttledBy(error: StockmeshError, usualMs: number): WriteResult {
  if (error.code !== 'CONNECTOR_LIMIT_WAIT' && error.code !== 'CONNECTOR_THROTTLED') throw error;
  const waitMs = Number(error.fields['waitMs']);
  return { rows: [{ kind: 'not-applied' }], throttledForMs: waitMs > 0 ? Math.ceil(waitMs) : usualMs };
}

function refused(reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_REQUEST_REFUSED', { platform, operation: operation.name, reason });
}
