import { expect, test } from 'vitest';
import { dirname, normalize } from 'node:path';
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

const ledgerPage = readProjectFile('docs/ledger.md');

function quoted(text: string, pattern: RegExp): readonly string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name]) => name ?? ''))].toSorted();
}

test('docs/ledger.md lists every script, and no other', () => {
  const scripts = listFiles('src/ledger/scripts')
    .filter((path) => !path.includes('include'))
    .map((path) => path.replace(/^.*\/|\.lua$/g, ''));
  const [, commands = ''] = ledgerPage.split('\n## Commands\n');
  const documented = tableRows(ledgerPage, '## Commands').flatMap(([names]) =>
    quoted(names ?? '', /`([a-z-]+)`/g),
  );
  expect(commands).not.toBe('');
  expect(documented.toSorted()).toEqual(scripts.toSorted());
});

test('docs/ledger.md explains every invariant that a finding may name', () => {
  const [, union = ''] = /export type Invariant =([^;]+);/.exec(readProjectFile('src/ledger/fold.ts')) ?? [];
  const documented = tableRows(ledgerPage, '## Invariants')
    .map(([name]) => plain(name))
    .filter((name) => name !== 'invariant' && !name.startsWith('-'));
  expect(documented.toSorted()).toEqual(quoted(union, /'([a-z-]+)'/g));
});

test('docs/ledger.md lists every key that the two modules of keys spell', () => {
  const spelt = ['src/ledger/keys.ts', 'src/mesh/mesh-keys.ts'].flatMap((path) =>
    quoted(readProjectFile(path), /\$\{prefix\}([A-Za-z:]+)/g),
  );
  expect(spelt.length).toBeGreaterThan(30);
  const missing = spelt.filter((name) => !ledgerPage.includes(`\`P ${name}`));
  expect(missing).toEqual([]);
});

test('README.md gives the reason of every dependency, and of no other', () => {
  const { dependencies, optionalDependencies } = JSON.parse(readProjectFile('package.json')) as Record<
    'dependencies' | 'optionalDependencies',
    Readonly<Record<string, string>>
  >;
  const reasons = tableRows(readProjectFile('README.md'), '## Dependencies');
  const named = reasons.flatMap(([names]) => quoted(names ?? '', /`([^`]+)`/g));
  expect(named.toSorted()).toEqual(
    [...Object.keys(dependencies), ...Object.keys(optionalDependencies)].toSorted(),
  );
});

test('every link between the documents leads somewhere', () => {
  const files = new Set(listFiles());
  const broken = [...files]
    .filter((path) => path.endsWith('.md'))
    .flatMap((path) =>
      quoted(readProjectFile(path), /\]\(([^)#\s]+)(?:#[^)]*)?\)/g)
        .filter((target) => !/^(?:https?|mailto):/.test(target))
        .map((target) => ({ path, target: normalize(`${dirname(path)}/${target}`).replace(/\/$/, '') })),
    )
    .filter(({ target }) => !files.has(target) && ![...files].some((file) => file.startsWith(`${target}/`)));
  expect(broken).toEqual([]);
});
