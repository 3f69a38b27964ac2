import type { LineCounters } from '../../src/domain/order.ts';
import type { StockReading } from '../../src/domain/publish.ts';
import { OrderBook, type OrderVersion } from './order-book.ts';
import { AbsoluteShelf, DeltaShelf, type ShelfAnswer, type SimRequest } from './shelves.ts';
import { SimLedger } from './sim-ledger.ts';
import {
  AbsolutePublisher,
  type Answer,
  type AnyPublisher,
  DeltaPublisher,
  type Want,
} from './sim-publisher.ts';
import { type Design, absoluteTimes, deltaTimes } from './world.ts';

interface Place {
  readonly shelf: DeltaShelf | AbsoluteShelf;
  readonly publisher: AnyPublisher;
  readonly book: OrderBook;
  /** Accepted by an absolute platform, not applied yet. */
  readonly accepted: SimRequest[];
  /** Everything the shelf has shown. */
  readonly shown: number[];
}

export type ChannelName = 'a' | 'b' | 'm';
const names: readonly ChannelName[] = ['a', 'b', 'm'];

/** Two delta shops `a` and `b` and a marketplace `m`, moved by hand: every step happens when the script says so. */
export class Stage {
  nowMs = 1_000_000;
  readonly ledger: SimLedger;
  readonly #places: Record<ChannelName, Place>;

  constructor(onHand: number, design: Design = {}) {
    this.ledger = new SimLedger(onHand);
    const place = (channel: ChannelName): Place => {
      const isDelta = channel !== 'm';
      const times = isDelta
        ? { ...deltaTimes, ...design.deltaTimes }
        : { ...absoluteTimes, ...design.absoluteTimes };
      this.ledger.addListing(channel, {
        kind: isDelta ? 'delta' : 'absolute',
        skewMs: times.skewMs,
        ...(design.absorb === undefined ? {} : { absorb: design.absorb }),
      });
      const Delta = design.deltaPublisher ?? DeltaPublisher;
      const Absolute = design.absolutePublisher ?? AbsolutePublisher;
      return {
        shelf: isDelta ? new DeltaShelf(onHand, deltaTimes.idempotencyWindowMs) : new AbsoluteShelf(onHand),
        publisher: isDelta
          ? new Delta(this.ledger, channel, times)
          : new Absolute(this.ledger, channel, times),
        book: new OrderBook(channel),
        accepted: [],
        shown: [],
      };
    };
    this.#places = { a: place('a'), b: place('b'), m: place('m') };
  }

  /** A stage on which all three listings are known and agree with the ledger. */
  static connected(onHand: number, design: Design = {}): Stage {
    const stage = new Stage(onHand, design);
    stage.rest();
    stage.pass(60_000);
    for (const name of names) stage.#places[name].shown.length = 0;
    return stage;
  }

  publisher(channel: ChannelName): AnyPublisher {
    return this.#places[channel].publisher;
  }

  target(channel: ChannelName): number {
    return this.#places[channel].publisher.target;
  }

  shows(channel: ChannelName): number {
    return this.#places[channel].shelf.value;
  }

