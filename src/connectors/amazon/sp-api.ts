import { setTimeout as delay } from 'node:timers/promises';
import { StockmeshError } from '../../domain/errors.ts';
import { inTime, withDeadline } from '../deadline.ts';
import type { HttpAnswer, HttpClient } from '../http.ts';
import type { PlatformClock } from '../platform-clock.ts';
import type { Clock, RateLimiter } from '../ports.ts';
import type { JsonRecord } from '../raw-json.ts';
import type { LwaTokens } from './lwa-token.ts';
import type { SpApiOperation } from './operations.ts';
import type { AmazonSettings } from './options.ts';
import { type SpApiOutcome, failureOf, outcomeOfAnswer } from './sp-api-outcome.ts';

export interface SpApiRequest {
  readonly path?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  readonly body?: unknown;
}

export interface SpApiParts {
  readonly settings: AmazonSettings;
  readonly http: HttpClient;
  readonly tokens: { readonly seller: LwaTokens; readonly notifications: LwaTokens };
  readonly limiter: RateLimiter;
  readonly clock: Clock;
  readonly platformClock: PlatformClock;
}

/** Operations slower than this are rare, and waited for longer than others. */
const slowRatePerS = 0.1;
/** The header may hold anything: a higher rate is not believed. */
const mostRatePerS = 100_000;
const maxReadAttempts = 4;
const retryPauseMs = 500;
const doubtEveryMs = 60_000;
const aheadMs = 10_000;
const userAgent = 'stockmesh/0.1 (Language=TypeScript)';

/**
 * Requests to the Selling Partner API of one seller: budget before, token renewal once when it has expired, and the
 * outcome in one of a few kinds. Amazon needs no request signature since October 2023.
 */
export class SpApi {
  readonly #parts: SpApiParts;
  /** Rate that Amazon's header last told, per operation: only news goes to the shared limiter. */
  readonly #toldRates = new Map<string, number>();
  /** Budget that a walk asked for ahead, per operation; false: there was none in time. One request's worth is lost at its end. */
  readonly #ahead = new Map<string, { readonly isGranted: Promise<boolean>; readonly askedAtMs: number }>();
  /** When a refusal without details last made us renew a token, per grant. */
  readonly #doubtedAtMs = new Map<SpApiOperation['grant'], number>();

  constructor(parts: SpApiParts) {
    this.#parts = parts;
  }

  /**
   * One request that changes something. Ends within the request time-out, waits included, so that nothing is sent after
   * the caller's lease has run out. Rejects only when nothing was sent.
   */
  async mutate(
    operation: SpApiOperation,
    request: SpApiRequest,
    signal: AbortSignal,
    isUrgent = false,
  ): Promise<SpApiOutcome> {
    const { requestTimeoutMs, maxWriteWaitMs } = this.#parts.settings;
    const maxWaitMs = Math.min(maxWriteWaitMs, requestTimeoutMs);
    return await withDeadline(signal, requestTimeoutMs, (bounded) =>
      this.#attempt(operation, request, { callers: signal, signal: bounded, maxWaitMs, isUrgent }),
    );
  }

