import { CsvError, parse } from 'csv-parse/sync';
import type { CountRows, PlatformCount, PlatformMovement } from '../../counts.ts';
import type { ParkedRow } from '../../parked-row.ts';
import { CountMapper } from '../count-rows.ts';
import { guardsOf } from '../guards.ts';
import { type MomentRules, parseMoment } from '../moments.ts';
import { MovementMapper } from '../movement-rows.ts';
import type { CsvConnection } from '../options.ts';
import { Tally } from '../tally.ts';

export interface NamedFile {
  readonly name: string;
  readonly content: Uint8Array;
  /** The same for the same file, whenever and however often it comes. */
  readonly identity: string;
  /** From the name, else its modification time. */
  readonly asOfMs: number;
}

export type ReadFile =
  | {
      readonly kind: 'read';
      readonly page: Omit<CountRows, 'cursor' | 'settled'>;
      /** Newest moment of its rows. */
      readonly asOfMs: number;
    }
  /** Nothing of the file may be used. */
  | { readonly kind: 'refused'; readonly reason: string };

type CsvRow = Readonly<Record<string, string>>;

const maxRows = 500_000;
const maxBadRowRatio = 0.01;
const defaultMaxAgeMs = 86_400_000;

/** A whole file, read and judged by itself before a row of it counts. */
export function readStockFile(connection: CsvConnection, file: NamedFile, nowMs: number): ReadFile {
  const table = parseTable(connection, file.content);
  if (table.kind === 'refused') return table;
  const { rows } = table;
  const { mode, guards } = connection;
  if (rows.length === 0 && mode === 'snapshot') return refused('the file holds no rows');
  const read = mode === 'delta' ? readChanges(connection, file, rows) : readCounts(connection, file, rows);
  if (read.conflict !== undefined) return refused(read.conflict);
  const badRatio = guards?.maxBadRowRatio ?? maxBadRowRatio;
  if (read.parked.length > rows.length * badRatio) {
    const [first] = read.parked;
    return refused(
      `${read.parked.length} of ${rows.length} rows cannot be read; the first: ${first?.reference ?? ''}: ${first?.reason ?? ''}`,
    );
  }
  const asOfMs = read.counts.reduce((newest, row) => Math.max(newest, row.asOfMs), 0) || file.asOfMs;
  if (nowMs - asOfMs > (guards?.maxAgeMs ?? defaultMaxAgeMs)) {
    return refused(`its figures are of ${new Date(asOfMs).toISOString()}, which is too long ago`);
  }
  return {
    kind: 'read',
    asOfMs,
    page: {
      kind: mode === 'snapshot' ? 'snapshot' : 'changes',
      // Of snapshots one follows the other, whatever the file is called.
      source: mode === 'snapshot' ? 'stock file' : file.name,
      counts: read.counts,
      movements: read.movements,
      hints: [],
      parked: read.parked,
      guards: guardsOf(guards),
      isOnce: true,
      zeroMissingAfter: connection.zeroMissingAfter,
    },
  };
}

function parseTable(
  { delimiter, encoding, map }: CsvConnection,
  content: Uint8Array,
):
  | { readonly kind: 'read'; readonly rows: readonly CsvRow[] }
  | { readonly kind: 'refused'; readonly reason: string } {
  let text: string;
  try {
    text = new TextDecoder(encoding === 'latin1' ? 'latin1' : 'utf-8', { fatal: true }).decode(content);
  } catch {
    return refused('the file is not UTF-8; set encoding to latin1 if that is what the warehouse writes');
  }
  if (text.trim() === '') return refused('the file is empty');
  let header: readonly string[] = [];
  try {
    const rows: readonly CsvRow[] = parse(text, {
      bom: true,
      delimiter,
      skip_empty_lines: true,
      // A record that never closes its quote would swallow the rest of the file.
      max_record_size: 100_000,
      to: maxRows + 1,
      columns: (names: string[]) => {
        header = names.map((name) => name.trim());
        return names.map((name) => name.trim());
      },
    });
    const repeated = header.find((name, at) => header.indexOf(name) !== at);
    if (repeated !== undefined) return refused(`the column ${repeated} is there twice`);
    const wanted = [
      map.sku,
      map.location,
      map.onHand,
      map.change,
      map.asOf,
      map.reason,
      ...(map.subtract ?? []),
    ];
    const missing = wanted.filter((name) => name !== undefined && !header.includes(name));
    if (missing.length > 0) return refused(`there is no column ${missing.join(', ')}`);
    if (rows.length > maxRows) return refused(`there are more than ${maxRows} rows`);
    return { kind: 'read', rows };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // The parser's own message quotes the row.
    const line = typeof error['lines'] === 'number' ? `line ${error['lines']}` : 'a line';
    return refused(`${line} is no CSV row (${error.code})`);
  }
}

