import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import type { Movement } from '../../domain/movement.ts';
import type { Position } from '../../ledger/contract.ts';
import { formatPosition, parsePosition } from '../../ledger/position.ts';
import { type Route, route } from '../api/route.ts';
import { problem } from '../reservations/answers.ts';
import { movementAnswerOf } from './movement-answer.ts';
import type { MovementFeed, MovementPage } from './movement-feed.ts';

export interface MovementStreamLimits {
  readonly maxStreams: number;
  readonly pageEntries: number;
  /** A client that has not taken its page by then is cut off; it comes back with `Last-Event-ID`. */
  readonly slowMs: number;
  readonly heartbeatMs: number;
  /** How long an `EventSource` waits before it comes back. */
  readonly retryMs: number;
}

export const defaultMovementStreamLimits: MovementStreamLimits = {
  maxStreams: 64,
  pageEntries: 500,
  slowMs: 15_000,
  heartbeatMs: 15_000,
  retryMs: 2_000,
};

export interface MovementStreamOptions {
  readonly feed: MovementFeed;
  readonly limits?: Partial<MovementStreamLimits> | undefined;
  /** Once per stream that was cut off because its client did not read. */
  readonly onSlow?: (() => void) | undefined;
}

const position = z
  .string()
  .regex(/^\d{1,15}-\d{1,15}$/, 'must be <epoch>-<seq>')
  .describe('`<epoch>-<seq>`');
const sku = z.string().min(1).max(255);

const movementStreamQuery = z.strictObject({
  after: position.optional().describe('Where to begin, unless `Last-Event-ID` says it; absent: now'),
  sku: z
    .union([sku, z.array(sku).max(100)])
    .optional()
    .describe('Only movements of these SKUs'),
});
const lastEventId = z.looseObject({ 'last-event-id': position.optional() });
const eventStream = z
  .string()
  .describe(
    'text/event-stream: events named `movement` (data: Movement, id: its sequence) and, when the log was trimmed past the stream, `gone`',
  );

export interface MovementStream {
  readonly route: Route;
  /** Streams end when the listener closes. */
  endWith(app: FastifyInstance): void;
}

/**
 * `GET /inventory/v1/movements`: every movement as a server-sent event whose id is its sequence.
 *
 *   asked --position unknown to the log--> 410, nothing follows
 *   asked --> catching up (pages) --no more--> live --heartbeat or entries--> live
 *   catching up, live --client does not read--> cut off    --entries trimmed--> `gone` event, end
 *
 * No queue per client: it is sent the next page when it has taken the one before.
 */
export function movementStream(options: MovementStreamOptions): MovementStream {
  const limits = { ...defaultMovementStreamLimits, ...options.limits };
  const open = new Set<AbortController>();
  const declared = route({
    method: 'GET',
    url: '/inventory/v1/movements',
    scope: 'read',
    tag: 'movements',
    summary: 'Every movement as it happens (server-sent events), resumable by Last-Event-ID',
    schemas: {
      query: movementStreamQuery,
      headers: lastEventId,
      answers: { 200: eventStream, 400: problem, 401: problem, 403: problem, 410: problem, 503: problem },
    },
    handler: async ({ query, headers, reply }) => {
      if (open.size >= limits.maxStreams) throw new StockmeshError('HTTP_OVERLOADED', {});
      const stream = new AbortController();
      open.add(stream);
      reply.raw.once('close', () => {
        stream.abort();
        open.delete(stream);
      });
      const asked = headers['last-event-id'] ?? query.after;
      const from = asked === undefined ? await options.feed.head() : parsePosition(asked);
      const first = await options.feed.after(from, limits.pageEntries);
      if (first.kind === 'gone') {
        const begins = formatPosition(first.first);
        throw new StockmeshError('MOVEMENTS_GONE', { asked: formatPosition(from), first: begins });
      }
      const skus = query.sku === undefined ? undefined : new Set([query.sku].flat());
      const cutOff = cutOffOf(reply, options.onSlow);
      const events = follow({ feed: options.feed, limits, from, first, skus, cutOff }, stream.signal);
      return (
        reply
          .type('text/event-stream; charset=utf-8')
          .header('x-accel-buffering', 'no')
          // A stream ends with its connection: kept alive it would hold up the closing of the listener.
          .header('connection', 'close')
          .send(Readable.from(events, { objectMode: false, highWaterMark: 1 }))
      );
    },
  });
  return {
    route: declared,
    endWith(app) {
      // The closing of the listener waits for answers under way, and these have no end of their own.
      app.addHook('preClose', async () => {
        for (const stream of open) stream.abort();
      });
    },
  };
}

interface Following {
  readonly feed: MovementFeed;
  readonly limits: MovementStreamLimits;
  readonly from: Position;
  readonly first: MovementPage;
  readonly skus: ReadonlySet<string> | undefined;
  readonly cutOff: () => void;
}

async function* follow(following: Following, signal: AbortSignal): AsyncGenerator<string> {
  const { feed, limits, skus } = following;
  let at = following.from;
  let page = following.first;
  // An id without data moves the client's Last-Event-ID and is no event: a filtered client keeps its place.
  let text = `retry: ${limits.retryMs}\nid: ${formatPosition(at)}\n\n`;
  while (!signal.aborted) {
    if (page.kind === 'gone') {
      const gone = { after: formatPosition(at), first: formatPosition(page.first) };
      yield `event: gone\ndata: ${JSON.stringify(gone)}\n\n`;
      return;
    }
    const last = page.entries.at(-1);
    if (last !== undefined) {
      at = { epoch: last.epoch, seq: last.seq };
      text += eventsOf(page.entries, skus);
      if (skus !== undefined) text += `id: ${formatPosition(at)}\n\n`;
    }
    if (text !== '') {
      const slow = setTimeout(following.cutOff, limits.slowMs);
      try {
        yield text;
      } finally {
        clearTimeout(slow);
      }
      text = '';
    }
    if (page.entries.length < limits.pageEntries) {
      const isChanged = await feed.changed(at, limits.heartbeatMs, signal);
      if (signal.aborted) return;
      if (!isChanged) text = `: heartbeat\nid: ${formatPosition(at)}\n\n`;
    }
    page = await feed.after(at, limits.pageEntries);
  }
}

function eventsOf(entries: readonly Movement[], skus: ReadonlySet<string> | undefined): string {
  let text = '';
  for (const entry of entries) {
    if (skus !== undefined && !skus.has(entry.sku)) continue;
    text += `id: ${entry.id}\nevent: movement\ndata: ${JSON.stringify(movementAnswerOf(entry))}\n\n`;
  }
  return text;
}

function cutOffOf(reply: FastifyReply, onSlow: (() => void) | undefined): () => void {
  return () => {
    onSlow?.();
    reply.raw.destroy();
  };
}
