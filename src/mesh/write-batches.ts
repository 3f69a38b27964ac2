import type { ConnectorCapabilities } from '../connectors/connector.ts';
import type { ListingId } from '../domain/ids.ts';
import { compareUrgency } from '../domain/urgency.ts';
import type { PlannedRow } from './listing-look.ts';

export type WritePlan = readonly PlannedRow[];

/** Requests from rows, most urgent first; every row of a batch has the same kind and direction. */
export function writeBatches(
  rows: readonly PlannedRow[],
  { lowerBatchSize, raiseBatchSize }: ConnectorCapabilities,
  batchLimit: (listingId: ListingId) => number,
  /** Listings with different answers never share a request (TikTok: one product each). */
  requestGroup: (listingId: ListingId) => string,
): readonly WritePlan[] {
  const open = new Map<string, PlannedRow[]>();
  const batches: PlannedRow[][] = [];
  for (const row of rows.toSorted((a, b) => compareUrgency(a.urgency, b.urgency))) {
    const size = Math.min(row.isRaise ? raiseBatchSize : lowerBatchSize, batchLimit(row.listingId));
    const group = `${row.kind} ${row.isRaise} ${size} ${requestGroup(row.listingId)}`;
    let batch = open.get(group);
    if (batch === undefined || batch.length >= size) {
      batch = [];
      open.set(group, batch);
      batches.push(batch);
    }
    batch.push(row);
  }
  // Lowerings never wait for a slot that a raise could leave free.
  return [...batches.filter((batch) => !isRaising(batch)), ...batches.filter(isRaising)];
}

export function isRaising(batch: WritePlan): boolean {
  return batch[0]?.isRaise === true;
}
