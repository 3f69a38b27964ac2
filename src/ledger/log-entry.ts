import type { ChannelId, LocationId, Sku } from '../domain/ids.ts';
import { type Movement, type MovementKind, movementKindsByCode } from '../domain/movement.ts';
import { RS } from './keys.ts';
import type { LostRange } from './opening.ts';
import { formatPosition } from './position.ts';

/** Order of the fields of a packed entry (docs/ledger.md). */
const field = {
  location: 1,
  units: 2,
  deltaOnHand: 3,
  deltaCommitted: 4,
  deltaReserved: 5,
  onHand: 6,
  committed: 7,
  reserved: 8,
  version: 9,
  channel: 10,
  reference: 11,
  line: 12,
  operation: 13,
  actor: 14,
  ms: 15,
  extra: 16,
} as const;
const separator = '\u001f';
const zeroCode = '0'.charCodeAt(0);

/**
 * One entry of the log, parsed no further than it is asked about: a reader that coalesces a million entries into the
 * newest of each SKU must not pay for seventeen fields of every one.
 */
export class LogEntry implements Movement {
  readonly epoch: number;
  readonly seq: number;
  readonly sku: Sku;
  readonly packed: string;

  constructor(epoch: number, seq: number, sku: string, packed: string) {
    this.epoch = epoch;
    this.seq = seq;
    this.sku = sku as Sku;
    this.packed = packed;
  }

  get id(): string {
    return formatPosition(this);
  }
  get kind(): MovementKind {
    const kind = movementKindsByCode.get(this.packed.charAt(0));
    if (kind === undefined) throw new Error(`entry ${this.id} has the unknown kind ${this.packed.charAt(0)}`);
    return kind;
  }
  get location(): LocationId {
    return this.#text(field.location) as LocationId;
  }
  get units(): number {
    return Number(this.#text(field.units));
  }
  get deltaOnHand(): number {
    return Number(this.#text(field.deltaOnHand));
  }
  get deltaCommitted(): number {
    return Number(this.#text(field.deltaCommitted));
  }
  get deltaReserved(): number {
    return Number(this.#text(field.deltaReserved));
  }
  get onHand(): number {
    return Number(this.#text(field.onHand));
  }
  get committed(): number {
    return Number(this.#text(field.committed));
  }
  get reserved(): number {
    return Number(this.#text(field.reserved));
  }
  get version(): number {
    return Number(this.#text(field.version));
  }
  get channel(): ChannelId | '' {
    return this.#text(field.channel) as ChannelId | '';
  }
  get reference(): string {
    return this.#text(field.reference);
  }
  get line(): string {
    return this.#text(field.line);
  }
  get operationId(): string {
    return this.#text(field.operation);
  }
  get actor(): string {
    return this.#text(field.actor);
  }
  get atMs(): number {
    return this.epoch * 1_000 + Number(this.#text(field.ms));
  }
  get extra(): string {
    let at = 0;
    for (let i = 0; i < field.extra; i++) at = this.packed.indexOf(separator, at) + 1;
    return this.packed.slice(at);
  }

  #text(index: number): string {
    let at = 0;
    for (let i = 0; i < index; i++) at = this.packed.indexOf(separator, at) + 1;
    return this.packed.slice(at, this.packed.indexOf(separator, at));
  }
}

/** A stream entry as Redis answers it: id and the fields `s`, sku, `e`, packed. */
export type StreamEntry = readonly [id: string, fields: readonly string[]];

export function readStreamEntry([id, fields]: StreamEntry): LogEntry {
  return readEntry(id, fields[1] ?? '', fields[3] ?? '');
}

export function readEntry(id: string, sku: string, packed: string): LogEntry {
  const dash = id.indexOf('-');
  return new LogEntry(Number(id.slice(0, dash)), Number(id.slice(dash + 1)), sku, packed);
}

/** Id, sku and packed entry of some entries, all joined by RS: none of them can hold one. */
export function readJoinedEntries(text: string): LogEntry[] {
  const entries: LogEntry[] = [];
  let at = 0;
  while (at <= text.length) {
    const dashAt = text.indexOf('-', at);
    const skuAt = text.indexOf(RS, dashAt) + 1;
    const packedAt = text.indexOf(RS, skuAt) + 1;
    const nextAt = text.indexOf(RS, packedAt);
    const endAt = nextAt === -1 ? text.length : nextAt;
    const epoch = wholeIn(text, at, dashAt);
    const seq = wholeIn(text, dashAt + 1, skuAt - 1);
    entries.push(new LogEntry(epoch, seq, text.slice(skuAt, packedAt - 1), text.slice(packedAt, endAt)));
    at = endAt + 1;
  }
  return entries;
}

/** Digits between two places, without a text of their own: it runs twice for every entry of a replay. */
function wholeIn(text: string, from: number, to: number): number {
  let whole = 0;
  for (let at = from; at < to; at++) whole = whole * 10 + text.charCodeAt(at) - zeroCode;
  return whole;
}

/** What a reader that stood at `last` must know before it reads `next`. */
export type LogGap =
  | { readonly kind: 'trimmed'; readonly from: number; readonly to: number }
  | { readonly kind: 'forked'; readonly lost: LostRange };

export function gapBetween(
  last: { readonly epoch: number; readonly seq: number },
  next: Movement,
): LogGap | undefined {
  if (next.epoch !== last.epoch && next.seq <= last.seq) {
    return { kind: 'forked', lost: { epoch: last.epoch, from: next.seq, to: last.seq } };
  }
  if (next.seq !== last.seq + 1) return { kind: 'trimmed', from: last.seq + 1, to: next.seq - 1 };
  return undefined;
}
