import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SellerSettings } from '../../../sandbox/amazon/settings.ts';
import { ManualClock, type SandboxClock } from '../../../sandbox/shopify/clock.ts';
import { never, rejection } from '../shopify/parts.ts';
import { type Rig, putOf, refFor, rigFor } from './parts.ts';

let rig: Rig;
beforeEach(() => start());
afterEach(() => rig.close());

async function start(settings: Partial<SellerSettings> = {}, clock?: SandboxClock): Promise<void> {
  if (rig !== undefined) await rig.close();
  rig = await rigFor({}, settings, clock);
  rig.seller.addListing({ sku: 'MUG-1', quantity: 9, leadTimeDays: 4 });
  rig.seller.addListing({ sku: 'FBA-1', channelCode: 'AMAZON_NA', quantity: 50 });
}

const patches = () =>
  rig.sandbox.records.exchanges.all().filter((of) => of.operation === 'patchListingsItem');

describe('nothing is sent', () => {
  test('for a SKU that Amazon fulfils, also when this process never read it', async () => {
    const result = await rig.connector.write(putOf('FBA-1', 3), never);
    expect(result.rows).toMatchObject([{ kind: 'rejected', isPermanent: true }]);
    expect(patches()).toEqual([]);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('for a listing of an Amazon warehouse', async () => {
    const batch = { ...putOf('FBA-1', 3), rows: [{ ref: refFor('FBA-1', 'AMAZON_NA'), from: 0, to: 3 }] };
    expect((await rig.connector.write(batch, never)).rows).toMatchObject([{ kind: 'rejected' }]);
    expect(patches()).toEqual([]);
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 53, 1_000_000_001])('for the quantity %s', async (to) => {
    const result = await rig.connector.write(putOf('MUG-1', to), never);
    expect(result.rows).toMatchObject([{ kind: 'rejected', isPermanent: true }]);
    expect(patches()).toEqual([]);
  });

  test.each(['.', '..', 'nobody-knows'])('for the SKU %s', async (sku) => {
    expect((await rig.connector.write(putOf(sku, 1), never)).rows).toMatchObject([{ kind: 'rejected' }]);
    expect(patches()).toEqual([]);
  });

  test('for a compare-and-set or several rows', async () => {
    const repair = { ...putOf('MUG-1', 1), kind: 'repair' as const };
    expect((await rejection(rig.connector.write(repair, never))).code).toBe('CONNECTOR_REQUEST_REFUSED');
    const row = { ref: refFor('MUG-1'), from: 0, to: 1 };
    const two = { ...putOf('MUG-1', 1), rows: [row, row] };
    expect((await rejection(rig.connector.write(two, never))).code).toBe('CONNECTOR_REQUEST_REFUSED');
  });

  test('while the budget is used up: nothing was applied', async () => {
    rig.limiter.empty.add('patchListingsItem');
    const result = await rig.connector.write(putOf('MUG-1', 1), never);
    expect(result.rows).toEqual([{ kind: 'not-applied' }]);
    expect(result.throttledForMs).toBeGreaterThan(0);
  });
});

test('accepted is not confirmed, and keeps what merge keeps', async () => {
  const result = await rig.connector.write(putOf('MUG-1', 3), never);
  expect(result).toMatchObject({ rows: [{ kind: 'accepted' }] });
  expect(result.platformReference).toBeTypeOf('string');
  await expect.poll(() => rig.seller.listings.quantity('MUG-1')).toBe(3);
  expect(rig.seller.listings.listings.get('MUG-1')?.availability.get('DEFAULT')?.leadTimeDays).toBe(4);
  expect(patches()[0]?.requestBody).toEqual({
    productType: 'HOME',
    patches: [
      {
        op: 'merge',
        path: '/attributes/fulfillment_availability',
        value: [{ fulfillment_channel_code: 'DEFAULT', quantity: 3 }],
      },
    ],
  });
  expect(patches()[0]?.query['marketplaceIds']).toBe('ATVPDKIKX0DER');
  expect(rig.sandbox.violations()).toEqual([]);
});

test('zero goes out like any number', async () => {
  expect((await rig.connector.write(putOf('MUG-1', 0), never)).rows).toEqual([{ kind: 'accepted' }]);
  await expect.poll(() => rig.seller.listings.quantity('MUG-1')).toBe(0);
});

test('HTTP 200 with the status INVALID is a refusal with its reasons', async () => {
  await rig.connector.readStock([refFor('MUG-1')], never);
  rig.seller.listings.listings.delete('MUG-1');
  const result = await rig.connector.write(putOf('MUG-1', 3), never);
  expect(result.rows).toMatchObject([{ kind: 'rejected', isPermanent: true }]);
  expect(JSON.stringify(result.rows)).toContain('does not exist');
});

test.each([
  ['the answer is lost', 'lose-response', {}],
  ['the answer is cut', 'truncate', {}],
  ['a 503 follows what was carried out', 'status-after', { status: 503 }],
  ['no answer comes', 'hang-after', {}],
] as const)('%s: may or may not be applied', async (_what, kind, more) => {
  rig.seller.setFaults([{ kind, operation: 'patchListingsItem', count: 1, ...more }]);
  // Long enough for a pause of the process before Amazon has read it.
  const connector = kind === 'hang-after' ? rig.second({ requestTimeoutMs: 3_000 }) : rig.connector;
  const result = await connector.write(putOf('MUG-1', 3), never);
  expect(result.rows).toMatchObject([{ kind: 'unknown' }]);
  // Never repeated by the connector: only a read may decide what is sent next.
  expect(patches()).toHaveLength(1);
});

test('a 429 applies nothing, pauses the operation for all, and counts as no failure', async () => {
  // A clock that stands still: nothing is refilled before the write comes.
  await start({ rateLimit: true }, new ManualClock(Date.now()));
  await rig.connector.readStock([refFor('MUG-1')], never);
  rig.seller.buckets.drain('patchListingsItem');
  const result = await rig.connector.write(putOf('MUG-1', 3), never);
  expect(result.rows).toEqual([{ kind: 'not-applied' }]);
  expect(result.throttledForMs).toBeGreaterThanOrEqual(200);
  const told = rig.limiter.learned.filter(({ operation }) => operation === 'patchListingsItem');
  expect(told.at(-1)?.budget).toMatchObject({ available: 0 });
  expect(told.at(-1)?.budget.pauseMs).toBeGreaterThanOrEqual(200);
  expect(patches().map(({ status }) => status)).toEqual([429]);
  expect(rig.seller.listings.quantity('MUG-1')).toBe(9);
});

test('a token that ends between two writes costs one renewal, and the write goes through', async () => {
  await rig.connector.write(putOf('MUG-1', 3), never);
  rig.seller.tokens.expireAll();
  expect((await rig.connector.write(putOf('MUG-1', 2), never)).rows).toEqual([{ kind: 'accepted' }]);
  await expect.poll(() => rig.seller.listings.quantity('MUG-1')).toBe(2);
});

test('a 500 of Amazon before anything is unknown too: nothing tells it from one after', async () => {
  await rig.connector.readStock([refFor('MUG-1')], never);
  rig.seller.setFaults([{ kind: 'status', operation: 'patchListingsItem', status: 500 }]);
  expect((await rig.connector.write(putOf('MUG-1', 3), never)).rows).toMatchObject([{ kind: 'unknown' }]);
});

test('what it says about the limits', () => {
  expect(rig.connector.capabilities).toMatchObject({
    writes: 'absolute',
    idempotencyKey: false,
    lowerBatchSize: 1,
    raiseBatchSize: 1,
    applyGraceMs: 900_000,
    readStockBatchSize: 20,
  });
});
