import type { OrderPage, PollRequest } from '../connector.ts';
import type { PlatformClock } from '../platform-clock.ts';
import type { ConnectorLog } from '../ports.ts';
import { isRecord, momentOf, textOf } from '../raw-json.ts';
import { documents } from './documents.ts';
import { connectionOf } from './graphql-order.ts';
import type { OrderQuery } from './order-query.ts';
import type { OrderReader } from './order-reader.ts';
import { PageSize, part, stuck, unreadable } from './pages.ts';

const firstPageSize = 50;
const maxPages = 20_000;

interface Page {
  readonly nodes: readonly unknown[];
  readonly next: string | undefined;
  /** Platform clock when the question was sent. */
  readonly askedAtMs: number;
}

/**
 * One walk over the orders changed since a cursor, oldest change first.
 *
 * The search index is behind the orders it finds: rows come in the order of their *indexed* `updated_at`, while a row
 * shows its present one. A row whose shown time is older than the index lag cannot have been re-indexed since, so its
 * shown time is its place. The walk therefore goes on from the newest such time ("settled edge") with a fresh query,
 * which no insertion or removal in front of it can shift; only among the rows changed within the lag does it follow
 * Shopify's cursors, and those rows are all inside the overlap of the next walk.
 *
 * The upper bound is the moment of the first question minus the index lag: a change up to then was in the index.
 */
export class OrderWalk {
  readonly #query: OrderQuery;
  readonly #reader: OrderReader;
  readonly #platformClock: PlatformClock;
  readonly #indexLagMs: number;
  readonly #log: ConnectorLog;
  readonly #pageSize = new PageSize(firstPageSize);

  constructor(parts: {
    readonly query: OrderQuery;
    readonly reader: OrderReader;
    readonly platformClock: PlatformClock;
    readonly indexLagMs: number;
    readonly log: ConnectorLog;
  }) {
    this.#query = parts.query;
    this.#reader = parts.reader;
    this.#platformClock = parts.platformClock;
    this.#indexLagMs = parts.indexLagMs;
    this.#log = parts.log;
  }

  async *pages(request: PollRequest): AsyncGenerator<OrderPage> {
    const start = this.#startOf(request);
    let edgeMs = start.fromMs;
    let reachedMs = start.reachedMs;
    let newestMs = start.reachedMs;
    let after: string | undefined;
    let boundMs: number | undefined;
    const usedCursors = new Set<string>();
    const shown = new Set<string>();
    for (let count = 1; count <= maxPages; count++) {
      const page = await this.#page(edgeMs, after, request.signal);
      boundMs ??= page.askedAtMs - this.#indexLagMs;
      // Shown times have lost their fraction of a second.
      const settledBeforeMs = page.askedAtMs - this.#indexLagMs - 1_000;
      const settledMs = settledEdgeOf(page.nodes, settledBeforeMs);
      for (const node of page.nodes) newestMs = Math.max(newestMs, changedAt(node) ?? 0);
      // Pages overlap by the rows of the edge: what this walk has shown already is not shown again.
      const fresh = page.nodes.filter((node) => isNew(shown, node));
      const { orders, parked } = await this.#reader.read(fresh, request.signal);
      if (settledMs !== undefined) reachedMs = Math.max(reachedMs, Math.min(settledMs, settledBeforeMs));

      if (page.next === undefined) {
        // Without a date from the platform only what was seen is claimed.
        const upperBoundMs = this.#platformClock.isKnown ? boundMs : newestMs - this.#indexLagMs;
        const cursor = cursorOf(Math.max(reachedMs, upperBoundMs));
        yield { orders, parked, cursor, walk: { upperBoundMs, cursor } };
        return;
      }
      yield { orders, parked, cursor: cursorOf(reachedMs) };

      const nextEdgeMs = settledMs === undefined ? edgeMs : secondOf(settledMs);
      if (nextEdgeMs > edgeMs) {
        edgeMs = nextEdgeMs;
        after = undefined;
        usedCursors.clear();
        forgetOlder(shown, edgeMs);
      } else {
        // A page full of one second, or of orders too young to have a settled place.
        if (usedCursors.has(page.next)) throw stuck(documents.ordersUpdatedSince.name, 'a cursor came twice');
        usedCursors.add(page.next);
        after = page.next;
      }
    }
    throw stuck(documents.ordersUpdatedSince.name, `more than ${maxPages} pages`);
  }

  #startOf(request: PollRequest): { fromMs: number; reachedMs: number } {
    const reachedMs = momentOf(request.cursor);
    if (request.cursor !== null && reachedMs === undefined) {
      // Asking again from the beginning costs time; trusting it could skip orders.
      this.#log.warn({}, 'the order cursor cannot be read: polling from the channel start');
    }
    if (reachedMs === undefined) return { fromMs: secondOf(request.sinceMs), reachedMs: request.sinceMs };
    const overlapMs = Math.max(request.overlapMs, this.#indexLagMs);
    return { fromMs: secondOf(Math.max(0, reachedMs - overlapMs)), reachedMs };
  }

  async #page(fromMs: number, after: string | undefined, signal: AbortSignal): Promise<Page> {
    const operation = documents.ordersUpdatedSince;
    const query = `updated_at:>='${new Date(fromMs).toISOString().replace('.000Z', 'Z')}'`;
    const variablesFor = (first: number) => ({ query, first, after: after ?? null });
    const answer = await this.#query.read(operation, this.#pageSize, variablesFor, signal);
    const connection = connectionOf({ orders: part(answer.data, 'orders', operation.name) }, 'orders');
    if (!connection.isReadable) throw unreadable(operation.name, 'orders is not a connection');
    const askedAtMs = this.#platformClock.at(answer.sentAtMs);
    return { nodes: connection.nodes, next: connection.next, askedAtMs };
  }
}

/** Newest shown time on the page that is certain to be the row's place in the index. */
function settledEdgeOf(nodes: readonly unknown[], settledBeforeMs: number): number | undefined {
  let edgeMs: number | undefined;
  for (const node of nodes) {
    const changedAtMs = changedAt(node);
    if (changedAtMs !== undefined && changedAtMs <= settledBeforeMs)
      edgeMs = Math.max(edgeMs ?? 0, changedAtMs);
  }
  return edgeMs;
}

function changedAt(node: unknown): number | undefined {
  return isRecord(node) ? momentOf(node['updatedAt']) : undefined;
}

function isNew(shown: Set<string>, node: unknown): boolean {
  if (!isRecord(node)) return true;
  const key = `${String(changedAt(node))}|${textOf(node['id'])}`;
  if (shown.has(key)) return false;
  shown.add(key);
  return true;
}

/** Only rows at or after the edge can be shown a second time. */
function forgetOlder(shown: Set<string>, edgeMs: number): void {
  for (const key of shown) if (Number(key.slice(0, key.indexOf('|'))) < edgeMs) shown.delete(key);
}

/** The search compares whole seconds. */
function secondOf(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000;
}

function cursorOf(ms: number): string {
  return new Date(ms).toISOString();
}
