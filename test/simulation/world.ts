import type { PublishTimes } from '../../src/domain/listing.ts';
import { Agenda } from './agenda.ts';
import { OrderBook, type OrderVersion } from './order-book.ts';
import { Random } from './random.ts';
import { AbsoluteShelf, DeltaShelf, type SimRequest } from './shelves.ts';
import { type ListingRules, SimLedger } from './sim-ledger.ts';
import { AbsolutePublisher, type AnyPublisher, DeltaPublisher } from './sim-publisher.ts';

export interface Design {
  readonly deltaPublisher?: typeof DeltaPublisher;
  readonly absolutePublisher?: typeof AbsolutePublisher;
  readonly deltaTimes?: Partial<PublishTimes>;
  readonly absoluteTimes?: Partial<PublishTimes>;
  readonly absorb?: ListingRules['absorb'];
}

export interface RunResult {
  readonly seed: number;
  /** Listings that do not show the target when everything has come to rest, and disagreements of the ledger. */
  readonly wrong: readonly string[];
  /** Units that a write put on a delta platform beyond the target less the orders that were not seen yet. */
  readonly putBack: number;
  /** The same on the absolute platform, beyond its sales between our read and its apply (erased by the platform). */
  readonly beyondExposure: number;
  readonly exposure: number;
  readonly sales: number;
  /** Repairs of what nobody edited. */
  readonly falseVerdicts: number;
  readonly writes: number;
}

/** Seconds stand for the minutes of a real platform; the proportions are those of the capabilities. */
export const deltaTimes: PublishTimes = {
  readLagMs: 0,
  applyGraceMs: 0,
  longestApplyMs: 0,
  orderIndexLagMs: 3_000,
  idempotencyWindowMs: 40_000,
  skewMs: 1_000,
  freshReadMs: 0,
};

export const absoluteTimes: PublishTimes = {
  readLagMs: 2_000,
  applyGraceMs: 8_000,
  longestApplyMs: 25_000,
  orderIndexLagMs: 5_000,
  idempotencyWindowMs: 0,
  skewMs: 3_500,
  freshReadMs: 2_500,
};

const busyMs = 120_000;
const quietMs = 200_000;
const walkBehindMs = 6_000;
const maskedMs = absoluteTimes.longestApplyMs + absoluteTimes.applyGraceMs;

interface Sale {
  readonly orderId: string;
  readonly atMs: number;
  readonly units: number;
  /** A number made for an earlier read was applied over it: no later read can tell of this sale. */
  erasedAtMs: number | undefined;
}

interface Channel {
  readonly name: string;
  readonly shelf: DeltaShelf | AbsoluteShelf;
  readonly publisher: AnyPublisher;
  readonly book: OrderBook;
  readonly orders: string[];
  /** Platform clock minus ours. */
  readonly clockOffsetMs: number;
  /** In what steps the platform dates its orders. */
  readonly resolutionMs: number;
  readonly sold: Sale[];
  /** What else made a later sale invisible to reads: units restored without a word, writes accepted and never applied. */
  masked: number;
  generation: number;
  newestApplied: number;
  isDown: boolean;
  /** Processes that were killed: they hear no answer. */
  readonly killed: Set<number>;
  isReading: boolean;
  isPulling: boolean;
  isWoken: boolean;
  outageUntilMs: number;
  /** The next request is executed, and then nothing is heard of the platform for this long. */
  outageMs: number;
}

/** One SKU on two delta platforms and an absolute one, with buyers, holds, losses, delays and kills, by seed. */
export class World {
  readonly #agenda = new Agenda();
  readonly #random: Random;
  readonly #ledger: SimLedger;
  readonly #channels: Channel[] = [];
  readonly #seed: number;
  #physical: number;
  #held = 0;
  #putBack = 0;
  #beyondExposure = 0;
  #exposure = 0;
  #sales = 0;
  #falseVerdicts = 0;
  #writes = 0;

  constructor(seed: number, design: Design = {}) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#physical = this.#random.between(4, 30);
    this.#ledger = new SimLedger(this.#physical);
    for (const name of ['shop-a', 'shop-b', 'market'] as const) this.#open(name, design);
    for (const channel of this.#channels) this.#schedule(channel);
    this.#scheduleStock();
  }

