import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** One order of the sample, with the shop it is replayed on and its moment in the replay. */
export interface PlannedOrder {
  readonly orderId: string;
  readonly shopIndex: number;
  readonly atMs: number;
  readonly lines: readonly { readonly sku: string; readonly units: number }[];
}

/** Units of a SKU that a customer gave back from an earlier order of the sample. */
export interface PlannedCancellation {
  readonly reference: string;
  readonly sku: string;
  readonly units: number;
  readonly atMs: number;
}

export interface ReplayPlan {
  readonly orders: readonly PlannedOrder[];
  readonly cancellations: readonly PlannedCancellation[];
  /** Physical stock before the first order, per SKU. */
  readonly openingUnits: ReadonlyMap<string, number>;
  /** SKUs that get less stock than is asked for: their last units are fought over. */
  readonly scarceSkus: ReadonlySet<string>;
}

export interface ReplayOptions {
  readonly csvPath: URL;
  readonly shops: number;
  readonly durationMs: number;
  readonly maxOrders?: number | undefined;
}

interface Row {
  readonly minute: number;
  readonly orderId: string;
  readonly sku: string;
  readonly units: number;
}

/** A number in [0, 1) that depends on the text alone: the same order lands on the same shop and moment in every run. */
function stableFraction(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}

function readRows(csvPath: URL): readonly Row[] {
  const [header, ...lines] = readFileSync(csvPath, 'utf8').trim().split('\n');
  if (header?.trim() !== 'at,order,sku,quantity,country')
    throw new Error(`unexpected columns in ${csvPath.pathname}`);
  return lines.map((line) => {
    const [at = '', orderId = '', sku = '', quantity = ''] = line.split(',');
    return { minute: Date.parse(at) / 60_000, orderId, sku, units: Number(quantity) };
  });
}

/**
 * Spreads the orders over the shops by a stable hash of the order id and over the replay's length by their real time.
 * The source has minute resolution, so each order gets a stable offset inside its minute. Cancellation rows (ids with a
 * leading C, negative units) name no order; the replay gives them back on the newest order that has the SKU.
 */
export function planReplay(options: ReplayOptions): ReplayPlan {
  const rows = readRows(options.csvPath);
  const firstMinute = rows[0]?.minute ?? 0;
  const lastMinute = rows.at(-1)?.minute ?? 0;
  const msPerMinute = options.durationMs / (lastMinute - firstMinute + 1);
  const momentOf = (row: Row): number =>
    Math.round((row.minute - firstMinute + stableFraction(`moment:${row.orderId}`)) * msPerMinute);

  const linesByOrder = new Map<string, Row[]>();
  const cancellations: PlannedCancellation[] = [];
  for (const row of rows) {
    if (row.units <= 0) {
      cancellations.push({ reference: row.orderId, sku: row.sku, units: -row.units, atMs: momentOf(row) });
      continue;
    }
    const lines = linesByOrder.get(row.orderId);
    if (lines === undefined) linesByOrder.set(row.orderId, [row]);
    else lines.push(row);
  }
  const orders = [...linesByOrder]
    .map(([orderId, lines]): PlannedOrder => {
      const [first] = lines;
      return {
        orderId,
        shopIndex: Math.floor(stableFraction(`shop:${orderId}`) * options.shops),
        atMs: first === undefined ? 0 : momentOf(first),
        lines: lines.map(({ sku, units }) => ({ sku, units })),
      };
    })
    .toSorted((a, b) => a.atMs - b.atMs)
    .slice(0, options.maxOrders ?? Number.POSITIVE_INFINITY);
  return { orders, cancellations, ...openingStock(orders) };
}

/**
 * Shops that have not heard of each other's sale yet can both sell the last unit; no software in between can undo
 * physics. The demo makes scarce only SKUs whose buyers on different shops are seconds apart, so that an oversell in the
 * summary always means that stockmesh was late, never that the replay asked for the impossible.
 */
const scarceGapMs = 4_000;
const scarceShare = 0.5;

function openingStock(orders: readonly PlannedOrder[]): Pick<ReplayPlan, 'openingUnits' | 'scarceSkus'> {
  const demand = new Map<
    string,
    { units: number; orders: number; gapMs: number; shop: number; atMs: number }
  >();
  for (const order of orders) {
    for (const { sku, units } of order.lines) {
      const seen = demand.get(sku);
      if (seen === undefined) {
        demand.set(sku, {
          units,
          orders: 1,
          gapMs: Number.POSITIVE_INFINITY,
          shop: order.shopIndex,
          atMs: order.atMs,
        });
        continue;
      }
      seen.units += units;
      seen.orders += 1;
      if (seen.shop !== order.shopIndex) seen.gapMs = Math.min(seen.gapMs, order.atMs - seen.atMs);
      seen.shop = order.shopIndex;
      seen.atMs = order.atMs;
    }
  }
  const openingUnits = new Map<string, number>();
  const scarceSkus = new Set<string>();
  for (const [sku, seen] of demand) {
    const isScarce =
      seen.orders >= 2 && seen.gapMs >= scarceGapMs && stableFraction(`scarce:${sku}`) < scarceShare;
    if (isScarce) scarceSkus.add(sku);
    openingUnits.set(sku, isScarce ? Math.max(1, Math.floor(seen.units * 0.6)) : seen.units + 5);
  }
  return { openingUnits, scarceSkus };
}
