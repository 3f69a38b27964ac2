import type { Redis } from 'ioredis';
import { afterFailure, afterSuccess, type EndpointState, freshEndpoint } from './endpoint.ts';

/**
 * How each endpoint fares, shared by all daemons through Redis. Read once and then again every few seconds: a daemon may
 * call an endpoint a moment longer than another one would.
 */
export class EndpointStates {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #states = new Map<string, EndpointState>();

  constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  async load(): Promise<void> {
    const rows = await this.#redis.hgetall(this.#key);
    this.#states.clear();
    for (const [id, json] of Object.entries(rows)) this.#states.set(id, JSON.parse(json) as EndpointState);
  }

  of(id: string): EndpointState {
    return this.#states.get(id) ?? freshEndpoint;
  }

  isDisabled(id: string): boolean {
    return this.of(id).disabledAtMs > 0;
  }

  async succeeded(id: string, nowMs: number): Promise<void> {
    const state = this.of(id);
    const next = afterSuccess(state, nowMs);
    // Written when it says something new; the moment of the last success is kept in memory between.
    if (state.failingSinceMs !== 0 || state.lastSuccessMs === 0) await this.#store(id, next);
    else this.#states.set(id, next);
  }

  /** True when this failure disabled the endpoint. */
  async failed(
    id: string,
    nowMs: number,
    reason: string,
    isGone: boolean,
    disableAfterMs: number,
  ): Promise<boolean> {
    const state = this.of(id);
    const next = afterFailure(state, nowMs, reason, isGone, disableAfterMs);
    await this.#store(id, next);
    return state.disabledAtMs === 0 && next.disabledAtMs !== 0;
  }

  async enable(id: string): Promise<void> {
    await this.#store(id, { ...freshEndpoint, lastSuccessMs: this.of(id).lastSuccessMs });
  }

  async #store(id: string, state: EndpointState): Promise<void> {
    this.#states.set(id, state);
    await this.#redis.hset(this.#key, id, JSON.stringify(state));
  }
}
