import { StockmeshError } from '../../domain/errors.ts';
import { inTime, withDeadline } from '../deadline.ts';
import type { PlatformClock } from '../platform-clock.ts';
import type { RateLimiter } from '../ports.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';
import type { AccessTokens } from './access-token.ts';
import type { GraphqlOperation } from './documents.ts';
import { type GraphqlOutcome, budgetOf, outcomeOfErrors, outcomeOfStatus } from './graphql-outcome.ts';
import type { Exchange, LibraryClient } from './library-client.ts';
import { type ShopifySettings, platform } from './options.ts';

export interface GraphqlParts {
  readonly settings: ShopifySettings;
  readonly client: LibraryClient;
  readonly tokens: AccessTokens;
  readonly limiter: RateLimiter;
  readonly platformClock: PlatformClock;
}

export type Variables = Readonly<Record<string, unknown>>;
export type GraphqlAnswer = Extract<GraphqlOutcome, { kind: 'answer' }>;

interface AttemptLimits {
  readonly signal: AbortSignal;
  /** Longest wait for the budget. */
  readonly maxWaitMs: number;
  /** From the end of that wait; absent: `signal` bounds it all. */
  readonly timeoutMs?: number;
  readonly isUrgent?: () => boolean;
}

/** All operations of an app on a shop share one cost bucket. */
export const bucketName = 'graphql';
const maxThrottledReads = 6;
/** Shopify refuses a single query above this, whatever the plan. */
const maxQueryCost = 1_000;

/** GraphQL requests of one shop: budget before, token renewal on 401, and the outcome in one of a few kinds. */
export class ShopifyGraphql {
  readonly #parts: GraphqlParts;
  /** Shopify's cost of an operation divided by our estimate: page sizes change, the ratio stays. */
  readonly #costRatios = new Map<string, number>();

  constructor(parts: GraphqlParts) {
    this.#parts = parts;
  }

  /**
   * One request that changes something. Ends within the request time-out, waits included, so that nothing is sent after
   * the caller's lease has run out. Rejects only when nothing was sent.
   */
  async mutate(
    operation: GraphqlOperation,
    variables: Variables,
    signal: AbortSignal,
    isUrgent = false,
  ): Promise<GraphqlOutcome> {
    const { requestTimeoutMs, maxWriteWaitMs } = this.#parts.settings;
    const maxWaitMs = Math.min(maxWriteWaitMs, requestTimeoutMs);
    return await withDeadline(signal, requestTimeoutMs, (bounded) =>
      this.#attempt(operation, variables, { signal: bounded, maxWaitMs, isUrgent: () => isUrgent }),
    );
  }

  /** Anything that may be repeated: throttling is waited out, every other failure is thrown. */
  async read(operation: GraphqlOperation, variables: Variables, signal: AbortSignal): Promise<GraphqlAnswer> {
    const outcome = await this.tryRead(operation, variables, signal);
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    return outcome;
  }

