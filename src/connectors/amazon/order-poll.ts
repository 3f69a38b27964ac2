import { setTimeout as delay } from 'node:timers/promises';
import { StockmeshError } from '../../domain/errors.ts';
import type { OrderPage, PollRequest } from '../connector.ts';
import type { PlatformClock } from '../platform-clock.ts';
import type { Clock, ConnectorLog } from '../ports.ts';
import { listOf, momentOf, textOf } from '../raw-json.ts';
import { member } from './fields.ts';
import { operations } from './operations.ts';
import type { AmazonSettings } from './options.ts';
import { includedOrderData, readOrders } from './order.ts';
import {
  type OpenSearch,
  type OrderCursor,
  type SearchKind,
  decodeCursor,
  encodeCursor,
} from './order-cursor.ts';
import type { SpApi, SpApiRequest } from './sp-api.ts';
import { type SpApiOutcome, failureOf, stuck, unreadable } from './sp-api-outcome.ts';

/** 200,000 orders; with the usual budget that is days of requests. */
const maxPages = 2_000;
/** Tokens live for 24 hours. */
const maxTokenAgeMs = 23 * 3_600_000;
/** Amazon keeps back two minutes; a little more, because its clock is only estimated. */
const heldBackMs = 150_000;
const operation = operations.searchOrders;

type Position = Omit<OrderCursor, 'open'>;
/**
 * What stays the same from page to page: Amazon refuses the token of a search whose parameters changed. The upper end of the
 * window is Amazon's own, two minutes back at the first page.
 */
interface Search {
  readonly kind: SearchKind;
  readonly after: string;
  readonly sinceMs: number;
}

/**
 * One walk over the orders that changed or were placed since the cursor: one search per walk, by update and by creation in
 * turns (see `OrderCursor`), both on the very first. A search is one request per 100 orders, and there is one request per
 * three minutes: pages that were applied are never fetched again, their token is part of the cursor.
 *
 * While there is no budget for a request the walk ends where it is, without a bound and without an error: whoever polls
 * comes again, and the cursor still knows the page.
 *
 * The cursor is the bound that Amazon states, which lies two minutes back. The walk's upper bound is the one of
 * the searches by creation.
 */
export class OrderWalk {
  readonly #api: SpApi;
  readonly #settings: AmazonSettings;
  readonly #clock: Clock;
  readonly #platformClock: PlatformClock;
  readonly #log: ConnectorLog;

  constructor(parts: {
    readonly api: SpApi;
    readonly settings: AmazonSettings;
    readonly clock: Clock;
    readonly platformClock: PlatformClock;
    readonly log: ConnectorLog;
  }) {
    this.#api = parts.api;
    this.#settings = parts.settings;
    this.#clock = parts.clock;
    this.#platformClock = parts.platformClock;
    this.#log = parts.log;
  }

