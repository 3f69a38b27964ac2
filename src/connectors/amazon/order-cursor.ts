import { isRecord, parseJsonText, textOf } from '../raw-json.ts';

/**
 * Where the search for orders stands. Two searches take turns:
 *
 * - by last update: finds every change, but an order that changes again leaves the window of its earlier change, and may
 *   be hidden by the two minutes that Amazon keeps back; so it proves nothing about orders that were just placed;
 * - by creation: that time never changes, so a finished walk has seen every order placed up to its bound.
 *
 * Times are kept as Amazon wrote them: a page token is only good with the very same parameters.
 */
export interface OrderCursor {
  /** Bound of the last finished search by update, and by creation. */
  readonly updated: string | null;
  readonly created: string | null;
  readonly next: SearchKind;
  /** A search in the middle of its pages. */
  readonly open?: OpenSearch | undefined;
}

export type SearchKind = 'updated' | 'created';

export interface OpenSearch {
  readonly kind: SearchKind;
  readonly after: string;
  readonly token: string;
  /** Our clock, ms. Tokens live for 24 hours. */
  readonly sinceMs: number;
  /** Bound that the first page stated. */
  readonly bound: string;
}

export function encodeCursor(cursor: OrderCursor): string {
  return JSON.stringify(cursor);
}

/** Undefined: unreadable, the caller starts anew. A bare time is a cursor of the search by update. */
export function decodeCursor(text: string): OrderCursor | undefined {
  if (isTime(text)) return { updated: text, created: null, next: 'updated' };
  const parsed = parseJsonText(text);
  if (parsed.kind === 'bad' || !isRecord(parsed.value)) return undefined;
  const { updated, created, next, open } = parsed.value;
  if ((updated !== null && !isTime(updated)) || (created !== null && !isTime(created))) return undefined;
  return {
    updated,
    created,
    next: next === 'created' ? 'created' : 'updated',
    ...(isRecord(open) ? { open: openSearchOf(open) } : {}),
  };
}

function openSearchOf(value: Readonly<Record<string, unknown>>): OpenSearch | undefined {
  const { after, sinceMs, bound } = value;
  const token = textOf(value['token']);
  if (!isTime(after) || !isTime(bound) || token === undefined || typeof sinceMs !== 'number')
    return undefined;
  return {
    kind: value['kind'] === 'created' ? 'created' : 'updated',
    after,
    token,
    sinceMs,
    bound,
  };
}

function isTime(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length < 40 && !Number.isNaN(Date.parse(value)) && value.includes('T')
  );
}
