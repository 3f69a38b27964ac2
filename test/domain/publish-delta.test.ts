import { describe, expect, it } from 'vitest';
import { beliefOf } from '../../src/domain/belief.ts';
import {
  type ListingState,
  type OpenWrite,
  type PublishTimes,
  maxOpenWrites,
  untouchedListing,
} from '../../src/domain/listing.ts';
import {
  decideDelta,
  mayRepeat,
  pulledDelta,
  readDelta,
  settleDelta,
} from '../../src/domain/publish-delta.ts';

const times: PublishTimes = {
  readLagMs: 0,
  applyGraceMs: 0,
  longestApplyMs: 0,
  orderIndexLagMs: 5_000,
  idempotencyWindowMs: 60_000,
  skewMs: 1_000,
  freshReadMs: 0,
};
const settled: ListingState = {
  ...untouchedListing,
  taken: 3,
  base: { value: 13, takenAt: 3, asOfMs: 10_000, settled: true },
};

describe('deciding', () => {
  it('says nothing without a base, and waits for what is under way before it reads', () => {
    expect(decideDelta(untouchedListing, 5).kind).toBe('read-first');
    const openWrites = [write('w', 5, 4)];
    expect(decideDelta({ ...untouchedListing, openWrites }, 5)).toMatchObject({ reason: 'write-open' });
  });

  it('lowers whatever is unsettled, suspect or open', () => {
    const base = { value: 13, takenAt: 3, asOfMs: 10_000, settled: false };
    const openWrites = [write('w', 13, 15)];
    const residue = { units: 1, reads: 1, readAtMs: 0, pulled: false, takenThen: 3 };
    const state: ListingState = { ...settled, base, suspect: true, residue, openWrites };
    expect(decideDelta(state, 4)).toEqual({ kind: 'lower', from: 15, to: 4 });
  });

  it('raises only from what it believes, and only when that is settled', () => {
    expect(decideDelta(settled, 20)).toEqual({ kind: 'raise', from: 13, to: 20 });
    const base = { value: 13, takenAt: 3, asOfMs: 10_000, settled: false };
    expect(decideDelta({ ...settled, base }, 20)).toMatchObject({ reason: 'orders-not-pulled' });
    expect(decideDelta({ ...settled, suspect: true }, 20).kind).toBe('read-first');
    const openWrites = [write('w', 13, 12)];
    expect(decideDelta({ ...settled, openWrites }, 20)).toMatchObject({ reason: 'write-open' });
  });

  it('never shows less than nothing, nor writes for a shelf that sells nothing', () => {
    expect(decideDelta(settled, -4)).toEqual({ kind: 'lower', from: 13, to: 0 });
    expect(decideDelta({ ...settled, taken: 20 }, -4)).toEqual({ kind: 'none' });
  });

  it('keeps the number of open writes bounded, and waits for an open repair', () => {
    const openWrites = Array.from({ length: maxOpenWrites }, (_, index) => write(`w${index}`, 13, 13));
    expect(decideDelta({ ...settled, openWrites }, 0)).toMatchObject({ reason: 'too-many-open-writes' });
    const repair: OpenWrite = { ...write('r', 12, 13), kind: 'compare-and-set' };
    expect(decideDelta({ ...settled, openWrites: [repair] }, 0)).toMatchObject({ reason: 'write-open' });
  });
});

