import { describe, expect, test } from 'vitest';
import { listFiles, readProjectFile } from './source-tree.ts';

const files = listFiles();
const code = files.filter((file) => /\.(ts|mts|mjs|lua)$/.test(file) && !file.startsWith('test/fixtures/'));
const text = files.filter((file) =>
  /\.(ts|mts|mjs|js|lua|json|md|ya?ml|css|html|sh)$|file$|\/run$/.test(file),
);

test('a file of more than 300 lines (a test: 600) says in its first line why', () => {
  const unexplained = code.filter((file) => {
    const lines = readProjectFile(file).split('\n');
    const limit = file.startsWith('test/') ? 600 : 300;
    return lines.length > limit + 1 && !/^(\/\/|--) Long on purpose: \S/.test(lines[0] ?? '');
  });
  expect(unexplained).toEqual([]);
});

describe('words that say nothing', () => {
  const banned = /^(manager|helper|util|utility)s?$/;
  const words = (name: string): readonly string[] =>
    name
      .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
      .toLowerCase()
      .split(/[^a-z]+/);

  test('are in no file name', () => {
    const bad = files.filter((file) => words(file).some((word) => banned.test(word)));
    expect(bad).toEqual([]);
  });

  test('are in no exported name', () => {
    const bad = code.flatMap((file) => {
      const exported = readProjectFile(file).matchAll(
        /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|const|let|type|interface) (\w+)/gm,
      );
      return [...exported]
        .filter(([, name]) => words(name ?? '').some((word) => banned.test(word)))
        .map(([, name]) => `${file}: ${name}`);
    });
    expect(bad).toEqual([]);
  });
});

test('every Lua script says its KEYS, ARGV, what it returns and the invariant it keeps', () => {
  const bad = code.filter((file) => {
    if (!/^src\/ledger\/scripts\/[^/]+\.lua$/.test(file)) return false;
    const header = /^(?:#!.*\n)?((?:--.*\n)+)/.exec(readProjectFile(file))?.[1] ?? '';
    return !['KEYS', 'ARGV', 'Returns', 'Invariant'].every((word) => header.includes(word));
  });
  expect(bad).toEqual([]);
});

test('nothing mentions a place of the machine it was written on, or a real credential', () => {
  // The brackets keep this file from finding itself.
  const place = /\/wor[k]\/|\/roo[t]\/|\/opt\/n2[4]|\/hom[e]\/|share[d]\/(?:reference|design|contracts|data)/;
  const bad = text.flatMap((file) => {
    const content = readProjectFile(file);
    const found = place.exec(content)?.slice(0, 1) ?? [];
    if (/\bshp(?:at|ss|ca|pa|rt)_[0-9a-f]{32}\b/.test(content)) found.push('a Shopify token');
    return found.map((what) => `${file}: ${what}`);
  });
  expect(bad).toEqual([]);
});
