import type {
  ConnectorLog,
  LearnedBudget,
  RateLimiter,
  StoredToken,
  TokenStore,
} from '../../../src/connectors/ports.ts';
import type { Connector } from '../../../src/connectors/connector.ts';
import { createShopifyConnector } from '../../../src/connectors/shopify/shopify-connector.ts';
import type { ShopifyConnectorOptions } from '../../../src/connectors/shopify/options.ts';
import { StockmeshError } from '../../../src/domain/errors.ts';

export const shopDomain = 'alpha.myshopify.com';
export const never = new AbortController().signal;

/** Keeps tokens in memory; one renewal at a time, like the store of the daemons. */
export class MemoryTokens implements TokenStore {
  readonly stored = new Map<string, StoredToken>();
  renewals = 0;
  #last: Promise<unknown> = Promise.resolve();

  load(name: string): Promise<StoredToken | undefined> {
    return Promise.resolve(this.stored.get(name));
  }

  renew(
    name: string,
    renewal: (stored: StoredToken | undefined) => Promise<StoredToken>,
  ): Promise<StoredToken> {
    const run = this.#last
      .catch(() => undefined)
      .then(async () => {
        this.renewals++;
        const token = await renewal(this.stored.get(name));
        this.stored.set(name, token);
        return token;
      });
    this.#last = run.catch(() => undefined);
    return run;
  }
}

/** A bucket as Shopify's answers describe it; without an answer it lets everything pass. */
export class MemoryLimiter implements RateLimiter {
  readonly acquired: number[] = [];
  readonly learned: LearnedBudget[] = [];
  #budget: { available: number; capacity: number; refillPerS: number; asOfMs: number } | undefined;
  #pausedUntilMs = 0;

  async acquire(
    operation: string,
    cost: number,
    options: { readonly maxWaitMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    this.acquired.push(cost);
    const waitMs = Math.max(this.#pausedUntilMs - Date.now(), this.#budgetWaitMs(cost));
    if (waitMs > options.maxWaitMs)
      throw new StockmeshError('CONNECTOR_LIMIT_WAIT', { operation, waitMs, maxWaitMs: options.maxWaitMs });
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (this.#budget !== undefined) this.#budget.available -= cost;
  }

  learn(_operation: string, budget: LearnedBudget): void {
    this.learned.push(budget);
    if (budget.pauseMs !== undefined) this.#pausedUntilMs = Date.now() + budget.pauseMs;
    const { available, capacity, refillPerS } = budget;
    if (available !== undefined && capacity !== undefined && refillPerS !== undefined)
      this.#budget = { available, capacity, refillPerS, asOfMs: Date.now() };
  }

  #budgetWaitMs(cost: number): number {
    if (this.#budget === undefined) return 0;
    const { available, capacity, refillPerS, asOfMs } = this.#budget;
    const now = Date.now();
    const refilled = Math.min(capacity, available + ((now - asOfMs) / 1_000) * refillPerS);
    this.#budget = { available: refilled, capacity, refillPerS, asOfMs: now };
    return refilled >= cost ? 0 : Math.ceil(((cost - refilled) / refillPerS) * 1_000);
  }
}

export class MemoryLog implements ConnectorLog {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[] = [];

  debug(fields: object, message: string): void {
    this.lines.push({ level: 'debug', fields, message });
  }

  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields, message });
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields, message });
  }
}

export interface Rig {
  readonly connector: Connector;
  readonly tokens: MemoryTokens;
  readonly limiter: MemoryLimiter;
  readonly log: MemoryLog;
  /** Moves the connector's clock. */
  advance(ms: number): void;
}

export function rigFor(overrides: Partial<ShopifyConnectorOptions> = {}): Rig {
  const tokens = new MemoryTokens();
  const limiter = new MemoryLimiter();
  const log = new MemoryLog();
  let offsetMs = 0;
  const connector = createShopifyConnector({
    shop: shopDomain,
    credentials: { kind: 'static', accessToken: 'shpat_static' },
    webhookSecrets: ['current-secret', 'previous-secret'],
    limiter,
    tokens,
    clock: { nowMs: () => Date.now() + offsetMs },
    log,
    requestTimeoutMs: 10_000,
    readCommitLocations: false,
    ...overrides,
  });
  return { connector, tokens, limiter, log, advance: (ms) => (offsetMs += ms) };
}

export async function everything<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(page);
  return all;
}

/** What a promise rejects with; fails the test when it does not. */
export async function rejection(work: Promise<unknown>): Promise<StockmeshError> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome && outcome.error instanceof StockmeshError) return outcome.error;
  throw new Error(`expected a StockmeshError, got ${JSON.stringify(outcome)}`);
}
