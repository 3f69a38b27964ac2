import { describe, expect, it } from 'vitest';
import { beliefOf } from '../../src/domain/belief.ts';
import {
  type ListingState,
  type OpenWrite,
  type PublishTimes,
  maxOpenWrites,
  untouchedListing,
} from '../../src/domain/listing.ts';
import { decideAbsolute, readBackMs, settleAbsolute } from '../../src/domain/publish-absolute.ts';
import { writesShownFromMs } from '../../src/domain/open-writes.ts';
import { readAbsolute, walkedAbsolute } from '../../src/domain/read-absolute.ts';

const times: PublishTimes = {
  readLagMs: 1_000,
  applyGraceMs: 10_000,
  longestApplyMs: 60_000,
  orderIndexLagMs: 5_000,
  idempotencyWindowMs: 0,
  skewMs: 2_000,
  freshReadMs: 5_000,
};
const nowMs = 100_000;
const known: ListingState = {
  ...untouchedListing,
  taken: 2,
  base: { value: 10, takenAt: 2, asOfMs: nowMs - 2_000, settled: true },
};
const old: ListingState = {
  ...known,
  base: { value: 10, takenAt: 2, asOfMs: nowMs - 90_000, settled: true },
};

/** Lowered twice in a moment: the newer number is what is wanted, the older may land last. */
const quickly: ListingState = {
  ...known,
  taken: 4,
  rises: [{ atMs: nowMs + 500, units: 2 }],
  openWrites: [put(8, 'older'), put(6, 'newer')],
};

describe('deciding', () => {
  it('shows zero at once, whatever is known, and anything else only on a fresh read', () => {
    expect(decide(untouchedListing, 0)).toEqual({ kind: 'lower', from: 0, to: 0 });
    expect(decide(untouchedListing, 4).kind).toBe('read-first');
    expect(decide(old, 0)).toEqual({ kind: 'lower', from: 10, to: 0 });
    expect(decide(old, 4).kind).toBe('read-first');
    expect(decide(known, 4)).toEqual({ kind: 'lower', from: 10, to: 4 });
  });

  it('raises only on a fresh read that equalled the belief, with nothing that may still land', () => {
    expect(decide(known, 14)).toEqual({ kind: 'raise', from: 10, to: 14 });
    expect(decide(old, 14).kind).toBe('read-first');
    expect(decide({ ...known, suspect: true, suspectAtMs: nowMs }, 14)).toEqual({
      kind: 'read-first',
      notBeforeMs: nowMs + times.readLagMs,
    });
    expect(decide({ ...known, openWrites: [put(8)] }, 14)).toMatchObject({ reason: 'write-open' });
    const base = { value: 10, takenAt: 2, asOfMs: nowMs - 2_000, settled: false };
    expect(decide({ ...known, base }, 14)).toMatchObject({ reason: 'orders-not-pulled' });
  });

  it('lowers below every write that may still land, and sends a lost lowering again', () => {
    const openWrites = [put(8), put(6)];
    expect(decide({ ...known, openWrites }, 5)).toMatchObject({ kind: 'lower', to: 5 });
    expect(decide({ ...known, openWrites }, 7).kind).toBe('wait');
    expect(decide({ ...known, openWrites: [{ ...put(6), outcome: 'unknown' }] }, 7)).toMatchObject({
      kind: 'lower',
      to: 6,
    });
  });
});

describe('settling', () => {
  it('remembers writes within a bound, and one value without an answer only once', () => {
    let state: ListingState = known;
    for (let index = 0; index < 3 * maxOpenWrites; index++) {
      state = { ...state, openWrites: [...state.openWrites, put(9 - (index % 9), `w${index}`)] };
      state = settleAbsolute(state, `w${index}`, { kind: 'accepted' }, nowMs).next;
      expect(state.openWrites.length).toBeLessThan(maxOpenWrites);
    }
    let lost: ListingState = known;
    for (const writeId of ['x', 'y', 'z']) {
      lost = { ...lost, openWrites: [...lost.openWrites, put(4, writeId)] };
      lost = settleAbsolute(lost, writeId, { kind: 'unknown' }, nowMs).next;
    }
    expect(lost.openWrites.map(({ writeId }) => writeId)).toEqual(['z']);
  });

  it('forgets a write that was refused', () => {
    const state = { ...known, openWrites: [put(4)] };
    expect(settleAbsolute(state, 'w', { kind: 'rejected', isPermanent: true }, nowMs)).toEqual({
      next: known,
      record: 'close',
      step: 'park',
    });
    expect(settleAbsolute(known, 'w', { kind: 'accepted' }, nowMs).next).toBe(known);
  });
});

