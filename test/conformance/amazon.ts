import { startAmazonSandbox } from '../../sandbox/amazon/server.ts';
import type { Order } from '../../sandbox/amazon/orders.ts';
import { createAmazonConnector } from '../../src/connectors/amazon/amazon-connector.ts';
import { FaultyProxy } from './faulty-proxy.ts';
import type { Delivery, PlatformUnderTest, Thing } from './platform.ts';
import { realPorts } from './real-ports.ts';
import { spoil } from './spoil.ts';

const sellerId = 'A1SELLEREXAMPLE';
const marketplaceId = 'ATVPDKIKX0DER';
const webhookSecret = 'event-bus-secret';
const none = { min: 0, max: 0 };

const thingOf = (order: Order): Thing => ({
  key: order.orderId,
  ids: [order.orderId, ...order.items.map(({ orderItemId }) => orderItemId)],
});

export const amazon: PlatformUnderTest = {
  name: 'Amazon',
  async start({ indexLagMs = 0, smallPages = false, requestTimeoutMs = 5_000 } = {}) {
    const settings = {
      // The published limits stay on: the budget of searches is the scarcest of all.
      orderHoleMs: 0,
      ordersPerPage: smallPages ? 2 : 100,
      applyDelayMs: none,
      notificationDelayMs: none,
      notifyOnPending: true,
    };
    const sandbox = await startAmazonSandbox({
      sellers: [{ sellerId, settings }],
      queues: ['notifications'],
    });
    const seller = sandbox.seller(sellerId);
    const queue = sandbox.sqs.queues.get('notifications');
    if (queue === undefined) throw new Error('no queue');
    const proxy = await FaultyProxy.start(sandbox.url);
    const ports = realPorts();
    seller.addListing({ sku: 'THING', quantity: 90_000 });
    for (const sku of ['GOOD', 'BAD']) seller.addListing({ sku, quantity: 50 });
    const connector = createAmazonConnector({
      ...ports,
      sellerId,
      marketplaceIds: [marketplaceId],
      region: 'na',
      baseUrl: proxy.url,
      authUrl: proxy.url,
      credentials: { ...seller.tokens.credentials },
      webhookSecrets: [webhookSecret],
      webhookHeader: 'stockmesh-secret',
      queueArn: queue.arn,
      readFba: false,
      requestTimeoutMs,
      maxWriteWaitMs: 0,
      maxPollWaitMs: 200,
      orderIndexLagMs: indexLagMs,
    });
    return {
      connector,
      proxy,
      renewals: () => ports.renewals(),
      advance: (ms) => ports.advance(ms),
      thingsOverPages: 5,
      happen() {
        const placed = seller.orders.place({ lines: [{ sku: 'THING', quantity: 9 }] });
        if (placed.kind !== 'accepted') throw new Error('sold out');
        return thingOf(placed.order);
      },
      change(thing) {
        const order = seller.orders.order(thing.key);
        if (order.status === 'PENDING') seller.orders.confirm(order.orderId);
        seller.orders.ship(order.orderId, { sku: 'THING', quantity: 1 });
      },
      setIndexLag(ms) {
        seller.settings.orderHoleMs = ms;
      },
      async deliveriesOf(work) {
        await connector.subscribe({ callbackUrl: '' }, new AbortController().signal);
        for (const { receipt } of queue.receive(10_000, 60_000)) queue.delete(receipt);
        work();
        const taken: Delivery[] = [];
        // One timer per notification stands between the change and the queue.
        await new Promise((resolve) => setTimeout(resolve, 50));
        for (const { body } of queue.receive(10_000, 60_000)) {
          taken.push({ raw: Buffer.from(body), headers: { 'stockmesh-secret': webhookSecret } });
        }
        return taken;
      },
      isPage: ({ method, path }) => method === 'GET' && /^\/orders\/[\d-]+\/orders\?/.test(path),
      isWrite: ({ method }) => method === 'PATCH',
      isThrottled: ({ status }) => status === 429,
      expireTokens: () => seller.tokens.expireAll(),
      revoke: () => seller.tokens.revoke(),
      exhaust: () => seller.buckets.drain('patchListingsItem'),
      poison: (page, { ids }) =>
        spoil(page, ({ orderItemId }) => orderItemId === ids[1], { quantityOrdered: 1.5 }),
      shelf: {
        skus: ['GOOD', 'BAD'],
        shown: (sku) => seller.listings.quantity(sku),
        breakSku: (sku) => void seller.listings.listings.delete(sku),
      },
      violations: () => sandbox.violations(),
      async stop() {
        await proxy.stop();
        await sandbox.stop();
        await ports.stop();
      },
    };
  },
};
