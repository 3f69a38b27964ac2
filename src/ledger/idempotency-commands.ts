import { GroupCommit } from './group-commit.ts';
import { US } from './keys.ts';
import { checkText } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

export type BeginResult =
  | { readonly kind: 'go' }
  /** The answer that was kept. */
  | { readonly kind: 'answered'; readonly answer: string }
  | { readonly kind: 'in-flight' }
  | { readonly kind: 'reused' };

export interface IdempotentAttempt {
  /** Already scoped to who asks. */
  readonly key: string;
  /** Of method, address and body. */
  readonly fingerprint: string;
  /** Of this attempt: its own repeats are let through. */
  readonly nonce: string;
}

const maxBatch = 64;
const maxWaiting = 10_000;

/** Answers kept under an Idempotency-Key, for every daemon of the merchant; see scripts/idempotency.lua. */
export class IdempotencyCommands {
  readonly #steps: GroupCommit<string, string>;

  /** `inFlightMs`: after that the attempt of a daemon that is gone may be made again. */
  constructor(caller: ScriptCaller, times: { readonly inFlightMs: number; readonly keepMs: number }) {
    this.#steps = new GroupCommit(
      'idempotency',
      { maxBatch, maxInFlight: 2, maxWaiting },
      () => 1,
      async (steps) => {
        const { fields } = await caller.call('idempotency', [times.inFlightMs, times.keepMs, ...steps]);
        return fields.map(String);
      },
    );
  }

  async begin(attempt: IdempotentAttempt): Promise<BeginResult> {
    const outcome = await this.#steps.add(pack('begin', attempt, ''));
    if (outcome === 'in-flight' || outcome === 'reused' || outcome === 'go') return { kind: outcome };
    return { kind: 'answered', answer: outcome.slice('answered'.length + 1) };
  }

  async keep(attempt: IdempotentAttempt, answer: string): Promise<void> {
    await this.#steps.add(pack('keep', attempt, answer));
  }

  /** Nothing was answered: the next attempt is a first one. */
  async drop(attempt: IdempotentAttempt): Promise<void> {
    await this.#steps.add(pack('drop', attempt, ''));
  }
}

function pack(what: string, { key, fingerprint, nonce }: IdempotentAttempt, answer: string): string {
  return [what, checkText('idempotency key', key), fingerprint, nonce, answer].join(US);
}
