import { absorbTaken } from '../../src/domain/absorb.ts';
import { beliefOf, settledBeliefOf } from '../../src/domain/belief.ts';
import type { ListingBase, ListingState, OpenWrite } from '../../src/domain/listing.ts';
import { decideAbsolute } from '../../src/domain/publish-absolute.ts';
import { decideDelta, readDelta } from '../../src/domain/publish-delta.ts';
import type { PublishDecision, Settled, StockReading } from '../../src/domain/publish.ts';
import type { SimRequest } from './shelves.ts';
import { AbsolutePublisher, type Answer, DeltaPublisher, type ReadTicket } from './sim-publisher.ts';

/**
 * The designs one would write first, each ours with one rule taken out. They stay in the suite to show that the
 * simulation can fail, and that every rule is needed.
 */

function known(state: ListingState, value: number): ListingBase {
  return { value, takenAt: state.taken, asOfMs: state.base?.asOfMs ?? 0, settled: true };
}

function without(state: ListingState, request: SimRequest): ListingState {
  return { ...state, openWrites: state.openWrites.filter((open) => open.writeId !== request.key) };
}

/** S1: every write has a precondition; a refusal tells the present number, so that is what the listing shows. */
export class ShadowOnStale extends DeltaPublisher {
  protected override kindOf(): SimRequest['kind'] {
    return 'raise';
  }

  protected override settle(request: SimRequest, outcome: Answer, nowMs: number): Settled {
    if (outcome.kind !== 'stale' || !('shows' in outcome)) return super.settle(request, outcome, nowMs);
    const next = { ...without(this.state, request), base: known(this.state, outcome.shows) };
    return { next, record: 'close', step: 'decide-again' };
  }
}

/** S2: confirmed means that the listing now shows what was written. */
export class SettleToAbsolute extends DeltaPublisher {
  protected override settle(request: SimRequest, outcome: Answer, nowMs: number): Settled {
    if (outcome.kind !== 'confirmed') return super.settle(request, outcome, nowMs);
    const next = { ...without(this.state, request), base: known(this.state, request.to) };
    return { next, record: 'close', step: 'decide-again' };
  }
}

/** S3: a write without an answer is settled by looking whether the number is the wanted one. */
export class UnknownSettledByRead extends DeltaPublisher {
  override decide(nowMs: number): PublishDecision {
    return this.#unknown() === undefined ? super.decide(nowMs) : { kind: 'read-first', notBeforeMs: nowMs };
  }

  override read(reading: StockReading, nowMs: number): void {
    const open = this.#unknown();
    if (open === undefined) {
      super.read(reading, nowMs);
      return;
    }
    const request = this.records.get(open.writeId);
    if (request === undefined) return;
    const isApplied = reading.value === open.to;
    const { next } = this.settle(request, { kind: isApplied ? 'confirmed' : 'not-applied' }, nowMs);
    this.ledger.settle(this.channel, next);
    this.records.delete(open.writeId);
  }

  protected override mayRepeatNow(): boolean {
    return false;
  }

  #unknown(): OpenWrite | undefined {
    return this.state.openWrites.find((open) => open.outcome === 'unknown');
  }
}

/** S4: read just before the raise and use that number as the precondition. */
export class RaiseFromFreshRead extends DeltaPublisher {
  #fresh: number | undefined;

  override decide(nowMs: number): PublishDecision {
    const decision = super.decide(nowMs);
    if (decision.kind !== 'raise') return decision;
    if (this.#fresh === undefined) return { kind: 'read-first', notBeforeMs: nowMs };
    const from = this.#fresh;
    this.#fresh = undefined;
    return from < decision.to ? { kind: 'raise', from, to: decision.to } : { kind: 'none' };
  }

  override read(reading: StockReading, nowMs: number): void {
    if (this.state.base === undefined) super.read(reading, nowMs);
    else this.#fresh = reading.value;
  }
}

/** S5: what was under way when the process died is forgotten. */
export class ForgetsRecords extends DeltaPublisher {
  override restarted(nowMs: number): void {
    super.restarted(nowMs);
    this.records.clear();
    this.ledger.settle(this.channel, { ...this.state, openWrites: [] });
  }
}

/** S6: a level webhook is true, whatever is under way; a drop is held back until its order comes. */
export class BelievesDoorbells extends DeltaPublisher {
  override endRead(_ticket: ReadTicket, reading: StockReading, nowMs: number): void {
    const { base, taken } = this.state;
    if (base === undefined) {
      super.read(reading, nowMs);
      return;
    }
    const missing = settledBeliefOf(base, taken) - reading.value;
    const provisional = this.state.provisional + Math.max(0, missing);
    this.ledger.settle(this.channel, {
      ...this.state,
      provisional,
      base: { ...known(this.state, reading.value), asOfMs: reading.startedAtMs },
    });
  }
}

/** S15: a number that differs from what we believe was edited by hand. */
export class EditedAfterOneRead extends DeltaPublisher {
  override decide(nowMs: number): PublishDecision {
    const { residue, openWrites } = this.state;
    const decision = super.decide(nowMs);
    const belief = beliefOf(this.state);
    if (belief === undefined || residue === undefined || residue.reads === 0) return decision;
    if (decision.kind === 'lower' || openWrites.length > 0) return decision;
    return { kind: 'edited', from: belief + residue.units, to: Math.max(0, this.target) };
  }
}

/** Residues are counted by their size alone, as the design first said. */
export class CountsResiduesBySize extends DeltaPublisher {
  override pulled(beganAtMs: number): void {
    const before = this.state.residue;
    super.pulled(beganAtMs);
    const { state } = this;
    const isJudged = before !== undefined && !before.pulled && state.residue?.pulled !== false;
    if (isJudged) this.ledger.settle(this.channel, { ...state, residue: { ...before, pulled: true } });
  }
}

/** S16: a raise that may have been lost counts as not applied, and is simply repeated. */
export class UnknownRaiseIsNotApplied extends DeltaPublisher {
  override decide(): PublishDecision {
    const openWrites = this.state.openWrites.filter((open) => open.to < open.from);
    const decision = decideDelta({ ...this.state, openWrites }, this.target);
    return decision.kind === 'raise' && this.state.openWrites.length > 0 ? { kind: 'none' } : decision;
  }

