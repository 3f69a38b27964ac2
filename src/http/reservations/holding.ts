// Long on purpose: change, extend, pending, commit and release are one life cycle, read side by side.
import type { ChannelId, Sku } from '../../domain/ids.ts';
import type { CommitRequest, CommitResult, HoldState, HoldView } from '../../ledger/contract.ts';
import type { Caller } from '../api/caller.ts';
import type { Committed, Denied, Held, HoldAnswer, Refused, Released, RetryAdvice } from './answers.ts';
import { type Asked, ttlOf } from './asked.ts';
import { ageOf, type Decisions } from './decisions.ts';
import { mayTouch, shownAgent, stageOf } from './hold-id.ts';
import type { ReservationParts } from './parts.ts';
import type { ShownReceipt } from './receipts.ts';
import type { ChangeBody, CommitBody, ExtendBody, PendingBody } from './requests.ts';
import { linesBySku } from './ledger-words.ts';
import type { Reserving } from './reserving.ts';
import type { Outcome } from './service.ts';

type RefusalCode = Refused['code'];

const statusOf: Readonly<Record<RefusalCode, number>> = {
  HOLD_UNKNOWN: 404,
  HOLD_EXPIRED: 410,
  HOLD_ENDED: 409,
  EXTENSIONS_USED_UP: 409,
  PART_EXCEEDS_HOLD: 422,
  COMMIT_DIFFERS: 409,
  SESSION_LIMIT: 409,
  RECEIPT_INVALID: 422,
};

const noRetry: RetryAdvice = { advice: 'do_not_retry', after_seconds: null };
/** A payment may be waited for longer than any number of ordinary extensions. */
const pendingExtensions = 10_000;

/** What becomes of a hold: changed, extended, pending, committed, released. Judged by the ledger alone. */
export class Holding {
  readonly #parts: ReservationParts;
  readonly #decisions: Decisions;
  readonly #reserving: Reserving;

  constructor(parts: ReservationParts, decisions: Decisions, reserving: Reserving) {
    this.#parts = parts;
    this.#decisions = decisions;
    this.#reserving = reserving;
  }

