import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CountOutcome, CountPage, CountRows } from '../../../src/connectors/counts.ts';
import type { CsvConnection } from '../../../src/connectors/wms/options.ts';
import { never, rejection } from '../shopify/parts.ts';
import { figures, rigFor, secret } from './parts.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sm-csv-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function source(more: Partial<CsvConnection> = {}): CsvConnection {
  return {
    kind: 'csv',
    from: { kind: 'directory', path: dir },
    pattern: '^stock.*\\.csv$',
    settleMs: 5,
    mode: 'snapshot',
    delimiter: ',',
    encoding: 'utf8',
    map: { sku: 'sku', location: 'warehouse', onHand: 'on_hand' },
    ...more,
  };
}

const header = 'sku,warehouse,on_hand\n';
const lines = (many: number, onHand = 5): string =>
  Array.from({ length: many }, (_, i) => `s${i},NJ1,${onHand + i}\n`).join('');

function put(name: string, content: string | Buffer, modifiedMs?: number): void {
  const path = join(dir, name);
  writeFileSync(path, content);
  if (modifiedMs !== undefined) utimesSync(path, modifiedMs / 1_000, modifiedMs / 1_000);
}

interface Taken {
  readonly pages: CountPage[];
  readonly cursor: string | null;
}

/** What a poll of counts does with the pages: applies or holds each, keeps the cursor, then says so. */
async function take(
  connection: CsvConnection,
  cursor: string | null = null,
  judge: (page: CountRows) => CountOutcome = () => ({ kind: 'applied' }),
  rig = rigFor(connection),
): Promise<Taken> {
  const pages: CountPage[] = [];
  let kept = cursor;
  for await (const page of rig.connector.pollCounts?.(cursor, never) ?? []) {
    pages.push(page);
    const outcome = page.kind === 'held' ? ({ kind: 'held', reason: page.reason } as const) : judge(page);
    if (page.kind !== 'held' && outcome.kind === 'applied' && page.cursor !== null) kept = page.cursor;
    await page.settled?.(outcome);
  }
  return { pages, cursor: kept };
}

const folder = (name: string): string[] =>
  existsSync(join(dir, name)) ? readdirSync(join(dir, name)).toSorted() : [];
const lying = (): string[] =>
  readdirSync(dir)
    .filter((name) => name.startsWith('stock'))
    .toSorted();
const rowsOf = ({ pages }: Taken): CountRows[] =>
  pages.flatMap((page) => (page.kind === 'held' ? [] : [page]));

describe('refuses a declaration', () => {
  const sftp = { kind: 'sftp', host: 'h', username: 'u', password: secret('p'), path: '/in' } as const;
  const key = `SHA256:${'A'.repeat(43)}`;
  test.each([
    ['of an available column', { map: { sku: 'sku', onHand: 'available' } }, 'no physical stock'],
    ['without a figure', { map: { sku: 'sku' } }, 'needs map.onHand'],
    ['of changes without sequence numbers', { mode: 'delta', map: { sku: 'sku', change: 'n' } }, 'sequence'],
    ['of a broken pattern', { pattern: '(' }, 'regular expression'],
    ['of an unknown zone', { zone: 'Mars/Base' }, 'time zone'],
    ['of SFTP without host keys', { from: { ...sftp, hostKeys: [] } }, 'hostKeys'],
    ['of SFTP with a key that is none', { from: { ...sftp, hostKeys: [key, 'any'] } }, 'hostKeys'],
    [
      'of SFTP without credentials',
      { from: { ...sftp, password: undefined, hostKeys: [key] } },
      'either password or privateKey',
    ],
  ] as readonly (readonly [string, Partial<CsvConnection>, string])[])('%s', async (_, more, reason) => {
    const error = await rejection((async () => rigFor(source(more)))());
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain(reason);
  });
});

