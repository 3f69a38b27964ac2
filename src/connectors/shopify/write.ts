import { StockmeshError } from '../../domain/errors.ts';
import { zeroes } from '../../domain/urgency.ts';
import type { RowOutcome, WriteBatch, WriteResult, WriteRow } from '../connector.ts';
import { documents } from './documents.ts';
import { type ShopifyGraphql, failureOf } from './graphql.ts';
import { gidOf } from './ids.ts';
import type { InactiveLevels } from './levels.ts';
import { type ShopifySettings, maxInputRows, platform } from './options.ts';
import { resultOfPayload } from './write-outcome.ts';

/** Limits of inventoryAdjustQuantities and inventorySetQuantities. */
const maxDelta = 2_000_000_000;
const maxQuantity = 1_000_000_000;

/**
 * One inventory mutation per batch.
 *
 * - `lower`: deltas without precondition. They commute with sales we have not seen, so they may travel in large batches.
 * - `raise`: deltas on condition that Shopify still shows `from`: an unseen sale makes the row STALE instead of being sold
 *   again. A batch fails whole, hence the small batches.
 * - `repair`: compare-and-set, the only absolute write. `on_hand` is never written.
 *
 * `changeFromQuantity` is always present (null opts out): leaving it out is refused since 2026-04.
 */
export class StockWriter {
  readonly #graphql: ShopifyGraphql;
  readonly #settings: ShopifySettings;
  readonly #inactive: InactiveLevels;

  constructor(graphql: ShopifyGraphql, settings: ShopifySettings, inactive: InactiveLevels) {
    this.#graphql = graphql;
    this.#settings = settings;
    this.#inactive = inactive;
  }

  async write(batch: WriteBatch, signal: AbortSignal): Promise<WriteResult> {
    const malformed = this.#malformed(batch);
    if (malformed !== undefined) throw refused(batch, malformed);
    const refusals = batch.rows.map((row) => this.#refusal(batch, row));
    if (refusals.some((refusal) => refusal !== undefined)) {
      // The key stands for exactly these rows: sending the others under it would spend it on something else.
      return { rows: refusals.map((refusal) => refusal ?? { kind: 'not-applied' }) };
    }
    if (batch.rows.every((row) => row.from === row.to))
      return { rows: batch.rows.map(() => ({ kind: 'confirmed' })) };

    const isRepair = batch.kind === 'repair';
    const operation = isRepair ? documents.setAvailable : documents.adjustAvailable;
    const variables = { input: isRepair ? setInput(batch) : adjustInput(batch), idempotencyKey: batch.key };
    try {
      const outcome = await this.#graphql.mutate(operation, variables, signal, zeroes(batch.rows));
      if (outcome.kind === 'answer') return resultOfPayload(batch, outcome.data);
      if (outcome.kind === 'throttled')
        return { rows: allRows(batch, { kind: 'not-applied' }), throttledForMs: outcome.waitMs };
      if (outcome.kind === 'unknown')
        return { rows: allRows(batch, { kind: 'unknown', reason: outcome.reason }) };
      throw failureOf(operation.name, outcome);
    } catch (error) {
      if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_LIMIT_WAIT') throw error;
      const waitMs = Number(error.fields['waitMs']);
      const throttledForMs = waitMs > 0 ? waitMs : this.#settings.maxWriteWaitMs;
      return { rows: allRows(batch, { kind: 'not-applied' }), throttledForMs };
    }
  }

  /** A batch that the publisher may never build. */
  #malformed(batch: WriteBatch): string | undefined {
    if (batch.kind === 'put') return 'plain absolute writes would erase sales that are not seen yet';
    if (batch.rows.length === 0) return 'the batch is empty';
    const most = batch.kind === 'lower' ? maxInputRows : this.#settings.raiseBatchSize;
    if (batch.rows.length > most) return `${batch.rows.length} rows, at most ${most} are allowed`;
    if (batch.key.trim() === '') return 'the idempotency key is blank';
    if (new Set(batch.rows.map((row) => row.ref.key)).size !== batch.rows.length)
      return 'a listing comes twice';
    for (const { from, to } of batch.rows) {
      if (batch.kind === 'lower' && to > from) return 'a lowering raises';
      if (batch.kind === 'raise' && to < from) return 'a raise lowers';
    }
    return undefined;
  }

  #refusal(batch: WriteBatch, row: WriteRow): RowOutcome | undefined {
    const { from, to, ref } = row;
    const isSafe = Number.isSafeInteger(from) && Number.isSafeInteger(to);
    if (!isSafe || Math.abs(to - from) > maxDelta || Math.abs(from) > maxDelta)
      return { kind: 'rejected', reason: 'the quantity is outside what Shopify takes', isPermanent: true };
    if (batch.kind === 'repair' && Math.abs(to) > maxQuantity)
      return { kind: 'rejected', reason: 'the quantity is outside what Shopify takes', isPermanent: true };
    if (this.#inactive.has(ref.key))
      return {
        kind: 'rejected',
        reason: 'the level is not active: a write would sell nothing',
        isPermanent: false,
      };
    return undefined;
  }
}

function adjustInput(batch: WriteBatch) {
  return {
    name: 'available',
    reason: 'correction',
    referenceDocumentUri: documentUri(batch),
    changes: batch.rows.map((row) => ({
      inventoryItemId: gidOf('InventoryItem', row.ref.itemId),
      locationId: gidOf('Location', row.ref.locationId),
      delta: row.to - row.from,
      changeFromQuantity: batch.kind === 'raise' ? row.from : null,
    })),
  };
}

function setInput(batch: WriteBatch) {
  return {
    name: 'available',
    reason: 'correction',
    referenceDocumentUri: documentUri(batch),
    quantities: batch.rows.map((row) => ({
      inventoryItemId: gidOf('InventoryItem', row.ref.itemId),
      locationId: gidOf('Location', row.ref.locationId),
      quantity: row.to,
      changeFromQuantity: row.from,
    })),
  };
}

/** Shown in the admin's inventory history: leads from there to the ledger's entry. */
function documentUri(batch: WriteBatch): string {
  return `gid://stockmesh/LedgerEntry/${encodeURIComponent(batch.reference)}`;
}

function allRows(batch: WriteBatch, outcome: RowOutcome): readonly RowOutcome[] {
  return batch.rows.map(() => outcome);
}

function refused(batch: WriteBatch, reason: string): StockmeshError {
  const { name } = batch.kind === 'repair' ? documents.setAvailable : documents.adjustAvailable;
  return new StockmeshError('CONNECTOR_REQUEST_REFUSED', { platform, operation: name, reason });
}
