import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export const repository = dirname(dirname(import.meta.dirname));

const skipped = new Set([
  'node_modules',
  'dist',
  'coverage',
  '.git',
  '.toolchain',
  '.stockmesh',
  'package-lock.json',
]);

/** Every file of the project, relative to its root, without what is generated or installed. */
export function listFiles(folder = ''): readonly string[] {
  return readdirSync(join(repository, folder), { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? listFiles(path) : [relative('', path)];
  });
}

export function readProjectFile(path: string): string {
  return readFileSync(join(repository, path), 'utf8');
}

/** The cells of every row of the Markdown tables below one heading (or of the whole text). */
export function tableRows(markdown: string, heading?: string): readonly (readonly string[])[] {
  const start = heading === undefined ? 0 : markdown.indexOf(`\n${heading}\n`);
  if (start < 0) return [];
  const rest = markdown.slice(start + 1);
  const end = rest.indexOf('\n## ', 1);
  const rows = (end < 0 ? rest : rest.slice(0, end)).split('\n').filter((line) => line.startsWith('| '));
  return rows.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
