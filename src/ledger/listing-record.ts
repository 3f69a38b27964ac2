import type { ListingState, OpenWrite, Residue, TakenRise } from '../domain/listing.ts';
import { RS, US } from './keys.ts';

/** Listing states as the scripts keep them (docs/ledger.md): text fields, empty when there is nothing. */

/** Fields that `settle-write` replaces, in the order of its STATE. */
export function packListingState(state: ListingState): readonly string[] {
  const { base, residue } = state;
  return [
    base === undefined ? '' : String(base.value),
    base === undefined ? '' : String(base.takenAt),
    base === undefined ? '' : String(base.asOfMs),
    base === undefined ? '' : base.settled ? '1' : '0',
    state.suspect ? '1' : '',
    text(state.suspectAtMs),
    text(state.walkAwaitedMs),
    residue === undefined
      ? ''
      : [residue.units, residue.reads, residue.readAtMs, residue.pulled ? 1 : 0, residue.takenThen].join(':'),
    state.openWrites.map(packOpenWrite).join(RS),
  ];
}

/** Fields as `read-listings` answers them, in the order of its STATE. */
export function readListingState(fields: readonly string[]): ListingState {
  const [t, bv, bt, ba, bs, su, sa, pv, wa, re, tr, w, ver] = fields;
  return {
    taken: number(t),
    base: isEmpty(bv)
      ? undefined
      : { value: number(bv), takenAt: number(bt), asOfMs: number(ba), settled: bs === '1' },
    suspect: su === '1',
    suspectAtMs: optional(sa),
    provisional: number(pv),
    walkAwaitedMs: optional(wa),
    residue: readResidue(re),
    rises: readRises(tr),
    openWrites: isEmpty(w) ? [] : (w ?? '').split(RS).map(readOpenWrite),
    version: number(ver),
  };
}

export function packOpenWrite(write: OpenWrite): string {
  return [
    write.writeId,
    write.kind,
    write.from,
    write.to,
    write.takenAt,
    write.sentAtMs,
    write.outcome,
    text(write.acceptedAtMs),
    write.token,
  ].join(US);
}

function readOpenWrite(packed: string): OpenWrite {
  const [writeId, kind, from, to, takenAt, sentAt, outcome, acceptedAt, token] = packed.split(US);
  return {
    writeId: writeId ?? '',
    kind: kind as OpenWrite['kind'],
    from: number(from),
    to: number(to),
    takenAt: number(takenAt),
    sentAtMs: number(sentAt),
    outcome: outcome as OpenWrite['outcome'],
    acceptedAtMs: optional(acceptedAt),
    token: number(token),
  };
}

function readResidue(packed: string | undefined): Residue | undefined {
  if (isEmpty(packed)) return undefined;
  const [units, reads, readAt, pulled, takenThen] = (packed ?? '').split(':');
  return {
    units: number(units),
    reads: number(reads),
    readAtMs: number(readAt),
    pulled: pulled === '1',
    takenThen: number(takenThen),
  };
}

function readRises(packed: string | undefined): readonly TakenRise[] {
  if (isEmpty(packed)) return [];
  return (packed ?? '').split(',').map((rise) => {
    const [at, units] = rise.split(':');
    return { atMs: number(at), units: number(units) };
  });
}

function isEmpty(field: string | undefined): boolean {
  return field === undefined || field === '';
}

function number(field: string | undefined): number {
  return isEmpty(field) ? 0 : Number(field);
}

function optional(field: string | undefined): number | undefined {
  return isEmpty(field) ? undefined : Number(field);
}

function text(value: number | undefined): string {
  return value === undefined ? '' : String(value);
}
