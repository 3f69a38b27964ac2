import { createHash } from 'node:crypto';
import type { AvailabilityStatus } from '../../domain/availability-status.ts';
import type { ChannelId, Sku } from '../../domain/ids.ts';
import type { Movement, MovementKind } from '../../domain/movement.ts';
import { readCommit } from '../../ledger/entry-extra.ts';
import type { Position } from '../../ledger/contract.ts';
import type { BookedNotice } from '../../ledger/notice-commands.ts';
import { formatPosition } from '../../ledger/position.ts';

/** What the merchant's own systems can be told. */
export const noticeTypes = [
  'hold.committed',
  'hold.released',
  'hold.expired',
  'availability.changed',
  'notices.skipped',
] as const;
export type NoticeType = (typeof noticeTypes)[number];

/** How a hold ended, from the entries its end wrote. */
export interface HoldEnd {
  readonly type: 'hold.committed' | 'hold.released' | 'hold.expired';
  readonly holdId: string;
  readonly position: Position;
  readonly atMs: number;
  readonly order: { readonly channel: ChannelId; readonly orderId: string } | undefined;
  readonly lines: readonly HoldEndLine[];
}

export interface HoldEndLine {
  readonly sku: Sku;
  readonly location: string;
  readonly quantity: number;
  /** A commit of a part gives the rest back. */
  readonly outcome: 'committed' | 'released' | 'expired';
}

const outcomes: Partial<Record<MovementKind, HoldEndLine['outcome']>> = {
  'hold-committed': 'committed',
  released: 'released',
  expired: 'expired',
};

/** The holds that ended in a stretch of the log. The entries of one end follow each other: one script wrote them. */
export function holdEndsIn(entries: readonly Movement[]): readonly HoldEnd[] {
  const ends: HoldEnd[] = [];
  for (let at = 0; at < entries.length;) {
    const length = endLength(entries, at);
    if (length > 0) ends.push(holdEnd(entries.slice(at, at + length)));
    at += Math.max(length, 1);
  }
  return ends;
}

/**
 * How many of the entries are whole: a stretch that was cut by a limit may end inside the end of a hold, which is then
 * left for the next one. A stretch that is nothing but one such end is taken as it is when `isFull`.
 */
export function wholeLength(entries: readonly Movement[], isFull: boolean): number {
  let from = entries.length;
  while (from > 0 && continuesEnd(entries[entries.length - 1], entries[from - 1])) from--;
  if (from === 0 && isFull) return entries.length;
  return from;
}

function continuesEnd(first: Movement | undefined, other: Movement | undefined): boolean {
  if (first === undefined || other === undefined) return false;
  return (
    outcomes[first.kind] !== undefined &&
    outcomes[other.kind] !== undefined &&
    first.reference === other.reference
  );
}

function endLength(entries: readonly Movement[], at: number): number {
  let length = 0;
  while (continuesEnd(entries[at], entries[at + length])) length++;
  return length;
}

function holdEnd(entries: readonly Movement[]): HoldEnd {
  const last = entries.at(-1) as Movement;
  const commit = entries.find(({ kind }) => kind === 'hold-committed');
  const lines = entries.map(({ kind, sku, location, units }): HoldEndLine => ({
    sku,
    location,
    quantity: units,
    outcome: outcomes[kind] ?? 'released',
  }));
  return {
    type: commit === undefined ? (`hold.${outcomes[last.kind] ?? 'released'}` as const) : 'hold.committed',
    holdId: last.reference,
    position: { epoch: last.epoch, seq: last.seq },
    atMs: last.atMs,
    order: commit === undefined ? undefined : orderOf(commit),
    lines,
  };
}

function orderOf(commit: Movement): HoldEnd['order'] {
  const { channel, orderId } = readCommit(commit);
  return { channel, orderId };
}

/** A hold ends once: its id is what the notice is named after, whoever tells it and however often. */
export function holdEndNotice(end: HoldEnd): BookedNotice {
  const { type, holdId, position, atMs, order, lines } = end;
  return notice(type, `hold ${holdId} ${formatPosition(position)}`, atMs, {
    hold_id: holdId,
    sequence: formatPosition(position),
    ...(order === undefined ? {} : { order: { channel: order.channel, order_id: order.orderId } }),
    lines,
  });
}

export interface StatusChange {
  readonly sku: Sku;
  readonly from: AvailabilityStatus;
  readonly to: AvailabilityStatus;
  readonly available: number;
  /** What `available` is true for. */
  readonly position: Position;
  readonly atMs: number;
}

export function crossingNotice({ sku, from, to, available, position, atMs }: StatusChange): BookedNotice {
  const sequence = formatPosition(position);
  const isAvailable = to === 'in_stock' || to === 'low_stock' || to === 'backorder' || to === 'preorder';
  return notice('availability.changed', `crossing ${sku} ${sequence}`, atMs, {
    sku,
    sequence,
    available: Math.max(0, available),
    is_available: isAvailable,
    status: to,
    previous_status: from,
  });
}

/** The log was trimmed past the place of the notices: what happened there can no longer be told one by one. */
export function skippedNotice(after: Position, first: Position, atMs: number): BookedNotice {
  return notice('notices.skipped', `skipped ${formatPosition(after)} ${formatPosition(first)}`, atMs, {
    after: formatPosition(after),
    first: formatPosition(first),
  });
}

export function noticeTypeOf(body: string): NoticeType {
  return (JSON.parse(body) as { type: NoticeType }).type;
}

function notice(type: NoticeType, name: string, atMs: number, content: object): BookedNotice {
  return {
    id: `msg_${createHash('sha256').update(name).digest('hex').slice(0, 32)}`,
    body: JSON.stringify({ type, timestamp: new Date(atMs).toISOString(), data: content }),
  };
}
