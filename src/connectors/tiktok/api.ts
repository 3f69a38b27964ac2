import { setTimeout as delay } from 'node:timers/promises';
import { StockmeshError } from '../../domain/errors.ts';
import { inTime, withDeadline } from '../deadline.ts';
import type { HttpClient } from '../http.ts';
import type { PlatformClock } from '../platform-clock.ts';
import type { Clock } from '../ports.ts';
import type { AccessTokens } from './access-token.ts';
import type { Endpoint } from './endpoints.ts';
import type { TiktokSettings } from './options.ts';
import { type ApiAnswer, type ApiOutcome, failureOf, outcomeOfAnswer } from './outcome.ts';
import type { Pace } from './pace.ts';
import { type QueryParameters, queryString, signatureOf } from './signature.ts';

export interface ApiRequest {
  readonly endpoint: Endpoint;
  readonly query?: QueryParameters | undefined;
  /** Never empty: whether `{}` is signed is what implementations disagree about. */
  readonly body?: object | undefined;
}

export interface ApiParts {
  readonly settings: TiktokSettings;
  readonly http: HttpClient;
  readonly tokens: AccessTokens;
  readonly pace: Pace;
  readonly platformClock: PlatformClock;
  readonly clock: Clock;
}

/** Who knows the shop's cipher; asking for it is a request too. */
export interface CipherSource {
  cipher(signal: AbortSignal): Promise<string>;
  forget(): void;
}

const maxThrottledReads = 6;
const maxUnknownReads = 3;
const readAgainMs = 200;

/**
 * Requests of one shop: budget before, a signature of its own for every attempt (its timestamp is valid for five minutes
 * back and 30 seconds ahead), renewal of token or cipher where TikTok refuses one, and the outcome in one of a few kinds.
 */
export class TiktokApi {
  readonly #parts: ApiParts;
  readonly #ciphers: CipherSource;

  constructor(parts: ApiParts, ciphers: (api: TiktokApi) => CipherSource) {
    this.#parts = parts;
    this.#ciphers = ciphers(this);
  }

  /**
   * One request that changes something. `signal` bounds it all, waits included. Rejects only when nothing was sent.
   */
  async write(request: ApiRequest, signal: AbortSignal, isUrgent?: () => boolean): Promise<ApiOutcome> {
    return await this.#attempt(request, signal, { maxWaitMs: this.#parts.settings.maxWriteWaitMs, isUrgent });
  }

  /** Anything that may be repeated: throttling is waited out, every other failure is thrown. */
  async read(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    const outcome = await this.tryRead(request, signal);
    if (outcome.kind !== 'answer') throw failureOf(request.endpoint.name, outcome);
    return outcome;
  }

  /** A read in front of a write: one attempt, and no longer wait for the budget than the write itself would take. */
  readNow(request: ApiRequest, signal: AbortSignal, isUrgent?: () => boolean): Promise<ApiOutcome> {
    return this.#attempt(request, signal, { maxWaitMs: this.#parts.settings.maxWriteWaitMs, isUrgent });
  }

  /** Like `read`, but the caller decides what an outcome other than throttling means. */
  async tryRead(request: ApiRequest, signal: AbortSignal): Promise<ApiOutcome> {
    const { requestTimeoutMs, maxReadWaitMs } = this.#parts.settings;
    let unknowns = 0;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(request, signal, { maxWaitMs: maxReadWaitMs }, requestTimeoutMs);
      // The limiter has learnt the pause: the next attempt waits for it.
      if (outcome.kind === 'throttled' && attempt < maxThrottledReads) continue;
      if (outcome.kind === 'unknown' && ++unknowns < maxUnknownReads) {
        await delay(readAgainMs * unknowns, undefined, { signal });
        continue;
      }
      return outcome;
    }
  }

  async #attempt(
    request: ApiRequest,
    signal: AbortSignal,
    wait: { readonly maxWaitMs: number; readonly isUrgent?: (() => boolean) | undefined },
    timeoutMs?: number,
  ): Promise<ApiOutcome> {
    await this.#parts.pace.acquire(request.endpoint.name, { ...wait, signal });
    if (timeoutMs === undefined) return await this.#tryRepaired(request, signal, signal);
    // A read's time starts when its turn has come; a write's ran from the call.
    return await withDeadline(signal, timeoutMs, (bounded) => this.#tryRepaired(request, signal, bounded));
  }

  async #tryRepaired(request: ApiRequest, signal: AbortSignal, bounded: AbortSignal): Promise<ApiOutcome> {
    const { tokens } = this.#parts;
    const { isShopCall } = request.endpoint;
    let token = await inTime(bounded, signal, () => tokens.current(bounded));
    let cipher = isShopCall ? await inTime(bounded, signal, () => this.#ciphers.cipher(bounded)) : '';
    for (let repairs = 0; ; repairs++) {
      if (token === undefined || cipher === undefined)
        return { kind: 'not-sent', reason: 'no access token or shop cipher in time' };
      const outcome = await this.#send(request, token, cipher, bounded);
      // Each of these is refused before anything is done, so the same request may simply go again, signed anew.
      if (repairs >= 2) return outcome;
      if (outcome.kind === 'unauthorized') {
        const refused = token;
        token = await inTime(bounded, signal, () => tokens.replace(refused, bounded));
      } else if (outcome.kind === 'wrong-cipher' && isShopCall) {
        this.#ciphers.forget();
        cipher = await inTime(bounded, signal, () => this.#ciphers.cipher(bounded));
      } else if (outcome.kind !== 'wrong-clock') return outcome;
    }
  }

  async #send(request: ApiRequest, token: string, cipher: string, signal: AbortSignal): Promise<ApiOutcome> {
    const { settings, http, pace, platformClock, clock } = this.#parts;
    const { name, method, path } = request.endpoint;
    if (signal.aborted) return { kind: 'not-sent', reason: 'its time was over before it was sent' };
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const query: Record<string, string> = {
      ...request.query,
      app_key: settings.appKey,
      // Rounded down: the window reaches minutes back but only seconds ahead.
      timestamp: String(Math.floor(platformClock.nowMs() / 1_000)),
      ...(cipher === '' ? {} : { shop_cipher: cipher }),
    };
    query['sign'] = signatureOf(settings.appSecret, { path, query, body });
    const sentAtMs = clock.nowMs();
    let outcome: ApiOutcome;
    try {
      const answer = await http.send({
        method,
        url: `${settings.baseUrl}${path}?${queryString(query)}`,
        operation: name,
        headers: { 'content-type': 'application/json', 'x-tts-access-token': token },
        body,
        signal,
      });
      platformClock.learn(answer.headers['date'], sentAtMs, clock.nowMs());
      outcome = outcomeOfAnswer(answer, sentAtMs);
    } catch (error) {
      if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_UNREACHABLE') throw error;
      const reason = String(error.fields['reason']);
      return { kind: error.fields['isSent'] === false ? 'not-sent' : 'unknown', reason };
    }
    if (outcome.kind === 'throttled') return { ...outcome, waitMs: pace.throttled(name, outcome.waitMs) };
    if (outcome.kind === 'answer') pace.succeeded(name);
    return outcome;
  }
}