interface Read {
  readonly counts: readonly PlatformCount[];
  readonly movements: readonly PlatformMovement[];
  readonly parked: readonly ParkedRow[];
  readonly conflict?: string | undefined;
}

function readCounts(connection: CsvConnection, file: NamedFile, rows: readonly CsvRow[]): Read {
  const { map, zone } = connection;
  const mapper = new CountMapper({
    sku: columnPath(map.sku),
    location: map.location === undefined ? undefined : columnPath(map.location),
    onHand: columnPath(map.onHand ?? ''),
    subtract: map.subtract?.map(columnPath),
    asOf: map.asOf === undefined ? undefined : { path: columnPath(map.asOf), ...momentRules(zone) },
    units: map.units,
    skuTrim: map.skuTrim,
    skuCase: map.skuCase,
  });
  const tally = new Tally('reject');
  for (const row of rows) {
    for (const mapped of mapper.map(row, { askedAtMs: file.asOfMs })) tally.add(mapped);
  }
  const { counts, parked } = tally.result();
  const twice = parked.find(({ reason }) => reason.startsWith('the source gives two figures'));
  const conflict = twice === undefined ? undefined : `${twice.reference}: ${twice.reason}`;
  return { counts, movements: [], parked, conflict };
}

function readChanges(connection: CsvConnection, file: NamedFile, rows: readonly CsvRow[]): Read {
  const { map, zone } = connection;
  const mapper = new MovementMapper({
    id: 'id',
    sku: columnPath(map.sku),
    location: map.location === undefined ? undefined : columnPath(map.location),
    units: columnPath(map.change ?? ''),
    kind: 'adjusted',
    at: map.asOf === undefined ? undefined : { path: columnPath(map.asOf), ...momentRules(zone) },
    reason: map.reason === undefined ? undefined : columnPath(map.reason),
  });
  const movements: PlatformMovement[] = [];
  const parked: ParkedRow[] = [];
  for (const [index, row] of rows.entries()) {
    const mapped = mapper.map({ ...row, id: `${file.identity}:${index}` });
    if (mapped.kind === 'bad') parked.push(mapped.row);
    else
      movements.push({ effectiveAtMs: file.asOfMs, ...definedOnly(mapped.movement), reference: file.name });
  }
  return { counts: [], movements, parked };
}

function definedOnly(movement: PlatformMovement): PlatformMovement {
  const { effectiveAtMs, ...rest } = movement;
  return effectiveAtMs === undefined ? rest : movement;
}

/** Column names may hold anything; a path takes them quoted. */
function columnPath(name: string): string {
  return `['${name}']`;
}

function momentRules(zone: string | undefined): MomentRules {
  return { format: 'iso', zone };
}

export function momentInName(text: string | undefined, zone: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const isUnix = /^\d{10}$|^\d{13}$/.test(text);
  const rules: MomentRules = isUnix
    ? { format: text.length === 10 ? 'unix-s' : 'unix-ms' }
    : { format: 'iso', zone: zone ?? 'UTC' };
  const moment = parseMoment(text, rules);
  return moment.kind === 'ok' ? moment.value : undefined;
}

function refused(reason: string): { readonly kind: 'refused'; readonly reason: string } {
  return { kind: 'refused', reason };
}