describe('reading', () => {
  it('discards what may be older than the base or than a write', () => {
    expect(readAbsolute(known, { value: 10, startedAtMs: nowMs - 5_000 }, times, nowMs)).toEqual({
      kind: 'discarded',
      readAgainMs: nowMs - 1_000,
    });
    const open = { ...known, openWrites: [put(8)] };
    expect(readAbsolute(open, { value: 8, startedAtMs: nowMs + 10_999 }, times, nowMs).kind).toBe(
      'discarded',
    );
    // What is known before the request is sent, so that none is sent for nothing.
    expect(writesShownFromMs(known, times)).toBe(0);
    expect(writesShownFromMs(open, times)).toBe(nowMs + 11_000);
    expect(readBackMs(open, times)).toBeGreaterThanOrEqual(writesShownFromMs(open, times));
    expect(read(open, 8, nowMs + 11_000)).toMatchObject({ next: { base: { value: 8 }, openWrites: [] } });
  });

  it('provisions a drop in the same change, and reads again before anything else', () => {
    const dropped = read(known, 7, nowMs);
    expect(dropped.provisionUnits).toBe(3);
    expect(dropped.next).toMatchObject({ provisional: 3, suspect: true, walkAwaitedMs: nowMs + 1_000 });
    expect(beliefOf(dropped.next)).toBe(7);
    expect(walkedAbsolute(dropped.next, nowMs + 999).editedUnits).toBe(0);
    expect(walkedAbsolute(dropped.next, nowMs + 1_000)).toMatchObject({
      editedUnits: 3,
      next: { provisional: 0 },
    });
  });

  it('takes no sale that may have come just after a write for an unseen one, and raises only behind a walk', () => {
    // Dated in whole seconds, a sale just after the write seems to come before it.
    const sold = { atMs: nowMs - 800, units: 3 };
    const base = { value: 10, takenAt: 2, asOfMs: nowMs - 10_000, settled: true };
    const open: ListingState = { ...known, base, taken: 5, rises: [sold], openWrites: [put(8)] };
    const doubtful = read(open, 5, nowMs + 20_000);
    expect(doubtful).toMatchObject({
      provisionUnits: 0,
      next: { provisional: 0, suspect: true, base: { value: 5, settled: false } },
    });
    // It may be an unseen sale all the same: where the write came after the known one.
    const later = nowMs + times.longestApplyMs + 20_000;
    const closed = read(doubtful.next, 5, later).next;
    expect(closed.openWrites).toEqual([]);
    expect(decideAbsolute(closed, 8, times, later)).toMatchObject({ reason: 'orders-not-pulled' });
    const { next } = walkedAbsolute(closed, later);
    expect(decideAbsolute(next, 8, times, later)).toEqual({ kind: 'raise', from: 5, to: 8 });
    // What is below that, too, is provisioned.
    expect(read(open, 4, nowMs + 20_000)).toMatchObject({
      provisionUnits: 1,
      next: { provisional: 1, base: { value: 4, settled: false } },
    });
    // A sale long before the write explains nothing after it.
    const before: ListingState = { ...open, rises: [{ ...sold, atMs: nowMs - 2_000 }] };
    expect(read(before, 5, nowMs + 20_000)).toMatchObject({ provisionUnits: 2, next: { provisional: 2 } });
  });

  it('takes no sale that was said to be in the base for an unseen one', () => {
    const beside: ListingState = { ...known, rises: [{ atMs: nowMs - 1_500, units: 2 }] };
    expect(read(beside, 8, nowMs + 3_000)).toMatchObject({
      provisionUnits: 0,
      next: { suspect: true, base: { value: 8, settled: false } },
    });
    expect(read(beside, 7, nowMs + 3_000).provisionUnits).toBe(1);
    const apart: ListingState = { ...known, rises: [{ atMs: nowMs - 4_000, units: 2 }] };
    expect(read(apart, 8, nowMs + 3_000).provisionUnits).toBe(2);
  });

  it('believes a rise only when a second read, further apart than the lag, shows it too', () => {
    const first = read(known, 12, nowMs);
    expect(beliefOf(first.next)).toBe(10);
    const tooClose = read(first.next, 12, nowMs + 900);
    expect(tooClose.next).toEqual(first.next);
    const second = read(first.next, 12, nowMs + 1_000);
    expect(beliefOf(second.next)).toBe(12);
    expect(second.next.suspect).toBe(true);
    const gone = read(first.next, 10, nowMs + 1_000);
    expect(gone.next).toMatchObject({ residue: undefined, provisional: 0, base: { value: 10 } });
  });

  it('takes a drop between the two reads of a rise for a sale', () => {
    const second = read(read(known, 14, nowMs).next, 12, nowMs + 1_000);
    expect(second).toMatchObject({ provisionUnits: 2, next: { base: { value: 12 } } });
  });

  it('takes no drop between the two reads of a rise for a sale that a write of ours explains', () => {
    const first = read({ ...known, openWrites: [put(14, 'raise')] }, 14, nowMs + 20_000);
    const openWrites = [...first.next.openWrites, { ...put(11, 'lower'), sentAtMs: nowMs + 21_000 }];
    const second = (value: number) => read({ ...first.next, openWrites }, value, nowMs + 40_000);
    expect(second(11)).toMatchObject({ provisionUnits: 0, next: { base: { value: 11 }, provisional: 0 } });
    // A sale just before the lowering may have come after it.
    const sold = { ...first.next, taken: 4, rises: [{ atMs: nowMs + 20_500, units: 2 }], openWrites };
    expect(read(sold, 9, nowMs + 40_000)).toMatchObject({
      provisionUnits: 0,
      next: { provisional: 0, suspect: true, walkAwaitedMs: nowMs + 41_000, base: { settled: false } },
    });
    // Below what was written it is somebody else.
    expect(
      read({ ...first.next, openWrites: [...first.next.openWrites, put(13, 'x')] }, 12, nowMs + 40_000),
    ).toMatchObject({
      provisionUnits: 1,
      next: { base: { value: 12 } },
    });
  });

  it('does not take an older write for proven by a number that a newer one explains', () => {
    const { next } = read(quickly, 6, nowMs + 20_000);
    expect(next.openWrites.map(({ writeId }) => writeId)).toEqual(['older']);
    const longAfter = read(next, 6, nowMs + times.longestApplyMs + times.readLagMs);
    expect(longAfter.next.openWrites).toEqual([]);
  });

  it('sends nothing against an older write as long as reads show what is wanted, and at once when one does not', () => {
    const readAtMs = nowMs + 20_000;
    const { next } = read(quickly, 6, readAtMs);
    expect(decideAbsolute(next, 6, times, readAtMs)).toMatchObject({ kind: 'wait', reason: 'write-open' });
    const againMs = readBackMs(next, times);
    expect(decideAbsolute(next, 6, times, againMs).kind).toBe('read-first');
    expect(decideAbsolute(next, 5, times, readAtMs)).toEqual({ kind: 'lower', from: 6, to: 5 });
    // Sold out, it is told so again and again.
    const soldOut: ListingState = {
      ...next,
      taken: 12,
      base: { value: 0, takenAt: 12, asOfMs: readAtMs, settled: true },
    };
    expect(decideAbsolute(soldOut, 0, times, readAtMs)).toEqual({ kind: 'lower', from: 0, to: 0 });
    const landed = read(next, 8, againMs).next;
    expect(decideAbsolute(landed, 6, times, againMs)).toEqual({ kind: 'lower', from: 6, to: 6 });
  });

  it('reads for a write that does not show ever more rarely, and once more when it can no longer land', () => {
    let state: ListingState = { ...known, openWrites: [put(10)] };
    const gaps: number[] = [];
    let atMs = nowMs;
    while (state.openWrites.length > 0 && gaps.length < 10) {
      const nextMs = readBackMs(state, times);
      gaps.push(nextMs - atMs);
      atMs = nextMs;
      state = read(state, 10, atMs).next;
    }
    expect(gaps).toEqual([11_000, 10_000, 19_000, 21_000]);
    expect(atMs).toBe(nowMs + times.longestApplyMs + times.readLagMs);
    const suspect: ListingState = { ...known, suspect: true, suspectAtMs: nowMs, openWrites: [put(10)] };
    const late = { ...suspect, base: { value: 10, takenAt: 2, asOfMs: nowMs + 40_000, settled: true } };
    expect(readBackMs(late, times)).toBe(nowMs + 51_000);
    const scarce = { ...late, suspect: false, openWrites: [put(21)] };
    expect(readBackMs(scarce, times)).toBe(nowMs + 51_000);
    expect(readBackMs({ ...scarce, openWrites: [put(20)] }, times)).toBe(nowMs + 61_000);
  });

  it('takes a number that the listing would show anyway for no proof', () => {
    const { next } = read({ ...known, openWrites: [put(10)] }, 10, nowMs + 20_000);
    expect(next.openWrites).toHaveLength(1);
  });

  it('marks the lowest write for sending again when a read is above it', () => {
    const { next } = read({ ...known, openWrites: [put(8), put(6)] }, 8, nowMs + 20_000);
    expect(next.openWrites.map(({ to, outcome }) => [to, outcome])).toEqual([[6, 'unknown']]);
    expect(decideAbsolute(next, 7, times, nowMs + 20_000)).toMatchObject({ kind: 'lower', to: 6 });
  });

  it('takes over a first base as it is, and raises it only behind a completed walk', () => {
    const first = read(untouchedListing, 9, nowMs);
    const second = read(first.next, 9, nowMs + 2_000);
    expect(second.next).toMatchObject({ suspect: false, provisional: 0, base: { settled: false } });
    expect(decideAbsolute(second.next, 10, times, nowMs + 2_000)).toMatchObject({
      reason: 'orders-not-pulled',
    });
    const { next } = walkedAbsolute(second.next, nowMs + 1_000);
    expect(decideAbsolute(next, 10, times, nowMs + 2_000)).toEqual({ kind: 'raise', from: 9, to: 10 });
  });
});

function decide(state: ListingState, target: number) {
  return decideAbsolute(state, target, times, nowMs);
}

function read(state: ListingState, value: number, startedAtMs: number) {
  const result = readAbsolute(state, { value, startedAtMs }, times, startedAtMs);
  if (result.kind === 'discarded') throw new Error('discarded');
  return result;
}

function put(to: number, writeId = 'w'): OpenWrite {
  return {
    writeId,
    kind: 'absolute',
    from: 10,
    to,
    takenAt: 2,
    sentAtMs: nowMs,
    outcome: 'accepted',
    acceptedAtMs: nowMs,
    token: 1,
  };
}
