import { isGiven } from './given.ts';
import type { GraphQLResolveInfo } from 'graphql';
import type { RequestContext } from './context.ts';
import { topLevelError } from './failures.ts';

export interface PageArguments {
  readonly first?: number | null;
  readonly last?: number | null;
  readonly after?: string | null;
  readonly before?: string | null;
  readonly reverse?: boolean | null;
}

export interface SortOrder<Node> {
  /** Sort value of a row; rows with equal values are ordered by id. */
  readonly key: (node: Node) => number | string;
  readonly id: (node: Node) => string;
}

export interface Connection<Node> {
  readonly nodes: readonly Node[];
  readonly edges: readonly { readonly cursor: string; readonly node: Node }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

const MAX_PAGE = 250;
const MAX_OBJECTS = 25_000;

/** Ids are digits of varying length: by length first, then digit by digit. */
const compareIds = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);

const compareKeys = (a: number | string, b: number | string): number =>
  typeof a === 'string' && typeof b === 'string' ? compareIds(a, b) : Number(a) - Number(b);

/**
 * One page. A cursor holds the sort value and id of its row, not its position: a row that moves to the end of an
 * `updated_at` order between two pages is seen again there, as on the real platform.
 */
export function paginate<Node>(
  rows: readonly Node[],
  args: PageArguments,
  order: SortOrder<Node>,
  context: RequestContext,
  info: GraphQLResolveInfo,
): Connection<Node> {
  const direction = args.reverse === true ? -1 : 1;
  const compare = (a: Cursor, b: Cursor) => direction * (compareKeys(a.key, b.key) || compareIds(a.id, b.id));
  const sorted = inOrder(rows, order, compare);
  if (context.bulkWindow) return wholeConnection(sorted, context.bulkWindow, info);

  const size = pageSize(args, context);
  const after = !isGiven(args.after) ? null : decodeCursor(args.after);
  const before = !isGiven(args.before) ? null : decodeCursor(args.before);
  let from = after === null ? 0 : sorted.findIndex((row) => compare(row.at, after) > 0);
  if (from === -1) from = sorted.length;
  let to = before === null ? sorted.length : sorted.findIndex((row) => compare(row.at, before) >= 0);
  if (to === -1) to = sorted.length;
  if (!isGiven(args.last)) to = Math.min(to, from + size);
  else from = Math.max(from, to - size);
  if (from >= MAX_OBJECTS) {
    context.shop.violate(
      'over-limit-page',
      `${info.fieldName}: more than ${MAX_OBJECTS} objects paged through`,
    );
    throw topLevelError('BAD_REQUEST', `Pagination is limited to ${MAX_OBJECTS} objects`);
  }
  const page = sorted.slice(from, to);
  return connectionOf(page, from > 0, to < sorted.length);
}

/** Most catalogues come in their order already: sorting a large one anew for each of its pages would take minutes. */
function inOrder<Node>(
  rows: readonly Node[],
  order: SortOrder<Node>,
  compare: (a: Cursor, b: Cursor) => number,
): readonly { readonly node: Node; readonly at: Cursor }[] {
  const placed = rows.map((node) => ({ node, at: { key: order.key(node), id: order.id(node) } }));
  let before: Cursor | undefined;
  const isSorted = placed.every(({ at }) => {
    const isAfter = before === undefined || compare(before, at) <= 0;
    before = at;
    return isAfter;
  });
  return isSorted ? placed : placed.toSorted((a, b) => compare(a.at, b.at));
}

interface Cursor {
  readonly key: number | string;
  readonly id: string;
}

function pageSize(args: PageArguments, context: RequestContext): number {
  if (!isGiven(args.first) && !isGiven(args.last))
    throw topLevelError('BAD_REQUEST', 'you must provide one of first or last');
  if (isGiven(args.first) && isGiven(args.last))
    throw topLevelError('BAD_REQUEST', 'providing both first and last is not supported');
  const size = args.first ?? args.last ?? 0;
  if (size < 0) throw topLevelError('BAD_REQUEST', 'the page size must not be negative');
  if (size > MAX_PAGE) {
    context.shop.violate('over-limit-page', `page of ${size}`);
    throw topLevelError('BAD_REQUEST', `the page size must be less than or equal to ${MAX_PAGE}`);
  }
  return size;
}

function wholeConnection<Node>(
  sorted: readonly { readonly node: Node; readonly at: Cursor }[],
  window: { readonly from: number; readonly to: number },
  info: GraphQLResolveInfo,
): Connection<Node> {
  const isRoot = info.path.prev === undefined;
  const page = isRoot ? sorted.slice(window.from, window.to) : sorted;
  return connectionOf(page, false, isRoot && window.to < sorted.length);
}

function connectionOf<Node>(
  page: readonly { readonly node: Node; readonly at: Cursor }[],
  hasPreviousPage: boolean,
  hasNextPage: boolean,
): Connection<Node> {
  const first = page[0];
  const last = page.at(-1);
  return {
    nodes: page.map((row) => row.node),
    get edges() {
      return page.map((row) => ({ cursor: encodeCursor(row.at), node: row.node }));
    },
    pageInfo: {
      hasNextPage,
      hasPreviousPage,
      startCursor: first ? encodeCursor(first.at) : null,
      endCursor: last ? encodeCursor(last.at) : null,
    },
  };
}

const encodeCursor = (cursor: Cursor): string =>
  Buffer.from(JSON.stringify({ last_id: cursor.id, last_value: cursor.key })).toString('base64');

function decodeCursor(text: string): Cursor {
  try {
    const parsed = JSON.parse(Buffer.from(text, 'base64').toString()) as {
      last_id?: unknown;
      last_value?: unknown;
    };
    const { last_id: id, last_value: key } = parsed;
    if (typeof id === 'string' && (typeof key === 'string' || typeof key === 'number')) return { key, id };
  } catch {
    // Answered like any other cursor that is not ours.
  }
  throw topLevelError('BAD_REQUEST', 'Invalid cursor for current pagination sort.');
}