describe('settling', () => {
  const open: ListingState = { ...settled, openWrites: [write('w', 13, 10)] };

  it('ignores an answer to a write that is settled already', () => {
    expect(settle(settled, 'w', { kind: 'confirmed' })).toEqual({
      next: settled,
      record: 'close',
      step: 'decide-again',
    });
  });

  it('keeps the base where nothing was applied', () => {
    for (const [outcome, step] of [
      [{ kind: 'not-applied' }, 'decide-again'],
      [{ kind: 'rejected', isPermanent: false }, 'decide-again'],
      [{ kind: 'rejected', isPermanent: true }, 'park'],
    ] as const)
      expect(settle(open, 'w', outcome)).toEqual({ next: settled, record: 'close', step });
  });

  it('keeps the belief over an unknown outcome and the same key', () => {
    const unknown = settle(open, 'w', { kind: 'unknown' });
    expect(unknown).toMatchObject({ record: 'keep', step: 'repeat-same-key' });
    expect(beliefOf(unknown.next)).toBe(10);
    expect(settle(unknown.next, 'w', { kind: 'confirmed' }).next.base?.value).toBe(10);
  });

  it('reckons nothing from a base whose last write nobody will ever tell of', () => {
    const spent = settle(open, 'w', { kind: 'key-spent' });
    expect(spent).toMatchObject({ record: 'close', step: 'read', next: { base: undefined, openWrites: [] } });
    expect(mayRepeat(0, 58_999, times)).toBe(true);
    expect(mayRepeat(0, 59_000, times)).toBe(false);
  });

  it('asks for orders and then for a read after a refused precondition, keeping the base', () => {
    const { next, step } = settle(open, 'w', { kind: 'stale' });
    expect(step).toBe('pull-orders');
    expect(next.base).toEqual(settled.base);
    expect(decideDelta(next, 20)).toMatchObject({ reason: 'orders-not-pulled' });
    const pulled = pulledDelta(next, 20_001, times);
    expect(decideDelta(pulled, 20).kind).toBe('read-first');
    const agreed = readDelta(pulled, { value: 13, startedAtMs: 21_000 }, times);
    expect(agreed.kind === 'agrees' && decideDelta(agreed.next, 20)).toEqual({
      kind: 'raise',
      from: 13,
      to: 20,
    });
  });

  it('dates the orders around a repair that replaced the base', () => {
    const repair: OpenWrite = { ...write('r', 12, 13), kind: 'compare-and-set', sentAtMs: 30_000 };
    const state: ListingState = {
      ...settled,
      taken: 6,
      openWrites: [repair],
      // Seen since the claim: two units placed before it were inside the replaced number, one came after.
      rises: [
        { atMs: 9_500, units: 2 },
        { atMs: 40_000, units: 1 },
      ],
    };
    expect(beliefOf(settle(state, 'r', { kind: 'confirmed' }).next)).toBe(12);
    // By the platform's clock it was applied after that order too: ours is behind.
    expect(beliefOf(settle(state, 'r', { kind: 'confirmed', appliedAtMs: 50_000 }).next)).toBe(13);
  });
});

describe('reading', () => {
  it('discards a read beside an open write', () => {
    const state = { ...settled, openWrites: [write('w', 13, 10)] };
    expect(readDelta(state, { value: 13, startedAtMs: 20_000 }, times).kind).toBe('discarded');
  });

  it('learns nothing from a difference that an order beside the read explains', () => {
    const state: ListingState = { ...settled, taken: 4, rises: [{ atMs: 20_200, units: 1 }] };
    expect(readDelta(state, { value: 13, startedAtMs: 20_000 }, times).kind).toBe('inconclusive');
    expect(readDelta(state, { value: 12, startedAtMs: 20_000 }, times).kind).toBe('agrees');
    expect(readDelta(state, { value: 11, startedAtMs: 20_000 }, times).kind).toBe('differs');
  });

  it('settles a new base only by a pull that began later than the index may lag', () => {
    const read = readDelta(untouchedListing, { value: 9, startedAtMs: 20_000 }, times);
    const state = read.kind === 'new-base' ? read.next : untouchedListing;
    expect(pulledDelta(state, 26_000, times).base?.settled).toBe(false);
    expect(pulledDelta(state, 26_001, times).base?.settled).toBe(true);
  });

  it('calls it an edit after the same difference in three reads with a pull behind each', () => {
    let state = settled;
    for (const startedAtMs of [20_000, 30_000, 40_000]) {
      expect(decideDelta(state, 13).kind).not.toBe('edited');
      const read = readDelta(state, { value: 15, startedAtMs }, times);
      if (read.kind !== 'differs') throw new Error(read.kind);
      // A second read without a pull between them is no further evidence.
      const again = readDelta(read.next, { value: 15, startedAtMs: startedAtMs + 100 }, times);
      expect(again.kind === 'differs' && again.next).toEqual(read.next);
      state = pulledDelta(read.next, startedAtMs + 6_001, times);
    }
    expect(decideDelta(state, 13)).toEqual({ kind: 'edited', from: 15, to: 13 });
  });
});

function settle(state: ListingState, writeId: string, outcome: Parameters<typeof settleDelta>[2]) {
  return settleDelta(state, writeId, outcome, times, 20_000);
}

function write(writeId: string, from: number, to: number): OpenWrite {
  return { writeId, kind: 'delta', from, to, takenAt: 3, sentAtMs: 11_000, outcome: 'sent', token: 1 };
}
