import { hash, randomFillSync } from 'node:crypto';
import type { Caller } from '../api/caller.ts';

export type AskedStage = 'intent' | 'checkout' | 'cart';

const letters = { intent: 'i', checkout: 'c', cart: 'k' } as const satisfies Record<AskedStage, string>;
const stagesByLetter: Readonly<Record<string, AskedStage>> = { i: 'intent', c: 'checkout', k: 'cart' };

/**
 * `<key id>.<stage letter><18 random bytes>`: whose it is and how long it may live are read off the id itself, so no look-up
 * stands between a caller and its hold. Under an Idempotency-Key the id is made from the key: the ledger then answers a
 * repeat with the first hold, whatever became of the first answer.
 */
export function makeHoldId(
  caller: Pick<Caller, 'keyId'>,
  stage: AskedStage,
  idempotencyKey: string | undefined,
): string {
  const rest =
    idempotencyKey === undefined
      ? randomId()
      : hash('sha256', `${caller.keyId}\n${idempotencyKey}`, 'base64url').slice(0, 24);
  return `${caller.keyId}.${letters[stage]}${rest}`;
}

/** Of the hold that comes in the place of another: it belongs to the same key and stage. */
export function changedHoldId(holdId: string, idempotencyKey: string | undefined): string {
  const keyId = holdId.slice(0, Math.max(0, holdId.indexOf('.')));
  return makeHoldId({ keyId }, stageOf(holdId), idempotencyKey && `change\n${holdId}\n${idempotencyKey}`);
}

const idBytes = 18;
const pool = Buffer.alloc(idBytes * 128);
let used = pool.length;

/** Drawn from the generator many at once: one at a time costs more than all else that makes an id. Each is used once. */
function randomId(): string {
  if (used >= pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.toString('base64url', used, used + idBytes);
  used += idBytes;
  return id;
}

export function stageOf(holdId: string): AskedStage {
  return stagesByLetter[holdId.charAt(holdId.indexOf('.') + 1)] ?? 'checkout';
}

/** Operators see every hold; to anybody else holds of another key do not exist. */
export function mayTouch(caller: Caller, holdId: string): boolean {
  return caller.class === 'operator' || holdId.startsWith(`${caller.keyId}.`);
}

/** In the ledger agents of different keys are different agents, whatever they call themselves. */
export function ledgerAgent(caller: Caller, agentId: string): string {
  return `${caller.keyId}/${agentId}`;
}

export function shownAgent(agent: string): string | null {
  return agent === '' ? null : agent.slice(agent.indexOf('/') + 1);
}
