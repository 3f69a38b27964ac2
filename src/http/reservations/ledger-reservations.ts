import { hash, randomUUID } from 'node:crypto';
import type { Caller } from '../api/caller.ts';
import { readAsked } from './asked.ts';
import { Decisions } from './decisions.ts';
import { Explaining } from './explaining.ts';
import { changedHoldId, makeHoldId } from './hold-id.ts';
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

/** Reservations on the ledger; every door of the daemon goes through it, callers from outside by `PacedReservations`. */
export class LedgerReservations implements ReservationService {
  readonly #parts: ReservationParts;
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

  reserve(caller: Caller, body: ReserveBody, options: CallOptions = {}) {
    const asked = readAsked(this.#parts, caller, body);
    const holdId = makeHoldId(caller, asked.stage, options.idempotencyKey);
    return this.#once(caller, options, ['reserve', body], () =>
      this.#reserving.reserve(caller, asked, holdId, options.signal),
    );
  }

  async change(caller: Caller, holdId: string, body: ChangeBody, options: CallOptions = {}) {
    const newId = changedHoldId(holdId, options.idempotencyKey);
    return this.#once(caller, options, ['change', holdId, body], () =>
      this.#holding.change(caller, holdId, body, newId),
    );
  }

  async extend(caller: Caller, holdId: string, body: ExtendBody, options: CallOptions = {}) {
    const operationId = operationOf(options);
    return this.#once(caller, options, ['extend', holdId, body], () =>
      this.#holding.extend(caller, holdId, body, operationId),
    );
  }

  async paymentPending(caller: Caller, holdId: string, body: PendingBody, options: CallOptions = {}) {
    return this.#once(caller, options, ['payment-pending', holdId, body], () =>
      this.#holding.paymentPending(caller, holdId, body),
    );
  }

  async commit(caller: Caller, holdId: string, body: CommitBody, options: CallOptions = {}) {
    return this.#once(caller, options, ['commit', holdId, body], () =>
      this.#holding.commit(caller, holdId, body),
    );
  }

  async release(caller: Caller, holdId: string, options: CallOptions = {}) {
    return this.#once(caller, options, ['release', holdId], () => this.#holding.release(caller, holdId));
  }

  async get(caller: Caller, holdId: string) {
    return this.#holding.get(caller, holdId);
  }

  availability(caller: Caller, query: AvailabilityQuery) {
    return this.#reading.availability(caller, query);
  }

  async explainDecision(caller: Caller, query: DecisionQuery) {
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
}

/** Of an extension: the ledger answers its repeat with the first result. */
function operationOf({ idempotencyKey }: CallOptions): string {
  return idempotencyKey === undefined ? randomUUID() : hash('sha256', idempotencyKey, 'base64url');
}
