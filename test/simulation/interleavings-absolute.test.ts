import { describe, expect, it } from 'vitest';
import { beliefOf } from '../../src/domain/belief.ts';
import type { LocationId } from '../../src/domain/ids.ts';
import { type ListingState, untouchedListing } from '../../src/domain/listing.ts';
import { showEverything, targetOf } from '../../src/domain/policy.ts';
import { echoOf } from '../../src/domain/publish-absolute.ts';
import { walkedAbsolute } from '../../src/domain/read-absolute.ts';
import * as simpler from './simpler-designs.ts';
import { Stage } from './stage.ts';
import { type Design, absoluteTimes } from './world.ts';

const graceMs = absoluteTimes.applyGraceMs;
const settledMs = graceMs + absoluteTimes.readLagMs + 100;

/** The rows A1 to A15: one exact sequence each, played by our functions and by the simpler design that it breaks. */
describe('sequences on a platform that takes plain numbers', () => {
  const ours: Design = {};

  it('A1: a lowering is made for a fresh read, not for what was believed', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      stage.sell('m', 4);
      stage.pass(5_000);
      stage.hear('a', stage.sell('a'));
      stage.work('m', 2_000);
      stage.apply('m');
      return { shows: stage.shows('m'), available: stage.ledger.available };
    };
    expect(play(ours)).toEqual({ shows: 5, available: 5 });
    const blind = { absoluteTimes: { freshReadMs: Number.POSITIVE_INFINITY } };
    expect(play(blind)).toEqual({ shows: 9, available: 9 });
  });

  it('A2: a sale that a late apply has erased is written again', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      stage.hear('a', stage.sell('a'));
      stage.work('m', 1_000);
      stage.pass(4_000);
      const erased = stage.sell('m');
      stage.apply('m');
      stage.pass(settledMs);
      stage.work('m', 2_000);
      stage.hear('m', erased);
      stage.rest();
      return stage.shows('m');
    };
    expect(play(ours)).toBe(8);
    expect(play({ absolutePublisher: simpler.AcceptedIsApplied })).toBe(9);
  });

  it('A3: a raise does not wait for orders that are always minutes behind', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      stage.ledger.receive(10);
      stage.rest();
      return stage.shows('m');
    };
    expect(play(ours)).toBe(20);
    expect(play({ absolutePublisher: simpler.RaisesBehindWatermark })).toBe(10);
  });

  it('A4: the order that explains a drop consumes what was held back for it', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      const order = stage.sell('m');
      stage.pass(5_000);
      stage.read('m');
      const held = stage.ledger.available;
      stage.hear('m', order);
      return { held, available: stage.ledger.available, belief: beliefOf(stage.publisher('m').state) };
    };
    expect(play(ours)).toEqual({ held: 9, available: 9, belief: 9 });
    expect(play({ absorb: simpler.neverConsumes })).toEqual({ held: 9, available: 8, belief: 9 });
  });

  it('A5: an edit by hand is not written over before a walk has proved that no order explains it', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      stage.edit('m', 3);
      stage.pass(5_000);
      const editedAtMs = stage.nowMs;
      stage.read('m');
      stage.publisher('m').walked(editedAtMs - 60_000);
      stage.work('m', 30_000);
      const { state } = stage.publisher('m');
      return {
        wanted: stage.target('m'),
        shows: stage.highest('m'),
        edited: walkedAbsolute(state, editedAtMs + 60_000).editedUnits,
      };
    };
    expect(play(ours)).toEqual({ wanted: 3, shows: 3, edited: 7 });
    expect(play({ absolutePublisher: simpler.ProvisionalExpires }).wanted).toBe(10);
  });

  it('A6: whether a cancellation restored the number is read, not assumed', () => {
    const play = (tells: { readonly assumed: boolean }, restored: boolean) => {
      const stage = Stage.connected(10);
      const order = stage.sell('m');
      stage.hear('m', order);
      const by = tells.assumed ? { cancelled: 1, givenBack: 1 } : { cancelled: 1 };
      const gaveBack = restored ? 1 : 0;
      stage.hear('m', stage.change('m', order, by, { gaveBack, takenIsKnown: tells.assumed }));
      stage.rest();
      return stage.shows('m');
    };
    expect([play({ assumed: false }, false), play({ assumed: false }, true)]).toEqual([10, 10]);
    expect([play({ assumed: true }, false), play({ assumed: true }, true)]).not.toEqual([10, 10]);
  });

  it('A7: an order of a bundle takes from the listing of the bundle only', () => {
    const play = (takenOut: number) => {
      const stage = Stage.connected(10);
      // The platform lowers the bundle; the component's own listing still shows 10.
      const order = stage.sell('m', 0);
      const counters = { ...order.counters, ordered: 1, takenOut };
      stage.ledger.apply('m', { ...order, counters }, 'push', stage.nowMs, stage.nowMs);
      stage.pass(5_000);
      stage.work('m', 1_000);
      stage.applyAll('m');
      return stage.shows('m');
    };
    expect(play(0)).toBe(9);
    expect(play(1)).toBe(10);
  });

  it('A8: a row that only travels along puts back no sale of its own warehouse', () => {
    const other: ListingState = {
      ...untouchedListing,
      base: { value: 3, takenAt: 0, asOfMs: 0, settled: true },
    };
    // One call sets every warehouse of the item: W1 is lowered to 4, W2 shows 2 because of a sale nobody has heard of.
    const play = (rowOf: (state: ListingState, fresh: number) => number) => {
      const shelves = { W1: 5, W2: 2 };
      const call = { W1: 4, W2: rowOf(other, shelves.W2) };
      return { ...shelves, ...call };
    };
    expect(play(echoOf)).toEqual({ W1: 4, W2: 2 });
    expect(play((state) => beliefOf(state) ?? 0)).toEqual({ W1: 4, W2: 3 });
    // What was heard of and is not yet in the reading is not put back either.
    expect(play((state, fresh) => echoOf({ ...state, taken: 2 }, fresh))).toEqual({ W1: 4, W2: 1 });
    expect(echoOf(other, 2)).toBe(2);
    expect(echoOf({ ...other, taken: 2 }, 2)).toBe(1);
    expect(echoOf(untouchedListing, 4)).toBe(4);
    expect(beliefOf(other)).toBe(3);
  });

  it('A9: what a stopped holder sends after its lease is found and lowered again', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(5, design);
      stage.ledger.receive(5);
      stage.read('m');
      const stopped = stage.claim('m');
      stage.publisher('m').restarted(stage.nowMs);
      stage.ledger.hold(10);
      stage.work('m', 500);
      stage.applyAll('m');
      stage.pass(settledMs);
      stage.work('m', 500);
      stage.answer('m', stopped, stage.deliver('m', stopped));
      stage.applyAll('m');
      const late = stage.shows('m');
      stage.rest();
      return [late, stage.shows('m')];
    };
    expect(play(ours)).toEqual([10, 0]);
    expect(play({ absolutePublisher: simpler.ForgetsOlderHolders })).toEqual([10, 10]);
  });

  it('A10: open orders of the channel itself are part of its target', () => {
    const level = { onHand: 10, committed: 2, reserved: 0 };
    expect(targetOf(showEverything, [{ location: 'x' as LocationId, level, settlesHere: 0 }]).units).toBe(8);
    expect(level.onHand).toBe(10);
  });

  it('A11: a lowering does not wait for the one before it', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      stage.ledger.hold(1);
      stage.read('m');
      const first = stage.send('m').to;
      stage.ledger.hold(8);
      const want = stage.want('m');
      return [first, want.kind === 'send' ? want.request.to : want.kind];
    };
    expect(play(ours)).toEqual([9, 1]);
    expect(play({ absolutePublisher: simpler.OneWriteAtATime })).toEqual([9, 'wait']);
  });

  it('A12: the read that settles a write is compared with what the orders explain', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      stage.hear('a', stage.sell('a'));
      stage.read('m');
      stage.send('m');
      stage.apply('m');
      stage.sell('m');
      stage.pass(settledMs);
      stage.read('m');
      const available = stage.ledger.available;
      stage.work('m', 60_000);
      stage.applyAll('m');
      return { available, shows: stage.shows('m') };
    };
    expect(play(ours)).toEqual({ available: 8, shows: 8 });
    expect(play({ absolutePublisher: simpler.NeverCompares })).toEqual({ available: 9, shows: 9 });
  });

  it('A13: a raise that is late is no drop', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      stage.ledger.receive(1_000);
      stage.read('m');
      stage.send('m');
      stage.pass(settledMs);
      stage.read('m');
      return stage.ledger.available;
    };
    expect(play(ours)).toBe(1_010);
    expect(play({ absolutePublisher: simpler.DropBelowTheWrite })).toBe(10);
  });

  it('A14: a write that lands after the grace over a newer one is seen', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      stage.ledger.hold(1);
      stage.read('m');
      stage.send('m');
      stage.ledger.hold(1);
      stage.send('m');
      // The newer one lands in time, the older one long after the read that settles both.
      stage.applyNewest('m');
      stage.pass(settledMs);
      stage.work('m', 2_000);
      stage.apply('m');
      const late = stage.shows('m');
      stage.work('m', 60_000);
      stage.applyAll('m');
      return [late, stage.shows('m')];
    };
    expect(play(ours)).toEqual([9, 8]);
    expect(play({ absoluteTimes: { longestApplyMs: graceMs } })).toEqual([9, 9]);
  });

  it('A15: a read may show the time before the apply that it seems to prove', () => {
    const play = (design: Design) => {
      const stage = Stage.connected(10, design);
      stage.ledger.hold(1);
      stage.read('m');
      stage.send('m');
      stage.pass(3_000);
      const erased = stage.sell('m', 2);
      stage.pass(graceMs - 3_200);
      stage.apply('m');
      stage.pass(1_000);
      // Sent after the apply, answered with the state before it.
      const stale = stage.read('m', 1_500);
      stage.ledger.release(1);
      stage.hear('m', erased);
      stage.rest();
      return [stale, stage.shows('m')];
    };
    expect(play(ours)).toEqual([8, 8]);
    expect(play({ absolutePublisher: simpler.ReadIsOfNow })).toEqual([8, 9]);
  });
});
