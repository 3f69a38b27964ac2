import type { ChannelId, LocationId } from '../domain/ids.ts';
import { availableOf, type Level, type Movement } from '../domain/movement.ts';
import { readCommit } from '../ledger/entry-extra.ts';

/** Units of one order or hold that still count at one SKU. */
export interface OpenClaim {
  readonly reference: string;
  readonly channel: ChannelId | '';
  readonly units: number;
  /** The entry that opened it. */
  readonly sinceId: string;
  readonly sinceMs: number;
}

/** What the log says of one SKU up to a moment. */
export interface SkuStory {
  readonly levels: ReadonlyMap<LocationId, Level>;
  readonly available: number;
  /** Orders with committed units. */
  readonly orders: readonly OpenClaim[];
  readonly holds: readonly OpenClaim[];
  /** Units held back because a listing dropped for an unknown reason, by listing. */
  readonly provisional: readonly OpenClaim[];
  /** Newest last. */
  readonly newest: readonly Movement[];
  readonly entries: number;
  readonly last: Movement | undefined;
}

/** Where to stop: a sequence (`<epoch>-<seq>` or the bare number of the newest epoch that has it) or a moment. */
export type StoryEnd =
  | { readonly kind: 'now' }
  | { readonly kind: 'sequence'; readonly epoch: number | undefined; readonly seq: number }
  | { readonly kind: 'time'; readonly atMs: number };

interface Tally {
  units: number;
  sinceId: string;
  sinceMs: number;
  channel: ChannelId | '';
}

const holdKinds: ReadonlySet<string> = new Set(['held', 'released', 'expired', 'hold-committed']);
const provisionKinds: ReadonlySet<string> = new Set(['provisioned', 'provision-resolved']);

/** `movements` are those of one SKU, oldest first; memory grows with what is open, not with the entries. */
export async function skuStory(
  movements: AsyncIterable<readonly Movement[]>,
  end: StoryEnd,
  keepNewest: number,
): Promise<SkuStory> {
  const levels = new Map<LocationId, Level>();
  const orders = new Map<string, Tally>();
  const holds = new Map<string, Tally>();
  const provisional = new Map<string, Tally>();
  const newest: Movement[] = [];
  let entries = 0;
  let last: Movement | undefined;
  for await (const page of movements) {
    for (const entry of page) {
      if (isBeyond(entry, end)) continue;
      entries++;
      last = entry;
      const { onHand, committed, reserved } = entry;
      levels.set(entry.location, { onHand, committed, reserved });
      newest.push(entry);
      if (newest.length > keepNewest) newest.shift();
      if (entry.deltaCommitted !== 0) {
        const { channel, reference } = orderOf(entry);
        add(orders, reference, channel, entry.deltaCommitted, entry);
      }
      if (entry.deltaReserved === 0) continue;
      if (holdKinds.has(entry.kind)) add(holds, entry.reference, '', entry.deltaReserved, entry);
      else if (provisionKinds.has(entry.kind))
        add(provisional, entry.reference, entry.channel, entry.deltaReserved, entry);
    }
  }
  let available = 0;
  for (const level of levels.values()) available += availableOf(level);
  return {
    levels,
    available,
    orders: claimsOf(orders),
    holds: claimsOf(holds),
    provisional: claimsOf(provisional),
    newest,
    entries,
    last,
  };
}

function isBeyond(entry: Movement, end: StoryEnd): boolean {
  if (end.kind === 'now') return false;
  if (end.kind === 'time') return entry.atMs > end.atMs;
  if (end.epoch !== undefined && entry.epoch !== end.epoch) return entry.epoch > end.epoch;
  return entry.seq > end.seq;
}

/** A committed hold counts for the order it named. */
function orderOf(entry: Movement): { readonly channel: ChannelId | ''; readonly reference: string } {
  if (entry.kind !== 'hold-committed') return entry;
  const { channel, orderId } = readCommit(entry);
  return { channel, reference: orderId };
}

function add(
  into: Map<string, Tally>,
  reference: string,
  channel: ChannelId | '',
  units: number,
  entry: Movement,
): void {
  // Ids of orders are the platform's: two channels may use the same.
  const key = `${channel}\u001f${reference}`;
  const known = into.get(key);
  if (known === undefined) {
    into.set(key, { units, channel, sinceId: entry.id, sinceMs: entry.atMs });
    return;
  }
  known.units += units;
  if (known.units === 0) into.delete(key);
}

function claimsOf(tallies: ReadonlyMap<string, Tally>): readonly OpenClaim[] {
  return [...tallies].map(([key, { units, channel, sinceId, sinceMs }]) => {
    return { reference: key.slice(key.indexOf('\u001f') + 1), channel, units, sinceId, sinceMs };
  });
}
