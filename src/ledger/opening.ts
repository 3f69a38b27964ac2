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

/** `results`: what each `open` told that told something new. */
export type Opening =
  | {
      readonly kind: 'open';
      readonly results: readonly OpenResult[];
      readonly result: Extract<OpenResult, { kind: 'open' }>;
      readonly scripts: ScriptSet;
    }
  | {
      readonly kind: 'halted';
      readonly results: readonly OpenResult[];
      readonly result: Extract<OpenResult, { kind: 'halted' }>;
    };

/** Lives of a server that begin while it is opened. */
const maxTries = 8;

/**
 * Opens the ledger on one connection: the server's scripts are those of the epoch it answers. `open` is the only
 * EVAL: a stamped script that a server does not know must never be taught to it by the caller (that is the fence).
 *
 *   open --epoch--> load its scripts --> open again --the same, not new--> ready
 *                          ^                  |
 *                          +--another epoch---+      any open --entries are missing--> halted
 *
 * It is opened again because a client sends unanswered LOADs once more on its next connection: a server that came back
 * without its newest entries would learn the scripts of an epoch that was never opened there. The second `open` is
 * answered after all of them, and by such a server with a new epoch.
 */
export async function openLedger(
  redis: Redis,
  keys: LedgerKeys,
  source: ScriptSource,
  seen: SeenPosition,
  mode: 'open' | 'confirm-loss',
  actor: string,
): Promise<Opening> {
  const open = async (how: typeof mode): Promise<OpenResult> => {
    const { epoch, seq } = seen.get();
    const reply: unknown = await redis.eval(source.open, 1, keys.ledger, epoch, seq, how, actor);
    const result = readOpenReply(reply, epoch);
    if (result.kind === 'halted') return result;
    if (result.lost === undefined && result.position.epoch === seen.get().epoch)
      seen.observe(result.position);
    else seen.reset(result.position);
    return result;
  };
  const results: OpenResult[] = [];
  let loaded: { readonly epoch: number; readonly scripts: ScriptSet } | undefined;
  for (let tries = 1; tries <= maxTries; tries++) {
    const result = await open(tries === 1 ? mode : 'open');
    if (result.kind === 'halted') return { kind: 'halted', results: [...results, result], result };
    const { epoch } = result.position;
    if (loaded?.epoch === epoch && !result.isNewEpoch)
      return { kind: 'open', results, scripts: loaded.scripts, result };
    results.push(result);
    const scripts = source.stampedFor(epoch);
    await Promise.all([...scripts.values()].map((script) => redis.script('LOAD', script.text)));
    loaded = { epoch, scripts };
  }
  throw new StockmeshError('LEDGER_SCRIPT_FAILED', {
    command: 'open',
    reason: 'another epoch again and again',
  });
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
