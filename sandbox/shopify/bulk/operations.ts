import type { DocumentNode, ExecutionResult, OperationDefinitionNode } from 'graphql';
import type { SandboxClock } from '../clock.ts';
import { checkDocument, operationsOf } from '../graphql/documents.ts';
import { gid, IdSequence, isoSeconds } from '../ids.ts';
import type { Body } from '../webhooks/payloads.ts';
import { flatten } from './rows.ts';
import type { JsonRow } from './rows.ts';

export interface BulkOperation {
  readonly typename: 'BulkOperation';
  readonly id: string;
  readonly query: string;
  readonly createdAt: number;
  status: 'CREATED' | 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELING' | 'CANCELED' | 'EXPIRED';
  errorCode: 'ACCESS_DENIED' | 'INTERNAL_SERVER_ERROR' | 'TIMEOUT' | null;
  completedAt: number | null;
  objectCount: number;
  rootObjectCount: number;
  fileSize: number | null;
  url: string | null;
  partialDataUrl: string | null;
}

export interface BulkSettings {
  /** Pause between two slices of the result: quantities move in between. */
  sliceDelayMs: number;
  rowsPerSlice: number;
  /** The next operation fails after this many slices. */
  failNext: {
    readonly afterSlices: number;
    readonly errorCode: NonNullable<BulkOperation['errorCode']>;
  } | null;
}

/** What a shop lends its bulk operations. */
export interface BulkHost {
  readonly domain: string;
  readonly clock: SandboxClock;
  emit(topic: string, build: () => Body): void;
}

/** Reads the root rows [from, to) of a query as of now. */
export type SliceReader = (
  document: DocumentNode,
  operation: OperationDefinitionNode,
  window: { readonly from: number; readonly to: number },
) => ExecutionResult;

interface Run {
  readonly operation: BulkOperation;
  readonly document: DocumentNode;
  readonly definition: OperationDefinitionNode;
  readonly failure: BulkSettings['failNext'];
  readonly parts: string[];
  from: number;
  slices: number;
}

const MAX_RUNNING = 5;
const MAX_KEPT = 1_000;
const URL_LIFETIME_MS = 7 * 86_400_000;

/**
 * Bulk queries of one shop: CREATED -> RUNNING -> COMPLETED | FAILED, or CANCELING -> CANCELED. The result is read in
 * slices over time, so its rows belong to different moments: it is not a snapshot of one instant.
 */
export class BulkOperations {
  readonly settings: BulkSettings = { sliceDelayMs: 20, rowsPerSlice: 200, failNext: null };
  /** Base of the result URLs; set by the server that serves them. */
  baseUrl = '';
  readonly #host: BulkHost;
  readonly #readSlice: SliceReader;
  readonly #ids = new IdSequence(7_933_223_797_042n);
  readonly #operations = new Map<string, BulkOperation>();
  readonly #results = new Map<string, { readonly body: Buffer; readonly expiresAt: number }>();
  readonly #timers = new Set<() => void>();

  constructor(host: BulkHost, readSlice: SliceReader) {
    this.#host = host;
    this.#readSlice = readSlice;
  }

