// Long on purpose: the two answers to one question, held and denied, are read side by side.
import { availabilityStatus } from '../../domain/availability-status.ts';
import { StockmeshError } from '../../domain/errors.ts';
import type { Sku } from '../../domain/ids.ts';
import type { ChangeResult, ReserveLine, ReserveRequest, ReserveResult } from '../../ledger/contract.ts';
import type { Caller } from '../api/caller.ts';
import type { Denied, Held, RetryAdvice } from './answers.ts';
import type { Asked } from './asked.ts';
import { ageOf, type Decisions } from './decisions.ts';
import { codeOf, type DeniedResult, isSoldOut, linesBySku, messageOf } from './ledger-words.ts';
import { shownAgent } from './hold-id.ts';
import { HotQueue } from './hot-queue.ts';
import { isoTimeOf } from './iso-time.ts';
import type { ReservationParts } from './parts.ts';
import type { Outcome } from './service.ts';
import type { BuyerClass, StockView } from './stock-view.ts';

/** What the copy knew before the ledger was asked: this is what the limits were compiled from. */
interface Before {
  readonly startedMs: number;
  readonly sequence: string;
  readonly ageMs: number;
  readonly stock: readonly { readonly sku: Sku; readonly quantity: number; readonly view: StockView }[];
}

export const agentPool = 'agents';

/** Reserve or deny, in one call to the ledger; its script decides, this says why. */
export class Reserving {
  readonly #parts: ReservationParts;
  readonly #decisions: Decisions;
  readonly #queue: HotQueue;

  constructor(parts: ReservationParts, decisions: Decisions) {
    this.#parts = parts;
    this.#decisions = decisions;
    this.#queue = new HotQueue(parts.settings.queue.maxWaiting, parts.metrics);
    parts.copy.onChanged((changed) => this.#queue.moved(changed.keys()));
  }

  async reserve(
    caller: Caller,
    asked: Asked,
    holdId: string,
    signal?: AbortSignal,
  ): Promise<Outcome<Held | Denied>> {
    const { metrics } = this.#parts;
    const startedMs = performance.now();
    const before: Before = {
      startedMs,
      sequence: this.#decisions.sequenceOf(this.#parts.copy.position.seq),
      ageMs: ageOf(this.#parts.copy.ageMs()),
      stock: this.#known(asked),
    };
    const first = asked.lines[0];
    for (const { sku } of asked.lines) metrics.reserveAsked(asked.agent, sku, startedMs);
    const hot = asked.lines.length === 1 && first !== undefined ? this.#hotSku(first.sku) : undefined;
    let code: 'QUEUE_FULL' | 'QUEUE_TIMEOUT' | undefined;
    let result: ReserveResult;
    if (hot !== undefined && this.#queue.isQueued(hot)) {
      // Whoever waits was here before.
      result = this.#soldOut(hot);
    } else result = await this.#ask(caller, asked, holdId);
    if (hot !== undefined && asked.waitMs > 0 && isSoldOut(result)) {
      const waited = await this.#queue.wait(
        hot,
        asked.waitMs,
        result,
        () => this.#ask(caller, asked, holdId),
        (answer) => !isSoldOut(answer),
        signal,
      );
      result = waited.kind === 'served' ? waited.result : waited.last;
      if (waited.kind !== 'served') code = waited.kind === 'full' ? 'QUEUE_FULL' : 'QUEUE_TIMEOUT';
    }
    metrics.decideSeconds.reserve.observe((performance.now() - startedMs) / 1_000);
    const answered = this.#answer(caller, asked, holdId, result, code, before);
    const outcome = answered instanceof Promise ? await answered : answered;
    metrics.requested(asked.buyer, outcome.body.outcome === 'held' ? 'held' : outcome.body.code);
    return outcome;
  }

  /** In the place of another hold; what became of that one when it is not there to be changed. Nobody waits in a queue for it. */
  async change(
    caller: Caller,
    asked: Asked,
    replacedId: string,
    holdId: string,
  ): Promise<Outcome<Held | Denied> | Extract<ChangeResult, { kind: `replaced-${string}` }>> {
    const startedMs = performance.now();
    const before: Before = {
      startedMs,
      sequence: this.#decisions.sequenceOf(this.#parts.copy.position.seq),
      ageMs: ageOf(this.#parts.copy.ageMs()),
      stock: this.#known(asked),
    };
    const result = await this.#parts.ledger.change(replacedId, this.#requestOf(caller, asked, holdId));
    if (result.kind === 'replaced-unknown' || result.kind === 'replaced-ended') return result;
    this.#parts.metrics.decideSeconds.change.observe((performance.now() - startedMs) / 1_000);
    const outcome = await this.#answer(caller, asked, holdId, result, undefined, before);
    const { body } = outcome;
    this.#parts.metrics.requested(asked.buyer, body.outcome === 'held' ? 'changed' : body.code);
    return outcome;
  }

  #ask(caller: Caller, asked: Asked, holdId: string): Promise<ReserveResult> {
    return this.#parts.ledger.reserve(this.#requestOf(caller, asked, holdId));
  }

  #requestOf(caller: Caller, asked: Asked, holdId: string): ReserveRequest {
    const { agent } = asked;
    return {
      holdId,
      lines: this.#ledgerLines(asked),
      ttlMs: asked.ttlMs,
      actor: caller.keyId,
      agent: agent === '' ? undefined : agent,
      pool: agent === '' ? undefined : agentPool,
      settlesOn: asked.settlesOn,
    };
  }

