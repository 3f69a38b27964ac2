import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import type { LocationId } from '../../src/domain/ids.ts';
import {
  type ChannelPolicy,
  type PolicyLocation,
  showEverything,
  targetOf,
} from '../../src/domain/policy.ts';

describe('the target of a listing', () => {
  it('sums over locations before it takes the floor, so that one location can owe another', () => {
    expect(targetOf(showEverything, [at(-3), at(5)]).units).toBe(2);
    expect(targetOf(showEverything, [at(-3), at(2)]).units).toBe(0);
  });

  it('shows units that are held for a purchase on this very channel', () => {
    const held: PolicyLocation = {
      ...at(0),
      level: { onHand: 5, committed: 1, reserved: 4 },
      settlesHere: 3,
    };
    expect(targetOf(showEverything, [held]).units).toBe(3);
  });

  it('applies share, buffer, cap and end-when in this order', () => {
    const policy: ChannelPolicy = {
      sharePercent: 33,
      bufferUnits: 2,
      capUnits: 25,
      endWhenUnits: 25,
      oversellUnits: 0,
    };
    expect(targetOf(policy, [at(100)]).steps).toEqual([
      { rule: 'sum', setting: 1, units: 100 },
      { rule: 'not-below-zero', setting: 0, units: 100 },
      { rule: 'share', setting: 33, units: 33 },
      { rule: 'buffer', setting: 2, units: 31 },
      { rule: 'cap', setting: 25, units: 25 },
      { rule: 'end-when', setting: 25, units: 0 },
    ]);
  });

  it('keeps a percentage of the shared units back, rounded up, before the buffer in units', () => {
    const policy: ChannelPolicy = { ...showEverything, sharePercent: 50, bufferPercent: 10, bufferUnits: 1 };
    expect(targetOf(policy, [at(22)]).steps).toEqual([
      { rule: 'sum', setting: 1, units: 22 },
      { rule: 'not-below-zero', setting: 0, units: 22 },
      { rule: 'share', setting: 50, units: 11 },
      { rule: 'buffer-percent', setting: 10, units: 9 },
      { rule: 'buffer', setting: 1, units: 8 },
    ]);
  });

  it('tells an oversell allowance as a step of its own', () => {
    const target = targetOf({ ...showEverything, oversellUnits: 4 }, [at(-1)]);
    expect(target.units).toBe(3);
    expect(target.steps).toContainEqual({ rule: 'oversell-allowance', setting: 4, units: 3 });
  });

  it('never shows more than is there, nor less than nothing, without an allowance', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -100, max: 100 }), { maxLength: 4 }),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 0, max: 20 }),
        (levels, sharePercent, bufferUnits, stale) => {
          const policy = { sharePercent, bufferUnits, oversellUnits: 0 };
          const target = targetOf(policy, levels.map(at), stale);
          const sum = Math.max(
            0,
            levels.reduce((total, units) => total + units, 0),
          );
          expect(target.units).toBeGreaterThanOrEqual(0);
          expect(target.units).toBe(
            Math.max(0, Math.floor((sum * sharePercent) / 100) - bufferUnits - stale),
          );
          expect(target.steps.at(-1)?.units).toBe(target.units);
        },
      ),
    );
  });

  it('is exact at the end of the safe range', () => {
    const most = Number.MAX_SAFE_INTEGER;
    expect(targetOf({ ...showEverything, sharePercent: 99 }, [at(most)]).units).toBe(
      Number((BigInt(most) * 99n) / 100n),
    );
  });
});

function at(onHand: number): PolicyLocation {
  return {
    location: 'main' as LocationId,
    level: { onHand, committed: 0, reserved: 0 },
    settlesHere: 0,
  };
}