  all(): readonly BulkOperation[] {
    return [...this.#operations.values()];
  }

  get(id: string): BulkOperation | null {
    return this.#operations.get(id) ?? null;
  }

  /** The JSONL behind a result URL, or null when there is none (any more). */
  result(file: string): Buffer | null {
    const result = this.#results.get(file);
    return result && result.expiresAt > this.#host.clock.now() ? result.body : null;
  }

  start(query: string): { kind: 'started'; operation: BulkOperation } | { kind: 'busy'; running: string[] } {
    const running = this.all().filter((known) => /^(CREATED|RUNNING|CANCELING)$/.test(known.status));
    if (running.length >= MAX_RUNNING) return { kind: 'busy', running: running.map((known) => known.id) };
    const checked = checkDocument(query);
    const definition = checked.kind === 'valid' ? operationsOf(checked.document)[0] : undefined;
    if (checked.kind !== 'valid' || !definition) throw new Error('the query was not checked');
    const operation: BulkOperation = {
      typename: 'BulkOperation',
      id: gid('BulkOperation', this.#ids.take()),
      query,
      createdAt: this.#host.clock.now(),
      status: 'CREATED',
      errorCode: null,
      completedAt: null,
      objectCount: 0,
      rootObjectCount: 0,
      fileSize: null,
      url: null,
      partialDataUrl: null,
    };
    if (this.#operations.size >= MAX_KEPT)
      this.#operations.delete(this.#operations.keys().next().value ?? '');
    this.#operations.set(operation.id, operation);
    const failure = this.settings.failNext;
    this.settings.failNext = null;
    this.#later({
      operation,
      document: checked.document,
      definition,
      failure,
      parts: [],
      from: 0,
      slices: 0,
    });
    return { kind: 'started', operation };
  }

  cancel(operation: BulkOperation): boolean {
    if (!/^(CREATED|RUNNING|CANCELING)$/.test(operation.status)) return false;
    operation.status = 'CANCELING';
    return true;
  }

  stop(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #later(run: Run): void {
    const cancel = this.#host.clock.schedule(this.settings.sliceDelayMs, () => {
      this.#timers.delete(cancel);
      this.#slice(run);
    });
    this.#timers.add(cancel);
  }

  #slice(run: Run): void {
    const { operation } = run;
    if (operation.status === 'CANCELING') {
      this.#finish(run, 'CANCELED');
      return;
    }
    operation.status = 'RUNNING';
    if (run.failure && run.slices >= run.failure.afterSlices) {
      operation.errorCode = run.failure.errorCode;
      this.#finish(run, 'FAILED');
      return;
    }
    const to = run.from + this.settings.rowsPerSlice;
    const { data, errors } = this.#readSlice(run.document, run.definition, { from: run.from, to });
    if (errors) {
      operation.errorCode =
        errors[0]?.extensions['code'] === 'ACCESS_DENIED' ? 'ACCESS_DENIED' : 'INTERNAL_SERVER_ERROR';
      this.#finish(run, 'FAILED');
      return;
    }
    const rows = flatten(data);
    run.from = to;
    run.slices += 1;
    operation.rootObjectCount += rows.parents.length;
    operation.objectCount += rows.parents.length + rows.children.length;
    // Without groupObjects children are not placed behind their parent.
    if (rows.parents.length > 0) run.parts.push(lines(rows.parents), lines(rows.children.toReversed()));
    if (rows.parents.length < this.settings.rowsPerSlice) this.#finish(run, 'COMPLETED');
    else this.#later(run);
  }

  #finish(run: Run, status: 'COMPLETED' | 'FAILED' | 'CANCELED'): void {
    const { operation } = run;
    const now = this.#host.clock.now();
    operation.status = status;
    operation.completedAt = now;
    const body = Buffer.from(run.parts.join(''));
    // An empty result has no file and a null url.
    if (body.length > 0 && status !== 'CANCELED') {
      const file = `${operation.id.split('/').at(-1)}.jsonl`;
      this.#results.set(file, { body, expiresAt: now + URL_LIFETIME_MS });
      const url = `${this.baseUrl}/_bulk/${this.#host.domain}/${file}`;
      if (status === 'COMPLETED') {
        operation.url = url;
        operation.fileSize = body.length;
      } else operation.partialDataUrl = url;
    }
    this.#host.emit('bulk_operations/finish', () => ({
      admin_graphql_api_id: operation.id,
      completed_at: isoSeconds(now),
      created_at: isoSeconds(operation.createdAt),
      error_code: operation.errorCode?.toLowerCase() ?? null,
      status: status.toLowerCase(),
      type: 'query',
    }));
  }
}

const lines = (rows: readonly JsonRow[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
