import { describe, expect, it } from 'vitest';
import { type Urgency, compareUrgency, sellOutRisk } from '../../src/domain/urgency.ts';

const calm: Urgency = { target: 5, belief: 5, unitsPerHour: 1, lagMs: 1000, seq: 1 };

describe('the order of pending listings', () => {
  it('puts what is sold out but still on the shelf before every other lowering, raises last', () => {
    const raise = { ...calm, target: 9, unitsPerHour: 1000, seq: 1 };
    const lowering = { ...calm, target: 4, seq: 2 };
    const soldOut = { ...calm, target: 0, seq: 3 };
    expect(sorted([raise, lowering, soldOut])).toEqual([soldOut, lowering, raise]);
  });

  it('puts the listing that is likelier to sell what is not there first', () => {
    const slow = { ...calm, target: 4, seq: 1 };
    const fast = { ...slow, unitsPerHour: 90, seq: 2 };
    const scarce = { ...fast, target: 1, seq: 3 };
    const farAway = { ...scarce, lagMs: 60_000, seq: 4 };
    expect(sorted([slow, fast, scarce, farAway])).toEqual([farAway, scarce, fast, slow]);
  });

  it('treats a listing that was never read as one to lower', () => {
    const unread = { ...calm, target: 0, belief: undefined, seq: 9 };
    expect(sorted([{ ...calm, target: 2 }, unread])[0]).toBe(unread);
  });

  it('keeps the order of change among equals', () => {
    const first = { ...calm, target: 1, seq: 1 };
    const second = { ...calm, target: 1, seq: 2 };
    expect(sorted([second, first])).toEqual([first, second]);
  });
});

function sorted(listings: readonly Urgency[]): readonly Urgency[] {
  return listings.toSorted(compareUrgency);
}

describe('the risk before its numbers are read', () => {
  it('is the same for all that have time, so that the oldest of them goes', () => {
    expect(sellOutRisk(0, 0)).toBe(0);
    expect(sellOutRisk(4_000, 50_000)).toBe(0);
    expect(sellOutRisk(10, 50_000)).toBe(0);
  });

  it('grows with the speed and with what is missing, once the hour may see the last unit go', () => {
    expect(sellOutRisk(10, 5)).toBeGreaterThan(sellOutRisk(10, 8));
    expect(sellOutRisk(20, 8)).toBeGreaterThan(sellOutRisk(10, 8));
    expect(sellOutRisk(1, 1)).toBeGreaterThan(0);
    expect(sellOutRisk(1, 0)).toBe(sellOutRisk(1, 1));
  });
});
