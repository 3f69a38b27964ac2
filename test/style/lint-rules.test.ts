import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const repository = dirname(dirname(import.meta.dirname));

type Diagnostic = { readonly code: string; readonly filename: string };

/** Every import the layers forbid, one file each: [file, what it imports]. */
const forbiddenImports: readonly (readonly [string, string])[] = [
  ['src/domain/a.ts', '../telemetry/x.ts'],
  ['src/domain/b.ts', '../ledger/x.ts'],
  ['src/domain/c.ts', 'node:fs'],
  ['src/domain/d.ts', 'zod'],
  ['src/domain/e.ts', '../../sandbox/x.ts'],
  ['src/config/a.ts', '../ledger/x.ts'],
  ['src/config/b.ts', '../telemetry/x.ts'],
  ['src/telemetry/a.ts', '../config/x.ts'],
  ['src/telemetry/b.ts', 'ioredis'],
  ['src/ledger/a.ts', '../mesh/x.ts'],
  ['src/ledger/b.ts', '../connectors/connector.ts'],
  ['src/ledger/c.ts', '../config/x.ts'],
  ['src/ledger/d.ts', 'bullmq'],
  ['src/connectors/a.ts', '../ledger/x.ts'],
  ['src/connectors/b.ts', 'ioredis'],
  ['src/connectors/c.ts', './shopify/x.ts'],
  ['src/connectors/shopify/a.ts', '../amazon/x.ts'],
  ['src/connectors/shopify/b.ts', '../../ledger/x.ts'],
  ['src/connectors/shopify/c.ts', '../../mesh/x.ts'],
  ['src/connectors/shopify/d.ts', 'ioredis'],
  ['src/connectors/shopify/e.ts', 'bullmq'],
  ['src/connectors/shopify/f.ts', '../../config/x.ts'],
  ['src/connectors/shopify/g.ts', '../../../sandbox/x.ts'],
  ['src/connectors/shopify/inner/a.ts', '../../amazon/x.ts'],
  ['src/connectors/shopify/inner/b.ts', '../../../ledger/x.ts'],
  ['src/mesh/a.ts', '../connectors/shopify/x.ts'],
  ['src/mesh/b.ts', '../http/x.ts'],
  ['src/mesh/c.ts', '../reconcile/x.ts'],
  ['src/mesh/d.ts', '../config/x.ts'],
  ['src/mesh/inner/a.ts', '../../../sandbox/x.ts'],
  ['src/reconcile/a.ts', '../http/x.ts'],
  ['src/reconcile/b.ts', 'ioredis'],
  ['src/http/a.ts', '../connectors/shopify/x.ts'],
  ['src/http/b.ts', 'bullmq'],
  ['src/http/c.ts', '../main.ts'],
  ['src/cli.ts', '../sandbox/x.ts'],
];

const allowedImports: readonly (readonly [string, string])[] = [
  ['src/domain/ok.ts', 'node:crypto'],
  ['src/config/ok.ts', '../domain/x.ts'],
  ['src/telemetry/ok.ts', 'pino'],
  ['src/ledger/ok.ts', '../telemetry/x.ts'],
  ['src/ledger/ok2.ts', 'ioredis'],
  ['src/connectors/shopify/ok.ts', '../connector.ts'],
  ['src/connectors/shopify/ok2.ts', '../../telemetry/x.ts'],
  ['src/connectors/shopify/ok3.ts', './x.ts'],
  ['src/connectors/shopify/inner/ok.ts', '../x.ts'],
  ['src/mesh/ok.ts', '../connectors/connector.ts'],
  ['src/mesh/ok2.ts', 'bullmq'],
  ['src/reconcile/ok.ts', '../mesh/x.ts'],
  ['src/http/ok.ts', '../ledger/x.ts'],
  ['src/main.ts', './connectors/shopify/x.ts'],
  ['sandbox/ok.ts', '../src/domain/x.ts'],
];

/** Files that each break one other rule: [file, source, the rule that must speak]. */
const brokenFiles: readonly (readonly [string, string, string])[] = [
  ['src/mesh/env.ts', 'export const home = process.env.HOME;', 'node(no-process-env)'],
  [
    'src/mesh/floating.ts',
    'export async function send(): Promise<void> {}\nexport function start(): void {\n  send();\n}',
    'typescript(no-floating-promises)',
  ],
  [
    'src/mesh/misused.ts',
    'export function each(list: string[], run: (text: string) => Promise<void>): void {\n  list.forEach(run);\n}',
    'typescript(no-misused-promises)',
  ],
  [
    'src/mesh/switch.ts',
    "export function f(kind: 'a' | 'b'): string {\n  switch (kind) {\n    case 'a':\n      return 'x';\n  }\n  return 'y';\n}",
    'typescript(switch-exhaustiveness-check)',
  ],
  [
    'src/mesh/cycle-a.ts',
    "import type { B } from './cycle-b.ts';\nexport type A = { b?: B };",
    'import(no-cycle)',
  ],
  [
    'src/mesh/cycle-b.ts',
    "import type { A } from './cycle-a.ts';\nexport type B = { a?: A };",
    'import(no-cycle)',
  ],
  ['src/mesh/any.ts', 'export const x: any = 1;', 'typescript(no-explicit-any)'],
  ['src/mesh/default.ts', 'const x = 1;\nexport default x;', 'import(no-default-export)'],
];

const okFiles: readonly (readonly [string, string])[] = [
  ['src/config/env.ts', 'export const home = process.env.HOME;'],
  ['test/env.ts', 'export const home = process.env.HOME;'],
];

describe('the lint configuration, on a tree made to break it', () => {
  let tree: string;
  let diagnostics: readonly Diagnostic[];

  beforeAll(() => {
    tree = mkdtempSync(join(tmpdir(), 'sm-lint-'));
    copyFileSync(join(repository, '.oxlintrc.json'), join(tree, '.oxlintrc.json'));
    copyFileSync(join(repository, 'tsconfig.json'), join(tree, 'tsconfig.json'));
    symlinkSync(join(repository, 'node_modules'), join(tree, 'node_modules'));
    writeFileSync(join(tree, 'package.json'), '{ "type": "module" }');
    for (const [file, specifier] of [...forbiddenImports, ...allowedImports]) {
      put(file, `import * as x from '${specifier}';\nexport { x };\n`);
    }
    for (const [file, source] of [...brokenFiles, ...okFiles]) put(file, `${source}\n`);
    const result = spawnSync('oxlint', ['--format', 'json'], {
      cwd: tree,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${join(repository, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}` },
    });
    const report = JSON.parse(result.stdout) as { diagnostics: readonly Diagnostic[] };
    diagnostics = report.diagnostics;
  });
  afterAll(() => rmSync(tree, { recursive: true, force: true }));

  function put(file: string, source: string): void {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), source);
  }
  function rulesFor(file: string): readonly string[] {
    return diagnostics.filter(({ filename }) => filename === file).map(({ code }) => code);
  }

  test.each(forbiddenImports)('%s may not import %s', (file) => {
    expect(rulesFor(file)).toContain('eslint(no-restricted-imports)');
  });

  test.each(allowedImports)('%s may import %s', (file) => {
    expect(rulesFor(file)).not.toContain('eslint(no-restricted-imports)');
  });

  test.each(brokenFiles)('%s is refused', (file, _source, rule) => {
    expect(rulesFor(file)).toContain(rule);
  });

  test.each(okFiles)('%s may read the environment', (file) => {
    expect(rulesFor(file)).not.toContain('node(no-process-env)');
  });
});
