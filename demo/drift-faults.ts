// Long on purpose: the faults one after the other, each with its plant and what has to become of it.
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Adjustment } from '../sandbox/wms/adjustments.ts';
import type { FourPlatforms } from './emulators/four-platforms.ts';

/** What is done to the platforms behind the daemon's back, and what has to become of it. */
export interface PlantedFault {
  readonly name: string;
  readonly channel: string;
  readonly sku: string;
  /** The verdict that is right; `none`: the mesh itself must cope, without a finding of another name. */
  readonly verdict: string;
  readonly cause: string;
  /** The regular poll may bring it before reconciliation asks: then there is nothing to find. */
  readonly isPolled?: boolean;
  /** Planted before the others: it needs the channel for itself. */
  readonly isFirst?: boolean;
  /** Which of ledger, channel and warehouse stands alone, where it can be said. */
  readonly odd?: 'ledger' | 'channel' | 'warehouse';
  plant(): void | Promise<void>;
  /** Whether everything is right again, or what could not be repaired waits as it must. */
  isRight(finding: FoundFinding | undefined): boolean;
  stop?(): void;
}

/** Where a fault has to be planted inside the daemon. */
export interface PlantedDaemon {
  readonly redis: Redis;
  readonly prefix: string;
  post(path: string, body: object): Promise<unknown>;
}

export interface FoundFinding {
  readonly id: string;
  readonly channel: string;
  readonly sku: string;
  readonly verdict: string;
  readonly cause: string;
  readonly odd: string;
  readonly state: string;
  readonly units: number;
  readonly rule: string;
}

/** SKUs that nothing but their fault happens to, and the one that sells all the time. */
export const faultSkus = [
  'LOST-WEBHOOK',
  'MISSED-CANCEL',
  'HAND-EDIT',
  'DISCONNECTED',
  'TWO-WRITERS',
  'REVERTED-WRITE',
  'UNTRACKED',
  'DUPLICATE',
  'LOST-MARK',
  'RESTORED',
  'TIKTOK-EDIT',
  'AMAZON-EDIT',
  'AMAZON-CANCEL',
  // Last: see `loadSkus`.
  'TIKTOK-GONE',
] as const;
export const hotSku = 'HOT';

