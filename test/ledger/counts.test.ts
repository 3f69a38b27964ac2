import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Sku } from '../../src/domain/ids.ts';
import type { AdjustRequest } from '../../src/ledger/contract.ts';
import {
  back,
  count,
  levelOf,
  line,
  main,
  order,
  type OrderBench,
  orderBench,
  wmsRouting,
} from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

let bench: OrderBench;
/** The server's clock when the test began; times below are meant relative to it. */
let start: number;
beforeEach(async () => {
  bench = orderBench();
  await bench.caller.open();
  start = bench.clock.nowMs();
});
afterEach(async () => {
  await bench.close();
});

const minute = 60_000;
const hour = 60 * minute;
const sku = 's' as Sku;

/** Moves the server's clock to `start + ms`. */
let clockMs = 0;
async function at(ms: number): Promise<number> {
  await bench.stepClock(ms - clockMs);
  clockMs = ms;
  return start + ms;
}
beforeEach(() => {
  clockMs = 0;
});

function adjustment(
  movement: AdjustRequest['movement'],
  units: number,
  more: Partial<AdjustRequest> = {},
): AdjustRequest {
  return {
    operationId: `${movement}-${units}-${Math.random()}`,
    movement,
    sku,
    location: main,
    units,
    reference: 'doc',
    reason: '',
    actor: 'test',
    ...more,
  };
}

function fulfil(shipped: number, ordered = shipped) {
  return bench.orders.applyOrder(order('1', [line('a', 's', { ordered, shipped })]), wmsRouting);
}

const available = async (): Promise<number> => {
  const level = await levelOf(bench, 's');
  return level.onHand - level.committed - level.reserved;
};

describe('refuses', () => {
  test.each([
    ['half a unit', { onHand: 0.5 }],
    ['a moment that is no number', { asOfMs: Number.NaN }],
    ['a negative pick lag', { pickLagMs: -1 }],
    ['an operation without id', { operationId: '' }],
  ])('a count of %s', async (_, wrong) => {
    await expect(bench.counts.applyCount(count(bench, 's', 1, wrong))).rejects.toMatchObject({
      code: 'LEDGER_REQUEST_INVALID',
    });
  });

  test('a transfer to the same place, or of nothing', async () => {
    const transfer = { operationId: 't', sku, from: main, to: main, units: 1, reference: '', actor: 'test' };
    await expect(bench.counts.transfer(transfer)).rejects.toMatchObject({ code: 'LEDGER_REQUEST_INVALID' });
    await expect(bench.counts.transfer({ ...transfer, to: back, units: 0 })).rejects.toMatchObject({
      code: 'LEDGER_REQUEST_INVALID',
    });
  });

  test('the same operation id with other content', async () => {
    const counted = count(bench, 's', 5);
    await bench.counts.applyCount(counted);
    expect(await bench.counts.applyCount({ ...counted, onHand: 6 })).toEqual({
      kind: 'fingerprint-mismatch',
    });
    const received = adjustment('received', 5);
    await bench.counts.adjust(received);
    expect(await bench.counts.adjust({ ...received, units: 6 })).toEqual({ kind: 'fingerprint-mismatch' });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 10 });
  });

  test('a count that is older than the applied one', async () => {
    await bench.counts.applyCount(count(bench, 's', 5, { asOfMs: start - minute }));
    const page = count(bench, 's', 9, { asOfMs: start - 2 * minute });
    expect(await bench.counts.applyCount(page)).toEqual({ kind: 'stale', appliedAsOfMs: start - minute });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 5 });
  });

  test('a count within the clock skew of a movement', async () => {
    await bench.counts.adjust(adjustment('received', 5, { effectiveAtMs: start - minute }));
    for (const asOfMs of [start - minute - 1_000, start - minute + 1_000]) {
      expect(await bench.counts.applyCount(count(bench, 's', 9, { asOfMs, skewMs: 2_000 }))).toEqual({
        kind: 'ask-again',
        reason: 'within-skew',
      });
    }
    expect(
      await bench.counts.applyCount(count(bench, 's', 9, { asOfMs: start - minute + 1_000, skewMs: 500 })),
    ).toMatchObject({ kind: 'counted', onHand: 9 });
  });

  test('a count that is older than the remembered movements', async () => {
    for (let i = 1; i <= 66; i++) {
      await bench.counts.adjust(adjustment('received', 1, { effectiveAtMs: start - hour + i }));
    }
    // Two of 66 are forgotten: the second at +2 ms.
    expect(await bench.counts.applyCount(count(bench, 's', 9, { asOfMs: start - hour + 1 }))).toEqual({
      kind: 'ask-again',
      reason: 'older-than-ring',
    });
    const counted = await bench.counts.applyCount(count(bench, 's', 9, { asOfMs: start - hour + 2 }));
    expect(counted).toMatchObject({ kind: 'counted', onHand: 9 + 64 });
    await bench.audit();
  });
});

