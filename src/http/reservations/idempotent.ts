import { hash, randomUUID } from 'node:crypto';
import { StockmeshError } from '../../domain/errors.ts';
import type { IdempotencyCommands, IdempotentAttempt } from '../../ledger/idempotency-commands.ts';
import type { Caller } from '../api/caller.ts';
import type { Outcome } from './service.ts';

/**
 * Stripe's rules: the same key is answered with the first answer, whatever it was; while the first is under way 409; with
 * another request 422. What ended without an answer (the ledger was away, a limit was hit) may be made again.
 */
export function once<Body>(
  store: Pick<IdempotencyCommands, 'begin' | 'keep' | 'drop'>,
  caller: Caller,
  key: string | undefined,
  request: readonly unknown[],
  act: () => Promise<Outcome<Body>>,
): Promise<Outcome<Body>> {
  return key === undefined ? act() : onceUnder(store, caller, key, request, act);
}

async function onceUnder<Body>(
  store: Pick<IdempotencyCommands, 'begin' | 'keep' | 'drop'>,
  caller: Caller,
  key: string,
  request: readonly unknown[],
  act: () => Promise<Outcome<Body>>,
): Promise<Outcome<Body>> {
  const attempt: IdempotentAttempt = {
    key: hash('sha256', `${caller.keyId}\n${key}`, 'base64url').slice(0, 32),
    fingerprint: hash('sha256', JSON.stringify(request), 'base64url').slice(0, 22),
    nonce: randomUUID(),
  };
  const begun = await store.begin(attempt);
  switch (begun.kind) {
    case 'answered':
      return { ...(JSON.parse(begun.answer) as Omit<Outcome<Body>, 'isReplayed'>), isReplayed: true };
    case 'in-flight':
      throw new StockmeshError('IDEMPOTENCY_IN_FLIGHT', { retryAfterS: 1 });
    case 'reused':
      throw new StockmeshError('IDEMPOTENCY_KEY_REUSED', {});
    case 'go':
  }
  let outcome: Outcome<Body>;
  try {
    outcome = await act();
  } catch (error) {
    // When this fails too, the attempt runs out by itself.
    await store.drop(attempt).catch(() => undefined);
    throw error;
  }
  // Before it is told: an answer that was told is the answer.
  await store.keep(attempt, JSON.stringify({ status: outcome.status, body: outcome.body }));
  return outcome;
}
