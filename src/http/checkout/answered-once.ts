import type { IdempotencyCommands } from '../../ledger/idempotency-commands.ts';
import type { Caller } from '../api/caller.ts';
import { once } from '../reservations/idempotent.ts';
import type { Outcome } from '../reservations/service.ts';

export type AnswerStore = Pick<IdempotencyCommands, 'begin' | 'keep' | 'drop'>;

/**
 * A protocol's Idempotency-Key is ours, kept per address: the same key at another address is another key. The request is
 * the JSON value of its body: the order of its members says nothing, `null` is not the same as absent.
 */
export function answeredOnce<Body>(
  store: AnswerStore,
  caller: Caller,
  address: string,
  key: string | undefined,
  body: unknown,
  act: (key: string | undefined) => Promise<{ readonly status: number; readonly body: Body }>,
): Promise<Outcome<Body>> {
  const scoped = key === undefined ? undefined : `${address} ${key}`;
  return once(store, caller, scoped, [address, sorted(body ?? null)], async () => ({
    ...(await act(scoped)),
    isReplayed: false,
  }));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, sorted(member)]);
}
