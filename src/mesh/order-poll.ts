// Long on purpose: one poll loop, and everything that may shorten or lengthen its rest, is one state machine.
import type { Logger } from 'pino';
import type { Connector, OrderPage } from '../connectors/connector.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { MeshState } from '../ledger/contract.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import { Alarm, jittered, orAborted } from './alarm.ts';
import type { Breaker } from './breaker.ts';
import type { AppliedOrders, OrderSink } from './order-sink.ts';

/**
 * Order polls of one channel: the back-stop behind its webhooks, and the proof of completeness that bases, residues and
 * provisionals need. A walk is completed when all its orders are applied in the ledger, not when they are fetched.
 *
 *   resting --due, or a pull is asked for--> walking --last page applied--> resting (told to `onWalk`)
 *   walking --page cap--> resting for a moment (the cursor moved; no walk was completed)
 *   walking --platform or ledger fails--> resting, longer each time (cursor stays: the page comes again)
 *   any --close--> closed
 *
 * The cursor moves after a page's last movement, also on a quiet page, and never back; each walk overlaps the one before,
 * because platforms index orders late. Rest: a walk that brought something the pushes should have brought shortens it,
 * other walks lengthen it, silent pushes keep it short.
 */
export interface OrderPollSettings {
  readonly intervalMs: number;
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
  readonly overlapMs: number;
  /** A pull asked for in between looks back only as far as the index may lag (at least twice its lag). */
  readonly pullOverlapMs: number;
  /** Least time between the starts of two walks, whoever asks; longer where walks take long, at most `intervalMs`. */
  readonly minGapMs: number;
  /** Walks that were asked for in between take up at most so much of the time. */
  readonly maxPullShare: number;
  /** Pushes count as silent when none came for this long. */
  readonly pushSilenceMs: number;
  /** An order that changed this lately may still be on its way as a push: that a walk was first says nothing of pushes. */
  readonly pushLagMs: number;
  readonly maxPagesPerWalk: number;
  readonly maxWaitingPulls: number;
}

export const defaultOrderPollSettings: OrderPollSettings = {
  intervalMs: 15_000,
  minIntervalMs: 2_000,
  maxIntervalMs: 120_000,
  overlapMs: 300_000,
  pullOverlapMs: 30_000,
  minGapMs: 250,
  maxPullShare: 0.2,
  pushSilenceMs: 60_000,
  pushLagMs: 10_000,
  maxPagesPerWalk: 400,
  maxWaitingPulls: 10_000,
};

export interface CompletedWalk {
  /** Ledger clock when the walk's first question was sent. */
  readonly beganAtMs: number;
  /** Platform clock: every order changed up to here has been applied. */
  readonly upperBoundMs: number;
  /** The same moment as `beganAtMs` by the platform's clock, where that is known. */
  readonly askedAtMs?: number | undefined;
  readonly orders: number;
  readonly movements: number;
  /** Platform clock: `AppliedOrders.oldestMovedMs` of the whole walk. */
  readonly oldestMovedMs?: number | undefined;
}

export interface OrderPollOptions {
  readonly channel: ChannelId;
  readonly connector: Connector;
  readonly sink: OrderSink;
  readonly mesh: MeshState;
  readonly breaker: Breaker;
  readonly log: Logger;
  /** The ledger's clock. */
  readonly nowMs: () => number;
  /** Without a cursor: orders changed since this moment (platform clock). */
  readonly sinceMs: number;
  readonly settings?: Partial<OrderPollSettings> | undefined;
}

interface WaitingPull {
  readonly afterMs: number;
  readonly resolve: (walk: CompletedWalk | undefined) => void;
}

export class OrderPoll {
  readonly #options: OrderPollOptions;
  readonly #settings: OrderPollSettings;
  readonly #alarm = new Alarm();
  readonly #closing = new AbortController();
  readonly #walkListeners = new Set<(walk: CompletedWalk) => void>();
  #waiting: WaitingPull[] = [];
  /** The next walk looks back that far (platform clock). */
  #backToMs: number | undefined;
  #loop: Promise<void> | undefined;
  #lastPushAtMs: number;
  #restMs: number;
  #lastWalkMs = 0;
  #failures = 0;

