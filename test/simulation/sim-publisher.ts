import type { ListingState, OpenWrite, PublishTimes } from '../../src/domain/listing.ts';
import { decideAbsolute, settleAbsolute } from '../../src/domain/publish-absolute.ts';
import { readAbsolute, walkedAbsolute } from '../../src/domain/read-absolute.ts';
import {
  decideDelta,
  mayRepeat,
  pulledDelta,
  readDelta,
  settleDelta,
} from '../../src/domain/publish-delta.ts';
import type { PublishDecision, Settled, StockReading, WriteOutcome } from '../../src/domain/publish.ts';
import type { ShelfAnswer, SimRequest } from './shelves.ts';
import type { SimLedger } from './sim-ledger.ts';

export type Answer = WriteOutcome | ShelfAnswer;

export type Want =
  | { readonly kind: 'send'; readonly request: SimRequest }
  | { readonly kind: 'read'; readonly notBeforeMs: number }
  | { readonly kind: 'pull' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'nothing' };

export interface ReadTicket {
  readonly version: number;
}

const maxInFlight = 4;
const backOffMs = 1_000;

/**
 * A thin publisher of one listing over the domain's functions, as the real one is over Redis: what it decides is stored
 * before it is sent, what it hears is stored as the domain says. Designs under test override one step each.
 */
abstract class SimPublisher {
  token = 1;
  readonly ledger: SimLedger;
  readonly channel: string;
  readonly times: PublishTimes;
  protected readonly records = new Map<string, SimRequest & { readonly sentAtMs: number }>();
  protected readonly inFlight = new Set<string>();
  readonly #notBefore = new Map<string, number>();
  #keys = 0;

  constructor(ledger: SimLedger, channel: string, times: PublishTimes) {
    this.ledger = ledger;
    this.channel = channel;
    this.times = times;
  }

  abstract decide(nowMs: number): PublishDecision;
  protected abstract kindOf(decision: 'lower' | 'raise' | 'edited'): SimRequest['kind'];
  protected abstract settle(request: SimRequest, outcome: Answer, nowMs: number): Settled;
  abstract read(reading: StockReading, nowMs: number): void;
  abstract pulled(beganAtMs: number): void;
  abstract walked(upperBoundMs: number): void;

  get state(): ListingState {
    return this.ledger.listing(this.channel);
  }

  get target(): number {
    return this.ledger.available;
  }

  next(nowMs: number): Want {
    const decision = this.decide(nowMs);
    if (decision.kind === 'lower' && this.inFlight.size < maxInFlight) return this.#claim(decision, nowMs);
    const repeat = this.#dueRepeat(nowMs);
    if (repeat !== undefined) return repeat;
    switch (decision.kind) {
      case 'raise':
      case 'edited':
        return this.#claim(decision, nowMs);
      case 'read-first':
        return { kind: 'read', notBeforeMs: decision.notBeforeMs };
      case 'wait':
        if (decision.reason === 'orders-not-pulled') return { kind: 'pull' };
        return decision.untilMs === undefined
          ? { kind: 'nothing' }
          : { kind: 'wait', untilMs: decision.untilMs };
      case 'none':
      case 'lower':
        return { kind: 'nothing' };
    }
    return { kind: 'nothing' };
  }

  answered(request: SimRequest, outcome: Answer, nowMs: number): void {
    if (request.token !== this.token) {
      this.ledger.suspect(this.channel, nowMs);
      return;
    }
    this.inFlight.delete(request.key);
    const settled = this.settle(request, outcome, nowMs);
    this.ledger.settle(this.channel, settled.next);
    if (settled.record === 'close') this.records.delete(request.key);
    else this.#notBefore.set(request.key, nowMs + backOffMs);
  }

  beginRead(): ReadTicket {
    return { version: this.state.version };
  }

  /** A read is of use only if nothing was claimed or settled meanwhile. */
  endRead(ticket: ReadTicket, reading: StockReading, nowMs: number): void {
    if (ticket.version === this.state.version) this.read(reading, nowMs);
  }

  /** A new process, or a new holder of the lease: memory is gone, the records are not. */
  restarted(_nowMs: number): void {
    this.token += 1;
    this.inFlight.clear();
    this.#notBefore.clear();
  }

  protected mayRepeatNow(request: SimRequest): boolean {
    // A raise that may have been lost is repeated only when nothing that was decided after it is still on its way.
    return (
      request.kind === 'lower' ||
      !this.state.openWrites.some((open) => open.writeId !== request.key && open.to < open.from)
    );
  }

