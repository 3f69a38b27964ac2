import type { RecordCommands } from '../../ledger/record-commands.ts';
import { afterFailure, afterSuccess, type EndpointState, freshEndpoint } from './endpoint.ts';

const kind = 'endpoints';

/**
 * How each endpoint fares, shared by all daemons through Redis. Read once and then again every few seconds: a daemon may
 * call an endpoint a moment longer than another one would. It is changed only over what it was made from, and before
 * letters are given up it is read once more: another daemon may have enabled the endpoint a moment ago.
 */
export class EndpointStates {
  readonly #records: Pick<RecordCommands, 'all' | 'one' | 'change'>;
  readonly #states = new Map<string, EndpointState>();

  constructor(records: Pick<RecordCommands, 'all' | 'one' | 'change'>) {
    this.#records = records;
  }

  async load(): Promise<void> {
    const rows = await this.#records.all(kind);
    this.#states.clear();
    for (const [id, json] of rows) this.#states.set(id, JSON.parse(json) as EndpointState);
  }

  of(id: string): EndpointState {
    return this.#states.get(id) ?? freshEndpoint;
  }

  async isDisabled(id: string): Promise<boolean> {
    if (this.of(id).disabledAtMs === 0) return false;
    this.#states.set(id, stateOf(await this.#records.one(kind, id)));
    return this.of(id).disabledAtMs > 0;
  }

  async succeeded(id: string, nowMs: number): Promise<void> {
    const state = this.of(id);
    // Written when it says something new; the moment of the last success is kept in memory between.
    if (state.failingSinceMs !== 0 || state.lastSuccessMs === 0)
      await this.#change(id, (stored) => afterSuccess(stored, nowMs));
    else this.#states.set(id, afterSuccess(state, nowMs));
  }

  /** True when this failure disabled the endpoint. */
  async failed(
    id: string,
    nowMs: number,
    reason: string,
    isGone: boolean,
    disableAfterMs: number,
  ): Promise<boolean> {
    const { before, next } = await this.#change(id, (stored) =>
      afterFailure(stored, nowMs, reason, isGone, disableAfterMs),
    );
    return before.disabledAtMs === 0 && next.disabledAtMs !== 0;
  }

  async enable(id: string): Promise<void> {
    await this.#change(id, ({ lastSuccessMs }) => ({ ...freshEndpoint, lastSuccessMs }));
  }

  async #change(
    id: string,
    to: (stored: EndpointState) => EndpointState,
  ): Promise<{ readonly before: EndpointState; readonly next: EndpointState }> {
    let before = freshEndpoint;
    let next = before;
    await this.#records.change(kind, id, (stored) => {
      before = stateOf(stored);
      next = to(before);
      return JSON.stringify(next);
    });
    this.#states.set(id, next);
    return { before, next };
  }
}

function stateOf(text: string | undefined): EndpointState {
  return text === undefined ? freshEndpoint : (JSON.parse(text) as EndpointState);
}
