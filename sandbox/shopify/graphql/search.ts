import { isGiven } from './given.ts';
import type { GraphQLResolveInfo } from 'graphql';
import { idNumber } from '../ids.ts';
import type { RequestContext, SearchReport } from './context.ts';
import { topLevelError } from './failures.ts';
import { parseSearch } from './search-query.ts';
import type { SearchNode, SearchTerm } from './search-query.ts';

/** How a documented filter of a resource is evaluated. Fields that are not listed do not exist for Shopify either. */
export type SearchField<Row> =
  | { readonly kind: 'id'; readonly of: (row: Row) => readonly string[] }
  | { readonly kind: 'time'; readonly of: (row: Row) => number | null }
  | { readonly kind: 'text'; readonly of: (row: Row) => readonly string[] }
  | {
      readonly kind: 'choice';
      readonly choices: readonly string[];
      readonly of: (row: Row) => readonly string[];
    }
  | { readonly kind: 'boolean'; readonly of: (row: Row) => boolean }
  /** Documented by Shopify, not evaluated here: asking for it is an error of the sandbox, never a wrong answer. */
  | { readonly kind: 'not-emulated' };

export interface SearchSpec<Row> {
  readonly fields: Readonly<Record<string, SearchField<Row>>>;
  /** Default text of the row, for terms without a field. */
  readonly text?: (row: Row) => readonly string[];
  /** False: the row is not in the search index yet. */
  readonly isIndexed?: (row: Row) => boolean;
}

type Warning = SearchReport['warnings'][number];

/**
 * Rows that match. An unknown field does not fail: it matches everything and leaves a warning in
 * `extensions.search`, which is why a client must treat warnings as errors.
 */
export function search<Row>(
  rows: readonly Row[],
  query: string | null | undefined,
  spec: SearchSpec<Row>,
  context: RequestContext,
  info: GraphQLResolveInfo,
): readonly Row[] {
  if (!isGiven(query) || query.trim() === '') return rows;
  const tree = parseSearch(query);
  const warnings: Warning[] = [];
  collectWarnings(tree, spec, warnings, context);
  if (warnings.length > 0) {
    const path = [info.path.key];
    context.searchReports.push({ path, query, parsed: describe(tree), warnings });
    for (const warning of warnings) {
      const kind = warning.code === 'invalid_field' ? 'unknown-search-field' : 'invalid-search-value';
      context.shop.violate(kind, `${info.fieldName}: ${warning.field}: ${warning.message}`);
    }
  }
  const test = compile(tree, spec);
  return rows.filter((row) => (spec.isIndexed?.(row) ?? true) && test(row));
}

function collectWarnings<Row>(
  node: SearchNode,
  spec: SearchSpec<Row>,
  warnings: Warning[],
  context: RequestContext,
): void {
  if (node.kind === 'group') for (const part of node.parts) collectWarnings(part, spec, warnings, context);
  else if (node.kind === 'not') collectWarnings(node.part, spec, warnings, context);
  else if (node.kind === 'term' && node.field !== null) {
    const field = spec.fields[node.field];
    if (!field)
      warnings.push({
        field: node.field,
        message: 'Invalid search field for this query.',
        code: 'invalid_field',
      });
    else if (field.kind === 'not-emulated')
      throw topLevelError('NOT_EMULATED', `The sandbox does not evaluate the search field ${node.field}`);
    else if (field.kind === 'time' && Number.isNaN(Date.parse(node.value))) {
      context.shop.violate('invalid-search-value', `${node.field}: ${node.value}`);
      throw topLevelError('BAD_REQUEST', `Invalid timestamp for query filter \`${node.field}\`.`);
    } else if (field.kind === 'choice' && !field.choices.includes(node.value.toLowerCase()))
      warnings.push({
        field: node.field,
        message: `Input \`${node.value}\` is not an accepted value.`,
        code: 'invalid_value',
      });
  }
}