/** Every fault of the platforms' and the warehouse's; each has a SKU of its own, except the one in the middle of the sales. */
export function plannedFaults(
  platforms: FourPlatforms,
  adjustments: readonly Adjustment[],
  shelf: (sku: string) => readonly number[],
  daemon: PlantedDaemon,
): readonly PlantedFault[] {
  const { shopify, amazon, tiktok, wms } = platforms;
  const [north, south, east] = shopify.shops;
  if (north === undefined || south === undefined || east === undefined)
    throw new Error('three shops are needed');
  /** Nothing of what happens in here is told to the daemon. */
  const unheard = (shop: typeof north, work: () => void): void => {
    shop.setWebhookBehaviour({ lossProbability: 1 });
    work();
    shop.setWebhookBehaviour({ lossProbability: 0 });
  };
  const allShow = (sku: string, units: number): boolean => shelf(sku).every((shown) => shown === units);
  const isEqual = (sku: string): boolean => new Set(shelf(sku)).size === 1;
  const isDone = (finding: FoundFinding | undefined): boolean => finding?.state === 'resolved';
  const sell = (shop: typeof north, sku: string, quantity: number): string => {
    const placed = shop.placeOrder({ lines: [{ sku, quantity }] });
    if (placed.kind === 'refused') throw new Error(`${sku} was refused`);
    return placed.order.id;
  };
  let writer: NodeJS.Timeout | undefined;
  let markLeft = 200;
  const cancelling = Promise.withResolvers<void>();
  return [
    {
      name: 'mark of a change that was lost before it was published',
      channel: east.name,
      sku: 'LOST-MARK',
      verdict: 'lost-publication',
      cause: 'not-published',
      odd: 'channel',
      isFirst: true,
      // A publisher that begins anew may look at the listing for another reason: then there is nothing to find.
      isPolled: true,
      async plant() {
        // Whoever publishes the channel may have looked at the listing on its way out: then it is planted again.
        for (let attempt = 1; attempt <= 3; attempt++) {
          markLeft -= 7;
          if (await loseMark(daemon, platforms, east.name, () => void sell(south, 'LOST-MARK', 7), markLeft))
            return;
        }
      },
      isRight: (finding) => (finding === undefined || isDone(finding)) && allShow('LOST-MARK', markLeft),
    },
    {
      name: 'order whose webhook is lost',
      // A shop without faults that ask for orders: a pull of theirs would bring it.
      channel: east.name,
      sku: 'LOST-WEBHOOK',
      verdict: 'missed-order',
      cause: 'order-not-heard',
      odd: 'ledger',
      isPolled: true,
      async plant() {
        await cancelling.promise;
        unheard(east, () => void sell(east, 'LOST-WEBHOOK', 4));
      },
      isRight: (finding) => (finding === undefined || isDone(finding)) && allShow('LOST-WEBHOOK', 196),
    },
    {
      name: 'cancellation whose webhook is lost',
      channel: east.name,
      sku: 'MISSED-CANCEL',
      verdict: 'missed-order',
      cause: 'cancellation-not-heard',
      odd: 'ledger',
      isPolled: true,
      async plant() {
        const cancelled = sell(east, 'MISSED-CANCEL', 6);
        await until(() => allShow('MISSED-CANCEL', 194), 'the order is on every shelf');
        unheard(east, () => void east.cancelOrder(cancelled, { restock: true }));
        cancelling.resolve();
      },
      isRight: (finding) => (finding === undefined || isDone(finding)) && allShow('MISSED-CANCEL', 200),
    },
    {
      name: 'number edited by hand in the shop',
      channel: north.name,
      sku: 'HAND-EDIT',
      verdict: 'edited-on-channel',
      cause: 'hand-edit',
      odd: 'channel',
      plant: () => unheard(north, () => void north.editStock('HAND-EDIT', 230)),
      isRight: (finding) => isDone(finding) && allShow('HAND-EDIT', 200),
    },
    {
      name: 'cancelled units put back although the shop says they are lost',
      channel: south.name,
      sku: 'RESTORED',
      verdict: 'edited-on-channel',
      cause: 'restored-on-cancel',
      async plant() {
        const lost = sell(south, 'RESTORED', 5);
        await until(() => allShow('RESTORED', 195), 'the order is on every shelf');
        south.cancelOrder(lost, { restock: false });
        unheard(south, () => void south.editStock('RESTORED', 200));
      },
      isRight: (finding) => isDone(finding) && isEqual('RESTORED'),
    },
    {
      name: 'second item with the SKU of another',
      channel: north.name,
      sku: 'DUPLICATE',
      verdict: 'unmapped',
      cause: 'sku-unknown',
      plant: () => unheard(north, () => void north.addItem({ sku: 'DUPLICATE', quantities: 200 })),
      isRight: (finding) => finding?.state === 'open',
    },
    {
      name: 'number edited in the middle of its sales',
      channel: south.name,
      sku: hotSku,
      verdict: 'edited-on-channel',
      cause: 'hand-edit',
      plant: () => unheard(south, () => void south.editStock(hotSku, south.available(hotSku) + 50)),
      isRight: (finding) => isDone(finding),
    },
    {
      name: 'location disconnected',
      channel: north.name,
      sku: 'DISCONNECTED',
      verdict: 'inactive',
      cause: 'deactivated',
      plant: () => {
        const level = north.level('DISCONNECTED');
        if (level === null) throw new Error('no level');
        unheard(north, () => north.disconnectLevel(level));
      },
      isRight: (finding) => finding?.state === 'open',
    },
    {
      name: 'second program that writes the same number',
      channel: south.name,
      sku: 'TWO-WRITERS',
      verdict: 'edited-on-channel',
      cause: 'second-writer',
      plant: () => {
        writer = setInterval(() => {
          if (south.available('TWO-WRITERS') === 200) south.editStock('TWO-WRITERS', 207);
        }, 250);
      },
      isRight: (finding) => finding?.state === 'parked' && finding.rule.includes('both write it'),
      stop: () => clearInterval(writer),
    },
    {
      name: 'publication confirmed and not kept',
      channel: south.name,
      sku: 'REVERTED-WRITE',
      verdict: 'lost-publication',
      cause: 'write-not-applied',
      odd: 'channel',
      async plant() {
        sell(north, 'REVERTED-WRITE', 7);
        await until(() => allShow('REVERTED-WRITE', 193), 'the sale is on every shelf');
        unheard(south, () => void south.editStock('REVERTED-WRITE', 200));
      },
      isRight: (finding) => isDone(finding) && allShow('REVERTED-WRITE', 193),
    },
    {
      name: 'item no longer tracked',
      channel: north.name,
      sku: 'UNTRACKED',
      verdict: 'untracked',
      cause: 'not-tracked',
      plant: () => unheard(north, () => north.setTracked('UNTRACKED', false)),
      isRight: (finding) => finding?.state === 'open',
    },
    {
      name: 'number raised by hand on TikTok',
      channel: 'tiktok',
      sku: 'TIKTOK-EDIT',
      verdict: 'edited-on-channel',
      cause: 'hand-edit',
      plant: () => tiktok.shop.editStock('TIKTOK-EDIT', 260),
      isRight: (finding) => isDone(finding) && allShow('TIKTOK-EDIT', 200),
    },
    {
      name: 'listing deleted on TikTok',
      channel: 'tiktok',
      sku: 'TIKTOK-GONE',
      verdict: 'inactive',
      cause: 'listing-gone',
      plant: () => {
        const product = [...tiktok.shop.inventory.products.values()].find(({ skus }) =>
          skus.some(({ sellerSku }) => sellerSku === 'TIKTOK-GONE'),
        );
        if (product === undefined) throw new Error('no product');
        tiktok.shop.setProductStatus(product, 'DELETED');
      },
      isRight: (finding) => finding?.state === 'open',
    },
    {
      name: 'number lowered by hand on Amazon',
      channel: 'amazon',
      sku: 'AMAZON-EDIT',
      verdict: 'edited-on-channel',
      cause: 'hand-edit',
      plant: () => amazon.seller.listings.edit('AMAZON-EDIT', 150),
      isRight: (finding) => isDone(finding) && allShow('AMAZON-EDIT', 200),
    },
    {
      name: 'Amazon restores a cancelled order it is said to keep',
      channel: 'amazon',
      sku: 'AMAZON-CANCEL',
      verdict: 'none',
      cause: '',
      async plant() {
        const placed = amazon.seller.orders.place({ lines: [{ sku: 'AMAZON-CANCEL', quantity: 5 }] });
        if (placed.kind !== 'accepted') throw new Error('the order was refused');
        await until(() => north.available('AMAZON-CANCEL') === 195, 'the order is on the other shelves');
        amazon.seller.orders.cancel(placed.order.orderId, 'MERCHANT');
      },
      isRight: () => allShow('AMAZON-CANCEL', 200) && isEqual('AMAZON-CANCEL'),
    },
    ...adjustments.map(({ sku, units, note }): PlantedFault => {
      let left = 0;
      return {
        name: `real adjustment in the warehouse: ${units} (${note.trim() === '' ? 'no note' : note.trim()})`,
        channel: 'wms',
        sku,
        verdict: 'count-differs',
        cause: units < 0 ? 'warehouse-lost' : 'warehouse-found',
        odd: 'warehouse',
        plant: () => {
          wms.warehouse.adjust(sku, units, { reason: note });
          left = wms.warehouse.onHand(sku);
        },
        isRight: (finding) => isDone(finding) && allShow(sku, left),
      };
    }),
  ];
}

