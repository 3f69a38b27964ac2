import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readAdjustments } from '../sandbox/wms/adjustments.ts';

/** One order of the sample, with the channel it is replayed on and its moment in the replay. */
export interface PlannedOrder {
  readonly orderId: string;
  readonly channel: string;
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

/** A write-off or find in the warehouse. */
export interface PlannedAdjustment {
  readonly sku: string;
  readonly units: number;
  readonly note: string;
  readonly atMs: number;
}

export interface ReplayPlan {
  readonly orders: readonly PlannedOrder[];
  readonly cancellations: readonly PlannedCancellation[];
  readonly adjustments: readonly PlannedAdjustment[];
  /** Physical stock before the first order, per SKU. */
  readonly openingUnits: ReadonlyMap<string, number>;
  /** SKUs that get less stock than is asked for: their last units are fought over. */
  readonly scarceSkus: ReadonlySet<string>;
  /** SKUs that each channel sells in the replay. */
  readonly soldOn: ReadonlyMap<string, ReadonlySet<string>>;
}

export interface PlannedChannel {
  readonly id: string;
  /** Share of the orders it is given, relative to the other channels. */
  readonly weight: number;
  /** It is given no larger order. */
  readonly maxLines: number;
  /** How long after another channel's sale it may still show the units: see `openingStock`. */
  readonly hearsWithinMs: number;
}

export interface ReplayOptions {
  readonly csvPath: URL;
  readonly adjustmentsPath: URL;
  readonly channels: readonly PlannedChannel[];
  readonly durationMs: number;
  readonly maxOrders?: number | undefined;
  readonly maxAdjustments: number;
}

interface Row {
  readonly minute: number;
  readonly orderId: string;
  readonly sku: string;
  readonly units: number;
}

/** A number in [0, 1) that depends on the text alone: the same order lands on the same channel and moment in every run. */
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
 * Spreads the orders over the channels by a stable hash of the order id and over the replay's length by their real time.
 * The source has minute resolution, so each order gets a stable offset inside its minute. Cancellation rows (ids with a
 * leading C, negative units) name no order; the replay gives them back on the newest order that has the SKU. The newest
 * adjustments of the sample's SKUs are spread evenly: what a warehouse did in months comes in a minute.
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
        channel: channelFor(orderId, lines.length, options.channels),
        atMs: first === undefined ? 0 : momentOf(first),
        lines: lines.map(({ sku, units }) => ({ sku, units })),
      };
    })
    .toSorted((a, b) => a.atMs - b.atMs)
    .slice(0, options.maxOrders ?? Number.POSITIVE_INFINITY);
  const soldOn = new Map<string, Set<string>>(options.channels.map(({ id }) => [id, new Set()]));
  for (const { channel, lines } of orders) for (const { sku } of lines) soldOn.get(channel)?.add(sku);
  const adjustments = planAdjustments(options, orders);
  return {
    orders,
    cancellations,
    adjustments,
    soldOn,
    ...openingStock(orders, adjustments, options.channels),
  };
}

function channelFor(orderId: string, lines: number, channels: readonly PlannedChannel[]): string {
  const open = channels.filter(({ maxLines }) => lines <= maxLines);
  const total = open.reduce((sum, { weight }) => sum + weight, 0);
  let left = stableFraction(`channel:${orderId}`) * total;
  for (const { id, weight } of open) {
    left -= weight;
    if (left < 0) return id;
  }
  return open.at(-1)?.id ?? '';
}

function planAdjustments(
  { adjustmentsPath, durationMs, maxAdjustments }: ReplayOptions,
  orders: readonly PlannedOrder[],
): readonly PlannedAdjustment[] {
  const skus = new Set(orders.flatMap(({ lines }) => lines.map(({ sku }) => sku)));
  const rows = readAdjustments(adjustmentsPath).filter(({ sku }) => skus.has(sku));
  const newest = rows.slice(Math.max(0, rows.length - maxAdjustments));
  return newest.map(({ sku, units, note }, index) => ({
    sku,
    units,
    note,
    atMs: Math.round(((index + 0.5) / newest.length) * durationMs),
  }));
}

/**
 * Channels that have not heard of each other's sale yet can both sell the last unit; no software in between can undo
 * physics. The demo makes scarce only SKUs whose next buyer on another channel comes later than that channel hears of a
 * sale, so that an oversell in the summary always means that stockmesh was late, never that the replay asked for the
 * impossible. What the warehouse will write off is on top: nobody can sell what will break.
 */
const scarceShare = 0.5;

function openingStock(
  orders: readonly PlannedOrder[],
  adjustments: readonly PlannedAdjustment[],
  channels: readonly PlannedChannel[],
): Pick<ReplayPlan, 'openingUnits' | 'scarceSkus'> {
  const hearsWithinMs = new Map(channels.map((channel) => [channel.id, channel.hearsWithinMs]));
  const writtenOff = new Map<string, number>();
  for (const { sku, units } of adjustments)
    if (units < 0) writtenOff.set(sku, (writtenOff.get(sku) ?? 0) - units);
  const demand = new Map<
    string,
    { units: number; orders: number; isFair: boolean; soldAtMs: Map<string, number> }
  >();
  for (const { channel, atMs, lines } of orders) {
    for (const { sku, units } of lines) {
      const seen = demand.get(sku) ?? { units: 0, orders: 0, isFair: true, soldAtMs: new Map() };
      demand.set(sku, seen);
      for (const [other, lastMs] of seen.soldAtMs)
        if (other !== channel && atMs - lastMs < (hearsWithinMs.get(channel) ?? 0)) seen.isFair = false;
      seen.units += units;
      seen.orders += 1;
      seen.soldAtMs.set(channel, atMs);
    }
  }
  const openingUnits = new Map<string, number>();
  const scarceSkus = new Set<string>();
  for (const [sku, seen] of demand) {
    const isScarce =
      seen.orders >= 2 &&
      seen.isFair &&
      !writtenOff.has(sku) &&
      stableFraction(`scarce:${sku}`) < scarceShare;
    if (isScarce) scarceSkus.add(sku);
    openingUnits.set(
      sku,
      isScarce ? Math.max(1, Math.floor(seen.units * 0.6)) : seen.units + 5 + (writtenOff.get(sku) ?? 0),
    );
  }
  return { openingUnits, scarceSkus };
}
