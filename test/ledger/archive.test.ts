import { appendFile, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LedgerArchive, type RawEntry } from '../../src/ledger/archive.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sm-archive-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function entries(from: number, to: number): RawEntry[] {
  return Array.from({ length: to - from + 1 }, (_, i): RawEntry => [
    `7-${from + i}`,
    'a:b\n"c"',
    `o\u001fmain\u001f${from + i}`,
  ]);
}

async function readAll(archive: LedgerArchive): Promise<RawEntry[]> {
  const all: RawEntry[] = [];
  for await (const segment of archive.read()) all.push(...segment);
  return all;
}

describe('the archive refuses', () => {
  test('an empty segment', async () => {
    await expect(new LedgerArchive(dir).append([])).rejects.toThrow(RangeError);
  });

  test('a segment whose bytes were changed', async () => {
    const archive = new LedgerArchive(dir);
    const line = await archive.append(entries(1, 50));
    const path = join(dir, line.file);
    const bytes = await readFile(path);
    bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await expect(readAll(archive)).rejects.toMatchObject({ code: 'LEDGER_ARCHIVE_BROKEN' });
  });

  test('a segment that is gone', async () => {
    const archive = new LedgerArchive(dir);
    const line = await archive.append(entries(1, 5));
    await rm(join(dir, line.file));
    await expect(readAll(archive)).rejects.toMatchObject({ code: 'LEDGER_ARCHIVE_BROKEN' });
  });

  test('a chain with a line taken out of its middle', async () => {
    const archive = new LedgerArchive(dir);
    for (const from of [1, 11, 21]) await archive.append(entries(from, from + 9));
    const rows = (await readFile(join(dir, 'chain.ndjson'), 'utf8')).split('\n');
    await writeFile(join(dir, 'chain.ndjson'), [rows[0], rows[2], ''].join('\n'));
    await expect(archive.chain()).rejects.toMatchObject({ code: 'LEDGER_ARCHIVE_BROKEN' });
  });
});

test('segments come back in order and byte for byte', async () => {
  const archive = new LedgerArchive(dir);
  await archive.append(entries(1, 100));
  await new LedgerArchive(dir).append(entries(101, 130));
  expect(await readAll(archive)).toEqual(entries(1, 130));
});

test('a crash in the middle of an append leaves nothing that a later run trips over', async () => {
  const archive = new LedgerArchive(dir);
  const kept = await archive.append(entries(1, 10));
  await writeFile(join(dir, '7-11_7-20.ndjson.gz'), 'cut');
  await writeFile(join(dir, '7-11_7-20.ndjson.gz.part'), 'cut');
  await appendFile(join(dir, 'chain.ndjson'), '{"file":"7-11_7-2');
  expect(await readAll(archive)).toEqual(entries(1, 10));
  await archive.removeUnacknowledged();
  expect((await readdir(dir)).toSorted()).toEqual([kept.file, 'chain.ndjson'].toSorted());
  await archive.append(entries(11, 20));
  expect(await readAll(archive)).toEqual(entries(1, 20));
});
