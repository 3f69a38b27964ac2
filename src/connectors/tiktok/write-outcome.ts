import { StockmeshError } from '../../domain/errors.ts';
import type { RowOutcome } from '../connector.ts';
import { type JsonRecord, isRecord, listOf } from '../raw-json.ts';
import { idOf } from './ids.ts';
import { codeOf, plain } from './outcome.ts';
import type { ShelfMemory } from './shelf-memory.ts';

/** Refusals that will be the same next time, whatever the stock. Codes of the page "update inventory". */
const permanent = new Set([
  12019022, 12019024, 12052031, 12052032, 12052036, 12052048, 12052050, 12052055, 12052094, 12052096,
  12052097, 12052115, 12052141, 12052160, 12052207, 12052260, 12052308, 12052364, 12052371, 12052393,
  12052403, 12052465, 12052530, 12052531, 12052532, 12052535, 12052553, 12052556, 12052557, 12052703,
  12052849, 12052850, 12052901, 12052902, 12052910, 12052921,
]);
/** The warehouses we named are not those of the SKU (any more): one fresh look may settle it. */
const otherWarehouses = new Set([12019028, 12052037, 12052533]);
const notAllowedQuantity = new Set([12019024, 12052055]);
const bundleStock = new Set([12052849, 12052850]);
const campaignLock = 12052393;
const wrongStatus = 12052901;
/** Says only that something below it failed. */
const checkFailed = 12052990;

export interface Refusal {
  readonly code: number;
  readonly message: string;
}

interface SkuRefusal {
  /** By warehouse; `''` concerns the SKU as a whole. */
  readonly byWarehouse: ReadonlyMap<string, Refusal>;
}

/** A row of the batch with the number that was really sent for it. */
export interface SentRow {
  readonly skuId: string;
  readonly warehouseId: string;
  readonly quantity: number;
}

export interface RefusalContext {
  readonly memory: ShelfMemory;
  /** The SKU's warehouses were read in front of this very request. */
  readonly wasRead: (skuId: string) => boolean;
}

/**
 * What an answer with code 0 says about each row: it may hold refusals all the same, by SKU and warehouse. "Accepted" is
 * all that the rest amounts to; what shows is told by a read.
 */
export function outcomesOf(
  data: JsonRecord,
  rows: readonly SentRow[],
  context: RefusalContext,
): readonly RowOutcome[] {
  const errors = listOf(data['errors']) ?? [];
  const refused = new Map<string, SkuRefusal>();
  let isUnnamed = false;
  for (const error of errors) {
    const named = isRecord(error) ? skuRefusal(error) : undefined;
    if (named === undefined) isUnnamed = true;
    else {
      // One entry may stand for each warehouse of a SKU.
      const byWarehouse = new Map([...(refused.get(named.skuId)?.byWarehouse ?? []), ...named.byWarehouse]);
      refused.set(named.skuId, { byWarehouse });
    }
  }
  const sentPlaces = new Set(rows.map((row) => `${row.skuId}@${row.warehouseId}`));
  return rows.map((row): RowOutcome => {
    const refusal = refused.get(row.skuId);
    if (refusal === undefined) {
      // An error about nobody in particular could be about this row.
      return isUnnamed
        ? { kind: 'unknown', reason: 'TikTok refused a SKU without naming it' }
        : { kind: 'accepted' };
    }
    const own = refusal.byWarehouse.get(row.warehouseId);
    if (own !== undefined) return rejectionOf(own, row, context);
    const ofOthers = [...refusal.byWarehouse].find(([id]) => !sentPlaces.has(`${row.skuId}@${id}`));
    if (ofOthers !== undefined) return rejectionOf(ofOthers[1], row, context);
    return { kind: 'unknown', reason: 'another warehouse of the SKU was refused' };
  });
}

function skuRefusal(error: JsonRecord): (SkuRefusal & { readonly skuId: string }) | undefined {
  const detail = isRecord(error['detail']) ? error['detail'] : {};
  const skuId = idOf(detail['sku_id']);
  if (skuId === undefined) return undefined;
  const byWarehouse = new Map<string, Refusal>();
  for (const extra of listOf(detail['extra_errors']) ?? []) {
    if (!isRecord(extra)) continue;
    byWarehouse.set(idOf(extra['warehouse_id']) ?? '', refusalOf(extra));
  }
  if (byWarehouse.size === 0) byWarehouse.set('', refusalOf(error));
  return { skuId, byWarehouse };
}

function refusalOf(record: JsonRecord): Refusal {
  return { code: codeOf(record['code']) ?? checkFailed, message: plain(record['message']) };
}

/** What one code of TikTok's means for a row. */
export function rejectionOf(
  { code, message }: Refusal,
  row: SentRow,
  { memory, wasRead }: RefusalContext,
): RowOutcome {
  const reason = `${code} ${message}`;
  if (otherWarehouses.has(code)) {
    memory.forgetWarehouses(row.skuId);
    return { kind: 'rejected', reason, isPermanent: wasRead(row.skuId) };
  }
  if (bundleStock.has(code)) memory.noteBundle(row.skuId);
  if (code === wrongStatus) memory.noteSelling(row.skuId, false);
  if (code === campaignLock)
    return {
      kind: 'rejected',
      reason: `locked by a promotion, which forbids to lower it: ${reason}`,
      isPermanent: true,
    };
  if (notAllowedQuantity.has(code) && row.quantity === 0)
    return {
      kind: 'rejected',
      reason: `TikTok takes no quantity 0 (set soldOut: deactivate, or end the product by hand): ${reason}`,
      isPermanent: true,
    };
  return { kind: 'rejected', reason, isPermanent: permanent.has(code) };
}

const forLater = new Set(['CONNECTOR_LIMIT_WAIT', 'CONNECTOR_THROTTLED']);

/** How long the platform's limit puts a write off that was not sent because of it; undefined: it failed for another reason. */
export function waitBeforeMs(error: unknown, usualMs: number): number | undefined {
  if (!(error instanceof StockmeshError) || !forLater.has(error.code)) return undefined;
  return Number(error.fields['waitMs']) || usualMs;
}
