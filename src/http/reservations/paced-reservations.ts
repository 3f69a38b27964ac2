import { StockmeshError } from '../../domain/errors.ts';
import type { Caller } from '../api/caller.ts';
import { type Pace, TokenBuckets } from '../api/token-buckets.ts';
import { ledgerAgent } from './hold-id.ts';
import type {
  AvailabilityQuery,
  ChangeBody,
  CommitBody,
  DecisionQuery,
  ExtendBody,
  PendingBody,
  ReserveBody,
} from './requests.ts';
import type { CallOptions, ReservationService } from './service.ts';
import type { ReservationSettings } from './settings.ts';

/**
 * Reservations as callers from outside get them: every request counts for the pace of its key and agent. Whoever makes one
 * request out of several (a checkout) counts it once, with `keepPace`, and works on what is inside.
 */
export class PacedReservations implements ReservationService {
  readonly #inner: ReservationService;
  readonly #settings: Pick<ReservationSettings, 'agents' | 'checkouts'>;
  readonly #buckets = new TokenBuckets();

  constructor(inner: ReservationService, settings: Pick<ReservationSettings, 'agents' | 'checkouts'>) {
    this.#inner = inner;
    this.#settings = settings;
  }

  /** An agent has its own pace within that of the key it comes with; operators have none. Throws HTTP_RATE_LIMITED. */
  keepPace(caller: Caller, askedAgentId?: string): void {
    if (caller.class === 'operator' && askedAgentId === undefined) return;
    const { agents, checkouts } = this.#settings;
    const agentId = askedAgentId ?? caller.agentId;
    if (agentId !== undefined) this.#take('this agent', ledgerAgent(caller, agentId), agents.pace);
    this.#take('this key', caller.keyId, checkouts.pace);
  }

  reserve(caller: Caller, body: ReserveBody, options?: CallOptions) {
    this.keepPace(caller, body.agent_id);
    return this.#inner.reserve(caller, body, options);
  }

  async change(caller: Caller, holdId: string, body: ChangeBody, options?: CallOptions) {
    this.keepPace(caller);
    return this.#inner.change(caller, holdId, body, options);
  }

  async extend(caller: Caller, holdId: string, body: ExtendBody, options?: CallOptions) {
    this.keepPace(caller);
    return this.#inner.extend(caller, holdId, body, options);
  }

  async paymentPending(caller: Caller, holdId: string, body: PendingBody, options?: CallOptions) {
    this.keepPace(caller);
    return this.#inner.paymentPending(caller, holdId, body, options);
  }

  async commit(caller: Caller, holdId: string, body: CommitBody, options?: CallOptions) {
    this.keepPace(caller);
    return this.#inner.commit(caller, holdId, body, options);
  }

  async release(caller: Caller, holdId: string, options?: CallOptions) {
    this.keepPace(caller);
    return this.#inner.release(caller, holdId, options);
  }

  async get(caller: Caller, holdId: string) {
    this.keepPace(caller);
    return this.#inner.get(caller, holdId);
  }

  availability(caller: Caller, query: AvailabilityQuery) {
    this.keepPace(caller, query.agent_id);
    return this.#inner.availability(caller, query);
  }

  async explainDecision(caller: Caller, query: DecisionQuery) {
    this.keepPace(caller);
    return this.#inner.explainDecision(caller, query);
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
