import type { Order } from '../../sandbox/tiktok/model.ts';
import { startTiktokSandbox } from '../../sandbox/tiktok/server.ts';
import { createTiktokConnector } from '../../src/connectors/tiktok/tiktok-connector.ts';
import { FaultyProxy } from './faulty-proxy.ts';
import type { PlatformUnderTest, Thing } from './platform.ts';
import { realPorts } from './real-ports.ts';
import { spoil } from './spoil.ts';
import { startReceiver } from './webhook-receiver.ts';

const shopId = '7494049642642441621';
const appKey = '38abcd';
const appSecret = '15abf8a4972afd1f275d5b19bfa9a17e0d142aa7';
const unitsPerOrder = 6;

/** Its items of one SKU are one line, which has the SKU's id. */
const thingOf = (order: Order): Thing => ({
  key: order.id,
  ids: [order.id, ...new Set(order.lines.map(({ sku }) => sku.id))],
});

export const tiktok: PlatformUnderTest = {
  name: 'TikTok Shop',
  async start({ indexLagMs = 0, requestTimeoutMs = 5_000 } = {}) {
    const settings = { requestsPerS: null, numericIds: true };
    const sandbox = await startTiktokSandbox({ shops: [{ id: shopId, appKey, appSecret, settings }] });
    const shop = sandbox.shop(shopId);
    const proxy = await FaultyProxy.start(sandbox.url);
    const ports = realPorts();
    shop.inventory.addProduct({
      skus: [
        { sku: 'THING', quantities: 90_000 },
        { sku: 'GOOD', quantities: 50 },
        { sku: 'BAD', quantities: 50 },
      ],
    });
    const connector = createTiktokConnector({
      ...ports,
      shop: shopId,
      baseUrl: proxy.url,
      credentials: { appKey, appSecret, ...shop.tokens.issue() },
      requestTimeoutMs,
      maxWriteWaitMs: 0,
      orderIndexLagMs: indexLagMs,
      writesPerS: 100,
      readsPerS: 200,
    });
    let isClockMoved = false;
    return {
      connector,
      proxy,
      renewals: () => ports.renewals(),
      advance(ms) {
        isClockMoved = true;
        ports.advance(ms);
      },
      thingsOverPages: 210,
      // A walk ends with the last second that is over for sure.
      settleMs: 2_100,
      happen() {
        const placed = shop.orders.place({ lines: [{ sku: 'THING', quantity: unitsPerOrder }] });
        if (placed.kind === 'refused') throw new Error('refused');
        return thingOf(placed.order);
      },
      change(thing) {
        const order = shop.orders.order(thing.key);
        const open = order.lines.find(({ status }) => status !== 'CANCELLED');
        if (open !== undefined) shop.orders.cancel(order, [open.id]);
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
      isPage: ({ path }) => path.includes('/orders/search'),
      isWrite: ({ path }) => path.includes('/inventory/update'),
      isThrottled: ({ status, body }) => status === 429 || body.includes('36009002'),
      expireTokens: () => shop.tokens.expireAccessTokens(),
      revoke: () => shop.deauthorise(),
      exhaust() {
        shop.settings.requestsPerS = 1;
        shop.limit.take('inventory-update', Date.now(), 1);
      },
      poison: (page, { key }) => {
        const [first] = shop.orders.order(key).lines;
        return spoil(page, ({ id }) => id === first?.id, { sku_id: null, id: null });
      },
      shelf: {
        skus: ['GOOD', 'BAD'],
        shown: (sku) => shop.available(sku),
        breakSku: (sku) => shop.refuseUpdates(sku, 12_052_049),
      },
      // The first request after this machine's clock was set is stamped wrongly; its answer tells.
      violations: () =>
        sandbox.violations().filter(({ kind }) => !isClockMoved || kind !== 'stale-timestamp'),
      async stop() {
        await proxy.stop();
        await sandbox.stop();
        await ports.stop();
      },
    };
  },
};
