import type { Caller } from '../api/caller.ts';
import type {
  Availability,
  Committed,
  Denied,
  Explanation,
  Held,
  HoldAnswer,
  Refused,
  Released,
} from './answers.ts';
import type {
  AvailabilityQuery,
  ChangeBody,
  CommitBody,
  DecisionQuery,
  ExtendBody,
  PendingBody,
  ReserveBody,
} from './requests.ts';

/** An answer as every door (REST, MCP, checkout adapter) shows it. `status` is the HTTP one. */
export interface Outcome<Body> {
  readonly status: number;
  readonly body: Body;
  /** The stored answer of an earlier request with the same Idempotency-Key. */
  readonly isReplayed: boolean;
  /** The JSON text of `body`, where making the answer made it already. */
  readonly text?: string | undefined;
}

export interface CallOptions {
  /** Scoped to the caller's key. */
  readonly idempotencyKey?: string | undefined;
  /** Stops waiting in the queue of a hot SKU; never undoes what was decided. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Holds and availability for agents and checkouts. Every method expects a caller that was authenticated and whose scope
 * was checked, and input that its schema has parsed. Refusals are answers; it throws only StockmeshErrors: LEDGER_* and
 * REDIS_* (nothing is known to be held), IDEMPOTENCY_*, HTTP_RATE_LIMITED, HTTP_FORBIDDEN, HTTP_REQUEST_INVALID.
 */
export interface ReservationService {
  /** 201 held, 409 denied. */
  reserve(caller: Caller, body: ReserveBody, options?: CallOptions): Promise<Outcome<Held | Denied>>;
  /**
   * Other lines in the place of those of a hold, all or nothing: 201 with a new hold id, and the first hold has ended;
   * 409 denied, and it lives on; 404, 409, 410: it is not there to be changed.
   */
  change(
    caller: Caller,
    holdId: string,
    body: ChangeBody,
    options?: CallOptions,
  ): Promise<Outcome<Held | Denied | Refused>>;
  /** 200, or 404, 409, 410. */
  extend(
    caller: Caller,
    holdId: string,
    body: ExtendBody,
    options?: CallOptions,
  ): Promise<Outcome<Held | Refused>>;
  /** The payment is under way and may take long: the hold waits for it, or for a person. 200, or 404, 409, 410. */
  paymentPending(
    caller: Caller,
    holdId: string,
    body: PendingBody,
    options?: CallOptions,
  ): Promise<Outcome<Held | Refused>>;
  /** 200, or 404, 409, 410 (run out), 422. */
  commit(
    caller: Caller,
    holdId: string,
    body: CommitBody,
    options?: CallOptions,
  ): Promise<Outcome<Committed | Refused>>;
  /** 200, or 404, 409. */
  release(caller: Caller, holdId: string, options?: CallOptions): Promise<Outcome<Released | Refused>>;
  /** 200, or 404. Holds of another key do not exist. */
  get(caller: Caller, holdId: string): Promise<Outcome<HoldAnswer | Refused>>;
  /** Always 200; what is not known says so per item. At once where the copy answers. */
  availability(
    caller: Caller,
    query: AvailabilityQuery,
  ): Outcome<Availability> | Promise<Outcome<Availability>>;
  /** What was known, shown and decided. Agents see decisions and holds of their own key only. */
  explainDecision(caller: Caller, query: DecisionQuery): Promise<Outcome<Explanation>>;
}