/** A sale elsewhere is marked for the channel, and the mark is lost before anything is sent; false: it was sent. */
async function loseMark(
  daemon: PlantedDaemon,
  { selling }: FourPlatforms,
  channel: string,
  sell: () => void,
  left: number,
): Promise<boolean> {
  const { redis, prefix } = daemon;
  const circuit = `/channels/${channel}/circuit`;
  await daemon.post(circuit, { state: 'open', actor: 'drift' });
  sell();
  const others = selling.filter(({ id }) => id !== channel);
  await until(
    () => others.every((one) => one.shown('LOST-MARK') === left),
    'the sale is on every other shelf',
  );
  // Whoever published the channel forgets what it had in memory, and finds no mark when it begins again.
  const lease = `publish:${channel}`;
  const token = await redis.hget(`${prefix}leases`, `token:${lease}`);
  await redis.hdel(`${prefix}leases`, lease);
  for (;;) {
    await redis.del(`${prefix}pending:${channel}`);
    if ((await redis.hget(`${prefix}leases`, `token:${lease}`)) !== token) break;
    await delay(50);
  }
  await daemon.post(circuit, { state: 'closed', actor: 'drift' });
  const isWrong = (): boolean => selling.some((one) => one.id === channel && one.shown('LOST-MARK') !== left);
  const untilMs = performance.now() + 10_000;
  while (isWrong() && performance.now() < untilMs) await delay(100);
  return isWrong();
}

export async function until(condition: () => boolean, what: string, withinMs = 60_000): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > untilMs) throw new Error(`not within ${withinMs / 1_000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
