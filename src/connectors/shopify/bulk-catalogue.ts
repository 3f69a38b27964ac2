import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { StockmeshError } from '../../domain/errors.ts';
import type { ParkedRow } from '../connector.ts';
import type { HttpClient } from '../http.ts';
import type { Clock } from '../ports.ts';
import { type JsonRecord, isRecord, listOf, momentOf, parseJsonText, textOf } from '../raw-json.ts';
import type { CatalogueItem } from './catalogue-item.ts';
import { bulkCatalogue, documents } from './documents.ts';
import { type ShopifyGraphql, failureOf } from './graphql.ts';
import { gidOf, idOf } from './ids.ts';
import { type ShopifySettings, platform } from './options.ts';
import { part, unreadable } from './pages.ts';

const itemsPerBatch = 500;
/** Items whose rows may still follow. With `groupObjects`, which is asked for, one would do; the rest is room beside it. */
const maxOpenItems = 5_000;
const maxResultBytes = 4 * 1024 ** 3;
const maxLineLength = 1_000_000;

export interface BulkResult {
  readonly operationId: string;
  /** Null: the catalogue is empty. */
  readonly url: string | null;
  /** Rows are read over minutes and say no time of their own: the beginning is the only safe one. */
  readonly startedAtMs: number;
}

export interface BulkBatch {
  readonly items: readonly CatalogueItem[];
  readonly parked: readonly ParkedRow[];
  readonly isLast: boolean;
}

/**
 * The whole catalogue by one bulk operation.
 *
 *   asked --OPERATION_IN_PROGRESS (five run already)--> asked again after a pause
 *   asked --> running --COMPLETED--> its result is streamed line by line
 *   running --FAILED, CANCELED, EXPIRED, or too long--> CONNECTOR_BULK_FAILED
 */
export class BulkCatalogue {
  readonly #graphql: ShopifyGraphql;
  readonly #http: HttpClient;
  readonly #settings: ShopifySettings;
  readonly #clock: Clock;

  constructor(graphql: ShopifyGraphql, http: HttpClient, settings: ShopifySettings, clock: Clock) {
    this.#graphql = graphql;
    this.#http = http;
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Waits for a new operation's result, or for that of an operation named by an earlier cursor. */
  async result(operationId: string | undefined, signal: AbortSignal): Promise<BulkResult> {
    const endMs = this.#clock.nowMs() + this.#settings.bulkMaxMs;
    const id = operationId ?? (await this.#start(endMs, signal));
    for (;;) {
      const { name } = documents.bulkStatus;
      const answer = await this.#graphql.read(
        documents.bulkStatus,
        { id: gidOf('BulkOperation', id) },
        signal,
      );
      const operation = part(answer.data, 'bulkOperation', name);
      const status = textOf(operation['status']);
      if (status === 'COMPLETED') {
        const startedAtMs = momentOf(operation['createdAt']);
        if (startedAtMs === undefined) throw unreadable(name, 'the operation has no createdAt');
        return { operationId: id, url: textOf(operation['url']) ?? null, startedAtMs };
      }
      if (status === 'FAILED' || status === 'CANCELED' || status === 'CANCELING' || status === 'EXPIRED')
        throw failed(`${status} ${textOf(operation['errorCode']) ?? ''}`.trim());
      await this.#pause(endMs, signal);
    }
  }

  async *items(result: BulkResult, signal: AbortSignal): AsyncGenerator<BulkBatch> {
    const open = new Map<string, { item: JsonRecord; variants: JsonRecord[]; levels: JsonRecord[] }>();
    let parked: ParkedRow[] = [];
    let closed: CatalogueItem[] = [];
    for await (const line of this.#lines(result, signal)) {
      const parsed = parseJsonText(line);
      const row = parsed.kind === 'ok' && isRecord(parsed.value) ? parsed.value : undefined;
      // One lost line could be a level: a smaller catalogue must not pass for the whole one.
      if (row === undefined) throw failed('a line of the result is not a JSON object');
      const parentId = textOf(row['__parentId']);
      if (parentId === undefined) {
        const id = textOf(row['id']);
        if (id === undefined) {
          parked.push({
            what: 'listing',
            reference: '',
            reason: 'an item of the bulk result has no id',
            content: '',
          });
          continue;
        }
        open.set(id, { item: row, variants: [], levels: [] });
        if (open.size > maxOpenItems) {
          const oldest = open.entries().next().value;
          if (oldest !== undefined) {
            open.delete(oldest[0]);
            closed.push(oldest[1]);
          }
        }
      } else {
        // Rows of an item may stand anywhere behind it, between those of others.
        const parent = open.get(parentId);
        if (parent === undefined) throw failed('the rows of an item are too far apart');
        if (row['__typename'] === 'ProductVariant') parent.variants.push(row);
        else parent.levels.push(row);
      }
      if (closed.length >= itemsPerBatch) {
        yield { items: closed, parked, isLast: false };
        closed = [];
        parked = [];
      }
    }
    const rest = [...closed, ...open.values()];
    for (let start = 0; start === 0 || start < rest.length; start += itemsPerBatch) {
      const isLast = start + itemsPerBatch >= rest.length;
      yield { items: rest.slice(start, start + itemsPerBatch), parked, isLast };
      parked = [];
    }
  }

  async #start(endMs: number, signal: AbortSignal): Promise<string> {
    for (;;) {
      const { bulkRun } = documents;
      const outcome = await this.#graphql.mutate(bulkRun, { query: bulkCatalogue }, signal);
      // An operation whose answer was lost only costs one of the five places until it ends.
      if (outcome.kind !== 'answer' && outcome.kind !== 'throttled') throw failureOf(bulkRun.name, outcome);
      if (outcome.kind === 'answer') {
        const payload = part(outcome.data, 'bulkOperationRunQuery', bulkRun.name);
        const started = isRecord(payload['bulkOperation']) ? idOf(payload['bulkOperation']['id']) : undefined;
        if (started !== undefined) return started;
        const errors = (listOf(payload['userErrors']) ?? []).filter(isRecord);
        if (!errors.some((error) => error['code'] === 'OPERATION_IN_PROGRESS'))
          throw failed(textOf(errors[0]?.['message']) ?? 'it could not be started');
      }
      await this.#pause(endMs, signal);
    }
  }

