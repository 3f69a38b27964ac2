import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ParkedEntry } from '../../src/ledger/contract.ts';
import { RedisMeshState } from '../../src/ledger/mesh-state.ts';
import { ledgerParts } from '../support/ledger-parts.ts';
import { type OrderBench, orderBench, shop } from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

let bench: OrderBench;
beforeEach(() => {
  bench = orderBench();
});
afterEach(async () => {
  await bench.close();
});

describe('a cursor', () => {
  test.each([
    ['position', 'five'],
    ['position', '5'],
    ['number', '5.1'],
    ['number', '-1'],
    ['number', '007'],
    ['number', ''],
  ] as const)('of order %s is not %j', async (kind, to) => {
    await expect(bench.mesh.moveCursor('c', to, kind)).rejects.toMatchObject({
      code: 'LEDGER_REQUEST_INVALID',
    });
    expect(await bench.mesh.cursor('c')).toBeNull();
  });

  test('never moves back, in whatever order its movers come', async () => {
    const moves = ['9', '10', '9', '9007199254740993', '9007199254740992'];
    const answers = [];
    for (const to of moves) answers.push(await bench.mesh.moveCursor('n', to, 'number'));
    expect(answers).toEqual(['moved', 'moved', 'kept', 'moved', 'kept']);
    expect(await bench.mesh.cursor('n')).toBe('9007199254740993');
    for (const to of ['7-99', '8-1', '7-100']) await bench.mesh.moveCursor('p', to, 'position');
    expect(await bench.mesh.cursor('p')).toBe('8-1');
  });

  test('repeated after a lost reply has moved', async () => {
    expect(await bench.mesh.moveCursor('n', '5', 'number')).toBe('moved');
    expect(await bench.mesh.moveCursor('n', '5', 'number')).toBe('moved');
    expect(await bench.mesh.moveCursor('o', 'a', 'opaque', null)).toBe('moved');
    expect(await bench.mesh.moveCursor('o', 'a', 'opaque', null)).toBe('moved');
  });

  test('that is opaque moves only from what its mover has read', async () => {
    expect(await bench.mesh.moveCursor('o', 'b', 'opaque', 'a')).toBe('kept');
    expect(await bench.mesh.moveCursor('o', 'a', 'opaque', null)).toBe('moved');
    expect(await bench.mesh.moveCursor('o', 'b', 'opaque', null)).toBe('kept');
    expect(await bench.mesh.moveCursor('o', 'b', 'opaque', 'a')).toBe('moved');
    expect(await bench.mesh.moveCursor('o', '', 'opaque', 'b')).toBe('moved');
    expect(await bench.mesh.cursor('o')).toBe('');
    expect(await bench.mesh.moveCursor('o', 'c', 'opaque', '')).toBe('moved');
  });
});

describe('a period', () => {
  test('is taken once in the cluster, also an older one that comes late', async () => {
    const other = ledgerParts({ merchant: bench.merchant });
    await bench.caller.open();
    const second = new RedisMeshState(other.caller);
    const taken = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        (i % 2 ? second : bench.mesh).takePeriod('poll', '2026-11-21T03:00'),
      ),
    );
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect(await bench.mesh.takePeriod('poll', '2026-11-21T03:01')).toBe(true);
    expect(await second.takePeriod('poll', '2026-11-21T03:00')).toBe(false);
    expect(await second.takePeriod('other task', '2026-11-21T03:00')).toBe(true);
    expect(await bench.mesh.takePeriod('count', '9')).toBe(true);
    expect(await bench.mesh.takePeriod('count', '10')).toBe(true);
    await other.close();
  });

  test('is still ours when the reply was lost', async () => {
    const args = ['poll', '1', 'nonce'];
    expect((await bench.caller.call('take-period', args)).outcome).toBe('taken');
    expect((await bench.caller.call('take-period', args)).outcome).toBe('taken');
    expect((await bench.caller.call('take-period', ['poll', '1', 'another'])).outcome).toBe('missed');
  });
});

function parked(id: string, more: Partial<ParkedEntry> = {}): ParkedEntry {
  return {
    id,
    channel: shop,
    what: 'order-line',
    reference: 'gid://shopify/LineItem/1',
    reason: 'unknown sku',
    content: '{"sku":"é","lines":[],"big":9007199254740993}',
    parkedAtMs: 0,
    times: 1,
    ...more,
  };
}

describe('a parked row', () => {
  test('is kept as it is; parked again it counts and keeps its place', async () => {
    await bench.mesh.park(parked('a'));
    await bench.mesh.park(parked('b'));
    await bench.mesh.park(parked('a', { reason: 'still unknown' }));
    const rows = await bench.mesh.parked(10);
    expect(rows.map(({ id, times, reason }) => [id, times, reason])).toEqual([
      ['a', 2, 'still unknown'],
      ['b', 1, 'unknown sku'],
    ]);
    expect(rows[0]?.content).toBe(parked('a').content);
    expect(rows[0]?.parkedAtMs).toBeGreaterThan(0);
    expect(await bench.mesh.parkedCount()).toBe(2);
    await bench.mesh.unpark('a');
    await bench.mesh.unpark('a');
    expect(await bench.mesh.parkedCount()).toBe(1);
  });

  test('is walked page by page', async () => {
    const ids = Array.from({ length: 7 }, (_, i) => `row-${i}`);
    for (const id of ids) await bench.mesh.park(parked(id));
    const walked: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await bench.mesh.parked(3, after);
      walked.push(...page.map(({ id }) => id));
      after = page.at(-1)?.id;
      if (after === undefined) break;
    }
    expect(walked.toSorted()).toEqual(ids);
  });

  test('is refused, not dropped, when there is no room; a known one still counts', async () => {
    const small = new RedisMeshState(bench.caller, { maxParked: 2 });
    await small.park(parked('a'));
    await small.park(parked('b'));
    await expect(small.park(parked('c'))).rejects.toMatchObject({ code: 'LEDGER_PARKED_FULL' });
    await small.park(parked('b'));
    expect(await small.parkedCount()).toBe(2);
    await small.unpark('a');
    await small.park(parked('c'));
    expect((await small.parked(9)).map(({ id }) => id)).toEqual(['b', 'c']);
  });

  test('of more than 64 KiB is refused', async () => {
    await expect(bench.mesh.park(parked('a', { content: 'x'.repeat(70_000) }))).rejects.toMatchObject({
      code: 'LEDGER_REQUEST_INVALID',
    });
  });
});