describe('a count', () => {
  test('creates the level, also at zero, and writes nothing when it agrees', async () => {
    expect(await bench.counts.applyCount(count(bench, 's', 0))).toMatchObject({ kind: 'counted', delta: 0 });
    const entries = (await bench.movements()).length;
    expect(entries).toBe(2);
    expect(await bench.counts.applyCount(count(bench, 's', 0))).toMatchObject({ kind: 'counted', delta: 0 });
    expect((await bench.movements()).length).toBe(entries);
    await bench.audit();
  });

  test('repeated after a lost reply answers its first result', async () => {
    const counted = count(bench, 's', 7);
    const first = await bench.counts.applyCount(counted);
    await bench.counts.adjust(adjustment('received', 3));
    expect(await bench.counts.applyCount(counted)).toEqual({ ...first, repeated: true });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 10 });
  });

  test('compares with the ledger, not with the count before', async () => {
    await bench.counts.applyCount(count(bench, 's', 7, { asOfMs: start - hour }));
    await bench.counts.adjust(adjustment('adjusted', -2, { effectiveAtMs: start - minute }));
    expect(await bench.counts.applyCount(count(bench, 's', 7, { asOfMs: start }))).toMatchObject({
      delta: 2,
    });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 7 });
  });

  test('does not undo a later movement that was applied before it', async () => {
    await bench.counts.applyCount(count(bench, 's', 20, { asOfMs: start - hour }));
    await bench.counts.adjust(adjustment('adjusted', -3, { effectiveAtMs: start - minute + 10_000 }));
    await bench.counts.applyCount(count(bench, 's', 18, { asOfMs: start - minute }));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 15 });
    await bench.audit();
  });

  test('is not moved by an earlier movement that arrives after it', async () => {
    await bench.counts.applyCount(count(bench, 's', 18, { asOfMs: start - minute }));
    await bench.counts.adjust(adjustment('adjusted', -3, { effectiveAtMs: start - minute - 10_000 }));
    await bench.counts.adjust(adjustment('received', 4, { effectiveAtMs: start - minute - 10_000 }));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 18 });
    await bench.counts.adjust(adjustment('adjusted', -3, { effectiveAtMs: start - minute + 1 }));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 15 });
    await bench.audit();
  });

  test('near a late movement believes the loss and not the gain', async () => {
    await bench.counts.applyCount(count(bench, 's', 18, { asOfMs: start - minute, skewMs: 1_000 }));
    await bench.counts.adjust(adjustment('adjusted', -3, { effectiveAtMs: start - minute - 500 }));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 15 });
    await bench.counts.adjust(adjustment('received', 4, { effectiveAtMs: start - minute + 500 }));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 15 });
  });

  test('from a clock ahead of ours is true as of now', async () => {
    await bench.counts.applyCount(count(bench, 's', 5, { asOfMs: start + hour }));
    expect(await bench.counts.applyCount(count(bench, 's', 6, { asOfMs: await at(minute) }))).toMatchObject({
      kind: 'counted',
    });
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 6 });
  });
});

