import { parseUnits } from '../../domain/quantity.ts';
import type { ParkedRow } from '../connector.ts';
import type { PlatformClock } from '../platform-clock.ts';
import { isRecord, listOf } from '../raw-json.ts';
import type { ApiRequest, TiktokApi } from './api.ts';
import { endpoints } from './endpoints.ts';
import { idOf } from './ids.ts';
import { maxSkusPerRead } from './options.ts';
import { type ApiAnswer, type ApiOutcome, failureOf, unreadable } from './outcome.ts';
import type { ShelfMemory } from './shelf-memory.ts';
import type { Refusal } from './write-outcome.ts';

/** Finds three SKUs among 600. */
const maxExtraReads = 64;

/** One SKU as inventory/search shows it. */
export interface SkuShelf {
  readonly productId: string;
  readonly skuId: string;
  /** Available units by warehouse: what buyers can still take, and what a write sets. Committed units come on top. */
  readonly available: ReadonlyMap<string, number>;
}

export interface InventoryRead {
  readonly skus: ReadonlyMap<string, SkuShelf>;
  readonly parked: readonly ParkedRow[];
  /** Platform clock, start of the first question. */
  readonly readAtMs: number;
  /** Of a reading of one SKU that TikTok will not tell about. */
  readonly refusal?: Refusal | undefined;
}

/** The figures right before a write, as far as TikTok tells them. */
export interface InventoryNow {
  readonly skus: ReadonlyMap<string, SkuShelf>;
  readonly refused: ReadonlyMap<string, Refusal>;
}

/** Present figures of SKUs, 600 per request. */
export class Inventory {
  readonly #api: TiktokApi;
  readonly #platformClock: PlatformClock;
  readonly #memory: ShelfMemory;

  constructor(api: TiktokApi, platformClock: PlatformClock, memory: ShelfMemory) {
    this.#api = api;
    this.#platformClock = platformClock;
    this.#memory = memory;
  }

  async *read(skuIds: readonly string[], signal: AbortSignal): AsyncGenerator<InventoryRead> {
    const wanted = [...new Set(skuIds)];
    for (let start = 0; start < wanted.length; start += maxSkusPerRead)
      yield* this.#halves(wanted.slice(start, start + maxSkusPerRead), { left: maxExtraReads }, (some) =>
        this.#api.tryRead(requestOf(some), signal),
      );
  }

  /** One SKU that TikTok will not tell about fails the request of all: it is found and parked, the others are read. */
  async *#halves(
    skuIds: readonly string[],
    extra: { left: number },
    ask: (skuIds: readonly string[]) => Promise<ApiOutcome>,
  ): AsyncGenerator<InventoryRead> {
    const outcome = await ask(skuIds);
    if (outcome.kind === 'answer') {
      yield this.#pageOf(outcome);
      return;
    }
    const isOfSkus = outcome.kind === 'refused' && isProductCode(outcome.code);
    const [only] = skuIds;
    if (!isOfSkus || only === undefined) throw failureOf(endpoints.inventory.name, outcome);
    if (skuIds.length === 1) {
      const row = bad(only, outcome.reason);
      const refusal = { code: outcome.code, message: outcome.reason.replace(`${outcome.code} `, '') };
      yield { skus: new Map(), parked: [row], readAtMs: this.#platformClock.nowMs(), refusal };
      return;
    }
    // A refusal of every SKU is no poison row: it ends here instead of in a request for each.
    extra.left -= 2;
    if (extra.left < 0) throw failureOf(endpoints.inventory.name, outcome);
    const half = Math.ceil(skuIds.length / 2);
    yield* this.#halves(skuIds.slice(0, half), extra, ask);
    yield* this.#halves(skuIds.slice(half), extra, ask);
  }

  /** A SKU that TikTok will not tell about keeps no other from being written. */
  async readNow(
    skuIds: readonly string[],
    signal: AbortSignal,
    isUrgent?: () => boolean,
  ): Promise<InventoryNow> {
    const skus = new Map<string, SkuShelf>();
    const refused = new Map<string, Refusal>();
    const pages = this.#halves(skuIds.slice(0, maxSkusPerRead), { left: maxExtraReads }, (some) =>
      this.#api.readNow(requestOf(some), signal, isUrgent),
    );
    for await (const page of pages) {
      for (const [skuId, shelf] of page.skus) skus.set(skuId, shelf);
      const [row] = page.parked;
      if (page.refusal !== undefined && row !== undefined) refused.set(row.reference, page.refusal);
    }
    return { skus, refused };
  }

  #pageOf({ data, sentAtMs }: ApiAnswer): InventoryRead {
    const { name } = endpoints.inventory;
    const products = listOf(data['inventory']);
    // Nothing found may leave the list out; anything else in its place is no answer.
    if (products === undefined && data['inventory'] !== undefined && data['inventory'] !== null)
      throw unreadable(name, 'inventory is no list');
    const skus = new Map<string, SkuShelf>();
    const parked: ParkedRow[] = [];
    for (const product of products ?? []) {
      const productId = isRecord(product) ? idOf(product['product_id']) : undefined;
      const rows = isRecord(product) ? listOf(product['skus']) : undefined;
      if (productId === undefined || rows === undefined) {
        parked.push(bad('', 'a product of the inventory cannot be read'));
        continue;
      }
      for (const row of rows) {
        const shelf = shelfOf(productId, row, parked);
        if (shelf === undefined) continue;
        skus.set(shelf.skuId, shelf);
        this.#memory.noteWarehouses(shelf.skuId, [...shelf.available.keys()]);
      }
    }
    return { skus, parked, readAtMs: this.#platformClock.at(sentAtMs) };
  }
}

function requestOf(skuIds: readonly string[]): ApiRequest {
  return { endpoint: endpoints.inventory, body: { sku_ids: skuIds } };
}

/** Codes of the product interface itself; those of the gateway concern every request alike. */
function isProductCode(code: number): boolean {
  return code >= 12_000_000 && code < 13_000_000;
}

/** Undefined when the row says nothing that can be believed: half a SKU would be written without its other warehouses. */
function shelfOf(productId: string, row: unknown, parked: ParkedRow[]): SkuShelf | undefined {
  const skuId = isRecord(row) ? idOf(row['id']) : undefined;
  if (!isRecord(row) || skuId === undefined) {
    parked.push(bad(productId, 'a SKU of the inventory has no id'));
    return undefined;
  }
  const available = new Map<string, number>();
  for (const place of listOf(row['warehouse_inventory']) ?? []) {
    const warehouseId = isRecord(place) ? idOf(place['warehouse_id']) : undefined;
    const units = unitsOf(isRecord(place) ? place['available_quantity'] : undefined);
    if (warehouseId === undefined || typeof units === 'string') {
      parked.push(bad(skuId, typeof units === 'string' ? units : 'a row names no warehouse'));
      return undefined;
    }
    available.set(warehouseId, units);
  }
  return { productId, skuId, available };
}

/** Whole units, or why they are none. */
export function unitsOf(value: unknown): number | string {
  const units = parseUnits(value, { min: 0, max: Number.MAX_SAFE_INTEGER });
  return units.kind === 'bad' ? units.reason : units.value;
}

function bad(reference: string, reason: string): ParkedRow {
  return { what: 'stock', reference, reason, content: '' };
}
