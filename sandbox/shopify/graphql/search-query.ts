/** Shopify's search syntax: terms, comparators, AND/OR, NOT and `-`, parentheses, quoted values with backslashes. */
export type SearchNode =
  | { readonly kind: 'all' }
  | { readonly kind: 'group'; readonly connective: 'and' | 'or'; readonly parts: readonly SearchNode[] }
  | { readonly kind: 'not'; readonly part: SearchNode }
  | SearchTerm;

export interface SearchTerm {
  readonly kind: 'term';
  /** Null: free text over the resource's default fields. */
  readonly field: string | null;
  readonly comparator: '=' | '>' | '>=' | '<' | '<=';
  readonly value: string;
  readonly isQuoted: boolean;
}

type Token =
  | { readonly kind: 'open' | 'close' | 'and' | 'or' | 'not' }
  | { readonly kind: 'term'; readonly term: SearchTerm };

const MAX_QUERY_LENGTH = 100_000;

export function parseSearch(text: string): SearchNode {
  if (text.length > MAX_QUERY_LENGTH) throw new RangeError('search query too long');
  const tokens = tokenize(text);
  let at = 0;

  const or = (): SearchNode => {
    const parts = [and()];
    while (tokens[at]?.kind === 'or') {
      at += 1;
      parts.push(and());
    }
    return parts.length === 1 ? (parts[0] as SearchNode) : { kind: 'group', connective: 'or', parts };
  };
  const and = (): SearchNode => {
    const parts: SearchNode[] = [];
    for (;;) {
      const kind = tokens[at]?.kind;
      if (kind === undefined || kind === 'close' || kind === 'or') break;
      if (kind === 'and') at += 1;
      else parts.push(unary());
    }
    if (parts.length === 0) return { kind: 'all' };
    return parts.length === 1 ? (parts[0] as SearchNode) : { kind: 'group', connective: 'and', parts };
  };
  const unary = (): SearchNode => {
    const token = tokens[at++];
    if (token?.kind === 'not') return { kind: 'not', part: unary() };
    if (token?.kind === 'open') {
      const inner = or();
      if (tokens[at]?.kind === 'close') at += 1;
      return inner;
    }
    return token?.kind === 'term' ? token.term : { kind: 'all' };
  };
  return or();
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const space = /^\s+/.exec(rest);
    if (space) {
      at += space[0].length;
      continue;
    }
    const word = /^(AND|OR|NOT)(?=[\s()]|$)/.exec(rest);
    if (word) {
      tokens.push({ kind: word[1]?.toLowerCase() as 'and' | 'or' | 'not' });
      at += word[0].length;
    } else if (rest.startsWith('(') || rest.startsWith(')')) {
      tokens.push({ kind: rest.startsWith('(') ? 'open' : 'close' });
      at += 1;
    } else if (rest.startsWith('-')) {
      tokens.push({ kind: 'not' });
      at += 1;
    } else {
      const { term, length } = readTerm(rest);
      tokens.push({ kind: 'term', term });
      at += length;
    }
  }
  return tokens;
}

function readTerm(text: string): { term: SearchTerm; length: number } {
  const head = /^([A-Za-z_][\w.]*):(>=|<=|>|<)?/.exec(text);
  const offset = head?.[0].length ?? 0;
  const { value, isQuoted, length } = readValue(text.slice(offset));
  const comparator = (head?.[2] ?? '=') as SearchTerm['comparator'];
  return {
    term: { kind: 'term', field: head?.[1] ?? null, comparator, value, isQuoted },
    // A term always consumes something, or the reader would never end.
    length: Math.max(1, offset + length),
  };
}

function readValue(text: string): { value: string; isQuoted: boolean; length: number } {
  const quote = text[0];
  if (quote !== '"' && quote !== "'") {
    const bare = /^(?:\\.|[^\s()\\])+/s.exec(text)?.[0] ?? '';
    return { value: bare.replace(/\\(.)/gs, '$1'), isQuoted: false, length: bare.length };
  }
  let value = '';
  let at = 1;
  for (; at < text.length && text[at] !== quote; at += 1) {
    if (text[at] === '\\' && at + 1 < text.length) at += 1;
    value += text[at];
  }
  return { value, isQuoted: true, length: at + 1 };
}
