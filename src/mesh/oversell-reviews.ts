import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import { z } from 'zod';
import type { ChannelId, Sku } from '../domain/ids.ts';
import { type Movement, availableOf } from '../domain/movement.ts';
import type { MeshState, Position } from '../ledger/contract.ts';
import { formatPosition, parsePosition } from '../ledger/position.ts';
import type { AlertSink } from './alerts/alert.ts';
import type { LogHistory } from './fan-out.ts';

const record = z.object({
  channel: z.string(),
  order: z.string(),
  sku: z.string(),
  /** Units of the order that were not there. */
  units: z.number(),
  sequence: z.string(),
  soldAtMs: z.number(),
  resolved: z.object({ actor: z.string(), reason: z.string(), atMs: z.number() }).optional(),
});
type Review = z.output<typeof record>;

export interface ReviewView extends Review {
  readonly id: string;
  readonly state: 'open' | 'overdue' | 'resolved';
  readonly dueAtMs: number;
}

export interface OversellReviewsOptions {
  readonly redis: Redis;
  readonly key: string;
  readonly mesh: Pick<MeshState, 'cursor' | 'moveCursor'>;
  readonly history: LogHistory;
  /** The merchant allows this channel to sell this SKU beyond its stock. */
  readonly isAllowed: (channel: ChannelId, sku: Sku) => boolean;
  readonly withinMs: number;
  readonly alerts: AlertSink;
  readonly registry: Registry;
  readonly log: Logger;
  readonly nowMs?: (() => number) | undefined;
  readonly flushMs?: number | undefined;
  /** Open and resolved ones together; resolved ones make room, and beyond that the log alone knows. */
  readonly maxKept?: number | undefined;
}

const cursorName = 'reviews';
const pageEntries = 1_000;
const flushMs = 1_000;
const lookEveryMs = 30_000;
const maxWaiting = 100_000;
const keepResolvedMs = 90 * 86_400_000;
const maxKept = 100_000;
const scanPage = 1_000;

/**
 * Orders that sold what was not there because an explicit allowance let them, until a person has looked at each.
 *
 *   an order's movement leaves its level below zero --> open --withinMs pass--> overdue, an alert --> resolved by a person
 *
 * Every daemon follows the log and flags the same; the first counts. What was sold while none ran is found at the next
 * start, from a place that is kept. Without an allowance a sale beyond stock is an oversell, which others tell.
 */
export class OversellReviews {
  readonly #options: OversellReviewsOptions;
  readonly #nowMs: () => number;
  readonly #open: Gauge;
  readonly #notKept: Counter;
  readonly #maxKept: number;
  readonly #waiting = new Map<string, Review>();
  #reached: Position | undefined;
  #stored: string | null = null;
  #isCaughtUp = false;
  #flushing: Promise<void> | undefined;
  #timers: readonly NodeJS.Timeout[] = [];

