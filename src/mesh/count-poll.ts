import type { Logger } from 'pino';
import type { Connector, ConnectorCapabilities } from '../connectors/connector.ts';
import { type CountPage, everyItem } from '../connectors/counts.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { MeshState } from '../ledger/contract.ts';
import { Alarm, jittered, orAborted } from './alarm.ts';
import type { Breaker } from './breaker.ts';
import type { AppliedCounts, CountSink } from './count-sink.ts';

export interface CountPollSettings {
  readonly peakIntervalMs: number;
  readonly offPeakIntervalMs: number;
  /** First rest after a failure; doubled up to `maxRetryMs`. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** Hints come in swarms: they are answered after this. */
  readonly hintDelayMs: number;
  readonly hintsPerFetch: number;
  readonly maxHints: number;
  /** How often an item is asked for again before the next regular reading has to do. */
  readonly maxAsks: number;
  readonly maxPagesPerPoll: number;
}

export const defaultCountPollSettings: CountPollSettings = {
  peakIntervalMs: 30_000,
  offPeakIntervalMs: 300_000,
  retryMs: 2_000,
  maxRetryMs: 300_000,
  hintDelayMs: 250,
  hintsPerFetch: 50,
  maxHints: 10_000,
  maxAsks: 5,
  maxPagesPerPoll: 10_000,
};

export interface CountPollOptions {
  readonly channel: ChannelId;
  readonly connector: Pick<Connector, 'pollCounts' | 'fetchCounts'> & {
    /** As many items as one request may ask for are fetched together: a failure then costs one request. */
    readonly capabilities?: Pick<ConnectorCapabilities, 'readStockBatchSize'>;
  };
  readonly sink: Pick<CountSink, 'apply' | 'skewMs'>;
  readonly mesh: Pick<MeshState, 'cursor' | 'moveCursor'>;
  readonly breaker: Breaker;
  readonly log: Logger;
  /** Selling hours: readings come more often. Absent: always. */
  readonly isPeak?: (() => boolean) | undefined;
  /** A reading ended and all of it was applied. */
  readonly onComplete?: ((counts: number) => void) | undefined;
  readonly onHeld?: ((reason: string) => void) | undefined;
  readonly onFailed?: ((error: unknown) => void) | undefined;
  readonly settings?: Partial<CountPollSettings> | undefined;
}

/**
 * Readings of one on-hand authority: regular ones, and single items that a hint named.
 *
 *   resting --due, `pollNow`, a hint for everything--> reading --last page applied--> resting (told to `onComplete`)
 *   resting --hints waited long enough--> fetching those items --applied--> resting
 *   reading --platform or ledger fails--> resting, longer each time (cursor stays: the page comes again)
 *   any --close--> closed
 *
 * The cursor moves after a page's last command. What the ledger could not place in time (a movement of the authority lies
 * within clock skew) is a hint for a moment when that skew has passed.
 */
export class CountPoll {
  readonly #options: CountPollOptions;
  readonly #settings: CountPollSettings;
  readonly #alarm = new Alarm();
  readonly #closing = new AbortController();
  readonly #hints = new Map<string, { dueAtMs: number; asks: number }>();
  #dueAtMs = 0;
  /** A source that failed is left alone until then, whoever asks. */
  #notBeforeMs = 0;
  #failures = 0;
  #loop: Promise<void> | undefined;
  #lastCompleteAtMs: number | undefined;

  constructor(options: CountPollOptions) {
    this.#options = options;
    this.#settings = { ...defaultCountPollSettings, ...options.settings };
  }

  /** Monotonic ms since the last complete reading; undefined before the first. Old figures deserve a larger buffer. */
  get ageMs(): number | undefined {
    return this.#lastCompleteAtMs === undefined ? undefined : performance.now() - this.#lastCompleteAtMs;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#alarm.ring();
    await this.#loop;
  }

  pollNow(): void {
    this.#dueAtMs = 0;
    this.#alarm.ring();
  }

  /** These items changed; none: nobody knows which. Never waits. */
  doorbell(itemIds: readonly string[]): void {
    const isTooMany = this.#hints.size + itemIds.length > this.#settings.maxHints;
    const isAll = itemIds.length === 0 || itemIds.includes(everyItem);
    if (isAll || isTooMany || this.#options.connector.fetchCounts === undefined) {
      this.#dueAtMs = Math.min(this.#dueAtMs, performance.now() + this.#settings.hintDelayMs);
      this.#alarm.ring();
      return;
    }
    for (const itemId of itemIds) this.#hint(itemId, this.#settings.hintDelayMs, 0);
  }