  /** Like `read`, but the caller decides what an outcome other than throttling means. */
  async tryRead(
    operation: GraphqlOperation,
    variables: Variables,
    signal: AbortSignal,
  ): Promise<GraphqlOutcome> {
    const { requestTimeoutMs, maxReadWaitMs } = this.#parts.settings;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(operation, variables, {
        signal,
        maxWaitMs: maxReadWaitMs,
        timeoutMs: requestTimeoutMs,
      });
      // The limiter has learnt the pause: the next attempt waits for it.
      if (outcome.kind === 'throttled' && attempt < maxThrottledReads) continue;
      if (outcome.kind === 'answer') refuseIgnoredFilters(operation.name, outcome.extensions);
      return outcome;
    }
  }

  async #attempt(
    operation: GraphqlOperation,
    variables: Variables,
    { signal, timeoutMs, ...wait }: AttemptLimits,
  ): Promise<GraphqlOutcome> {
    await this.#parts.limiter.acquire(bucketName, this.#cost(operation), { ...wait, signal });
    if (timeoutMs === undefined) return await this.#tryAuthorized(operation, variables, signal, signal);
    // A read's time starts when its turn has come; a mutation's ran from the call.
    return await withDeadline(signal, timeoutMs, (bounded) =>
      this.#tryAuthorized(operation, variables, signal, bounded),
    );
  }

  async #tryAuthorized(
    operation: GraphqlOperation,
    variables: Variables,
    signal: AbortSignal,
    bounded: AbortSignal,
  ): Promise<GraphqlOutcome> {
    const { tokens } = this.#parts;
    const token = await inTime(bounded, signal, () => tokens.current(bounded));
    if (token === undefined) return { kind: 'not-sent', reason: 'no access token in time' };
    const outcome = await this.#send(operation, variables, token, bounded);
    if (outcome.kind !== 'unauthorized') return outcome;
    // Refused before execution, so the same mutation with the same key may simply go again.
    const renewed = await inTime(bounded, signal, () => tokens.replace(token, bounded));
    if (renewed === undefined) return { kind: 'not-sent', reason: 'no access token in time' };
    return await this.#send(operation, variables, renewed, bounded);
  }

  async #send(
    operation: GraphqlOperation,
    variables: Variables,
    token: string,
    signal: AbortSignal,
  ): Promise<GraphqlOutcome> {
    if (signal.aborted) return { kind: 'not-sent', reason: 'its time was over before it was sent' };
    const exchange = await this.#parts.client.exchange(operation, variables, token, signal);
    const date = exchange.headers?.['date'];
    this.#parts.platformClock.learn(date, exchange.sentAtMs, exchange.receivedAtMs);
    // Errors carry their cost too, and a refused call is when the limiter needs to know most.
    const { requested, budget } = budgetOf(exchange.body?.extensions);
    if (requested !== undefined) this.#costRatios.set(operation.name, requested / operation.cost);
    const outcome = outcomeOf(exchange);
    const pauseMs = outcome.kind === 'throttled' ? outcome.waitMs : undefined;
    if (budget.available !== undefined || pauseMs !== undefined)
      this.#parts.limiter.learn(bucketName, { ...budget, pauseMs });
    return outcome;
  }

  #cost(operation: GraphqlOperation): number {
    const ratio = this.#costRatios.get(operation.name) ?? 1;
    return Math.min(maxQueryCost, Math.max(1, Math.ceil(operation.cost * ratio)));
  }
}

function outcomeOf(exchange: Exchange): GraphqlOutcome {
  const { failure, status, headers, body, sentAtMs } = exchange;
  if (failure !== undefined) return { kind: failure.isSent ? 'unknown' : 'not-sent', reason: failure.reason };
  if (status === undefined) return { kind: 'unknown', reason: 'no answer' };
  if (status !== 200) return outcomeOfStatus(status, headers?.['retry-after'] ?? null);
  if (body === undefined) return { kind: 'unknown', reason: 'the answer is not GraphQL' };
  if (body.errors !== undefined) return outcomeOfErrors(body.errors, isRecord(body.data), body.extensions);
  if (!isRecord(body.data)) return { kind: 'unknown', reason: 'the answer holds no data' };
  return {
    kind: 'answer',
    data: body.data,
    extensions: isRecord(body.extensions) ? body.extensions : {},
    sentAtMs,
  };
}

/** A wrong filter does not fail: Shopify returns every row and mentions it here. */
function refuseIgnoredFilters(operation: string, extensions: Variables): void {
  for (const search of listOf(extensions['search']) ?? []) {
    const warnings = isRecord(search) ? (listOf(search['warnings']) ?? []) : [];
    const first = warnings.find((warning) => isRecord(warning));
    if (first === undefined) continue;
    const reason = isRecord(first) ? (textOf(first['message']) ?? textOf(first['code'])) : undefined;
    throw new StockmeshError('CONNECTOR_FILTER_IGNORED', {
      platform,
      operation,
      reason: reason ?? 'search warning',
    });
  }
}

/** The error that stands for an outcome which is no answer. */
export function failureOf(
  operation: string,
  outcome: Exclude<GraphqlOutcome, { kind: 'answer' }>,
): StockmeshError {
  const at = { platform, operation };
  switch (outcome.kind) {
    case 'throttled':
      return new StockmeshError('CONNECTOR_THROTTLED', { ...at, waitMs: outcome.waitMs });
    case 'unauthorized':
      return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
        ...at,
        reason: 'a fresh access token is not accepted',
        remedy: 'Install the app on the shop again',
      });
    case 'denied':
      return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
        ...at,
        reason: outcome.reason,
        remedy: outcome.remedy,
      });
    case 'too-costly':
      return new StockmeshError('CONNECTOR_REQUEST_REFUSED', {
        ...at,
        reason: 'it costs more than a request may',
      });
    case 'refused':
      return new StockmeshError('CONNECTOR_REQUEST_REFUSED', { ...at, reason: outcome.reason });
    case 'not-sent':
    case 'unknown':
      break;
  }
  return new StockmeshError('CONNECTOR_UNREACHABLE', {
    ...at,
    reason: outcome.reason,
    isSent: outcome.kind === 'unknown',
  });
}
