import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

const namePattern = /^audit-(\d{16})\.ndjson$/;

/** A file begins with the line its name says. */
export function segmentName(firstLine: number): string {
  return `audit-${String(firstLine).padStart(16, '0')}.ndjson`;
}

export interface Segment {
  readonly path: string;
  readonly first: number;
}

/** Oldest first. */
export async function segmentsIn(directory: string): Promise<readonly Segment[]> {
  const found: Segment[] = [];
  for (const name of await readdir(directory)) {
    const match = namePattern.exec(name);
    if (match !== null) found.push({ path: join(directory, name), first: Number(match[1]) });
  }
  return found.toSorted((a, b) => a.first - b.first);
}

/**
 * Lines without their ends. Split at line feeds only: what JSON text may hold unescaped (U+2028) ends no line. What
 * follows the last line feed is told as unfinished.
 */
export async function* linesOf({
  path,
}: Segment): AsyncGenerator<{ readonly text: string; readonly isWhole: boolean }> {
  let rest = '';
  for await (const chunk of createReadStream(path, 'utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const text of lines) yield { text, isWhole: true };
  }
  if (rest !== '') yield { text: rest, isWhole: false };
}
