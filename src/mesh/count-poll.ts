import type { Logger } from 'pino';
import type { Connector, ConnectorCapabilities } from '../connectors/connector.ts';
import { type CountPage, everyItem } from '../connectors/counts.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { MeshState } from '../ledger/contract.ts';
import { Alarm, jittered, orAborted } from './alarm.ts';
import type { Breaker } from './breaker.ts';
import { CountCursor } from './count-cursor.ts';
import { CountHints } from './count-hints.ts';
import { type CountPollSettings, defaultCountPollSettings } from './count-poll-settings.ts';
import type { AppliedCounts, CountSink } from './count-sink.ts';

export interface CountPollOptions {
  readonly channel: ChannelId;
  readonly connector: Pick<Connector, 'pollCounts' | 'fetchCounts' | 'isAllCheaper'> & {
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
 *   resting --so many hints that everything costs less, or too many to remember--> reading everything
 *   reading --platform or ledger fails--> resting, longer each time (cursor stays: the page comes again)
 *   any --close--> closed
 *
 * The cursor moves after a page's last command, and not before the items that the page only named were read: until
 * then the next reading begins ahead of it. What the ledger could not place in time (a movement of the authority lies
 * within clock skew) is a hint for a moment when that skew has passed.
 */
export class CountPoll {
  readonly #options: CountPollOptions;
  readonly #settings: CountPollSettings;
  readonly #alarm = new Alarm();
  readonly #closing = new AbortController();
  readonly #hints: CountHints;
  readonly #cursor: CountCursor;
  #dueAtMs = 0;
  /** The source tells what changed, so most items are not read for a long time. */
  #readsChanges = false;
  /** Hints were dropped, last at this moment: only a whole reading that begins later can make up for them. */
  #hintsLostAtMs: number | undefined;
  /** The last whole reading was held then: until another is not, items are read one by one and changes as they come. */
  #heldAtMs: number | undefined;
  /** A source that failed is left alone until then, whoever asks. */
  #notBeforeMs = 0;
  #failures = 0;
  #loop: Promise<void> | undefined;
  #lastCompleteAtMs: number | undefined;

  constructor(options: CountPollOptions) {
    this.#options = options;
    this.#settings = { ...defaultCountPollSettings, ...options.settings };
    this.#hints = new CountHints(this.#settings.maxHints);
    this.#cursor = new CountCursor(options.mesh, options.channel, () => this.#hints.owesNothing);
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
    const isAll = itemIds.length === 0 || itemIds.includes(everyItem);
    if (isAll || this.#options.connector.fetchCounts === undefined) return this.#readSoon();
    if (!this.#hints.hasRoomFor(itemIds.length)) {
      this.#hintsLostAtMs = performance.now();
      return this.#readSoon();
    }
    // Due at one moment: how many are due together decides whether reading everything is cheaper.
    const dueAtMs = performance.now() + this.#settings.hintDelayMs;
    for (const itemId of itemIds) this.#hint(itemId, dueAtMs, 0);
  }

  /** Whole readings are rare, and an item can be read by itself: as far as the pages of this term tell. */
  get takesLater(): boolean {
    return this.#readsChanges && this.#options.connector.fetchCounts !== undefined;
  }

  /** The item is to be read then although it may not change: only where `takesLater`. */
  readLater(itemId: string, inMs: number): void {
    if (!this.takesLater) return;
    this.#hints.addLater(itemId, performance.now() + inMs);
    this.#alarm.ring();
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
      this.#hints.promote(nowMs);
      const readAtMs = Math.max(this.#dueAtMs, this.#notBeforeMs);
      const hintAtMs = Math.max(this.#hints.firstDueMs, this.#notBeforeMs);
      if (readAtMs <= nowMs) await this.#attempt(() => this.#read(this.#hintsLostAtMs !== undefined), nowMs);
      else if (hintAtMs > nowMs) await this.#alarm.sleep(Math.min(readAtMs, hintAtMs) - nowMs);
      else if (this.#isAllCheaper(nowMs)) await this.#attempt(() => this.#read(true), nowMs);
      else await this.#attempt(() => this.#fetchHinted());
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

  async #read(isAll: boolean): Promise<void> {
    const { channel, connector, sink } = this.#options;
    const { signal } = this.#closing;
    if (connector.pollCounts === undefined) throw new Error(`${channel} has no counts to read`);
    const beganAtMs = performance.now();
    const forgetHints = this.#hints.mark(beganAtMs);
    const want = isAll ? 'all' : this.#isHeld() ? 'changes' : undefined;
    // Set before anything is waited for: a doorbell from here on asks for another reading.
    this.#dueAtMs = beganAtMs + this.#intervalMs();
    const reading = connector.pollCounts(await this.#cursor.current(), signal, want);
    const pages = reading[Symbol.asyncIterator]();
    let counted = 0;
    let isHeld = false;
    let isDone = false;
    try {
      for (let page = 0; page < this.#settings.maxPagesPerPoll && !isDone; page++) {
        const next = await orAborted(pages.next(), signal);
        if (next.done === true) {
          isDone = true;
          continue;
        }
        if (next.value.kind === 'changes') this.#readsChanges = true;
        const result = await sink.apply(next.value, signal);
        counted += result.counted;
        this.#askAgain(result);
        if (result.kind === 'held' || next.value.kind === 'held') {
          isHeld = true;
          this.#heldAtMs = performance.now();
          this.#options.onHeld?.(result.reason ?? '');
        } else {
          if (next.value.kind === 'snapshot') {
            forgetHints();
            if (this.#hintsLostAtMs !== undefined && this.#hintsLostAtMs < beganAtMs)
              this.#hintsLostAtMs = undefined;
            this.#heldAtMs = undefined;
          }
          if (next.value.hints.length > 0) this.#owe(next.value.hints);
          if (next.value.cursor !== null) await this.#cursor.reached(next.value.cursor);
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
    const atOnce = connector.capabilities?.readStockBatchSize ?? this.#settings.hintsPerFetch;
    const most = Math.max(1, Math.min(atOnce, this.#settings.hintsPerFetch));
    const asked = this.#hints.take(performance.now(), most);
    try {
      const page = await orAborted(
        connector.fetchCounts([...asked.keys()], this.#closing.signal),
        this.#closing.signal,
      );
      const result = await sink.apply(page, this.#closing.signal);
      this.#askAgain(result, asked);
      for (const itemId of asked.keys()) if (!result.again.includes(itemId)) this.#hints.paid(itemId);
    } catch (error) {
      const dueAtMs = performance.now() + this.#settings.retryMs;
      for (const [itemId, hint] of asked) this.#hint(itemId, dueAtMs, hint.asks);
      throw error;
    }
    await this.#cursor.settle();
  }

  /** Items that a page names without their figures. */
  #owe(itemIds: readonly string[]): void {
    if (this.#options.connector.fetchCounts !== undefined && !itemIds.includes(everyItem))
      this.#hints.owe(itemIds);
    this.doorbell(itemIds);
  }

  #askAgain(result: AppliedCounts, asked?: ReadonlyMap<string, { readonly asks: number }>): void {
    if (result.again.length === 0) return;
    const waitMs = this.#options.sink.skewMs + this.#settings.hintDelayMs;
    if (this.#options.connector.fetchCounts === undefined) return this.#readSoon(waitMs);
    const dueAtMs = performance.now() + waitMs;
    for (const itemId of result.again) {
      const asks = (asked?.get(itemId)?.asks ?? 0) + 1;
      if (asks <= this.#settings.maxAsks) this.#hint(itemId, dueAtMs, asks);
      else this.#hints.paid(itemId);
    }
  }

  #hint(itemId: string, dueAtMs: number, asks: number): void {
    if (this.#hints.add(itemId, dueAtMs, asks)) this.#alarm.ring();
    else {
      this.#hintsLostAtMs = performance.now();
      this.#readSoon();
    }
  }

  #readSoon(inMs = this.#settings.hintDelayMs): void {
    this.#dueAtMs = Math.min(this.#dueAtMs, performance.now() + inMs);
    this.#alarm.ring();
  }

  /** What was held a moment ago would be held again; what changed since is no part of it. */
  #isHeld(): boolean {
    return this.#heldAtMs !== undefined && performance.now() - this.#heldAtMs < this.#settings.heldRetryMs;
  }

  #isAllCheaper(nowMs: number): boolean {
    if (this.#heldAtMs !== undefined) return false;
    return this.#options.connector.isAllCheaper?.(this.#hints.due(nowMs)) ?? false;
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