  protected override mayRepeatNow(): boolean {
    return true;
  }
}

/** S17: the first read is the truth. */
export class FirstReadIsTruth extends DeltaPublisher {
  override read(reading: StockReading, nowMs: number): void {
    if (this.state.base !== undefined) {
      super.read(reading, nowMs);
      return;
    }
    const first = readDelta(this.state, reading, this.times);
    if (first.kind !== 'new-base') return;
    const base = first.next.base;
    this.ledger.settle(this.channel, {
      ...first.next,
      suspect: false,
      base: base === undefined ? undefined : { ...base, settled: true },
    });
  }
}

/** S18: an unknown outcome is repeated until there is an answer, however long that takes. */
export class RepeatsForEver extends DeltaPublisher {
  protected override isRepeatable(): boolean {
    return true;
  }
}

/** A2: accepted means that the listing now shows what was written. */
export class AcceptedIsApplied extends AbsolutePublisher {
  protected override settle(request: SimRequest, outcome: Answer, nowMs: number): Settled {
    if (outcome.kind !== 'accepted') return super.settle(request, outcome, nowMs);
    const base = { ...known(this.state, request.to), asOfMs: nowMs - this.times.readLagMs };
    return { next: { ...without(this.state, request), base }, record: 'close', step: 'decide-again' };
  }
}

/** A3: raise only when the walk of orders is newer than now less a moment. */
export class RaisesBehindWatermark extends AbsolutePublisher {
  #walkedMs = 0;

  override decide(nowMs: number): PublishDecision {
    const decision = super.decide(nowMs);
    const isFresh = this.#walkedMs > nowMs - 1_000;
    return decision.kind === 'raise' && !isFresh ? { kind: 'wait', reason: 'orders-not-pulled' } : decision;
  }

  override walked(upperBoundMs: number): void {
    this.#walkedMs = upperBoundMs;
    super.walked(upperBoundMs);
  }
}

/** A4: an order is counted whether or not a provisional stood for it. */
export const neverConsumes: typeof absorbTaken = (state, change) => {
  const { state: next } = absorbTaken({ ...state, provisional: 0 }, change);
  return { state: { ...next, provisional: state.provisional }, consumedProvisional: 0 };
};

/** A5: what was held back for an unknown reason is given free after a while. */
export class ProvisionalExpires extends AbsolutePublisher {
  override walked(): void {
    super.walked(Number.POSITIVE_INFINITY);
  }
}

/** A9: what an older holder of the lease had under way is its own affair. */
export class ForgetsOlderHolders extends AbsolutePublisher {
  override answered(request: SimRequest, outcome: Answer, nowMs: number): void {
    if (request.token === this.token) super.answered(request, outcome, nowMs);
  }

  override restarted(nowMs: number): void {
    super.restarted(nowMs);
    this.ledger.settle(this.channel, { ...this.state, openWrites: [] });
  }
}

/** A11: one write at a time; the next waits until the last is seen. */
export class OneWriteAtATime extends AbsolutePublisher {
  override decide(nowMs: number): PublishDecision {
    const { state } = this;
    if (state.openWrites.length === 0) return super.decide(nowMs);
    const lowest = Math.min(...state.openWrites.map((open) => open.to));
    return decideAbsolute(state, Math.max(this.target, lowest), this.times, nowMs);
  }
}

/** A12: the read that settles a write is the new base, whatever it says. */
export class NeverCompares extends AbsolutePublisher {
  override read(reading: StockReading, nowMs: number): void {
    const { provisional } = this.state;
    super.read(reading, nowMs);
    this.ledger.settle(this.channel, { ...this.state, provisional });
  }
}

/** A13: whatever is below the written number has been sold. */
export class DropBelowTheWrite extends AbsolutePublisher {
  override read(reading: StockReading, nowMs: number): void {
    const newest = this.state.openWrites.at(-1);
    super.read(reading, nowMs);
    const missing = newest === undefined ? 0 : newest.to - reading.value;
    if (missing > 0 && this.state.openWrites.length > 0)
      this.ledger.settle(this.channel, {
        ...this.state,
        provisional: this.state.provisional + missing,
        openWrites: [],
      });
  }
}

/** A15: a read shows the moment it was sent, and settles all that was sent before. */
export class ReadIsOfNow extends AbsolutePublisher {
  override decide(nowMs: number): PublishDecision {
    return decideAbsolute({ ...this.state, suspect: false }, this.target, this.times, nowMs);
  }

  override read(reading: StockReading): void {
    const base = { ...known(this.state, reading.value), asOfMs: reading.startedAtMs };
    this.ledger.settle(this.channel, { ...this.state, base, openWrites: [] });
  }
}