describe('a bad file changes nothing and is moved to failed/ with its reason', () => {
  test.each([
    ['empty', '', 'the file is empty'],
    ['only a header', header, 'no rows'],
    ['without a column', 'sku,on_hand\ns,1\n', 'no column warehouse'],
    ['with a column twice', 'sku,sku,warehouse,on_hand\ns,s,A,1\n', 'sku is there twice'],
    ['not UTF-8', Buffer.from([0x73, 0x6b, 0x75, 0xff, 0xfe]), 'not UTF-8'],
    ['cut in a row', `${header}a,NJ1,5\nb,NJ`, 'CSV_RECORD_INCONSISTENT_COLUMNS'],
    ['cut in a quote', `${header}a,NJ1,5\n"b,NJ1,4\n`, 'CSV_QUOTE_NOT_CLOSED'],
    ['with another delimiter', 'sku;warehouse;on_hand\na;NJ1;5\n', 'no column'],
    ['with two figures for one SKU', `${header}a,NJ1,5\na,NJ1,6\n`, 'two figures: 5 and 6'],
    ['with too many bad rows', `${header}${lines(50)}x,NJ1,many\n`, '1 of 51 rows'],
    ['with ambiguous quantities', `${header}a,NJ1,"1,234"\n`, 'ambiguous'],
    ['with fractions', `${header}a,NJ1,1.5\n`, 'ambiguous'],
    ['with formulas for figures', `${header}a,NJ1,=5+5\n`, 'not a number'],
    ['of HTML', '<html><body>maintenance</body></html>', 'no column'],
  ] as readonly (readonly [string, string | Buffer, string])[])('%s', async (_, content, reason) => {
    put('stock-1.csv', content);
    const { pages, cursor } = await take(source());
    expect(pages).toMatchObject([
      { kind: 'held', source: 'stock-1.csv', reason: expect.stringContaining(reason) as string },
    ]);
    expect(cursor).toBeNull();
    expect(lying()).toEqual([]);
    expect(folder('failed')).toEqual(['stock-1.csv', 'stock-1.csv.reason.txt']);
    expect(readFileSync(join(dir, 'failed/stock-1.csv.reason.txt'), 'utf8')).toContain(reason);
  });

  test('larger than allowed', async () => {
    put('stock-1.csv', header + lines(2_000));
    const { pages } = await take(source({ maxFileBytes: 1_024 }));
    expect(pages).toMatchObject([
      { kind: 'held', reason: expect.stringContaining('1024 are allowed') as string },
    ]);
  });

  test('too old', async () => {
    put('stock-1.csv', header + lines(5), Date.now() - 2 * 86_400_000);
    const { pages } = await take(source());
    expect(pages).toMatchObject([
      { kind: 'held', reason: expect.stringContaining('too long ago') as string },
    ]);
  });

  test('held by the guards of the ledger; the good one after it is taken', async () => {
    put('stock-1.csv', header + lines(2), Date.now() - 20_000);
    put('stock-2.csv', header + lines(9), Date.now() - 10_000);
    const taken = await take(source(), null, ({ counts }) =>
      counts.length < 5 ? { kind: 'held', reason: 'too short' } : { kind: 'applied' },
    );
    expect(folder('failed')).toEqual(['stock-1.csv', 'stock-1.csv.reason.txt']);
    expect(folder('done')).toEqual(['stock-2.csv']);
    expect(rowsOf(taken).map(({ counts }) => counts.length)).toEqual([2, 9]);
  });
});