  constructor(options: OversellReviewsOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#maxKept = options.maxKept ?? maxKept;
    this.#open = new Gauge({
      name: 'stockmesh_oversell_reviews_open',
      help: 'Orders sold beyond stock by an allowance that nobody has looked at yet',
      registers: [options.registry],
    });
    this.#notKept = new Counter({
      name: 'stockmesh_oversell_reviews_not_kept_total',
      help: 'Orders for review that found no room; each is in the log',
      registers: [options.registry],
    });
  }

  readonly onEntries = (entries: readonly Movement[]): void => {
    for (const entry of entries) this.#take(entry);
    const last = entries.at(-1);
    if (last !== undefined) this.#reached = { epoch: last.epoch, seq: last.seq };
  };

  /** Follows from where the last run stopped; entries may come through `onEntries` already. */
  async start(): Promise<void> {
    await this.#catchUp();
    this.#isCaughtUp = true;
    this.#timers = [
      setInterval(() => void this.flush(), this.#options.flushMs ?? flushMs),
      setInterval(() => void this.#lookSafely(), lookEveryMs),
    ];
    await this.#lookSafely();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.flush();
  }

  /** Open ones first, oldest first. */
  async list(which: 'open' | 'all', limit: number): Promise<readonly ReviewView[]> {
    const found: ReviewView[] = [];
    for await (const review of this.#all())
      if (which === 'all' || review.state !== 'resolved') found.push(review);
    return found.toSorted((a, b) => rank(a) - rank(b) || a.soldAtMs - b.soldAtMs).slice(0, limit);
  }

  async resolve(id: string, actor: string, reason: string): Promise<ReviewView | 'unknown' | 'resolved'> {
    const text = await this.#options.redis.hget(this.#options.key, id);
    const review = text === null ? undefined : read(text);
    if (review === undefined) return 'unknown';
    if (review.resolved !== undefined) return 'resolved';
    const resolved: Review = { ...review, resolved: { actor, reason, atMs: this.#nowMs() } };
    await this.#options.redis.hset(this.#options.key, id, JSON.stringify(resolved));
    await this.look();
    return this.#view(id, resolved);
  }

  /** Counts what waits, calls for what waits too long, forgets what is long done. */
  async look(): Promise<void> {
    const { redis, key, alerts, withinMs } = this.#options;
    let open = 0;
    const overdue: ReviewView[] = [];
    const resolved: { readonly id: string; readonly atMs: number }[] = [];
    let kept = 0;
    for await (const review of this.#all()) {
      kept++;
      if (review.state === 'overdue') overdue.push(review);
      if (review.resolved === undefined) open++;
      else resolved.push({ id: review.id, atMs: review.resolved.atMs });
    }
    this.#open.set(open);
    resolved.sort((a, b) => a.atMs - b.atMs);
    // A tenth stays free, so that a new one finds room until the next look.
    const surplus = kept - Math.floor(this.#maxKept * 0.9);
    const sinceMs = this.#nowMs() - keepResolvedMs;
    const old = resolved.filter(({ atMs }, index) => index < surplus || atMs < sinceMs).map(({ id }) => id);
    for (let start = 0; start < old.length; start += scanPage)
      await redis.hdel(key, ...old.slice(start, start + scanPage));
    const [first] = overdue.toSorted((a, b) => a.soldAtMs - b.soldAtMs);
    if (first === undefined) alerts.resolve('review-overdue', 'oversells');
    else {
      const hours = Math.round(withinMs / 3_600_000);
      alerts.raise({
        rule: 'review-overdue',
        key: 'oversells',
        severity: 'critical',
        text: `${overdue.length} orders sold beyond stock by an allowance were not looked at within ${hours} h; the oldest is ${first.order} on ${first.channel}`,
        facts: { orders: overdue.length, oldest: first.id },
      });
    }
  }

  /** What was flagged is durable, and only then the place in the log. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush()
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'reviews are written later'))
      .finally(() => (this.#flushing = undefined));
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    const { redis, key, mesh, log } = this.#options;
    const reached = this.#reached;
    const flagged = [...this.#waiting];
    let room = flagged.length === 0 ? 0 : this.#maxKept - (await redis.hlen(key));
    for (const [id, review] of flagged) {
      const isKept = room > 0 || (await redis.hexists(key, id)) === 1;
      const isNew = isKept && (await redis.hsetnx(key, id, JSON.stringify(review))) === 1;
      if (this.#waiting.get(id) === review) this.#waiting.delete(id);
      if (isNew) room--;
      if (!isKept) this.#notKept.inc();
      const what = 'an order was sold beyond stock by an allowance';
      if (!isKept) log.error({ ...review }, `${what}, and there is no room for another review`);
      else if (isNew) log.warn({ ...review }, `${what}: for review`);
    }
    if (!this.#isCaughtUp || reached === undefined) return;
    const place = formatPosition(reached);
    if (place === this.#stored) return;
    await mesh.moveCursor(cursorName, place, 'opaque');
    this.#stored = place;
  }

  async #catchUp(): Promise<void> {
    const { mesh, history, log } = this.#options;
    this.#stored = await mesh.cursor(cursorName);
    let place = this.#stored === null ? undefined : parsePosition(this.#stored);
    while (place !== undefined) {
      const slice = await history.after(place, pageEntries);
      if (slice.kind === 'trimmed') {
        log.error({ place, first: slice.first }, 'orders for review may be missing: the log was trimmed');
        place = { ...slice.first, seq: slice.first.seq - 1 };
        continue;
      }
      for (const entry of slice.entries) this.#take(entry);
      const last = slice.entries.at(-1);
      if (last === undefined) break;
      place = { epoch: last.epoch, seq: last.seq };
      await this.flush();
    }
    this.#reached ??= place ?? (await history.head());
    await this.flush();
  }

  #take(entry: Movement): void {
    const { kind, channel, reference, sku, units, atMs, id: sequence } = entry;
    if (kind !== 'ordered' || channel === '' || units <= 0) return;
    const short = Math.min(units, -availableOf(entry));
    if (short <= 0 || !this.#options.isAllowed(channel, sku) || this.#waiting.size >= maxWaiting) return;
    const id = `${channel}/${reference}/${sku}`;
    const before = this.#waiting.get(id);
    // The same entry may come by both ways.
    if (before !== undefined && before.sequence === sequence) return;
    const sum = short + (before?.units ?? 0);
    this.#waiting.set(id, { channel, order: reference, sku, units: sum, sequence, soldAtMs: atMs });
  }

  async #lookSafely(): Promise<void> {
    await this.look().catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'reviews were not looked through');
    });
  }

  async *#all(): AsyncGenerator<ReviewView> {
    let cursor = '0';
    do {
      const [next, pairs] = await this.#options.redis.hscan(this.#options.key, cursor, 'COUNT', scanPage);
      cursor = next;
      for (let at = 0; at + 1 < pairs.length; at += 2) {
        const review = read(pairs[at + 1] ?? '');
        if (review !== undefined) yield this.#view(pairs[at] ?? '', review);
      }
    } while (cursor !== '0');
  }

  #view(id: string, review: Review): ReviewView {
    const dueAtMs = review.soldAtMs + this.#options.withinMs;
    const state = review.resolved !== undefined ? 'resolved' : dueAtMs < this.#nowMs() ? 'overdue' : 'open';
    return { id, state, dueAtMs, ...review };
  }
}

function rank({ state }: ReviewView): number {
  return state === 'resolved' ? 1 : 0;
}

function read(text: string): Review | undefined {
  return record.safeParse(JSON.parse(text)).data;
}