  async *pages(request: PollRequest): AsyncGenerator<OrderPage> {
    const start = request.cursor === null ? undefined : decodeCursor(request.cursor);
    if (request.cursor !== null && start === undefined)
      this.#log.warn({}, 'the order cursor cannot be read: polling from the channel start');
    let position: Position = {
      updated: start?.updated ?? null,
      created: start?.created ?? null,
      next: start?.next ?? 'updated',
    };
    let resumed = start?.open;
    if (resumed !== undefined && this.#clock.nowMs() - resumed.sinceMs > maxTokenAgeMs) resumed = undefined;
    let count = 0;
    for (;;) {
      const search = resumed ?? this.#searchOf(position, request);
      let token = resumed?.token;
      let bound = resumed?.bound;
      const usedTokens = new Set<string>();
      for (;;) {
        if (++count > maxPages) throw stuck(operation.name, `more than ${maxPages} pages`);
        const page = await this.#page(search, token, request.signal);
        if (page === 'no-turn') return;
        if (page === 'token-refused') {
          if (resumed === undefined) throw stuck(operation.name, 'its own page token was refused');
          // A cursor of an earlier run: its window is searched again from the first page.
          token = undefined;
          bound = undefined;
          resumed = undefined;
          continue;
        }
        bound ??= page.bound;
        const { orders, parked } = readOrders(page.nodes, this.#settings.restoreOnCancel, 'MERCHANT');
        if (page.next === undefined) {
          position = advanced(position, search.kind, bound);
          const isWalked = position.created !== null;
          const cursor = encodeCursor(position);
          const upperBoundMs = momentOf(position.created) ?? 0;
          yield { orders, parked, cursor, ...(isWalked ? { walk: { upperBoundMs, cursor } } : {}) };
          if (isWalked) return;
          break;
        }
        if (usedTokens.has(page.next)) throw stuck(operation.name, 'a token came twice');
        usedTokens.add(page.next);
        token = page.next;
        const { kind, after, sinceMs } = search;
        const open: OpenSearch = { kind, after, sinceMs, token, bound };
        yield { orders, parked, cursor: encodeCursor({ ...position, open }) };
      }
      resumed = undefined;
    }
  }

  #searchOf(position: Position, request: PollRequest): Search {
    const kind = position.next;
    const reachedMs = momentOf(kind === 'updated' ? position.updated : position.created);
    const overlapMs = Math.max(request.overlapMs, this.#settings.orderIndexLagMs);
    // The window ends two minutes back: one that would begin later (a channel just set up) ends before it begins, and is
    // refused. An order of before the channel's start is told by the time it was placed.
    const latestMs = this.#platformClock.nowMs() - heldBackMs;
    const afterMs = Math.min(latestMs, reachedMs === undefined ? request.sinceMs : reachedMs - overlapMs);
    const after = new Date(Math.max(0, afterMs)).toISOString();
    return { kind, after, sinceMs: this.#clock.nowMs() };
  }

  async #page(
    search: Search,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<
    | { readonly nodes: readonly unknown[]; readonly next: string | undefined; readonly bound: string }
    | 'token-refused'
    | 'no-turn'
  > {
    const isByUpdate = search.kind === 'updated';
    const query = {
      [isByUpdate ? 'lastUpdatedAfter' : 'createdAfter']: search.after,
      marketplaceIds: this.#settings.marketplaceIds,
      fulfilledBy: ['MERCHANT'],
      includedData: includedOrderData,
      paginationToken: token,
    };
    const outcome = await this.#ask(query, signal);
    if (outcome === 'no-turn') return 'no-turn';
    if (outcome.kind === 'refused' && token !== undefined) return 'token-refused';
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    const { body, sentAtMs } = outcome;
    const nodes = listOf(body['orders']);
    // Rule: an answer that cannot be read is not an empty one.
    if (nodes === undefined) throw unreadable(operation.name, 'orders is no list');
    const next = textOf(member(body, 'pagination')?.['nextToken']);
    const askedAtMs = this.#platformClock.at(sentAtMs);
    const stated = momentOf(body[isByUpdate ? 'lastUpdatedBefore' : 'createdBefore']);
    const boundMs = Math.min(stated ?? askedAtMs - this.#settings.orderIndexLagMs, askedAtMs);
    const bound = new Date(boundMs).toISOString();
    return { nodes, next: next === '' ? undefined : next, bound };
  }

  async #ask(
    query: NonNullable<SpApiRequest['query']>,
    signal: AbortSignal,
  ): Promise<SpApiOutcome | 'no-turn'> {
    const { maxPollWaitMs } = this.#settings;
    try {
      const outcome = await this.#api.tryRead(operation, { query }, signal, maxPollWaitMs);
      if (outcome.kind !== 'throttled') return outcome;
    } catch (error) {
      if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_LIMIT_WAIT') throw error;
    }
    // Whoever polls comes again at once after a walk that was not completed.
    await delay(maxPollWaitMs, undefined, { signal });
    return 'no-turn';
  }
}

/** Bounds never move back, whatever Amazon states. */
function advanced(position: Position, kind: SearchKind, bound: string): Position {
  const later = (known: string | null): string =>
    known !== null && (momentOf(known) ?? 0) > (momentOf(bound) ?? 0) ? known : bound;
  return kind === 'updated'
    ? { updated: later(position.updated), created: position.created, next: 'created' }
    : { updated: position.updated, created: later(position.created), next: 'updated' };
}