  protected isRepeatable(sentAtMs: number, nowMs: number): boolean {
    return mayRepeat(sentAtMs, nowMs, this.times);
  }

  #dueRepeat(nowMs: number): Want | undefined {
    let soonest: number | undefined;
    for (const record of this.records.values()) {
      if (this.inFlight.has(record.key)) continue;
      if (!this.isRepeatable(record.sentAtMs, nowMs)) {
        this.ledger.settle(this.channel, this.settle(record, { kind: 'key-spent' }, nowMs).next);
        this.records.delete(record.key);
        return { kind: 'wait', untilMs: nowMs };
      }
      if (!this.mayRepeatNow(record)) continue;
      const notBefore = this.#notBefore.get(record.key) ?? 0;
      if (nowMs >= notBefore) {
        this.inFlight.add(record.key);
        const request = { ...record, token: this.token };
        return { kind: 'send', request };
      }
      soonest = Math.min(soonest ?? notBefore, notBefore);
    }
    return soonest === undefined ? undefined : { kind: 'wait', untilMs: soonest };
  }

  #claim(decision: { kind: 'lower' | 'raise' | 'edited'; from: number; to: number }, nowMs: number): Want {
    const kind = this.kindOf(decision.kind);
    const request: SimRequest = {
      key: `${this.channel}-write-${++this.#keys}`,
      kind,
      from: decision.from,
      to: decision.to,
      token: this.token,
    };
    const open: OpenWrite = {
      writeId: request.key,
      kind: kind === 'put' ? 'absolute' : kind === 'repair' ? 'compare-and-set' : 'delta',
      from: request.from,
      to: request.to,
      takenAt: this.state.taken,
      sentAtMs: nowMs,
      outcome: 'sent',
      token: this.token,
    };
    this.records.set(request.key, { ...request, sentAtMs: nowMs });
    this.inFlight.add(request.key);
    this.ledger.settle(this.channel, {
      ...this.state,
      openWrites: [...this.state.openWrites, open],
    });
    return { kind: 'send', request };
  }
}

export type AnyPublisher = DeltaPublisher | AbsolutePublisher;

export class DeltaPublisher extends SimPublisher {
  decide(_nowMs: number): PublishDecision {
    return decideDelta(this.state, this.target);
  }

  read(reading: StockReading, _nowMs: number): void {
    const result = readDelta(this.state, reading, this.times);
    if (result.kind !== 'discarded') this.ledger.settle(this.channel, result.next);
  }

  pulled(beganAtMs: number): void {
    const next = pulledDelta(this.state, beganAtMs, this.times);
    if (next !== this.state) this.ledger.settle(this.channel, next);
  }

  walked(): void {
    // Only absolute platforms need the bound of a walk.
  }

  protected kindOf(decision: 'lower' | 'raise' | 'edited'): SimRequest['kind'] {
    return decision === 'edited' ? 'repair' : decision;
  }

  protected settle(request: SimRequest, outcome: Answer, nowMs: number): Settled {
    return settleDelta(this.state, request.key, outcome, this.times, nowMs);
  }
}

export class AbsolutePublisher extends SimPublisher {
  decide(nowMs: number): PublishDecision {
    return decideAbsolute(this.state, this.target, this.times, nowMs);
  }

  read(reading: StockReading, nowMs: number): void {
    const result = readAbsolute(this.state, reading, this.times, nowMs);
    if (result.kind === 'taken') this.ledger.settle(this.channel, result.next);
  }

  pulled(): void {
    // Only platforms with deltas settle a base by a pull.
  }

  walked(upperBoundMs: number): void {
    const { next } = walkedAbsolute(this.state, upperBoundMs);
    if (next !== this.state) this.ledger.settle(this.channel, next);
  }

  /** Without a key nothing can be repeated: what was under way may have arrived. */
  override restarted(nowMs: number): void {
    super.restarted(nowMs);
    for (const record of this.records.values()) {
      const { next } = settleAbsolute(this.state, record.key, { kind: 'unknown' }, nowMs);
      this.ledger.settle(this.channel, next);
    }
    this.records.clear();
  }

  protected kindOf(): SimRequest['kind'] {
    return 'put';
  }

  protected settle(request: SimRequest, outcome: Answer, nowMs: number): Settled {
    return settleAbsolute(this.state, request.key, outcome, nowMs);
  }
}
