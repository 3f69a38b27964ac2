import { StockmeshError } from '../domain/errors.ts';
import { checkText } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

export type RecordKind = 'apiKeys' | 'payments' | 'reconcile:requests' | 'endpoints';

const most: Readonly<Record<RecordKind, number>> = {
  apiKeys: 10_000,
  payments: 100_000,
  'reconcile:requests': 10_000,
  endpoints: 10_000,
};

const maxChangeTries = 16;

/**
 * Small records shared by every daemon of the merchant: API keys, pending payments, requests for a reconciliation,
 * how the endpoints of webhooks fare.
 */
export class RecordCommands {
  readonly #caller: ScriptCaller;

  constructor(caller: ScriptCaller) {
    this.#caller = caller;
  }

  /** Throws LEDGER_OVERLOADED when there are as many as may be. */
  async put(kind: RecordKind, id: string, content: string): Promise<void> {
    const { outcome } = await this.#caller.call('record', [
      kind,
      'put',
      checkText('record id', id),
      content,
      most[kind],
    ]);
    if (outcome === 'full') throw tooMany(kind);
  }

  /**
   * Puts `to` in the place of `from`; undefined stands for nothing. False: something else is there by now.
   * Throws LEDGER_OVERLOADED as `put` does.
   */
  async swap(
    kind: RecordKind,
    id: string,
    from: string | undefined,
    to: string | undefined,
  ): Promise<boolean> {
    const { outcome } = await this.#caller.call('record', [
      kind,
      'swap',
      checkText('record id', id),
      to ?? '',
      most[kind],
      from ?? '',
    ]);
    if (outcome === 'full') throw tooMany(kind);
    return outcome === 'done';
  }

  /**
   * Changes a record over what it is, however many do so at once. `to` may be asked several times; what it answers undefined
   * for is left as it is. Throws LEDGER_UNAVAILABLE when others are always first.
   */
  async change(
    kind: RecordKind,
    id: string,
    to: (stored: string | undefined) => string | undefined,
  ): Promise<'changed' | 'left'> {
    for (let attempt = 1; attempt <= maxChangeTries; attempt++) {
      const stored = await this.one(kind, id);
      const next = to(stored);
      if (next === undefined) return 'left';
      if (await this.swap(kind, id, stored, next)) return 'changed';
    }
    throw new StockmeshError('LEDGER_UNAVAILABLE', {
      command: `record ${kind}`,
      reason: 'changed again and again',
    });
  }

  async drop(kind: RecordKind, id: string): Promise<void> {
    await this.#caller.call('record', [kind, 'drop', checkText('record id', id)]);
  }

  /** By id. */
  async all(kind: RecordKind): Promise<ReadonlyMap<string, string>> {
    return new Map(Object.entries(await this.#caller.redis.hgetall(`${this.#caller.keys.prefix}${kind}`)));
  }

  async one(kind: RecordKind, id: string): Promise<string | undefined> {
    return (await this.#caller.redis.hget(`${this.#caller.keys.prefix}${kind}`, id)) ?? undefined;
  }

  /** Whether the session has room for one more transaction, this hold's; the same hold counts once. */
  async takeTransaction(request: {
    readonly agent: string;
    readonly session: string;
    readonly holdId: string;
    readonly most: number;
    readonly sessionMs: number;
  }): Promise<'taken' | 'used-up'> {
    const { agent, session, holdId } = request;
    const { outcome } = await this.#caller.call('session', [
      'take',
      checkText('agent', agent),
      checkText('session', session),
      checkText('hold id', holdId),
      request.most,
      request.sessionMs,
    ]);
    return outcome === 'used-up' ? 'used-up' : 'taken';
  }

  async giveTransactionBack(agent: string, session: string, holdId: string): Promise<void> {
    await this.#caller.call('session', ['give-back', agent, session, holdId]);
  }
}

function tooMany(kind: RecordKind): StockmeshError {
  return new StockmeshError('LEDGER_OVERLOADED', { limit: most[kind], command: `record ${kind}` });
}