describe('a good file', () => {
  test('is read with its dates, quotes, BOM and leading zeros, and put into done/', async () => {
    const sample = JSON.parse(
      readFileSync(new URL('../../fixtures/wms/generic-stock-snapshot.csv.json', import.meta.url), 'utf8'),
    ) as { csv: string };
    const today = new Date().toISOString().slice(0, 10);
    put(
      'stock-1.csv',
      `\uFEFF${sample.csv}007,NJ1,3,3,\n`.replaceAll('\n', '\r\n').replaceAll('2026-11-21', today),
    );
    const taken = await take(source({ map: { ...source().map, asOf: 'as_of' } }));
    const [page] = rowsOf(taken);
    expect(page && figures(page)).toEqual(['007@NJ1=3', 'SKU,2@NJ1=10', 'SKU-1@NJ1=52']);
    expect(page?.counts[0]?.asOfMs).toBe(Date.parse(`${today}T00:00:00Z`));
    expect(page).toMatchObject({ kind: 'snapshot', isOnce: true, source: 'stock file' });
    expect(folder('done')).toEqual(['stock-1.csv']);
    expect(lying()).toEqual([]);
  });

  test('in another dialect', async () => {
    put('stock-1.csv', Buffer.from('Größe;Lager;Bestand;gesperrt\r\nä1;A;1.234;34\r\n', 'latin1'));
    const map = {
      sku: 'Größe',
      location: 'Lager',
      onHand: 'Bestand',
      subtract: ['gesperrt'],
      units: { thousandsMark: '.' },
    } as const;
    const taken = await take(source({ delimiter: ';', encoding: 'latin1', map }));
    expect(rowsOf(taken).flatMap(figures)).toEqual(['ä1@A=1200']);
  });

  test('one bad row in a hundred is set aside', async () => {
    put('stock-1.csv', `${header}${lines(100)}x,NJ1,many\n`);
    const [page] = rowsOf(await take(source()));
    expect(page?.counts).toHaveLength(100);
    expect(page?.parked).toMatchObject([{ what: 'count', reference: 'x@NJ1' }]);
  });

  test('its moment is in its name, else when it was written; oldest first', async () => {
    const pattern = '^stock_(?<at>\\d{14})\\.csv$';
    const name = (ms: number) => `stock_${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)}.csv`;
    const now = Math.floor(Date.now() / 1_000) * 1_000;
    put(name(now - 60_000), header + lines(3));
    put(name(now - 120_000), header + lines(3), Date.now());
    const pages = rowsOf(await take(source({ pattern })));
    expect(pages.map(({ counts }) => counts[0]?.asOfMs)).toEqual([now - 120_000, now - 60_000]);
  });

  test('the same bytes again, under any name and for the next daemon, change nothing', async () => {
    put('stock-1.csv', header + lines(5));
    const { cursor } = await take(source());
    put('stock-1.csv', header + lines(5));
    put('stock-2.csv', header + lines(5));
    const again = await take(source(), cursor);
    expect(again.pages).toEqual([]);
    expect(folder('done')).toEqual(['stock-1.csv', 'stock-1.csv.1', 'stock-2.csv']);
    put('stock-1.csv', header + lines(5, 6));
    expect((await take(source(), cursor)).pages).toHaveLength(1);
  });

  test('that is older than the one applied last is refused', async () => {
    put('stock-1.csv', header + lines(5));
    const { cursor } = await take(source());
    put('stock-0.csv', header + lines(6), Date.now() - 3_600_000);
    expect((await take(source(), cursor)).pages).toMatchObject([
      { kind: 'held', reason: expect.stringContaining('newer file') as string },
    ]);
  });

  test('a crash before it was put away: it comes again, is known, and goes to done/', async () => {
    put('stock-1.csv', header + lines(5));
    let cursor: string | null = null;
    for await (const page of rigFor(source()).connector.pollCounts?.(null, never) ?? []) {
      if (page.kind !== 'held') ({ cursor } = page);
    }
    expect(lying()).toEqual(['stock-1.csv']);
    expect((await take(source(), cursor)).pages).toEqual([]);
    expect(folder('done')).toEqual(['stock-1.csv']);
  });
});

