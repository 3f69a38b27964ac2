import type { OrderPage, ParkedRow, PlatformOrder, PollRequest } from '../connector.ts';
import type { PlatformClock } from '../platform-clock.ts';
import type { ConnectorLog } from '../ports.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';
import type { TiktokApi } from './api.ts';
import { endpoints } from './endpoints.ts';
import { idOf, secondsOf } from './ids.ts';
import { type OrderContext, readOrder } from './order-facts.ts';
import { stuck, unreadable } from './outcome.ts';

const pageSize = 100;
const maxPages = 20_000;
/** Without it a shop with more changes than a walk may have pages would never get past them. */
const pagesPerCheckpoint = 100;
/** Regular walks ask for minutes of overlap. This is for those that are asked for in between, many a minute under trade. */
const leastOverlapMs = 30_000;
/** A cursor this old means that nobody polled: webhooks were lost meanwhile too, and are sent again for up to 15.5 hours. */
const outageMs = 600_000;
const outageOverlapMs = 17 * 3_600_000;

interface Page {
  readonly rows: readonly unknown[];
  readonly next: string | undefined;
  /** Platform clock when the question was sent. */
  readonly askedAtMs: number;
}

/**
 * One walk over the orders changed since the cursor, oldest change first, in a window whose end is frozen when it begins:
 * `[cursor - overlap, now - index lag)`. An order that changes meanwhile leaves the window and belongs to the next walk.
 *
 * Where it leaves, the pages behind it move up by one row. The walk therefore does not follow page tokens from end to end:
 * it asks again from the newest change it has seen, and follows a token only through a page full of one second.
 *
 * The cursor moves at the end of the walk (and at a checkpoint in a very long one); it is the end of the window, in whole
 * seconds of TikTok's clock.
 */
export class OrderWalk {
  readonly #parts: {
    readonly api: TiktokApi;
    readonly platformClock: PlatformClock;
    readonly context: OrderContext;
    readonly indexLagMs: number;
    readonly log: ConnectorLog;
  };

  constructor(parts: {
    readonly api: TiktokApi;
    readonly platformClock: PlatformClock;
    readonly context: OrderContext;
    readonly indexLagMs: number;
    readonly log: ConnectorLog;
  }) {
    this.#parts = parts;
  }

  async *pages(request: PollRequest): AsyncGenerator<OrderPage> {
    const { platformClock, indexLagMs } = this.#parts;
    const { name } = endpoints.orders;
    const untilS = Math.floor((platformClock.nowMs() - indexLagMs) / 1_000);
    const start = this.#startOf(request, untilS);
    let edgeS = start.fromS;
    let newestS = start.reachedS;
    let boundS = untilS;
    let token: string | undefined;
    const tokens = new Set<string>();
    const shown = new Map<string, number>();
    for (let count = 1; count <= maxPages; count++) {
      // An empty window (the machine's clock was set back) must still end in an answer.
      const toS = Math.max(untilS, edgeS + 1);
      const page = await this.#page(edgeS, toS, token, request.signal);
      // Only the first answer may have told that our own clock is ahead of TikTok's.
      if (count === 1) boundS = Math.min(boundS, Math.floor((page.askedAtMs - indexLagMs) / 1_000));
      const found = this.#read(page.rows, shown);
      let settledS = edgeS;
      for (const row of page.rows) {
        const changedS = isRecord(row) ? secondsOf(row['update_time']) : undefined;
        if (changedS === undefined) continue;
        newestS = Math.max(newestS, changedS);
        // A row that changed since the window was frozen does not say where in the window it was found.
        if (changedS < toS) settledS = Math.max(settledS, changedS);
      }
      if (page.next === undefined) {
        // Without a date from the platform only what was seen is claimed.
        const reachedS = platformClock.isKnown ? boundS : newestS - Math.ceil(indexLagMs / 1_000);
        const cursor = String(Math.max(start.reachedS, reachedS));
        yield { ...found, cursor, walk: { upperBoundMs: reachedS * 1_000 - 1, cursor } };
        return;
      }
      const isCheckpoint = count % pagesPerCheckpoint === 0 && settledS > start.reachedS;
      yield { ...found, cursor: isCheckpoint ? String(settledS) : null };
      if (settledS > edgeS) {
        edgeS = settledS;
        token = undefined;
        tokens.clear();
        // Only rows at or after the edge can be shown a second time.
        for (const [key, changedS] of shown) if (changedS < edgeS) shown.delete(key);
      } else {
        if (tokens.has(page.next)) throw stuck(name, 'a page token came twice');
        tokens.add(page.next);
        token = page.next;
      }
    }
    throw stuck(name, `more than ${maxPages} pages`);
  }

  #startOf(request: PollRequest, untilS: number): { fromS: number; reachedS: number } {
    const cursorS = secondsOf(request.cursor);
    if (cursorS === undefined) {
      if (request.cursor !== null) {
        // Asking again from the beginning costs time; trusting it could skip orders.
        this.#parts.log.warn({}, 'the order cursor cannot be read: polling from the channel start');
      }
      const sinceS = Math.max(1, Math.floor(request.sinceMs / 1_000));
      return { fromS: sinceS, reachedS: sinceS };
    }
    const isOutage = (untilS - cursorS) * 1_000 > outageMs;
    const overlapMs = Math.max(request.overlapMs, leastOverlapMs, isOutage ? outageOverlapMs : 0);
    return { fromS: Math.max(1, cursorS - Math.ceil(overlapMs / 1_000)), reachedS: cursorS };
  }

  async #page(fromS: number, toS: number, token: string | undefined, signal: AbortSignal): Promise<Page> {
    const { api, platformClock } = this.#parts;
    const { name } = endpoints.orders;
    const { data, sentAtMs } = await api.read(
      {
        endpoint: endpoints.orders,
        query: {
          page_size: String(pageSize),
          sort_field: 'update_time',
          sort_order: 'ASC',
          ...(token === undefined ? {} : { page_token: token }),
        },
        body: { update_time_ge: fromS, update_time_lt: toS },
      },
      signal,
    );
    const rows = listOf(data['orders']);
    // A quiet window may leave the list out; a count without rows is no quiet window.
    const total = typeof data['total_count'] === 'number' ? data['total_count'] : 0;
    if (rows === undefined && (total > 0 || (data['orders'] ?? null) !== null))
      throw unreadable(name, 'orders is no list');
    const next = textOf(data['next_page_token']);
    return {
      rows: rows ?? [],
      next: next === '' || (rows ?? []).length === 0 ? undefined : next,
      askedAtMs: platformClock.at(sentAtMs),
    };
  }

  #read(
    rows: readonly unknown[],
    shown: Map<string, number>,
  ): { orders: readonly PlatformOrder[]; parked: readonly ParkedRow[] } {
    const orders: PlatformOrder[] = [];
    const parked: ParkedRow[] = [];
    for (const row of rows) {
      const id = isRecord(row) ? idOf(row['id']) : undefined;
      const changedS = isRecord(row) ? secondsOf(row['update_time']) : undefined;
      if (isRecord(row) && id !== undefined && changedS !== undefined) {
        const key = `${id}|${changedS}|${textOf(row['status']) ?? ''}`;
        if (shown.has(key)) continue;
        shown.set(key, changedS);
      }
      const reading = readOrder(row, this.#parts.context);
      parked.push(...reading.parked);
      if (reading.order !== undefined) orders.push(reading.order);
    }
    return { orders, parked };
  }
}
