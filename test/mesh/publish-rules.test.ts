import { describe, expect, it } from 'vitest';
import type { ConnectorCapabilities } from '../../src/connectors/connector.ts';
import { untouchedListing } from '../../src/domain/listing.ts';
import type { CompletedWalk } from '../../src/mesh/order-poll.ts';
import { publishRules } from '../../src/mesh/publish-rules.ts';

const indexLagMs = 10_000;
const capabilities: ConnectorCapabilities = {
  writes: 'delta',
  idempotencyKey: true,
  idempotencyWindowMs: 82_800_000,
  lowerBatchSize: 250,
  raiseBatchSize: 10,
  fetchOrdersBatchSize: 50,
  readStockBatchSize: 250,
  zeroAllowed: true,
  perLocation: true,
  pushes: true,
  applyGraceMs: 0,
  longestApplyMs: 0,
  readLagMs: 0,
  orderIndexLagMs: indexLagMs,
  requestTimeoutMs: 10_000,
};
const skewMs = 2_000;
const readAtMs = 1_000_000;
const provenAtMs = readAtMs + indexLagMs + skewMs;

/** A base that was read at `readAtMs` of our clock, dated by a platform whose clock is `aheadMs` before ours. */
function unsettled(aheadMs: number) {
  return {
    ...untouchedListing,
    base: { value: 5, takenAt: 0, asOfMs: readAtMs + aheadMs, settled: false },
  };
}

function walkAt(beganAtMs: number, aheadMs: number): CompletedWalk {
  const askedAtMs = beganAtMs + aheadMs;
  return { beganAtMs, askedAtMs, upperBoundMs: askedAtMs - indexLagMs, orders: 0, movements: 0 };
}

describe('a platform whose clock differs from ours', () => {
  for (const aheadMs of [0, 90_000, -90_000]) {
    it(`by ${aheadMs} ms: a walk speaks for a read of the same clock, no earlier and no later`, () => {
      const rules = publishRules(capabilities);
      const state = unsettled(aheadMs);
      expect(rules.pulled(state, walkAt(provenAtMs, aheadMs)).next.base?.settled).toBe(false);
      expect(rules.pulled(state, walkAt(provenAtMs + 1, aheadMs)).next.base?.settled).toBe(true);
    });

    it(`by ${aheadMs} ms: the walk that is waited for is named by our clock once one walk was seen`, () => {
      const rules = publishRules(capabilities);
      const state = unsettled(aheadMs);
      expect(rules.pullAwaitedMs(state)).toBe(0);
      rules.pulled(state, walkAt(readAtMs + 1, aheadMs));
      expect(rules.pullAwaitedMs(state)).toBe(provenAtMs);
    });
  }

  it('a walk that claims less than it asked for does not put off the next one', () => {
    const rules = publishRules(capabilities);
    const state = unsettled(0);
    rules.pulled(state, walkAt(readAtMs + 1, 0));
    rules.pulled(state, walkAt(readAtMs + 2, -3_600_000));
    expect(rules.pullAwaitedMs(state)).toBe(provenAtMs);
  });

  it('without a date from the platform our clock stands for its own', () => {
    const rules = publishRules(capabilities);
    const walk = { ...walkAt(provenAtMs + 1, 0), askedAtMs: undefined, upperBoundMs: 0 };
    expect(rules.pulled(unsettled(0), walk).next.base?.settled).toBe(true);
  });
});