  /** Anything that may be repeated: throttling and short failures are waited out, every other outcome is the caller's. */
  async tryRead(
    operation: SpApiOperation,
    request: SpApiRequest,
    signal: AbortSignal,
    longestWaitMs?: number,
    isOneOfMany = false,
  ): Promise<SpApiOutcome> {
    const { requestTimeoutMs, maxReadWaitMs, maxSlowWaitMs } = this.#parts.settings;
    const usualWaitMs = operation.ratePerS < slowRatePerS ? maxSlowWaitMs : maxReadWaitMs;
    const maxWaitMs = longestWaitMs ?? usualWaitMs;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(operation, request, {
        callers: signal,
        signal,
        maxWaitMs,
        timeoutMs: requestTimeoutMs,
        isOneOfMany,
      });
      const isPassing =
        outcome.kind === 'throttled' || outcome.kind === 'unknown' || outcome.kind === 'not-sent';
      if (isPassing) signal.throwIfAborted();
      if (!isPassing || attempt >= maxReadAttempts) return outcome;
      // After a 429 the limiter has learnt the pause and the next attempt waits for it.
      if (outcome.kind !== 'throttled')
        await delay(retryPauseMs * 2 ** (attempt - 1) * (0.5 + Math.random()), undefined, { signal });
    }
  }

  /** `isOneOfMany`: a request of a walk; the next one's budget is asked for while this one is under way. */
  async read(
    operation: SpApiOperation,
    request: SpApiRequest,
    signal: AbortSignal,
    isOneOfMany = false,
  ): Promise<Answered> {
    const outcome = await this.tryRead(operation, request, signal, undefined, isOneOfMany);
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    return outcome;
  }

  async #attempt(operation: SpApiOperation, request: SpApiRequest, limits: Limits): Promise<SpApiOutcome> {
    if (limits.isOneOfMany !== true || !(await this.#takeAhead(operation)))
      await this.#acquire(operation, limits);
    if (limits.isOneOfMany === true) this.#askAhead(operation, limits);
    if (limits.timeoutMs === undefined)
      return await this.#tryAuthorized(operation, request, limits, limits.signal);
    // A read's time starts when its turn has come; a mutation's ran from the call.
    return await withDeadline(limits.signal, limits.timeoutMs, (bounded) =>
      this.#tryAuthorized(operation, request, limits, bounded),
    );
  }

  async #tryAuthorized(
    operation: SpApiOperation,
    request: SpApiRequest,
    limits: Limits,
    bounded: AbortSignal,
  ): Promise<SpApiOutcome> {
    const tokens = this.#parts.tokens[operation.grant];
    const token = await inTime(bounded, limits.callers, () => tokens.current(bounded));
    if (token === undefined) return { kind: 'not-sent', reason: 'no access token in time' };
    const outcome = await this.#send(operation, request, token, bounded);
    // Refused before it was carried out, so the same request may simply go again.
    if (outcome.kind !== 'unauthorized' && !(outcome.kind === 'denied' && this.#mayBeToken(operation)))
      return outcome;
    const renewed = await inTime(bounded, limits.callers, () => tokens.replace(token, bounded));
    if (renewed === undefined) return { kind: 'not-sent', reason: 'no access token in time' };
    return await this.#send(operation, request, renewed, bounded);
  }

  /** The budget that the request before this one asked for, unless it has lain there since another time. */
  async #takeAhead({ name }: SpApiOperation): Promise<boolean> {
    const ahead = this.#ahead.get(name);
    this.#ahead.delete(name);
    if (ahead === undefined || performance.now() - ahead.askedAtMs > aheadMs) return false;
    return await ahead.isGranted;
  }

  #askAhead(operation: SpApiOperation, limits: Limits): void {
    const isGranted = this.#acquire(operation, limits).then(
      () => true,
      () => false,
    );
    this.#ahead.set(operation.name, { isGranted, askedAtMs: performance.now() });
  }

  #acquire(operation: SpApiOperation, limits: Limits): Promise<void> {
    return this.#parts.limiter.acquire(operation.name, 1, {
      maxWaitMs: limits.maxWaitMs,
      signal: limits.signal,
      budget: budgetOf(operation),
      isUrgent: () => limits.isUrgent === true,
    });
  }

  async #send(
    operation: SpApiOperation,
    request: SpApiRequest,
    token: string,
    signal: AbortSignal,
  ): Promise<SpApiOutcome> {
    if (signal.aborted) return { kind: 'not-sent', reason: 'its time was over before it was sent' };
    const { settings, http, clock, platformClock } = this.#parts;
    const sentAtMs = clock.nowMs();
    // A body, even an empty one, on a GET is refused by Amazon with 400.
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    let answer: HttpAnswer;
    try {
      answer = await http.send({
        method: operation.method,
        url: `${settings.baseUrl}${pathOf(operation, request)}`,
        operation: operation.name,
        headers: {
          'x-amz-access-token': token,
          'user-agent': userAgent,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body,
        signal,
      });
    } catch (error) {
      if (!(error instanceof StockmeshError)) throw error;
      const reason = String(error.fields['reason']);
      return { kind: error.fields['isSent'] === false ? 'not-sent' : 'unknown', reason };
    }
    platformClock.learn(answer.headers['date'], sentAtMs, clock.nowMs());
    const outcome = outcomeOfAnswer(answer, sentAtMs, 1_000 / this.#rateOf(operation));
    this.#learn(operation, answer, outcome);
    return outcome;
  }

  /**
   * A token that has ended and a role that is missing are refused in the same words where Amazon leaves out the details. A
   * new token tells them apart; it is asked for now and then only, or every refusal would cost one.
   */
  #mayBeToken({ grant }: SpApiOperation): boolean {
    const nowMs = this.#parts.clock.nowMs();
    const lastMs = this.#doubtedAtMs.get(grant);
    if (lastMs !== undefined && nowMs - lastMs < doubtEveryMs) return false;
    this.#doubtedAtMs.set(grant, nowMs);
    return true;
  }

  /** The header tells the present rate on some answers, "best effort"; it may hold anything, and never the burst. */
  #learn(operation: SpApiOperation, answer: HttpAnswer, outcome: SpApiOutcome): void {
    const { limiter } = this.#parts;
    const stated = Number(answer.headers['x-amzn-ratelimit-limit']?.trim() || Number.NaN);
    const refillPerS = stated > 0 && stated <= mostRatePerS ? stated : undefined;
    const isNews = refillPerS !== undefined && refillPerS !== this.#rateOf(operation);
    if (isNews) this.#toldRates.set(operation.name, refillPerS);
    if (outcome.kind === 'throttled') {
      // Budget from before the pause is none.
      this.#ahead.delete(operation.name);
      // Others of this seller's applications may share the account: a little more than the time of one request.
      const pauseMs = Math.ceil(outcome.waitMs * (1 + Math.random() * 0.2));
      limiter.learn(operation.name, { ...budgetOf(operation), refillPerS, available: 0, pauseMs });
    } else if (isNews) limiter.learn(operation.name, { refillPerS });
  }

  #rateOf(operation: SpApiOperation): number {
    return this.#toldRates.get(operation.name) ?? operation.ratePerS;
  }
}

