import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Pace } from '../../../src/connectors/tiktok/pace.ts';
import { MemoryLimiter, never } from '../shopify/parts.ts';
import { sandboxRig } from './parts.ts';

function paceOf(startPerS = 2) {
  let nowMs = 1_000_000;
  const limiter = new MemoryLimiter();
  const pace = new Pace(limiter, { nowMs: () => nowMs }, () => startPerS);
  const told = () => limiter.learned.at(-1);
  return { pace, limiter, told, advance: (ms: number) => (nowMs += ms) };
}

describe('the pace', () => {
  test('starts as told, before the first request', async () => {
    const { pace, limiter } = paceOf();
    await pace.acquire('inventory-update', { maxWaitMs: 10, signal: never });
    expect(limiter.learned).toEqual([{ capacity: 2, available: 2, refillPerS: 2, pauseMs: 0 }]);
  });

  test('rises by half a request per second each second of success, up to its ceiling', () => {
    const { pace, told } = paceOf();
    for (let request = 0; request < 40; request++) pace.succeeded('a');
    // 40 requests at about 3 per second are some 13 seconds.
    expect(told()?.refillPerS).toBeGreaterThan(5);
    expect(told()?.refillPerS).toBeLessThan(9);
    for (let request = 0; request < 20_000; request++) pace.succeeded('a');
    expect(told()?.refillPerS).toBeGreaterThan(47);
    expect(told()?.refillPerS).toBeLessThanOrEqual(50);
  });

  test('halves once for requests refused together, and rests longer each time', () => {
    const { pace, told, advance } = paceOf(8);
    const pauses = [
      pace.throttled('a', undefined),
      pace.throttled('a', undefined),
      pace.throttled('a', undefined),
    ];
    expect(pauses).toEqual([1_000, 1_000, 1_000]);
    expect(told()).toMatchObject({ refillPerS: 4, available: 0 });
    advance(1_500);
    expect(pace.throttled('a', undefined)).toBe(2_000);
    expect(told()?.refillPerS).toBe(2);
    for (let time = 0; time < 20; time++) {
      advance(60_000);
      expect(pace.throttled('a', undefined)).toBeLessThanOrEqual(30_000);
    }
    expect(told()?.refillPerS).toBe(0.2);
  });

  test('rests as long as TikTok says, where it says', () => {
    expect(paceOf().pace.throttled('a', 7_000)).toBe(7_000);
  });

  test('of one operation says nothing about another', () => {
    const { pace, limiter } = paceOf();
    pace.throttled('a', undefined);
    pace.succeeded('b');
    expect(limiter.learned.at(-1)?.refillPerS).toBeGreaterThan(2);
  });
});

test('a storm of refusals is waited out by reads, and the platform is not asked more often for it', async () => {
  await using rig = await sandboxRig();
  rig.shop.inventory.addProduct({ skus: [{ sku: 'MUG', quantities: 5 }] });
  rig.shop.faults.set([{ kind: 'throttled', operation: 'inventory-search', count: 3, retryAfterS: 0.05 }]);
  const { rows } = await rig.connector.readStock([rig.row('MUG', 0).ref], never);
  expect(rows).toHaveLength(1);
  const asked = rig.sandbox.records.requests
    .all()
    .filter(({ operation }) => operation === 'inventory-search');
  expect(asked).toHaveLength(4);
});

test('a limit nobody announced is found: every write arrives, and no Retry-After is ignored', async () => {
  await using rig = await sandboxRig(
    { settings: { requestsPerS: 4, sendsRetryAfter: true } },
    { writesPerS: 20 },
  );
  const skus = Array.from({ length: 9 }, (_, index) => `S${index}`);
  for (const sku of skus) rig.shop.inventory.addProduct({ skus: [{ sku, quantities: 9 }] });
  await rig.listings();
  let refusals = 0;
  for (const sku of skus) {
    for (;;) {
      const { rows, throttledForMs } = await rig.put(rig.row(sku, 3));
      if (throttledForMs === undefined) {
        expect(rows).toEqual([{ kind: 'accepted' }]);
        break;
      }
      refusals++;
      await delay(throttledForMs);
    }
  }
  expect(skus.map((sku) => rig.shop.available(sku))).toEqual(skus.map(() => 3));
  expect(refusals).toBeGreaterThan(0);
  expect(refusals).toBeLessThan(5);
  expect(rig.sandbox.violations()).toEqual([]);
});
