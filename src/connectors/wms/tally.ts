import type { PlatformCount } from '../counts.ts';
import type { ParkedRow } from '../parked-row.ts';
import type { CountRow, MappedRow } from './count-rows.ts';

/** More rows than this are no reading of a warehouse: it fails. */
export const maxRows = 500_000;

/**
 * The rows of one reading, gathered before any of them counts. Offset pages shift while rows come and go, so a row may be
 * met twice: the later look replaces the earlier one. Two different figures in one look are an error of the source.
 */
export class Tally {
  readonly #isSummed: boolean;
  readonly #rows = new Map<string, CountRow>();
  readonly #conflicts = new Map<string, ParkedRow>();
  readonly #parked: ParkedRow[] = [];
  #read = 0;

  constructor(duplicates: 'reject' | 'sum') {
    this.#isSummed = duplicates === 'sum';
  }

  get isFull(): boolean {
    return this.#read > maxRows;
  }

  get badRows(): number {
    return this.#parked.length + this.#conflicts.size;
  }

  get rows(): number {
    return this.#read;
  }

  add(mapped: MappedRow): void {
    if (mapped.kind === 'skipped') return;
    this.#read++;
    if (mapped.kind === 'bad') {
      this.#parked.push(mapped.row);
      return;
    }
    const { row } = mapped;
    const key = this.#isSummed ? (row.rowId ?? '') : `${row.locationId}\u001f${row.sku}`;
    const known = this.#rows.get(key);
    if (known !== undefined && known.asOfMs === row.asOfMs && isOther(known, row)) {
      this.#conflicts.set(key, {
        what: 'count',
        reference: `${row.sku}@${row.locationId}`,
        reason: `the source gives two figures: ${known.onHand} and ${row.onHand}`,
        content: JSON.stringify({ sku: row.sku, place: row.locationId }),
      });
    }
    if (known === undefined || known.asOfMs <= row.asOfMs) this.#rows.set(key, row);
  }

  result(): { readonly counts: readonly PlatformCount[]; readonly parked: readonly ParkedRow[] } {
    const good = [...this.#rows].filter(([key]) => !this.#conflicts.has(key)).map(([, row]) => row);
    const counts = this.#isSummed ? summed(good) : good.map((row) => plain(row));
    return { counts, parked: [...this.#parked, ...this.#conflicts.values()] };
  }
}

/** Lots and bins of one SKU at one place are one figure, as old as the oldest of them. */
function summed(rows: readonly CountRow[]): readonly PlatformCount[] {
  const sums = new Map<string, PlatformCount>();
  for (const row of rows) {
    const key = `${row.locationId}\u001f${row.sku}`;
    const sum = sums.get(key);
    const next = plain(row);
    sums.set(
      key,
      sum === undefined
        ? { ...next, version: undefined }
        : { ...sum, onHand: sum.onHand + row.onHand, asOfMs: Math.min(sum.asOfMs, row.asOfMs) },
    );
  }
  return [...sums.values()];
}

function plain({ sku, itemId, locationId, onHand, asOfMs, version }: CountRow): PlatformCount {
  return { sku, itemId, locationId, onHand, asOfMs, version };
}

function isOther(a: CountRow, b: CountRow): boolean {
  return a.onHand !== b.onHand || a.version !== b.version;
}
