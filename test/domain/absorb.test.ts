import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { type TakenChange, absorbTaken } from '../../src/domain/absorb.ts';
import { type ListingState, maxRises, untouchedListing } from '../../src/domain/listing.ts';

const skewMs = 10;
const read: ListingState = {
  ...untouchedListing,
  taken: 4,
  base: { value: 9, takenAt: 4, asOfMs: 1000, settled: true },
};

describe('absorbing an own order', () => {
  it('lowers the belief for a sale after the base, on every kind of platform', () => {
    for (const kind of ['delta', 'absolute'] as const) {
      const { state } = absorb(read, { units: 2, atMs: 1011, kind });
      expect(state).toMatchObject({ taken: 6, base: { takenAt: 4 }, suspect: false });
    }
  });

  it('keeps the belief for a sale that the base contains, and asks an absolute platform again', () => {
    const delta = absorb(read, { units: 1, atMs: 990, kind: 'delta' }).state;
    expect(delta).toMatchObject({ taken: 5, base: { takenAt: 5 }, suspect: false });
    const absolute = absorb(read, { units: 1, atMs: 990, kind: 'absolute' }).state;
    expect(absolute).toMatchObject({ taken: 5, base: { takenAt: 5 }, suspect: true, suspectAtMs: 5000 });
  });

  it('takes the higher belief, and asks again, when the order of change and read cannot be told', () => {
    expect(absorb(read, { units: 1, atMs: 1005, kind: 'delta' }).state).toMatchObject({
      base: { takenAt: 5 },
      suspect: true,
    });
    expect(absorb(read, { units: -1, atMs: 995, kind: 'delta' }).state).toMatchObject({
      taken: 3,
      base: { takenAt: 4 },
      suspect: true,
    });
    const changedLater = absorb(read, { units: 1, atMs: 2000, earliestAtMs: 500, kind: 'delta' }).state;
    expect(changedLater).toMatchObject({ base: { takenAt: 5 }, suspect: true });
  });

  it('consumes the provisional it explains, moving neither belief nor suspicion', () => {
    const held: ListingState = { ...read, provisional: 3 };
    const absorbed = absorb(held, { units: 2, atMs: 900, kind: 'absolute' });
    expect(absorbed.consumedProvisional).toBe(2);
    expect(absorbed.state).toMatchObject({ provisional: 1, taken: 6, base: { takenAt: 6 }, suspect: false });
  });

  it('is suspicious about the part that a provisional does not explain', () => {
    const absorbed = absorb({ ...read, provisional: 1 }, { units: 3, atMs: 900, kind: 'absolute' });
    expect(absorbed.consumedProvisional).toBe(1);
    expect(absorbed.state).toMatchObject({ provisional: 0, suspect: true });
  });

  it('leaves a provisional alone for a sale after the read that caused it', () => {
    const absorbed = absorb({ ...read, provisional: 1 }, { units: 1, atMs: 1200, kind: 'absolute' });
    expect(absorbed).toMatchObject({ consumedProvisional: 0, state: { provisional: 1 } });
  });

  it('only counts while there is no base', () => {
    expect(absorb(untouchedListing, { units: 3, atMs: 5, kind: 'absolute' }).state).toEqual({
      ...untouchedListing,
      taken: 3,
      rises: [{ atMs: 5, units: 3 }],
    });
  });

  it('keeps the newest rises by platform time, whatever arrives last', () => {
    let state: ListingState = untouchedListing;
    for (let index = 0; index < maxRises + 20; index++)
      state = absorb(state, { units: 1, atMs: index, kind: 'delta' }).state;
    state = absorb(state, { units: 1, atMs: 3, kind: 'delta' }).state;
    expect(state.rises).toHaveLength(maxRises);
    expect(Math.min(...state.rises.map((rise) => rise.atMs))).toBe(20);
  });

  it('never moves availability and belief apart from the units themselves', () => {
    fc.assert(
      fc.property(
        fc.record({
          units: fc.integer({ min: -5, max: 5 }),
          atMs: fc.integer({ min: 950, max: 1050 }),
          provisional: fc.integer({ min: 0, max: 4 }),
          kind: fc.constantFrom('delta' as const, 'absolute' as const),
        }),
        ({ units, atMs, provisional, kind }) => {
          const { state, consumedProvisional } = absorb({ ...read, provisional }, { units, atMs, kind });
          expect(state.taken).toBe(4 + units);
          expect(state.provisional + consumedProvisional).toBe(provisional);
          const moved = state.taken - (state.base?.takenAt ?? 0);
          expect([0, units]).toContain(moved);
          if (consumedProvisional > 0) expect(moved).toBe(0);
        },
      ),
    );
  });
});

function absorb(state: ListingState, change: Omit<TakenChange, 'skewMs' | 'seenAtMs'>) {
  return absorbTaken(state, { ...change, skewMs, seenAtMs: 5000 });
}
