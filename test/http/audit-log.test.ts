import { mkdtemp, readdir, readFile, rm, writeFile, appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AuditLog } from '../../src/http/audit/audit-log.ts';
import type { AuditContent } from '../../src/http/audit/audit-record.ts';
import type { AuditHead } from '../../src/http/audit/audit-verify.ts';

let directory: string;
let head: AuditHead | undefined;
let log: AuditLog;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sm-audit-'));
  head = undefined;
  log = await opened();
});
afterEach(async () => {
  await log.close();
  await rm(directory, { recursive: true, force: true });
});

function opened(maxSegments = 100): Promise<AuditLog> {
  return AuditLog.open({
    directory,
    segmentBytes: 2_000,
    maxSegments,
    registry: new Registry(),
    onError: (error) => {
      throw error;
    },
    keepHead: async (kept) => void (head = kept),
    keptHead: async () => head,
  });
}

function content(n: number): AuditContent {
  return {
    at: '2026-11-29T12:00:00.000Z',
    decision_id: `d.${n}`,
    kind: 'reserve',
    outcome: 'held',
    key_id: 'k',
    hold_id: `k.${n}`,
    asked: { sku: `line\u2028separator ${n}` },
    known: { sequence: `1-${n}`, data_age_ms: 3 },
    shown: {},
    rationale: ['because'],
  };
}

async function written(count: number): Promise<readonly string[]> {
  for (let n = 1; n <= count; n++) {
    log.append(content(n));
    if (n % 5 === 0) await log.flush();
  }
  await log.flush();
  return (await readdir(directory)).toSorted().map((name) => join(directory, name));
}

async function edit(path: string | undefined, change: (text: string) => string): Promise<void> {
  if (path === undefined) throw new Error('no such segment');
  await writeFile(path, change(await readFile(path, 'utf8')));
}

test('whole over several segments; what was written is found', async () => {
  expect((await written(40)).length).toBeGreaterThan(3);
  expect(await log.verify()).toMatchObject({ lines: 40, first: 1, last: 40, findings: [] });
  expect(await log.find(['"k.17"'], 10)).toEqual([content(17)]);
});

test.each<[string, (text: string) => string]>([
  ['a changed figure', (text) => text.replace('"data_age_ms":3', '"data_age_ms":4')],
  ['a line taken out', (text) => text.split('\n').toSpliced(1, 1).join('\n')],
  ['lines swapped', (text) => text.replace(/^([^\n]*\n)([^\n]*\n)/, '$2$1')],
  ['a line put in', (text) => text.replace(/^([^\n]*\n)/, '$1$1')],
  [
    'a byte of a hash',
    (text) => text.replace(/"hash":"(.)/, (_whole, c) => `"hash":"${c === '0' ? '1' : '0'}`),
  ],
  ['a line that is none', (text) => `${text.slice(0, 40)}\n${text.slice(40)}`],
])('%s is found', async (_what, change) => {
  const segments = await written(20);
  await edit(segments[1], change);
  expect((await log.verify()).findings.length).toBeGreaterThan(0);
});

test('a segment in the middle that is gone, and an end that was cut off, are found', async () => {
  const segments = await written(40);
  const [, second, last] = [segments[0], segments[1] ?? '', segments.at(-1)];
  const kept = await readFile(second);
  await rm(second);
  expect((await log.verify()).findings.length).toBeGreaterThan(0);
  await writeFile(second, kept);
  expect((await log.verify()).findings).toEqual([]);
  await edit(last, (text) => text.split('\n').slice(0, -2).join('\n').concat('\n'));
  expect((await log.verify()).findings).toEqual([{ line: 40, problem: 'was written and is gone' }]);
});

test('goes on after a restart, also after a torn last line', async () => {
  const segments = await written(7);
  await log.close();
  await appendFile(segments.at(-1) ?? '', '{"n":8,"hash":"ab');
  log = await opened();
  log.append(content(8));
  expect(await log.verify()).toMatchObject({ lines: 8, last: 8, findings: [] });
});

test('is bounded: the oldest segments go, what is left still proves itself', async () => {
  await log.close();
  log = await opened(3);
  expect((await written(60)).length).toBeLessThanOrEqual(3);
  const report = await log.verify();
  expect(report.findings).toEqual([]);
  expect([report.first > 1, report.last]).toEqual([true, 60]);
});