export type Answered = { readonly kind: 'answer'; readonly body: JsonRecord; readonly sentAtMs: number };

interface Limits {
  readonly callers: AbortSignal;
  readonly signal: AbortSignal;
  readonly maxWaitMs: number;
  readonly timeoutMs?: number | undefined;
  readonly isUrgent?: boolean | undefined;
  readonly isOneOfMany?: boolean | undefined;
}

/** One less than Amazon's burst: its bucket and ours do not tick together. */
function budgetOf(operation: SpApiOperation): { capacity: number; refillPerS: number } {
  return { capacity: Math.max(1, operation.burst - 1), refillPerS: operation.ratePerS };
}

/** By path: what is fixed at even places, the names between. Taken apart for each request it was 4 % of a write's time. */
const piecesByPath = new Map<string, readonly string[]>();

function pathOf(operation: SpApiOperation, request: SpApiRequest): string {
  let pieces = piecesByPath.get(operation.path);
  if (pieces === undefined) {
    pieces = operation.path.split(/[{}]/);
    piecesByPath.set(operation.path, pieces);
  }
  let path = '';
  pieces.forEach((piece, place) => {
    path += place % 2 === 0 ? piece : encodeURIComponent(request.path?.[piece] ?? '');
  });
  const query: string[] = [];
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value === undefined) continue;
    // Lists are one comma-separated value in every model used here.
    const text = Array.isArray(value) ? value.join(',') : String(value);
    query.push(`${name}=${encodeURIComponent(text)}`);
  }
  return query.length === 0 ? path : `${path}?${query.join('&')}`;
}