  async get(caller: Caller, holdId: string): Promise<Outcome<HoldAnswer | Refused>> {
    const view = await this.#view(caller, holdId);
    if (view === undefined) return this.#refuse(caller, 'read', holdId, 'HOLD_UNKNOWN');
    const isPending =
      view.state === 'held' && (await this.#parts.records.one('payments', holdId)) !== undefined;
    const { outcome: _, decision_id: _id, ...body } = this.#heldBody(view, isPending);
    const order = view.orderId === '' ? null : { channel: view.channel, order_id: view.orderId };
    return { status: 200, body: { ...body, order }, isReplayed: false };
  }

  async change(
    caller: Caller,
    holdId: string,
    body: ChangeBody,
    newId: string,
  ): Promise<Outcome<Held | Denied | Refused>> {
    const stage = stageOf(holdId);
    const ttlMs = ttlOf(`the stage ${stage}`, this.#parts.settings.stages[stage], body.ttl_seconds);
    const view = await this.#view(caller, holdId);
    if (view === undefined) return this.#refuse(caller, 'change', holdId, 'HOLD_UNKNOWN');
    const lines = 'lines' in body ? body.lines : [{ sku: body.sku, quantity: body.quantity }];
    const asked: Asked = {
      buyer: view.agent === '' ? 'checkout' : 'agent',
      agent: view.agent,
      session: 'default',
      stage,
      ttlMs,
      waitMs: 0,
      settlesOn: view.settlesOn === 'external' ? undefined : (view.settlesOn as ChannelId),
      lines: lines.map(({ sku, quantity }) => ({ sku: sku as Sku, quantity })),
    };
    const outcome = await this.#reserving.change(caller, asked, holdId, newId);
    if ('body' in outcome) {
      // A payment was waited for: of the hold that is there now nobody has said so.
      if (outcome.body.outcome === 'held') await this.#parts.records.drop('payments', holdId);
      return outcome;
    }
    if (outcome.kind === 'replaced-unknown') return this.#refuse(caller, 'change', holdId, 'HOLD_UNKNOWN');
    return this.#ended(caller, 'change', holdId, outcome.state);
  }

  async extend(
    caller: Caller,
    holdId: string,
    body: ExtendBody,
    operationId: string,
  ): Promise<Outcome<Held | Refused>> {
    const stage = stageOf(holdId);
    const ttlMs = ttlOf(`the stage ${stage}`, this.#parts.settings.stages[stage], body.ttl_seconds);
    if (!mayTouch(caller, holdId)) return this.#refuse(caller, 'extend', holdId, 'HOLD_UNKNOWN');
    const { maxExtensions } = this.#parts.settings;
    return this.#extendBy(caller, 'extend', holdId, ttlMs, operationId, maxExtensions);
  }

  async paymentPending(caller: Caller, holdId: string, body: PendingBody): Promise<Outcome<Held | Refused>> {
    const { settings, records, ledger } = this.#parts;
    const ttlMs = ttlOf('pending payments', settings.stages.paymentPending, body.ttl_seconds);
    if (!mayTouch(caller, holdId)) return this.#refuse(caller, 'payment-pending', holdId, 'HOLD_UNKNOWN');
    // Noted first: a hold that waits for a person must be on the list he looks at.
    const note = { since: ledger.nowMs(), keyId: caller.keyId, reference: body.reference ?? '' };
    await records.put('payments', holdId, JSON.stringify(note));
    const outcome = await this.#extendBy(
      caller,
      'payment-pending',
      holdId,
      ttlMs,
      'payment-pending',
      pendingExtensions,
    );
    if (outcome.status !== 200) await records.drop('payments', holdId);
    return outcome;
  }

  async #extendBy(
    caller: Caller,
    kind: 'extend' | 'payment-pending',
    holdId: string,
    ttlMs: number,
    operationId: string,
    maxExtensions: number,
  ): Promise<Outcome<Held | Refused>> {
    const result = await this.#parts.ledger.extend({ holdId, ttlMs, operationId, maxExtensions });
    switch (result.kind) {
      case 'unknown-hold':
        return this.#refuse(caller, kind, holdId, 'HOLD_UNKNOWN');
      case 'too-many-extensions':
        return this.#refuse(caller, kind, holdId, 'EXTENSIONS_USED_UP', { state: 'held' });
      case 'ended':
        return this.#ended(caller, kind, holdId, result.state);
      case 'extended':
    }
    const view = await this.#parts.ledger.hold(holdId);
    if (view === undefined) return this.#refuse(caller, kind, holdId, 'HOLD_UNKNOWN');
    const body = this.#heldBody(view, kind === 'payment-pending');
    const { receipts, ledger } = this.#parts;
    const text = view.agent === '' ? undefined : receipts.attach(body, body.sequence, ledger.nowMs());
    this.#record(caller, kind, holdId, kind === 'extend' ? 'extended' : 'pending', body.decision_id, {
      asked: { ttl_ms: ttlMs },
      shown: { expires_at: body.expires_at },
      rationale: ['the hold was live at this sequence'],
    });
    return { status: 200, body, isReplayed: false, text };
  }

  async commit(caller: Caller, holdId: string, body: CommitBody): Promise<Outcome<Committed | Refused>> {
    const receipt = body.receipt === undefined ? undefined : this.#parts.receipts.open(body.receipt);
    if (body.receipt !== undefined && receipt === undefined)
      return this.#refuse(caller, 'commit', holdId, 'RECEIPT_INVALID');
    const view = await this.#view(caller, holdId);
    if (view === undefined) return this.#refuse(caller, 'commit', holdId, 'HOLD_UNKNOWN');
    const session = body.session_id ?? 'default';
    if (!(await this.#takeTransaction(view, session)))
      return this.#refuse(caller, 'commit', holdId, 'SESSION_LIMIT', { state: view.state });
    const result = await this.#parts.ledger.commit(commitOf(caller, holdId, body));
    if (result.kind === 'committed') {
      await this.#parts.records.drop('payments', holdId);
      return this.#committed(caller, holdId, body, result, receipt, false);
    }
    if (result.kind === 'expired' && body.if_expired === 'reserve_again')
      return this.#takeAgain(caller, view, body, receipt, session);
    if (view.state !== 'committed') await this.#giveBack(view, session);
    switch (result.kind) {
      case 'expired':
        return this.#refuse(caller, 'commit', holdId, 'HOLD_EXPIRED', { state: 'expired' });
      case 'ended':
        return this.#ended(caller, 'commit', holdId, result.state);
      case 'part-exceeds-hold':
        return this.#refuse(caller, 'commit', holdId, 'PART_EXCEEDS_HOLD', {
          sku: result.sku,
          state: 'held',
        });
      case 'fingerprint-mismatch':
        return this.#refuse(caller, 'commit', holdId, 'COMMIT_DIFFERS', { state: 'committed' });
      case 'unknown-hold':
        return this.#refuse(caller, 'commit', holdId, 'HOLD_UNKNOWN');
    }
  }

  async release(caller: Caller, holdId: string): Promise<Outcome<Released | Refused>> {
    if (!mayTouch(caller, holdId)) return this.#refuse(caller, 'release', holdId, 'HOLD_UNKNOWN');
    const result = await this.#parts.ledger.release({ holdId, actor: caller.keyId });
    if (result.kind === 'unknown-hold') return this.#refuse(caller, 'release', holdId, 'HOLD_UNKNOWN');
    if (result.kind === 'ended') return this.#ended(caller, 'release', holdId, result.state);
    await this.#parts.records.drop('payments', holdId);
    const body: Released = {
      outcome: 'released',
      hold_id: holdId,
      was_repeated: result.repeated,
      sequence: this.#decisions.sequenceOf(result.seq),
      decision_id: this.#decisions.newId(),
    };
    this.#record(caller, 'release', holdId, 'released', body.decision_id, {
      asked: {},
      shown: { sequence: body.sequence },
      rationale: ['the holder gave it back'],
    });
    this.#parts.metrics.requested(caller.class, 'released');
    return { status: 200, body, isReplayed: false };
  }

  /** The hold ran out before the payment cleared: the same units once more, if they are still there. */
  async #takeAgain(
    caller: Caller,
    view: HoldView,
    body: CommitBody,
    receipt: ShownReceipt | undefined,
    session: string,
  ): Promise<Outcome<Committed | Refused>> {
    const units = new Map<Sku, number>();
    for (const line of view.lines) units.set(line.sku, (units.get(line.sku) ?? 0) + line.units);
    const asked: Asked = {
      buyer: view.agent === '' ? 'checkout' : 'agent',
      agent: view.agent,
      session,
      stage: stageOf(view.holdId),
      ttlMs: this.#parts.settings.stages.checkout.defaultTtlMs,
      waitMs: 0,
      settlesOn: view.settlesOn === 'external' ? undefined : (view.settlesOn as ChannelId),
      lines: [...units].map(([sku, quantity]) => ({ sku, quantity })),
    };
    // The id follows from the first: a repeat finds the same second hold.
    const secondId = `${view.holdId}.2`;
    const second = await this.#reserving.reserve(caller, asked, secondId);
    if (second.body.outcome === 'held') {
      const order = body.order ?? { channel: 'direct', order_id: view.holdId };
      const result = await this.#parts.ledger.commit(commitOf(caller, secondId, { ...body, order }));
      if (result.kind === 'committed')
        return this.#committed(caller, secondId, { ...body, order }, result, receipt, true);
    }
    await this.#giveBack(view, session);
    return this.#refuse(caller, 'commit', view.holdId, 'HOLD_EXPIRED', {
      state: 'expired',
      ...(second.body.outcome === 'denied' ? { denial: second.body } : {}),
    });
  }

  #committed(
    caller: Caller,
    holdId: string,
    { order, lines }: CommitBody,
    result: Extract<CommitResult, { kind: 'committed' }>,
    receipt: ShownReceipt | undefined,
    tookAgain: boolean,
  ): Outcome<Committed> {
    const body: Committed = {
      outcome: 'committed',
      hold_id: holdId,
      order: order ?? { channel: 'direct', order_id: holdId },
      was_repeated: result.repeated,
      took_again: tookAgain,
      receipt_check:
        receipt === undefined
          ? null
          : {
              shown_sequence: receipt.sequence,
              shown_at: new Date(receipt.shownAtMs).toISOString(),
              decided_sequence: this.#decisions.sequenceOf(result.seq),
            },
      sequence: this.#decisions.sequenceOf(result.seq),
      decision_id: this.#decisions.newId(),
    };
    this.#record(caller, 'commit', holdId, 'committed', body.decision_id, {
      asked: { order: body.order, lines: lines ?? 'all', presented: receipt?.sha256 ?? null },
      order: `${body.order.channel}:${body.order.order_id}`,
      shown: { sequence: body.sequence },
      rationale: [
        tookAgain ? 'the hold had run out; its units were still there' : 'the hold was live at this sequence',
        ...(receipt === undefined
          ? []
          : [`the buyer decided on what was shown at ${receipt.sequence} (${receipt.sha256})`]),
      ],
    });
    this.#parts.metrics.requested(caller.class, 'committed');
    return { status: 200, body, isReplayed: false };
  }

  async #takeTransaction({ agent, holdId, state }: HoldView, session: string): Promise<boolean> {
    if (agent === '' || state === 'committed') return true;
    const { maxTransactionsPerSession, sessionMs } = this.#parts.settings.agents;
    const taken = await this.#parts.records.takeTransaction({
      agent,
      session,
      holdId,
      most: maxTransactionsPerSession,
      sessionMs,
    });
    return taken === 'taken';
  }

  async #giveBack({ agent, holdId }: HoldView, session: string): Promise<void> {
    if (agent !== '') await this.#parts.records.giveTransactionBack(agent, session, holdId);
  }

  async #view(caller: Caller, holdId: string): Promise<HoldView | undefined> {
    return mayTouch(caller, holdId) ? this.#parts.ledger.hold(holdId) : undefined;
  }

  #heldBody(view: HoldView, isPending: boolean): Held {
    const nowMs = this.#parts.ledger.nowMs();
    return {
      outcome: 'held',
      hold_id: view.holdId,
      state: isPending && view.state === 'held' ? 'payment_pending' : view.state,
      lines: linesBySku(view.lines),
      agent_id: shownAgent(view.agent),
      settles_on: view.settlesOn === 'external' ? null : view.settlesOn,
      expires_at: new Date(nowMs + view.deadlineInMs).toISOString(),
      expires_in_ms: view.state === 'held' ? Math.max(0, Math.round(view.deadlineInMs)) : 0,
      sequence: this.#decisions.sequenceOf(this.#parts.copy.position.seq),
      data_age_ms: 0,
      decision_id: this.#decisions.newId(),
    };
  }

  #ended(
    caller: Caller,
    kind: 'change' | 'extend' | 'payment-pending' | 'commit' | 'release',
    holdId: string,
    state: HoldState,
  ): Outcome<Refused> {
    return this.#refuse(caller, kind, holdId, state === 'expired' ? 'HOLD_EXPIRED' : 'HOLD_ENDED', { state });
  }

  #refuse(
    caller: Caller,
    kind: 'change' | 'extend' | 'payment-pending' | 'commit' | 'release' | 'read',
    holdId: string,
    code: RefusalCode,
    more: { state?: HoldState; sku?: string; denial?: Denied } = {},
  ): Outcome<Refused> {
    const body: Refused = {
      outcome: 'refused',
      code,
      message: messages[code],
      hold_id: holdId,
      state: more.state ?? null,
      sku: more.sku ?? null,
      ...(more.denial === undefined ? {} : { denial: more.denial }),
      retry: code === 'HOLD_EXPIRED' ? { advice: 'retry_later', after_seconds: 0 } : noRetry,
      sequence: this.#decisions.sequenceOf(this.#parts.copy.position.seq),
      decision_id: this.#decisions.newId(),
    };
    if (this.#decisions.isSampled('denial')) {
      this.#record(caller, kind, holdId, code, body.decision_id, {
        asked: {},
        shown: { state: body.state },
        rationale: [body.message],
      });
    }
    this.#parts.metrics.requested(caller.class, code);
    return { status: statusOf[code], body, isReplayed: false };
  }

  #record(
    caller: Caller,
    kind: 'change' | 'extend' | 'payment-pending' | 'commit' | 'release' | 'read',
    holdId: string,
    outcome: string,
    decisionId: string,
    more: { asked: unknown; shown: unknown; rationale: readonly string[]; order?: string },
  ): void {
    this.#decisions.record(caller, {
      kind,
      decision_id: decisionId,
      outcome,
      hold_id: holdId,
      sequence: this.#decisions.sequenceOf(this.#parts.copy.position.seq),
      dataAgeMs: ageOf(this.#parts.copy.ageMs()),
      ...more,
    });
  }
}

function commitOf(caller: Caller, holdId: string, { order, lines }: CommitBody): CommitRequest {
  return {
    holdId,
    actor: caller.keyId,
    ...(order === undefined
      ? {}
      : { order: { channel: order.channel as ChannelId, orderId: order.order_id } }),
    ...(lines === undefined
      ? {}
      : { part: lines.map(({ sku, quantity }) => ({ sku: sku as Sku, units: quantity })) }),
  };
}

const messages: Readonly<Record<RefusalCode, string>> = {
  HOLD_UNKNOWN: 'there is no such hold of this key',
  HOLD_EXPIRED:
    'the hold had run out; nothing was moved. Reserve again, or commit with if_expired=reserve_again',
  HOLD_ENDED: 'the hold has ended already',
  EXTENSIONS_USED_UP: 'the hold was extended as often as may be',
  PART_EXCEEDS_HOLD: 'the part is more than was held',
  COMMIT_DIFFERS: 'the hold was committed to another order, or with another part',
  SESSION_LIMIT: 'the agent has made as many transactions in this session as it may',
  RECEIPT_INVALID: 'the receipt is not one of ours',
};