  constructor(options: OrderPollOptions) {
    this.#options = options;
    this.#settings = { ...defaultOrderPollSettings, ...options.settings };
    this.#restMs = this.#settings.intervalMs;
    this.#lastPushAtMs = options.nowMs();
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#alarm.ring();
    await this.#loop;
    for (const pull of this.#waiting.splice(0)) pull.resolve(undefined);
  }

  onWalk(listener: (walk: CompletedWalk) => void): () => void {
    this.#walkListeners.add(listener);
    return () => void this.#walkListeners.delete(listener);
  }

  /** A delivery of this channel arrived: pushes are alive. */
  pushSeen(): void {
    this.#lastPushAtMs = this.#options.nowMs();
  }

  /**
   * A walk that begins after `afterMs` (ledger clock; default: now) and is completed; undefined when the poll closes
   * before, or when too many wait already. One walk answers everybody who asked before it began.
   */
  pull(afterMs: number = this.#options.nowMs()): Promise<CompletedWalk | undefined> {
    if (this.#closing.signal.aborted || this.#waiting.length >= this.#settings.maxWaitingPulls) {
      return Promise.resolve(undefined);
    }
    return new Promise((resolve) => {
      this.#waiting.push({ afterMs, resolve });
      this.#alarm.ring();
    });
  }

  /** A pull whose walk takes every order changed since that moment (platform clock), whatever the cursor says. */
  pullSince(sinceMs: number): Promise<CompletedWalk | undefined> {
    this.#backToMs = Math.min(this.#backToMs ?? sinceMs, sinceMs);
    return this.pull();
  }

  async #run(): Promise<void> {
    let lastBeganAtMs = Number.NEGATIVE_INFINITY;
    let isPulled = false;
    while (!this.#closing.signal.aborted) {
      lastBeganAtMs = performance.now();
      await this.#walkOnce(isPulled);
      this.#lastWalkMs = performance.now() - lastBeganAtMs;
      const regularAtMs = lastBeganAtMs + jittered(this.#restMs);
      isPulled = false;
      while (!this.#closing.signal.aborted) {
        const pullInMs = this.#pullInMs(lastBeganAtMs);
        const regularInMs = Math.min(regularAtMs - performance.now(), this.#silentInMs(lastBeganAtMs));
        isPulled = pullInMs < regularInMs;
        if (Math.min(pullInMs, regularInMs) <= 0) break;
        await this.#alarm.sleep(Math.min(pullInMs, regularInMs));
      }
    }
  }

  /** Pushes that fall silent during a long rest cut it short; a failing platform is left its rest. */
  #silentInMs(lastBeganAtMs: number): number {
    const { intervalMs, pushSilenceMs } = this.#settings;
    if (this.#failures > 0 || this.#restMs <= intervalMs) return Number.POSITIVE_INFINITY;
    const quietInMs = this.#lastPushAtMs + pushSilenceMs - this.#options.nowMs();
    return Math.max(quietInMs, lastBeganAtMs + intervalMs - performance.now());
  }

  /** When the pull that was asked for earliest may begin; a failing platform is not asked more often for it. */
  #pullInMs(lastBeganAtMs: number): number {
    if (this.#waiting.length === 0 || this.#failures > 0) return Number.POSITIVE_INFINITY;
    const afterMs = Math.min(...this.#waiting.slice(0, 1_000).map((pull) => pull.afterMs));
    const { minGapMs, maxPullShare, intervalMs } = this.#settings;
    const gapMs = Math.max(minGapMs, Math.min(this.#lastWalkMs / maxPullShare, intervalMs));
    const leftMs = lastBeganAtMs + gapMs - performance.now();
    return Math.max(leftMs, afterMs + 1 - this.#options.nowMs());
  }

  async #walkOnce(isPulled: boolean): Promise<void> {
    const { log, channel } = this.#options;
    try {
      const { overlapMs, pullOverlapMs } = this.#settings;
      const lagMs = this.#options.connector.capabilities.orderIndexLagMs;
      const walk = await this.#walk(
        isPulled ? Math.min(overlapMs, Math.max(pullOverlapMs, lagMs * 2)) : overlapMs,
      );
      this.#failures = 0;
      if (walk === 'refused') this.#restMs = this.#settings.intervalMs;
      else if (walk === 'unfinished') this.#restMs = this.#settings.minGapMs;
      else this.#completed(walk, isPulled);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#failures++;
      const backOffMs = this.#settings.minIntervalMs * 2 ** Math.min(this.#failures, 10);
      this.#restMs = Math.min(backOffMs, this.#settings.maxIntervalMs);
      log.warn({ channel, err: error, failures: this.#failures, restMs: this.#restMs }, 'order poll failed');
    }
  }

  #completed(walk: CompletedWalk, isPulled: boolean): void {
    const { intervalMs, minIntervalMs, maxIntervalMs, pushSilenceMs, pushLagMs } = this.#settings;
    const { pushes } = this.#options.connector.capabilities;
    const arePushesSilent = !pushes || this.#options.nowMs() - this.#lastPushAtMs > pushSilenceMs;
    const pushedUntilMs = arePushesSilent ? Infinity : walk.beganAtMs - pushLagMs;
    if (walk.oldestMovedMs !== undefined && walk.oldestMovedMs <= pushedUntilMs)
      this.#restMs = Math.max(minIntervalMs, Math.min(intervalMs, this.#restMs) / 2);
    else if (!isPulled)
      this.#restMs = Math.min(this.#restMs * 1.5, arePushesSilent ? intervalMs : maxIntervalMs);
    const answered = this.#waiting.filter((pull) => pull.afterMs < walk.beganAtMs);
    this.#waiting = this.#waiting.filter((pull) => pull.afterMs >= walk.beganAtMs);
    for (const listener of this.#walkListeners) listener(walk);
    for (const pull of answered) pull.resolve(walk);
  }

  async #walk(overlapMs: number): Promise<CompletedWalk | 'unfinished' | 'refused'> {
    const { channel, connector, mesh, nowMs, sinceMs } = this.#options;
    const { signal } = this.#closing;
    const cursorName = `poll:${channel}`;
    let cursor = await mesh.cursor(cursorName);
    const walkBeganAtMs = nowMs();
    const backToMs = this.#backToMs;
    // Once: a walk that its budget or page cap ends is followed by regular ones, or it would begin there for ever.
    this.#backToMs = undefined;
    const asked = backToMs === undefined ? { cursor, sinceMs } : { cursor: null, sinceMs: backToMs };
    const pages = connector.pollOrders({ ...asked, overlapMs, signal })[Symbol.asyncIterator]();
    let orders = 0;
    let movements = 0;
    let oldestMovedMs: number | undefined;
    try {
      for (let page = 0; page < this.#settings.maxPagesPerWalk; page++) {
        // The moment the page's question is sent: only a fall seen by a later question may lower a counter.
        const beganAtMs = nowMs();
        const next = await this.#admitted(() => pages.next());
        if (next === 'refused') return 'refused';
        if (next.done === true) return 'unfinished';
        await failpoint('poll-page-fetched');
        const applied = await this.#applyPage(next.value, beganAtMs);
        orders += applied.orders;
        movements += applied.movements;
        oldestMovedMs = oldestOf(oldestMovedMs, applied.oldestMovedMs);
        await failpoint('poll-page-applied');
        const reached = next.value.walk?.cursor ?? next.value.cursor;
        // On its way from the past a walk is behind the cursor until its end.
        const isBehind = backToMs !== undefined && next.value.walk === undefined;
        if (reached !== null && reached !== cursor && !isBehind) {
          // `kept`: another daemon polled meanwhile. Its cursor counts; ours would only move it back.
          await mesh.moveCursor(cursorName, reached, 'opaque', cursor);
          cursor = reached;
        }
        if (next.value.walk !== undefined) {
          const { upperBoundMs, askedAtMs } = next.value.walk;
          await mesh.moveCursor(`walk:${channel}`, String(upperBoundMs), 'number');
          return { beganAtMs: walkBeganAtMs, upperBoundMs, askedAtMs, orders, movements, oldestMovedMs };
        }
      }
      return 'unfinished';
    } finally {
      // Not awaited: a generator that hangs in a request ends when the request does.
      pages.return?.()?.catch(() => undefined);
    }
  }

  async #applyPage(page: OrderPage, beganAtMs: number): Promise<Omit<AppliedOrders, 'parked'>> {
    const { channel, sink } = this.#options;
    await sink.parkRows(channel, page.parked);
    const whole = page.orders.filter((order) => !order.isPartial);
    const cut = page.orders.filter((order) => order.isPartial).map((order) => order.orderId);
    const applied = await sink.applyPlatformOrders(channel, whole, 'fetch', beganAtMs);
    let { movements, oldestMovedMs } = applied;
    const batchSize = Math.max(1, this.#options.connector.capabilities.fetchOrdersBatchSize);
    for (let start = 0; start < cut.length; start += batchSize) {
      const more = await this.#applyWhole(cut.slice(start, start + batchSize));
      movements += more.movements;
      oldestMovedMs = oldestOf(oldestMovedMs, more.oldestMovedMs);
    }
    return { orders: page.orders.length, movements, oldestMovedMs };
  }

  /** Orders whose line list was cut short in the page: the walk is complete only when all their lines are applied. */
  async #applyWhole(orderIds: readonly string[]): Promise<AppliedOrders> {
    const { channel, connector, sink, nowMs } = this.#options;
    const beganAtMs = nowMs();
    const fetched = await this.#admitted(() => connector.fetchOrders(orderIds, this.#closing.signal));
    if (fetched === 'refused') throw new Error('the circuit of the channel opened in the middle of a walk');
    await sink.parkRows(channel, fetched.parked);
    return await sink.applyPlatformOrders(channel, fetched.orders, 'fetch', beganAtMs);
  }

  async #admitted<T>(call: () => Promise<T>): Promise<T | 'refused'> {
    const admission = this.#options.breaker.admit();
    if (admission.kind === 'refused') return 'refused';
    try {
      // A connector that forgets the signal must not hold up the daemon's end.
      const result = await orAborted(call(), this.#closing.signal);
      admission.done('ok');
      return result;
    } catch (error) {
      admission.done(this.#closing.signal.aborted ? 'ok' : 'failed');
      throw error;
    }
  }
}

function oldestOf(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}
