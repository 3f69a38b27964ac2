import type { SandboxSeller } from '../../sandbox/amazon/seller.ts';
import { ExposureCount } from '../../sandbox/exposure-count.ts';
import { type AmazonSandbox, startAmazonSandbox } from '../../sandbox/amazon/server.ts';
import {
  type EmulatedPlatform,
  type EmulationOptions,
  type SellingChannel,
  ShownNumbers,
  cartOf,
} from '../selling-channel.ts';

export interface EmulatedAmazon extends EmulatedPlatform {
  readonly sandbox: AmazonSandbox;
  readonly seller: SandboxSeller;
  /** What its writes left exposed. */
  readonly exposure: ExposureCount;
}

const secrets = {
  'amazon.secret': 'amzn1.oa2-cs.v1.sandbox',
  'amazon.refresh': 'Atzr|ADEMO',
  'aws.secret': 'sandbox-aws-secret',
} as const;

/**
 * One selling account that lists the SKUs it has stock of, and one SKU in Amazon's own warehouse (`FBA-ONLY`). The rates
 * are the published ones; what takes Amazon minutes (applying a quantity, showing an order in its search) takes
 * seconds here, or no demo would end.
 */
export async function emulateAmazon({
  stock,
  seed,
  rateLimits,
  isRough,
}: EmulationOptions): Promise<EmulatedAmazon> {
  const sandbox = await startAmazonSandbox({
    seed,
    sellers: [
      {
        sellerId: 'ADEMO',
        clientSecret: secrets['amazon.secret'],
        refreshToken: secrets['amazon.refresh'],
        settings: {
          rateLimit: rateLimits === 'published',
          applyDelayMs: { min: 100, max: 1_000 },
          orderHoleMs: 2_000,
          pendingMs: { min: 100, max: 800 },
          notifyOnPending: true,
          notificationDelayMs: { min: 0, max: isRough ? 1_500 : 300 },
          notificationDuplicateRate: isRough ? 0.1 : 0,
          notificationDropRate: isRough ? 0.05 : 0,
        },
      },
    ],
    queues: ['stockmesh'],
  });
  const seller = sandbox.seller('ADEMO');
  for (const [sku, quantity] of stock) seller.addListing({ sku, quantity });
  seller.addListing({ sku: 'FBA-ONLY', channelCode: 'AMAZON_NA', quantity: 70 });
  const queue = sandbox.sqs.queues.get('stockmesh');
  return {
    sandbox,
    seller,
    channels: [channelOf(sandbox, seller, new Set(stock.keys()))],
    config: [
      {
        id: 'amazon',
        platform: 'amazon',
        mode: 'live',
        sellerId: seller.sellerId,
        marketplaceIds: seller.marketplaceIds,
        region: 'na',
        baseUrl: sandbox.url,
        credentials: {
          clientId: seller.tokens.credentials.clientId,
          clientSecret: 'file:amazon.secret',
          refreshToken: 'file:amazon.refresh',
        },
        queue: {
          url: queue?.url,
          arn: queue?.arn,
          endpoint: sandbox.url,
          access: { accessKeyId: 'AKIASANDBOX', secretAccessKey: 'file:aws.secret' },
        },
        poll: { intervalMs: 5_000, overlapMs: 60_000, indexLagMs: 3_000 },
        timing: { readLagMs: 200, applyGraceMs: 1_500, longestApplyMs: 10_000 },
      },
    ],
    secrets,
    exposure: exposureOf(sandbox, seller, stock.keys()),
    violations: () => sandbox.violations().map(({ kind, detail }) => ({ where: 'amazon', kind, detail })),
    stop: () => sandbox.stop(),
  };
}

function exposureOf(sandbox: AmazonSandbox, seller: SandboxSeller, skus: Iterable<string>): ExposureCount {
  const count = new ExposureCount();
  const numbers = new ShownNumbers();
  for (const sku of skus) numbers.set(sku, seller.listings.quantity(sku));
  seller.listings.onRead = (sku) => count.read(sku, Date.now());
  sandbox.onLevelChange(({ at, sku, available, cause }) => {
    const change = numbers.change(sku, available);
    if (cause === 'api' || cause === 'feed') count.applied(sku, at, available);
    else count.taken(sku, at, -change);
  });
  return count;
}

function channelOf(sandbox: AmazonSandbox, seller: SandboxSeller, skus: ReadonlySet<string>): SellingChannel {
  const shown = (sku: string): number => seller.listings.quantity(sku);
  return {
    id: 'amazon',
    platform: 'amazon',
    skus,
    shown,
    buy(lines) {
      const cart = cartOf(lines, shown);
      if (cart.sales.length === 0) return cart;
      const placed = seller.orders.place({
        lines: cart.sales.map(({ sku, units }) => ({ sku, quantity: units })),
      });
      return placed.kind === 'sold-out' ? { sales: [], refusedLines: lines.length } : cart;
    },
    // Amazon cancels whole orders; the sample's cancellations name single lines.
    giveBack: () => false,
    onWrite(listener) {
      const numbers = new ShownNumbers();
      for (const sku of skus) numbers.set(sku, shown(sku));
      sandbox.onLevelChange(({ sku, available, cause }) => {
        const change = numbers.change(sku, available);
        if (cause === 'api' || cause === 'feed') listener(sku, change);
      });
    },
  };
}
