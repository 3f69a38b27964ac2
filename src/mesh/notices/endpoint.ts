import type { Secret } from '../../domain/secret.ts';
import type { NoticeType } from './notice.ts';

/** An address of the merchant's that is told; named in the configuration and nowhere else. */
export interface Endpoint {
  readonly id: string;
  readonly url: string;
  /** `whsec_` secrets: the current one and, while it is replaced, the one before. */
  readonly secrets: readonly Secret[];
  /** Empty: all. */
  readonly types: readonly NoticeType[];
}

export interface DeliverySettings {
  /** Pauses before the second attempt and the following ones. */
  readonly retryMs: readonly number[];
  readonly timeoutMs: number;
  /** An endpoint that has failed for so long without a success is not called any more. */
  readonly disableAfterMs: number;
  readonly concurrency: number;
  readonly keepDeadMs: number;
  readonly maxDead: number;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** Svix's schedule: 8 attempts within about 28 hours. */
export const defaultDeliverySettings: DeliverySettings = {
  retryMs: [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 10 * hour],
  timeoutMs: 15 * second,
  disableAfterMs: 5 * 24 * hour,
  concurrency: 4,
  keepDeadMs: 14 * 24 * hour,
  maxDead: 10_000,
};

/** What is remembered of an endpoint, in Redis. */
export interface EndpointState {
  /** First failure since the last success; 0: none. */
  readonly failingSinceMs: number;
  readonly lastSuccessMs: number;
  /** 0: it is called. */
  readonly disabledAtMs: number;
  readonly reason: string;
}

export const freshEndpoint: EndpointState = {
  failingSinceMs: 0,
  lastSuccessMs: 0,
  disabledAtMs: 0,
  reason: '',
};

/** After a success everything is forgotten, unless somebody disabled it meanwhile. */
export function afterSuccess(state: EndpointState, nowMs: number): EndpointState {
  return { ...state, failingSinceMs: 0, lastSuccessMs: nowMs, reason: '' };
}

/** `isGone`: the receiver said that it does not want them any more (410). */
export function afterFailure(
  state: EndpointState,
  nowMs: number,
  reason: string,
  isGone: boolean,
  disableAfterMs: number,
): EndpointState {
  const failingSinceMs = state.failingSinceMs === 0 ? nowMs : state.failingSinceMs;
  const isOver = isGone || nowMs - failingSinceMs >= disableAfterMs;
  const disabledAtMs = state.disabledAtMs === 0 && isOver ? nowMs : state.disabledAtMs;
  return { ...state, failingSinceMs, disabledAtMs, reason };
}
