import { CsvError, parse } from 'csv-parse/sync';
import { z } from 'zod';
import { type ChannelId, type Sku, parseSku } from '../../domain/ids.ts';
import type { MappingChange } from '../../mesh/mapping-decisions.ts';
import type { MappingRow } from '../../mesh/mapping-table.ts';
import { csvLine } from '../../reconcile/csv.ts';

const columns = [
  'channel',
  'item',
  'platform_sku',
  'barcode',
  'title',
  'sku',
  'by',
  'reason',
  'candidates',
] as const;
type Column = (typeof columns)[number];

/** What a row may change by; the others only say what was there. */
const needed: readonly Column[] = ['channel', 'item', 'sku'];
const maxProblems = 50;
export const maxMappingRows = 200_000;

/** What the rows of a file are held against. */
export interface MappingWorld {
  rowOf(channel: ChannelId, item: string): MappingRow | undefined;
  hasChannel(channel: string): boolean;
  /** By the configuration. */
  aliasOf(channel: ChannelId, platformSku: string): Sku | undefined;
  isKnown(sku: Sku): boolean;
  /** Items of the channel that are this SKU. */
  itemsOf(channel: ChannelId, sku: Sku): readonly string[];
}

export interface MappingAllowances {
  /** SKUs that nobody has heard of may be named. */
  readonly newSkus: boolean;
  /** Two items of one channel may be one SKU: they share its stock. */
  readonly shared: boolean;
}

export interface MappingProblem {
  readonly line: number;
  readonly problem: string;
}

export type MappingFile =
  | { readonly kind: 'read'; readonly changes: readonly MappingChange[]; readonly unchanged: number }
  | { readonly kind: 'refused'; readonly problems: readonly MappingProblem[] };

export async function* mappingCsv(rows: Iterable<MappingRow>): AsyncGenerator<string> {
  yield csvLine(columns);
  for (const row of rows) {
    const { channel, item, platformSku, barcode, title, sku, by, reason, candidates } = row;
    yield csvLine([channel, item, platformSku, barcode, title, sku, by, reason, candidates.join(' ')]);
  }
}

const parsedRow = z.object({ record: z.array(z.string()), info: z.object({ lines: z.number() }) });

/**
 * The changes that a file asks for, or everything that is wrong with it by line: a file with one bad row changes nothing.
 * Rows as they were exported change nothing.
 */
export function readMappingCsv(text: string, world: MappingWorld, allowed: MappingAllowances): MappingFile {
  const read = rowsOf(text);
  if ('problem' in read) return { kind: 'refused', problems: [read] };
  const reader = new MappingReader(world, allowed);
  for (const row of read.rows) reader.take(row);
  reader.compare();
  return reader.problems.length > 0
    ? { kind: 'refused', problems: reader.problems }
    : { kind: 'read', changes: reader.changes, unchanged: reader.unchanged };
}

interface FileRow {
  readonly line: number;
  cell(column: Column): string | undefined;
}

function rowsOf(text: string): { readonly rows: readonly FileRow[] } | MappingProblem {
  let records: z.output<typeof parsedRow>[];
  try {
    const parsed: unknown = parse(text, { bom: true, info: true, skip_empty_lines: true });
    records = z.array(parsedRow).parse(parsed);
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    return { line: Number(error['lines'] ?? 1), problem: error.message };
  }
  const [head, ...body] = records;
  if (head === undefined) return { line: 1, problem: 'the file is empty' };
  const names = head.record;
  const strange = names.find((name) => !(columns as readonly string[]).includes(name));
  if (strange !== undefined) return { line: 1, problem: `there is no column ${JSON.stringify(strange)}` };
  if (new Set(names).size !== names.length) return { line: 1, problem: 'a column stands twice' };
  const missing = needed.find((name) => !names.includes(name));
  if (missing !== undefined) return { line: 1, problem: `the column ${missing} is missing` };
  if (body.length > maxMappingRows) return { line: maxMappingRows, problem: 'the file has too many rows' };
  return {
    rows: body.map(({ record, info }) => ({
      line: info.lines,
      cell: (column) => record[names.indexOf(column)],
    })),
  };
}

class MappingReader {
  readonly changes: MappingChange[] = [];
  readonly problems: MappingProblem[] = [];
  unchanged = 0;
  readonly #world: MappingWorld;
  readonly #allowed: MappingAllowances;
  readonly #lines = new Map<string, number>();
  readonly #changeLines = new Map<string, number>();

