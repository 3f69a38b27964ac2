import { StockmeshError } from '../../domain/errors.ts';
import { zeroes } from '../../domain/urgency.ts';
import type { RowOutcome, WriteBatch, WriteResult, WriteRow } from '../connector.ts';
import { deadlineWithin } from '../deadline.ts';
import { isRecord, listOf } from '../raw-json.ts';
import type { ApiRequest, TiktokApi } from './api.ts';
import { endpoints, inventoryUpdate } from './endpoints.ts';
import { idsOf } from './ids.ts';
import type { Inventory, SkuShelf } from './inventory.ts';
import { type TiktokSettings, maxQuantity, maxSkusPerProduct, platform } from './options.ts';
import { failureOf } from './outcome.ts';
import { ProductTurns } from './product-turns.ts';
import type { ShelfMemory } from './shelf-memory.ts';
import { type RefusalContext, type SentRow, outcomesOf, rejectionOf, waitBeforeMs } from './write-outcome.ts';

/** What one request says of one SKU: every one of its warehouses. */
interface SkuUpdate {
  readonly id: string;
  readonly inventory: readonly { readonly warehouse_id: string; readonly quantity: number }[];
}

interface Plan {
  readonly skus: readonly SkuUpdate[];
  /** By index in the batch. */
  readonly sent: ReadonlyMap<number, SentRow>;
  readonly readSkus: ReadonlySet<string>;
}

interface OwnRow extends SentRow {
  readonly index: number;
}

const notApplied: RowOutcome = { kind: 'not-applied' };
/** The caller's own watchdog has the whole request time-out. */
const marginMs = 200;

/**
 * One `inventory/update` per batch: all rows of ONE product, each SKU with all of its warehouses. Rows of other products
 * come back as not applied (see `batchGroup`: the publisher does not mix them).
 *
 * A SKU's warehouse that is not in the batch still has to travel: one of ours as the least of what is believed, what was
 * just read and what we wrote there and may not show yet, so that it is never raised by accident; one that is not ours as
 * just read, and only where the merchant allowed that. Requests of one product go one after the other, because two of them
 * would repeat each other's old numbers.
 *
 * There is neither compare-and-set nor idempotency key: code 0 means accepted, and anything without a clear answer is
 * unknown, for a read to settle.
 */