describe('where a WMS owns on-hand', () => {
  test('a label is not a pick: the unit stays subtracted until the pick lag has passed', async () => {
    await bench.counts.applyCount(count(bench, 's', 10, { asOfMs: start }));
    await at(hour);
    await fulfil(1);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 10, committed: 1, reserved: 0 });
    const noon = count(bench, 's', 10, { asOfMs: await at(3 * hour), pickLagMs: 8 * hour });
    expect(await bench.counts.applyCount(noon)).toMatchObject({ closedShipping: 0 });
    expect(await available()).toBe(9);
    const evening = count(bench, 's', 9, { asOfMs: await at(10 * hour), pickLagMs: 8 * hour });
    expect(await bench.counts.applyCount(evening)).toMatchObject({ closedShipping: 1, delta: -1 });
    expect(await levelOf(bench, 's')).toEqual({ onHand: 9, committed: 0, reserved: 0 });
    await bench.audit();
  });

  test('pick, count, then the fulfilment: lowered once', async () => {
    await bench.counts.applyCount(count(bench, 's', 10, { asOfMs: start }));
    await bench.orders.applyOrder(order('1', [line('a', 's', { ordered: 1 })]), wmsRouting);
    await bench.counts.applyCount(count(bench, 's', 9, { asOfMs: await at(2 * minute) }));
    await at(5 * minute);
    await fulfil(1);
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 9 });
    const following = count(bench, 's', 9, { asOfMs: await at(hour) });
    expect(await bench.counts.applyCount(following)).toMatchObject({ closedShipping: 1 });
    expect(await levelOf(bench, 's')).toEqual({ onHand: 9, committed: 0, reserved: 0 });
    await bench.audit();
  });

  test('its own shipment closes the mark and lowers on-hand; available does not move', async () => {
    await bench.counts.applyCount(count(bench, 's', 10, { asOfMs: start - hour }));
    await fulfil(2);
    expect(await available()).toBe(8);
    await bench.counts.adjust(adjustment('shipped', -2));
    expect(await levelOf(bench, 's')).toEqual({ onHand: 8, committed: 0, reserved: 0 });
    // Counted after it as of a moment before it: the shipment stays.
    await bench.counts.applyCount(count(bench, 's', 10, { asOfMs: start - minute }));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8 });
    await bench.audit();
  });

  test('a late report of a shipment that the count contains closes its mark only', async () => {
    await fulfil(2);
    await bench.counts.applyCount(count(bench, 's', 8, { asOfMs: await at(minute), pickLagMs: hour }));
    expect(await levelOf(bench, 's')).toMatchObject({ onHand: 8, committed: 2 });
    await bench.counts.adjust(adjustment('shipped', -2, { effectiveAtMs: start }));
    expect(await levelOf(bench, 's')).toEqual({ onHand: 8, committed: 0, reserved: 0 });
    await bench.audit();
  });

  test('a channel neither restocks nor writes off there, and an unfulfilment takes its mark back', async () => {
    await bench.counts.applyCount(count(bench, 's', 10, { asOfMs: start }));
    const at2 = { source: 'fetch', beganAtMs: 2_000 } as const;
    const apply = (counters: object, more = {}) =>
      bench.orders.applyOrder(order('1', [line('a', 's', counters)], more), wmsRouting);
    await apply({ ordered: 4, shipped: 2, writtenOff: 1, restocked: 1 });
    expect(await levelOf(bench, 's')).toEqual({ onHand: 10, committed: 4, reserved: 0 });
    await apply({ ordered: 4, shipped: 1, writtenOff: 1, restocked: 1 }, at2);
    expect(await levelOf(bench, 's')).toEqual({ onHand: 10, committed: 4, reserved: 0 });
    await bench.counts.applyCount(count(bench, 's', 8, { asOfMs: await at(hour) }));
    expect(await levelOf(bench, 's')).toEqual({ onHand: 8, committed: 2, reserved: 0 });
    await bench.audit();
  });

  test('more marks than are kept merge into later ones: none is closed too early', async () => {
    await bench.counts.applyCount(count(bench, 's', 100, { asOfMs: start }));
    for (let i = 1; i <= 70; i++) {
      await at(i * minute);
      await fulfil(i);
    }
    const early = count(bench, 's', 95, { asOfMs: await at(71 * minute), pickLagMs: 66 * minute });
    // Marks up to minute 5 would be closed; they were merged into the one of minute 7.
    expect(await bench.counts.applyCount(early)).toMatchObject({ closedShipping: 0 });
    const late = count(bench, 's', 30, { asOfMs: await at(200 * minute), pickLagMs: minute });
    expect(await bench.counts.applyCount(late)).toMatchObject({ closedShipping: 70 });
    expect(await levelOf(bench, 's')).toEqual({ onHand: 30, committed: 0, reserved: 0 });
    await bench.audit();
  });
});

describe('a transfer', () => {
  test('moves on-hand once, whoever repeats it', async () => {
    await bench.counts.adjust(adjustment('received', 5));
    const transfer = { operationId: 't', sku, from: main, to: back, units: 3, reference: 'd', actor: 'test' };
    const first = await bench.counts.transfer(transfer);
    expect(first).toMatchObject({ kind: 'adjusted', repeated: false });
    expect(await bench.counts.transfer(transfer)).toEqual({ ...first, repeated: true });
    expect(await bench.counts.transfer({ ...transfer, units: 4 })).toEqual({ kind: 'fingerprint-mismatch' });
    expect(await levelOf(bench, 's', main)).toMatchObject({ onHand: 2 });
    expect(await levelOf(bench, 's', back)).toMatchObject({ onHand: 3 });
    await bench.audit();
  });
});