describe('a file that is not there yet', () => {
  test('by its name: .part, .tmp, hidden and foreign files are left alone', async () => {
    for (const name of ['stock-1.csv.part', 'stock-1.csv.tmp', '.stock-1.csv', 'other.csv'])
      put(name, header + lines(5));
    mkdirSync(join(dir, 'stock-2.csv'));
    expect((await take(source())).pages).toEqual([]);
    expect(folder('failed')).toEqual([]);
  });

  test('because it still grows', async () => {
    put('stock-1.csv', header);
    const writing = setInterval(() => writeFileSync(join(dir, 'stock-1.csv'), lines(1), { flag: 'a' }), 5);
    const early = await take(source({ settleMs: 60 }));
    clearInterval(writing);
    expect(early.pages).toEqual([]);
    expect(lying()).toEqual(['stock-1.csv']);
    writeFileSync(join(dir, 'stock-1.csv'), header + lines(4));
    expect((await take(source({ settleMs: 20 }))).pages).toHaveLength(1);
  });

  test('because the directory is missing: the channel is not reachable, and says so', async () => {
    const missing = source({ from: { kind: 'directory', path: join(dir, 'nowhere') } });
    expect((await rejection(take(missing))).code).toBe('CONNECTOR_UNREACHABLE');
  });
});

describe('changes', () => {
  const delta = (more: Partial<CsvConnection> = {}) =>
    source({
      mode: 'delta',
      pattern: '^stock_(?<sequence>\\d+)\\.csv$',
      map: { sku: 'sku', location: 'warehouse', change: 'change', reason: 'why' },
      ...more,
    });
  const file = (rows: string): string => `sku,warehouse,change,why\n${rows}`;

  test('are movements, in the sequence of the files', async () => {
    put('stock_2.csv', file('a,NJ1,+4,found\n'));
    put('stock_10.csv', file('a,NJ1,1,\n'));
    put('stock_1.csv', file('a,NJ1,-3,damaged\nb,NJ1,2,received\n'));
    const taken = await take(delta());
    const movements = rowsOf(taken).flatMap((page) => page.movements);
    expect(movements.map(({ sku, units, reason }) => `${sku}${units}${reason}`)).toEqual([
      'a-3damaged',
      'b2received',
      'a4found',
    ]);
    expect(new Set(movements.map(({ movementId }) => movementId)).size).toBe(3);
    // Three to nine are missing: ten waits, it is not lost.
    expect(taken.pages.at(-1)).toMatchObject({
      kind: 'held',
      reason: expect.stringContaining('file 3 is missing') as string,
    });
    expect(lying()).toEqual(['stock_10.csv']);
  });

  test('a number that was applied before is refused; the same bytes are no-ops', async () => {
    put('stock_1.csv', file('a,NJ1,-3,\n'));
    const { cursor } = await take(delta());
    put('stock_1.csv', file('a,NJ1,-3,\n'));
    expect((await take(delta(), cursor)).pages).toEqual([]);
    put('stock_1.csv', file('a,NJ1,-4,\n'));
    expect((await take(delta(), cursor)).pages).toMatchObject([
      { kind: 'held', reason: 'file 1 was applied last, this is 1' },
    ]);
  });

  test('the same bytes under the next number are the same changes once more; a lost cursor repeats none', async () => {
    const content = file('a,NJ1,-3,\n');
    put('stock_1.csv', content);
    put('stock_2.csv', content);
    const once = rowsOf(await take(delta())).flatMap((page) => page.movements);
    expect(new Set(once.map(({ movementId }) => movementId)).size).toBe(2);
    put('stock_1.csv', content);
    const again = rowsOf(await take(delta())).flatMap((page) => page.movements);
    expect(again[0]?.movementId).toBe(once[0]?.movementId);
  });
});

test('some rows (partial) are changes of absolute figures, judged by nothing but themselves', async () => {
  put('stock-1.csv', `${header}a,NJ1,0\n`);
  const [page] = rowsOf(await take(source({ mode: 'partial' })));
  expect(page).toMatchObject({ kind: 'changes', counts: [{ sku: 'a', onHand: 0 }] });
});