  /** Counts that came by themselves (a delivery): applied like any other; what cannot be placed is asked for. */
  async applied(page: CountPage): Promise<AppliedCounts> {
    const result = await this.#options.sink.apply(page);
    this.#askAgain(result);
    if (result.kind === 'held') this.#options.onHeld?.(result.reason ?? '');
    return result;
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const nowMs = performance.now();
      const readAtMs = Math.max(this.#dueAtMs, this.#notBeforeMs);
      const firstHintMs = Math.min(...[...this.#hints.values()].map(({ dueAtMs }) => dueAtMs));
      const hintAtMs = Math.max(firstHintMs, this.#notBeforeMs);
      if (readAtMs <= nowMs) await this.#attempt(() => this.#read(), nowMs);
      else if (hintAtMs <= nowMs) await this.#attempt(() => this.#fetchHinted());
      else await this.#alarm.sleep(Math.min(readAtMs, hintAtMs) - nowMs);
    }
  }

  /** `dueAgainAtMs`: a reading that fails is due again as soon as the source may be asked. */
  async #attempt(work: () => Promise<void>, dueAgainAtMs?: number): Promise<void> {
    const { breaker, log, channel, onFailed } = this.#options;
    const admission = breaker.admit();
    if (admission.kind === 'refused') {
      this.#notBeforeMs = performance.now() + admission.retryInMs;
      return;
    }
    try {
      await work();
      admission.done('ok');
      this.#failures = 0;
    } catch (error) {
      const isClosing = this.#closing.signal.aborted;
      // A source that has had enough works; it is left alone all the same.
      admission.done(isClosing || isThrottled(error) ? 'ok' : 'failed');
      if (isClosing) return;
      this.#failures++;
      const backOffMs = this.#settings.retryMs * 2 ** Math.min(this.#failures - 1, 10);
      const restMs = jittered(Math.min(backOffMs, this.#settings.maxRetryMs));
      this.#notBeforeMs = performance.now() + restMs;
      this.#dueAtMs = Math.min(this.#dueAtMs, dueAgainAtMs ?? Number.POSITIVE_INFINITY);
      log.warn({ channel, err: error, failures: this.#failures, restMs }, 'the counts could not be read');
      onFailed?.(error);
    }
  }

  async #read(): Promise<void> {
    const { channel, connector, sink, mesh } = this.#options;
    const { signal } = this.#closing;
    if (connector.pollCounts === undefined) throw new Error(`${channel} has no counts to read`);
    const beganAtMs = performance.now();
    const name = `counts:${channel}`;
    let cursor = await mesh.cursor(name);
    const pages = connector.pollCounts(cursor, signal)[Symbol.asyncIterator]();
    let counted = 0;
    let isHeld = false;
    let isDone = false;
    // Set before the reading: a doorbell during it asks for another one.
    this.#dueAtMs = beganAtMs + this.#intervalMs();
    try {
      for (let page = 0; page < this.#settings.maxPagesPerPoll && !isDone; page++) {
        const next = await orAborted(pages.next(), signal);
        if (next.done === true) {
          isDone = true;
          continue;
        }
        const result = await sink.apply(next.value);
        counted += result.counted;
        this.#askAgain(result);
        if (next.value.kind !== 'held' && next.value.hints.length > 0) this.doorbell(next.value.hints);
        if (result.kind === 'held') {
          isHeld = true;
          this.#options.onHeld?.(result.reason ?? '');
        } else if (next.value.kind !== 'held' && next.value.cursor !== null && next.value.cursor !== cursor) {
          // `kept`: another daemon read meanwhile. Its cursor counts.
          await mesh.moveCursor(name, next.value.cursor, 'opaque', cursor);
          cursor = next.value.cursor;
        }
        // After the cursor: a file that is put away first, and then a crash, would leave a gap in its sequence.
        await next.value.settled?.(
          result.kind === 'held' ? { kind: 'held', reason: result.reason ?? '' } : { kind: 'applied' },
        );
      }
    } finally {
      // Not awaited: a generator that hangs in a request ends when the request does.
      pages.return?.()?.catch(() => undefined);
    }
    if (!isDone || isHeld) return;
    this.#lastCompleteAtMs = performance.now();
    this.#options.onComplete?.(counted);
  }

  async #fetchHinted(): Promise<void> {
    const { connector, sink } = this.#options;
    if (connector.fetchCounts === undefined) return this.#hints.clear();
    const nowMs = performance.now();
    const due = [...this.#hints].filter(([, { dueAtMs }]) => dueAtMs <= nowMs);
    const atOnce = connector.capabilities?.readStockBatchSize ?? this.#settings.hintsPerFetch;
    const asked = due.slice(0, Math.max(1, Math.min(atOnce, this.#settings.hintsPerFetch)));
    // Removed first: a hint that comes during the fetch is a new one.
    for (const [itemId] of asked) this.#hints.delete(itemId);
    try {
      const page = await orAborted(
        connector.fetchCounts(
          asked.map(([itemId]) => itemId),
          this.#closing.signal,
        ),
        this.#closing.signal,
      );
      this.#askAgain(await sink.apply(page), new Map(asked));
    } catch (error) {
      for (const [itemId, hint] of asked) this.#hint(itemId, this.#settings.retryMs, hint.asks);
      throw error;
    }
  }

  #askAgain(result: AppliedCounts, asked?: ReadonlyMap<string, { readonly asks: number }>): void {
    if (result.again.length === 0) return;
    const waitMs = this.#options.sink.skewMs + this.#settings.hintDelayMs;
    if (this.#options.connector.fetchCounts === undefined) {
      this.#dueAtMs = Math.min(this.#dueAtMs, performance.now() + waitMs);
      this.#alarm.ring();
      return;
    }
    for (const itemId of result.again) {
      const asks = (asked?.get(itemId)?.asks ?? 0) + 1;
      if (asks <= this.#settings.maxAsks) this.#hint(itemId, waitMs, asks);
    }
  }

  #hint(itemId: string, inMs: number, asks: number): void {
    if (this.#hints.size >= this.#settings.maxHints && !this.#hints.has(itemId)) return;
    const dueAtMs = performance.now() + inMs;
    const known = this.#hints.get(itemId);
    this.#hints.set(itemId, {
      dueAtMs: Math.min(dueAtMs, known?.dueAtMs ?? dueAtMs),
      asks: Math.max(asks, known?.asks ?? 0),
    });
    this.#alarm.ring();
  }

  #intervalMs(): number {
    const { peakIntervalMs, offPeakIntervalMs } = this.#settings;
    const isPeak = this.#options.isPeak?.() ?? true;
    return jittered(isPeak ? peakIntervalMs : offPeakIntervalMs);
  }
}

function isThrottled(error: unknown): boolean {
  return (
    error instanceof StockmeshError &&
    (error.code === 'CONNECTOR_THROTTLED' || error.code === 'CONNECTOR_LIMIT_WAIT')
  );
}