  highest(channel: ChannelName): number {
    return Math.max(...this.#places[channel].shown, this.shows(channel));
  }

  pass(ms: number): void {
    this.nowMs += ms;
  }

  sell(channel: ChannelName, units = 1): OrderVersion {
    const { shelf, book } = this.#places[channel];
    shelf.take(units, this.nowMs);
    const order = book.place(units, this.nowMs, this.nowMs + deltaTimes.orderIndexLagMs);
    this.pass(10);
    return order;
  }

  /** What the platform does to its number is said by `givenBack`, whether it tells so by `takenIsKnown`. */
  change(
    channel: ChannelName,
    order: OrderVersion,
    by: Partial<LineCounters>,
    platform: { readonly gaveBack: number; readonly takenIsKnown: boolean },
  ): OrderVersion {
    const { shelf, book } = this.#places[channel];
    shelf.giveBack(platform.gaveBack, this.nowMs);
    const visibleAtMs = this.nowMs + deltaTimes.orderIndexLagMs;
    const changed = book.change(order.orderId, by, this.nowMs, visibleAtMs, platform.takenIsKnown);
    this.pass(10);
    return changed;
  }

  edit(channel: ChannelName, to: number): void {
    this.#places[channel].shelf.edit(to, this.nowMs);
  }

  hear(channel: ChannelName, order: OrderVersion): void {
    this.ledger.apply(channel, order, 'push', this.nowMs, this.nowMs);
  }

  /** The publisher decides and records; nothing is sent yet. */
  claim(channel: ChannelName): SimRequest {
    const want = this.want(channel);
    if (want.kind !== 'send') throw new Error(`${channel} wants ${want.kind}`);
    return want.request;
  }

  want(channel: ChannelName): Want {
    return this.#places[channel].publisher.next(this.nowMs);
  }

  /** The platform gets the request; an absolute one only accepts it. */
  deliver(channel: ChannelName, request: SimRequest): ShelfAnswer {
    const { shelf, accepted, shown } = this.#places[channel];
    this.pass(10);
    if (shelf instanceof AbsoluteShelf) {
      accepted.push(request);
      return { kind: 'accepted' };
    }
    const answer = shelf.write(request, this.nowMs);
    shown.push(shelf.value);
    return answer;
  }

  /** The oldest accepted write takes effect. */
  apply(channel: ChannelName): void {
    const { shelf, accepted, shown } = this.#places[channel];
    const request = accepted.shift();
    if (request === undefined || shelf instanceof DeltaShelf) throw new Error('nothing accepted');
    shelf.apply(request.to, this.nowMs);
    shown.push(shelf.value);
  }

  applyAll(channel: ChannelName): void {
    while (this.#places[channel].accepted.length > 0) this.apply(channel);
  }

  /** The platform applies in another order than it accepted. */
  applyNewest(channel: ChannelName): void {
    const { accepted } = this.#places[channel];
    const newest = accepted.pop();
    if (newest !== undefined) accepted.unshift(newest);
    this.apply(channel);
  }

  answer(channel: ChannelName, request: SimRequest, answer: Answer): void {
    this.#places[channel].publisher.answered(request, answer, this.nowMs);
  }

  send(channel: ChannelName): SimRequest {
    const request = this.claim(channel);
    this.answer(channel, request, this.deliver(channel, request));
    return request;
  }

  /** A read of the present, or of a moment before (read lag). */
  read(channel: ChannelName, ageMs = 0): number {
    const { shelf, publisher } = this.#places[channel];
    const ticket = publisher.beginRead();
    const value = shelf instanceof AbsoluteShelf ? shelf.valueAt(this.nowMs - ageMs) : shelf.value;
    const reading: StockReading = { value, startedAtMs: this.nowMs };
    this.pass(50);
    publisher.endRead(ticket, reading, this.nowMs);
    return value;
  }

  /** A completed pull: what the index shows by now is applied. */
  pull(channel: ChannelName): void {
    const { book, publisher } = this.#places[channel];
    const beganAtMs = this.nowMs;
    this.pass(50);
    for (const order of book.visible(this.nowMs))
      this.ledger.apply(channel, order, 'fetch', beganAtMs, this.nowMs);
    publisher.pulled(beganAtMs);
    publisher.walked(beganAtMs - deltaTimes.orderIndexLagMs);
  }

  /** Lets one publisher do all it wants for a while, without any pull of orders. */
  work(channel: ChannelName, ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) {
      this.#serve(channel);
      this.pass(500);
    }
  }

  /** Everything comes to rest: orders are pulled, accepted writes apply, publishers work. */
  rest(): void {
    for (let turn = 0; turn < 160; turn++) {
      for (const channel of names) {
        if (turn % 10 === 0) this.pull(channel);
        this.applyAll(channel);
        this.#serve(channel);
      }
      this.pass(500);
    }
  }

  #serve(channel: ChannelName): void {
    for (let turn = 0; turn < 6; turn++) {
      const want = this.want(channel);
      if (want.kind === 'read' && want.notBeforeMs <= this.nowMs) this.read(channel);
      if (want.kind !== 'send') return;
      this.answer(channel, want.request, this.deliver(channel, want.request));
    }
  }
}
