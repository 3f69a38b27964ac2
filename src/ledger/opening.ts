import type { Redis } from 'ioredis';
import { StockmeshError } from '../domain/errors.ts';
import type { Position } from './contract.ts';
import type { LedgerKeys } from './keys.ts';
import type { SeenPosition } from './position.ts';
import type { ScriptSet, ScriptSource } from './script-loader.ts';

/** Entries that this daemon has seen and that the ledger no longer holds. */
export interface LostRange {
  readonly epoch: number;
  readonly from: number;
  readonly to: number;
}

export type OpenResult =
  | {
      readonly kind: 'open';
      readonly position: Position;
      /** This call began a new epoch. */
      readonly isNewEpoch: boolean;
      /** A loss an operator has confirmed, now or at another daemon. */
      readonly lost: LostRange | undefined;
      /** Lowest sequence the log still holds. */
      readonly firstSeq: number;
      readonly serverMs: number;
    }
  | { readonly kind: 'halted'; readonly reason: string; readonly lost: LostRange | undefined };

/**
 * Opens the ledger on one connection: the server's scripts are those of the epoch it answers. `open` is the only
 * EVAL: a stamped script that a server does not know must never be taught to it by the caller (that is the fence).
 */
export async function openLedger(
  redis: Redis,
  keys: LedgerKeys,
  source: ScriptSource,
  seen: SeenPosition,
  mode: 'open' | 'confirm-loss',
  actor: string,
): Promise<{ readonly result: OpenResult; readonly scripts: ScriptSet | undefined }> {
  const { epoch, seq } = seen.get();
  const reply: unknown = await redis.eval(source.open, 1, keys.ledger, epoch, seq, mode, actor);
  const result = readOpenReply(reply, epoch);
  if (result.kind === 'halted') return { result, scripts: undefined };
  if (result.lost === undefined && result.position.epoch === seen.get().epoch) seen.observe(result.position);
  else seen.reset(result.position);
  const scripts = source.stampedFor(result.position.epoch);
  await Promise.all([...scripts.values()].map((script) => redis.script('LOAD', script.text)));
  return { result, scripts };
}

function readOpenReply(reply: unknown, seenEpoch: number): OpenResult {
  if (!Array.isArray(reply)) {
    throw new StockmeshError('LEDGER_SCRIPT_FAILED', { command: 'open', reason: 'reply is not an array' });
  }
  const at = (index: number): number => Number(reply[index]);
  if (reply[0] === 'halted') {
    return { kind: 'halted', reason: String(reply[3]), lost: rangeOf(at(4), at(5), at(6)) };
  }
  return {
    kind: 'open',
    position: { epoch: at(3), seq: at(1) },
    isNewEpoch: at(4) === 1,
    lost: rangeOf(seenEpoch, at(5), at(6)),
    firstSeq: at(7),
    serverMs: at(2),
  };
}

function rangeOf(epoch: number, from: number, to: number): LostRange | undefined {
  return to > 0 ? { epoch, from, to } : undefined;
}
