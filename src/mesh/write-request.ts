import { hash, randomUUID } from 'node:crypto';
import type { ListingRef, WriteBatch, WriteRow } from '../connectors/connector.ts';
import type { ListingId } from '../domain/ids.ts';
import type { Position, WriteRecord } from '../ledger/contract.ts';
import { formatPosition } from '../ledger/position.ts';

/** One row of a request that is about to be recorded. */
export interface RequestRow {
  readonly listingId: ListingId;
  readonly ref: ListingRef;
  readonly from: number;
  readonly to: number;
  readonly takenAt: number;
}

export interface NewRequest {
  readonly kind: WriteRecord['kind'];
  readonly rows: readonly RequestRow[];
  /** Position the rows were computed for. */
  readonly position: Position;
  readonly token: number;
  readonly nowMs: number;
}

/** The record of a request and what will be sent: the key is new, so the variables are fixed from here on. */
export function newRequest(request: NewRequest): { record: WriteRecord; batch: WriteBatch } {
  const rows = request.rows.map(({ ref, from, to }): WriteRow => ({ ref, from, to }));
  const key = randomUUID();
  const batch: WriteBatch = { key, kind: request.kind, reference: formatPosition(request.position), rows };
  const record: WriteRecord = {
    writeId: key,
    kind: request.kind,
    rows: request.rows.map(({ listingId, from, to, takenAt }) => ({ listingId, from, to, takenAt })),
    variablesHash: hashVariables(batch),
    reference: batch.reference,
    seq: request.position.seq,
    token: request.token,
    sentAtMs: request.nowMs,
    attempts: 1,
  };
  return { record, batch };
}

/**
 * The same request once more, from its record. Undefined when it cannot be rebuilt as it was (a listing is gone from the
 * map, or has other ids): the same key with other variables is refused by the platform at best, and at worst answered
 * with the old result.
 */
export function repeatedBatch(
  record: WriteRecord,
  refOf: (listingId: ListingId) => ListingRef | undefined,
): WriteBatch | undefined {
  const rows: WriteRow[] = [];
  for (const { listingId, from, to } of record.rows) {
    const ref = refOf(listingId);
    if (ref === undefined) return undefined;
    rows.push({ ref, from, to });
  }
  const { writeId: key, kind, reference } = record;
  const batch: WriteBatch = { key, kind, reference, rows };
  return hashVariables(batch) === record.variablesHash ? batch : undefined;
}

function hashVariables(batch: WriteBatch): string {
  const rows = batch.rows.map(({ ref, from, to }) => [ref.key, ref.itemId, ref.locationId, from, to]);
  return hash('sha256', JSON.stringify([batch.kind, batch.reference, rows]), 'base64url');
}
