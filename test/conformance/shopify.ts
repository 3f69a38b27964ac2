import type { Order } from '../../sandbox/shopify/model.ts';
import { startShopifySandbox } from '../../sandbox/shopify/server.ts';
import { createShopifyConnector } from '../../src/connectors/shopify/shopify-connector.ts';
import { FaultyProxy } from './faulty-proxy.ts';
import type { PlatformUnderTest, Thing } from './platform.ts';
import { realPorts } from './real-ports.ts';
import { spoil } from './spoil.ts';
import { startReceiver } from './webhook-receiver.ts';

const domain = 'under-test.myshopify.com';

const thingOf = (order: Order): Thing => ({
  key: digits(order.id),
  ids: [digits(order.id), ...order.lines.map(({ id }) => digits(id))],
});
const digits = (gid: string): string => /\d+$/.exec(gid)?.[0] ?? '';

export const shopify: PlatformUnderTest = {
  name: 'Shopify',
  async start({ indexLagMs = 0, requestTimeoutMs = 5_000, slowRefill = false } = {}) {
    const plan = slowRefill ? 'standard' : 'plus';
    const sandbox = await startShopifySandbox({ shops: [{ domain, hugeIds: true, plan }] });
    const shop = sandbox.shop(domain);
    const proxy = await FaultyProxy.start(sandbox.url);
    const ports = realPorts();
    shop.addItem({ sku: 'THING', quantities: 100_000 });
    for (const sku of ['GOOD', 'BAD']) shop.addItem({ sku, quantities: 50 });
    const { clientId, clientSecret } = shop.tokens.app;
    const connector = createShopifyConnector({
      ...ports,
      shop: domain,
      baseUrl: `${proxy.url}/${domain}`,
      credentials: { kind: 'offline', clientId, clientSecret, ...shop.tokens.issueExpiring() },
      webhookSecrets: [clientSecret],
      requestTimeoutMs,
      maxWriteWaitMs: 0,
      orderIndexLagMs: indexLagMs,
    });
    const orderOf = (thing: Thing): Order => shop.orderBook.order(thing.key);
    return {
      connector,
      proxy,
      renewals: () => ports.renewals(),
      advance: (ms) => ports.advance(ms),
      thingsOverPages: 110,
      happen() {
        const placed = shop.placeOrder({ lines: [{ sku: 'THING', quantity: 20 }] });
        if (placed.kind === 'refused') throw new Error('refused');
        return thingOf(placed.order);
      },
      change(thing) {
        const order = orderOf(thing);
        const lineId = order.lines[0]?.id ?? '';
        shop.refund(order.id, { lines: [{ lineId, quantity: 1, restockType: 'CANCEL' }] });
      },
      setIndexLag(ms) {
        shop.settings.searchLagMs = { min: ms, max: ms };
      },
      async deliveriesOf(work) {
        const receiver = await startReceiver();
        try {
          await connector.subscribe({ callbackUrl: receiver.url }, new AbortController().signal);
          work();
          await sandbox.webhooksIdle();
          return receiver.take();
        } finally {
          receiver.stop();
        }
      },
      isPage: ({ body }) => body.includes('OrdersUpdatedSince'),
      isWrite: ({ body }) => body.includes('inventoryAdjustQuantities'),
      isThrottled: ({ body }) => body.includes('THROTTLED'),
      expireTokens: () => shop.tokens.expireAccessTokens(),
      revoke: () => shop.uninstallApp(),
      exhaust: () => shop.bucket.drain(),
      poison: (page, { ids }) =>
        spoil(page, ({ id }) => id === `gid://shopify/LineItem/${ids[1]}`, { quantity: 1.5 }),
      shelf: {
        skus: ['GOOD', 'BAD'],
        shown: (sku) => shop.available(sku),
        // A person makes a bundle of it: its figure is no longer written.
        breakSku: (sku) =>
          void Object.assign(shop.item(sku), { bundle: [{ item: shop.item('GOOD'), quantity: 1 }] }),
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
