import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ListingId } from '../../src/domain/ids.ts';
import { LogHistory } from '../../src/ledger/log-history.ts';
import { FanOut } from '../../src/mesh/fan-out.ts';
import { type OrderBench, orderBench } from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { channel, receive } from '../support/stock.ts';

failOnLeakedConnections();

const shop = channel('shop');
let bench: OrderBench;
beforeEach(async () => {
  bench = orderBench();
  await bench.caller.open();
});
afterEach(() => bench.close());

test('a resync that is asked for while the channel catches up is not lost', async () => {
  await receive(bench, 'X', 5);
  const history = new LogHistory(bench.redis, bench.keys);
  await bench.mesh.moveCursor(`log:${shop}`, '0-0', 'position');
  const reading = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const fanOut = new FanOut({
    ledger: bench.publisher,
    mesh: bench.mesh,
    history: {
      head: () => history.head(),
      // The page that makes it live, read before somebody asks for the resync.
      async after(from, count) {
        const page = await history.after(from, count);
        reading.resolve();
        await asked.promise;
        return page;
      },
    },
    log: pino({ level: 'silent' }),
  });
  const listings = ['one', 'two'] as ListingId[];
  const offered = new Set<ListingId>();
  fanOut.join({
    channel: shop,
    listingsOf: () => [],
    allListings: () => listings,
    offer: (rows) => rows.forEach(({ listingId }) => offered.add(listingId)),
  });
  await reading.promise;
  await bench.mesh.moveCursor(`full:${shop}`, 'wanted', 'opaque');
  fanOut.resync(shop);
  asked.resolve();
  await expect.poll(() => bench.mesh.cursor(`full:${shop}`)).toBe('');
  expect(offered).toEqual(new Set(listings));
  await fanOut.close();
});
