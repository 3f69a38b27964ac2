import type { Movement } from '../domain/movement.ts';
import { readAdjust } from '../ledger/entry-extra.ts';
import type { SyncRecord } from '../mesh/sync-journal.ts';
import { csvLine } from './csv.ts';

export type ExportFormat = 'csv' | 'jsonl';

/** One movement with the figures before and after it. */
export interface HistoryRow {
  readonly sequence: string;
  readonly at: string;
  readonly sku: string;
  readonly location: string;
  readonly kind: string;
  readonly channel: string;
  readonly reference: string;
  readonly actor: string;
  readonly onHandBefore: number;
  readonly onHandAfter: number;
  readonly committedBefore: number;
  readonly committedAfter: number;
  readonly reservedBefore: number;
  readonly reservedAfter: number;
  readonly availableBefore: number;
  readonly availableAfter: number;
  /** What was said with it: by a person, a warehouse, a decision about a difference. */
  readonly reason: string;
}

export function historyRow(entry: Movement): HistoryRow {
  const before = {
    onHand: entry.onHand - entry.deltaOnHand,
    committed: entry.committed - entry.deltaCommitted,
    reserved: entry.reserved - entry.deltaReserved,
  };
  return {
    sequence: entry.id,
    at: new Date(entry.atMs).toISOString(),
    sku: entry.sku,
    location: entry.location,
    kind: entry.kind,
    channel: entry.channel,
    reference: entry.reference,
    actor: entry.actor,
    onHandBefore: before.onHand,
    onHandAfter: entry.onHand,
    committedBefore: before.committed,
    committedAfter: entry.committed,
    reservedBefore: before.reserved,
    reservedAfter: entry.reserved,
    availableBefore: before.onHand - before.committed - before.reserved,
    availableAfter: entry.onHand - entry.committed - entry.reserved,
    reason: reasonOf(entry),
  };
}

const stockKinds: ReadonlySet<string> = new Set(['received', 'adjusted', 'shipped', 'returned']);

/** Movements of orders say where they come from, those of the stock itself why. */
function reasonOf(entry: Movement): string {
  return entry.line === '' && stockKinds.has(entry.kind) ? readAdjust(entry).reason : '';
}

/** Stock history, oldest first; entries that concern no SKU are left out. */
export async function* exportHistory(
  pages: AsyncIterable<readonly Movement[]>,
  format: ExportFormat,
): AsyncGenerator<string> {
  let isFirst = true;
  for await (const page of pages) {
    let text = '';
    for (const entry of page) {
      if (entry.sku === '') continue;
      const row = historyRow(entry);
      if (isFirst && format === 'csv') text += csvLine(Object.keys(row));
      isFirst = false;
      text += format === 'csv' ? csvLine(Object.values(row)) : `${JSON.stringify(row)}\n`;
    }
    if (text !== '') yield text;
  }
}

const rowsPerChunk = 500;

/** Sync records, oldest first: who wrote what where, from which sequence, and what became of it. */
export async function* exportSyncRecords(
  records: AsyncIterable<SyncRecord>,
  format: ExportFormat,
): AsyncGenerator<string> {
  let text = '';
  let rows = 0;
  const header = [
    'at',
    'channel',
    'sku',
    'listing',
    'kind',
    'old',
    'new',
    'outcome',
    'rule',
    'reason',
    'sequence',
  ];
  if (format === 'csv') text += csvLine(header);
  for await (const record of records) {
    const at = new Date(record.atMs).toISOString();
    const { channel, sku, listingId, kind, from, to, outcome, rule, reason, sequence } = record;
    text +=
      format === 'csv'
        ? csvLine([at, channel, sku, listingId, kind, from, to, outcome, rule, reason, sequence])
        : `${JSON.stringify({ at, ...record })}\n`;
    if (++rows % rowsPerChunk !== 0) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}