  constructor(world: MappingWorld, allowed: MappingAllowances) {
    this.#world = world;
    this.#allowed = allowed;
  }

  take(row: FileRow): void {
    const outcome = this.#judge(row);
    if (typeof outcome === 'string') this.#say(row.line, outcome);
    else if (outcome === undefined) this.unchanged++;
    else {
      this.changes.push(outcome);
      this.#changeLines.set(keyOf(outcome.channel, outcome.itemId), row.line);
    }
  }

  /** What only all rows together tell: two items of a channel that would be one SKU. */
  compare(): void {
    if (this.#allowed.shared) return;
    const wanted = new Map(
      this.changes.map(({ channel, itemId, sku }) => [keyOf(channel, itemId), sku] as const),
    );
    const owners = new Map<string, string>();
    for (const { channel, itemId, sku } of this.changes) {
      if (sku === null) continue;
      const there = this.#world
        .itemsOf(channel, sku)
        .filter((item) => item !== itemId && !wanted.has(keyOf(channel, item)));
      const other = owners.get(keyOf(channel, sku)) ?? there[0];
      if (other !== undefined) {
        const line = this.#changeLines.get(keyOf(channel, itemId)) ?? 0;
        this.#say(
          line,
          `the item ${other} of ${channel} is ${sku} too: two items share stock only if you allow it`,
        );
      }
      owners.set(keyOf(channel, sku), itemId);
    }
  }

  /** The change, nothing, or what is wrong. */
  #judge(row: FileRow): MappingChange | string | undefined {
    const channel = row.cell('channel') ?? '';
    if (!this.#world.hasChannel(channel)) return `${JSON.stringify(channel)} is no channel with listings`;
    const id = channel as ChannelId;
    const item = this.#itemOf(id, row.cell('item') ?? '');
    const known = item === undefined ? undefined : this.#world.rowOf(id, item);
    if (item === undefined || known === undefined)
      return `${channel} lists no item ${JSON.stringify(row.cell('item'))}: a spreadsheet may have rewritten it`;
    const twice = this.#lines.get(keyOf(id, item));
    if (twice !== undefined) return `the item ${item} stands in line ${twice} too`;
    this.#lines.set(keyOf(id, item), row.line);
    for (const [column, now] of [
      ['platform_sku', known.platformSku],
      ['barcode', known.barcode],
    ] as const) {
      const said = row.cell(column);
      if (said !== undefined && !isCellOf(said, now))
        return `${column} is ${JSON.stringify(now)} on ${channel}, not ${JSON.stringify(said)}`;
    }
    return this.#changeOf(known, textOf(row.cell('sku') ?? ''));
  }

  #changeOf(known: MappingRow, text: string): MappingChange | string | undefined {
    const { channel, item, by } = known;
    if (text === '') {
      if (by === 'person') return { channel, itemId: item, sku: null };
      if (known.sku === '') return undefined;
      return `it is ${known.sku} by ${by}: give another SKU, or leave that one`;
    }
    if (text === known.sku) return undefined;
    const sku = parseSku(text);
    if (sku.kind === 'bad') return sku.reason;
    const alias = this.#world.aliasOf(channel, known.platformSku);
    if (alias !== undefined && alias !== sku.value)
      return `the configuration has the alias ${alias} for ${JSON.stringify(known.platformSku)}`;
    if (!this.#allowed.newSkus && !this.#world.isKnown(sku.value))
      return `the SKU ${JSON.stringify(text)} is not known: a new one needs your leave`;
    return { channel, itemId: item, sku: sku.value };
  }

  #itemOf(channel: ChannelId, cell: string): string | undefined {
    const plain = textOf(cell);
    if (this.#world.rowOf(channel, cell) !== undefined) return cell;
    return this.#world.rowOf(channel, plain) === undefined ? undefined : plain;
  }

  #say(line: number, problem: string): void {
    if (this.problems.length < maxProblems) this.problems.push({ line, problem });
  }
}

/** The apostrophe that keeps a spreadsheet from running a text is not part of it. */
function textOf(cell: string): string {
  return /^'\s*[=+\-@\t\r]/.test(cell) ? cell.slice(1) : cell;
}

function isCellOf(cell: string, value: string): boolean {
  return cell === value || textOf(cell) === value;
}

function keyOf(channel: string, of: string): string {
  return `${channel}\u001f${of}`;
}