function describe(node: SearchNode): unknown {
  if (node.kind === 'group') return { [node.connective]: node.parts.map((part) => describe(part)) };
  if (node.kind === 'not') return { not: describe(node.part) };
  if (node.kind === 'all') return {};
  if (node.comparator === '=') return { field: node.field, match_all: node.value };
  const names = { '>': 'gt', '>=': 'gte', '<': 'lt', '<=': 'lte' } as const;
  return { field: node.field, range: { [names[node.comparator]]: node.value } };
}

function compile<Row>(node: SearchNode, spec: SearchSpec<Row>): (row: Row) => boolean {
  if (node.kind === 'all') return () => true;
  if (node.kind === 'not') {
    const inner = compile(node.part, spec);
    return (row) => !inner(row);
  }
  if (node.kind === 'group') {
    const parts = node.parts.map((part) => compile(part, spec));
    return node.connective === 'and'
      ? (row) => parts.every((test) => test(row))
      : (row) => parts.some((test) => test(row));
  }
  if (node.field === null) {
    const matches = textMatcher(node);
    return (row) => (spec.text?.(row) ?? []).some((text) => matches(text));
  }
  const field = spec.fields[node.field];
  return field ? compileField(node, field) : () => true;
}

function compileField<Row>(term: SearchTerm, field: SearchField<Row>): (row: Row) => boolean {
  const compare = COMPARISONS[term.comparator];
  switch (field.kind) {
    case 'id': {
      const wanted = idNumber(term.value);
      if (wanted === null) return () => false;
      return (row) => field.of(row).some((id) => compare(BigInt(id) - BigInt(wanted)));
    }
    case 'time': {
      // Search works in whole seconds, like every timestamp Shopify answers.
      const wanted = Math.floor(Date.parse(term.value) / 1000);
      return (row) => {
        const at = field.of(row);
        return at !== null && compare(BigInt(Math.floor(at / 1000) - wanted));
      };
    }
    case 'text': {
      const matches = textMatcher(term);
      return (row) => field.of(row).some((text) => matches(text));
    }
    case 'choice':
      if (!field.choices.includes(term.value.toLowerCase())) return () => false;
      return (row) => field.of(row).includes(term.value.toLowerCase());
    case 'boolean':
      return (row) => field.of(row) === (term.value.toLowerCase() === 'true');
    case 'not-emulated':
      break;
  }
  return () => true;
}

const COMPARISONS: Readonly<Record<SearchTerm['comparator'], (difference: bigint) => boolean>> = {
  '=': (difference) => difference === 0n,
  '>': (difference) => difference > 0n,
  '>=': (difference) => difference >= 0n,
  '<': (difference) => difference < 0n,
  '<=': (difference) => difference <= 0n,
};

const MAX_TOKENIZED = 100_000;
const tokenized = new Map<string, readonly string[]>();

/** Remembered: a search over a catalogue tokenizes the same SKUs for every term of every query. */
function tokensOf(text: string): readonly string[] {
  const known = tokenized.get(text);
  if (known) return known;
  const tokens = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  if (tokenized.size >= MAX_TOKENIZED) tokenized.clear();
  tokenized.set(text, tokens);
  return tokens;
}

/**
 * Full-text behaviour: case and punctuation do not count, and a value matches inside a longer text. `sku:"ABC-1"` also
 * finds `abc 1 XL`: a client must compare exactly itself.
 */
function textMatcher(term: SearchTerm): (text: string) => boolean {
  if (!term.isQuoted && term.value.endsWith('*')) {
    const prefix = term.value.slice(0, -1).toLowerCase();
    return (text) => text.toLowerCase().startsWith(prefix);
  }
  const wanted = tokensOf(term.value);
  if (wanted.length === 0) return (text) => text === term.value;
  return (text) => {
    const tokens = tokensOf(text);
    for (let start = 0; start + wanted.length <= tokens.length; start += 1)
      if (wanted.every((token, index) => tokens[start + index] === token)) return true;
    return false;
  };
}
