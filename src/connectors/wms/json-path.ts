import { StockmeshError } from '../../domain/errors.ts';

/**
 * The small part of JSONPath that mappings need: `a.b[*].c`, `a[0]`, `['odd key']`, with or without `$.` in front. A path
 * is data, never code: it is compiled once and walked, and names only what the document itself has.
 */
export interface JsonPath {
  readonly text: string;
  readonly steps: readonly Step[];
}

type Step =
  | { readonly kind: 'key'; readonly name: string }
  | { readonly kind: 'index'; readonly at: number }
  | { readonly kind: 'all' };

const maxSteps = 16;
const maxPathLength = 200;
/** More values than any page of any WMS holds. */
const maxSelected = 500_000;

const stepPattern = /(?:^|\.)([A-Za-z_@][\w-]*)|\[(\d{1,6})\]|\[(\*)\]|\['([^'\\]{1,100})'\]/gy;

export function compilePath(text: string): JsonPath {
  const source = text.replace(/^\$\.?/, '');
  const steps: Step[] = [];
  stepPattern.lastIndex = 0;
  while (stepPattern.lastIndex < source.length) {
    const match = stepPattern.exec(source);
    if (match === null) throw unreadable(text);
    const [, name, index, all, quoted] = match;
    const key = name ?? quoted;
    if (key !== undefined) steps.push({ kind: 'key', name: key });
    else if (index !== undefined) steps.push({ kind: 'index', at: Number(index) });
    else if (all !== undefined) steps.push({ kind: 'all' });
  }
  if (source.startsWith('.') || text.length > maxPathLength || steps.length > maxSteps)
    throw unreadable(text);
  return { text, steps };
}

/** Every value the path leads to, in document order. */
export function selectAll(root: unknown, path: JsonPath): readonly unknown[] {
  let found: unknown[] = [root];
  for (const step of path.steps) {
    const next: unknown[] = [];
    for (const value of found) {
      if (step.kind === 'key') {
        const isThere = isObject(value) && Object.hasOwn(value, step.name);
        if (isThere && value[step.name] !== undefined) next.push(value[step.name]);
      } else if (Array.isArray(value)) {
        const list: readonly unknown[] = value;
        if (step.kind === 'index') {
          if (step.at < list.length) next.push(list[step.at]);
        } else {
          for (const element of list) next.push(element);
        }
      }
      if (next.length > maxSelected) return next.slice(0, maxSelected);
    }
    found = next;
  }
  return found;
}

/** The first value the path leads to; undefined where it leads nowhere. */
export function selectOne(root: unknown, path: JsonPath): unknown {
  return selectAll(root, path)[0];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unreadable(text: string): StockmeshError {
  return new StockmeshError('CONFIG_INVALID', {
    problems: [`${JSON.stringify(text.slice(0, maxPathLength))} is not a path such as items[*].quantity`],
  });
}
