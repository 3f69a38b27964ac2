import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { Movement } from '../domain/movement.ts';

/** What `extra` and `operation` of an entry say beyond its common fields, kind by kind (docs/ledger.md, "Entry"). */

/** held, extended. The deadline is in logical time; `agent` and `pool` stand in the held entries only. */
export interface DeadlineExtra {
  readonly ttlMs: number;
  readonly deadlineMs: number;
  /** Logical time of the entry. */
  readonly logicalMs: number;
  readonly agent: string;
  readonly pool: string;
}

export function readDeadline(entry: Movement): DeadlineExtra {
  // The pool is last because it may hold a semicolon.
  const [, ttl = '', lag = '', byAgent = '', pool = ''] =
    /^([^;]*)(?:;([^;]*))?(?:;([^;]*))?(?:;([^]*))?$/.exec(entry.extra) ?? [];
  const logicalMs = entry.atMs - Number(lag);
  const ttlMs = Number(ttl);
  return {
    ttlMs,
    logicalMs,
    deadlineMs: logicalMs + ttlMs,
    agent: byAgent === '' ? '' : entry.actor,
    pool,
  };
}

/** hold-committed. */
export interface CommitExtra {
  readonly channel: ChannelId;
  readonly orderId: string;
  readonly netted: number;
}

export function readCommit(entry: Movement): CommitExtra {
  const { extra } = entry;
  const channelEnd = extra.indexOf(';');
  const orderEnd = extra.lastIndexOf(';');
  return {
    channel: extra.slice(0, channelEnd) as ChannelId,
    orderId: extra.slice(channelEnd + 1, orderEnd),
    netted: Number(extra.slice(orderEnd + 1)),
  };
}

/** Entries of an order's line, except `reassigned`. */
export interface OrderExtra {
  readonly listingId: ListingId | '';
  readonly takenOut: number;
  readonly givenBack: number;
  readonly platformMs: number;
}

export function readOrderExtra(entry: Movement): OrderExtra {
  // The listing id is free text and may hold semicolons: the fields after it do not.
  const [, listingId = '', taken = '', platform = '', back] =
    /^([^]*);([^;]*);([^;,]*)(?:,([^;,]*))?$/.exec(entry.extra) ?? [];
  const dTaken = Number(taken);
  // `-Math.min` would make a negative zero of 0.
  const givenBack = back === undefined ? Math.max(-dTaken, 0) : Number(back);
  return {
    listingId: listingId as ListingId | '',
    takenOut: dTaken + givenBack,
    givenBack,
    platformMs: Number(platform),
  };
}

/** Units of an open credit that an `ordered` entry settled at its location. */
export function creditSettled(entry: Movement): number {
  return prefixed(entry, 'credit:');
}

/** Shipping marks that a correction (`unshipped`, `written-off` backwards) closed at its location. */
export function marksClosed(entry: Movement): number {
  return prefixed(entry, 'closed:');
}

/** The seven counters of an adopted line, or nothing. */
export function adoptedCounters(entry: Movement): readonly number[] | undefined {
  if (!entry.operationId.startsWith('adopted:')) return undefined;
  return entry.operationId.slice('adopted:'.length).split(',').map(Number);
}

/** counted. */
export interface CountExtra {
  readonly asOfMs: number;
  readonly count: number;
  readonly skewMs: number;
}

export function readCount(entry: Movement): CountExtra {
  const [asOf, count, skew = '0'] = entry.extra.split(';');
  return { asOfMs: Number(asOf), count: Number(count), skewMs: Number(skew) };
}

/** received, adjusted, shipped and returned of the authority: when it happened by its source's word, and why. */
export interface AdjustExtra {
  readonly effectiveAtMs: number | undefined;
  readonly reason: string;
}

export function readAdjust(entry: Movement): AdjustExtra {
  const end = entry.extra.indexOf(';');
  return {
    effectiveAtMs: end <= 0 ? undefined : Number(entry.extra.slice(0, end)),
    reason: entry.extra.slice(end + 1),
  };
}

/** epoch. */
export interface EpochExtra {
  readonly previous: number;
  readonly forkSeq: number;
  readonly lostTo: number;
}

export function readEpoch(entry: Movement): EpochExtra {
  const [previous, fork, lostTo] = entry.extra.split(';');
  return { previous: Number(previous), forkSeq: Number(fork), lostTo: Number(lostTo) };
}

function prefixed(entry: Movement, prefix: string): number {
  return entry.operationId.startsWith(prefix) ? Number(entry.operationId.slice(prefix.length)) : 0;
}
