import type { ChainableCommander, Redis } from 'ioredis';
import type { Position } from '../contract.ts';
import type { Invariant } from '../fold.ts';
import type { LedgerKeys } from '../keys.ts';

/** What the parts of `verify` share. */
export interface VerifyContext {
  readonly redis: Redis;
  readonly keys: LedgerKeys;
  /** The history begins in its middle: what only earlier entries could tell is not judged. */
  readonly isPartial: boolean;
  find(invariant: Invariant, at: string, detail: string): void;
  /** Takes what the log says to exactly this moment. */
  advanceTo(position: Position): Promise<void>;
}

/**
 * Reads some pieces of the ledger as of one moment and takes the log's word to the same moment. That makes every
 * comparison exact while others go on writing: no piece has to hold still, and none is looked at twice.
 */
export async function readPinned(
  context: VerifyContext,
  add: (read: ChainableCommander) => void,
): Promise<readonly unknown[]> {
  const read = context.redis.multi().hmget(context.keys.ledger, 'epoch', 'seq');
  add(read);
  const [head, ...replies] = (await read.exec()) ?? [];
  const values = replies.map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
  const [epoch, seq] = (head?.[1] ?? []) as readonly (string | null)[];
  await context.advanceTo({ epoch: Number(epoch ?? 0), seq: Number(seq ?? 0) });
  return values;
}

export function* batchesOf<T>(items: Iterable<T>, size: number): Generator<readonly T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

type Scan = (cursor: string) => Promise<readonly [cursor: string, page: readonly string[]]>;

/** Pages of a SCAN. Whatever is there all the time is met; it may be met twice. */
export async function* pagesOf(scan: Scan): AsyncGenerator<readonly string[]> {
  let cursor = '0';
  do {
    const [next, page] = await scan(cursor);
    cursor = next;
    if (page.length > 0) yield page;
  } while (cursor !== '0');
}
