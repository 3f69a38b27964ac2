import { hash, randomUUID } from 'node:crypto';
import { StockmeshError } from '../../domain/errors.ts';
import type { Caller } from '../api/caller.ts';
import { type Pace, TokenBuckets } from '../api/token-buckets.ts';
import { readAsked } from './asked.ts';
import { Decisions } from './decisions.ts';
import { Explaining } from './explaining.ts';
import { changedHoldId, ledgerAgent, makeHoldId } from './hold-id.ts';
import { Holding } from './holding.ts';
import { once } from './idempotent.ts';
import type { ReservationParts } from './parts.ts';
import { Reading } from './reading.ts';
import type {
  AvailabilityQuery,
  ChangeBody,
  CommitBody,
  DecisionQuery,
  ExtendBody,
  PendingBody,
  ReserveBody,
} from './requests.ts';
import { Reserving } from './reserving.ts';
import type { CallOptions, Outcome, ReservationService } from './service.ts';

/** Reservations on the ledger; every door of the daemon goes through it. */
export class LedgerReservations implements ReservationService {
  readonly #parts: ReservationParts;
  readonly #buckets = new TokenBuckets();
  readonly #reserving: Reserving;
  readonly #holding: Holding;
  readonly #reading: Reading;
  readonly #explaining: Explaining;

  constructor(parts: ReservationParts) {
    this.#parts = parts;
    const decisions = new Decisions(parts);
    this.#reserving = new Reserving(parts, decisions);
    this.#holding = new Holding(parts, decisions, this.#reserving);
    this.#reading = new Reading(parts, decisions);
    this.#explaining = new Explaining(parts, decisions);
  }

  async reserve(caller: Caller, body: ReserveBody, options: CallOptions = {}) {
    const asked = readAsked(this.#parts, caller, body);
    this.#keepPace(caller, asked.agent);
    const holdId = makeHoldId(caller, asked.stage, options.idempotencyKey);
    return this.#once(caller, options, ['reserve', body], () =>
      this.#reserving.reserve(caller, asked, holdId, options.signal),
    );
  }

  async change(caller: Caller, holdId: string, body: ChangeBody, options: CallOptions = {}) {
    this.#keepPace(caller);
    const newId = changedHoldId(holdId, options.idempotencyKey);
    return this.#once(caller, options, ['change', holdId, body], () =>
      this.#holding.change(caller, holdId, body, newId),
    );
  }

  async extend(caller: Caller, holdId: string, body: ExtendBody, options: CallOptions = {}) {
    this.#keepPace(caller);
    const operationId = operationOf(options);
    return this.#once(caller, options, ['extend', holdId, body], () =>
      this.#holding.extend(caller, holdId, body, operationId),
    );
  }

  async paymentPending(caller: Caller, holdId: string, body: PendingBody, options: CallOptions = {}) {
    this.#keepPace(caller);
    return this.#once(caller, options, ['payment-pending', holdId, body], () =>
      this.#holding.paymentPending(caller, holdId, body),
    );
  }

  async commit(caller: Caller, holdId: string, body: CommitBody, options: CallOptions = {}) {
    this.#keepPace(caller);
    return this.#once(caller, options, ['commit', holdId, body], () =>
      this.#holding.commit(caller, holdId, body),
    );
  }

  async release(caller: Caller, holdId: string, options: CallOptions = {}) {
    this.#keepPace(caller);
    return this.#once(caller, options, ['release', holdId], () => this.#holding.release(caller, holdId));
  }

  async get(caller: Caller, holdId: string) {
    this.#keepPace(caller);
    return this.#holding.get(caller, holdId);
  }

  async availability(caller: Caller, query: AvailabilityQuery) {
    this.#keepPace(caller, query.agent_id === undefined ? '' : ledgerAgent(caller, query.agent_id));
    return this.#reading.availability(caller, query);
  }

  async explainDecision(caller: Caller, query: DecisionQuery) {
    this.#keepPace(caller);
    return this.#explaining.explain(caller, query);
  }

  #once<Body>(
    caller: Caller,
    { idempotencyKey }: CallOptions,
    request: readonly unknown[],
    act: () => Promise<Outcome<Body>>,
  ): Promise<Outcome<Body>> {
    return once(this.#parts.idempotency, caller, idempotencyKey, request, act);
  }

  /** An agent has its own pace within that of the key it comes with; operators have none. */
  #keepPace(caller: Caller, asked = ''): void {
    if (caller.class === 'operator' && asked === '') return;
    const { agents, checkouts } = this.#parts.settings;
    const agent = asked === '' && caller.agentId !== undefined ? ledgerAgent(caller, caller.agentId) : asked;
    if (agent !== '') this.#take('this agent', agent, agents.pace);
    this.#take('this key', caller.keyId, checkouts.pace);
  }

  #take(who: string, name: string, pace: Pace): void {
    const waitMs = this.#buckets.take(name, pace);
    if (waitMs > 0)
      throw new StockmeshError('HTTP_RATE_LIMITED', {
        who,
        retryAfterS: Math.max(1, Math.ceil(waitMs / 1_000)),
      });
  }
}

/** Of an extension: the ledger answers its repeat with the first result. */
function operationOf({ idempotencyKey }: CallOptions): string {
  return idempotencyKey === undefined ? randomUUID() : hash('sha256', idempotencyKey, 'base64url');
}
