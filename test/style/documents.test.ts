import { expect, test } from 'vitest';
import { errorCodes } from '../../src/domain/errors.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { listFiles, readProjectFile, tableRows } from './source-tree.ts';

const errorsPage = readProjectFile('docs/errors.md');

function plain(cell: string | undefined): string {
  return (cell ?? '').replaceAll('`', '');
}

test('docs/errors.md and the error table say the same, both ways', () => {
  const documented = tableRows(errorsPage)
    .filter(([code]) => /^`[A-Z]+_[A-Z_]+`$/.test(code ?? ''))
    .map(([code, retry, exit, meaning]) => ({
      code: plain(code),
      retry,
      exit,
      isExplained: (meaning ?? '').length > 20,
    }));
  const coded = Object.entries(errorCodes).map(([code, entry]) => ({
    code,
    retry: entry.retryable ? 'yes' : 'no',
    exit: 'exitCode' in entry ? String(entry.exitCode) : '',
    isExplained: true,
  }));
  const byCode = (a: { code: string }, b: { code: string }): number => a.code.localeCompare(b.code);
  expect(documented.toSorted(byCode)).toEqual(coded.toSorted(byCode));
});

test('docs/errors.md lists every exit code', () => {
  const documented = tableRows(errorsPage, '## Exit codes')
    .filter(([exit]) => /^\d+$/.test(exit ?? ''))
    .map(([exit, name]) => [plain(name), Number(exit)]);
  expect(Object.fromEntries(documented)).toEqual(exitCodes);
});

test('docs/operations.md lists every metric the code declares, and no other', () => {
  const declared = listFiles('src').flatMap((file) => {
    const names = readProjectFile(file).matchAll(/\bname: ['"](stockmesh_[a-z0-9_]+)['"]/g);
    return [...names].map(([, name]) => name ?? '');
  });
  const documented = tableRows(readProjectFile('docs/operations.md'), '## Metrics')
    .map(([name]) => plain(name))
    .filter((name) => name.startsWith('stockmesh_'));
  expect(documented.toSorted()).toEqual(declared.toSorted());
  // Prometheus's own rule: the unit is the last part of the name.
  for (const name of declared) expect(name).not.toMatch(/_(?:ms|milliseconds|kb|minutes)(?:_total)?$/);
});
