import type { ChannelId, Sku } from '../domain/ids.ts';
import type { Movement, MovementKind } from '../domain/movement.ts';
import { readCommit, readOrderExtra } from '../ledger/entry-extra.ts';

/** An order with committed units of the SKU. */
export interface PromisedOrder {
  readonly channel: ChannelId | '';
  readonly orderId: string;
  readonly units: number;
  /** Ledger clock of the entry that committed it first. */
  readonly committedAtMs: number;
  /** Platform clock; undefined where the platform did not say. */
  readonly placedAtMs: number | undefined;
}

/** An entry that took the last units, as far as a post-mortem needs it. */
export interface TakingEntry {
  readonly id: string;
  readonly kind: MovementKind;
  readonly channel: ChannelId | '';
  readonly reference: string;
  readonly units: number;
  readonly atMs: number;
  readonly placedAtMs: number | undefined;
}

/**
 * A time during which more units of a SKU were promised than there were, over all locations.
 *
 *   none --an entry takes available below zero--> open --available is zero or more again--> closed
 */
export interface Shortfall {
  readonly sku: Sku;
  /** The entry that opened it. */
  readonly cause: TakingEntry;
  /** The entry before it that took from the same stock: what the seller had not heard of yet. */
  readonly before: TakingEntry | undefined;
  readonly deepestUnits: number;
  readonly openUnits: number;
  readonly openedAtMs: number;
  readonly closedAtMs: number | undefined;
  /** Orders with units of the SKU when it was deepest, oldest first. */
  readonly orders: readonly PromisedOrder[];
  /** Units taken per hour in the hour before it opened. */
  readonly unitsPerHour: number;
}

interface SkuTally {
  readonly byLocation: Map<string, number>;
  readonly orders: Map<string, { units: number; committedAtMs: number; placedAtMs: number | undefined }>;
  readonly takings: TakingEntry[];
  available: number;
  open: Mutable<Shortfall> | undefined;
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

const maxTakings = 64;
const maxOrdersTold = 500;
const hourMs = 3_600_000;
const separator = '\u001f';

/**
 * Shortfalls from the log, oldest first; `movements` is the whole history, so that what was promised before the window
 * is known. Memory grows with the SKUs and the orders that are open. Those that ended before `sinceMs` are left out.
 */
export async function shortfallsOf(
  movements: AsyncIterable<readonly Movement[]>,
  sinceMs: number,
  maxFound: number,
): Promise<readonly Shortfall[]> {
  const skus = new Map<Sku, SkuTally>();
  const found: Shortfall[] = [];
  for await (const page of movements) {
    for (const entry of page) {
      if (entry.sku === '') continue;
      const tally = skus.get(entry.sku) ?? newTally(skus, entry.sku);
      follow(tally, entry);
      if (tally.available < 0) deepen(tally, entry);
      else if (tally.open !== undefined) {
        const closed = { ...tally.open, openUnits: 0, closedAtMs: entry.atMs };
        if (entry.atMs >= sinceMs && found.length < maxFound) found.push(closed);
        tally.open = undefined;
      }
    }
  }
  for (const { open } of skus.values()) if (open !== undefined && found.length < maxFound) found.push(open);
  return found.toSorted((a, b) => a.openedAtMs - b.openedAtMs);
}

function newTally(skus: Map<Sku, SkuTally>, sku: Sku): SkuTally {
  const tally = { byLocation: new Map(), orders: new Map(), takings: [], available: 0, open: undefined };
  skus.set(sku, tally);
  return tally;
}

function follow(tally: SkuTally, entry: Movement): void {
  const available = entry.onHand - entry.committed - entry.reserved;
  tally.available += available - (tally.byLocation.get(entry.location) ?? 0);
  tally.byLocation.set(entry.location, available);
  if (entry.deltaCommitted !== 0) {
    const { channel, orderId, placedAtMs } = orderOf(entry);
    const key = `${channel}${separator}${orderId}`;
    const order = tally.orders.get(key) ?? { units: 0, committedAtMs: entry.atMs, placedAtMs };
    order.units += entry.deltaCommitted;
    if (order.units > 0) tally.orders.set(key, order);
    else tally.orders.delete(key);
  }
  const taken = entry.deltaCommitted + entry.deltaReserved - entry.deltaOnHand;
  if (taken <= 0) return;
  const { channel, orderId, placedAtMs } = orderOf(entry);
  const { id, kind, atMs } = entry;
  const last = tally.takings.at(-1);
  // Lines of one order are one taking.
  if (last !== undefined && last.channel === channel && last.reference === orderId && last.kind === kind)
    tally.takings[tally.takings.length - 1] = { ...last, units: last.units + taken };
  else tally.takings.push({ id, kind, channel, reference: orderId, units: taken, atMs, placedAtMs });
  if (tally.takings.length > maxTakings) tally.takings.shift();
}

function deepen(tally: SkuTally, entry: Movement): void {
  const short = -tally.available;
  if (tally.open === undefined) {
    const cause = tally.takings.at(-1);
    if (cause === undefined) return;
    tally.open = {
      sku: entry.sku,
      cause,
      before: tally.takings.at(-2),
      deepestUnits: 0,
      openUnits: 0,
      openedAtMs: entry.atMs,
      closedAtMs: undefined,
      orders: [],
      unitsPerHour: takenInTheHourBefore(tally.takings, entry.atMs),
    };
  }
  const { open } = tally;
  open.openUnits = short;
  if (short <= open.deepestUnits) return;
  open.deepestUnits = short;
  open.orders = [...tally.orders]
    .map(([key, order]): PromisedOrder => {
      const at = key.indexOf(separator);
      return { channel: key.slice(0, at) as ChannelId | '', orderId: key.slice(at + 1), ...order };
    })
    .toSorted((a, b) => a.committedAtMs - b.committedAtMs)
    .slice(-maxOrdersTold);
}

function orderOf(entry: Movement): {
  readonly channel: ChannelId | '';
  readonly orderId: string;
  readonly placedAtMs: number | undefined;
} {
  const { channel, reference, kind } = entry;
  if (kind === 'hold-committed') return { ...readCommit(entry), placedAtMs: undefined };
  if (kind !== 'ordered') return { channel, orderId: reference, placedAtMs: undefined };
  const { platformMs } = readOrderExtra(entry);
  return { channel, orderId: reference, placedAtMs: platformMs > 0 ? platformMs : undefined };
}

function takenInTheHourBefore(takings: readonly TakingEntry[], atMs: number): number {
  let units = 0;
  for (const taking of takings) if (taking.atMs > atMs - hourMs) units += taking.units;
  return units;
}
