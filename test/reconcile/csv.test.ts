import { parse } from 'csv-parse/sync';
import { array, assert, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import { csvLine } from '../../src/reconcile/csv.ts';

test.each([
  ['=HYPERLINK("http://x")', `"'=HYPERLINK(""http://x"")"\r\n`],
  ['+1', "'+1\r\n"],
  ['-2+3', "'-2+3\r\n"],
  ['@SUM(A1)', "'@SUM(A1)\r\n"],
  ['\t=1', "'\t=1\r\n"],
  [' =1', "' =1\r\n"],
  ['plain', 'plain\r\n'],
  [-5, '-5\r\n'],
  [null, '\r\n'],
])('%j becomes %j', (cell, line) => {
  expect(csvLine([cell])).toBe(line);
});

test('whatever the text, a reader gets the same cells and none of them is a formula', () => {
  assert(
    property(array(string({ unit: 'binary' }), { minLength: 2, maxLength: 6 }), (cells) => {
      const [row] = parse(csvLine(cells), { relax_column_count: true });
      expect(row?.map((cell, at) => (cell === `'${cells[at]}` ? cells[at] : cell))).toEqual(cells);
      for (const cell of row ?? []) expect(cell).not.toMatch(/^\s*[=+@-]/);
    }),
    { numRuns: 50 },
  );
});
