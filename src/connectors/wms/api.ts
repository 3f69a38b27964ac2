import { setTimeout as delay } from 'node:timers/promises';
import { StockmeshError } from '../../domain/errors.ts';
import type { HttpAnswer, HttpClient } from '../http.ts';
import type { Clock } from '../ports.ts';
import { type JsonValue, parseRawJson } from '../raw-json.ts';
import type { Access, WmsAuthorization } from './authorization.ts';
import type { Budget } from './budget.ts';
import { idOf } from './count-rows.ts';
import { type JsonPath, compilePath, selectAll } from './json-path.ts';
import { platform } from './options.ts';
import type { Throttling } from './throttling.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly operation: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** How many rows it asks for, for limits that count them. */
  readonly rows: number;
}

export interface ApiAnswer {
  readonly json: JsonValue;
  readonly headers: Readonly<Record<string, string>>;
  /** Our clock, before the request was sent: every figure in the answer is at least that fresh. */
  readonly askedAtMs: number;
}

const maxAttempts = 5;
/** A longer wait is the caller's: it holds a poll, not a request. */
const maxWaitMs = 60_000;

export interface WmsApiParts {
  readonly http: HttpClient;
  readonly authorization: WmsAuthorization;
  readonly budget: Budget;
  readonly throttling: Throttling;
  readonly clock: Clock;
  readonly failurePath: string | undefined;
  readonly expiredStatuses: readonly number[];
}

/** One request of a read, with its limit, its token and its retries. Reads only: a repeat harms nothing. */
export class WmsApi {
  readonly #parts: WmsApiParts;
  readonly #failurePath: JsonPath | undefined;

  constructor(parts: WmsApiParts) {
    this.#parts = parts;
    this.#failurePath = parts.failurePath === undefined ? undefined : compilePath(parts.failurePath);
  }

  async read(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    const { authorization, budget, throttling, clock, expiredStatuses } = this.#parts;
    let hasRenewed = false;
    for (let attempt = 1; ; attempt++) {
      await budget.spend(request.rows, signal);
      const askedAtMs = clock.nowMs();
      const { headers, accessToken } = await authorization.access();
      const answer = await this.#send(request, headers, signal);
      const waitMs = throttling.waitOf(answer, clock.nowMs());
      if (waitMs !== undefined) {
        budget.refused(waitMs);
        if (attempt >= maxAttempts || waitMs > maxWaitMs) throw throttled(request.operation, waitMs);
        await delay(waitMs, undefined, { signal });
        continue;
      }
      if (accessToken !== undefined && expiredStatuses.includes(answer.status) && !hasRenewed) {
        hasRenewed = true;
        await authorization.refused(accessToken);
        continue;
      }
      return this.#readable(request, answer, askedAtMs);
    }
  }

  #send(request: ApiRequest, access: Access['headers'], signal: AbortSignal): Promise<HttpAnswer> {
    return this.#parts.http.send({
      method: request.method,
      url: request.url,
      operation: request.operation,
      headers: {
        accept: 'application/json',
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...request.headers,
        ...access,
      },
      body: request.body,
      signal,
    });
  }

  #readable({ operation }: ApiRequest, answer: HttpAnswer, askedAtMs: number): ApiAnswer {
    const { status, headers } = answer;
    if (status === 401 || status === 403) {
      throw new StockmeshError('CONNECTOR_ACCESS_DENIED', {
        platform,
        operation,
        reason: `HTTP ${status}`,
        remedy: 'Check the credentials of the warehouse and what they are allowed to read',
      });
    }
    if (status === 408 || status >= 500) {
      throw new StockmeshError('CONNECTOR_UNREACHABLE', { platform, operation, reason: `HTTP ${status}` });
    }
    if (status < 200 || status > 299) {
      throw new StockmeshError('CONNECTOR_REQUEST_REFUSED', {
        platform,
        operation,
        reason: `HTTP ${status}`,
      });
    }
    const parsed = parseRawJson(answer.body);
    if (parsed.kind === 'bad') {
      throw new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason: parsed.reason });
    }
    this.#refuseFailure(operation, parsed.value);
    return { json: parsed.value, headers, askedAtMs };
  }

  /** A failure that came with status 200. Its text may quote the request: only a short code is passed on. */
  #refuseFailure(operation: string, body: JsonValue): void {
    if (this.#failurePath === undefined) return;
    const found = selectAll(body, this.#failurePath).filter(
      (value) => value !== null && value !== false && !(Array.isArray(value) && value.length === 0),
    );
    if (found.length === 0) return;
    const code = found
      .flatMap((value) => [
        ...selectAll(value, compilePath('code')),
        ...selectAll(value, compilePath('[*].code')),
        ...selectAll(value, compilePath('[0]')),
      ])
      .map((value) => idOf(value))
      .find((value) => value !== undefined && /^[\w.-]{1,40}$/.test(value));
    const reason = code === undefined ? 'the answer is an error' : `the answer is an error (${code})`;
    throw new StockmeshError('CONNECTOR_REQUEST_REFUSED', { platform, operation, reason });
  }
}

function throttled(operation: string, waitMs: number): StockmeshError {
  return new StockmeshError('CONNECTOR_THROTTLED', { platform, operation, waitMs });
}
