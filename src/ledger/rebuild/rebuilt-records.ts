import { counterNames } from '../../domain/order.ts';
import { GS, RS, US } from '../keys.ts';
import type { ReplayedHold } from '../replay/hold-replay.ts';
import type { ReplayedListing } from '../replay/listing-replay.ts';
import type { ReplayedOperation } from '../replay/operation-replay.ts';
import {
  counterList,
  type ReplayedCredit,
  type ReplayedOrder,
  type ReplayedOrderLine,
  type ReplayedPlace,
} from '../replay/order-replay.ts';
import type { LevelFields } from '../replay/level-fields.ts';
import { packTimed, type TimedUnits } from '../replay/timed-units.ts';
import type { Level } from '../../domain/movement.ts';

/** Replayed pieces as the scripts keep them (docs/ledger.md). What the log does not know is left out or empty. */

export function levelFields(
  location: string,
  level: Level,
  has: LevelFields,
  marks: readonly TimedUnits[],
): [name: string, value: string][] {
  const fields: [string, string][] = [];
  if (has.hasOnHand) fields.push([`o:${location}`, String(level.onHand)]);
  if (has.hasCommitted) fields.push([`c:${location}`, String(level.committed)]);
  if (has.hasReserved) fields.push([`r:${location}`, String(level.reserved)]);
  if (marks.length > 0) fields.push([`g:${location}`, packTimed(marks)]);
  if (has.ring.length > 0) fields.push([`h:${location}`, packTimed(has.ring)]);
  if (has.ringDroppedMs > 0) fields.push([`hx:${location}`, String(has.ringDroppedMs)]);
  if (has.countedAsOfMs !== undefined) fields.push([`a:${location}`, String(has.countedAsOfMs)]);
  if (has.countSkewMs > 0) fields.push([`b:${location}`, String(has.countSkewMs)]);
  for (const [channel, units] of has.settling) fields.push([`s:${channel}${US}${location}`, String(units)]);
  return fields;
}

/** Both fingerprints are empty: what a repeat was asked with is not in the log, so its id alone is believed. */
export function holdRecord(hold: ReplayedHold): string {
  const isLive = hold.state === 'H';
  return [
    hold.state,
    hold.deadlineMs,
    hold.createdMs,
    isLive ? '' : hold.endedMs,
    '',
    hold.agent,
    hold.pool,
    hold.settlesOn,
    hold.channel,
    hold.orderId,
    hold.extensions,
    hold.seq,
    isLive ? '' : hold.endSeq,
    '',
    hold.lines.map(({ sku, location, units }) => [sku, location, units].join(GS)).join(RS),
  ].join(US);
}

export function operationRecord(operation: ReplayedOperation): string {
  return ['', operation.seq, operation.reply.join(RS)].join(US);
}

export function orderFields(order: ReplayedOrder): [name: string, value: string][] {
  const fields: [string, string][] = [];
  if (order.lines.size > 0) fields.push(['m', [order.placedMs, order.firstSeenMs, order.changedMs].join(US)]);
  for (const [lineId, line] of order.lines) fields.push([`l:${lineId}`, lineRecord(line)]);
  for (const [sku, credit] of order.credits) fields.push([`k:${sku}`, creditRecord(credit)]);
  return fields;
}

function lineRecord(line: ReplayedOrderLine): string {
  const setAt = counterNames.map((name) => line.setAtMs[name]);
  return [
    line.sku,
    line.listingId,
    counterList(line.counters).join(','),
    new Set(setAt).size === 1 ? String(setAt[0]) : setAt.join(','),
    line.places
      .map(packPlace)
      .filter((place) => place !== '')
      .join(','),
    '1',
  ].join(US);
}

function packPlace(place: ReplayedPlace): string {
  const units = [place.open, place.shipped, place.marked, place.returned, place.lost, place.lostMarked];
  const last = units.findLastIndex((value) => value !== 0);
  return last < 0 ? '' : [place.location, ...units.slice(0, last + 1)].join(':');
}

function creditRecord(credit: ReplayedCredit): string {
  const open = [...credit.open].map(([location, units]) => `${location}:${units}`);
  return [credit.netted, open.join(',')].join(US);
}

/** No base, and suspect: what the platform shows must be read before anything is raised. */
export function listingFields(
  listing: ReplayedListing,
  suspectAtMs: number,
): [name: string, value: string][] {
  const fields: [string, string][] = [
    ['sku', listing.sku],
    ['t', String(listing.taken)],
    ['su', '1'],
    ['sa', String(suspectAtMs)],
    ['ver', '1'],
  ];
  if (listing.provisionalAt !== '') {
    fields.push(['pv', String(listing.provisional)], ['pl', listing.provisionalAt]);
  }
  if (listing.rises.length > 0) fields.push(['tr', packTimed(listing.rises)]);
  return fields;
}