  /** Bundles taken apart, each SKU with its limits as numbers. */
  #ledgerLines({ lines, buyer }: Asked): readonly ReserveLine[] {
    const { rules } = this.#parts;
    const only = lines[0];
    if (lines.length === 1 && only !== undefined && rules.componentsOf(only.sku) === undefined)
      return [this.#ledgerLine(only.sku, only.quantity, buyer)];
    const units = new Map<Sku, number>();
    for (const { sku, quantity } of lines) {
      for (const part of rules.componentsOf(sku) ?? [{ sku, units: 1 }])
        units.set(part.sku, (units.get(part.sku) ?? 0) + quantity * part.units);
    }
    return [...units].map(([sku, count]) => this.#ledgerLine(sku, count, buyer));
  }

  /** Member by member, as all that is made for every reserve: what follows a spread in a literal is stored the slow way. */
  #ledgerLine(sku: Sku, units: number, buyer: BuyerClass): ReserveLine {
    const { rules, copy, settings } = this.#parts;
    const { keepUnits, poolCapUnits, agentCapUnits } = rules.limitsOf(sku, buyer, copy.levelsOf(sku));
    return { sku, units, locations: settings.locations, keepUnits, poolCapUnits, agentCapUnits };
  }

  #answer(
    caller: Caller,
    asked: Asked,
    holdId: string,
    result: ReserveResult,
    code: 'QUEUE_FULL' | 'QUEUE_TIMEOUT' | undefined,
    before: Before,
  ): Outcome<Held | Denied> | Promise<Outcome<Held | Denied>> {
    switch (result.kind) {
      case 'held':
        return this.#held(caller, asked, result, before);
      case 'denied':
        return this.#denied(caller, asked, result, code, before);
      case 'ended':
        return this.#endedAlready(asked, holdId, result.state);
      case 'fingerprint-mismatch':
        throw new StockmeshError('IDEMPOTENCY_KEY_REUSED', {});
    }
  }

  #held(
    caller: Caller,
    asked: Asked,
    result: Extract<ReserveResult, { kind: 'held' }>,
    { stock, ageMs, sequence }: Before,
  ): Outcome<Held> {
    const { ledger, metrics } = this.#parts;
    const nowMs = ledger.nowMs();
    if (stock.every(({ view, quantity }) => view.forBuyer >= quantity)) metrics.promises.push(false);
    const body: Held = {
      outcome: 'held',
      hold_id: result.holdId,
      state: 'held',
      lines: linesBySku(result.lines),
      agent_id: shownAgent(asked.agent),
      settles_on: asked.settlesOn ?? null,
      expires_at: isoTimeOf(result.expiresAtMs),
      expires_in_ms: Math.max(0, Math.round(result.expiresAtMs - nowMs)),
      sequence: this.#decisions.sequenceOf(result.seq),
      data_age_ms: 0,
      decision_id: this.#decisions.newId(),
    };
    const text = this.#receipt(asked, body, nowMs);
    metrics.dataAge.reserve.observe(Math.max(0, ageMs) / 1_000);
    this.#decisions.record(caller, {
      kind: 'reserve',
      decision_id: body.decision_id,
      outcome: 'held',
      agent_id: asked.agent || undefined,
      hold_id: body.hold_id,
      asked: whatWasAsked(asked),
      sequence,
      dataAgeMs: ageMs,
      stock: stock.map(knownOf),
      shown: { sequence: body.sequence, lines: body.lines },
      receipt: body.receipt?.sha256,
      rationale: ['the ledger had the units within every limit, at this sequence'],
    });
    for (const { sku, quantity, view } of stock) {
      const beyond = quantity - Math.max(0, view.available);
      if (view.kept < 0 && beyond > 0) this.#parts.reviewOversold(body.hold_id, sku, beyond);
    }
    return { status: 201, body, isReplayed: false, text };
  }

  #denied(
    caller: Caller,
    asked: Asked,
    result: DeniedResult,
    code: 'QUEUE_FULL' | 'QUEUE_TIMEOUT' | undefined,
    before: Before,
  ): Outcome<Denied> {
    const { ledger, metrics, copy, rules } = this.#parts;
    const nowMs = ledger.nowMs();
    const { sku } = result;
    const requested = this.#ledgerLines(asked).find((of) => of.sku === sku)?.units ?? 0;
    const view = rules.view(sku, asked.buyer, (of) => copy.levelsOf(of));
    if (result.reason === 'out-of-stock') {
      metrics.outOfStock(asked.agent, sku, before.startedMs);
      const promised = before.stock.find((line) => line.sku === sku);
      if (promised !== undefined && promised.view.forBuyer >= promised.quantity) metrics.promises.push(true);
    }
    const levelsOf = (of: Sku) => copy.levelsOf(of);
    const alternatives = rules.alternativesOf(sku, requested, asked.buyer, levelsOf);
    const later = rules.laterOf(sku, Math.min(0, view.available));
    const body: Denied = {
      outcome: 'denied',
      code: code ?? codeOf(result, view),
      message: messageOf(result, view, requested),
      sku,
      requested,
      available: result.available,
      status: availabilityStatus(
        result.available > 0 ? result.available : Math.min(0, view.available),
        rules.termsOf(sku),
      ),
      alternatives,
      backorder: later,
      retry: this.#adviceOn(result, sku, alternatives.length > 0 || later !== null),
      sequence: this.#decisions.sequenceOf(result.seq),
      data_age_ms: 0,
      decision_id: this.#decisions.newId(),
    };
    const text = this.#receipt(asked, body, nowMs);
    metrics.dataAge.reserve.observe(Math.max(0, before.ageMs) / 1_000);
    if (this.#decisions.isSampled('denial')) {
      this.#decisions.record(caller, {
        kind: 'reserve',
        decision_id: body.decision_id,
        outcome: body.code,
        agent_id: asked.agent || undefined,
        asked: whatWasAsked(asked),
        sequence: before.sequence,
        dataAgeMs: before.ageMs,
        stock: before.stock.map(knownOf),
        shown: {
          sequence: body.sequence,
          available: body.available,
          status: body.status,
          alternatives,
          retry: body.retry,
        },
        receipt: body.receipt?.sha256,
        rationale: [body.message],
      });
    }
    return { status: 409, body, isReplayed: false, text };
  }

  /** The hold of this very request ended before its answer was told: it is told as it was, with what became of it. */
  async #endedAlready(asked: Asked, holdId: string, state: Held['state']): Promise<Outcome<Held>> {
    const { ledger } = this.#parts;
    const view = await ledger.hold(holdId);
    const nowMs = ledger.nowMs();
    const body: Held = {
      outcome: 'held',
      hold_id: holdId,
      state,
      lines: linesBySku(view?.lines ?? []),
      agent_id: shownAgent(asked.agent),
      settles_on: asked.settlesOn ?? null,
      expires_at: new Date(nowMs + (view?.deadlineInMs ?? 0)).toISOString(),
      expires_in_ms: 0,
      sequence: this.#decisions.sequenceOf(this.#parts.copy.position.seq),
      data_age_ms: 0,
      decision_id: this.#decisions.newId(),
    };
    const text = this.#receipt(asked, body, nowMs);
    return { status: 201, body, isReplayed: true, text };
  }

  /** Of answers to agents; the answer's text then. */
  #receipt(asked: Asked, body: Held | Denied, nowMs: number): string | undefined {
    return asked.buyer === 'agent' ? this.#parts.receipts.attach(body, body.sequence, nowMs) : undefined;
  }

  #known(asked: Asked): readonly { sku: Sku; quantity: number; view: StockView }[] {
    const { rules, copy } = this.#parts;
    return asked.lines.map(({ sku, quantity }) => ({
      sku,
      quantity,
      view: rules.view(sku, asked.buyer, (of) => copy.levelsOf(of)),
    }));
  }

  #hotSku(sku: Sku): Sku | undefined {
    const { skus } = this.#parts.settings.queue;
    return skus.has(sku) || skus.has('*') ? sku : undefined;
  }

  #soldOut(sku: Sku): DeniedResult {
    const { seq } = this.#parts.copy.position;
    return { kind: 'denied', reason: 'out-of-stock', sku, available: 0, seq };
  }

  #adviceOn({ reason, available }: DeniedResult, sku: Sku, hasOther: boolean): RetryAdvice {
    if (reason === 'agent-cap')
      return { advice: available > 0 ? 'ask_for_less' : 'do_not_retry', after_seconds: null };
    if (available > 0) return { advice: 'ask_for_less', after_seconds: 0 };
    if (this.#hotSku(sku) !== undefined) return { advice: 'wait_in_queue', after_seconds: 0 };
    const { copy, settings } = this.#parts;
    const levels = copy.levelsOf(sku);
    const held = settings.locations.some((location) => (levels?.get(location)?.reserved ?? 0) > 0);
    // What others hold may come back when their time is up.
    if (held || reason === 'pool-cap')
      return { advice: 'retry_later', after_seconds: settings.stages.intent.defaultTtlMs / 1_000 };
    return { advice: hasOther ? 'choose_alternative' : 'do_not_retry', after_seconds: null };
  }
}

function whatWasAsked({ lines, stage, ttlMs, waitMs, session }: Asked): object {
  return { lines, stage, ttl_ms: ttlMs, wait_ms: waitMs, session };
}

function knownOf({ sku, view }: { sku: Sku; view: StockView }): object {
  return { sku, available: view.available, kept: view.kept, for_buyer: view.forBuyer, status: view.status };
}
