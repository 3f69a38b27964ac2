/**
 * Judges a whole snapshot of counts before any of it is applied. A feed that breaks usually breaks by missing rows or by
 * zeros, and both look like sold-out shelves: such a snapshot is held as a whole, because half of a wrong file is no
 * better than all of it.
 */
export interface CountGuards {
  /** Fewer rows than this are no snapshot at all. */
  readonly minRows: number;
  /** Largest part (0..1) of the rows of the snapshot before that may be missing. */
  readonly maxRowDropRatio: number;
  /** Largest part (0..1) of the rows with units to sell that may become zero. */
  readonly maxZeroedRatio: number;
  /** Fewer zeroed rows than this never hold a snapshot: in a small catalogue every row is a large part. */
  readonly minZeroedRows: number;
}

export const defaultCountGuards: CountGuards = {
  minRows: 1,
  maxRowDropRatio: 0.2,
  maxZeroedRatio: 0.2,
  minZeroedRows: 3,
};

export interface SnapshotFacts {
  readonly rows: number;
  /** Rows of the last snapshot that was applied; undefined: there was none. */
  readonly rowsBefore: number | undefined;
  /** Rows for which the ledger has units to sell. */
  readonly stockedRows: number;
  /** Those of them that the snapshot says are zero. Units already promised to orders are none: their shipment zeroes them. */
  readonly zeroedRows: number;
}

export type SnapshotVerdict = { readonly kind: 'fit' } | { readonly kind: 'held'; readonly reason: string };

export function judgeSnapshot(facts: SnapshotFacts, guards: CountGuards): SnapshotVerdict {
  const { rows, rowsBefore, stockedRows, zeroedRows } = facts;
  if (rows === 0) return held('it holds no rows');
  if (rows < guards.minRows) return held(`it holds ${rows} rows, at least ${guards.minRows} are expected`);
  if (rowsBefore !== undefined && rows < rowsBefore * (1 - guards.maxRowDropRatio)) {
    return held(`it holds ${rows} rows, the one before held ${rowsBefore}`);
  }
  const isFewZeroed = zeroedRows < guards.minZeroedRows;
  if (!isFewZeroed && zeroedRows > stockedRows * guards.maxZeroedRatio) {
    return held(`it zeroes ${zeroedRows} of ${stockedRows} rows that have units to sell`);
  }
  return { kind: 'fit' };
}

function held(reason: string): SnapshotVerdict {
  return { kind: 'held', reason };
}
