import { absorbTaken } from '../../src/domain/absorb.ts';
import { type ListingState, untouchedListing } from '../../src/domain/listing.ts';
import { type AppliedLine, mergeLine, nothingApplied } from '../../src/domain/merge.ts';
import { type LineCounters, committedOf } from '../../src/domain/order.ts';
import type { OrderVersion } from './order-book.ts';

export interface ListingRules {
  readonly kind: 'delta' | 'absolute';
  readonly skewMs: number;
  /** Design under test: what an own order does to its listing. */
  readonly absorb?: typeof absorbTaken;
}

/** One SKU at one place, kept by the same pure functions that the scripts are ports of. */
export class SimLedger {
  #onHand: number;
  #held = 0;
  #committed = 0;
  #provisional = 0;
  readonly #lines = new Map<string, { line: AppliedLine; changedAtMs: number }>();
  readonly #removed = new Map<string, number>();
  readonly #listings = new Map<string, ListingState>();
  readonly #rules = new Map<string, ListingRules>();

  constructor(onHand: number) {
    this.#onHand = onHand;
  }

  get available(): number {
    return this.#onHand - this.#committed - this.#held - this.#provisional;
  }

  addListing(channel: string, rules: ListingRules): void {
    this.#listings.set(channel, untouchedListing);
    this.#rules.set(channel, rules);
  }

  listing(channel: string): ListingState {
    const state = this.#listings.get(channel);
    if (state === undefined) throw new Error(`no listing on ${channel}`);
    return state;
  }

  /** Units that the channel's applied orders take from the stock. */
  removedBy(channel: string): number {
    return this.#removed.get(channel) ?? 0;
  }

  knows(orderId: string): boolean {
    return this.#lines.has(orderId);
  }

  /** A settlement: booking or releasing provisional units is part of the same change. */
  settle(channel: string, next: ListingState): void {
    const before = this.listing(channel);
    this.#provisional += next.provisional - before.provisional;
    this.#listings.set(channel, { ...next, version: before.version + 1 });
  }

  apply(
    channel: string,
    order: OrderVersion,
    source: 'fetch' | 'push',
    beganAtMs: number,
    nowMs: number,
  ): void {
    const known = this.#lines.get(order.orderId);
    const merged = mergeLine(known?.line ?? nothingApplied, {
      counters: order.counters,
      source,
      beganAtMs,
      isOlder: order.changedAtMs < (known?.changedAtMs ?? 0),
    });
    const changedAtMs = Math.max(order.changedAtMs, known?.changedAtMs ?? 0);
    this.#lines.set(order.orderId, { line: merged.line, changedAtMs });
    if (merged.differences.length === 0) return;

    const earliestAtMs = known === undefined ? order.placedAtMs : known.changedAtMs;
    const before = known?.line.counters ?? nothingApplied.counters;
    this.#committed += committedOf(merged.line.counters) - committedOf(before);
    for (const { counter, units } of merged.differences) {
      if (counter === 'shipped' || counter === 'writtenOff') this.#onHand -= units;
      if (counter === 'restocked') this.#onHand += units;
      if (counter === 'takenOut') this.#absorb(channel, units, order.changedAtMs, earliestAtMs, nowMs);
      if (counter === 'givenBack') this.#absorb(channel, -units, order.changedAtMs, earliestAtMs, nowMs);
    }
    if (!order.takenIsKnown) this.suspect(channel, nowMs);
    const removed = removedOf(merged.line.counters) - removedOf(before);
    this.#removed.set(channel, this.removedBy(channel) + removed);
  }

  /** What the platform took is not known, or a publisher without a lease had something to say. */
  suspect(channel: string, nowMs: number): void {
    this.settle(channel, { ...this.listing(channel), suspect: true, suspectAtMs: nowMs });
  }

  hold(units: number): boolean {
    if (this.available < units) return false;
    this.#held += units;
    return true;
  }

  release(units: number): void {
    this.#held -= units;
  }

  receive(units: number): void {
    this.#onHand += units;
  }

  #absorb(channel: string, units: number, atMs: number, earliestAtMs: number, seenAtMs: number): void {
    const rules = this.#rules.get(channel);
    if (rules === undefined) return;
    const absorb = rules.absorb ?? absorbTaken;
    const before = this.listing(channel);
    const { state, consumedProvisional } = absorb(before, {
      units,
      atMs,
      earliestAtMs,
      kind: rules.kind,
      skewMs: rules.skewMs,
      seenAtMs,
    });
    this.#provisional -= consumedProvisional;
    const isReplaced =
      state.base !== before.base || state.suspect !== before.suspect || consumedProvisional > 0;
    this.#listings.set(channel, isReplaced ? { ...state, version: state.version + 1 } : state);
  }
}

function removedOf(counters: LineCounters): number {
  return counters.ordered - counters.cancelled;
}