  run(): RunResult {
    this.#agenda.runUntil(busyMs + quietMs);
    return {
      seed: this.#seed,
      wrong: this.#wrong(),
      putBack: this.#putBack,
      beyondExposure: this.#beyondExposure,
      exposure: this.#exposure,
      sales: this.#sales,
      falseVerdicts: this.#falseVerdicts,
      writes: this.#writes,
    };
  }

  #open(name: 'shop-a' | 'shop-b' | 'market', design: Design): void {
    const random = this.#random;
    const isDelta = name !== 'market';
    const times = isDelta
      ? { ...deltaTimes, ...design.deltaTimes }
      : { ...absoluteTimes, ...design.absoluteTimes };
    // A shop is connected with whatever it shows, sold units not yet known to us included.
    const shown = Math.max(0, this.#physical + random.between(-2, 2));
    const Delta = design.deltaPublisher ?? DeltaPublisher;
    const Absolute = design.absolutePublisher ?? AbsolutePublisher;
    this.#ledger.addListing(name, {
      kind: isDelta ? 'delta' : 'absolute',
      skewMs: times.skewMs,
      ...(design.absorb === undefined ? {} : { absorb: design.absorb }),
    });
    this.#channels.push({
      name,
      shelf: isDelta ? new DeltaShelf(shown, deltaTimes.idempotencyWindowMs) : new AbsoluteShelf(shown),
      publisher: isDelta ? new Delta(this.#ledger, name, times) : new Absolute(this.#ledger, name, times),
      book: new OrderBook(name),
      orders: [],
      clockOffsetMs: random.between(-200, 200),
      // TikTok says whole seconds, Amazon milliseconds.
      resolutionMs: isDelta || this.#seed % 2 === 0 ? 1 : 1_000,
      sold: [],
      masked: 0,
      generation: 0,
      newestApplied: 0,
      isDown: false,
      killed: new Set(),
      isReading: false,
      isPulling: false,
      isWoken: false,
      outageUntilMs: 0,
      outageMs: 0,
    });
  }

  #schedule(channel: Channel): void {
    const { between } = this.#dice();
    for (let sale = between(3, 12); sale > 0; sale--)
      this.#agenda.at(between(0, busyMs), () => this.#buy(channel));
    for (let poll = between(0, 9_000); poll < busyMs + quietMs; poll += between(7_000, 10_000))
      this.#agenda.at(poll, () => this.#pull(channel));
    for (let kill = between(0, 2); kill > 0; kill--)
      this.#agenda.at(between(0, busyMs), () =>
        between(0, 2) === 0 ? this.#pause(channel) : this.#kill(channel),
      );
    if (between(0, 9) === 0)
      this.#agenda.at(between(0, busyMs), () => {
        channel.outageMs = between(5_000, 60_000);
      });
    this.#wake(channel);
  }

  #scheduleStock(): void {
    const { between, happens } = this.#dice();
    for (let hold = between(0, 5); hold > 0; hold--)
      this.#agenda.at(between(0, busyMs - 10_000), () => {
        const units = between(1, 4);
        if (!this.#ledger.hold(units)) return;
        this.#held += units;
        this.#wakeAll();
        this.#agenda.in(between(500, 30_000), () => {
          this.#ledger.release(units);
          this.#held -= units;
          this.#wakeAll();
        });
      });
    if (happens(0.5))
      this.#agenda.at(between(0, busyMs), () => {
        const units = between(1, 15);
        this.#physical += units;
        this.#ledger.receive(units);
        this.#wakeAll();
      });
  }

  #buy(channel: Channel): void {
    const { between, happens } = this.#dice();
    const units = between(1, 2);
    const nowMs = this.#agenda.nowMs;
    if (channel.shelf.value < units) return;
    channel.shelf.take(units, nowMs);
    this.#sales += units;
    const order = channel.book.place(units, datedBy(channel, nowMs), this.#visibleAt(channel));
    channel.orders.push(order.orderId);
    channel.sold.push({ orderId: order.orderId, atMs: nowMs, units, erasedAtMs: undefined });
    this.#tell(channel, order);
    if (happens(0.3))
      this.#agenda.in(between(100, 40_000), () => this.#change(channel, order.orderId, units));
    if (happens(0.2)) this.#agenda.in(between(100, 20_000), () => this.#alter(channel, order.orderId, {}));
  }

  #change(channel: Channel, orderId: string, units: number): void {
    const { happens } = this.#dice();
    const nowMs = this.#agenda.nowMs;
    if (channel.book.newest(orderId).counters.cancelled > 0) return;
    if (channel.shelf instanceof DeltaShelf) {
      const isRestocked = happens(0.7);
      if (isRestocked) channel.shelf.giveBack(units);
      else this.#physical -= units;
      const by = isRestocked ? { cancelled: units, givenBack: units } : { writtenOff: units };
      this.#alter(channel, orderId, by);
    } else {
      // Amazon restores the number for a buyer's cancellation, not for a seller's; the order does not say which.
      if (happens(0.5)) {
        channel.shelf.giveBack(units, nowMs);
        channel.masked += units;
      }
      this.#alter(channel, orderId, { cancelled: units }, false);
    }
  }

  #alter(
    channel: Channel,
    orderId: string,
    by: Parameters<OrderBook['change']>[1],
    takenIsKnown = true,
  ): void {
    const atMs = datedBy(channel, this.#agenda.nowMs);
    this.#tell(channel, channel.book.change(orderId, by, atMs, this.#visibleAt(channel), takenIsKnown));
  }

  /** A delivery carries what was true when it was made; it may be late, lost, repeated or overtaken. */
  #tell(channel: Channel, order: OrderVersion): void {
    const { between, happens } = this.#dice();
    for (let copies = happens(0.2) ? 0 : happens(0.2) ? 2 : 1; copies > 0; copies--)
      this.#agenda.in(between(50, happens(0.2) ? 15_000 : 1_500), () => {
        const nowMs = this.#agenda.nowMs;
        this.#ledger.apply(channel.name, order, 'push', nowMs, nowMs);
        this.#wakeAll();
      });
    if (channel.shelf instanceof DeltaShelf && happens(0.6))
      this.#agenda.in(between(50, 4_000), () => this.#read(channel));
  }

  #pull(channel: Channel): void {
    const { between, happens } = this.#dice();
    if (channel.isPulling || this.#isOut(channel)) return;
    channel.isPulling = true;
    const beganAtMs = this.#agenda.nowMs;
    this.#agenda.in(between(20, 250), () => {
      const orders = channel.book.visible(this.#agenda.nowMs);
      this.#agenda.in(between(20, 250), () => {
        channel.isPulling = false;
        if (happens(0.05)) return;
        const nowMs = this.#agenda.nowMs;
        for (const order of orders) this.#ledger.apply(channel.name, order, 'fetch', beganAtMs, nowMs);
        channel.publisher.pulled(beganAtMs);
        channel.publisher.walked(beganAtMs - walkBehindMs + channel.clockOffsetMs);
        this.#wakeAll();
      });
    });
  }

  #read(channel: Channel): void {
    const { between, happens } = this.#dice();
    if (channel.isReading || channel.isDown || this.#isOut(channel)) return;
    channel.isReading = true;
    const ticket = channel.publisher.beginRead();
    const startedAtMs = this.#agenda.nowMs + channel.clockOffsetMs;
    const generation = channel.generation;
    this.#agenda.in(between(20, 250), () => {
      const { shelf } = channel;
      const nowMs = this.#agenda.nowMs;
      const value =
        shelf instanceof DeltaShelf
          ? shelf.value
          : shelf.valueAt(nowMs - (happens(0.5) ? 0 : between(0, absoluteTimes.readLagMs)));
      this.#agenda.in(between(20, 250), () => {
        channel.isReading = false;
        if (generation !== channel.generation || happens(0.03)) return;
        channel.publisher.endRead(ticket, { value, startedAtMs }, this.#agenda.nowMs);
        this.#wakeAll();
      });
    });
  }

  /** The publisher's loop, woken by every change and by its own waits. */
  #work(channel: Channel, stoppedMs = 0): void {
    if (channel.isDown) return;
    const nowMs = this.#agenda.nowMs;
    for (let turn = 0; turn < 8; turn++) {
      const want = channel.publisher.next(nowMs);
      switch (want.kind) {
        case 'send':
          this.#send(channel, want.request, stoppedMs);
          continue;
        case 'read':
          this.#agenda.at(Math.max(nowMs + 100, want.notBeforeMs), () => this.#read(channel));
          this.#agenda.at(Math.max(nowMs, want.notBeforeMs) + 1_500, () => this.#wake(channel));
          return;
        case 'pull':
          this.#pull(channel);
          this.#agenda.in(2_000, () => this.#wake(channel));
          return;
        case 'wait':
          this.#agenda.at(Math.max(nowMs + 100, want.untilMs), () => this.#wake(channel));
          return;
        case 'nothing':
          return;
      }
    }
  }

  #send(channel: Channel, request: SimRequest, stoppedMs: number): void {
    const { between, happens } = this.#dice();
    const order = ++this.#writes;
    if (request.kind === 'repair') this.#falseVerdicts += 1;
    const generation = channel.generation;
    const { available } = this.#ledger;
    const target = Math.max(0, available);
    const state = this.#ledger.listing(channel.name);
    // Units provisioned here stand for orders that were not seen: the target has them already.
    const removed = this.#ledger.removedBy(channel.name) + state.provisional;
    const seen = new Set(channel.orders.filter((orderId) => this.#ledger.knows(orderId)));
    const readMs = (state.base?.asOfMs ?? 0) - channel.clockOffsetMs;
    const delayMs = between(20, 300) + stoppedMs;
    const isLost = this.#isOut(channel) || happens(0.06);
    const isAnswerLost = happens(0.06) || (channel.outageMs > 0 && !isLost);
    if (isAnswerLost && channel.outageMs > 0) {
      const outageMs = channel.outageMs;
      channel.outageMs = 0;
      this.#agenda.in(delayMs + 1, () => {
        channel.outageUntilMs = this.#agenda.nowMs + outageMs;
      });
    }
    const settle = (outcome: Parameters<AnyPublisher['answered']>[1]) => {
      if (channel.killed.has(generation)) return;
      channel.publisher.answered(request, outcome, this.#agenda.nowMs);
      this.#wakeAll();
    };
    if (isLost) {
      channel.masked += Math.max(0, channel.shelf.value - request.to);
      this.#agenda.in(1_500, () => settle({ kind: 'unknown' }));
      return;
    }
    this.#agenda.in(delayMs, () => {
      const { shelf } = channel;
      if (shelf instanceof DeltaShelf) {
        const before = shelf.value;
        const answer = shelf.write(request, this.#agenda.nowMs);
        if (shelf.value > before) this.#judgeDelta(channel, target, removed);
        this.#agenda.in(isAnswerLost ? 1_500 : between(20, 300), () =>
          settle(isAnswerLost ? { kind: 'unknown' } : answer),
        );
        return;
      }
      const fate = this.#random.next();
      // Never, late but within the longest apply, or within the grace; the applies of one listing may overtake.
      const applyMs =
        fate < 0.03 ? undefined : fate < 0.08 ? between(8_000, 24_000 - delayMs) : between(200, 7_000);
      if (applyMs === undefined) channel.masked += Math.max(0, shelf.value - request.to);
      else
        this.#agenda.in(applyMs, () => {
          const before = shelf.value;
          const isOvertaken = order < channel.newestApplied;
          channel.newestApplied = Math.max(order, channel.newestApplied);
          shelf.apply(request.to, this.#agenda.nowMs);
          // A platform that applies in another order than it accepted is beyond any sender.
          if (isOvertaken) {
            channel.masked += Math.max(0, request.to - before);
            return;
          }
          this.#judgeAbsolute(channel, before, target, removed, readMs, seen);
        });
      this.#agenda.in(isAnswerLost ? 1_500 : between(20, 300), () =>
        settle({ kind: isAnswerLost ? 'unknown' : 'accepted' }),
      );
    });
  }

  /** What a write may leave on the shelf: the target it was made for, less own orders the ledger had not seen then. */
  #allowed(channel: Channel, target: number, removed: number): number {
    return target - (channel.book.removed - removed);
  }

  #judgeDelta(channel: Channel, target: number, removed: number): void {
    const allowed = this.#allowed(channel, target, removed);
    this.#putBack += Math.max(0, Math.max(0, channel.shelf.value) - Math.max(0, allowed));
  }

  #judgeAbsolute(
    channel: Channel,
    before: number,
    target: number,
    removed: number,
    readMs: number,
    seen: ReadonlySet<string>,
  ): void {
    const to = channel.shelf.value;
    const allowed = Math.max(before, this.#allowed(channel, target, removed), 0);
    const excess = Math.max(0, to - allowed);
    let erased = 0;
    for (const sale of channel.sold) {
      if (sale.erasedAtMs === undefined && sale.atMs >= readMs) sale.erasedAtMs = this.#agenda.nowMs;
      if (sale.erasedAtMs === undefined) continue;
      // It stays hidden while its order is unknown; and a known one still hides the next sale from the reads that judge
      // the write which erased it.
      const isHiding = this.#agenda.nowMs - sale.erasedAtMs <= maskedMs;
      if (isHiding || !seen.has(sale.orderId)) erased += sale.units;
    }
    erased += channel.masked;
    this.#exposure += excess;
    this.#beyondExposure += Math.max(0, excess - erased);
  }

  #kill(channel: Channel): void {
    channel.isDown = true;
    channel.killed.add(channel.generation);
    channel.generation += 1;
    this.#agenda.in(this.#random.between(500, 6_000), () => {
      channel.isDown = false;
      channel.isReading = false;
      channel.publisher.restarted(this.#agenda.nowMs);
      this.#wake(channel);
    });
  }

  /** SIGSTOP: another holder takes over, what the stopped one had ready arrives later and settles with an old token. */
  #pause(channel: Channel): void {
    this.#work(channel, this.#random.between(1_000, 6_000));
    channel.generation += 1;
    channel.isReading = false;
    channel.publisher.restarted(this.#agenda.nowMs);
    this.#wake(channel);
  }

  #wakeAll(): void {
    for (const channel of this.#channels) this.#wake(channel);
  }

  #wake(channel: Channel): void {
    if (channel.isWoken) return;
    channel.isWoken = true;
    this.#agenda.in(this.#random.between(5, 120), () => {
      channel.isWoken = false;
      this.#work(channel);
    });
  }

  #isOut(channel: Channel): boolean {
    return this.#agenda.nowMs < channel.outageUntilMs;
  }

  #visibleAt(channel: Channel): number {
    const lagMs =
      channel.shelf instanceof DeltaShelf ? deltaTimes.orderIndexLagMs : absoluteTimes.orderIndexLagMs;
    return this.#agenda.nowMs + this.#random.between(0, lagMs);
  }

  #dice(): { between: (least: number, most: number) => number; happens: (probability: number) => boolean } {
    const random = this.#random;
    return {
      between: (least, most) => random.between(least, most),
      happens: (probability) => random.happens(probability),
    };
  }

  #wrong(): string[] {
    const wrong: string[] = [];
    const target = Math.max(0, this.#ledger.available);
    let removed = 0;
    for (const { name, shelf, book } of this.#channels) {
      removed += book.removed;
      const shows = Math.max(0, shelf.value);
      if (shows !== target) wrong.push(`${name} shows ${shows}, target ${target}`);
    }
    // Written-off units are still in `removed` and have left `physical` too: count them once.
    let writtenOff = 0;
    for (const { orders, book } of this.#channels)
      for (const orderId of orders) writtenOff += book.newest(orderId).counters.writtenOff;
    const truth = this.#physical + writtenOff - removed - this.#held;
    if (truth !== this.#ledger.available) wrong.push(`ledger ${this.#ledger.available}, truth ${truth}`);
    return wrong;
  }
}

function datedBy({ clockOffsetMs, resolutionMs }: Channel, atMs: number): number {
  return Math.floor((atMs + clockOffsetMs) / resolutionMs) * resolutionMs;
}
