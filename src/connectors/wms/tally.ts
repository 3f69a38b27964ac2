import type { PlatformCount } from '../counts.ts';
import type { ParkedRow } from '../parked-row.ts';
import type { CountRow, MappedRow } from './count-rows.ts';

/** More rows than this are no reading of a warehouse: it fails. */
export const maxRows = 500_000;

interface Seen {
  readonly row: CountRow;
  readonly look: number;
}

/**
 * The rows of one reading, gathered before any of them counts. Offset pages shift while rows come and go, so a row may be
 * met twice: the later look replaces the earlier one, unless the row itself says that it is older. Two different figures
 * in one look are an error of the source.
 *
 * Looks are told apart by their number, not by the clock: two pages may be asked for within one millisecond, and a clock
 * may be set back between them.
 */
export class Tally {
  readonly #isSummed: boolean;
  readonly #rows = new Map<string, Seen>();
  readonly #conflicts = new Map<string, ParkedRow>();
  readonly #parked: ParkedRow[] = [];
  #read = 0;
  #look = 0;

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

  /** What is added from here on came with another answer of the source. */
  nextLook(): void {
    this.#look++;
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
    const seen: Seen = { row, look: this.#look };
    if (known !== undefined && isSameLook(known, seen) && isOther(known.row, row)) {
      this.#conflicts.set(key, {
        what: 'count',
        reference: `${row.sku}@${row.locationId}`,
        reason: `the source gives two figures: ${known.row.onHand} and ${row.onHand}`,
        content: JSON.stringify({ sku: row.sku, place: row.locationId }),
      });
    }
    if (known === undefined || !isOlder(seen, known)) this.#rows.set(key, seen);
  }

  result(): { readonly counts: readonly PlatformCount[]; readonly parked: readonly ParkedRow[] } {
    const good = [...this.#rows].filter(([key]) => !this.#conflicts.has(key)).map(([, { row }]) => row);
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

function isSameLook(a: Seen, b: Seen): boolean {
  return a.look === b.look && a.row.asOfMs === b.row.asOfMs;
}

/** By the moments the source gave them, where it gave both; looks come in the order they were made. */
function isOlder(seen: Seen, known: Seen): boolean {
  return seen.row.isDated && known.row.isDated && seen.row.asOfMs < known.row.asOfMs;
}

function isOther(a: CountRow, b: CountRow): boolean {
  return a.onHand !== b.onHand || a.version !== b.version;
}