export class StockWriter {
  readonly #parts: {
    readonly api: TiktokApi;
    readonly inventory: Inventory;
    readonly memory: ShelfMemory;
    readonly settings: TiktokSettings;
  };
  readonly #turns = new ProductTurns();

  constructor(parts: {
    readonly api: TiktokApi;
    readonly inventory: Inventory;
    readonly memory: ShelfMemory;
    readonly settings: TiktokSettings;
  }) {
    this.#parts = parts;
  }

  async write(batch: WriteBatch, signal: AbortSignal): Promise<WriteResult> {
    const malformed = malformedBatch(batch);
    if (malformed !== undefined) throw refusedBatch(malformed);
    const productId = batch.rows.map(({ ref }) => idsOf(ref)?.productId).find((id) => id !== undefined);
    const outcomes: RowOutcome[] = batch.rows.map(() => notApplied);
    const rows = this.#ownRows(batch, productId, outcomes);
    if (productId === undefined || rows.length === 0) return { rows: outcomes };
    const { settings } = this.#parts;
    const deadline = deadlineWithin(signal, Math.max(1, settings.requestTimeoutMs - marginMs));
    let release: (() => void) | undefined;
    try {
      release = await this.#turns.take(productId, deadline.signal, zeroes(batch.rows));
      if (release === undefined) return { rows: outcomes, throttledForMs: 500 };
      return await this.#send(batch, productId, rows, outcomes, deadline.signal);
    } catch (error) {
      // Our own end of time, while waiting or reading: the write itself answers its end as unknown.
      const isOurEnd = deadline.isPast && !signal.aborted && !(error instanceof StockmeshError);
      const waitMs = isOurEnd ? 500 : waitBeforeMs(error, settings.maxWriteWaitMs);
      if (waitMs === undefined) throw error;
      return { rows: batch.rows.map(() => notApplied), throttledForMs: waitMs };
    } finally {
      release?.();
      deadline.end();
    }
  }

  /** The rows of the product that may be sent; the others get their outcome. */
  #ownRows(batch: WriteBatch, productId: string | undefined, outcomes: RowOutcome[]): readonly OwnRow[] {
    const refusedSkus = new Set<string>();
    const rows: OwnRow[] = [];
    const skus = new Set<string>();
    batch.rows.forEach((row, index) => {
      const ids = idsOf(row.ref);
      const refusal = ids === undefined ? 'the listing is not one of TikTok' : this.#refusal(row, ids.skuId);
      if (refusal !== undefined) {
        outcomes[index] = { kind: 'rejected', reason: refusal, isPermanent: true };
        if (ids !== undefined) refusedSkus.add(ids.skuId);
        return;
      }
      if (ids === undefined || ids.productId !== productId) return;
      if (!skus.has(ids.skuId) && skus.size >= maxSkusPerProduct) return;
      skus.add(ids.skuId);
      const quantity = Math.min(row.to, maxQuantity);
      rows.push({ index, skuId: ids.skuId, warehouseId: ids.warehouseId, quantity });
    });
    // A SKU travels whole or not at all.
    return rows.filter((row) => !refusedSkus.has(row.skuId));
  }

  #refusal({ to }: WriteRow, skuId: string): string | undefined {
    if (!Number.isSafeInteger(to) || to < 0) return `${to} is no quantity TikTok takes`;
    if (this.#parts.memory.isBundle(skuId)) return 'the stock of a bundle follows from its components';
    return undefined;
  }

  async #send(
    batch: WriteBatch,
    productId: string,
    rows: readonly OwnRow[],
    outcomes: RowOutcome[],
    signal: AbortSignal,
  ): Promise<WriteResult> {
    const { settings, memory } = this.#parts;
    if (settings.soldOut === 'deactivate' && rows.some((row) => row.quantity === 0))
      return await this.#deactivate(productId, rows, outcomes, signal);
    const isUrgent = (): boolean => this.#turns.isUrgent(productId);
    const plan = await this.#plan(batch, rows, outcomes, signal, isUrgent);
    if (plan.skus.length === 0) return { rows: outcomes };
    // Noted before they leave: whatever is planned next must not exceed a number that may still land.
    const undo = plan.skus.flatMap(({ id, inventory }) =>
      inventory.map((place) => memory.noteWritten(`${id}@${place.warehouse_id}`, place.quantity)),
    );
    const request: ApiRequest = { endpoint: inventoryUpdate(productId), body: { skus: plan.skus } };
    let outcome;
    try {
      outcome = await this.#parts.api.write(request, signal, isUrgent);
    } catch (error) {
      // It rejects only when nothing was sent.
      for (const takeBack of undo) takeBack();
      throw error;
    }
    if (outcome.kind !== 'answer' && outcome.kind !== 'unknown') for (const takeBack of undo) takeBack();
    const context: RefusalContext = { memory, wasRead: (skuId) => plan.readSkus.has(skuId) };
    const indexed = [...plan.sent];
    switch (outcome.kind) {
      case 'answer': {
        const results = outcomesOf(
          outcome.data,
          indexed.map(([, row]) => row),
          context,
        );
        indexed.forEach(([index], at) => (outcomes[index] = results[at] ?? notApplied));
        return {
          rows: outcomes,
          ...(outcome.requestId === '' ? {} : { platformReference: outcome.requestId }),
        };
      }
      case 'unknown':
        for (const [index] of indexed) outcomes[index] = { kind: 'unknown', reason: outcome.reason };
        return { rows: outcomes };
      case 'throttled':
        return { rows: batch.rows.map(() => notApplied), throttledForMs: outcome.waitMs ?? 1_000 };
      case 'refused': {
        const refusal = { code: outcome.code, message: outcome.reason.replace(`${outcome.code} `, '') };
        for (const [index, row] of indexed) outcomes[index] = rejectionOf(refusal, row, context);
        return { rows: outcomes };
      }
      case 'unauthorized':
      case 'wrong-clock':
      case 'wrong-cipher':
      case 'denied':
      case 'not-sent':
        throw failureOf(request.endpoint.name, outcome);
    }
  }

  async #plan(
    batch: WriteBatch,
    rows: readonly OwnRow[],
    outcomes: RowOutcome[],
    signal: AbortSignal,
    isUrgent: () => boolean,
  ): Promise<Plan> {
    const { memory, inventory } = this.#parts;
    const bySku = Map.groupBy(rows, (row) => row.skuId);
    const unread = [...bySku].filter(([skuId, own]) => {
      const named = new Set(own.map((row) => row.warehouseId));
      return memory.warehousesOf(skuId)?.every((id) => named.has(id)) !== true;
    });
    const skuIds = unread.map(([skuId]) => skuId);
    const read = skuIds.length === 0 ? undefined : await inventory.readNow(skuIds, signal, isUrgent);
    const believed = new Map((batch.beside ?? []).map((listing) => [listing.key, listing.believed]));
    const skus: SkuUpdate[] = [];
    const sent = new Map<number, SentRow>();
    for (const [skuId, own] of bySku) {
      const refusal = read?.refused.get(skuId);
      if (refusal !== undefined) {
        const context: RefusalContext = { memory, wasRead: () => true };
        for (const row of own) outcomes[row.index] = rejectionOf(refusal, row, context);
        continue;
      }
      const shelf = skuIds.includes(skuId) ? read?.skus.get(skuId) : undefined;
      const planned =
        shelf === undefined && skuIds.includes(skuId)
          ? 'TikTok shows no inventory of the SKU'
          : this.#skuUpdate(skuId, own, shelf, believed);
      if (typeof planned === 'string') {
        for (const row of own) outcomes[row.index] = { kind: 'rejected', reason: planned, isPermanent: true };
        continue;
      }
      skus.push(planned);
      for (const row of own) sent.set(row.index, row);
    }
    return { skus, sent, readSkus: new Set(skuIds) };
  }

  /** All warehouses of a SKU with the number each is to show, or why the SKU cannot be written. */
  #skuUpdate(
    skuId: string,
    own: readonly OwnRow[],
    shelf: SkuShelf | undefined,
    believed: ReadonlyMap<string, number>,
  ): SkuUpdate | string {
    const { settings, memory } = this.#parts;
    const wanted = new Map(own.map((row) => [row.warehouseId, row.quantity]));
    if (shelf === undefined) {
      const inventory = own.map((row) => ({ warehouse_id: row.warehouseId, quantity: row.quantity }));
      return { id: skuId, inventory };
    }
    const stranger = own.find((row) => !shelf.available.has(row.warehouseId));
    if (stranger !== undefined) return `the SKU does not lie in warehouse ${stranger.warehouseId}`;
    const inventory: { warehouse_id: string; quantity: number }[] = [];
    for (const [warehouseId, shown] of shelf.available) {
      const key = `${skuId}@${warehouseId}`;
      const isOurs = settings.warehouses?.has(warehouseId) ?? true;
      if (!isOurs && settings.otherWarehouses === 'refuse')
        return `the SKU also lies in warehouse ${warehouseId}, which is not ours (otherWarehouses: echo allows it)`;
      const asIs = isOurs
        ? Math.max(0, Math.min(shown, believed.get(key) ?? shown, memory.lowestWritten(key) ?? shown))
        : shown;
      inventory.push({
        warehouse_id: warehouseId,
        quantity: Math.min(maxQuantity, wanted.get(warehouseId) ?? asIs),
      });
    }
    return { id: skuId, inventory };
  }

  /** Where 0 is not taken: the product stops selling, and a person has to put it back on sale. */
  async #deactivate(
    productId: string,
    rows: readonly OwnRow[],
    outcomes: RowOutcome[],
    signal: AbortSignal,
  ): Promise<WriteResult> {
    const request: ApiRequest = { endpoint: endpoints.deactivate, body: { product_ids: [productId] } };
    const outcome = await this.#parts.api.write(request, signal, () => true);
    if (outcome.kind === 'throttled') return { rows: outcomes, throttledForMs: outcome.waitMs ?? 1_000 };
    const soldOut = rows.filter((row) => row.quantity === 0);
    if (outcome.kind === 'unknown') {
      for (const row of soldOut) outcomes[row.index] = { kind: 'unknown', reason: outcome.reason };
      return { rows: outcomes };
    }
    if (outcome.kind !== 'answer') throw failureOf(request.endpoint.name, outcome);
    const isRefused = (listOf(outcome.data['errors']) ?? []).some((error) => isRecord(error));
    for (const row of soldOut) {
      if (!isRefused) this.#parts.memory.noteSelling(row.skuId, false);
      outcomes[row.index] = {
        kind: 'rejected',
        reason: isRefused
          ? 'sold out, and TikTok refused to deactivate the product'
          : 'sold out: the product was deactivated; activate it in Seller Center when there is stock again',
        isPermanent: !isRefused,
      };
    }
    return { rows: outcomes };
  }
}

/** A batch that the publisher may never build. */
function malformedBatch(batch: WriteBatch): string | undefined {
  if (batch.kind !== 'put') return 'TikTok takes plain numbers only: no deltas and no conditions';
  if (batch.rows.length === 0) return 'the batch is empty';
  if (new Set(batch.rows.map((row) => row.ref.key)).size !== batch.rows.length)
    return 'a listing comes twice';
  return undefined;
}

function refusedBatch(reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_REQUEST_REFUSED', { platform, operation: 'inventory-update', reason });
}
