import { type AmazonSandbox, startAmazonSandbox } from '../../../sandbox/amazon/server.ts';
import type { SandboxSeller } from '../../../sandbox/amazon/seller.ts';
import type { SellerSettings } from '../../../sandbox/amazon/settings.ts';
import type { Queue } from '../../../sandbox/amazon/sqs/queue.ts';
import { type SandboxClock, realClock } from '../../../sandbox/shopify/clock.ts';
import {
  type AmazonConnector,
  createAmazonConnector,
} from '../../../src/connectors/amazon/amazon-connector.ts';
import type { AmazonConnectorOptions } from '../../../src/connectors/amazon/options.ts';
import type { ListingRef, OrderPage, WriteBatch } from '../../../src/connectors/connector.ts';
import type { LearnedBudget, PublishedBudget, RateLimiter } from '../../../src/connectors/ports.ts';
import { StockmeshError } from '../../../src/domain/errors.ts';
import { MemoryLog, MemoryTokens, never } from '../shopify/parts.ts';
import { problemsOf } from './models.ts';

export const sellerId = 'A1SELLEREXAMPLE';
export const marketplaceId = 'ATVPDKIKX0DER';
export const webhookSecret = 'event-bus-secret';

/** Buckets per operation, described by what the connector publishes; waits are never slept, only refused or granted. */
export class MemoryBuckets implements RateLimiter {
  readonly taken: { readonly operation: string; readonly budget: PublishedBudget | undefined }[] = [];
  readonly learned: { readonly operation: string; readonly budget: LearnedBudget }[] = [];
  /** Operations that have no budget left. */
  readonly empty = new Set<string>();

  acquire(
    operation: string,
    _cost: number,
    options: {
      readonly maxWaitMs: number;
      readonly signal: AbortSignal;
      readonly budget?: PublishedBudget | undefined;
    },
  ): Promise<void> {
    options.signal.throwIfAborted();
    if (this.empty.has(operation)) {
      const { maxWaitMs } = options;
      const fields = { operation, waitMs: maxWaitMs + 1, maxWaitMs };
      return Promise.reject(new StockmeshError('CONNECTOR_LIMIT_WAIT', fields));
    }
    this.taken.push({ operation, budget: options.budget });
    return Promise.resolve();
  }

  learn(operation: string, budget: LearnedBudget): void {
    this.learned.push({ operation, budget });
  }
}

export interface Rig {
  readonly sandbox: AmazonSandbox;
  readonly seller: SandboxSeller;
  readonly queue: Queue;
  readonly connector: AmazonConnector;
  readonly tokens: MemoryTokens;
  readonly limiter: MemoryBuckets;
  readonly log: MemoryLog;
  /** What Amazon's models say against any request or answer so far. */
  readonly modelProblems: string[];
  /** Another connector of the same channel, as a second daemon has it. */
  second(overrides?: Partial<AmazonConnectorOptions>): AmazonConnector;
  /** Moves the connector's clock. */
  advance(ms: number): void;
  close(): Promise<void>;
}

export async function rigFor(
  overrides: Partial<AmazonConnectorOptions> = {},
  settings: Partial<SellerSettings> = {},
  /** Of the sandbox only; the connector has its own. */
  clock: SandboxClock = realClock,
): Promise<Rig> {
  const sandbox = await startAmazonSandbox({
    seed: 7,
    clock,
    sellers: [
      {
        sellerId,
        settings: {
          rateLimit: false,
          orderHoleMs: 0,
          applyDelayMs: { min: 0, max: 0 },
          feedQueueMs: { min: 0, max: 0 },
          feedRunMs: { min: 0, max: 0 },
          reportMs: { min: 0, max: 0 },
          notificationDelayMs: { min: 0, max: 0 },
          ...settings,
        },
      },
    ],
    queues: ['notifications'],
  });
  const seller = sandbox.seller(sellerId);
  const queue = sandbox.sqs.queues.get('notifications');
  if (queue === undefined) throw new Error('no queue');
  const tokens = new MemoryTokens();
  const limiter = new MemoryBuckets();
  const log = new MemoryLog();
  const modelProblems: string[] = [];
  sandbox.onExchange((exchange) => modelProblems.push(...problemsOf(exchange)));
  let offsetMs = 0;
  const build = (more: Partial<AmazonConnectorOptions> = {}): AmazonConnector =>
    createAmazonConnector({
      sellerId,
      marketplaceIds: [marketplaceId],
      region: 'na',
      baseUrl: sandbox.url,
      authUrl: sandbox.url,
      credentials: { ...seller.tokens.credentials },
      webhookSecrets: [webhookSecret, 'the-secret-before'],
      webhookHeader: 'stockmesh-secret',
      queueArn: queue.arn,
      eventBridge: { region: 'us-east-1', accountId: '123456789012' },
      limiter,
      tokens,
      clock: { nowMs: () => Date.now() + offsetMs },
      log,
      requestTimeoutMs: 10_000,
      orderIndexLagMs: 0,
      reportPollMs: 5,
      ...overrides,
      ...more,
    });
  return {
    sandbox,
    seller,
    queue,
    connector: build(),
    tokens,
    limiter,
    log,
    modelProblems,
    second: build,
    advance: (ms) => (offsetMs += ms),
    close: () => sandbox.stop(),
  };
}

export const refFor = (sku: string, code = 'DEFAULT'): ListingRef => ({
  key: `${sku}@${code}`,
  itemId: code === 'DEFAULT' ? sku : `fba:${sku}`,
  locationId: code,
});

export function putOf(sku: string, to: number, from = 0): WriteBatch {
  return { key: `key-${sku}-${to}`, kind: 'put', reference: '1-1', rows: [{ ref: refFor(sku), from, to }] };
}

export async function walkOf(
  connector: AmazonConnector,
  cursor: string | null = null,
  more: { readonly sinceMs?: number; readonly overlapMs?: number } = {},
): Promise<readonly OrderPage[]> {
  const pages: OrderPage[] = [];
  const { sinceMs = Date.now() - 3_600_000, overlapMs = 0 } = more;
  for await (const page of connector.pollOrders({ cursor, sinceMs, overlapMs, signal: never }))
    pages.push(page);
  return pages;
}

/** Order ids on the pages, each once. */
export function orderIdsOf(pages: readonly OrderPage[]): readonly string[] {
  return [...new Set(pages.flatMap((page) => page.orders.map((order) => order.orderId)))];
}
