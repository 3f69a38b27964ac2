/** Units by moment, oldest first, bounded: the rings and marks of scripts/include/authority.lua, replayed the same way. */
export interface TimedUnits {
  readonly atMs: number;
  units: number;
}

export const maxTimedUnits = 64;

/** Units of one moment are one row. */
export function insertTimed(list: TimedUnits[], atMs: number, units: number): void {
  let at = list.length;
  while (at > 0 && (list[at - 1]?.atMs ?? 0) > atMs) at -= 1;
  const before = list[at - 1];
  if (before?.atMs === atMs) before.units += units;
  else list.splice(at, 0, { atMs, units });
}

export function packTimed(list: readonly TimedUnits[]): string {
  return list.map(({ atMs, units }) => `${atMs}:${units}`).join(',');
}