  async #pause(endMs: number, signal: AbortSignal): Promise<void> {
    if (this.#clock.nowMs() >= endMs) throw failed(`it did not end within ${this.#settings.bulkMaxMs} ms`);
    await sleep(this.#settings.bulkPollMs, undefined, { signal });
  }

  async *#lines(result: BulkResult, signal: AbortSignal): AsyncGenerator<string> {
    if (result.url === null) return;
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(this.#settings.bulkMaxMs)]);
    // The result lies with a storage service and its address is its credential: no token goes there.
    const answer = await this.#http.stream({
      method: 'GET',
      url: this.#checked(result.url),
      operation: 'bulk result',
      signal: bounded,
    });
    try {
      if (answer.status !== 200) throw failed(`the result's address answered HTTP ${answer.status}`);
      yield* linesOf(answer.body);
    } finally {
      answer.body.destroy();
    }
  }

  /** Plain http and other addresses only where the configured base URL has them (an emulator). */
  #checked(url: string): string {
    const target = URL.canParse(url) ? new URL(url) : undefined;
    const isOwn = target?.origin === new URL(this.#settings.baseUrl).origin;
    if (target === undefined || (target.protocol !== 'https:' && !isOwn))
      throw failed("the result's address is not https");
    return target.href;
  }
}

async function* linesOf(body: Readable): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let size = 0;
  let rest = '';
  const chunks = body[Symbol.asyncIterator]() as AsyncIterableIterator<Uint8Array>;
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw failed(`the result broke off (${error instanceof Error ? error.name : 'unknown failure'})`);
    });
    if (next.done === true) break;
    size += next.value.byteLength;
    if (size > maxResultBytes) throw failed(`the result is larger than ${maxResultBytes} bytes`);
    const lines = (rest + decoder.write(Buffer.from(next.value))).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineLength) throw failed('a line of the result is too long');
    for (const line of lines) if (line.trim() !== '') yield line;
  }
  rest += decoder.end();
  if (rest.trim() !== '') yield rest;
}

function failed(reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_BULK_FAILED', { platform, reason });
}
