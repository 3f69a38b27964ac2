import type { CountRows, PlatformMovement } from '../counts.ts';
import type { ParkedRow } from '../parked-row.ts';
import { CountMapper, idOf } from './count-rows.ts';
import { compilePath, selectOne } from './json-path.ts';
import { MovementMapper } from './movement-rows.ts';
import type { ChangeReading, CountMapping } from './options.ts';
import { Tally } from './tally.ts';

export const noRows = {
  counts: [],
  movements: [],
  hints: [],
  parked: [],
  cursor: null,
} as const satisfies Partial<CountRows>;

type ChangedRows = Pick<CountRows, 'counts' | 'movements' | 'hints' | 'parked'>;

/** How one page of changes becomes counts, movements or hints. */
export function changesReader(
  { use }: ChangeReading,
  isNew: (key: string) => boolean,
): (rows: readonly unknown[], askedAtMs: number) => ChangedRows {
  switch (use.kind) {
    case 'counts':
      return (rows, askedAtMs) => readCounts(rows, use.map, use.each, askedAtMs);
    case 'movements':
      return (rows) => readMovements(rows, new MovementMapper(use.map));
    case 'hints': {
      const path = compilePath(use.itemId);
      const seenBy = use.seenBy?.map((field) => compilePath(field));
      return (rows) => {
        const items = new Set<string>();
        for (const row of rows) {
          const item = idOf(selectOne(row, path));
          const key = seenBy?.map((field) => idOf(selectOne(row, field)) ?? '').join('\u001f');
          if (item !== undefined && (key === undefined || isNew(key))) items.add(item);
        }
        return { ...noRows, hints: [...items] };
      };
    }
  }
}

function readCounts(
  rows: readonly unknown[],
  map: CountMapping,
  each: string | undefined,
  askedAtMs: number,
): ChangedRows {
  const mapper = new CountMapper(map, each);
  const tally = new Tally('reject');
  for (const row of rows) for (const mapped of mapper.map(row, { askedAtMs })) tally.add(mapped);
  return { ...noRows, ...tally.result() };
}

export function readMovements(
  rows: readonly unknown[],
  mapper: MovementMapper,
): { readonly counts: readonly []; readonly hints: readonly [] } & Pick<ChangedRows, 'movements' | 'parked'> {
  const movements: PlatformMovement[] = [];
  const parked: ParkedRow[] = [];
  for (const row of rows) {
    const mapped = mapper.map(row);
    if (mapped.kind === 'bad') parked.push(mapped.row);
    else movements.push(mapped.movement);
  }
  return { counts: [], hints: [], movements, parked };
}

export function newestOf(
  rows: readonly unknown[],
  path: string,
  known: string | undefined,
): string | undefined {
  const compiled = compilePath(path);
  let newest = known;
  for (const row of rows) {
    const id = idOf(selectOne(row, compiled));
    if (id === undefined || !/^\d{1,40}$/.test(id)) continue;
    if (newest === undefined || BigInt(id) > BigInt(newest)) newest = id;
  }
  return newest;
}
