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

const secondMs = 1_000;
/** Runs along cursors from one edge, until one of them meets nothing that should have been seen before. */
const maxRepeats = 4;

interface Run {
  edgeMs: number;
  after: string | undefined;
  isDirty: boolean;
  repeats: number;
  readonly cursors: Set<string>;
  /** Ids of the rows this run has met: one that is met again has moved, and may have pushed another one out of sight. */
  readonly met: Set<string>;
}

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
 * shown time is its place. The walk therefore goes on from the newest such time (the edge) with a fresh query, which no
 * row that moves can shift. Shopify's cursors are followed only where that brings nothing new: within a second that fills
 * a page, and among rows too young to have a settled place. A run along cursors that met orders which should have been
 * seen is run again until it meets none: a row that moved may have pushed another one past a page's border.
 *
 * The upper bound is the moment of the first question minus the index lag: a change up to then was in the index. Where
 * the runs never became quiet, only the edge is claimed.
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
    const run: Run = {
      edgeMs: start.fromMs,
      after: undefined,
      isDirty: false,
      repeats: 0,
      cursors: new Set(),
      met: new Set(),
    };
    let reachedMs = start.reachedMs;
    let newestMs = start.reachedMs;
    let boundMs: number | undefined;
    const shown = new Set<string>();
    for (let count = 1; count <= maxPages; count++) {
      const page = await this.#page(run.edgeMs, run.after, request.signal);
      // Shown times have lost their fraction of a second.
      const settledBeforeMs = page.askedAtMs - this.#indexLagMs - secondMs;
      const claimMs = (boundMs ??= page.askedAtMs - this.#indexLagMs);
      const settledMs = settledEdgeOf(page.nodes, settledBeforeMs);
      for (const node of page.nodes) newestMs = Math.max(newestMs, changedAt(node) ?? 0);
      // Pages overlap: what this walk has shown already is not shown again.
      const fresh = page.nodes.filter((node) => isNew(shown, node));
      const { orders, parked } = await this.#reader.read(fresh, request.signal);

      const isFollowing = run.after !== undefined;
      // Two changes within a second show the same time: such a row is not fresh, and has moved all the same.
      const unexpected = [...fresh, ...page.nodes.filter((node) => run.met.has(rowIdOf(node) ?? ''))];
      if (isFollowing && unexpected.some((node) => existedAt(node, claimMs))) run.isDirty = true;
      for (const node of page.nodes) {
        const id = rowIdOf(node);
        if (id !== undefined) run.met.add(id);
      }
      const nextEdgeMs = settledMs === undefined ? run.edgeMs : secondOf(settledMs);
      const isOver = page.next === undefined || nextEdgeMs > run.edgeMs;
      const isAgain = isFollowing && isOver && run.isDirty && run.repeats < maxRepeats;
      // Rows met along cursors count as reached only when their run is quiet.
      const isReached = !isFollowing || (isOver && !run.isDirty);
      if (isReached && settledMs !== undefined) reachedMs = Math.max(reachedMs, settledMs);

      if (page.next === undefined && !isAgain) {
        // Without a date from the platform only what was seen is claimed.
        const seenMs = this.#platformClock.isKnown ? claimMs : newestMs - this.#indexLagMs;
        const upperBoundMs = run.isDirty ? Math.min(seenMs, run.edgeMs) : seenMs;
        const cursor = cursorOf(Math.max(reachedMs, upperBoundMs));
        const askedAtMs = this.#platformClock.isKnown ? upperBoundMs + this.#indexLagMs : undefined;
        yield { orders, parked, cursor, walk: { upperBoundMs, cursor, askedAtMs } };
        return;
      }
      yield { orders, parked, cursor: cursorOf(reachedMs) };
      if (isAgain) repeat(run);
      else if (nextEdgeMs > run.edgeMs) {
        advance(run, nextEdgeMs);
        forgetOlder(shown, nextEdgeMs);
      } else follow(run, page.next);
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

function repeat(run: Run): void {
  run.after = undefined;
  run.isDirty = false;
  run.repeats++;
  run.cursors.clear();
  run.met.clear();
}

function advance(run: Run, edgeMs: number): void {
  repeat(run);
  run.edgeMs = edgeMs;
  run.repeats = 0;
}

function follow(run: Run, next: string | undefined): void {
  if (next === undefined || run.cursors.has(next))
    throw stuck(documents.ordersUpdatedSince.name, 'a cursor came twice');
  run.cursors.add(next);
  run.after = next;
}

/** Its units were taken by then, whatever changed since. */
function existedAt(node: unknown, ms: number): boolean {
  const createdAtMs = isRecord(node) ? momentOf(node['createdAt']) : undefined;
  return createdAtMs === undefined || createdAtMs <= ms;
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

function rowIdOf(node: unknown): string | undefined {
  return isRecord(node) ? textOf(node['id']) : undefined;
}

function isNew(shown: Set<string>, node: unknown): boolean {
  if (!isRecord(node)) return true;
  const key = `${String(changedAt(node))}|${rowIdOf(node)}`;
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
  return Math.floor(ms / secondMs) * secondMs;
}

function cursorOf(ms: number): string {
  return new Date(ms).toISOString();
}
